//! Directory roles.

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
