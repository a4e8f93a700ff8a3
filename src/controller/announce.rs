//! Reports what happened: events on the objects, and the lines of the audit trail.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Resource, ResourceExt as _};
use tokio::time::{Duration, timeout};

use crate::api::{ConditionType, Decision, Drift, Phase, TapPolicy, TapRequest, find_condition};
use crate::cluster::ApiError;
use crate::cluster::requests::name_of;
use crate::cluster::write;
use crate::decision::Reason;
use crate::decision::audit::Line;
use crate::decision::ids::Uid;
use crate::decision::method::Difference;
use crate::decision::requests::Observed;
use crate::decision::situation::{Connection, Stop};
use crate::decision::stop::StopOrder;

/// The longest note of an event, in bytes. Kubernetes refuses the event of a longer one.
const NOTE_BYTES: usize = 1024;
/// The target of the lines of the audit trail in the log.
pub const AUDIT: &str = "audit";
/// How long to wait for the API server to take an event. Nothing else may be late because of an event.
const PATIENCE: Duration = Duration::from_secs(2);

/// Publishes an event. A failure is only logged, because events are only for readers.
pub(super) async fn publish<K: Resource<DynamicType = ()>>(
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
///
/// `generation` is that of its policy now.
pub async fn transition(
    recorder: &Recorder,
    before: &TapRequest,
    after: &TapRequest,
    generation: Option<i64>,
) {
    let (was, Some(Condition { reason, message, .. })) = (before.ready(), after.ready()) else {
        return;
    };
    if before.phase() == after.phase() && was.is_some_and(|was| was.reason == *reason) {
        return;
    }
    let phase = after.phase();
    let type_ = match phase {
        Phase::Failed | Phase::Denied | Phase::Unknown => EventType::Warning,
        _ if Reason::named(reason).is_some_and(Reason::needs_a_person) => EventType::Warning,
        _ => EventType::Normal,
    };
    audit(&Line::transition(after, generation), &format!("request {} {phase}", name_of(after)));
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

/// Reports that calls to the API server about a request failed so many times in a row. Its status cannot tell: the write of
/// that may be what fails.
pub async fn failing(recorder: &Recorder, request: &TapRequest, failures: u32, error: &ApiError) {
    let note = format!(
        "the operator tries again to go on with the request, after {failures} failures in a row: {error}; an admission webhook of the cluster may be the cause"
    );
    let reason = Reason::ReconcileFailed.as_str();
    publish(recorder, request, EventType::Warning, reason, "Reconcile", &note).await;
}

/// Writes a line of the audit trail, and a sentence for people.
pub(super) fn audit(line: &Line, sentence: &str) {
    // These types are always JSON.
    let line = serde_json::to_string(line).unwrap_or_default();
    tracing::info!(target: AUDIT, audit_record = %line, "{sentence}");
}

/// Logs a decision of a person. Returns whether an earlier line told it already.
pub fn decided(request: &TapRequest, decision: &Decision, generation: Option<i64>) -> bool {
    let line = Line::decision(request, decision, generation);
    let Decision { by, decision: kind, .. } = decision;
    audit(&line, &format!("{kind:?} on request {} by {by}", name_of(request)));
    line.is_told_again()
}

/// Logs what is left of a request that is gone: all of it if it was seen to go, else what was known.
pub fn gone(uid: &Uid, known: &Observed, last: Option<&TapRequest>, generation: Option<i64>) {
    let line = match last {
        Some(request) => Line::gone(request, generation),
        None => Line::gone_unseen(uid, known),
    };
    audit(&line, &format!("request {} is gone", known.name));
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
    let Some(found) = found else { return };
    let (reason, note) = match &order.not_understood {
        Some(remarks) => (Reason::StopNotUnderstood, remarks.as_str()),
        None => (Reason::Stopped, sentence),
    };
    publish(recorder, found, EventType::Warning, reason.as_str(), "Stop", note).await;
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

/// Reports differences between the tenant and its policy. `change`: who changed the tenant's methods last, and when, as its
/// audit log says.
pub async fn drift(
    recorder: &Recorder,
    policy: &TapPolicy,
    found: &[Drift],
    change: Option<&(String, Timestamp)>,
) {
    let sentences: Vec<String> = found.iter().map(Drift::to_string).collect();
    let mut drift = sentences.join("; ");
    if let Some((by, at)) = change {
        drift = format!("{drift}; {by} last changed the tenant's authentication methods, at {at}");
    }
    tracing::info!(policy = policy.name_any(), drift, "the tenant differs from the policy");
    let reason = Reason::Drifted.as_str();
    publish(recorder, policy, EventType::Warning, reason, "Compare", &drift).await;
}

/// Reports differences that were corrected.
pub async fn corrected(
    recorder: &Recorder,
    policy: &TapPolicy,
    connection: &Connection,
    difference: &Difference,
) {
    let Connection { name, tenant_id, .. } = connection;
    let line = Line::correction(policy, name, tenant_id, &difference.drift);
    let sentence = format!("changed {}", difference.correction());
    audit(&line, &format!("the method of tenant {tenant_id} was corrected: {sentence}"));
    let reason = Reason::Corrected.as_str();
    publish(recorder, policy, EventType::Normal, reason, "Correct", &sentence).await;
}

/// Reports a policy one of whose conditions changed to one that a person must act on, or from that to a better one.
pub async fn policy(recorder: &Recorder, before: &TapPolicy, after: &TapPolicy) {
    for type_ in [ConditionType::Ready, ConditionType::Permissions] {
        policy_condition(recorder, type_, before, after).await;
    }
}

async fn policy_condition(
    recorder: &Recorder,
    type_: ConditionType,
    before: &TapPolicy,
    after: &TapPolicy,
) {
    let condition = |policy: &TapPolicy| {
        let status = policy.status.as_ref()?;
        find_condition(&status.conditions, type_).cloned()
    };
    let needs_a_person = |found: &Condition| {
        found.status == "False" && Reason::named(&found.reason).is_some_and(Reason::needs_a_person)
    };
    let (was, Some(is)) = (condition(before), condition(after)) else { return };
    if was.as_ref().is_some_and(|was| was.reason == is.reason && was.status == is.status) {
        return;
    }
    let (name, reason, message) = (after.name_any(), is.reason.as_str(), is.message.as_str());
    let action = "Reconcile";
    // What an app may do is logged for its connection.
    let is_logged = type_ == ConditionType::Ready;
    if needs_a_person(&is) {
        if is_logged {
            tracing::warn!(policy = name, reason, "the TapPolicy needs somebody: {message}");
        }
        publish(recorder, after, EventType::Warning, reason, action, message).await;
    } else if was.is_some_and(|was| needs_a_person(&was)) {
        if is_logged {
            tracing::info!(policy = name, reason, "the TapPolicy needs nobody any more: {message}");
        }
        publish(recorder, after, EventType::Normal, reason, action, message).await;
    }
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
