//! Whether the app of a tenant connection has the permissions that its policies need, and no others: compares the
//! application permissions in its token with the needs.
//!
//! The needs depend on the policies that use the connection. So one app can issue passes and another correct the tenant's
//! method, and neither is reported to lack what only the other needs. A broader permission covers a narrower need
//! (documented). Excessive permissions are reported and stop nothing: the tenant's owner decides about them.

use std::collections::{BTreeMap, BTreeSet};

use super::checks;
use super::situation::Connection;
use crate::api::{Enforcement, Method, ObservedMethod, TapPolicy, TapPolicySpec};
use crate::entra::{Cloud, RoleGap};

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
    /// Read which sign-in methods a user has.
    SignInMethods,
    /// See the members of groups that hide them. Optional: few tenants have such groups.
    HiddenMembers,
    /// Read the directory roles that users could activate. Optional: no policy requires it.
    EligibleRoles,
    /// List all role assignments, of every scope. Optional, too.
    RoleAssignments,
    /// List who could activate the membership of a group. Optional, too.
    GroupEligibilities,
    /// Read the tenant's logs. Optional: nothing depends on them.
    Logs,
    /// List Conditional Access policies. Optional, too.
    AccessPolicies,
    /// Ask which Conditional Access policies a user meets. Optional, too.
    WhatIf,
    /// List authentication strengths. Optional, too.
    Strengths,
}

impl Need {
    /// The least privileged permission that covers it (documented).
    pub fn least(self) -> &'static str {
        match self {
            Self::ReadMethod | Self::Strengths => "Policy.Read.AuthenticationMethod",
            Self::WriteMethod => "Policy.ReadWrite.AuthenticationMethod",
            Self::Passes => "UserAuthMethod-TAP.ReadWrite.All",
            Self::Users => "User.Read.All",
            Self::Members | Self::GroupNames => "GroupMember.Read.All",
            Self::SignInMethods => "UserAuthenticationMethod.Read.All",
            Self::HiddenMembers => "Member.Read.Hidden",
            Self::EligibleRoles => "RoleEligibilitySchedule.Read.Directory",
            Self::RoleAssignments => "RoleManagement.Read.Directory",
            Self::GroupEligibilities => "PrivilegedEligibilitySchedule.Read.AzureADGroup",
            Self::Logs => "AuditLog.Read.All",
            Self::AccessPolicies => "Policy.Read.All",
            Self::WhatIf => "Policy.Read.ConditionalAccess",
        }
    }

    /// The broader permissions that cover it, too (documented).
    fn others(self) -> &'static [&'static str] {
        match self {
            Self::ReadMethod => &["Policy.ReadWrite.AuthenticationMethod", "Policy.Read.All"],
            Self::WriteMethod | Self::HiddenMembers | Self::Logs | Self::AccessPolicies => &[],
            Self::WhatIf | Self::Strengths => &["Policy.Read.All"],
            Self::Passes | Self::SignInMethods => &["UserAuthenticationMethod.ReadWrite.All"],
            Self::Users => &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
            Self::Members => MEMBERS_OTHERWISE,
            Self::GroupNames => GROUP_NAMES_OTHERWISE,
            Self::RoleAssignments => &[
                "RoleManagement.ReadWrite.Directory",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ],
            Self::GroupEligibilities => &["PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"],
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
            Self::SignInMethods => "to read the sign-in methods of users",
            Self::HiddenMembers => "to see the members of groups that hide them",
            Self::EligibleRoles => "to see the directory roles that users could activate",
            Self::RoleAssignments => "to see roles of every scope",
            Self::GroupEligibilities => "to see who could join the groups that hold roles",
            Self::Logs => "to see how passes are used, and who else makes some",
            Self::AccessPolicies => "to see whether Conditional Access blocks passes",
            Self::WhatIf => "to ask whether Conditional Access blocks the pass of a user",
            Self::Strengths => "to read authentication strengths",
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
    "Policy.Read.ConditionalAccess",
    "Policy.Read.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "Group.ReadBasic.All",
    "Member.Read.Hidden",
    "RoleEligibilitySchedule.Read.Directory",
    "RoleManagement.Read.Directory",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "AuditLog.Read.All",
];

/// Ids of the app roles (documented), the same in every tenant.
const APP_ROLES: &[(&str, &str)] = &[
    ("AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    ("Group.Read.All", "5b567255-7703-4780-807c-7be8301ae99b"),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("Member.Read.Hidden", "658aa5d8-239f-45c4-aa12-864f4fc7e490"),
    ("Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68"),
    ("Policy.Read.ConditionalAccess", "37730810-e9ba-4e46-b07e-8ca78d182097"),
    ("Policy.Read.AuthenticationMethod", "8e3bc81b-d2f3-4b7b-838c-32c88218d2f0"),
    ("Policy.ReadWrite.AuthenticationMethod", "29c18626-4985-4dcd-85c0-193eef327366"),
    ("PrivilegedEligibilitySchedule.Read.AzureADGroup", "edb419d6-7edc-42a3-9345-509bfdf5d87c"),
    ("RoleEligibilitySchedule.Read.Directory", "ff278e11-4a33-4d0c-83d2-d01dc58929a5"),
    ("RoleManagement.Read.Directory", "483bed4a-2ad3-4361-a73b-c83ccdbdc53c"),
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
        if reads_sign_in_methods(spec) {
            needs.insert(Need::SignInMethods);
        }
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

/// What these policies need together, each with the tenant's method as its status says that it was last read.
pub fn needs_of_all<'a>(policies: impl Iterator<Item = &'a TapPolicy>) -> BTreeSet<Need> {
    let each = |policy: &TapPolicy| {
        needs(&policy.spec, policy.status.as_ref().and_then(|status| status.observed.as_ref()))
    };
    policies.flat_map(each).collect()
}

/// Whether a policy corrects the tenant's method.
pub fn enforces(spec: &TapPolicySpec) -> bool {
    spec.method.is_some() && spec.enforcement == Some(Enforcement::Enforce)
}

/// Whom an app with these permissions cannot see among those who hold or could activate a role.
pub fn role_gaps(held: &[String]) -> BTreeSet<RoleGap> {
    let all = [
        RoleGap::Assignments,
        RoleGap::Eligibilities,
        RoleGap::GroupEligibilities,
        RoleGap::Members,
    ];
    all.into_iter().filter(|gap| !need_of(*gap).is_covered_by(held)).collect()
}

/// What closes a gap.
pub fn need_of(gap: RoleGap) -> Need {
    match gap {
        RoleGap::Assignments => Need::RoleAssignments,
        RoleGap::Eligibilities => Need::EligibleRoles,
        RoleGap::GroupEligibilities => Need::GroupEligibilities,
        RoleGap::Members => Need::Members,
        RoleGap::HiddenMembers => Need::HiddenMembers,
    }
}

/// Whom a gap hides, and what closes it, in words.
pub fn gap_in_words(gap: RoleGap) -> String {
    let who = match gap {
        RoleGap::Assignments => {
            "who holds a role that is scoped to a part of the tenant, or a custom one"
        }
        RoleGap::Eligibilities => {
            "the directory roles that users could activate (Privileged Identity Management)"
        }
        RoleGap::GroupEligibilities => {
            "who could activate the membership of a group that holds a role (Privileged Identity Management for Groups)"
        }
        RoleGap::Members => "who the members of groups are that hold such a role",
        RoleGap::HiddenMembers => "who the members of groups are that hide them",
    };
    format!("{who}: grant {}", with_id(need_of(gap).least()))
}

fn has_groups(method: &ObservedMethod) -> bool {
    method.include.iter().chain(&method.exclude).any(|target| target.group.is_some())
}

fn names_groups(method: &Method) -> bool {
    method.include.iter().flatten().any(|t| t.group.is_some() && t.display_name.is_some())
        || method.exclude.iter().flatten().any(|g| g.display_name.is_some())
}

/// What all policies that use one app do with it, as far as a permission is excessive without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// One corrects the tenant's method.
    pub corrects: bool,
    /// One gives passes only to users without sign-in methods.
    pub reads_sign_in_methods: bool,
}

/// Whether a policy gives passes only to users without sign-in methods.
pub fn reads_sign_in_methods(spec: &TapPolicySpec) -> bool {
    spec.issuance.as_ref().is_some_and(checks::asks_for_methods)
}

/// How the permissions of an app differ from what is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Permissions that are missing, and what for.
    pub missing: BTreeMap<&'static str, Vec<&'static str>>,
    /// Permissions that are excessive, and why.
    pub excessive: BTreeMap<String, &'static str>,
}

/// Compares the permissions that an app holds with the needs of policies that use it. `uses` are those of all that do.
pub fn compare(needs: &BTreeSet<Need>, held: &[String], cloud: Cloud, uses: Uses) -> Comparison {
    let mut missing: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for need in needs.iter().filter(|need| !need.is_covered_by(held)) {
        // The permission to write includes reading, so only one of the two is missing.
        if *need != Need::ReadMethod || !needs.contains(&Need::WriteMethod) {
            missing.entry(need.least()).or_default().push(need.purpose());
        }
    }
    let excessive = held
        .iter()
        .filter_map(|name| Some((name.clone(), too_much(name, held, cloud, uses)?)))
        .collect();
    Comparison { missing, excessive }
}

/// Why a permission is excessive, or `None` if it is not.
fn too_much(name: &str, held: &[String], cloud: Cloud, uses: Uses) -> Option<&'static str> {
    // In the other clouds it is not documented whether the narrow permissions exist.
    let may_stand_in_for = |narrow: &[&str]| {
        cloud != Cloud::Global && !narrow.iter().any(|narrow| holds(held, narrow))
    };
    Some(match name {
        _ if FITTING.contains(&name) => return None,
        "Policy.ReadWrite.AuthenticationMethod" if uses.corrects => return None,
        "UserAuthenticationMethod.Read.All" if uses.reads_sign_in_methods => return None,
        "UserAuthenticationMethod.ReadWrite.All" if may_stand_in_for(&[Need::Passes.least()]) => {
            return None;
        }
        "Policy.ReadWrite.AuthenticationMethod" => {
            "no TapPolicy that uses this app says enforcement: Enforce; Policy.Read.AuthenticationMethod is enough"
        }
        "UserAuthenticationMethod.ReadWrite.All" | "UserAuthenticationMethod.Read.All" => {
            "UserAuthMethod-TAP.ReadWrite.All is enough"
        }
        "User.ReadWrite.All" => "User.Read.All is enough",
        "Directory.Read.All" | "Directory.ReadWrite.All" => {
            "User.Read.All and GroupMember.Read.All are enough"
        }
        "Group.Read.All" | "Group.ReadWrite.All" | "GroupMember.ReadWrite.All" => {
            "GroupMember.Read.All is enough"
        }
        "RoleManagement.Read.All" | "RoleManagement.ReadWrite.Directory" => {
            "RoleManagement.Read.Directory is enough"
        }
        "RoleEligibilitySchedule.ReadWrite.Directory" => {
            "RoleEligibilitySchedule.Read.Directory is enough"
        }
        "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup" => {
            "PrivilegedEligibilitySchedule.Read.AzureADGroup is enough"
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
mod tests;
