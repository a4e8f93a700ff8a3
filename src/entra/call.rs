//! The calls to Graph, with the permission that each needs.

use crate::effect::Effect;

/// A call to Graph, or to Entra for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Method,
    PatchMethod,
    User,
    MemberGroups,
    DirectoryRoles,
    RoleGroups,
    EligibleRoles,
    GroupName,
    Passes,
    Pass,
    CreatePass,
    DeletePass,
    Token,
}

impl Call {
    pub(crate) const ALL: [Self; 13] = [
        Self::Method,
        Self::PatchMethod,
        Self::User,
        Self::MemberGroups,
        Self::DirectoryRoles,
        Self::RoleGroups,
        Self::EligibleRoles,
        Self::GroupName,
        Self::Passes,
        Self::Pass,
        Self::CreatePass,
        Self::DeletePass,
        Self::Token,
    ];

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Method => "read the tenant's TAP method",
            Self::PatchMethod => Effect::PatchMethod.name(),
            Self::User => "read the user",
            Self::MemberGroups => "check group membership",
            Self::DirectoryRoles => "list directory roles",
            Self::RoleGroups => "list groups that may hold roles",
            Self::EligibleRoles => "list roles that could be activated",
            Self::GroupName => "read the group",
            Self::Passes => "list passes",
            Self::Pass => "read the pass",
            Self::CreatePass => Effect::CreatePass.name(),
            Self::DeletePass => Effect::DeletePass.name(),
            Self::Token => "get a token",
        }
    }

    /// Finds a call by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }

    /// The least privileged application permission that allows it (documented).
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Self::Method => "Policy.Read.AuthenticationMethod",
            Self::PatchMethod => "Policy.ReadWrite.AuthenticationMethod",
            Self::User | Self::DirectoryRoles | Self::RoleGroups => "User.Read.All",
            Self::EligibleRoles => "RoleEligibilitySchedule.Read.Directory",
            Self::MemberGroups => "GroupMember.Read.All (in addition to User.Read.All)",
            Self::GroupName => "GroupMember.Read.All",
            Self::Passes | Self::Pass => {
                "UserAuthMethod-TAP.Read.All (UserAuthMethod-TAP.ReadWrite.All includes it)"
            }
            Self::CreatePass | Self::DeletePass => "UserAuthMethod-TAP.ReadWrite.All",
            Self::Token => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_calls() {
        for call in Call::ALL {
            assert_eq!(Call::named(call.name()), Some(call));
        }
    }
}
