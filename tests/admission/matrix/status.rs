//! Decisions, and writes of the rest of the status.

use anyhow::Result;
use serde_json::{Value, json};

use super::cast::{Caller, OTHER_POLICY, Resource, Verb};
use super::edit::{self, Way};
use super::objects::Objects;
use super::{Case, Server, Verdict};
use crate::cluster::text;
use crate::office::{Office, POLICY};

const REST_RULE: &str = "people may write only status.decisions, no other part of the status";
const APPEND_RULE: &str = "a decision cannot be changed or removed";
const NAME_RULE: &str = "people decide in their own name: by must be";
const ROBOT_RULE: &str = "a ServiceAccount cannot approve or deny";
const OWN_RULE: &str = "the requester cannot approve or deny the request";
const APPROVE_RULE: &str = "that needs the verb approve on tappolicies/contoso";
const REVOKE_RULE: &str = "only alice@contoso.com and people who may approve can revoke";
const OPERATOR_RULE: &str = "tap-operator does not change status.decisions";

/// How a write changes the status.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Nothing,
    /// A field that only the operator may write.
    Rest,
    /// A new decision in the caller's own name.
    Decision(&'static str),
    /// A new decision in somebody else's name.
    InAnothersName,
    /// A new decision, and a field that only the operator may write.
    DecisionAndRest,
    /// A past decision is removed or changed.
    Past,
    /// The whole status is removed.
    Everything,
}

/// Changes to the status by a user of this name.
fn table(me: &str) -> Vec<(&'static str, Value, Effect)> {
    use Effect::{Decision, DecisionAndRest, Everything, InAnothersName, Nothing, Past, Rest};
    let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    let take = |path: &str| json!([{"op": "remove", "path": path}]);
    let decide = |by: &str, decision: &str| {
        set("/status/decisions/-", json!({"by": by, "decision": decision}))
    };
    let and = |first: Value, path: &str, value: Value| {
        let mut operations = first.as_array().cloned().unwrap_or_default();
        operations.push(json!({"op": "add", "path": path, "value": value}));
        Value::Array(operations)
    };
    let time = "2026-11-24T08:00:00Z";
    let pass = json!({
        "id": "1", "startTime": time, "expirationTime": time, "clientRequestId": "2",
    });
    let resolved = json!({
        "tenantId": "1", "userId": "2", "userPrincipalName": "3", "lifetime": "1h",
        "oneTimeUse": true,
    });
    let condition = json!([{
        "type": "Issued", "status": "True", "reason": "Issued", "message": "",
        "lastTransitionTime": time,
    }]);
    vec![
        ("nothing", json!([]), Nothing),
        ("the phase", set("/status/phase", json!("Active")), Rest),
        ("the generation", set("/status/observedGeneration", json!(7)), Rest),
        ("the count", set("/status/approvals", json!("2/2")), Rest),
        ("a condition", set("/status/conditions", condition), Rest),
        ("a check", set("/status/checks/-", json!({"name": "User", "result": "Passed"})), Rest),
        ("another result", set("/status/checks/0/result", json!("Failed")), Rest),
        ("no checks", take("/status/checks"), Rest),
        ("the deadline", set("/status/deadline", json!(time)), Rest),
        ("the end", set("/status/finishedAt", json!(time)), Rest),
        ("a pass", set("/status/pass", pass), Rest),
        ("a resolved user", set("/status/resolved", resolved), Rest),
        ("another Secret", set("/status/secretName", json!("other")), Rest),
        ("no Secret", take("/status/secretName"), Rest),
        ("no status", take("/status"), Everything),
        ("Approve", decide(me, "Approve"), Decision("Approve")),
        ("Deny", decide(me, "Deny"), Decision("Deny")),
        ("Revoke", decide(me, "Revoke"), Decision("Revoke")),
        ("Approve in another's name", decide("mallory@contoso.com", "Approve"), InAnothersName),
        ("Revoke in another's name", decide("mallory@contoso.com", "Revoke"), InAnothersName),
        (
            "Approve and a phase",
            and(decide(me, "Approve"), "/status/phase", json!("Active")),
            DecisionAndRest,
        ),
        (
            "Approve and another requester",
            and(decide(me, "Approve"), "/spec/requestedBy", json!("mallory@contoso.com")),
            Decision("Approve"),
        ),
        (
            "Approve and another policy",
            and(decide(me, "Approve"), "/spec/policyRef/name", json!(OTHER_POLICY)),
            Decision("Approve"),
        ),
        (
            "Approve and no finalizers",
            and(decide(me, "Approve"), "/metadata/finalizers", json!([])),
            Decision("Approve"),
        ),
        ("no decisions", set("/status/decisions", json!([])), Past),
        ("Bob's decision dropped", take("/status/decisions/0"), Past),
        ("Bob's decision changed", set("/status/decisions/0/decision", json!("Deny")), Past),
        ("Bob's decision taken over", set("/status/decisions/0/by", json!(me)), Past),
        ("a comment on it", set("/status/decisions/0/comment", json!("!")), Past),
    ]
}

/// What is wrong with a decision in the caller's own name.
fn wrong_with_decision(who: &Caller, decision: &str, own: bool) -> Vec<&'static str> {
    let may_approve = who.has(Verb::Approve, POLICY);
    if decision == "Revoke" {
        return if own || may_approve { vec![] } else { vec![REVOKE_RULE] };
    }
    [(who.is_service_account(), ROBOT_RULE), (own, OWN_RULE), (!may_approve, APPROVE_RULE)]
        .into_iter()
        .filter_map(|(wrong, rule)| wrong.then_some(rule))
        .collect()
}

fn wrong_with(effect: Effect, who: &Caller, own: bool) -> Vec<&'static str> {
    match (effect, who.is_operator()) {
        (Effect::Nothing, _) | (Effect::Rest, true) => vec![],
        (Effect::Rest | Effect::DecisionAndRest | Effect::Everything, false) => vec![REST_RULE],
        (Effect::Decision(decision), false) => wrong_with_decision(who, decision, own),
        (Effect::InAnothersName, false) => vec![NAME_RULE],
        (Effect::Past, false) => vec![APPEND_RULE],
        (
            Effect::Decision(_)
            | Effect::InAnothersName
            | Effect::DecisionAndRest
            | Effect::Past
            | Effect::Everything,
            true,
        ) => vec![OPERATOR_RULE],
    }
}

pub fn cases<'a>(
    office: &Office<'_>,
    server: Server,
    objects: &Objects,
    everybody: &'a [Caller],
) -> Result<Vec<Case<'a>>> {
    let mut cases = Vec::new();
    for who in everybody.iter().filter(|who| who.matters_to(Some(Verb::Approve))) {
        for (whose, before) in [("Alice's", Some(&objects.live)), ("their own", objects.own(who))] {
            let Some(before) = before else { continue };
            let own = whose == "their own";
            let path = office.status(text(before, "/metadata/name")?);
            for (what, operations, effect) in table(who.actor.name()) {
                // The rules about the rest of the status do not depend on the server's version.
                if server == Server::Older && matches!(effect, Effect::Rest) {
                    continue;
                }
                // Other fields of one's own request follow the same rules as those of others' requests.
                if own && !matches!(effect, Effect::Decision(_) | Effect::InAnothersName) {
                    continue;
                }
                for way in Way::ALL {
                    // One strategic patch is enough to see that none is supported.
                    if way == Way::StrategicPatch && what != "Approve" {
                        continue;
                    }
                    let Some(call) = edit::call(way, &path, before, &operations)? else { continue };
                    let kept = vec![
                        ("/spec", before["spec"].clone()),
                        ("/metadata/finalizers", before["metadata"]["finalizers"].clone()),
                    ];
                    let wrong = wrong_with(effect, who, own);
                    let mut verdict = Verdict::of(who, way.verb(), Resource::Status, wrong, kept);
                    if way == Way::StrategicPatch && who.can("patch", Resource::Status) {
                        verdict = Verdict::Outside(
                            415,
                            "the body of the request was in an unknown format",
                        );
                    }
                    let what = format!("{way:?} on {whose}, {what}");
                    cases.push(Case { what, who, call, verdict });
                }
            }
        }
    }
    Ok(cases)
}
