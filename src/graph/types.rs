//! What callers send to Graph and get back, free of Graph's spelling.

use jiff::{SignedDuration, Timestamp};

use super::PassCode;

/// How urgent a call is where calls must wait for their turn. Smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A pass is taken away.
    Revoke,
    /// A pass is made, and what must be known just before.
    Issue,
    /// Everything that may wait: drift, early checks, whether a pass was used. At most half of the pace.
    Read,
}

/// The tenant's TAP method, as it stands in the authentication methods policy.
///
/// Numbers that the tenant did not answer are `None`; fields that this version does not know are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodConfiguration {
    /// Whether the method can be used in the tenant at all.
    pub state: MethodState,
    /// Lifetime of a pass that asks for none, in minutes.
    pub default_lifetime_minutes: Option<u32>,
    /// Shortest lifetime that a pass may have, in minutes.
    pub minimum_lifetime_minutes: Option<u32>,
    /// Longest lifetime that a pass may have, in minutes.
    pub maximum_lifetime_minutes: Option<u32>,
    /// Length of the codes that Entra makes, in characters.
    pub default_length: Option<u32>,
    /// Whether every pass of the tenant is for one sign-in (`isUsableOnce`).
    pub one_time_required: Option<bool>,
    /// Who may sign in with a pass.
    pub include: Vec<GraphTarget>,
    /// Who may not, even if included.
    pub exclude: Vec<GraphTarget>,
}

/// Whether a method is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MethodState {
    /// `enabled`
    Enabled,
    /// `disabled`
    Disabled,
    /// A state that this version does not know.
    Other(String),
}

/// An entry of the method's `includeTargets` or `excludeTargets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphTarget {
    /// Object id of a group (or user), or `all_users`.
    pub id: String,
    /// `group` or `user`; `group` for `all_users`, too.
    pub target_type: String,
    /// Only on included targets.
    pub is_registration_required: Option<bool>,
}

/// A change of the tenant's TAP method. What is `None` is not sent and stays as it is.
///
/// Graph replaces each list of targets as a whole (inferred from working code, not documented), and may recalculate
/// fields that were not sent (documented): read again after a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodPatch {
    /// See [`MethodConfiguration::state`].
    pub state: Option<MethodState>,
    /// See [`MethodConfiguration::default_lifetime_minutes`].
    pub default_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::minimum_lifetime_minutes`].
    pub minimum_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::maximum_lifetime_minutes`].
    pub maximum_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::default_length`].
    pub default_length: Option<u32>,
    /// See [`MethodConfiguration::one_time_required`].
    pub one_time_required: Option<bool>,
    /// All targets that shall be included.
    pub include: Option<Vec<GraphTarget>>,
    /// All targets that shall be excluded.
    pub exclude: Option<Vec<GraphTarget>>,
}

impl MethodPatch {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Object id.
    pub id: String,
    /// Sign-in name; people are renamed, so it is for reading only.
    pub user_principal_name: String,
    /// Display name.
    pub display_name: Option<String>,
    /// Whether the account can sign in. `None` if Graph did not say.
    pub account_enabled: Option<bool>,
    /// `Member` or `Guest`.
    pub user_type: Option<String>,
    /// The ways in which the account signs in.
    pub identities: Vec<Identity>,
    /// Set for invited people: `PendingAcceptance` or `Accepted`.
    pub external_user_state: Option<String>,
}

/// One way in which an account signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For example `userPrincipalName` or `federated`.
    pub sign_in_type: Option<String>,
    /// A domain of the tenant, or for example `ExternalAzureAD`.
    pub issuer: Option<String>,
    /// The name at that issuer.
    pub issuer_assigned_id: Option<String>,
}

/// What sort of user it is, as far as passes are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// A member of the tenant.
    Member,
    /// A guest whose credentials are in this tenant: may have a pass.
    InternalGuest,
    /// A guest whose credentials are elsewhere: Graph refuses a pass (documented).
    ExternalGuest,
    /// Graph did not tell enough.
    Unknown,
}

impl User {
    /// Tells members and the two sorts of guests apart.
    ///
    /// The marks are reported, not documented. Identities decide where there are any: a federated one
    /// (`ExternalAzureAD` and the like) means credentials elsewhere, even beside the sign-in name of this tenant. An
    /// invitation's state and `#EXT#` in the name are weaker: accounts that were converted keep them.
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

/// A directory role that a user holds, directly or through groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRole {
    /// Object id of the role in the tenant.
    pub id: String,
    /// Id that the role has in every tenant. `None`: the object could not be read in full, which must count as
    /// privileged.
    pub template_id: Option<String>,
    /// Display name.
    pub display_name: Option<String>,
}

/// A directory role that a user could activate (Privileged Identity Management).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibleRole {
    /// Id of the role's definition, for built-in roles the same in every tenant. `None`: it could not be read, which must
    /// count as privileged.
    pub definition_id: Option<String>,
    /// The group that is eligible, and in which the user is. `None`: the user is.
    pub through_group: Option<String>,
}

/// A pass of a user, without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapMethod {
    /// Id of the pass, a new one for each.
    pub id: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it begins to work.
    pub start: Option<Timestamp>,
    /// How long it works, in minutes from its start.
    pub lifetime_minutes: Option<u32>,
    /// Whether it is for one sign-in.
    pub one_time: Option<bool>,
    /// Whether it works right now. Some tenants leave it out (reported).
    pub usable: Option<bool>,
    /// Why it works or does not.
    pub reason: Option<UsabilityReason>,
}

impl TapMethod {
    /// When the pass ends by itself: start + lifetime, if Graph told both.
    pub fn expiration(&self) -> Option<Timestamp> {
        self.start?.checked_add(SignedDuration::from_mins(self.lifetime_minutes?.into())).ok()
    }
}

/// Why a pass can or cannot be used (`methodUsabilityReason`). Graph's list is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsabilityReason {
    /// It works.
    EnabledByPolicy,
    /// The method is off, or not for this user.
    DisabledByPolicy,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Its one sign-in has happened.
    OneTimeUsed,
    /// A reason that this version does not know.
    Other(String),
}

/// The passes of a user at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Graph keeps at most one (documented), and may lag behind a POST or DELETE (inferred).
    pub passes: Vec<TapMethod>,
    /// The answer's `Date`: Graph's own time, in whole seconds.
    pub date: Timestamp,
}

/// A pass that shall be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPass {
    /// When it begins to work; `None`: at once.
    pub start: Option<Timestamp>,
    /// How long it works, in minutes.
    pub lifetime_minutes: u32,
    /// Whether it is for one sign-in.
    pub one_time: bool,
}

/// A pass that was made.
#[derive(Debug)]
pub struct Created {
    /// The pass, as Graph made it.
    pub method: TapMethod,
    /// Its code. Graph tells it this once.
    pub code: PassCode,
    /// The answer's `Date`: Graph's own time, in whole seconds.
    pub date: Timestamp,
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

    #[test]
    fn revocation_goes_first() {
        assert!(Priority::Revoke < Priority::Issue && Priority::Issue < Priority::Read);
    }

    #[test]
    fn a_pass_ends_lifetime_after_its_start() {
        let pass = TapMethod {
            id: "1".into(),
            created: None,
            start: Some("2026-11-23T08:00:00Z".parse().unwrap()),
            lifetime_minutes: Some(90),
            one_time: None,
            usable: None,
            reason: None,
        };
        assert_eq!(pass.expiration(), Some("2026-11-23T09:30:00Z".parse().unwrap()));
        assert_eq!(TapMethod { start: None, ..pass.clone() }.expiration(), None);
        assert_eq!(TapMethod { lifetime_minutes: None, ..pass }.expiration(), None);
    }
}
