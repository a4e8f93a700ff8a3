//! The lines of the audit trail: what happened to a request, who decided what, how a tenant was corrected. None of them has
//! a code.
//!
//! A line is one JSON object. Fields that say nothing are left out.

use jiff::Timestamp;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::lines::{Evidence, MethodChange, OthersPass};
use super::ids::Uid;
use super::requests::Observed;
use super::sightings::first_seen;
use crate::api::{Check, Decision, DecisionKind, Drift, Resolved, TapPolicy, TapRequest};
use crate::seal;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "audit", rename_all = "lowercase")]
pub enum Line {
    /// A request entered a phase, or the reason for its phase changed.
    Transition(Box<Transition>),
    /// Somebody decided about a request.
    Decision(Box<Decided>),
    /// A request is gone.
    Gone(Box<Gone>),
    /// The method of a tenant was corrected.
    Correction(Correction),
    /// The tenant's logs say something of the use of a pass.
    Evidence(Box<Evidence>),
    /// Somebody else made a pass that no request records.
    Foreign(Box<OthersPass>),
    /// Somebody else deleted the pass of a request.
    Removal(Box<OthersPass>),
    /// Somebody else changed the policy of authentication methods.
    Change(MethodChange),
}

/// What each line about a request says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct About {
    /// The namespace of the request.
    pub namespace: String,
    /// Its name.
    pub request: String,
    /// Its uid, which no other object ever has.
    pub uid: String,
    /// When it was created.
    pub created: String,
    /// The `TapPolicy` that it names.
    pub policy: String,
    /// The generation of that policy: of the one that allowed the pass, once it is issued, else of the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_generation: Option<i64>,
    /// The user for whom it asks, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who asks: the Kubernetes user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// `spec.reason`, such as a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The lifetime of the pass: what was resolved, else what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<String>,
    /// Whether the pass works only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_use: Option<bool>,
    /// `sealed` if the Secret holds the code only encrypted, else `clear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<&'static str>,
    /// The fingerprints of the public keys to which the code is encrypted: of an SSH key as `ssh-keygen -l` prints it, an age
    /// key as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Id of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Object id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// User principal name of the user when it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
}

/// The pass of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct PassLine {
    /// Id of the pass in Entra.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_id: Option<String>,
    /// The client-request-id of the call that created it, by which that call is found in Entra's audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// When the pass becomes valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// When the pass expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A request entered a phase, or the reason for its phase changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Transition {
    #[serde(flatten)]
    about: About,
    /// The phase.
    pub phase: &'static str,
    /// The reason for it.
    pub reason: String,
    /// The message of the condition Ready.
    pub explanation: String,
    /// How many of the approvals that are needed have been given, such as `1/2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// The people whose approvals counted when the pass was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Vec<String>>,
    /// What people decided so far: `by`, `decision`, `comment`, and when it was first `seen`.
    pub decisions: Vec<DecisionLine>,
    /// The checks: `name`, `result`, and a `message` where there is one.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub checks: Vec<Check>,
    #[serde(flatten)]
    pass: PassLine,
}

/// What somebody decided.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DecisionLine {
    /// Who decided: the Kubernetes user name.
    pub by: String,
    /// `Approve`, `Deny` or `Revoke`.
    #[schemars(with = "String")]
    pub decision: DecisionKind,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the operator first saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// Somebody decided about a request.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decided {
    #[serde(flatten)]
    about: About,
    #[serde(flatten)]
    decision: DecisionLine,
    /// Whether an earlier line told it already: a replica that takes over tells again what was decided about requests that
    /// have not ended.
    pub again: bool,
}

/// A request is gone: somebody deleted it, or its time to live was over.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Gone {
    #[serde(flatten)]
    about: About,
    /// Its last phase.
    pub phase: &'static str,
    /// The reason for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(flatten)]
    pass: PassLine,
}

/// The method of a tenant was corrected.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Correction {
    /// The `TapPolicy` that says what the method must look like.
    pub policy: String,
    /// Its generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_generation: Option<i64>,
    /// The tenant connection.
    pub connection: String,
    /// Id of the tenant.
    pub tenant_id: String,
    /// What was changed: `field`, `from` and `to`.
    pub changed: Vec<Change>,
}

/// A field of a tenant's method that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// The field of `spec.method`.
    pub field: String,
    /// What the tenant had.
    pub from: String,
    /// What the policy says.
    pub to: String,
}

impl Line {
    /// A request entered a phase, or the reason for its phase changed. `generation` is that of its policy now.
    pub fn transition(request: &TapRequest, generation: Option<i64>) -> Self {
        let status = request.status.clone().unwrap_or_default();
        let ready = request.ready();
        let decisions = status.decisions.iter().map(|d| DecisionLine::of(request, d)).collect();
        Self::Transition(Box::new(Transition {
            about: About::of(request, generation),
            phase: status.phase.name(),
            reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            explanation: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            approvals: status.approvals,
            approved_by: status.basis.map(|basis| basis.approved_by),
            decisions,
            checks: status.checks,
            pass: PassLine::of(request),
        }))
    }

    /// Somebody decided about a request.
    pub fn decision(request: &TapRequest, decision: &Decision, generation: Option<i64>) -> Self {
        let line = DecisionLine::of(request, decision);
        let again = line.seen.is_some();
        let about = About::of(request, generation);
        Self::Decision(Box::new(Decided { about, decision: line, again }))
    }

    /// A request is gone, which was last seen like this.
    pub fn gone(request: &TapRequest, generation: Option<i64>) -> Self {
        Self::Gone(Box::new(Gone {
            about: About::of(request, generation),
            phase: request.phase().name(),
            reason: request.ready().map(|ready| ready.reason.clone()),
            pass: PassLine::of(request),
        }))
    }

    /// A request is gone of which only this is known.
    pub fn gone_unseen(uid: &Uid, observed: &Observed) -> Self {
        let recorded = observed.recorded.as_ref();
        let valid = recorded.and_then(|recorded| recorded.valid.as_ref());
        Self::Gone(Box::new(Gone {
            about: About {
                namespace: observed.name.namespace.to_string(),
                request: observed.name.name.to_string(),
                uid: uid.to_string(),
                created: text(observed.created),
                policy: observed.party.policy.to_string(),
                requester: Some(observed.party.requester.to_string()).filter(|who| !who.is_empty()),
                tenant_id: observed.tenant_id.as_ref().map(ToString::to_string),
                ..About::default()
            },
            phase: observed.phase.name(),
            reason: None,
            pass: PassLine {
                pass_id: recorded.map(|pass| pass.pass_id.to_string()),
                client_request_id: None,
                starts: valid.map(|valid| text(valid.from)),
                expires: valid.map(|valid| text(valid.until)),
            },
        }))
    }

    /// The method of a tenant was corrected.
    pub fn correction(
        policy: &TapPolicy,
        connection: &str,
        tenant_id: &str,
        drift: &[Drift],
    ) -> Self {
        Self::Correction(Correction {
            policy: policy.name_any(),
            policy_generation: policy.metadata.generation,
            connection: connection.into(),
            tenant_id: tenant_id.into(),
            changed: drift.iter().map(Change::of).collect(),
        })
    }
}

impl Line {
    /// Whether it tells a decision that an earlier line told already.
    pub fn is_told_again(&self) -> bool {
        matches!(self, Self::Decision(decided) if decided.again)
    }
}

impl About {
    /// What is said of a request. `generation` is that of its policy now.
    pub fn of(request: &TapRequest, generation: Option<i64>) -> Self {
        let spec = &request.spec;
        let status = request.status.as_ref();
        let resolved = status.and_then(|status| status.resolved.as_ref());
        let issued = status.and_then(|status| Some(status.basis.as_ref()?.policy_generation));
        let lifetime = resolved.map(|r| &r.lifetime).or(spec.lifetime.as_ref());
        let of_resolved = |field: fn(&Resolved) -> &String| resolved.map(field).cloned();
        let recipients = spec.recipients.as_deref();
        Self {
            namespace: request.namespace().unwrap_or_default(),
            request: request.name_any(),
            uid: request.uid().unwrap_or_default(),
            created: text(request.created()),
            policy: spec.policy_ref.name.clone(),
            policy_generation: issued.or(generation),
            user: Some(spec.user.clone()),
            requester: spec.requested_by.clone(),
            ticket: spec.reason.clone(),
            lifetime: lifetime.map(ToString::to_string),
            one_time_use: Some(
                resolved.map_or(spec.one_time_use.unwrap_or(true), |r| r.one_time_use),
            ),
            delivery: Some(if recipients.is_some() { "sealed" } else { "clear" }),
            recipients: recipients
                .unwrap_or_default()
                .iter()
                .map(|key| seal::fingerprint(key))
                .collect(),
            tenant_id: of_resolved(|resolved| &resolved.tenant_id),
            user_id: of_resolved(|resolved| &resolved.user_id),
            user_principal_name: of_resolved(|resolved| &resolved.user_principal_name),
        }
    }
}

impl Change {
    /// The correction of a difference.
    pub fn of(Drift { field, desired, observed }: &Drift) -> Self {
        Self { field: field.clone(), from: observed.clone(), to: desired.clone() }
    }
}

impl PassLine {
    /// The pass of a request.
    pub fn of(request: &TapRequest) -> Self {
        let pass = request.status.as_ref().and_then(|status| status.pass.as_ref());
        Self {
            pass_id: pass.map(|pass| pass.id.clone()),
            client_request_id: pass.map(|pass| pass.client_request_id.clone()),
            starts: pass.map(|pass| text(pass.start_time.0)),
            expires: pass.map(|pass| text(pass.expiration_time.0)),
        }
    }
}

impl DecisionLine {
    /// A decision about a request.
    pub fn of(request: &TapRequest, decision: &Decision) -> Self {
        let Decision { by, decision, comment } = decision;
        let status = request.status.as_ref();
        let seen = status.and_then(|status| first_seen(status, by, *decision));
        Self { by: by.clone(), decision: *decision, comment: comment.clone(), seen: seen.map(text) }
    }
}

fn text(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const READER: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn request() -> TapRequest {
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": "lost-phone", "namespace": "helpdesk", "uid": "u", "creationTimestamp": "2026-11-24T08:00:00Z"},
            "spec": {
                "policyRef": {"name": "contoso"}, "user": "alice@contoso.com", "lifetime": "2h", "oneTimeUse": false,
                "reason": "INC0012345", "recipients": [READER], "requestedBy": "rita@contoso.com",
            },
            "status": {
                "phase": "Active", "approvals": "1/1",
                "conditions": [{"type": "Ready", "status": "True", "reason": "Issued", "message": "it is there", "lastTransitionTime": "2026-11-24T08:10:00Z"}],
                "decisions": [
                    {"by": "ada@contoso.com", "decision": "Approve", "comment": "called back"},
                    {"by": "bob@contoso.com", "decision": "Revoke"},
                ],
                "seen": [{"by": "ada@contoso.com", "decision": "Approve", "at": "2026-11-24T08:09:00Z"}],
                "checks": [{"name": "User", "result": "Passed"}],
                "resolved": {"tenantId": "t", "userId": "a", "userPrincipalName": "alice@contoso.com", "lifetime": "2h", "oneTimeUse": false},
                "basis": {"policyGeneration": 3, "approvedBy": ["ada@contoso.com"]},
                "pass": {"id": "p", "startTime": "2026-11-24T08:10:00Z", "expirationTime": "2026-11-24T10:10:00Z", "clientRequestId": "c"},
            },
        });
        serde_json::from_value(request).unwrap()
    }

    fn about() -> Value {
        json!({
            "namespace": "helpdesk", "request": "lost-phone", "uid": "u", "created": "2026-11-24T08:00:00Z",
            "policy": "contoso", "policy_generation": 3, "user": "alice@contoso.com", "requester": "rita@contoso.com",
            "ticket": "INC0012345", "lifetime": "2h", "one_time_use": false, "delivery": "sealed", "recipients": [READER],
            "tenant_id": "t", "user_id": "a", "user_principal_name": "alice@contoso.com",
        })
    }

    fn with(mut value: Value, more: &Value) -> Value {
        json_patch::merge(&mut value, more);
        value
    }

    #[test]
    fn a_transition_says_all_that_is_known_of_the_request() {
        let line = serde_json::to_value(Line::transition(&request(), Some(9))).unwrap();
        let expected = with(
            about(),
            &json!({
                "audit": "transition", "phase": "Active", "reason": "Issued", "explanation": "it is there", "approvals": "1/1",
                "approved_by": ["ada@contoso.com"],
                "decisions": [
                    {"by": "ada@contoso.com", "decision": "Approve", "comment": "called back", "seen": "2026-11-24T08:09:00Z"},
                    {"by": "bob@contoso.com", "decision": "Revoke"},
                ],
                "checks": [{"name": "User", "result": "Passed"}],
                "pass_id": "p", "client_request_id": "c", "starts": "2026-11-24T08:10:00Z", "expires": "2026-11-24T10:10:00Z",
            }),
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn a_decision_that_a_status_has_is_told_again() {
        let request = request();
        for (decision, again) in [(0, true), (1, false)] {
            let decision = &request.decisions()[decision];
            let line = serde_json::to_value(Line::decision(&request, decision, None)).unwrap();
            assert_eq!((&line["audit"], &line["again"]), (&json!("decision"), &json!(again)));
            assert_eq!((&line["by"], &line["ticket"]), (&json!(decision.by), &json!("INC0012345")));
        }
    }

    #[test]
    fn a_request_that_is_gone_leaves_what_it_was() {
        let line = serde_json::to_value(Line::gone(&request(), None)).unwrap();
        let pass = json!({
            "audit": "gone", "phase": "Active", "reason": "Issued",
            "pass_id": "p", "client_request_id": "c", "starts": "2026-11-24T08:10:00Z", "expires": "2026-11-24T10:10:00Z",
        });
        assert_eq!(line, with(about(), &pass));

        let line = Line::gone_unseen(&"u".into(), &Observed::of(&request()));
        let expected = json!({
            "audit": "gone", "namespace": "helpdesk", "request": "lost-phone", "uid": "u", "created": "2026-11-24T08:00:00Z",
            "policy": "contoso", "requester": "rita@contoso.com", "tenant_id": "t", "phase": "Active", "pass_id": "p",
            "starts": "2026-11-24T08:10:00Z", "expires": "2026-11-24T10:10:00Z",
        });
        assert_eq!(serde_json::to_value(line).unwrap(), expected);
    }

    #[test]
    fn what_nobody_said_is_left_out() {
        let mut request = request();
        request.spec = serde_json::from_value(
            json!({"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"}),
        )
        .unwrap();
        request.status = None;
        let line = serde_json::to_value(Line::transition(&request, Some(9))).unwrap();
        let expected = json!({
            "audit": "transition", "namespace": "helpdesk", "request": "lost-phone", "uid": "u", "created": "2026-11-24T08:00:00Z",
            "policy": "contoso", "policy_generation": 9, "user": "alice@contoso.com", "one_time_use": true, "delivery": "clear",
            "phase": "Pending", "reason": "", "explanation": "", "decisions": [], "checks": [],
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_correction_says_what_was_changed() {
        let policy: TapPolicy = serde_json::from_value(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
            "metadata": {"name": "contoso", "generation": 4}, "spec": {"tenant": "default"},
        }))
        .unwrap();
        let drift =
            Drift { field: "codeLength".into(), desired: "14".into(), observed: "8".into() };
        let line =
            serde_json::to_value(Line::correction(&policy, "default", "t", &[drift])).unwrap();
        let expected = json!({
            "audit": "correction", "policy": "contoso", "policy_generation": 4, "connection": "default", "tenant_id": "t",
            "changed": [{"field": "codeLength", "from": "8", "to": "14"}],
        });
        assert_eq!(line, expected);
    }
}
