//! The operator keeps time by Graph's clock, however wrong the local clock is.

use std::time::Duration;

use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::Phase;
use tokio::time::sleep;

use crate::world::{SETTLE, SOON, USE_CHECK, World};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Waits for the end of the newest pass. Returns how many seconds after its expiry by Graph's clock the Secret was
/// deleted.
async fn overdue(world: &World, name: &str) -> f64 {
    let pass = world.tenant.ledger().into_iter().next_back().expect("a pass");
    let lifetime = SignedDuration::from_mins(i64::from(pass.lifetime_in_minutes));
    let expires = pass.start_date_time + lifetime;
    loop {
        let before = world.tenant.now();
        if world.delivered(name).is_none() {
            return before.duration_since(expires).as_secs_f64();
        }
        let left = expires.duration_since(before);
        assert!(
            left > SignedDuration::from_secs(-60),
            "the Secret is a minute late\n{}",
            world.report()
        );
        sleep(Duration::try_from(left / 10).unwrap_or_default().max(Duration::from_millis(10)))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_goes_within_two_seconds_of_the_expiry_and_never_before() {
    for ahead in [SignedDuration::ZERO, HOUR, -HOUR, SignedDuration::from_millis(1400)] {
        let world = World::new();
        let _operator = world.operator_with_clock(ahead);
        world.request("lost-phone", &json!({"lifetime": "10m"}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        let overdue = overdue(&world, "lost-phone").await;
        // The end of the pass and Graph's `Date` are both cut to whole seconds.
        assert!((0.0..=2.1).contains(&overdue), "{ahead:?}: {overdue} s\n{}", world.report());
        world.until_ended("lost-phone", Phase::Expired, SOON).await;
        world.check_at_rest();
    }
}

/// Failed calls are retried at growing intervals, and no interval outlasts the pass.
#[tokio::test(start_paused = true)]
async fn a_secret_goes_on_time_while_graph_is_down() {
    for down in [1, 5, 9] {
        let world = World::new();
        let _operator = world.operator();
        world.request("lost-phone", &json!({"lifetime": "10m"}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        sleep(Duration::from_mins(down)).await;
        world.tenant.set_unreachable(true);
        let overdue = overdue(&world, "lost-phone").await;
        assert!((0.0..=2.1).contains(&overdue), "{down}: {overdue} s\n{}", world.report());
        world.until_ended("lost-phone", Phase::Expired, SOON).await;
    }
}

/// A read of the pass may take any time.
#[tokio::test(start_paused = true)]
async fn a_secret_goes_on_time_while_graph_hangs() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let hang = FaultKind::Hang { seconds: None };
    world.tenant.inject(Fault::on(Operation::PassGet, hang).times(1000));
    let overdue = overdue(&world, "lost-phone").await;
    assert!((0.0..=2.1).contains(&overdue), "{overdue} s\n{}", world.report());
    world.until_ended("lost-phone", Phase::Expired, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_does_not_wait_for_a_look_at_the_pass() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let hang = FaultKind::Hang { seconds: None };
    world.tenant.inject(Fault::on(Operation::PassGet, hang).times(1000));
    // By then a read is under way.
    sleep(USE_CHECK + Duration::from_secs(10)).await;
    world.decide("lost-phone", "rita@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, Duration::from_secs(5)).await;
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_date_at_the_start_ends_nothing() {
    for offset_seconds in [7200, 86_400 * 400] {
        let world = World::new();
        let operator = world.operator();
        world.request("lost-phone", &json!({"lifetime": "10m"}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        operator.crash().await;
        let wrong = FaultKind::WrongDate { offset_seconds };
        world.tenant.inject(Fault::on(Operation::PolicyGet, wrong));
        let _operator = world.operator();
        let overdue = overdue(&world, "lost-phone").await;
        assert!((0.0..=2.1).contains(&overdue), "{overdue} s\n{}", world.report());
        world.until_ended("lost-phone", Phase::Expired, SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_wrong_date_changes_nothing() {
    for offset_seconds in [7200, -7200, 86_400 * 400] {
        for operation in [Operation::PassGet, Operation::PassCreate, Operation::PassList] {
            let world = World::new();
            world.tenant.inject(Fault::on(operation, FaultKind::WrongDate { offset_seconds }));
            let _operator = world.operator();
            world.request("lost-phone", &json!({"lifetime": "10m"}));
            world.until_phase("lost-phone", Phase::Active, Duration::from_mins(2)).await;
            let overdue = overdue(&world, "lost-phone").await;
            assert!(
                (0.0..=2.1).contains(&overdue),
                "{operation:?} {offset_seconds}: {overdue} s\n{}",
                world.report()
            );
            assert!(world.posts() <= 2);
            world.until_ended("lost-phone", Phase::Expired, SOON).await;
            world.check_at_rest();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_with_a_wrong_date_hides_no_pass() {
    for offset_seconds in [7200, -7200, 86_400 * 400] {
        let world = World::new();
        let pass = json!({"lifetimeInMinutes": 60, "isUsableOnce": false});
        world.tenant.portal_create_pass("alice@contoso.com", &pass).expect("a pass");
        let wrong = FaultKind::WrongDate { offset_seconds };
        world.tenant.inject(Fault::on(Operation::PassList, wrong));
        let _operator = world.operator();
        world.request("lost-phone", &json!({"onExistingPass": "Refuse"}));
        // The first look that is a settle time after the first list.
        world.until_ended("lost-phone", Phase::Failed, SETTLE * 2).await;
        assert_eq!(world.reason("lost-phone"), "ExistingPass");
        assert_eq!(world.posts(), 0, "{offset_seconds}\n{}", world.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_followed() {
    // Forward, past the end of the pass.
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.tenant.step_clock(SignedDuration::from_hours(2));
    world.until_ended("lost-phone", Phase::Expired, USE_CHECK * 2).await;
    world.check_at_rest();

    // Back: the pass lives longer by the same amount.
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.tenant.step_clock(SignedDuration::from_mins(-5));
    let overdue = overdue(&world, "lost-phone").await;
    assert!((0.0..=2.1).contains(&overdue), "{overdue} s\n{}", world.report());
    world.until_ended("lost-phone", Phase::Expired, SOON).await;
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_start_time_is_kept_by_graphs_clock() {
    for ahead in [SignedDuration::ZERO, HOUR, -HOUR] {
        let world = World::new();
        let _operator = world.operator_with_clock(ahead);
        let start = world.tenant.now() + SignedDuration::from_mins(20);
        world.request("first-day", &json!({"startTime": start.to_string(), "lifetime": "10m"}));
        world.until_phase("first-day", Phase::Scheduled, SOON).await;
        sleep(Duration::from_mins(14)).await;
        assert_eq!((world.phase("first-day"), world.posts()), (Phase::Scheduled, 0), "{ahead:?}");
        world.until_phase("first-day", Phase::Active, Duration::from_mins(2)).await;
        let pass = world.live().remove(0);
        assert_eq!(pass.start_date_time, start);
        let overdue = overdue(&world, "first-day").await;
        assert!((0.0..=2.1).contains(&overdue), "{ahead:?}: {overdue} s");
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_issued_in_time_ends() {
    for ahead in [SignedDuration::ZERO, HOUR, -HOUR] {
        let world = World::new();
        world.policy(&json!({"approval": {"required": 1, "timeout": "30m"}}));
        let _operator = world.operator_with_clock(ahead);
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
        sleep(Duration::from_mins(29)).await;
        assert_eq!(world.phase("lost-phone"), Phase::AwaitingApproval, "{ahead:?}");
        world.until_ended("lost-phone", Phase::Expired, Duration::from_secs(70)).await;
        assert_eq!((world.reason("lost-phone").as_str(), world.posts()), ("NotIssuedInTime", 0));
    }
}

/// A proxy that inspects calls answers in Graph's place while Graph is away, by a clock of its own.
#[tokio::test(start_paused = true)]
async fn the_clock_of_a_proxy_ends_nothing() {
    let world = World::new();
    let _operator = world.operator();
    for (name, user) in [("a", "alice"), ("b", "bob"), ("c", "carol"), ("d", "frank")] {
        world.request(name, &json!({"user": format!("{user}@contoso.com"), "lifetime": "1h"}));
        world.until_phase(name, Phase::Active, SOON).await;
    }
    let page = FaultKind::ProxyPage { offset_seconds: 7200 };
    world.tenant.inject(Fault::on_any(page).times(u32::MAX));
    sleep(Duration::from_mins(30)).await;
    for name in ["a", "b", "c", "d"] {
        assert_eq!(world.phase(name), Phase::Active, "{}", world.report());
        assert!(world.delivered(name).is_some(), "{name}");
    }
}
