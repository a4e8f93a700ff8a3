//! Groups of the tenant.

/// A group of the tenant, as far as its name and the visibility of its members go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Object id.
    pub id: String,
    /// Display name. It is not unique.
    pub display_name: String,
    /// Whether it hides who its members are. Then Graph leaves it out of the answer whether a user is one, without an error,
    /// unless the app holds `Member.Read.Hidden` (documented). That is fixed when the group is created.
    pub hides_members: bool,
}
