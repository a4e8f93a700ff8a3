//! What the operator tells of itself and of what people must do: events, `status.seen`, metrics, the state of connections.

use std::time::Duration;

use graph_simulator::tenant::{OPERATOR, PILOT_GROUP};
use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use kubernetes_api::{Fault as ApiFault, Match, Verb};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::controller::metrics::Format;
use tokio::time::sleep;

use crate::world::{IN_ORDER, NAMESPACE, SOON, World, intent_write, operators_writes};

/// The events about an object: type and reason, in order.
fn events(world: &World, kind: &str, name: &str) -> Vec<(String, String)> {
    let about =
        |event: &Value| event["regarding"]["kind"] == kind && event["regarding"]["name"] == name;
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let all = world.kubernetes.list("events").into_iter().filter(about);
    all.map(|event| (text(&event, "type"), text(&event, "reason"))).collect()
}

fn warns(reason: &str) -> (String, String) {
    ("Warning".into(), reason.into())
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_act_on_is_a_warning_on_the_request_and_on_the_policy() {
    let world = World::new();
    world.policy_named("elsewhere", &json!({"tenant": "fabrikam"}));
    let _operator = world.operator();
    world.request("lost-phone", &json!({"policyRef": {"name": "none"}}));
    let told = || events(&world, "TapRequest", "lost-phone") == [warns("PolicyNotFound")];
    world.until("the request says so", SOON, told).await;
    let told = || events(&world, "TapPolicy", "elsewhere") == [warns("TenantNotConfigured")];
    world.until("the policy says so", SOON, told).await;
    sleep(Duration::from_hours(1)).await;
    assert_eq!(events(&world, "TapPolicy", "elsewhere").len(), 1, "it is told once");
}

/// The webhook of somebody else does not answer: the API server says 500, and what the status says is not why.
#[tokio::test(start_paused = true)]
async fn calls_to_the_api_server_that_keep_failing_are_told_once() {
    let world = World::new();
    let _operator = world.operator();
    let outage = world.kubernetes.fail(intent_write(), ApiFault::server_error(500));
    world.request("lost-phone", &json!({}));
    let told = || events(&world, "TapRequest", "lost-phone").contains(&warns("ReconcileFailed"));
    sleep(Duration::from_secs(10)).await;
    assert!(!told(), "that may be a hiccup");
    world.until("it is told", Duration::from_mins(1), told).await;
    sleep(Duration::from_mins(10)).await;
    let warnings = events(&world, "TapRequest", "lost-phone");
    assert_eq!(warnings.iter().filter(|told| **told == warns("ReconcileFailed")).count(), 1);
    drop(outage);
    world.until_phase("lost-phone", Phase::Active, Duration::from_mins(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_fails_is_told_on_the_policy_and_in_the_state_of_the_connection() {
    let world = World::new();
    let operator = world.operator();
    let known = &operator.connections;
    world.until("it signed in", SOON, || known.get("default").is_some()).await;
    assert_eq!(known.problems(), [""; 0]);
    let right = world.tenant.edit_app(OPERATOR, |app| {
        for secret in &mut app.secrets {
            "another".clone_into(&mut secret.value);
        }
    });
    right.expect("there is the app");
    world.tenant.expire_tokens();
    let told = || events(&world, "TapPolicy", "contoso").contains(&warns("SignInFailed"));
    world.until("the policy says so", Duration::from_hours(1), told).await;
    let problems = known.problems();
    assert!(problems.len() == 1 && problems[0].contains("AADSTS7000215"), "{problems:?}");
    let page = operator.metrics.text(Format::Classic);
    for line in [
        "tap_operator_connection_up{connection=\"default\"} 0.0\n",
        "tap_operator_connection_signed_in{connection=\"default\"} 0.0\n",
        "condition=\"Ready\",status=\"False\",reason=\"SignInFailed\"} 1.0\n",
    ] {
        assert!(page.contains(line), "no {line}{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_policy_is_told_as_down_only_until_its_tenant_answers() {
    let world = World::new();
    world.kubernetes.delete("tappolicies", "", "contoso").expect("it is there");
    let down = |kind| world.tenant.inject(Fault::on(Operation::PolicyGet, kind).times(1_000));
    down(FaultKind::ConnectionCut);
    let operator = world.operator();
    let known = &operator.connections;
    world.until("it is down", SOON, || known.problems().len() == 1).await;
    sleep(Duration::from_mins(30)).await;
    assert_eq!(known.problems().len(), 1);
    world.tenant.clear_faults();
    let asked = || world.tenant.requests_for(Operation::PolicyGet).len();
    let works = || known.problems().is_empty();
    world.until("it works", Duration::from_mins(15), works).await;
    let before = asked();
    sleep(Duration::from_hours(2)).await;
    assert_eq!(asked(), before, "a connection that works is not asked");
}

#[tokio::test(start_paused = true)]
async fn a_difference_is_told_once_though_its_groups_cannot_be_read_meanwhile() {
    let world = World::new();
    world.policy(&json!({"users": {"groups": [{"group": PILOT_GROUP, "displayName": "Another"}]}}));
    let _operator = world.operator();
    let drift = || {
        let policy = world.kubernetes.get("tappolicies", "", "contoso").unwrap_or_default();
        policy["status"]["drift"].as_array().map_or(0, Vec::len)
    };
    world.until("the difference is told", SOON, || drift() == 1).await;
    world.tenant.inject(Fault::on(Operation::GroupList, FaultKind::ConnectionCut).times(50));
    for _ in 0..120 {
        sleep(Duration::from_mins(1)).await;
        assert_eq!(drift(), 1, "it is told as long as nobody knows better");
    }
    let told = events(&world, "TapPolicy", "contoso");
    let told = told.into_iter().filter(|event| *event == warns("Drifted")).count();
    assert_eq!(told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_told_once_as_an_event_though_another_process_takes_over() {
    let world = World::new();
    world.policy(&json!({"approval": {"required": 2}}));
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
    world.decide("lost-phone", "ada@contoso.com", "Approve").await;
    let seen = || world.get("lost-phone").status.unwrap_or_default().seen;
    world.until("the status says when it was seen", SOON, || seen().len() == 1).await;
    let first = seen();
    assert_eq!(first[0].by, "ada@contoso.com");
    operator.stop().await;

    sleep(Duration::from_hours(1)).await;
    let _another = world.operator();
    sleep(IN_ORDER).await;
    let decided = |event: &(String, String)| event.1 == "Decided";
    let told = events(&world, "TapRequest", "lost-phone").into_iter().filter(decided).count();
    assert_eq!(told, 1);
    world.decide("lost-phone", "bob@contoso.com", "Approve").await;
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let both = seen();
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "what was seen first stays");
    assert!(both[1].at.0.duration_since(both[0].at.0) >= SignedDuration::from_hours(1));
}

#[tokio::test(start_paused = true)]
async fn a_sighting_alone_is_no_reason_to_write() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let writes = world.kubernetes.requests_for(&operators_writes()).len();
    world.decide("lost-phone", "ada@contoso.com", "Approve").await;
    sleep(IN_ORDER).await;
    assert_eq!(world.kubernetes.requests_for(&operators_writes()).len(), writes);
    world.decide("lost-phone", "bob@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, SOON).await;
    let seen = world.get("lost-phone").status.unwrap_or_default().seen;
    let by: Vec<&str> = seen.iter().map(|seen| seen.by.as_str()).collect();
    assert_eq!(by, ["ada@contoso.com", "bob@contoso.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_finished_request_whose_deletion_is_refused_is_deleted_ever_more_seldom() {
    let world = World::new();
    let _operator = world.operator();
    let deletes = Match::verb(Verb::Delete).resource("taprequests");
    let _outage = world.kubernetes.fail(deletes.clone(), ApiFault::server_error(500));
    ended_a_day_ago(&world);
    let tries = || world.kubernetes.requests_for(&deletes).len();
    world.until("its deletion is tried", Duration::from_mins(2), || tries() > 0).await;
    sleep(Duration::from_hours(1)).await;
    assert!((2..100).contains(&tries()), "{}", tries());
}

/// A request that expired a minute less than its time to live ago.
fn ended_a_day_ago(world: &World) {
    let ago = |time| format!("{:.0}", world.kubernetes.now() - time);
    world.kubernetes.put(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {"name": "lost-phone", "namespace": NAMESPACE},
        "spec": {
            "policyRef": {"name": "contoso"}, "user": "alice@contoso.com", "ttlAfterFinished": "24h",
            "startTime": ago(SignedDuration::from_hours(30)),
        },
        "status": {
            "phase": "Expired", "decisions": [], "finishedAt": ago(SignedDuration::from_mins(24 * 60 - 1)),
        },
    }));
}

/// The operator deletes it when its time to live is over, and knows so before its watch does.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_gone_is_counted_no_more() {
    let world = World::new();
    let operator = world.operator();
    ended_a_day_ago(&world);
    let page = || operator.metrics.text(Format::Classic);
    let is_count =
        |line: &str| line.starts_with("tap_operator_requests{") && !line.ends_with(" 0.0");
    let is_counted = || page().lines().any(is_count);
    world.until("it is counted", SOON, is_counted).await;
    let requests = Match::any().resource("taprequests");
    world.kubernetes.delay_watches(requests, Duration::from_secs(3));
    let is_gone = || world.find("lost-phone").is_none();
    world.until("it is gone", Duration::from_mins(2), is_gone).await;
    sleep(SOON).await;
    assert!(!is_counted(), "{}", page());
}
