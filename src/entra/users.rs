//! Users of the tenant.

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

/// The kinds of users that differ in whether they may have a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// A member of the tenant.
    Member,
    /// A guest whose credentials are in this tenant. Such a guest may have a pass.
    InternalGuest,
    /// A guest whose credentials are in another tenant. Graph refuses to create a pass (documented).
    ExternalGuest,
    /// Graph did not return enough to tell.
    Unknown,
}

impl User {
    /// Tells members, internal guests and external guests apart.
    ///
    /// The criteria are reported, not documented. Identities decide if there are any: a federated identity (such as
    /// `ExternalAzureAD`) means that the credentials are in another tenant, even if the account also has a sign-in name
    /// of this tenant. The state of an invitation and `#EXT#` in the name count for less, because an account that was
    /// converted keeps them.
    pub fn kind(&self) -> UserKind {
        let is = |text: &Option<String>, what: &str| {
            text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(what))
        };
        let signs_in_by =
            |what| self.identities.iter().any(|identity| is(&identity.sign_in_type, what));
        let invited = self.external_user_state.is_some()
            || self.user_principal_name.to_ascii_uppercase().contains("#EXT#");
        if is(&self.user_type, "Member") {
            UserKind::Member
        } else if !is(&self.user_type, "Guest") {
            UserKind::Unknown
        } else if signs_in_by("federated") {
            UserKind::ExternalGuest
        } else if signs_in_by("userPrincipalName") {
            UserKind::InternalGuest
        } else if invited {
            UserKind::ExternalGuest
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
