//! Dry runs as the operator itself, each of which an admission policy must refuse.
//!
//! Nothing else refuses them: they need no right that the operator does not have, and are valid otherwise. If one came to
//! be carried out all the same, it would do no harm: a Secret without content, a label, a revocation.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch};
use serde_json::json;

use super::chance::Chance;
use super::error::ApiError;
use super::pass::{name, requests as api};
use super::write::Trial;
use crate::api::TapRequest;
use crate::api::names::OPERATOR;
use crate::decision::admission::Probe;

/// Tries to create a Secret that is no pass.
pub async fn secrets(client: &Client, namespace: &str, before: &Probe) -> Probe {
    let policy = "tap-operator-secrets";
    let opaque = Secret {
        metadata: ObjectMeta { name: Some("tap-operator-probe".into()), ..ObjectMeta::default() },
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match Trial("probe the policy on Secrets").create(&secrets, &opaque).await {
        // Where others refuse it, too, theirs may be the words that are told: that says nothing against what was seen.
        Err(ApiError::Refused { message, .. })
            if !message.contains(policy) && *before != Probe::Refused =>
        {
            Probe::NotRefused(message)
        }
        answer => told(answer, policy, "create Secrets that are no passes"),
    }
}

/// Tries to put a label on a request: one that it cannot have already, for writing the same again is no change.
pub async fn requests(client: &Client, request: &TapRequest, chance: Chance) -> Probe {
    let value = chance.id("probe").to_string();
    let labels = json!({ "tap-operator.io/probe": value });
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let trial = Trial("probe the policy on requests");
    told(
        trial.patch(&api(client, request), &name(request), &patch).await,
        "tap-operator-requests",
        "change the labels of TapRequests",
    )
}

/// Tries to decide about a request.
pub async fn decisions(client: &Client, request: &TapRequest) -> Probe {
    let mut decisions = json!(request.decisions());
    if let Some(decisions) = decisions.as_array_mut() {
        decisions.push(json!({ "by": OPERATOR, "decision": "Revoke" }));
    }
    let patch = Patch::Merge(json!({ "status": { "decisions": decisions } }));
    let trial = Trial("probe the policy on decisions");
    told(
        trial.patch_status(&api(client, request), &name(request), &patch).await,
        "tap-operator-decisions",
        "write status.decisions of TapRequests",
    )
}

/// What the answer says about the policy that must refuse.
fn told<T>(answer: Result<T, ApiError>, policy: &str, what: &str) -> Probe {
    match answer {
        Ok(_) => Probe::NotRefused(format!("it lets the operator {what}")),
        Err(ApiError::Refused { message, .. }) if message.contains(policy) => Probe::Refused,
        // A failed probe says nothing, nor does one that is refused for another reason.
        Err(error) => {
            tracing::debug!(%error, policy, "a dry run does not tell whether the policy is in force");
            Probe::Unknown
        }
    }
}
