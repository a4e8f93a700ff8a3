//! The operator issues only if its admission policies are in the cluster as they are shipped, and are in force.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tokio::time::sleep;

use crate::world::{SETTLE, SOON, World, admission};
use kubernetes_api::{Fault, Match, Verb, statuses};

/// Within this time the operator notices that a probe (a dry run) has another result than before.
const NOTICED: Duration = Duration::from_secs(65);

fn plural(object: &Value) -> String {
    let kind = object["kind"].as_str().expect("a kind").to_lowercase();
    if kind.ends_with("binding") { format!("{kind}s") } else { kind.replace("policy", "policies") }
}

fn title(object: &Value) -> String {
    format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "")
}

/// Replaces the object of this name and keeps its creation time.
fn apply(world: &World, object: &Value) {
    world.kubernetes.put(object.clone());
}

fn message(world: &World, name: &str) -> String {
    let status = world.get(name).status.unwrap_or_default();
    let ready = status.conditions.into_iter().find(|c| c.type_ == "Ready");
    ready.map(|c| c.message).unwrap_or_default()
}

/// Expects the request to wait because of the admission policies, with these words in its message.
async fn waits(world: &World, name: &str, words: &str) {
    let what = format!("{name} waits: {words}");
    world
        .until(&what, NOTICED, || {
            world.reason(name) == "AdmissionMissing" && message(world, name).contains(words)
        })
        .await;
    assert_eq!(world.phase(name), Phase::Pending);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_issued_without_the_policies() {
    let world = World::without_admission_policies();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    waits(&world, "lost-phone", "ValidatingAdmissionPolicy tap-operator-requests is missing").await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!((world.phase("lost-phone"), world.posts()), (Phase::Pending, 0));
    world.install_admission_policies();
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn each_missing_or_changed_object_holds_back_what_is_new_until_it_is_applied_again() {
    for object in admission() {
        let (kind, name) = (plural(&object), object["metadata"]["name"].as_str().expect("a name"));
        let mut changed = object.clone();
        if kind.ends_with("policies") {
            changed["spec"]["validations"] = json!([{"expression": "true"}]);
        } else {
            changed["spec"]["validationActions"] = json!(["Audit"]);
        }
        for change in [None, Some(changed)] {
            let world = World::new();
            let _operator = world.operator();
            world.request("live", &json!({"user": "bob@contoso.com"}));
            world.until_phase("live", Phase::Active, SOON).await;
            match &change {
                None => drop(world.kubernetes.delete(&kind, "", name).expect("it was there")),
                Some(changed) => apply(&world, changed),
            }
            sleep(SOON).await;
            world.request("waiting", &json!({}));
            waits(&world, "waiting", &title(&object)).await;
            sleep(Duration::from_mins(2)).await;
            assert_eq!((world.posts(), world.phase("live")), (1, Phase::Active));
            match change {
                None => world.put_created_at(
                    object.clone(),
                    world.kubernetes.now() - SignedDuration::from_hours(1),
                ),
                Some(_) => apply(&world, &object),
            }
            world.until_phase("waiting", Phase::Active, SOON).await;
            world.check();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_without_effect_hold_nothing_back() {
    let world = World::new();
    let _operator = world.operator();
    world.request("waiting", &json!({"user": "bob@contoso.com", "policyRef": {"name": "none"}}));
    world.until("it waits", SOON, || world.reason("waiting") == "PolicyNotFound").await;
    for mut object in admission() {
        object["metadata"]["labels"]["team"] = json!("identity");
        object["status"] = json!({"observedGeneration": 1, "typeChecking": {}});
        if object["spec"]["validationActions"].is_array() {
            object["spec"]["validationActions"] = json!(["Deny", "Audit"]);
        }
        apply(&world, &object);
    }
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn policies_as_shipped_that_are_not_in_force_are_not_enough() {
    let world = World::new();
    world.enforcing.store(false, Ordering::Relaxed);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    waits(&world, "lost-phone", "lets the operator create Secrets that hold no passes").await;
    waits(&world, "lost-phone", "lets the operator write labels tap-operator.io/* of TapRequests")
        .await;
    waits(&world, "lost-phone", "lets the operator write status.decisions").await;
    world.enforcing.store(true, Ordering::Relaxed);
    world.until_phase("lost-phone", Phase::Active, SOON).await;

    world.enforcing.store(false, Ordering::Relaxed);
    sleep(NOTICED).await;
    world.request("another", &json!({"user": "bob@contoso.com"}));
    waits(&world, "another", "does not enforce them").await;
    assert_eq!((world.posts(), world.phase("lost-phone")), (1, Phase::Active));
    world.enforcing.store(true, Ordering::Relaxed);
    world.until_phase("another", Phase::Active, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_dry_run_proves_nothing() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let probes = Match::verb(Verb::Create).resource("secrets").dry_run(true);
    let probes = probes.when(|r| r.body["type"] == "Opaque");
    let outage = world.kubernetes.fail(probes, Fault::Refused(statuses::server_error(503)));
    sleep(NOTICED).await;
    world.request("another", &json!({"user": "bob@contoso.com"}));
    world.until_phase("another", Phase::Active, SOON).await;
    drop(outage);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_older_than_the_policies_must_be_created_again() {
    for object in admission() {
        let secrets = object["metadata"]["name"] == "tap-operator-secrets";
        let world = World::new();
        let _operator = world.operator();
        world.request("live", &json!({"user": "bob@contoso.com"}));
        world.until_phase("live", Phase::Active, SOON).await;
        let name = object["metadata"]["name"].as_str().expect("a name");
        world.kubernetes.delete(&plural(&object), "", name).expect("it was there");
        sleep(SOON).await;
        world.request("before", &json!({}));
        waits(&world, "before", &title(&object)).await;
        world.put_created_at(object.clone(), world.kubernetes.now());
        if secrets {
            // The policy on Secrets does not say who may ask for a pass.
            world.until_phase("before", Phase::Active, SOON).await;
            continue;
        }
        world.until_phase("before", Phase::Failed, SOON).await;
        assert_eq!(world.reason("before"), "CreatedUnguarded");
        assert!(message(&world, "before").contains("create it again"));
        world.request("too-soon", &json!({}));
        world.until_phase("too-soon", Phase::Failed, SOON).await;
        assert_eq!(world.reason("too-soon"), "CreatedUnguarded");
        sleep(Duration::from_secs(15)).await;
        world.request("after", &json!({}));
        world.until_phase("after", Phase::Active, SOON).await;
        assert_eq!((world.posts(), world.phase("live")), (2, Phase::Active));
        world.check();
    }
}

#[tokio::test(start_paused = true)]
async fn the_flag_allow_unguarded_issues_without_the_policies() {
    let world = World::without_admission_policies();
    let _operator = world.unguarded_operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.put_created_at(admission().remove(0), world.kubernetes.now());
    world.request("another", &json!({"user": "bob@contoso.com"}));
    world.until_phase("another", Phase::Active, SOON).await;
    assert_eq!(world.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_left_behind_because_nobody_knows_yet_whose_it_is() {
    let world = World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.crash().await;
    sleep(Duration::from_mins(10)).await;
    let probes = Match::verb(Verb::Create).resource("secrets").dry_run(true);
    let outage = world.kubernetes.fail(probes, Fault::ConnectionLost);
    let _operator = world.operator();
    sleep(SETTLE / 2).await;
    assert!(world.delivered("lost-phone").is_some(), "it may belong to somebody else");
    assert_eq!(world.phase("lost-phone"), Phase::Active);
    drop(outage);
    world.until_ended("lost-phone", Phase::Expired, NOTICED).await;
}
