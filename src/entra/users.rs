//! Users of the tenant.

use jiff::Timestamp;

/// A user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// Object id.
    pub id: String,
    /// Sign-in name. It changes when a person is renamed, so use it for display only.
    pub user_principal_name: String,
    /// Display name.
    pub display_name: Option<String>,
    /// Whether the account can sign in. `None` if Graph did not return it.
    pub account_enabled: Option<bool>,
    /// `Member` or `Guest`.
    pub user_type: Option<String>,
    /// The identities with which the account can sign in.
    pub identities: Vec<Identity>,
    /// Mail addresses, without their kind. They are not unique, and brokers use them as names.
    pub mail_addresses: Vec<String>,
    /// When the account was created. `None` if Graph did not return it.
    pub created: Option<Timestamp>,
    /// Set for invited users: `PendingAcceptance` or `Accepted`.
    pub external_user_state: Option<String>,
    /// Whether the user is in a restricted management administrative unit. Only administrators of that unit may create and
    /// delete passes for them, and applications may not (reported). Graph returns it only if it is selected.
    pub is_management_restricted: bool,
}

/// An identity with which an account can sign in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// For example `userPrincipalName` or `federated`.
    pub sign_in_type: Option<String>,
    /// A domain of the tenant or, for example, `ExternalAzureAD`.
    pub issuer: Option<String>,
    /// The name at that issuer.
    pub issuer_assigned_id: Option<String>,
}

/// The users of the tenant whom a name may mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Namesakes {
    /// Object id of the one whom it means: who has it as sign-in name or object id, else the only one who has it as a mail
    /// address.
    pub user_id: Option<String>,
    /// Object ids of the others who have it as a mail address.
    pub others: Vec<String>,
}

/// The kinds of users that differ in whether they may have a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// A member of the tenant.
    Member,
    /// A guest whose credentials are in this tenant. Such a guest may have a pass.
    InternalGuest,
    /// A guest whose credentials are in another tenant. Graph refuses to create a pass (documented).
    ExternalGuest,
    /// A member whose credentials are in another tenant, as cross-tenant synchronization creates them. Graph is taken to
    /// refuse a pass as for a guest: what decides is where the credentials are (reported).
    ExternalMember,
    /// Graph did not return enough to tell.
    Unknown,
}

impl User {
    /// Tells those whose credentials are in this tenant from those whose credentials are elsewhere.
    ///
    /// The criteria are reported, not documented. Identities decide if there are any: a federated identity (such as
    /// `ExternalAzureAD`) means that the credentials are in another tenant, whatever `userType` says, and even if the account
    /// also has a sign-in name of this tenant. The state of an invitation and `#EXT#` in the name count for less, because an
    /// account that was converted keeps them.
    pub fn kind(&self) -> UserKind {
        let is = |text: &Option<String>, what: &str| {
            text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(what))
        };
        let signs_in_by =
            |what| self.identities.iter().any(|identity| is(&identity.sign_in_type, what));
        let invited = self.external_user_state.is_some()
            || self.user_principal_name.to_ascii_uppercase().contains("#EXT#");
        let (internal, external) = if is(&self.user_type, "Member") {
            (UserKind::Member, UserKind::ExternalMember)
        } else if is(&self.user_type, "Guest") {
            (UserKind::InternalGuest, UserKind::ExternalGuest)
        } else {
            return UserKind::Unknown;
        };
        if signs_in_by("federated") {
            external
        } else if signs_in_by("userPrincipalName") {
            internal
        } else if invited {
            external
        } else if internal == UserKind::Member {
            internal
        } else {
            UserKind::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(
        user_type: Option<&str>,
        upn: &str,
        identities: &[(&str, &str)],
        state: Option<&str>,
    ) -> User {
        User {
            id: "1".into(),
            user_principal_name: upn.into(),
            display_name: None,
            account_enabled: Some(true),
            user_type: user_type.map(Into::into),
            identities: (identities.iter())
                .map(|(sign_in_type, issuer)| Identity {
                    sign_in_type: Some((*sign_in_type).into()),
                    issuer: Some((*issuer).into()),
                    issuer_assigned_id: None,
                })
                .collect(),
            mail_addresses: Vec::new(),
            created: None,
            external_user_state: state.map(Into::into),
            is_management_restricted: false,
        }
    }

    #[test]
    fn users_are_told_apart() {
        let own = ("userPrincipalName", "contoso.onmicrosoft.com");
        let foreign = ("federated", "ExternalAzureAD");
        let (member, guest) = (Some("Member"), Some("guest"));
        for (case, user, kind) in [
            ("a member", user(member, "a@c.com", &[own], None), UserKind::Member),
            (
                "a converted member keeps its name",
                user(member, "a_x.com#EXT#@c.com", &[own], None),
                UserKind::Member,
            ),
            (
                "a member from elsewhere",
                user(member, "a_x.com#EXT#@c.com", &[foreign], Some("Accepted")),
                UserKind::ExternalMember,
            ),
            (
                "a synchronized member from elsewhere, who was never invited",
                user(member, "a_x.com#EXT#@c.com", &[own, foreign], None),
                UserKind::ExternalMember,
            ),
            (
                "a member whose identities are not shown",
                user(member, "a@c.com", &[], None),
                UserKind::Member,
            ),
            (
                "an invited member whose identities are not shown",
                user(member, "a_x.com#EXT#@c.com", &[], None),
                UserKind::ExternalMember,
            ),
            ("an internal guest", user(guest, "a@c.com", &[own], None), UserKind::InternalGuest),
            (
                "a guest from elsewhere",
                user(guest, "a_x.com#EXT#@c.com", &[foreign, own], Some("Accepted")),
                UserKind::ExternalGuest,
            ),
            (
                "a guest converted to an internal one",
                user(guest, "a_x.com#EXT#@c.com", &[own], Some("Accepted")),
                UserKind::InternalGuest,
            ),
            (
                "an invitation without identities",
                user(guest, "a@c.com", &[], Some("PendingAcceptance")),
                UserKind::ExternalGuest,
            ),
            (
                "the name without identities",
                user(guest, "a_x.com#ext#@c.com", &[], None),
                UserKind::ExternalGuest,
            ),
            ("a guest with nothing else", user(guest, "a@c.com", &[], None), UserKind::Unknown),
            ("no type", user(None, "a@c.com", &[own], None), UserKind::Unknown),
        ] {
            assert_eq!(user.kind(), kind, "{case}");
        }
    }
}
