//! What can happen to a single write to the API server: it is lost before or after its effect, refused, or overtaken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graph_simulator::tenant::{STAFF_GROUP, User};
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::api::names::SECRET_TYPE;
use tap_operator::decision::intent::has_finalizer;
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{IN_ORDER, NAMESPACE, SOON, World, active_write, intent_write, secret_write};
use kubernetes_api::{Fault, Match, Operation, Point, Verb, statuses};

/// The name of a write, and how to recognize it.
type Write = (&'static str, fn() -> Match);

/// The three writes of an issue.
const WRITES: [Write; 3] =
    [("intent", intent_write), ("Secret", secret_write), ("status", active_write)];

/// Every fault of a write except a permanent refusal.
fn faults() -> [Fault; 8] {
    [
        Fault::ConnectionLost,
        Fault::AnswerLost,
        Fault::Hang,
        Fault::HangAfterEffect,
        Fault::server_error(503),
        Fault::RefusedAfterEffect(statuses::server_error(500)),
        Fault::RefusedAfterEffect(statuses::server_error(504)),
        Fault::too_many_requests(2),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_once_costs_a_little_time() {
    for (which, write) in WRITES {
        for fault in faults() {
            let world = World::new();
            world.kubernetes.fail_next(write(), fault.clone());
            let _operator = world.operator();
            world.request("lost-phone", &json!({}));
            world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
            sleep(Duration::from_mins(1)).await;
            world.check_delivered("lost-phone");
            // A busy server did nothing, so the same Secret is created again.
            let is_busy = matches!(&fault, Fault::Refused(status) if status.code == 429);
            let posts = if which == "Secret" && !is_busy { 2 } else { 1 };
            assert_eq!(world.posts(), posts, "{which}, {fault:?}\n{}", world.report());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_for_a_while_is_made_when_it_can_be() {
    for (which, write) in WRITES {
        for fault in [Fault::AnswerLost, Fault::server_error(500)] {
            let world = World::new();
            let outage = world.kubernetes.fail(write(), fault.clone());
            let _operator = world.operator();
            world.request("lost-phone", &json!({}));
            sleep(Duration::from_mins(5)).await;
            world.check();
            let posts = match (which, &fault) {
                // If the Secret is found, it cannot arrive any more; if not, the operator waits for it.
                ("Secret", Fault::AnswerLost) => 4..8,
                ("Secret", _) => 2..4,
                _ => 0..2,
            };
            assert!(
                posts.contains(&world.posts()),
                "{which}: {} POSTs\n{}",
                world.posts(),
                world.report()
            );
            drop(outage);
            world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
            sleep(Duration::from_mins(1)).await;
            world.check_delivered("lost-phone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_refused_takes_the_pass_back() {
    for fault in
        [Fault::Refused(statuses::unprocessable()), Fault::Refused(statuses::server_error(500))]
    {
        let world = World::new();
        let outage = world.kubernetes.fail(secret_write(), fault);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until("a pass was made", SOON, || world.posts() == 1).await;
        world.until("and taken back", SOON, || world.live().is_empty()).await;
        assert_ne!(world.phase("lost-phone"), Phase::Active);
        drop(outage);
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        world.check_delivered("lost-phone");
    }
}

/// A busy API server: the pass waits for its Secret for half a minute, and no other is made meanwhile.
#[tokio::test(start_paused = true)]
async fn a_busy_server_costs_one_pass_in_half_a_minute() {
    let world = World::new();
    let outage = world.kubernetes.fail(secret_write(), Fault::too_many_requests(1));
    let _operator = world.operator();
    for (name, id) in [("one", 1), ("two", 2), ("three", 3)] {
        let (id, user) = (Uuid::from_u128(id), format!("{name}@contoso.com"));
        world.tenant.add_user(User::member(id, &user, "New"));
        world.tenant.add_member(STAFF_GROUP, id).expect("a group");
        world.request(name, &json!({"user": user}));
    }
    sleep(Duration::from_secs(20)).await;
    let posts = world.posts();
    assert!(posts <= 3 && posts == world.live().len(), "{}", world.report());
    sleep(Duration::from_secs(100)).await;
    // 0, 30, 70 and 110 seconds, and those that were under way with the first.
    assert!((posts..=posts + 3).contains(&world.posts()), "{}", world.report());
    assert!(world.live().len() <= 1, "{}", world.report());
    drop(outage);
    for name in ["one", "two", "three"] {
        world.until_phase(name, Phase::Active, IN_ORDER).await;
    }
}

/// The creation of a Secret arrives after its sender has given up, cleaned up and tried again.
#[tokio::test(start_paused = true)]
async fn a_secret_that_arrives_late_is_found_and_replaced() {
    for late in [10, 29, 35, 41, 55] {
        let world = World::new();
        let mut held = world.kubernetes.intercept(secret_write(), Point::BeforeEffect);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        sleep(Duration::from_secs(late)).await;
        held.release();
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        sleep(Duration::from_mins(1)).await;
        world.check_delivered("lost-phone");
    }
}

/// It arrives long after the pass was taken back and the request was revoked, when nobody would look for it any more.
#[tokio::test(start_paused = true)]
async fn a_secret_that_arrives_late_does_not_outlive_its_request() {
    for (late, dies) in [(35, false), (90, false), (35, true), (90, true)] {
        let world = World::new();
        let mut held = world.kubernetes.intercept(secret_write(), Point::BeforeEffect);
        let operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        let _operator = if dies {
            operator.crash().await;
            world.operator()
        } else {
            operator
        };
        world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
        sleep(Duration::from_secs(late)).await;
        assert_eq!(world.live(), [], "the pass does not wait for it\n{}", world.report());
        held.release();
        sleep(Duration::from_secs(1)).await;
        world.until_ended("lost-phone", Phase::Revoked, IN_ORDER).await;
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_between_intent_and_status_is_never_delivered_as_issued() {
    for (which, write) in WRITES {
        for decision in ["Revoke", "Deny"] {
            let world = World::new();
            let mut held = world.kubernetes.intercept(write(), Point::BeforeEffect);
            let _operator = world.operator();
            world.request("lost-phone", &json!({}));
            held.reached().await;
            world.decide("lost-phone", "ada@contoso.com", decision).await;
            held.release();
            let ended = || {
                let request = world.get("lost-phone");
                assert_ne!(request.phase(), Phase::Active, "{which}\n{}", world.report());
                request.phase().is_final() && !has_finalizer(&request)
            };
            world.until("it has ended", SOON, ended).await;
            assert_eq!((world.live().len(), world.delivered("lost-phone")), (0, None));
            let issued = world.writes().iter().any(|w| {
                w.answer == kubernetes_api::Answer::Code(200)
                    && w.body["status"]["phase"] == "Active"
            });
            assert!(!issued, "{which}\n{}", world.report());
            world.check_at_rest();
            // The user is free: another pass may be issued at once.
            world.request("next", &json!({}));
            world.until_phase("next", Phase::Active, SOON).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_between_intent_and_status_takes_everything_along() {
    for (which, write) in WRITES {
        let world = World::new();
        let mut held = world.kubernetes.intercept(write(), Point::BeforeEffect);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        world.delete("lost-phone");
        held.release();
        world.until("it is gone", IN_ORDER, || world.find("lost-phone").is_none()).await;
        sleep(Duration::from_mins(1)).await;
        assert_eq!(world.live(), [], "{which}\n{}", world.report());
        world.check_at_rest();
    }
}

/// Somebody with the right to do so takes the finalizer off a request, and the request is gone.
fn vanish(world: &World, name: &str) {
    let mut request = serde_json::to_value(world.get(name)).expect("JSON");
    request["metadata"]["finalizers"] = json!([]);
    world.kubernetes.put(request);
    world.delete(name);
}

/// A request disappears while its pass is being made.
#[tokio::test(start_paused = true)]
async fn a_request_that_vanishes_in_the_middle_leaves_nothing() {
    for (which, write) in &WRITES[1..] {
        let world = World::new();
        let mut held = world.kubernetes.intercept(write(), Point::BeforeEffect);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        vanish(&world, "lost-phone");
        assert!(world.find("lost-phone").is_none());
        held.release();
        world.until("its pass is gone", IN_ORDER, || world.live().is_empty()).await;
        sleep(Duration::from_mins(1)).await;
        assert_eq!((world.live().len(), world.delivered("lost-phone")), (0, None), "{which}");
        world.check_at_rest();
    }
}

/// A request of the same name was created after it, and another process delivered the pass of that one.
#[tokio::test(start_paused = true)]
async fn what_a_vanished_request_leaves_is_not_looked_for_under_its_successors_name() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(secret_write(), Point::BeforeEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    vanish(&world, "lost-phone");
    // Nothing is done for this request, because its policy does not exist.
    world.request("lost-phone", &json!({"policyRef": {"name": "another"}}));
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE,
        "metadata": {"name": "lost-phone", "namespace": NAMESPACE},
    }));
    held.release();
    world.until("the pass is gone", IN_ORDER, || world.live().is_empty()).await;
    sleep(Duration::from_mins(1)).await;
    let there = world.kubernetes.get("secrets", NAMESPACE, "lost-phone").is_some();
    assert!(there, "{}", world.report());
}

#[tokio::test(start_paused = true)]
async fn a_harmless_change_in_between_is_only_a_conflict() {
    for (which, write) in WRITES {
        let world = World::new();
        let mut held = world.kubernetes.intercept(write(), Point::BeforeEffect);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        world.decide("lost-phone", "ada@contoso.com", "Approve").await;
        held.release();
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        world.check_delivered("lost-phone");
        assert_eq!(world.posts(), 1, "{which}\n{}", world.report());
    }
}

#[tokio::test(start_paused = true)]
async fn watches_that_break_or_lag_hide_nothing() {
    use kubernetes_api::WatchEnd::{Closed, ConnectionLost, Expired, Silent};
    for end in [Closed, ConnectionLost, Expired, Silent] {
        let world = World::new();
        let _operator = world.operator();
        sleep(SOON).await;
        world.kubernetes.compact();
        world.kubernetes.end_watches(&Match::any(), end);
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, Duration::from_mins(6)).await;
        world.check_delivered("lost-phone");
    }
    let world = World::new();
    world.kubernetes.delay_watches(Match::any().resource("taprequests"), Duration::from_secs(30));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, Duration::from_secs(40)).await;
    sleep(IN_ORDER).await;
    world.check_delivered("lost-phone");
    assert_eq!(world.posts(), 1, "an old state from the cache is acted on\n{}", world.report());
}

/// The cache does not show the operator's own writes yet when the next attempt is due.
#[tokio::test(start_paused = true)]
async fn the_next_attempt_does_not_wait_for_a_watch_that_lags() {
    let world = World::new();
    let _operator = world.operator();
    sleep(SOON).await;
    let lag = Duration::from_secs(60);
    world.kubernetes.delay_watches(Match::any().resource("taprequests"), lag);
    world.kubernetes.fail_next(secret_write(), Fault::Refused(statuses::unprocessable()));
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, lag + Duration::from_secs(30)).await;
    sleep(IN_ORDER).await;
    world.check_delivered("lost-phone");
    assert_eq!(world.posts(), 2, "{}", world.report());
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_stays() {
    let world = World::new();
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "lost-phone", "namespace": NAMESPACE},
    }));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Failed, SOON).await;
    assert_eq!((world.reason("lost-phone").as_str(), world.posts()), ("SecretNameTaken", 0));
    assert!(world.kubernetes.get("secrets", NAMESPACE, "lost-phone").is_some());

    // It is created after the dry run, and is still there after everything was taken back.
    let world = World::new();
    let mut held = world.kubernetes.intercept(secret_write(), Point::BeforeEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "lost-phone", "namespace": NAMESPACE},
    }));
    held.release();
    world.until_phase("lost-phone", Phase::Failed, IN_ORDER).await;
    assert_eq!(world.live(), [], "{}", world.report());
    assert_eq!(world.reason("lost-phone"), "SecretNameTaken");
    assert!(world.kubernetes.get("secrets", NAMESPACE, "lost-phone").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_terminating_namespace_lets_everything_go() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.kubernetes.delete("namespaces", "", NAMESPACE).expect("there");
    let gone = || world.kubernetes.get("namespaces", "", NAMESPACE).is_none();
    world.until("the namespace is gone", SOON, gone).await;
    assert_eq!(world.live(), []);
    world.check_at_rest();
}

/// Decisions belong to people: no write of the operator contains them, even if it would not change them.
#[tokio::test(start_paused = true)]
async fn no_write_speaks_of_decisions() {
    let world = World::new();
    world.policy(&json!({"approval": {"required": 1}}));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
    world.decide("lost-phone", "ada@contoso.com", "Approve").await;
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.decide("lost-phone", "rita@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, SOON).await;
    let writes = world.writes();
    assert!(writes.iter().any(|write| write.body["status"]["phase"] == "Revoked"));
    for write in writes {
        assert!(write.body["status"].get("decisions").is_none(), "{write:?}");
    }
}

/// A request disappears while its pass is being made, and another one gets its name at once.
#[tokio::test(start_paused = true)]
async fn a_request_of_the_same_name_is_another_one() {
    for (which, write) in &WRITES[1..] {
        let world = World::new();
        let mut held = world.kubernetes.intercept(write(), Point::BeforeEffect);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        held.reached().await;
        let first = world.live()[0].id;
        let mut request = serde_json::to_value(world.get("lost-phone")).expect("JSON");
        request["metadata"]["finalizers"] = json!([]);
        world.kubernetes.put(request);
        world.delete("lost-phone");
        world.request("lost-phone", &json!({"user": "bob@contoso.com"}));
        held.release();
        let deleted = || world.live().iter().all(|pass| pass.id != first);
        world.until("the pass of the first one is gone", IN_ORDER, deleted).await;
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        sleep(Duration::from_mins(1)).await;
        assert_eq!(world.posts(), 2, "{which}\n{}", world.report());
        world.check_delivered("lost-phone");
    }
}

/// Another admission policy, or a webhook, refuses the deletion of Secrets for a while. That says nothing about the
/// owner of a Secret.
#[tokio::test(start_paused = true)]
async fn a_secret_that_others_keep_is_not_somebody_elses() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let keeping = Arc::new(AtomicBool::new(true));
    let keeps = Arc::clone(&keeping);
    world.kubernetes.admit("secrets", move |review| {
        let keep = keeps.load(Ordering::Relaxed) && review.operation == Operation::Delete;
        let refusal =
            || statuses::denied_by_policy(review.resource, review.name, "keep", "Secrets are kept");
        if keep { Err(refusal()) } else { Ok(()) }
    });
    world.decide("lost-phone", "rita@contoso.com", "Revoke").await;
    world.until("its pass is gone", SOON, || world.live().is_empty()).await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!(world.phase("lost-phone"), Phase::Active, "its Secret is still there");
    keeping.store(false, Ordering::Relaxed);
    world.until_ended("lost-phone", Phase::Revoked, Duration::from_mins(2)).await;
    world.check_at_rest();
}

/// Something before the API server says 404, or it does not serve the kind for a while.
#[tokio::test(start_paused = true)]
async fn a_404_that_names_no_object_is_no_absence() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let about = |r: &kubernetes_api::ApiRequest| ["taprequests", "secrets"].contains(&&*r.resource);
    let calls = Match::any().when(move |r| about(r) && r.name.is_some());
    let outage = world.kubernetes.fail(calls, Fault::Refused(statuses::no_such_path()));
    sleep(Duration::from_mins(11)).await;
    assert!(world.delivered("lost-phone").is_some());
    drop(outage);
    world.until_ended("lost-phone", Phase::Expired, Duration::from_mins(3)).await;
    world.check_at_rest();
}

/// A webhook that does not answer makes the API server answer 500, also to a dry run.
#[tokio::test(start_paused = true)]
async fn a_secret_that_gets_no_answer_is_why_a_request_waits() {
    let world = World::new();
    let _operator = world.operator();
    let tries = Match::verb(Verb::Create).resource("secrets").namespace(NAMESPACE).dry_run(true);
    let outage = world.kubernetes.fail(tries, Fault::server_error(500));
    world.request("lost-phone", &json!({}));
    let told = || world.reason("lost-phone") == "SecretRefused";
    world.until("it says why it waits", SOON, told).await;
    assert_eq!(world.posts(), 0);
    drop(outage);
    world.until_phase("lost-phone", Phase::Active, Duration::from_mins(2)).await;
}

/// One commit admits a namespace and makes a request in it; the watch of policies is behind.
#[tokio::test(start_paused = true)]
async fn no_request_fails_for_a_policy_that_was_changed_already() {
    let world = World::new();
    world.policy(&json!({"namespaces": {"names": ["another"]}}));
    let _operator = world.operator();
    sleep(SOON).await;
    let policies = Match::any().resource("tappolicies");
    world.kubernetes.delay_watches(policies, Duration::from_secs(30));
    world.policy(&json!({}));
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, Duration::from_mins(2)).await;
}

/// The same of a namespace that just got the label by which a policy admits it.
#[tokio::test(start_paused = true)]
async fn no_request_fails_for_a_label_that_was_set_already() {
    let world = World::new();
    world.policy(
        &json!({"namespaces": {"names": null, "selector": {"matchLabels": {"tap": "yes"}}}}),
    );
    let _operator = world.operator();
    sleep(SOON).await;
    let namespaces = Match::any().resource("namespaces");
    world.kubernetes.delay_watches(namespaces, Duration::from_secs(30));
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"tap": "yes"}},
    }));
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON * 2).await;
}

/// Of writes to a deleted request only its release is owed.
#[tokio::test(start_paused = true)]
async fn a_deleted_request_goes_though_its_status_cannot_be_written() {
    for fault in [Fault::server_error(503), Fault::too_many_requests(1), Fault::ConnectionLost] {
        let world = World::new();
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        let status = Match::verb(Verb::Patch).resource("taprequests").subresource("status");
        let _outage = world.kubernetes.fail(status, fault.clone());
        world.delete("lost-phone");
        let gone = || world.find("lost-phone").is_none();
        world.until("the request is gone", SOON, gone).await;
        assert!(world.live().is_empty(), "{fault:?}");
        world.check_at_rest();
    }
}
