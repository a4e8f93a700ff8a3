//! Several requests, and several for one user: one is issued at a time, and foreign objects stay.

use std::time::Duration;

use graph_simulator::{End, Fault, FaultKind, Operation};
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::decision::intent::has_finalizer;
use tokio::time::sleep;

use crate::world::{IN_ORDER, SETTLE, SOON, World, intent_write, recovery_write};
use kubernetes_api::{Fault as ApiFault, Match, Point, Verb};

#[tokio::test(start_paused = true)]
async fn two_requests_for_one_user_are_issued_one_at_a_time() {
    for (wish, second) in [("Refuse", Phase::Failed), ("Wait", Phase::Pending)] {
        for fault in [None, Some(FaultKind::AnswerLost), Some(FaultKind::Slow { seconds: 20 })] {
            let world = World::new();
            if let Some(fault) = fault {
                world.tenant.inject(Fault::on(Operation::PassCreate, fault));
            }
            let _operator = world.operator();
            world.request("first", &json!({"onExistingPass": wish}));
            world.request("second", &json!({"onExistingPass": wish}));
            let active =
                || ["first", "second"].into_iter().find(|n| world.phase(n) == Phase::Active);
            world.until("one is active", IN_ORDER, || active().is_some()).await;
            let winner = active().expect("one");
            let loser = if winner == "first" { "second" } else { "first" };
            world.until("the other was judged", IN_ORDER, || world.phase(loser) == second).await;
            sleep(Duration::from_mins(3)).await;
            assert_eq!((world.phase(winner), world.phase(loser)), (Phase::Active, second));
            assert!(
                world.writes().len() < 16,
                "they rewrite each other's status\n{}",
                world.report()
            );
            world.check_delivered(winner);

            if wish == "Wait" {
                world.decide(winner, "ada@contoso.com", "Revoke").await;
                world.until_phase(loser, Phase::Active, Duration::from_mins(1)).await;
                world.check_delivered(loser);
            }
        }
    }
}

/// A list may lag behind a POST. The second request must not replace a pass only because it is not listed yet.
#[tokio::test(start_paused = true)]
async fn a_pass_that_was_just_made_counts_though_it_is_not_listed() {
    for restarted in [false, true] {
        let world = World::new();
        world.tenant.switch(|switches| switches.list_lag_after_post_seconds = 50);
        let operator = world.operator();
        world.request("first", &json!({}));
        world.until_phase("first", Phase::Active, SOON).await;
        let _operator = if restarted {
            operator.crash().await;
            world.operator()
        } else {
            operator
        };
        world.request("waits", &json!({"onExistingPass": "Wait"}));
        world.request("refuses", &json!({}));
        sleep(Duration::from_secs(40)).await;
        assert_eq!(world.phase("refuses"), Phase::Pending, "the next list may show another");
        world.until_phase("refuses", Phase::Failed, IN_ORDER).await;
        assert_eq!((world.phase("waits"), world.posts()), (Phase::Pending, 1));
        world.check_delivered("first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_replaces_ends_the_one_before() {
    let world = World::new();
    world.policy(&json!({"replaceExistingPass": "Allowed"}));
    let _operator = world.operator();
    world.request("first", &json!({}));
    world.until_phase("first", Phase::Active, SOON).await;
    let first = world.live()[0].id;
    world.request("second", &json!({"onExistingPass": "Replace"}));
    world.until_phase("second", Phase::Active, SOON).await;
    world.until_ended("first", Phase::Revoked, SOON).await;
    assert_eq!(world.reason("first"), "Superseded");
    let ledger = world.tenant.ledger();
    let replaced = ledger.iter().find(|pass| pass.id == first).expect("in the ledger");
    assert!(matches!(replaced.end, End::Replaced { .. }), "{replaced:?}");
    world.check_at_rest();
    assert_eq!(world.live().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_post_that_replaced_is_asked_for_again() {
    for fault in [
        FaultKind::AnswerLost,
        FaultKind::LateCommit { after_seconds: 40 },
        FaultKind::Hang { seconds: None },
    ] {
        let world = World::new();
        world.policy(&json!({"replaceExistingPass": "Allowed"}));
        let _operator = world.operator();
        world.request("first", &json!({}));
        world.until_phase("first", Phase::Active, SOON).await;
        world.tenant.inject(Fault::on(Operation::PassCreate, fault));
        world.request("second", &json!({"onExistingPass": "Replace"}));
        world.until_phase("second", Phase::Active, IN_ORDER + Duration::from_secs(30)).await;
        world.until_ended("first", Phase::Revoked, IN_ORDER).await;
        sleep(Duration::from_mins(1)).await;
        world.check_at_rest();
        assert_eq!(world.live().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pass_of_a_person_stays_and_is_judged_after_two_looks() {
    let world = World::new();
    let theirs = world.tenant.portal_create_pass("alice@contoso.com", &json!({})).expect("a pass");
    let _operator = world.operator();
    world.request("refuses", &json!({}));
    world.request("waits", &json!({"onExistingPass": "Wait"}));
    sleep(SETTLE.saturating_sub(SOON)).await;
    assert_eq!(world.phase("refuses"), Phase::Pending, "one read is no proof");
    world.until_phase("refuses", Phase::Failed, Duration::from_mins(1)).await;
    assert_eq!(world.reason("refuses"), "ExistingPass");
    assert_eq!((world.phase("waits"), world.posts()), (Phase::Pending, 0));
    assert!(
        world.writes().len() < 10,
        "requests for one user rewrite each other's status\n{}",
        world.report()
    );
    world.tenant.portal_delete_pass("alice@contoso.com", theirs).expect("deleted");
    // The longer it is there, the more rarely it is looked for.
    world.until_phase("waits", Phase::Active, Duration::from_mins(2)).await;
    world.check_delivered("waits");
}

/// Somebody makes a pass for the user while a POST of ours is unresolved. It is never taken for ours.
#[tokio::test(start_paused = true)]
async fn the_pass_of_a_person_is_not_taken_for_a_lost_one() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Hang { seconds: None }));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    let theirs = json!({"lifetimeInMinutes": 120});
    let theirs = world.tenant.portal_create_pass("alice@contoso.com", &theirs).expect("a pass");
    world.until_phase("lost-phone", Phase::Failed, IN_ORDER * 2).await;
    assert_eq!(world.reason("lost-phone"), "ExistingPass");
    let ledger = world.tenant.ledger();
    assert!(ledger.iter().any(|pass| pass.id == theirs && pass.is_live()), "{}", world.report());
    world.check_at_rest();
}

/// A person replaces the pass that the operator delivered.
#[tokio::test(start_paused = true)]
async fn a_pass_replaced_in_the_portal_ends_its_request() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let theirs = world.tenant.portal_create_pass("alice@contoso.com", &json!({})).expect("a pass");
    world.until_ended("lost-phone", Phase::Revoked, IN_ORDER + Duration::from_mins(1)).await;
    assert_eq!(world.reason("lost-phone"), "PassRemoved");
    assert!(world.tenant.ledger().iter().any(|pass| pass.id == theirs && pass.is_live()));
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_deleted_takes_the_pass_along() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.tenant.delete_user("alice@contoso.com").expect("there");
    world.until_ended("lost-phone", Phase::Revoked, IN_ORDER + Duration::from_mins(1)).await;
    assert_eq!(world.reason("lost-phone"), "PassRemoved");

    // The same while it is not known whether there is a pass.
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    let mut held = world.kubernetes.intercept(recovery_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    world.tenant.delete_user("alice@contoso.com").expect("there");
    held.release();
    let let_go = || !has_finalizer(&world.get("lost-phone"));
    world.until("it is released", IN_ORDER, let_go).await;
    world.until_phase("lost-phone", Phase::Failed, Duration::from_mins(65)).await;
    assert_eq!(world.reason("lost-phone"), "UserNotFound");
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_intent_and_post_holds_the_request_back() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    world.policy(&json!({"suspend": true}));
    held.release();
    sleep(Duration::from_mins(2)).await;
    assert_eq!((world.phase("lost-phone"), world.posts()), (Phase::Pending, 0));
    assert!(!has_finalizer(&world.get("lost-phone")));
    world.policy(&json!({}));
    world.until_phase("lost-phone", Phase::Active, Duration::from_secs(30)).await;
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_waited_too_long_is_written_anew() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    sleep(Duration::from_secs(29)).await;
    held.release();
    world.until_phase("lost-phone", Phase::Active, Duration::from_mins(1)).await;
    world.check_delivered("lost-phone");
    for post in world.tenant.requests_for(Operation::PassCreate) {
        let listed = world.tenant.requests_for(Operation::PassList);
        let before =
            listed.iter().filter(|list| list.number < post.number).max_by_key(|list| list.number);
        let age = post.at.duration_since(before.expect("a list").at).as_secs_f64();
        assert!(age <= 31.0, "a POST rests on a list {age} s old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_be_read_counts_as_set() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    held.reached().await;
    let stop = Match::verb(Verb::Get).resource("configmaps");
    let outage = world.kubernetes.fail(stop, ApiFault::server_error(503));
    held.release();
    sleep(Duration::from_mins(2)).await;
    assert_eq!((world.phase("lost-phone"), world.posts()), (Phase::Pending, 0));
    assert_eq!(world.reason("lost-phone"), "HeldBack");
    drop(outage);
    world.until_phase("lost-phone", Phase::Active, Duration::from_mins(1)).await;
    world.check_delivered("lost-phone");
}

/// The next process issues nothing for a user before it has resolved the POST of the process that died.
#[tokio::test(start_paused = true)]
async fn a_lost_post_of_a_process_that_died_keeps_its_user_from_another_pass() {
    let world = World::new();
    let late = FaultKind::LateCommit { after_seconds: 60 };
    world.tenant.inject(Fault::on(Operation::PassCreate, late));
    let operator = world.operator();
    world.request("first", &json!({"onExistingPass": "Wait"}));
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    operator.crash().await;
    let _next = world.operator();
    world.request("second", &json!({"onExistingPass": "Wait"}));
    let waits = || world.reason("second") == "AnotherRequest";
    world.until("the second one waits", Duration::from_secs(30), waits).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.posts(), 1, "{}", world.report());
    let active = || ["first", "second"].into_iter().any(|name| world.phase(name) == Phase::Active);
    world.until("one is issued", IN_ORDER, active).await;
    sleep(Duration::from_mins(1)).await;
    world.check_at_rest();
    assert_eq!((world.live().len(), world.tenant.balance().replaced), (1, 0));
}
