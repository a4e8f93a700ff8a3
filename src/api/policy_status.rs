//! The status of a `TapPolicy`: what the operator found in the tenant and did about it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ObservedMethod;

/// What the operator found in the tenant and did about it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TapPolicyStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Id of the tenant behind the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The tenant's method as it was last read, in the form of `spec.method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedMethod>,
    /// The tenant's method before this policy first wrote to it, in a form that can be applied again as `spec.method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<ObservedMethod>,
    /// Each managed field that differs from the tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// Names of the fields in `drift`, or None; Unknown while the tenant cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted_fields: Option<String>,
    /// Published recommendations about the tenant's method, and whether the tenant follows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub posture: Vec<Posture>,
    /// Ready and Synced; Reconciling or Stalled while they are true; Issuing: whether requests that name the policy can get
    /// a pass; Permissions: whether the operator's app has the permissions that this policy needs, and no others;
    /// `ChecksComplete`: whether every check of a request can be made; `PassesUsable`: whether Conditional Access lets people
    /// sign in with their passes; `WithinCeilings`: whether the policy asks for no more than the operator's configuration
    /// allows; `LogsRead`: whether the operator reads the tenant's logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// One difference between `spec.method` and the tenant.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The field of `spec.method`, such as lifetime.maximum.
    pub field: String,
    /// What the policy says.
    pub desired: String,
    /// What the tenant has.
    pub observed: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, desired, observed } = self;
        write!(f, "{field} is {observed}, not {desired}")
    }
}

/// A published recommendation about the tenant's method.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posture {
    /// Its id: EIDSCA.AT01 and EIDSCA.AT02 of the Entra ID Security Config Analyzer, ZeroTrust.21845 and ZeroTrust.21846 of
    /// Microsoft's Zero Trust Assessment.
    pub id: String,
    /// Whether the tenant follows it.
    pub result: PostureResult,
    /// Why, or what to change.
    pub message: String,
}

impl Posture {
    /// The recommendations that are not followed, with what to change; those with the same remedy together.
    pub fn missed(all: &[Self]) -> Vec<String> {
        let mut by_remedy: Vec<(&str, Vec<&str>)> = Vec::new();
        for one in all.iter().filter(|one| one.result == PostureResult::NotMet) {
            match by_remedy.iter_mut().find(|(remedy, _)| *remedy == one.message) {
                Some((_, ids)) => ids.push(&one.id),
                None => by_remedy.push((&one.message, vec![&one.id])),
            }
        }
        let told =
            |(remedy, ids): (&str, Vec<&str>)| format!("misses {}: {remedy}", ids.join(", "));
        by_remedy.into_iter().map(told).collect()
    }
}

/// Whether a tenant follows a recommendation: Met, `NotMet`, Unknown (it cannot be seen).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostureResult {
    /// It does.
    Met,
    /// It does not.
    NotMet,
    /// It cannot be seen.
    Unknown,
}
