//! The operator dies at each of its effects. The next process finds everything in order or puts it in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use graph_simulator::{Fault, FaultKind, Operation};
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::decision::intent::has_finalizer;
use tokio::time::sleep;

use crate::world::{IN_ORDER, Operator, SOON, World, active_write, operators_writes, secret_write};
use kubernetes_api::{Intercept, Match, Point};

/// After this time a new process has the lease and complete caches.
const TAKEOVER: Duration = Duration::from_secs(20);

/// What happens to a write whose sender died.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives just after its sender died.
    Late,
    /// It arrives when the next process is already working.
    VeryLate,
    /// It had arrived before; only the answer is lost.
    Arrived,
}

const FATES: [Fate; 4] = [Fate::Lost, Fate::Late, Fate::VeryLate, Fate::Arrived];

/// Intercepts the write of this number, counted from now.
fn nth_write(world: &World, number: usize, point: Point) -> Intercept {
    let seen = Arc::new(AtomicUsize::new(0));
    let nth = move |_: &kubernetes_api::ApiRequest| seen.fetch_add(1, Ordering::Relaxed) == number;
    world.kubernetes.intercept(operators_writes().when(nth), point)
}

/// Kills the operator when a write is at a point, and starts another. `None`: there was no such write.
async fn die_at(
    world: &World,
    operator: Operator,
    mut held: Intercept,
    fate: Fate,
    done: impl Fn() -> bool,
) -> Option<Operator> {
    let reached = tokio::select! {
        _ = held.reached() => true,
        () = world.until("the write or the end", IN_ORDER + TAKEOVER, done) => false,
    };
    if !reached {
        operator.crash().await;
        return None;
    }
    operator.crash().await;
    match fate {
        Fate::Lost => held.lose(),
        Fate::Late => held.release(),
        Fate::Arrived => drop(held),
        Fate::VeryLate => {
            let next = world.operator();
            sleep(TAKEOVER).await;
            held.release();
            return Some(next);
        }
    }
    Some(world.operator())
}

fn point(fate: Fate) -> Point {
    if fate == Fate::Arrived { Point::AfterEffect } else { Point::BeforeEffect }
}

#[tokio::test(start_paused = true)]
async fn at_any_write_of_an_issue() {
    let mut points = 0;
    for fate in FATES {
        for number in 0.. {
            let world = World::new();
            let held = nth_write(&world, number, point(fate));
            let operator = world.operator();
            world.request("lost-phone", &json!({}));
            let done = || world.phase("lost-phone") == Phase::Active;
            let Some(_next) = die_at(&world, operator, held, fate, done).await else { break };
            points += 1;
            world.until_phase("lost-phone", Phase::Active, IN_ORDER + TAKEOVER).await;
            sleep(Duration::from_mins(1)).await;
            world.check_delivered("lost-phone");
            assert_eq!(world.phase("lost-phone"), Phase::Active);
        }
    }
    assert!(points >= 3 * FATES.len(), "there are three writes, and {points} crashes were tried");
}

#[tokio::test(start_paused = true)]
async fn at_any_write_of_a_recovery() {
    let mut points = 0;
    for fate in FATES {
        for number in 0.. {
            let world = World::new();
            let operator = world.operator();
            let mut secret = world.kubernetes.intercept(secret_write(), Point::AfterEffect);
            world.request("lost-phone", &json!({}));
            secret.reached().await;
            operator.crash().await;
            drop(secret);
            let held = nth_write(&world, number, point(fate));
            let operator = world.operator();
            let done = || world.phase("lost-phone") == Phase::Active;
            let Some(_next) = die_at(&world, operator, held, fate, done).await else { break };
            points += 1;
            world.until_phase("lost-phone", Phase::Active, IN_ORDER + TAKEOVER).await;
            sleep(Duration::from_mins(1)).await;
            world.check_delivered("lost-phone");
        }
    }
    assert!(points >= 5 * FATES.len(), "{points} crashes were tried");
}

#[tokio::test(start_paused = true)]
async fn at_any_write_of_a_revocation() {
    for how in ["Revoke", "deletion"] {
        let mut points = 0;
        for fate in FATES {
            for number in 0.. {
                let world = World::new();
                let operator = world.operator();
                world.request("lost-phone", &json!({}));
                world.until_phase("lost-phone", Phase::Active, SOON).await;
                let held = nth_write(&world, number, point(fate));
                match how {
                    "Revoke" => world.decide("lost-phone", "ada@contoso.com", how).await,
                    _ => world.delete("lost-phone"),
                }
                let done = || world.find("lost-phone").is_none_or(|r| !has_finalizer(&r));
                let Some(_next) = die_at(&world, operator, held, fate, done).await else { break };
                points += 1;
                world.until("it is released", IN_ORDER + TAKEOVER, done).await;
                assert_eq!(world.live(), [], "{}", world.report());
                world.check_at_rest();
            }
        }
        assert!(points >= 2 * FATES.len(), "{how}: {points} crashes were tried");
    }
}

#[tokio::test(start_paused = true)]
async fn at_any_write_of_an_expiry() {
    for fate in FATES {
        for number in 0.. {
            let world = World::new();
            let operator = world.operator();
            world.request("lost-phone", &json!({"lifetime": "10m"}));
            world.until_phase("lost-phone", Phase::Active, SOON).await;
            sleep(Duration::from_mins(9)).await;
            let held = nth_write(&world, number, point(fate));
            let done = || !has_finalizer(&world.get("lost-phone"));
            let Some(_next) = die_at(&world, operator, held, fate, done).await else { break };
            world.until_ended("lost-phone", Phase::Expired, TAKEOVER + SOON).await;
            world.check_at_rest();
            assert_eq!(world.tenant.balance().deleted, 0);
        }
    }
}

/// What happens to the POST of a process that died while the POST was on its way.
#[tokio::test(start_paused = true)]
async fn while_the_post_is_on_its_way() {
    let fates = [
        // It took effect, and only the answer is still on its way.
        FaultKind::Slow { seconds: 20 },
        FaultKind::AnswerHangs,
        // It takes effect long after its sender died; the last two when the next process has already listed once.
        FaultKind::LateCommit { after_seconds: 3 },
        FaultKind::LateCommit { after_seconds: 40 },
        FaultKind::LateCommit { after_seconds: 100 },
        // It never takes effect.
        FaultKind::Hang { seconds: None },
    ];
    for fate in fates {
        for dead_for in [0, 30, 300] {
            let world = World::new();
            world.tenant.inject(Fault::on(Operation::PassCreate, fate.clone()));
            let operator = world.operator();
            world.request("lost-phone", &json!({}));
            world.until("the POST is sent", SOON, || world.posts() == 1).await;
            operator.crash().await;
            sleep(Duration::from_secs(dead_for)).await;
            let _next = world.operator();
            world.until_phase("lost-phone", Phase::Active, IN_ORDER + TAKEOVER).await;
            sleep(Duration::from_secs(150)).await;
            world.check_delivered("lost-phone");
            assert_eq!(world.posts(), 2, "{fate:?}, {dead_for}\n{}", world.report());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_list_lags_behind_the_post() {
    for lag in [10, 60, 80] {
        let world = World::new();
        world.tenant.switch(|switches| {
            switches.list_lag_after_post_seconds = lag;
            switches.get_lag_after_post_seconds = lag;
        });
        world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerHangs));
        let operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until("the POST is sent", SOON, || world.posts() == 1).await;
        operator.crash().await;
        let _next = world.operator();
        world.until_phase("lost-phone", Phase::Active, IN_ORDER + TAKEOVER).await;
        sleep(Duration::from_mins(1)).await;
        world.check_delivered("lost-phone");
    }
}

/// A pass that was never delivered is deleted, even if the request was deleted, revoked or past its deadline meanwhile.
#[tokio::test(start_paused = true)]
async fn while_the_post_is_on_its_way_and_nobody_wants_the_pass_any_more() {
    for how in ["Revoke", "Deny", "deletion"] {
        for fate in [FaultKind::AnswerHangs, FaultKind::LateCommit { after_seconds: 60 }] {
            let world = World::new();
            world.tenant.inject(Fault::on(Operation::PassCreate, fate));
            let operator = world.operator();
            world.request("lost-phone", &json!({}));
            world.until("the POST is sent", SOON, || world.posts() == 1).await;
            operator.crash().await;
            match how {
                "deletion" => world.delete("lost-phone"),
                decision => world.decide("lost-phone", "ada@contoso.com", decision).await,
            }
            let _next = world.operator();
            let done = || {
                world.find("lost-phone").is_none_or(|r| r.phase().is_final() && !has_finalizer(&r))
            };
            world.until("it has ended", IN_ORDER + TAKEOVER, done).await;
            sleep(Duration::from_mins(1)).await;
            assert_eq!((world.live().len(), world.posts()), (0, 1), "{how}\n{}", world.report());
            world.check_at_rest();
        }
    }
}

/// The death of the process that delivered a pass does not touch the pass.
#[tokio::test(start_paused = true)]
async fn after_everything_is_done() {
    let world = World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.crash().await;
    let writes = world.writes().len();
    let _next = world.operator();
    sleep(IN_ORDER).await;
    assert_eq!((world.writes().len(), world.posts()), (writes, 1), "{}", world.report());
    world.check_delivered("lost-phone");
}

/// Three processes die one after the other at the same point.
#[tokio::test(start_paused = true)]
async fn again_and_again() {
    for (point, write) in [
        (Point::BeforeEffect, secret_write as fn() -> Match),
        (Point::AfterEffect, secret_write),
        (Point::BeforeEffect, active_write),
    ] {
        let world = World::new();
        world.request("lost-phone", &json!({}));
        for _ in 0..3 {
            let mut held = world.kubernetes.intercept(write(), point);
            let operator = world.operator();
            let patience = IN_ORDER + TAKEOVER;
            tokio::time::timeout(patience, held.reached()).await.expect("the next attempt");
            operator.crash().await;
            held.lose();
        }
        let _operator = world.operator();
        world.until_phase("lost-phone", Phase::Active, IN_ORDER + TAKEOVER).await;
        world.check_delivered("lost-phone");
        assert_eq!(world.posts(), 4);
    }
}
