//! Objects that a newer or a broken client wrote do not stop other requests, and their deletion ends.

use std::time::Duration;

use jiff::Timestamp;
use kubernetes_api::{Fault, Match, Verb};
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION};
use tap_operator::decision::intent::Intent;
use tokio::time::sleep;

use crate::world::{NAMESPACE, SOON, World};

/// A request that this version cannot read, and that has no pass after this time.
fn put_broken(world: &World, expires: Timestamp) {
    let intent = json!({"latestExpiry": expires.to_string()});
    world.kubernetes.put(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {
            "name": "broken", "namespace": NAMESPACE, "finalizers": [FINALIZER],
            "annotations": {INTENT_ANNOTATION: intent.to_string()},
        },
        "spec": {"policyRef": "contoso", "user": 5},
    }));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_read_stops_no_other_and_goes_when_its_pass_has_expired() {
    let world = World::new();
    let expires = world.tenant.now() + jiff::SignedDuration::from_mins(30);
    put_broken(&world, expires);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.kubernetes.delete("taprequests", NAMESPACE, "broken").expect("deleted");
    let there = || world.kubernetes.get("taprequests", NAMESPACE, "broken").is_some();
    sleep(Duration::from_mins(28)).await;
    assert!(there(), "a pass may be live\n{}", world.report());
    world.until("it is gone", Duration::from_mins(5), || !there()).await;
    assert!(world.tenant.now() >= expires);
}

#[tokio::test(start_paused = true)]
async fn a_call_about_a_request_that_cannot_be_read_is_made_again_when_it_failed() {
    let reads = Match::verb(Verb::Get).resource("taprequests").name("broken");
    let release = Match::verb(Verb::Patch).resource("taprequests").name("broken");
    for fails in [reads, release] {
        let world = World::new();
        put_broken(&world, world.tenant.now());
        world.kubernetes.fail_next(fails, Fault::server_error(500));
        let _operator = world.operator();
        sleep(SOON).await;
        world.kubernetes.delete("taprequests", NAMESPACE, "broken").expect("deleted");
        let gone = || world.kubernetes.get("taprequests", NAMESPACE, "broken").is_none();
        world.until("it is gone", Duration::from_mins(5), gone).await;
    }
}

#[tokio::test(start_paused = true)]
async fn words_of_a_newer_version_issue_nothing() {
    for (field, fields) in [
        ("phase", json!({"status": {"phase": "Paused", "decisions": []}})),
        (
            "decision",
            json!({"status": {"phase": "Pending", "decisions": [
                {"by": "ada@contoso.com", "decision": "Postpone"},
            ]}}),
        ),
    ] {
        let world = World::new();
        let mut request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": "newer", "namespace": NAMESPACE},
            "spec": {
                "policyRef": {"name": "contoso"}, "user": "alice@contoso.com",
                "requestedBy": "rita@contoso.com",
            },
        });
        json_patch::merge(&mut request, &fields);
        world.kubernetes.put(request);
        let _operator = world.operator();
        sleep(Duration::from_mins(5)).await;
        assert_eq!(world.posts(), 0, "{field}\n{}", world.report());
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_of_a_newer_version_keeps_its_user_from_another_pass_until_it_is_over() {
    let world = World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.crash().await;
    let mut request = serde_json::to_value(world.get("lost-phone")).expect("JSON");
    let mut intent = serde_json::to_value(Intent::of(&world.get("lost-phone"))).expect("JSON");
    intent["stage"] = json!({"name": "newer"});
    request["metadata"]["annotations"][INTENT_ANNOTATION] = json!(intent.to_string());
    world.kubernetes.put(request);
    let _operator = world.operator();
    let reported = || world.reason("lost-phone") == "IntentUnreadable";
    world.until("it is reported", Duration::from_mins(1), reported).await;
    world.request("another", &json!({"onExistingPass": "Wait"}));
    sleep(Duration::from_mins(5)).await;
    assert_eq!((world.phase("another"), world.posts()), (Phase::Pending, 1));
    world.until_ended("lost-phone", Phase::Expired, Duration::from_mins(10)).await;
    assert_eq!(world.delivered("lost-phone"), None);
    world.until_phase("another", Phase::Active, Duration::from_mins(2)).await;
}
