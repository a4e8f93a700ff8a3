//! Dry runs as the operator itself, each of which one admission policy must refuse.
//!
//! Nothing else refuses them: they are valid, and the operator has the RBAC permissions for them. They would do little harm
//! even if they were carried out: an empty Secret, a label, a revocation.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch};
use serde_json::json;

use super::chance::Chance;
use crate::api::names::OPERATOR;
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::cluster::write::Trial;
use crate::decision::admission::Probe;
use crate::decision::ids::RequestName;

/// Tries to create a Secret that does not hold a pass.
pub async fn secrets(client: &Client, namespace: &str, before: &Probe) -> Probe {
    let policy = "tap-operator-secrets";
    let opaque = Secret {
        metadata: ObjectMeta { name: Some("tap-operator-probe".into()), ..ObjectMeta::default() },
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match Trial("probe the policy on Secrets").create(&secrets, &opaque).await {
        // Another policy may refuse it, too, and the API server may return only its message. That does not contradict an
        // earlier probe that our policy refused.
        Err(ApiError::Refused { message, .. })
            if !message.contains(policy) && *before != Probe::Refused =>
        {
            Probe::NotRefused(message)
        }
        answer => conclude(answer, policy, "create Secrets that hold no passes"),
    }
}

/// Tries to set a label of its own on a request. Its value is new each time, because writing the same value again would change nothing.
pub async fn requests(client: &Client, name: &RequestName, chance: Chance) -> Probe {
    let value = chance.id("probe").to_string();
    let labels = json!({ "tap-operator.io/probe": value });
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let trial = Trial("probe the policy on requests");
    conclude(
        trial.patch(&requests::api_in(client, &name.namespace), &name.name, &patch).await,
        "tap-operator-requests",
        "write labels tap-operator.io/* of TapRequests",
    )
}

/// Tries to add a decision to a request.
pub async fn decisions(client: &Client, name: &RequestName) -> Probe {
    let Ok(Some(request)) = requests::get(client, name).await else { return Probe::Unknown };
    let mut decisions = json!(request.decisions());
    if let Some(decisions) = decisions.as_array_mut() {
        decisions.push(json!({ "by": OPERATOR, "decision": "Revoke" }));
    }
    let patch = Patch::Merge(json!({ "status": { "decisions": decisions } }));
    let trial = Trial("probe the policy on decisions");
    conclude(
        trial.patch_status(&requests::api_in(client, &name.namespace), &name.name, &patch).await,
        "tap-operator-decisions",
        "write status.decisions of TapRequests",
    )
}

/// What the answer shows about the policy that must refuse.
fn conclude<T>(answer: Result<T, ApiError>, policy: &str, what: &str) -> Probe {
    match answer {
        Ok(_) => Probe::NotRefused(format!("it lets the operator {what}")),
        Err(ApiError::Refused { message, .. }) if message.contains(policy) => Probe::Refused,
        // A probe that failed, or was refused for another reason, shows nothing.
        Err(error) => {
            tracing::debug!(%error, policy, "a dry run does not show whether the policy is in force");
            Probe::Unknown
        }
    }
}
