//! Policies, passes and the stop, as one picture.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::api::{ConditionType, Enforcement, Phase, Posture, TapPolicy, find_condition};
use crate::decision::Reason;
use crate::plugin::record::Record;
use crate::plugin::table::Table;

/// What a person may see of a cluster. What they may not see is absent, and `hidden` says why.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The emergency stop, as a sentence; absent if it is not set, or cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// The policies.
    pub policies: Vec<PolicyStatus>,
    /// How many requests are in each phase; absent if they cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<&'static str, usize>>,
    /// Whether requests of all namespaces were counted, or of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What cannot be seen, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// What matters about a policy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    name: String,
    tenant: String,
    enforcement: String,
    drift: String,
    issuing: String,
    ready: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
    /// Published recommendations, and whether the tenant follows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    posture: Vec<Posture>,
}

impl PolicyStatus {
    /// What the policy itself says.
    pub fn of(policy: &TapPolicy) -> Self {
        let status = policy.status.clone().unwrap_or_default();
        let told = |type_: ConditionType| {
            find_condition(&status.conditions, type_).map_or(String::new(), |condition| {
                if condition.status == "True" {
                    "yes".to_owned()
                } else {
                    format!("no ({})", condition.reason)
                }
            })
        };
        let enforcement = match (&policy.spec.method, policy.spec.enforcement.unwrap_or_default()) {
            (None, _) => String::new(),
            (Some(_), Enforcement::Enforce) => "Enforce".to_owned(),
            (Some(_), _) => "Observe".to_owned(),
        };
        Self {
            name: policy.name_any(),
            tenant: policy.spec.tenant.clone(),
            enforcement,
            drift: status.drifted_fields.clone().unwrap_or_default(),
            issuing: told(ConditionType::Issuing),
            ready: told(ConditionType::Ready),
            messages: remarks(&status.conditions, REMARKABLE),
            posture: status.posture,
        }
    }
}

/// The conditions of a policy about which a person should know where they are not as they should be.
pub const REMARKABLE: [ConditionType; 6] = [
    ConditionType::Ready,
    ConditionType::Issuing,
    ConditionType::Permissions,
    ConditionType::ChecksComplete,
    ConditionType::PassesUsable,
    ConditionType::WithinCeilings,
];

/// What a person should know about these conditions, where they are not as they should be.
pub fn remarks(
    conditions: &[Condition],
    types: impl IntoIterator<Item = ConditionType>,
) -> Vec<String> {
    use ConditionType::PassesUsable;
    let all = types.into_iter().filter_map(|type_| find_condition(conditions, type_));
    // Seeing Conditional Access is optional, so that it is not seen is no remark.
    let is_unseen = |condition: &&Condition| {
        condition.type_ == PassesUsable.as_str()
            && condition.reason == Reason::ConditionalAccessNotSeen.as_str()
    };
    all.filter(|condition| condition.status != "True" && !is_unseen(condition))
        .map(|condition| format!("{}: {}", condition.reason, condition.message))
        .collect()
}

/// How many requests are in each phase.
pub fn count(records: &[Record]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.phase().name()).or_default() += 1;
    }
    counts
}

/// The text of it.
pub fn text(status: &Status) -> String {
    let mut parts = Vec::new();
    parts.extend(status.stop.as_ref().map(|stop| format!("STOPPED: {stop}\n")));
    let mut table = Table::new(&["POLICY", "TENANT", "METHOD", "DRIFT", "ISSUING", "READY"]);
    for policy in &status.policies {
        table.row([
            &policy.name,
            &policy.tenant,
            &policy.enforcement,
            &policy.drift,
            &policy.issuing,
            &policy.ready,
        ]);
    }
    if !table.is_empty() {
        parts.push(table.text());
    }
    let told = |policy: &PolicyStatus| {
        let lines = policy.messages.iter().cloned().chain(Posture::missed(&policy.posture));
        let lines: Vec<String> = lines.map(|line| format!("{}: {line}\n", policy.name)).collect();
        lines.concat()
    };
    let remarks: String = status.policies.iter().map(told).collect();
    if !remarks.is_empty() {
        parts.push(remarks);
    }
    parts.extend(status.requests.as_ref().map(|counts| numbers(status, counts)));
    parts.join("\n")
}

/// How many requests there are.
fn numbers(status: &Status, counts: &BTreeMap<&'static str, usize>) -> String {
    let live = [
        (Phase::Active, "active"),
        (Phase::AwaitingApproval, "awaiting approval"),
        (Phase::Scheduled, "scheduled"),
        (Phase::Pending, "pending"),
    ];
    let number = |phase: Phase| counts.get(phase.name()).copied().unwrap_or(0);
    let ended = counts.values().sum::<usize>()
        - live.iter().map(|(phase, _)| number(*phase)).sum::<usize>();
    let live = live.map(|(phase, what)| format!("{} {what}", number(phase))).join(", ");
    let place = status.namespace.as_ref().map_or_else(
        || "in all namespaces".to_owned(),
        |namespace| format!("in namespace {namespace}"),
    );
    format!("Requests {place}: {live}, {ended} ended\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::samples::{active, awaiting, ended};

    fn policy() -> TapPolicy {
        serde_json::from_value(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": { "name": "contoso" },
            "spec": { "tenant": "default", "method": {}, "enforcement": "Enforce", "issuance": {} },
            "status": {
                "driftedFields": "lifetime.maximum",
                "posture": [
                    { "id": "EIDSCA.AT01", "result": "Met", "message": "" },
                    { "id": "EIDSCA.AT02", "result": "NotMet", "message": "passes may work more than once" },
                ],
                "conditions": [
                    { "type": "Ready", "status": "True", "reason": "InSync", "message": "", "lastTransitionTime": "2026-11-29T17:25:00Z" },
                    { "type": "Issuing", "status": "False", "reason": "AdmitsNobody", "message": "it admits no namespace", "lastTransitionTime": "2026-11-29T17:25:00Z" },
                ],
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_picture_has_policies_passes_and_the_stop() {
        let counts = count(&[awaiting(), active(), active(), ended("Failed", "UserNotFound")]);
        let status = Status {
            stop: Some("active passes stay".into()),
            policies: vec![PolicyStatus::of(&policy())],
            requests: Some(counts),
            ..Status::default()
        };
        assert_eq!(
            text(&status),
            "\
STOPPED: active passes stay

POLICY    TENANT    METHOD    DRIFT              ISSUING             READY
contoso   default   Enforce   lifetime.maximum   no (AdmitsNobody)   yes

contoso: AdmitsNobody: it admits no namespace
contoso: misses EIDSCA.AT02: passes may work more than once

Requests in all namespaces: 2 active, 1 awaiting approval, 0 scheduled, 0 pending, 1 ended
"
        );
    }
    #[test]
    fn requests_that_cannot_be_seen_are_not_none() {
        let status = Status { policies: vec![PolicyStatus::of(&policy())], ..Status::default() };
        let text = text(&status);
        assert!(text.contains("contoso") && !text.contains("Requests"), "{text}");
    }
}
