mod configuration;
mod formats;
mod news;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::TapRequest;
use crate::api::yaml;
use crate::decision::Reason;
use crate::decision::audit::Change;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A request as the operator leaves it in a state. `changes` are merged into it.
fn request(changes: &str) -> TapRequest {
    let mut request: Value = yaml::read(
        r#"
apiVersion: tap-operator.io/v1alpha1
kind: TapRequest
metadata: {name: lost-phone, namespace: helpdesk, uid: u1, creationTimestamp: "2026-11-24T08:00:00Z"}
spec: {policyRef: {name: contoso}, user: alice@contoso.com, reason: INC0012345 lost phone, requestedBy: rita@contoso.com}
status:
  deadline: "2026-11-25T08:00:00Z"
  resolved: {tenantId: t1, userId: a1, userPrincipalName: alice@contoso.com, lifetime: 2h, oneTimeUse: true}
"#,
    )
    .unwrap();
    json_patch::merge(&mut request, &yaml::read(changes).unwrap());
    serde_json::from_value(request).unwrap()
}

const AWAITING: &str = r#"
status:
  phase: AwaitingApproval
  approvals: 0/1
  conditions:
  - {type: Ready, status: "True", reason: AwaitingApproval, message: "0 of 1 approvals", lastTransitionTime: "2026-11-24T08:00:05Z"}
  - {type: Approved, status: "False", reason: AwaitingApproval, message: "0 of 1 approvals", lastTransitionTime: "2026-11-24T08:00:05Z"}
"#;

const ACTIVE: &str = r#"
status:
  phase: Active
  approvals: 1/1
  decisions: [{by: ada@contoso.com, decision: Approve, comment: called Alice back}]
  basis: {policyGeneration: 3, approvedBy: [ada@contoso.com]}
  pass: {id: p1, startTime: "2026-11-24T08:10:00Z", expirationTime: "2026-11-24T10:10:00Z", clientRequestId: c1}
  secretName: lost-phone
  conditions:
  - {type: Ready, status: "True", reason: Issued, message: the pass is in the Secret lost-phone, lastTransitionTime: "2026-11-24T08:00:05Z"}
  - {type: Issued, status: "True", reason: Issued, message: the pass is in the Secret lost-phone, lastTransitionTime: "2026-11-24T08:10:01Z"}
  - {type: Approved, status: "True", reason: Approved, message: 1 of 1 approvals, lastTransitionTime: "2026-11-24T08:10:01Z"}
"#;

/// What a request that ended in a phase adds to an active one.
fn ended(phase: &str, reason: &str, message: &str) -> TapRequest {
    let mut request = request(ACTIVE);
    let status = request.status.as_mut().unwrap();
    status.phase = serde_json::from_value(json!(phase)).unwrap();
    status.finished_at =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at("2026-11-24T09:00:00Z")));
    for condition in &mut status.conditions {
        if condition.type_ == "Ready" {
            (condition.reason, condition.message) = (reason.into(), message.into());
        }
        if condition.type_ == "Issued" {
            condition.status = "False".into();
        }
    }
    request
}

fn never_issued(mut request: TapRequest) -> TapRequest {
    request.status.as_mut().unwrap().pass = None;
    request
}

/// The notices that a request shows.
fn notices(request: &TapRequest) -> Vec<Notice> {
    shown(request).into_iter().map(|shown| Notice::of_request(request, shown)).collect()
}

fn last(request: &TapRequest) -> Notice {
    notices(request).pop().unwrap()
}

fn drift(reason: Reason) -> Notice {
    let change = Change { field: "codeLength".into(), from: "8".into(), to: "14".into() };
    let of_policy = OfPolicy {
        policy: "contoso".into(),
        policy_generation: Some(3),
        connection: "default".into(),
        tenant_id: Some("t1".into()),
        differences: vec![change],
        changed_by: Some("admin@contoso.com".into()),
        changed_at: Some("2026-11-24T08:58:00Z".into()),
    };
    Notice::of_drift("u2", of_policy, reason, at("2026-11-24T09:00:00Z"))
}

fn stop(stop: Stop) -> Notice {
    let order = StopOrder { stop, not_understood: None };
    Notice::of_stop("u3.7", &order, 2, at("2026-11-24T09:00:00Z"))
}

fn foreign() -> Notice {
    let pass = ForeignPass {
        row: "row".into(),
        pass_id: Some("p2".into()),
        tenant_id: "t1".into(),
        policies: vec!["contoso".into(), "fabrikam".into()],
        user: Some("bob@contoso.com".into()),
        made_by: Some("admin@contoso.com".into()),
    };
    let explanation = "nobody asked for it here; find out why it was made";
    Notice::of_foreign_pass(pass, explanation, at("2026-11-24T09:00:00Z"))
}

/// A notice of each kind, and of each way to word it.
fn every() -> Vec<Notice> {
    let [approved, issued]: [Notice; 2] = notices(&request(ACTIVE)).try_into().unwrap();
    let mut reusable = ended("Expired", "PassExpired", "the pass expired");
    reusable.status.as_mut().unwrap().resolved.as_mut().unwrap().one_time_use = false;
    vec![
        last(&request(AWAITING)),
        approved,
        issued,
        last(&never_issued(ended("Denied", "Denied", "ada@contoso.com denied it"))),
        last(&never_issued(ended("Failed", "UserNotAllowed", "alice@contoso.com is in no group"))),
        last(&ended("Used", "PassUsed", "the pass was used")),
        last(&ended("Expired", "PassExpired", "the pass expired")),
        last(&reusable),
        last(&never_issued(ended("Expired", "NotIssuedInTime", "nobody approved it"))),
        last(&ended("Revoked", "Revoked", "rita@contoso.com revoked it")),
        last(&never_issued(ended("Revoked", "Revoked", "rita@contoso.com withdrew it"))),
        foreign(),
        drift(Reason::Drifted),
        drift(Reason::Corrected),
        stop(Stop::On),
        stop(Stop::RevokeActive),
        stop(Stop::Off),
    ]
}
