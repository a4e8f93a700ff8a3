//! Which operation a request is: method and path as the tenant understands them.

use http::Method;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::{
    policy::POLICY_ID,
    switches::Switches,
    wire::{Incoming, Refusal},
};

/// What a request asks for, without its parameters. Faults and the log of requests speak of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in Graph")]
pub enum Operation {
    Token,
    Discovery,
    InstanceDiscovery,
    Keys,
    PolicyGet,
    PolicyPatch,
    PolicyReset,
    ParentPolicyGet,
    UserGet,
    UserList,
    SignInMethods,
    PassList,
    PassCreate,
    PassGet,
    PassDelete,
    CheckMemberGroups,
    TransitiveMemberOf,
    GroupList,
    GroupGet,
    RoleAssignments,
    RoleEligibilities,
    RoleEligibilitySchedules,
    GroupEligibilitySchedules,
    AccessPolicies,
    AuthenticationStrengths,
    /// What If.
    Evaluate,
    Organization,
    DirectoryAudits,
    SignIns,
    Batch,
    /// Nothing that the tenant knows.
    Unknown,
}

impl Operation {
    /// What a request asks for, whether or not it may.
    pub(crate) fn of(incoming: &Incoming, switches: &Switches) -> Self {
        Route::parse(&incoming.method, &incoming.path, switches)
            .map_or(Self::Unknown, |route| route.operation())
    }

    pub(crate) fn is_conditional_access(self) -> bool {
        matches!(self, Self::AccessPolicies | Self::AuthenticationStrengths | Self::Evaluate)
    }
}

/// Which objects a `transitiveMemberOf` is narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    Any,
    Group,
    DirectoryRole,
}

/// What a request asks for, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Token { tenant: String },
    Discovery { tenant: String },
    InstanceDiscovery,
    Keys,
    PolicyGet,
    PolicyPatch,
    PolicyReset,
    ParentPolicyGet,
    UserGet { user: String },
    UserList,
    SignInMethods { user: String },
    PassList { user: String },
    PassCreate { user: String },
    PassGet { user: String, pass: String },
    PassDelete { user: String, pass: String },
    CheckMemberGroups { user: String },
    TransitiveMemberOf { user: String, cast: Cast },
    GroupList,
    GroupGet { group: String },
    RoleAssignments,
    RoleEligibilities,
    RoleEligibilitySchedules,
    GroupEligibilitySchedules,
    AccessPolicies,
    AuthenticationStrengths,
    Evaluate,
    Organization,
    DirectoryAudits,
    SignIns,
    Batch,
}

impl Route {
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Token { .. } => Operation::Token,
            Self::Discovery { .. } => Operation::Discovery,
            Self::InstanceDiscovery => Operation::InstanceDiscovery,
            Self::Keys => Operation::Keys,
            Self::PolicyGet => Operation::PolicyGet,
            Self::PolicyPatch => Operation::PolicyPatch,
            Self::PolicyReset => Operation::PolicyReset,
            Self::ParentPolicyGet => Operation::ParentPolicyGet,
            Self::UserGet { .. } => Operation::UserGet,
            Self::UserList => Operation::UserList,
            Self::SignInMethods { .. } => Operation::SignInMethods,
            Self::PassList { .. } => Operation::PassList,
            Self::PassCreate { .. } => Operation::PassCreate,
            Self::PassGet { .. } => Operation::PassGet,
            Self::PassDelete { .. } => Operation::PassDelete,
            Self::CheckMemberGroups { .. } => Operation::CheckMemberGroups,
            Self::TransitiveMemberOf { .. } => Operation::TransitiveMemberOf,
            Self::GroupList => Operation::GroupList,
            Self::GroupGet { .. } => Operation::GroupGet,
            Self::RoleAssignments => Operation::RoleAssignments,
            Self::RoleEligibilities => Operation::RoleEligibilities,
            Self::RoleEligibilitySchedules => Operation::RoleEligibilitySchedules,
            Self::GroupEligibilitySchedules => Operation::GroupEligibilitySchedules,
            Self::AccessPolicies => Operation::AccessPolicies,
            Self::AuthenticationStrengths => Operation::AuthenticationStrengths,
            Self::Evaluate => Operation::Evaluate,
            Self::Organization => Operation::Organization,
            Self::DirectoryAudits => Operation::DirectoryAudits,
            Self::SignIns => Operation::SignIns,
            Self::Batch => Operation::Batch,
        }
    }

    /// Reads method and path (still percent-encoded, without the query).
    pub(crate) fn parse(method: &Method, path: &str, switches: &Switches) -> Result<Self, Refusal> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some((version, rest)) = segments.split_first() else { return Err(no_version("")) };
        if version.eq_ignore_ascii_case("v1.0") {
            return Self::graph(method, rest, switches);
        }
        match (method, segments.as_slice()) {
            (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => {
                Ok(Self::Token { tenant: (*tenant).into() })
            }
            (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                Ok(Self::Discovery { tenant: (*tenant).into() })
            }
            (&Method::GET, ["common", "discovery", "instance"]) => Ok(Self::InstanceDiscovery),
            (&Method::GET, [_, "discovery", "v2.0", "keys"]) => Ok(Self::Keys),
            (
                _,
                [_, "oauth2", "v2.0", "token"] | [_, "v2.0", ".well-known", "openid-configuration"],
            ) => Err(method_not_allowed()),
            _ => Err(no_version(version)),
        }
    }

    fn graph(method: &Method, segments: &[&str], switches: &Switches) -> Result<Self, Refusal> {
        let lower: Vec<String> =
            segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let own = |index: usize| segments[index].to_owned();
        let by_method =
            |get: Option<Self>, post: Option<Self>, patch: Option<Self>, delete: Option<Self>| {
                let found = match *method {
                    Method::GET => get,
                    Method::POST => post,
                    Method::PATCH => patch,
                    Method::DELETE => delete,
                    _ => None,
                };
                found.ok_or_else(method_not_allowed)
            };
        let get = |route| by_method(Some(route), None, None, None);
        match lower.as_slice() {
            ["policies", "authenticationmethodspolicy"] => get(Self::ParentPolicyGet),
            [
                "policies",
                "authenticationmethodspolicy",
                "authenticationmethodconfigurations",
                "temporaryaccesspass",
            ] if switches.policy_key_any_case || segments[3] == POLICY_ID => by_method(
                Some(Self::PolicyGet),
                None,
                Some(Self::PolicyPatch),
                Some(Self::PolicyReset),
            ),
            ["users"] => get(Self::UserList),
            ["users", _] => get(Self::UserGet { user: own(1) }),
            ["users", _, "authentication", "methods"] => get(Self::SignInMethods { user: own(1) }),
            ["users", _, "authentication", "temporaryaccesspassmethods"] => by_method(
                Some(Self::PassList { user: own(1) }),
                Some(Self::PassCreate { user: own(1) }),
                None,
                None,
            ),
            ["users", _, "authentication", "temporaryaccesspassmethods", _] => by_method(
                Some(Self::PassGet { user: own(1), pass: own(4) }),
                None,
                None,
                Some(Self::PassDelete { user: own(1), pass: own(4) }),
            ),
            ["users", _, "checkmembergroups" | "microsoft.graph.checkmembergroups"] => {
                by_method(None, Some(Self::CheckMemberGroups { user: own(1) }), None, None)
            }
            ["users", _, "transitivememberof"] => {
                get(Self::TransitiveMemberOf { user: own(1), cast: Cast::Any })
            }
            ["users", _, "transitivememberof", "microsoft.graph.group" | "graph.group"] => {
                get(Self::TransitiveMemberOf { user: own(1), cast: Cast::Group })
            }
            [
                "users",
                _,
                "transitivememberof",
                "microsoft.graph.directoryrole" | "graph.directoryrole",
            ] => get(Self::TransitiveMemberOf { user: own(1), cast: Cast::DirectoryRole }),
            ["groups"] => get(Self::GroupList),
            ["groups", _] => get(Self::GroupGet { group: own(1) }),
            ["rolemanagement", "directory", "roleassignments"] => get(Self::RoleAssignments),
            ["rolemanagement", "directory", "roleeligibilityscheduleinstances"] => {
                get(Self::RoleEligibilities)
            }
            ["rolemanagement", "directory", "roleeligibilityschedules"] => {
                get(Self::RoleEligibilitySchedules)
            }
            ["identitygovernance", "privilegedaccess", "group", "eligibilityschedules"] => {
                get(Self::GroupEligibilitySchedules)
            }
            ["identity", "conditionalaccess", "policies"] => get(Self::AccessPolicies),
            ["identity", "conditionalaccess", "evaluate"] if switches.what_if => {
                by_method(None, Some(Self::Evaluate), None, None)
            }
            ["policies", "authenticationstrengthpolicies"] => get(Self::AuthenticationStrengths),
            ["organization"] => get(Self::Organization),
            ["auditlogs", "directoryaudits"] => get(Self::DirectoryAudits),
            ["auditlogs", "signins"] => get(Self::SignIns),
            ["$batch"] => by_method(None, Some(Self::Batch), None, None),
            _ => Err(Refusal::new(
                400,
                "BadRequest",
                format!("Resource not found for the segment '{}'.", segments.last().unwrap_or(&"")),
            )),
        }
    }
}

/// The decoded segments of a path; `users('x')` counts as `users/x`.
fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for raw in path.trim_matches('/').split('/') {
        let decoded =
            percent_decode_str(raw).decode_utf8().map_err(|_| no_version("?"))?.into_owned();
        match decoded.strip_suffix("')").and_then(|decoded| decoded.split_once("('")) {
            Some((name, key)) => found.extend([name.to_owned(), key.replace("''", "'")]),
            None => found.push(decoded),
        }
    }
    Ok(found)
}

fn no_version(version: &str) -> Refusal {
    Refusal::new(400, "BadRequest", format!("Invalid version: {version}"))
}

fn method_not_allowed() -> Refusal {
    Refusal::new(
        405,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &Method, path: &str) -> Result<Route, u16> {
        Route::parse(method, path, &Switches::default()).map_err(|refusal| refusal.status())
    }

    #[test]
    fn paths_are_decoded_and_keys_read_in_both_forms() {
        let user = || "erin#EXT#@contoso.com".to_owned();
        assert_eq!(
            parse(&Method::GET, "/v1.0/users/erin%23EXT%23%40contoso.com"),
            Ok(Route::UserGet { user: user() })
        );
        assert_eq!(
            parse(
                &Method::POST,
                "/v1.0/Users('erin%23EXT%23@contoso.com')/authentication/temporaryAccessPassMethods"
            ),
            Ok(Route::PassCreate { user: user() })
        );
    }

    #[test]
    fn the_policy_key_is_read_in_any_case_unless_switched_off() {
        let path = "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";
        assert_eq!(parse(&Method::PATCH, path), Ok(Route::PolicyPatch));
        let strict = Switches { policy_key_any_case: false, ..Switches::default() };
        assert!(Route::parse(&Method::GET, path, &strict).is_err());
    }

    #[test]
    fn what_the_tenant_does_not_know_is_refused() {
        assert_eq!(parse(&Method::GET, "/beta/users/x"), Err(400));
        assert_eq!(parse(&Method::PATCH, "/v1.0/users/x"), Err(405));
        assert_eq!(
            parse(&Method::GET, "/v1.0/me/authentication/temporaryAccessPassMethods"),
            Err(400)
        );
    }
}
