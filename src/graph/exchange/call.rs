//! The properties of each call that HTTP, pacing and metrics need.

use http::Method;

use super::OK;
use crate::entra::Call;

/// The outcomes that one kind of call can have, in metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOutcomes {
    /// The name of the call.
    pub call: &'static str,
    /// Its outcomes.
    pub outcomes: &'static [&'static str],
}

/// All kinds of calls, with the outcomes that each can have.
pub fn call_outcomes() -> impl Iterator<Item = CallOutcomes> {
    Call::ALL.into_iter().map(|call| CallOutcomes {
        call: call.label(),
        outcomes: if call == Call::Token { &OF_SIGN_IN } else { &OF_GRAPH },
    })
}

const OF_SIGN_IN: [&str; 4] = [OK, "throttled", "unavailable", "sign_in"];
const OF_GRAPH: [&str; 8] = [
    OK,
    "not_found",
    "throttled",
    "unavailable",
    "unauthorized",
    "forbidden",
    "bad_request",
    "unexpected",
];

/// The call to Entra for a token, in metric labels.
pub const GET_TOKEN: &str = "get_token";

/// The causes in metric labels for which a call is not sent.
pub const NOT_SENT: [&str; 3] = [NO_TOKEN, NO_TURN, NO_CONNECTION];
/// Entra gave no token.
pub(super) const NO_TOKEN: &str = "sign_in";
/// The pacing did not admit it in time.
pub(super) const NO_TURN: &str = "pacing";
/// There was no connection to the host.
pub(super) const NO_CONNECTION: &str = "connect";

/// The services of Graph that count calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// A strict limit: 5 calls in 10 s for an app in a tenant (documented).
    AuthenticationMethods,
    /// The same limit. Whether it is one with that of the authentication methods is not documented.
    Logs,
    /// A limit of the whole tenant: 1 call in a second, for all apps (documented).
    ConditionalAccess,
    /// Everything else.
    Others,
}

impl Call {
    /// Its name in metric labels.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Method => "get_method",
            Self::PatchMethod => "patch_method",
            Self::User => "get_user",
            Self::FindUsers => "list_users",
            Self::MemberGroups => "check_member_groups",
            Self::DirectoryRoles => "list_directory_roles",
            Self::RoleGroups => "list_role_groups",
            Self::EligibleRoles => "list_eligible_roles",
            Self::RoleAssignments => "list_role_assignments",
            Self::RoleEligibilities => "list_role_eligibilities",
            Self::GroupEligibilities => "list_group_eligibilities",
            Self::Groups => "list_groups",
            Self::SignInMethods => "list_sign_in_methods",
            Self::Passes => "list_passes",
            Self::Pass => "get_pass",
            Self::CreatePass => "create_pass",
            Self::DeletePass => "delete_pass",
            Self::SignIns => "list_sign_ins",
            Self::DirectoryAudits => "list_directory_audits",
            Self::AccessPolicies => "list_conditional_access_policies",
            Self::AuthenticationStrengths => "list_authentication_strengths",
            Self::WhatIf => "evaluate_conditional_access",
            Self::Token => GET_TOKEN,
        }
    }

    /// Its HTTP method. A call that changes something is listed in [`Effect`](crate::effect::Effect); the POSTs of
    /// `MemberGroups` and `WhatIf` only ask a question.
    pub(super) fn method(self) -> Method {
        match self {
            Self::PatchMethod => Method::PATCH,
            Self::CreatePass | Self::MemberGroups | Self::WhatIf => Method::POST,
            Self::DeletePass => Method::DELETE,
            Self::Method
            | Self::User
            | Self::FindUsers
            | Self::DirectoryRoles
            | Self::RoleGroups
            | Self::EligibleRoles
            | Self::RoleAssignments
            | Self::RoleEligibilities
            | Self::GroupEligibilities
            | Self::Groups
            | Self::SignInMethods
            | Self::Passes
            | Self::Pass
            | Self::SignIns
            | Self::DirectoryAudits
            | Self::AccessPolicies
            | Self::AuthenticationStrengths
            | Self::Token => Method::GET,
        }
    }

    /// The service whose limit it counts towards.
    pub(super) fn service(self) -> Service {
        match self {
            Self::SignInMethods
            | Self::Passes
            | Self::Pass
            | Self::CreatePass
            | Self::DeletePass => Service::AuthenticationMethods,
            Self::SignIns | Self::DirectoryAudits => Service::Logs,
            Self::AccessPolicies | Self::AuthenticationStrengths | Self::WhatIf => {
                Service::ConditionalAccess
            }
            Self::Method
            | Self::PatchMethod
            | Self::User
            | Self::FindUsers
            | Self::MemberGroups
            | Self::DirectoryRoles
            | Self::RoleGroups
            | Self::EligibleRoles
            | Self::RoleAssignments
            | Self::RoleEligibilities
            | Self::GroupEligibilities
            | Self::Groups
            | Self::Token => Service::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::entra::{ErrorKind, SignInErrorKind};

    #[test]
    fn a_call_that_changes_something_is_an_effect() {
        for call in Call::ALL {
            let effect = Effect::ALL.iter().any(|effect| effect.name() == call.name());
            let asks = matches!(call, Call::MemberGroups | Call::WhatIf);
            let reads = call.method() == Method::GET || asks;
            assert_eq!(effect, !reads, "{call:?}");
        }
    }

    #[test]
    fn every_outcome_is_listed() {
        use ErrorKind as Kind;
        for (kind, outcomes) in [
            (Kind::NotFound, &OF_GRAPH[..]),
            (Kind::Throttled, &OF_GRAPH),
            (Kind::Unavailable, &OF_GRAPH),
            (Kind::Unauthorized, &OF_GRAPH),
            (Kind::Forbidden, &OF_GRAPH),
            (Kind::BadRequest, &OF_GRAPH),
            (Kind::Unexpected, &OF_GRAPH),
            (Kind::SignIn(SignInErrorKind::WrongSecret), &OF_SIGN_IN),
            (Kind::Throttled, &OF_SIGN_IN),
            (Kind::Unavailable, &OF_SIGN_IN),
        ] {
            assert!(outcomes.contains(&kind.label()), "{kind:?}");
        }
    }
}
