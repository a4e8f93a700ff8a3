//! The calls there are, and what belongs to each.

use std::fmt::Write as _;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::effect::Effect;

/// One of Graph's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
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
    const ALL: [Self; 13] = [
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

    /// As it stands in metric labels.
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

    /// As it stands in messages.
    pub(super) fn name(self) -> &'static str {
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

    /// Its HTTP method. Who adds one that is not GET says what it changes, in [`Effect`]; groups are only asked for.
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

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }

    /// The least application permission (documented).
    pub(super) fn permission(self) -> &'static str {
        match self {
            Self::Method => "Policy.Read.AuthenticationMethod",
            Self::PatchMethod => "Policy.ReadWrite.AuthenticationMethod",
            Self::User | Self::DirectoryRoles | Self::RoleGroups => "User.Read.All",
            Self::EligibleRoles => "RoleEligibilitySchedule.Read.Directory",
            Self::MemberGroups => "GroupMember.Read.All (beside User.Read.All)",
            Self::GroupName => "GroupMember.Read.All",
            Self::Passes | Self::Pass => {
                "UserAuthMethod-TAP.Read.All (UserAuthMethod-TAP.ReadWrite.All includes it)"
            }
            Self::CreatePass | Self::DeletePass => "UserAuthMethod-TAP.ReadWrite.All",
            Self::Token => "",
        }
    }

    /// Whether it counts against the narrow limit of the authentication methods.
    pub(super) fn is_authentication_method(self) -> bool {
        matches!(self, Self::Passes | Self::Pass | Self::CreatePass | Self::DeletePass)
    }
}

/// Everything but RFC 3986's unreserved characters.
pub(super) const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `/collection/key`, with a key that may hold anything.
///
/// A sign-in name that begins with `$` must stand in parentheses and quotes, as `OData` writes keys. So must what a URL
/// would take for a step up in the path, and an empty key, which would address the collection.
pub(super) fn keyed(collection: &str, key: &str) -> String {
    let mut path = format!("/{collection}");
    let _ = if key.starts_with('$') || matches!(key, "" | "." | "..") {
        write!(path, "('{}')", utf8_percent_encode(&key.replace('\'', "''"), SEGMENT))
    } else {
        write!(path, "/{}", utf8_percent_encode(key, SEGMENT))
    };
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_their_segment() {
        for (key, path) in [
            ("6f1967b7-15e8-4935-ac26-d50770ed07a7", "/users/6f1967b7-15e8-4935-ac26-d50770ed07a7"),
            ("alice@contoso.com", "/users/alice%40contoso.com"),
            ("a_x.com#EXT#@c.com", "/users/a_x.com%23EXT%23%40c.com"),
            ("o'neil@c.com", "/users/o%27neil%40c.com"),
            ("$alice@c.com", "/users('%24alice%40c.com')"),
            ("$o'neil@c.com", "/users('%24o%27%27neil%40c.com')"),
            ("a/../b?c=d&e%2f", "/users/a%2F..%2Fb%3Fc%3Dd%26e%252f"),
            ("..", "/users('..')"),
            (".", "/users('.')"),
            ("", "/users('')"),
            ("żółw@c.com", "/users/%C5%BC%C3%B3%C5%82w%40c.com"),
        ] {
            assert_eq!(keyed("users", key), path);
        }
    }

    #[test]
    fn what_changes_something_is_an_effect() {
        for call in Call::ALL {
            let effect = Effect::ALL.iter().any(|effect| effect.name() == call.name());
            let reads = call.method() == Method::GET || call == Call::MemberGroups;
            assert_eq!(effect, !reads, "{call:?}");
        }
    }

    #[test]
    fn names_find_their_calls() {
        for call in Call::ALL {
            assert_eq!(Call::named(call.name()), Some(call));
        }
    }
}
