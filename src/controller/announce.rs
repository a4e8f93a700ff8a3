//! Reports what happened: events on the objects, and one log line for each transition and decision.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Resource, ResourceExt as _};
use tokio::time::{Duration, timeout};

use crate::api::{Decision, Drift, Phase, TapPolicy, TapRequest};
use crate::cluster::requests::name_of;
use crate::cluster::write;
use crate::decision::Reason;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;

/// The longest note of an event, in bytes. Kubernetes refuses the event of a longer one.
const NOTE_BYTES: usize = 1024;
/// How long to wait for the API server to take an event. Nothing else may be late because of an event.
const PATIENCE: Duration = Duration::from_secs(2);

/// Publishes an event. A failure is only logged, because events are only for readers.
async fn publish<K: Resource<DynamicType = ()>>(
    recorder: &Recorder,
    object: &K,
    type_: EventType,
    reason: &str,
    action: &str,
    note: &str,
) {
    let event = Event {
        type_,
        reason: reason.into(),
        note: Some(cut(note).to_owned()),
        action: action.into(),
        secondary: None,
    };
    match timeout(PATIENCE, write::publish(recorder, &event, &object.object_ref(&()))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an event could not be published"),
        Err(_) => tracing::debug!(reason, "an event could not be published in time"),
    }
}

/// As much of a note as Kubernetes takes.
fn cut(note: &str) -> &str {
    &note[..note.floor_char_boundary(NOTE_BYTES)]
}

/// Reports a request whose phase changed, or the reason for its phase.
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

/// Reports that the API server refuses a write of a request which its status cannot tell.
pub async fn refused(recorder: &Recorder, request: &TapRequest, what: &str, why: &str) {
    let name = name_of(request);
    tracing::warn!(request = name, why, "the API server refuses to {what} of the request");
    let note = format!(
        "the API server refuses to {what}: {why}; an admission policy or a webhook of the cluster may be the cause"
    );
    let reason = Reason::WriteRefused.as_str();
    publish(recorder, request, EventType::Warning, reason, "Write", &note).await;
}

/// Logs a decision of a person.
pub fn decided(request: &TapRequest, Decision { by, decision: kind, comment }: &Decision) {
    tracing::info!(
        target: "audit",
        namespace = request.namespace().unwrap_or_default(),
        request = request.name_any(),
        uid = request.uid().unwrap_or_default(),
        decision = ?kind,
        by,
        comment = comment.as_deref().unwrap_or_default(),
        policy = request.spec.policy_ref.name,
        user = request.spec.user,
        requester = request.spec.requested_by.as_deref().unwrap_or_default(),
        "decision {kind:?} on request {}", name_of(request),
    );
}

/// Publishes a decision of a person as an event.
pub async fn decision(
    recorder: &Recorder,
    request: &TapRequest,
    Decision { by, decision: kind, comment }: &Decision,
) {
    let because = comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
    let note = format!("{kind:?} by {by}{because}");
    let reason = Reason::Decided.as_str();
    publish(recorder, request, EventType::Normal, reason, &format!("{kind:?}"), &note).await;
}

/// Logs everything that identifies this pass, except its code.
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
        namespace = request.namespace().unwrap_or_default(),
        request = request.name_any(),
        uid = request.uid().unwrap_or_default(),
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

/// Reports that the emergency stop came, changed or went, with the number of passes that are active then.
pub async fn stop(
    recorder: &Recorder,
    found: Option<&ConfigMap>,
    order: &StopOrder,
    active_passes: usize,
) {
    let sentence = order.sentence();
    let sentence = sentence.as_deref().unwrap_or("the emergency stop is over");
    match order.stop {
        Stop::RevokeActive => tracing::warn!(revoked = active_passes, "{sentence}"),
        Stop::On | Stop::Off => tracing::warn!(active_passes, "{sentence}"),
    }
    if let (Some(found), Some(remarks)) = (found, &order.not_understood) {
        let reason = Reason::StopNotUnderstood.as_str();
        publish(recorder, found, EventType::Warning, reason, "Stop", remarks).await;
    }
}

/// Reports an object that this version cannot read.
pub async fn unreadable<K>(recorder: &Recorder, object: &K, why: &str)
where
    K: Resource<DynamicType = ()>,
{
    let (kind, name) = (K::kind(&()), object.name_any());
    let namespace = object.namespace().unwrap_or_default();
    tracing::error!(%kind, namespace, name, error = why, "this version of the operator cannot read the object");
    let note = format!(
        "this version of the operator cannot read {kind} {name}: {why}; upgrade the operator or correct the object"
    );
    publish(recorder, object, EventType::Warning, Reason::Unreadable.as_str(), "Read", &note).await;
}

/// Reports differences between the tenant and its policy, if they are new.
pub async fn drift(recorder: &Recorder, policy: &TapPolicy, found: &[Drift]) {
    let before = policy.status.as_ref().map(|s| s.drift.as_slice()).unwrap_or_default();
    if found.is_empty() || found == before {
        return;
    }
    let sentences: Vec<String> =
        found.iter().map(|d| format!("{} is {}, not {}", d.field, d.observed, d.desired)).collect();
    let drift = sentences.join("; ");
    tracing::info!(policy = policy.name_any(), drift, "the tenant differs from the policy");
    let reason = Reason::Drifted.as_str();
    publish(recorder, policy, EventType::Warning, reason, "Compare", &drift).await;
}

/// Reports a difference that was corrected.
pub async fn corrected(recorder: &Recorder, policy: &TapPolicy, sentence: &str) {
    let name = policy.name_any();
    tracing::info!(policy = name, corrected = sentence, "the tenant's method was corrected");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_at_its_bytes_and_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(2000)).len(), 1024);
        assert_eq!(cut(&"ä".repeat(512)).len(), 1024);
        assert_eq!(cut(&"€".repeat(512)).len(), 1023);
    }
}
