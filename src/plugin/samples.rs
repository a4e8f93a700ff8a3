//! Requests for the tests of this room.

use serde_json::{Value, json};

use kubernetes_api::{KubernetesApi, Resource};

use super::call_error::ClusterName;
use super::calls::Cluster;
use super::record::Record;
use super::session::Session;
use super::time::Clock;
use crate::api::crds;
use crate::decision::report::Report;

/// Half past five in the afternoon, in UTC.
pub fn clock() -> Clock {
    Clock { now: "2026-11-29T17:30:00Z".parse().unwrap(), zone: jiff::tz::TimeZone::UTC }
}

/// Held by tests to which signals matter, for all tests are one process.
pub static SIGNALS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// An API server in this process with the namespace helpdesk, and a session of this person in it.
pub fn served(me: &str) -> (KubernetesApi, Session) {
    let api = KubernetesApi::new(clock().now);
    for (_, crd) in crds::all() {
        let crd = serde_json::from_value(crd).expect("a definition");
        api.register(Resource::from_crd(&crd));
    }
    api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "helpdesk" } }));
    let cluster = Cluster::new(api.client_as(me), ClusterName::default(), None);
    (api, Session::new(cluster, "helpdesk".into()))
}

/// A request as the API server answers it.
pub fn record(object: Value) -> Record {
    Record::new(serde_json::from_value(object).unwrap())
}

/// A request with this status.
#[expect(clippy::needless_pass_by_value, reason = "json! stands at each use")]
pub fn with_status(status: Value) -> Record {
    record(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {
            "name": "alice-inc0012345", "namespace": "helpdesk",
            "uid": "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa", "creationTimestamp": "2026-11-29T17:20:00Z",
        },
        "spec": {
            "policyRef": { "name": "helpdesk" }, "user": "alice@contoso.com",
            "reason": "INC0012345 lost phone", "requestedBy": "heidi@contoso.com",
        },
        "status": status,
    }))
}

/// What a request stands for.
pub fn resolved() -> Value {
    json!({
        "tenantId": "t", "userId": "u", "userPrincipalName": "alice@contoso.com",
        "lifetime": "1h", "oneTimeUse": true, "later": "a field of a later version",
    })
}

/// The condition Ready.
pub fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-29T17:25:00Z",
    }])
}

/// One that waits for an approval.
pub fn awaiting() -> Record {
    with_status(json!({
        "phase": "AwaitingApproval", "approvals": "0/1", "deadline": "2026-11-30T17:20:00Z", "decisions": [],
        "conditions": ready("True", "AwaitingApproval", "1 more person must approve"),
        "resolved": resolved(),
        "checks": [
            { "name": "Deadline", "result": "Passed", "message": "the pass must be issued by 2026-11-30T17:20:00Z" },
            { "name": "Approval", "result": "Waiting", "message": "1 more person must approve" },
        ],
    }))
}

/// One that was approved, and waits until so many others were issued.
pub fn queued(before: usize) -> Record {
    let record = with_status(json!({
        "phase": "Pending", "approvals": "1/1", "deadline": "2026-11-30T17:20:00Z", "decisions": [],
        "resolved": resolved(),
    }));
    let moment = clock().now;
    let status = Report::queued(record.request(), before, moment).expect("it says nothing yet");
    let mut status = serde_json::to_value(status).expect("a status");
    let approved = json!({
        "type": "Approved", "status": "True", "reason": "Approved", "message": "",
        "lastTransitionTime": "2026-11-29T17:25:00Z",
    });
    status["conditions"].as_array_mut().expect("conditions").push(approved);
    with_status(status)
}

/// One whose pass is in its Secret.
pub fn active() -> Record {
    with_status(json!({
        "phase": "Active", "approvals": "1/1", "secretName": "alice-inc0012345",
        "conditions": ready("True", "Issued", "the code is in the Secret alice-inc0012345"),
        "resolved": resolved(),
        "decisions": [{ "by": "lea@contoso.com", "decision": "Approve", "comment": "called back" }],
        "seen": [{ "by": "lea@contoso.com", "decision": "Approve", "at": "2026-11-29T17:26:00Z" }],
        "pass": {
            "id": "p", "startTime": "2026-11-29T17:27:00Z", "expirationTime": "2026-11-29T18:27:00Z",
            "clientRequestId": "c",
        },
    }))
}

/// One that has ended.
pub fn ended(phase: &str, reason: &str) -> Record {
    with_status(json!({
        "phase": phase, "finishedAt": "2026-11-29T17:00:00Z", "decisions": [],
        "conditions": ready("False", reason, "this is why"),
    }))
}
