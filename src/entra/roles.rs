//! Directory roles.

use std::collections::{BTreeMap, BTreeSet};

/// A directory role that a user holds, directly or through groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirectoryRole {
    /// Object id of the role in the tenant.
    pub id: String,
    /// Id of the role's template, the same in every tenant. `None` if Graph did not return it; such a role must be
    /// treated as privileged.
    pub template_id: Option<String>,
    /// Display name.
    pub display_name: Option<String>,
}

/// A directory role that a user could activate (Privileged Identity Management).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EligibleRole {
    /// Id of the role definition; a built-in role has the same one in every tenant. `None` if Graph did not return it;
    /// such a role must be treated as privileged.
    pub definition_id: Option<String>,
    /// The eligible group of which the user is a member. `None` if the user is eligible without a group.
    pub through_group: Option<String>,
}

/// One row of the tenant's lists of role assignments and of role eligibilities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleRow {
    /// Object id of the user, group or service principal.
    pub principal_id: String,
    /// Id of the role definition: that of its template for a built-in role, its own for a custom one. `None` if Graph did not
    /// return it.
    pub definition_id: Option<String>,
    /// Where the role counts: `/` for the tenant, an administrative unit, an application or another object. `None` if Graph
    /// did not return it.
    pub scope: Option<String>,
}

/// How somebody holds a role, or could activate one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleHolding {
    /// The role.
    pub row: RoleRow,
    /// Whether it must be activated first (Privileged Identity Management).
    pub eligible: bool,
    /// The group whose membership or ownership must be activated first (Privileged Identity Management for Groups).
    pub through_eligible_group: Option<String>,
}

/// Whom a tenant's lists of roles do not show, because the app lacks a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleGap {
    /// Holders of roles that are scoped to a part of the tenant, and of custom roles.
    Assignments,
    /// Who could activate a role.
    Eligibilities,
    /// Who could activate the membership or ownership of a group that holds a role.
    GroupEligibilities,
    /// The members of groups that hold such roles.
    Members,
    /// The members of groups that hide them.
    HiddenMembers,
}

/// Everybody in a tenant who holds a directory role of any scope, or could activate one, except as a member of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleHolders {
    /// By object id in lower case: users, groups and service principals.
    pub holders: BTreeMap<String, RoleHolding>,
    /// Those of them that are groups.
    pub groups: BTreeSet<String>,
    /// Whom the lists do not show.
    pub gaps: BTreeSet<RoleGap>,
}

/// What the tenant's lists of roles say of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ListedRoles {
    /// A role that the user holds or could activate, and the group of which they are a member, if it is through one.
    pub found: Option<(RoleHolding, Option<String>)>,
    /// Whom the lists do not show.
    pub gaps: BTreeSet<RoleGap>,
}
