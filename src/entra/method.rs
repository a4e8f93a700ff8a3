//! The TAP method of the tenant, and a change to it.

use std::ops::RangeInclusive;

/// The id of the target that stands for everybody (documented).
pub const ALL_USERS: &str = "all_users";

/// The tenant's TAP method as the authentication methods policy has it.
///
/// A number that Graph did not return is `None`. Fields that this version does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MethodConfiguration {
    /// Whether the method can be used in the tenant at all.
    pub state: MethodState,
    /// The lifetime of a pass that is created without one, in minutes.
    pub default_lifetime_minutes: Option<u32>,
    /// The shortest lifetime that a pass may have, in minutes.
    pub minimum_lifetime_minutes: Option<u32>,
    /// The longest lifetime that a pass may have, in minutes.
    pub maximum_lifetime_minutes: Option<u32>,
    /// The length of the codes that Entra generates, in characters.
    pub default_length: Option<u32>,
    /// Whether every pass of the tenant is limited to one sign-in (`isUsableOnce`).
    pub one_time_required: Option<bool>,
    /// Who may sign in with a pass.
    pub include: Vec<GraphTarget>,
    /// Who may not sign in with a pass, even if included.
    pub exclude: Vec<GraphTarget>,
}

impl MethodConfiguration {
    /// The lifetimes that a pass may have, in minutes. A bound that Graph did not return is none.
    pub fn lifetimes(&self) -> RangeInclusive<u32> {
        let minimum = self.minimum_lifetime_minutes.unwrap_or(0);
        minimum..=self.maximum_lifetime_minutes.unwrap_or(u32::MAX)
    }
}

/// Whether the method is enabled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MethodState {
    /// `enabled`
    Enabled,
    /// `disabled`
    Disabled,
    /// A state that this version does not know.
    Other(String),
}

/// An entry of the method's `includeTargets` or `excludeTargets`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GraphTarget {
    /// Object id of a group or a user, or `all_users`.
    pub id: String,
    /// `group` or `user`. Graph writes `group` for `all_users`.
    pub target_type: String,
    /// Set on included targets only.
    pub is_registration_required: Option<bool>,
}

/// A change to the tenant's TAP method. A field that is `None` is not sent and keeps its value.
///
/// Graph replaces each list of targets as a whole (inferred from working code, not documented). It may also recalculate
/// fields that were not sent (documented), so read the method again after a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MethodPatch {
    /// See [`MethodConfiguration::state`].
    pub state: Option<MethodState>,
    /// See [`MethodConfiguration::default_lifetime_minutes`].
    pub default_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::minimum_lifetime_minutes`].
    pub minimum_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::maximum_lifetime_minutes`].
    pub maximum_lifetime_minutes: Option<u32>,
    /// See [`MethodConfiguration::default_length`].
    pub default_length: Option<u32>,
    /// See [`MethodConfiguration::one_time_required`].
    pub one_time_required: Option<bool>,
    /// The complete list of included targets.
    pub include: Option<Vec<GraphTarget>>,
    /// The complete list of excluded targets.
    pub exclude: Option<Vec<GraphTarget>>,
}
