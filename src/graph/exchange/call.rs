//! The properties of each call that HTTP, pacing and metrics need.

use http::Method;

use crate::entra::Call;

impl Call {
    /// Its name in metric labels.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Method => "get_method",
            Self::PatchMethod => "patch_method",
            Self::User => "get_user",
            Self::MemberGroups => "check_member_groups",
            Self::DirectoryRoles => "list_directory_roles",
            Self::RoleGroups => "list_role_groups",
            Self::EligibleRoles => "list_eligible_roles",
            Self::GroupName => "get_group",
            Self::Passes => "list_passes",
            Self::Pass => "get_pass",
            Self::CreatePass => "create_pass",
            Self::DeletePass => "delete_pass",
            Self::Token => "get_token",
        }
    }

    /// Its HTTP method. A call that changes something is listed in [`Effect`](crate::effect::Effect); the POST of
    /// `MemberGroups` only asks a question.
    pub(super) fn method(self) -> Method {
        match self {
            Self::PatchMethod => Method::PATCH,
            Self::CreatePass | Self::MemberGroups => Method::POST,
            Self::DeletePass => Method::DELETE,
            Self::Method
            | Self::User
            | Self::DirectoryRoles
            | Self::RoleGroups
            | Self::EligibleRoles
            | Self::GroupName
            | Self::Passes
            | Self::Pass
            | Self::Token => Method::GET,
        }
    }

    /// Whether it counts towards the strict limit of the authentication methods.
    pub(super) fn is_authentication_method(self) -> bool {
        matches!(self, Self::Passes | Self::Pass | Self::CreatePass | Self::DeletePass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;

    #[test]
    fn a_call_that_changes_something_is_an_effect() {
        for call in Call::ALL {
            let effect = Effect::ALL.iter().any(|effect| effect.name() == call.name());
            let reads = call.method() == Method::GET || call == Call::MemberGroups;
            assert_eq!(effect, !reads, "{call:?}");
        }
    }
}
