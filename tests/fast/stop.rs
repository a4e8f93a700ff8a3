//! The emergency stop as people write it in a hurry, and as it is seen when its watch shows nothing.

use std::time::Duration;

use kubernetes_api::{Fault, Match, Verb, WatchEnd};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::controller::metrics::Format;
use tokio::time::sleep;

use crate::world::{IN_ORDER, SERVICE_ACCOUNT, SOON, SYSTEM, World};

/// The events about the stop.
fn events(world: &World) -> Vec<Value> {
    let mut events = world.kubernetes.list("events");
    events.retain(|event| event["regarding"]["name"] == "tap-operator-stop");
    events
}

#[tokio::test(start_paused = true)]
async fn what_is_no_clear_no_revokes_and_is_said_everywhere() {
    for entry in [json!({"revokeActive": "ture"}), json!({"revokeactive": "true"})] {
        let world = World::new();
        let operator = world.operator();
        let gauges = operator.metrics.clone();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        assert!(gauges.text(Format::Classic).contains("tap_operator_stopped 0\n"));

        world.stop(&entry);
        world.until_ended("lost-phone", Phase::Revoked, SOON).await;
        let told = || world.policy_says("contoso", "Stopped") == "True StopNotUnderstood";
        world.until("the policy says so", SOON, told).await;
        for gauge in ["tap_operator_stopped 1\n", "tap_operator_stop_not_understood 1\n"] {
            assert!(gauges.text(Format::Classic).contains(gauge), "{entry}: {gauge}");
        }
        let events = events(&world);
        assert_eq!(events.len(), 1, "{entry}: {events:?}");
        assert_eq!(
            (&events[0]["type"], &events[0]["reason"]),
            (&json!("Warning"), &json!("StopNotUnderstood"))
        );

        world.stop(&json!({"revokeActive": "true"}));
        let told = || world.policy_says("contoso", "Stopped") == "True Stopped";
        world.until("the policy says that it is understood", SOON, told).await;
        world.kubernetes.delete("configmaps", SYSTEM, "tap-operator-stop").expect("there");
        let silent = || world.policy_says("contoso", "Stopped") == " ";
        world.until("the policy says nothing of a stop", SOON, silent).await;
        assert!(gauges.text(Format::Classic).contains("tap_operator_stop_not_understood 0\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_stops_and_revokes_nothing_and_is_said() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.stop(&json!({"revoke": "true"}));
    let told = || world.policy_says("contoso", "Stopped") == "True StopNotUnderstood";
    world.until("the policy says so", SOON, told).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!((world.phase("lost-phone"), events(&world).len()), (Phase::Active, 1));
}

#[tokio::test(start_paused = true)]
async fn it_is_seen_within_seconds_though_its_watch_went_silent() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let watches = Match::any().user(SERVICE_ACCOUNT).resource("configmaps");
    assert_eq!(world.kubernetes.end_watches(&watches, WatchEnd::Silent), 1);
    world.stop(&json!({"revokeActive": "yes"}));
    world.until_ended("lost-phone", Phase::Revoked, Duration::from_secs(11)).await;
    world.kubernetes.delete("configmaps", SYSTEM, "tap-operator-stop").expect("there");
    world.request("another", &json!({"user": "bob@contoso.com"}));
    world.until_phase("another", Phase::Active, Duration::from_secs(15)).await;
}

/// It counts as set then, and a stop keeps no pass from being taken away.
#[tokio::test(start_paused = true)]
async fn a_process_that_cannot_read_the_stop_ends_passes_and_issues_none() {
    let world = World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.stop().await;
    let reads = Match::verb(Verb::Get).resource("configmaps");
    let outage = world.kubernetes.fail(reads, Fault::server_error(500));
    let _another = world.operator();
    world.request("another", &json!({"user": "bob@contoso.com"}));
    world.until_ended("lost-phone", Phase::Expired, Duration::from_mins(11)).await;
    assert_eq!((world.posts(), world.phase("another")), (1, Phase::Pending));
    drop(outage);
    world.until_phase("another", Phase::Active, IN_ORDER).await;
}
