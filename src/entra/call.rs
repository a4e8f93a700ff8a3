//! The calls to Graph, with the permission that each needs.

use crate::effect::Effect;

/// A call to Graph, or to Entra for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Method,
    PatchMethod,
    User,
    FindUsers,
    MemberGroups,
    DirectoryRoles,
    RoleGroups,
    EligibleRoles,
    RoleAssignments,
    RoleEligibilities,
    GroupEligibilities,
    Groups,
    SignInMethods,
    Passes,
    Pass,
    CreatePass,
    DeletePass,
    SignIns,
    DirectoryAudits,
    AccessPolicies,
    AuthenticationStrengths,
    WhatIf,
    Token,
}

impl Call {
    pub(crate) const ALL: [Self; 23] = [
        Self::Method,
        Self::PatchMethod,
        Self::User,
        Self::FindUsers,
        Self::MemberGroups,
        Self::DirectoryRoles,
        Self::RoleGroups,
        Self::EligibleRoles,
        Self::RoleAssignments,
        Self::RoleEligibilities,
        Self::GroupEligibilities,
        Self::Groups,
        Self::SignInMethods,
        Self::Passes,
        Self::Pass,
        Self::CreatePass,
        Self::DeletePass,
        Self::SignIns,
        Self::DirectoryAudits,
        Self::AccessPolicies,
        Self::AuthenticationStrengths,
        Self::WhatIf,
        Self::Token,
    ];

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Method => "read the tenant's TAP method",
            Self::PatchMethod => Effect::PatchMethod.name(),
            Self::User => "read the user",
            Self::FindUsers => "find users by name",
            Self::MemberGroups => "check group membership",
            Self::DirectoryRoles => "list directory roles",
            Self::RoleGroups => "list groups that may hold roles",
            Self::EligibleRoles => "list roles that could be activated",
            Self::RoleAssignments => "list role assignments",
            Self::RoleEligibilities => "list role eligibilities",
            Self::GroupEligibilities => "list who could join a group",
            Self::Groups => "read groups",
            Self::SignInMethods => "list sign-in methods",
            Self::Passes => "list passes",
            Self::Pass => "read the pass",
            Self::CreatePass => Effect::CreatePass.name(),
            Self::DeletePass => Effect::DeletePass.name(),
            Self::SignIns => "read the log of sign-ins",
            Self::DirectoryAudits => "read the directory audit log",
            Self::AccessPolicies => "list Conditional Access policies",
            Self::AuthenticationStrengths => "list authentication strengths",
            Self::WhatIf => "ask which Conditional Access policies apply",
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
            Self::Method | Self::AuthenticationStrengths => "Policy.Read.AuthenticationMethod",
            Self::PatchMethod => "Policy.ReadWrite.AuthenticationMethod",
            Self::User | Self::FindUsers | Self::DirectoryRoles | Self::RoleGroups => {
                "User.Read.All"
            }
            Self::EligibleRoles | Self::RoleEligibilities => {
                "RoleEligibilitySchedule.Read.Directory"
            }
            Self::RoleAssignments => "RoleManagement.Read.Directory",
            Self::GroupEligibilities => "PrivilegedEligibilitySchedule.Read.AzureADGroup",
            Self::MemberGroups => "GroupMember.Read.All (in addition to User.Read.All)",
            Self::Groups => "GroupMember.Read.All",
            Self::SignInMethods => "UserAuthenticationMethod.Read.All",
            Self::Passes | Self::Pass => {
                "UserAuthMethod-TAP.Read.All (UserAuthMethod-TAP.ReadWrite.All includes it)"
            }
            Self::CreatePass | Self::DeletePass => "UserAuthMethod-TAP.ReadWrite.All",
            Self::SignIns | Self::DirectoryAudits => "AuditLog.Read.All",
            Self::AccessPolicies => "Policy.Read.All",
            Self::WhatIf => "Policy.Read.ConditionalAccess",
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
