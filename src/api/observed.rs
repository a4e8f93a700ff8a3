//! The tenant's method as it was found, in a status.
//!
//! It has the form of `spec.method`, without its rules: a tenant may be in a state that no policy may ask for, and a
//! status that the API server refuses would tell nobody.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Lifetime;

/// The tenant's Temporary Access Pass method as it was found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedMethod {
    /// Enabled, Disabled, or another word of Graph's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The bounds within which the lifetime of a pass must lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<ObservedLifetime>,
    /// How many characters a code has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_length: Option<i64>,
    /// Whether every pass of the tenant works only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_one_time_use: Option<bool>,
    /// Whose passes can be used.
    #[serde(default)]
    pub include: Vec<ObservedTarget>,
    /// Whose passes cannot be used, even when included.
    #[serde(default)]
    pub exclude: Vec<ObservedTarget>,
}

/// Bounds of a pass's lifetime as they were found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedLifetime {
    /// Shortest lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Lifetime>,
    /// Lifetime of a pass for which none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Lifetime>,
    /// Longest lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Lifetime>,
}

/// One target as it was found: a group, everybody, or a user.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedTarget {
    /// Object id of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Everybody in the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_users: Option<bool>,
    /// Object id of a user. `spec.method` names no users: such a target cannot be applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}
