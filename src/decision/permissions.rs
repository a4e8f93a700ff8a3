//! Whether the app of a tenant connection has the permissions that its policies need, and no others: compares the
//! application permissions in its token with the needs.
//!
//! The needs depend on the policies that use the connection. So one app can issue passes and another correct the tenant's
//! method, and neither is reported to lack what only the other needs. A broader permission covers a narrower need
//! (documented). Excessive permissions are reported and stop nothing: the tenant's owner decides about them.

use std::collections::{BTreeMap, BTreeSet};

use super::situation::Connection;
use crate::api::{DirectoryRoleHolders, Enforcement, Method, ObservedMethod, TapPolicySpec};
use crate::entra::Cloud;

/// How many permissions a list in a sentence names.
const MOST_NAMED: usize = 10;

/// Something that the operator must be able to do in the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Read the tenant's method.
    ReadMethod,
    /// Correct the tenant's method.
    WriteMethod,
    /// Create, read and delete passes.
    Passes,
    /// Read users and their directory roles.
    Users,
    /// Check whether a user is a member of a group.
    Members,
    /// Read the display names of groups.
    GroupNames,
    /// Read the directory roles that users could activate. Optional: no policy requires it.
    EligibleRoles,
}

impl Need {
    /// The least privileged permission that covers it (documented).
    pub fn least(self) -> &'static str {
        match self {
            Self::ReadMethod => "Policy.Read.AuthenticationMethod",
            Self::WriteMethod => "Policy.ReadWrite.AuthenticationMethod",
            Self::Passes => "UserAuthMethod-TAP.ReadWrite.All",
            Self::Users => "User.Read.All",
            Self::Members | Self::GroupNames => "GroupMember.Read.All",
            Self::EligibleRoles => "RoleEligibilitySchedule.Read.Directory",
        }
    }

    /// The broader permissions that cover it, too (documented).
    fn others(self) -> &'static [&'static str] {
        match self {
            Self::ReadMethod => &["Policy.ReadWrite.AuthenticationMethod", "Policy.Read.All"],
            Self::WriteMethod => &[],
            Self::Passes => &["UserAuthenticationMethod.ReadWrite.All"],
            Self::Users => &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
            Self::Members => MEMBERS_OTHERWISE,
            Self::GroupNames => GROUP_NAMES_OTHERWISE,
            Self::EligibleRoles => &[
                "RoleEligibilitySchedule.ReadWrite.Directory",
                "RoleManagement.Read.Directory",
                "RoleManagement.Read.All",
                "RoleManagement.ReadWrite.Directory",
            ],
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::ReadMethod => "to read the tenant's TAP method",
            Self::WriteMethod => "to read and correct the tenant's TAP method",
            Self::Passes => "to create, read and delete passes",
            Self::Users => "to read users and their directory roles",
            Self::Members => "to check the membership of groups",
            Self::GroupNames => "to read the names of groups",
            Self::EligibleRoles => "to see the directory roles that users could activate",
        }
    }

    /// Whether an app with these permissions can do it.
    pub fn is_covered_by(self, held: &[String]) -> bool {
        std::iter::once(&self.least()).chain(self.others()).any(|name| holds(held, name))
    }
}

const MEMBERS_OTHERWISE: &[&str] = &[
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const GROUP_NAMES_OTHERWISE: &[&str] = &[
    "Group.ReadBasic.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];

/// Permissions that are never excessive: the least privileged ones of all needs, and those that allow to read no more.
///
/// The permission for passes is one of them even if no policy issues passes, because without it the operator could not
/// revoke passes that are still live.
const FITTING: &[&str] = &[
    "UserAuthMethod-TAP.ReadWrite.All",
    "UserAuthMethod-TAP.Read.All",
    "Policy.Read.AuthenticationMethod",
    "User.Read.All",
    "GroupMember.Read.All",
    "Group.ReadBasic.All",
    "RoleEligibilitySchedule.Read.Directory",
    "RoleManagement.Read.Directory",
];

/// Ids of the app roles (documented), the same in every tenant.
const APP_ROLES: &[(&str, &str)] = &[
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    ("Group.Read.All", "5b567255-7703-4780-807c-7be8301ae99b"),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68"),
    ("Policy.Read.AuthenticationMethod", "8e3bc81b-d2f3-4b7b-838c-32c88218d2f0"),
    ("Policy.ReadWrite.AuthenticationMethod", "29c18626-4985-4dcd-85c0-193eef327366"),
    ("RoleEligibilitySchedule.Read.Directory", "ff278e11-4a33-4d0c-83d2-d01dc58929a5"),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    ("UserAuthMethod-TAP.ReadWrite.All", "627169a8-8c15-451c-861a-5b80e383de5c"),
    ("UserAuthenticationMethod.Read.All", "38d9df27-64da-44fd-b7c5-a6fbac20248f"),
    ("UserAuthenticationMethod.ReadWrite.All", "50483e42-d915-4231-9639-7fdb7fd190e5"),
];

/// What a policy needs. `observed` is the tenant's method as it was last read; its groups count, too, because they decide
/// who can use a pass.
pub fn needs(spec: &TapPolicySpec, observed: Option<&ObservedMethod>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::from([Need::ReadMethod]);
    if enforces(spec) {
        needs.insert(Need::WriteMethod);
    }
    if spec.method.as_ref().is_some_and(names_groups) {
        needs.insert(Need::GroupNames);
    }
    if let Some(issuance) = &spec.issuance {
        needs.extend([Need::Passes, Need::Users]);
        let users = issuance.users.as_ref();
        let of_policy = users.is_some_and(|u| {
            [&u.groups, &u.exclude_groups].into_iter().flatten().any(|groups| !groups.is_empty())
        });
        if of_policy || observed.is_some_and(has_groups) {
            needs.insert(Need::Members);
        }
    }
    needs
}

/// Whether a policy corrects the tenant's method.
pub fn enforces(spec: &TapPolicySpec) -> bool {
    spec.method.is_some() && spec.enforcement == Some(Enforcement::Enforce)
}

/// Whether a policy refuses users who could activate a directory role.
pub fn wants_eligible_roles(spec: &TapPolicySpec) -> bool {
    let issuance = spec.issuance.as_ref();
    issuance.is_some_and(|i| i.directory_role_holders != Some(DirectoryRoleHolders::Allow))
}

fn has_groups(method: &ObservedMethod) -> bool {
    method.include.iter().chain(&method.exclude).any(|target| target.group.is_some())
}

fn names_groups(method: &Method) -> bool {
    method.include.iter().flatten().any(|t| t.group.is_some() && t.display_name.is_some())
        || method.exclude.iter().flatten().any(|g| g.display_name.is_some())
}

/// How the permissions of an app differ from what is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Permissions that are missing, and what for.
    pub missing: BTreeMap<&'static str, Vec<&'static str>>,
    /// Permissions that are excessive, and why.
    pub excessive: BTreeMap<String, &'static str>,
}

/// Compares the permissions that an app holds with the needs of the policies that use it. `enforced`: one of them corrects
/// the tenant's method.
pub fn compare(
    needs: &BTreeSet<Need>,
    held: &[String],
    cloud: Cloud,
    enforced: bool,
) -> Comparison {
    let mut missing: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for need in needs.iter().filter(|need| !need.is_covered_by(held)) {
        // The permission to write includes reading, so only one of the two is missing.
        if *need != Need::ReadMethod || !needs.contains(&Need::WriteMethod) {
            missing.entry(need.least()).or_default().push(need.purpose());
        }
    }
    let excessive = held
        .iter()
        .filter_map(|name| Some((name.clone(), too_much(name, held, cloud, enforced)?)))
        .collect();
    Comparison { missing, excessive }
}

/// Why a permission is excessive, or `None` if it is not.
fn too_much(name: &str, held: &[String], cloud: Cloud, enforced: bool) -> Option<&'static str> {
    // In the other clouds it is not documented whether the narrow permissions exist.
    let may_stand_in_for = |narrow: &[&str]| {
        cloud != Cloud::Global && !narrow.iter().any(|narrow| holds(held, narrow))
    };
    let reads_method = [Need::ReadMethod.least(), Need::WriteMethod.least()];
    Some(match name {
        _ if FITTING.contains(&name) => return None,
        "Policy.ReadWrite.AuthenticationMethod" if enforced => return None,
        "UserAuthenticationMethod.ReadWrite.All" if may_stand_in_for(&[Need::Passes.least()]) => {
            return None;
        }
        "Policy.Read.All" if may_stand_in_for(&reads_method) => return None,
        "Policy.ReadWrite.AuthenticationMethod" => {
            "no TapPolicy that uses this app says enforcement: Enforce; Policy.Read.AuthenticationMethod is enough"
        }
        "UserAuthenticationMethod.ReadWrite.All" | "UserAuthenticationMethod.Read.All" => {
            "UserAuthMethod-TAP.ReadWrite.All is enough"
        }
        "Policy.Read.All" => "Policy.Read.AuthenticationMethod is enough",
        "User.ReadWrite.All" => "User.Read.All is enough",
        "Directory.Read.All" | "Directory.ReadWrite.All" => {
            "User.Read.All and GroupMember.Read.All are enough"
        }
        "Group.Read.All" | "Group.ReadWrite.All" | "GroupMember.ReadWrite.All" => {
            "GroupMember.Read.All is enough"
        }
        "RoleManagement.Read.All"
        | "RoleManagement.ReadWrite.Directory"
        | "RoleEligibilitySchedule.ReadWrite.Directory" => {
            "RoleEligibilitySchedule.Read.Directory is enough"
        }
        _ => "the operator does not need it",
    })
}

impl Comparison {
    /// Whether nothing is missing and nothing is excessive.
    pub fn fit(&self) -> bool {
        self.missing.is_empty() && self.excessive.is_empty()
    }

    /// A sentence that says what to do about the app of a connection, or `None` if there is nothing to do.
    pub fn sentence(&self, connection: &Connection) -> Option<String> {
        let app = &connection.client_id;
        let missing = self
            .missing
            .iter()
            .map(|(name, purposes)| format!("{} {}", with_id(name), purposes.join(" and ")))
            .collect();
        let excessive =
            self.excessive.iter().map(|(name, why)| format!("{} ({why})", with_id(name))).collect();
        let grant = if self.missing.len() == 1 {
            "grant it as an application permission"
        } else {
            "grant them as application permissions"
        };
        let missing = listed(missing).map(|list| {
            format!("the app {app} lacks {list}: {grant} of Microsoft Graph, with admin consent, then wait some minutes")
        });
        let excessive = listed(excessive).map(|list| {
            format!(
                "the app {app} holds more than it needs: grant what is enough, then remove {list}"
            )
        });
        let both: Vec<String> = missing.into_iter().chain(excessive).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }
}

/// A permission with the id of its app role, which is needed to grant it.
pub fn with_id(name: &str) -> String {
    match APP_ROLES.iter().find(|(known, _)| *known == name) {
        Some((_, id)) => format!("{name} [{id}]"),
        None => name.to_owned(),
    }
}

fn listed(mut names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    let list = names.join(", ");
    match (list.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(list),
        (false, more) => Some(format!("{list}, and {more} more")),
    }
}

fn holds(held: &[String], name: &str) -> bool {
    held.iter().any(|held| held == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::yaml;

    const ISSUES: &str =
        "{tenant: default, issuance: {users: {domains: [contoso.com]}, approval: {required: 0}}}";
    const ENFORCES: &str = "{tenant: default, enforcement: Enforce, method: {codeLength: 14}}";

    fn spec(text: &str) -> TapPolicySpec {
        yaml::read(text).unwrap()
    }

    fn held(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn missing(text: &str, names: &[&str]) -> Vec<&'static str> {
        let needs = needs(&spec(text), None);
        let found = compare(&needs, &held(names), Cloud::Global, true);
        found.missing.into_keys().collect()
    }

    fn excessive(names: &[&str], cloud: Cloud, enforced: bool) -> Vec<String> {
        compare(&BTreeSet::new(), &held(names), cloud, enforced).excessive.into_keys().collect()
    }

    #[test]
    fn each_policy_needs_what_it_does() {
        assert_eq!(
            missing(ISSUES, &[]),
            [
                "Policy.Read.AuthenticationMethod",
                "User.Read.All",
                "UserAuthMethod-TAP.ReadWrite.All"
            ]
        );
        assert_eq!(missing(ENFORCES, &[]), ["Policy.ReadWrite.AuthenticationMethod"]);
        assert_eq!(
            missing("{tenant: default, method: {codeLength: 14}}", &[]),
            ["Policy.Read.AuthenticationMethod"]
        );
        assert_eq!(missing("{tenant: default}", &[]), ["Policy.Read.AuthenticationMethod"]);
        // A policy that only corrects needs no passes, and one that only issues need not write.
        assert!(missing(ENFORCES, &["Policy.ReadWrite.AuthenticationMethod"]).is_empty());
        let issuing = [
            "Policy.Read.AuthenticationMethod",
            "User.Read.All",
            "UserAuthMethod-TAP.ReadWrite.All",
        ];
        assert!(missing(ISSUES, &issuing).is_empty());
        assert_eq!(
            missing(ENFORCES, &["Policy.Read.AuthenticationMethod"]),
            ["Policy.ReadWrite.AuthenticationMethod"]
        );
    }

    #[test]
    fn groups_are_asked_about_only_where_they_are_named() {
        let with = |groups: &str| {
            needs(&spec(&format!("{{tenant: default, issuance: {{users: {groups}}}}}")), None)
                .contains(&Need::Members)
        };
        assert!(with("{groups: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
        assert!(with("{excludeGroups: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
        assert!(!with("{domains: [contoso.com], groups: []}"));

        // The groups of the tenant's method count, too.
        let method = |text: &str| yaml::read::<ObservedMethod>(text).unwrap();
        let live = |text: &str| needs(&spec(ISSUES), Some(&method(text))).contains(&Need::Members);
        assert!(!live("{include: [{allUsers: true}], exclude: []}"));
        assert!(live("{include: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
        assert!(live(
            "{include: [{allUsers: true}], exclude: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"
        ));
        let observing = spec("{tenant: default, method: {codeLength: 14}}");
        let live = method("{include: [{group: 6c1f0000-0000-4000-8000-000000000101}]}");
        assert!(!needs(&observing, Some(&live)).contains(&Need::Members));
    }

    #[test]
    fn the_names_of_groups_are_read_where_the_policy_gives_them() {
        let with = |group: &str| {
            needs(&spec(&format!("{{tenant: default, method: {{exclude: [{group}]}}}}")), None)
                .contains(&Need::GroupNames)
        };
        assert!(with("{group: 6c1f0000-0000-4000-8000-000000000101, displayName: Pilot}"));
        assert!(!with("{group: 6c1f0000-0000-4000-8000-000000000101}"));
    }

    #[test]
    fn a_broader_permission_covers_a_narrower_need() {
        for (need, names) in [
            (
                Need::ReadMethod,
                &[
                    "Policy.Read.AuthenticationMethod",
                    "Policy.ReadWrite.AuthenticationMethod",
                    "Policy.Read.All",
                ][..],
            ),
            (
                Need::Passes,
                &["UserAuthMethod-TAP.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"],
            ),
            (Need::Users, &["User.Read.All", "Directory.Read.All"]),
            (Need::Members, &["GroupMember.Read.All", "Group.Read.All"]),
            (Need::GroupNames, &["GroupMember.Read.All", "Group.ReadBasic.All"]),
            (
                Need::EligibleRoles,
                &["RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory"],
            ),
        ] {
            for name in names {
                assert!(need.is_covered_by(&held(&[name])), "{need:?} by {name}");
            }
        }
        for (need, name) in [
            (Need::Passes, "UserAuthMethod-TAP.Read.All"),
            (Need::WriteMethod, "Policy.Read.All"),
            (Need::Members, "Group.ReadBasic.All"),
            (Need::Users, "User.ReadBasic.All"),
        ] {
            assert!(!need.is_covered_by(&held(&[name])), "{need:?} by {name}");
        }
    }

    #[test]
    fn what_nothing_needs_is_too_much() {
        let global = |names: &[&str]| excessive(names, Cloud::Global, true);
        for name in [
            "UserAuthenticationMethod.ReadWrite.All",
            "RoleManagement.ReadWrite.Directory",
            "Directory.ReadWrite.All",
            "Directory.Read.All",
            "User.ReadWrite.All",
            "Policy.Read.All",
            "Group.Read.All",
            "AppRoleAssignment.ReadWrite.All",
            "Mail.ReadWrite",
        ] {
            assert_eq!(global(&[name]), [name]);
        }
        assert!(global(FITTING).is_empty());
        assert!(global(&["Policy.ReadWrite.AuthenticationMethod"]).is_empty());
        assert_eq!(
            excessive(&["Policy.ReadWrite.AuthenticationMethod"], Cloud::Global, false),
            ["Policy.ReadWrite.AuthenticationMethod"]
        );
    }

    #[test]
    fn where_the_narrow_permissions_may_not_exist_the_broad_ones_stand_in() {
        let broad = ["UserAuthenticationMethod.ReadWrite.All", "Policy.Read.All"];
        assert!(excessive(&broad, Cloud::UsGov, false).is_empty());
        let narrow = ["UserAuthMethod-TAP.ReadWrite.All", "Policy.Read.AuthenticationMethod"];
        assert_eq!(excessive(&[&broad[..], &narrow].concat(), Cloud::UsGovDod, false).len(), 2);
    }

    #[test]
    fn the_sentence_names_the_app_the_permission_its_id_and_what_for() {
        let connection = Connection {
            name: "default".into(),
            tenant_id: "tenant".into(),
            client_id: "the-app".into(),
            cloud: Cloud::Global,
            users: None,
        };
        let needs = needs(&spec(ISSUES), None);
        let roles = held(&["User.Read.All", "Directory.ReadWrite.All", "Policy.Read.All"]);
        let found = compare(&needs, &roles, Cloud::Global, false);
        assert_eq!(
            found.sentence(&connection).unwrap(),
            "the app the-app lacks UserAuthMethod-TAP.ReadWrite.All [627169a8-8c15-451c-861a-5b80e383de5c] to create, read \
             and delete passes: grant it as an application permission of Microsoft Graph, with admin consent, then wait some \
             minutes; the app the-app holds more than it needs: grant what is enough, then remove \
             Directory.ReadWrite.All (User.Read.All and GroupMember.Read.All are enough), Policy.Read.All \
             [246dd0d5-5bd0-4def-940b-0421030a5b68] (Policy.Read.AuthenticationMethod is enough)"
        );
        let many: Vec<String> = (0..13).map(|n| format!("Some.{n:02}")).collect();
        let found = compare(&BTreeSet::new(), &many, Cloud::Global, false);
        let sentence = found.sentence(&connection).unwrap();
        assert!(
            sentence.contains("Some.09 (the operator does not need it), and 3 more"),
            "{sentence}"
        );
        assert_eq!(Comparison::default().sentence(&connection), None);
    }
}
