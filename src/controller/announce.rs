//! What happened, for people and for machines: events on the objects, and one log line for each transition.

use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};

use super::pass::name_of;
use crate::api::{Decision, Drift, Phase, TapPolicy, TapRequest};
use crate::decision::Reason;

/// The longest note that an event may carry (Kubernetes: 1 kB).
const NOTE_LENGTH: usize = 1000;

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
    if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
        tracing::debug!(%error, "an event could not be published");
    }
}

/// Tells of a request that came into another phase, or stands in one for another reason.
pub async fn transition(recorder: &Recorder, before: &TapRequest, after: &TapRequest) {
    let (was, is) = (ready(before), ready(after));
    let Some((reason, message)) = is else { return };
    if before.phase() == after.phase() && was.map(|(r, _)| r) == Some(reason) {
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

/// Tells of decisions of people that were not `told` yet. A process that begins tells again what was decided about a
/// request that has not ended: rather twice than never.
pub async fn decisions(recorder: &Recorder, request: &TapRequest, told: &mut Vec<Decision>) {
    if request.phase().is_final() {
        return;
    }
    for decision in
        request.decisions().iter().filter(|d| !told.contains(d)).cloned().collect::<Vec<_>>()
    {
        let Decision { by, decision: kind, comment } = &decision;
        let comment = comment.as_deref().unwrap_or_default();
        tracing::info!(
            target: "audit",
            namespace = request.metadata.namespace.as_deref().unwrap_or_default(),
            request = request.metadata.name.as_deref().unwrap_or_default(),
            uid = request.metadata.uid.as_deref().unwrap_or_default(),
            decision = ?kind,
            by,
            comment,
            policy = request.spec.policy_ref.name,
            user = request.spec.user,
            requester = request.spec.requested_by.as_deref().unwrap_or_default(),
            "{kind:?} of request {}", name_of(request),
        );
        let because = if comment.is_empty() { String::new() } else { format!(": {comment}") };
        let note = format!("{kind:?} by {by}{because}");
        let reason = Reason::Decided.as_str();
        publish(recorder, request, EventType::Normal, reason, &format!("{kind:?}"), &note).await;
        told.push(decision);
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

fn ready(request: &TapRequest) -> Option<(&str, &str)> {
    let conditions = &request.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|c| c.type_ == "Ready")?;
    Some((&ready.reason, &ready.message))
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
