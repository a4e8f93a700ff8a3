//! What happened, for people and for machines: events on the objects, and one log line for each transition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::time::{Duration, timeout};

use super::pass::name_of;
use super::write;
use crate::api::{Decision, Drift, Phase, TapPolicy, TapRequest};
use crate::decision::Reason;

/// The longest note that an event may carry (Kubernetes: 1 kB).
const NOTE_LENGTH: usize = 1000;
/// How long an event is waited for: nothing may be late for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Publishes an event. That it fails changes nothing: events are for readers.
async fn publish<K: Resource<DynamicType = ()>>(
    recorder: &Recorder,
    object: &K,
    type_: EventType,
    reason: &str,
    action: &str,
    note: &str,
) {
    let note: String = note.chars().take(NOTE_LENGTH).collect();
    let event = Event {
        type_,
        reason: reason.into(),
        note: Some(note),
        action: action.into(),
        secondary: None,
    };
    match timeout(PATIENCE, write::publish(recorder, &event, &object.object_ref(&()))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an event could not be published"),
        Err(_) => tracing::debug!(reason, "an event could not be published in time"),
    }
}

/// Tells of a request that came into another phase, or stands in one for another reason.
pub async fn transition(recorder: &Recorder, before: &TapRequest, after: &TapRequest) {
    let (was, Some(Condition { reason, message, .. })) = (before.ready(), after.ready()) else {
        return;
    };
    if before.phase() == after.phase() && was.is_some_and(|was| was.reason == *reason) {
        return;
    }
    let phase = after.phase();
    let type_ = match phase {
        Phase::Failed | Phase::Denied | Phase::Unknown => EventType::Warning,
        _ => EventType::Normal,
    };
    log(after, reason, message);
    publish(recorder, after, type_, reason, &phase.to_string(), message).await;
}

/// Logs decisions of people that were not `told` yet, and answers with them. A process that begins tells again what was
/// decided about a request that has not ended: rather twice than never.
pub fn decided(request: &TapRequest, told: &mut Vec<Decision>) -> Vec<Decision> {
    if request.phase().is_final() {
        return Vec::new();
    }
    let fresh: Vec<_> = request.decisions().iter().filter(|d| !told.contains(d)).cloned().collect();
    for Decision { by, decision: kind, comment } in &fresh {
        tracing::info!(
            target: "audit",
            namespace = request.metadata.namespace.as_deref().unwrap_or_default(),
            request = request.metadata.name.as_deref().unwrap_or_default(),
            uid = request.metadata.uid.as_deref().unwrap_or_default(),
            decision = ?kind,
            by,
            comment = comment.as_deref().unwrap_or_default(),
            policy = request.spec.policy_ref.name,
            user = request.spec.user,
            requester = request.spec.requested_by.as_deref().unwrap_or_default(),
            "{kind:?} of request {}", name_of(request),
        );
    }
    told.extend(fresh.iter().cloned());
    fresh
}

/// Tells readers of the request of these decisions.
pub async fn decisions(recorder: &Recorder, request: &TapRequest, fresh: &[Decision]) {
    for Decision { by, decision: kind, comment } in fresh {
        let because = comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
        let note = format!("{kind:?} by {by}{because}");
        let reason = Reason::Decided.as_str();
        publish(recorder, request, EventType::Normal, reason, &format!("{kind:?}"), &note).await;
    }
}

/// The audit line: everything that tells this pass from others, and never its code.
fn log(request: &TapRequest, reason: &str, message: &str) {
    let status = request.status.clone().unwrap_or_default();
    let resolved = status.resolved.as_ref();
    let decisions: Vec<String> =
        status.decisions.iter().map(|d| format!("{:?} by {}", d.decision, d.by)).collect();
    let checks: Vec<String> =
        status.checks.iter().map(|c| format!("{} {:?}", c.name, c.result)).collect();
    let pass = status.pass.as_ref();
    let basis = status.basis.as_ref();
    tracing::info!(
        target: "audit",
        namespace = request.metadata.namespace.as_deref().unwrap_or_default(),
        request = request.metadata.name.as_deref().unwrap_or_default(),
        uid = request.metadata.uid.as_deref().unwrap_or_default(),
        phase = %status.phase,
        reason,
        explanation = message,
        policy = request.spec.policy_ref.name,
        policy_generation = basis.map(|b| b.policy_generation),
        user = request.spec.user,
        requester = request.spec.requested_by.as_deref().unwrap_or_default(),
        decisions = decisions.join(", "),
        approved_by = basis.map(|b| b.approved_by.join(", ")),
        checks = checks.join(", "),
        tenant_id = resolved.map(|r| r.tenant_id.as_str()).unwrap_or_default(),
        user_id = resolved.map(|r| r.user_id.as_str()).unwrap_or_default(),
        pass_id = pass.map(|p| p.id.as_str()).unwrap_or_default(),
        client_request_id = pass.map(|p| p.client_request_id.as_str()).unwrap_or_default(),
        starts = pass.map(|p| p.start_time.0.to_string()),
        expires = pass.map(|p| p.expiration_time.0.to_string()),
        "request {phase}", phase = status.phase,
    );
}

/// Tells of an object that this version cannot read.
pub async fn unreadable<K>(recorder: &Recorder, object: &K, why: &str)
where
    K: Resource<DynamicType = ()>,
{
    let (kind, name) = (K::kind(&()), object.meta().name.as_deref().unwrap_or_default());
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    tracing::error!(%kind, namespace, name, error = why, "an object cannot be read by this version of the operator");
    let note = format!(
        "this version of the operator cannot read it: {why}; update the operator, or correct the object"
    );
    publish(recorder, object, EventType::Warning, Reason::Unreadable.as_str(), "Read", &note).await;
}

/// Tells of differences that were not there before.
pub async fn drift(recorder: &Recorder, policy: &TapPolicy, found: &[Drift]) {
    let before = policy.status.as_ref().map(|s| s.drift.as_slice()).unwrap_or_default();
    if found.is_empty() || found == before {
        return;
    }
    let sentence: Vec<String> =
        found.iter().map(|d| format!("{} is {}, not {}", d.field, d.observed, d.desired)).collect();
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    tracing::info!(
        policy = name,
        drift = sentence.join("; "),
        "the tenant differs from the policy"
    );
    publish(
        recorder,
        policy,
        EventType::Warning,
        Reason::Drifted.as_str(),
        "Compare",
        &sentence.join("; "),
    )
    .await;
}

/// Tells of a difference that was corrected.
pub async fn corrected(recorder: &Recorder, policy: &TapPolicy, sentence: &str) {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    tracing::info!(policy = name, corrected = sentence, "the tenant was corrected");
    publish(
        recorder,
        policy,
        EventType::Normal,
        Reason::Corrected.as_str(),
        "Correct",
        &format!("changed {sentence}"),
    )
    .await;
}
