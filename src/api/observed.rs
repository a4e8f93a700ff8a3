//! The tenant's method as it was read, in the status of a `TapPolicy`.
//!
//! It has the form of `spec.method` without its validation rules: a tenant may be in a state that no policy may ask for,
//! and the API server must not refuse a status that reports it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Lifetime;

/// The tenant's Temporary Access Pass method as it was read.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedMethod {
    /// Enabled, Disabled, or another value from Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The limits for the lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<ObservedLifetime>,
    /// Number of characters of a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_length: Option<i64>,
    /// Whether every pass of the tenant works only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_one_time_use: Option<bool>,
    /// Who can use a pass.
    #[serde(default)]
    pub include: Vec<ObservedTarget>,
    /// Who cannot use a pass, even if included.
    #[serde(default)]
    pub exclude: Vec<ObservedTarget>,
}

/// Limits for the lifetime of a pass as they were read.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedLifetime {
    /// Shortest lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Lifetime>,
    /// Lifetime of a pass if none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Lifetime>,
    /// Longest lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Lifetime>,
}

/// One target as it was read: a group, everybody, or a user.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedTarget {
    /// Object id of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Everybody in the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_users: Option<bool>,
    /// Object id of a user. `spec.method` cannot name users, so such a target cannot be applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}
