//! What can happen to calls to Graph: outages, throttling, hangs, lags, wrong answers.

use std::time::Duration;

use graph_simulator::switches::{OneTimeEnforced, PostOverLivePass};
use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::decision::intent::has_finalizer;
use tokio::time::sleep;

use crate::world::{
    IN_ORDER, SETTLE, SOON, USE_CHECK, World, active_write, intent_write, recovery_write,
    secret_write,
};
use kubernetes_api::Point;

/// The calls of an issue, in order.
const CALLS: [Operation; 7] = [
    Operation::Token,
    Operation::PolicyGet,
    Operation::UserGet,
    Operation::TransitiveMemberOf,
    Operation::RoleEligibilities,
    Operation::PassList,
    Operation::PassCreate,
];

/// Every temporary fault of a call.
fn faults() -> Vec<FaultKind> {
    let status = |status, effect| FaultKind::Status {
        status,
        effect,
        code: None,
        retry_after_seconds: None,
    };
    vec![
        FaultKind::AnswerLost,
        FaultKind::ConnectionCut,
        FaultKind::AnswerHangs,
        FaultKind::Slow { seconds: 25 },
        FaultKind::Slow { seconds: 45 },
        FaultKind::Hang { seconds: None },
        FaultKind::Throttled { retry_after_seconds: Some(7.0), form: None },
        FaultKind::Throttled { retry_after_seconds: None, form: None },
        status(500, false),
        status(503, true),
        status(504, true),
        FaultKind::Html { status: 502, effect: false },
        FaultKind::Html { status: 502, effect: true },
        FaultKind::Html { status: 200, effect: false },
        FaultKind::Garbled,
        FaultKind::ExpiredToken,
    ]
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_costs_a_little_time() {
    for call in CALLS {
        for fault in faults() {
            let world = World::new();
            world.tenant.inject(Fault::on(call, fault.clone()));
            let _operator = world.operator();
            world.request("lost-phone", &json!({}));
            world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
            if call == Operation::PassCreate {
                sleep(Duration::from_mins(1)).await;
            }
            world.check_delivered("lost-phone");
            let posts = if call == Operation::PassCreate { 1..3 } else { 1..2 };
            assert!(posts.contains(&world.posts()), "{call:?} {fault:?}\n{}", world.report());
        }
    }
}

/// A proxy that blocks a call shows a page with 200.
#[tokio::test(start_paused = true)]
async fn a_page_in_graphs_place_revokes_nothing() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let page = FaultKind::Html { status: 200, effect: false };
    world.tenant.inject(Fault::on(Operation::PassDelete, page));
    world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, Duration::from_mins(1)).await;
    assert_eq!(world.live().len(), 0, "{}", world.report());
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_throttled_waits_as_long_as_it_was_told() {
    for (form, seconds) in [(None, 40.0), (None, 90.0)] {
        let world = World::new();
        let throttled = FaultKind::Throttled { retry_after_seconds: Some(seconds), form };
        world.tenant.inject(Fault::on(Operation::PassCreate, throttled));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        let posts = world.tenant.requests_for(Operation::PassCreate);
        assert_eq!(posts.len(), 2);
        let waited = posts[1].at.duration_since(posts[0].at).as_secs_f64();
        assert!((seconds..seconds + 15.0).contains(&waited), "{waited}");
        assert_ne!(posts[0].client_request_id, posts[1].client_request_id);
        world.check_delivered("lost-phone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_takes_effect_late_is_found_and_taken_back() {
    for after_seconds in [1, 29, 31, 60, 89] {
        let world = World::new();
        world
            .tenant
            .inject(Fault::on(Operation::PassCreate, FaultKind::LateCommit { after_seconds }));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER + Duration::from_secs(30)).await;
        sleep(SETTLE).await;
        world.check_delivered("lost-phone");
        assert_eq!(world.posts(), 2, "{after_seconds}\n{}", world.report());
        assert_eq!(world.tenant.balance().deleted, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_the_list_shows_late_is_found_and_taken_back() {
    for lag in [20, 60, 110] {
        let world = World::new();
        world.tenant.switch(|switches| {
            switches.list_lag_after_post_seconds = lag;
            switches.get_lag_after_post_seconds = lag;
            switches.delete_after_post_not_found_seconds = lag.min(30);
        });
        world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        sleep(SETTLE).await;
        world.check_delivered("lost-phone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_graph_does_not_know_yet_is_repeated() {
    let world = World::new();
    world.tenant.switch(|switches| switches.delete_after_post_not_found_seconds = 60);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
    sleep(SOON).await;
    assert_eq!(
        (world.live().len(), world.delivered("lost-phone")),
        (1, None),
        "the Secret goes first"
    );
    world.until_ended("lost-phone", Phase::Revoked, IN_ORDER).await;
    assert_eq!(world.live(), [], "{}", world.report());
    world.check_at_rest();
}

/// A list that still shows the deleted pass of the last attempt must not be taken for somebody else's pass.
#[tokio::test(start_paused = true)]
async fn a_list_that_lags_behind_a_delete_is_no_foreign_pass() {
    for lag in [20, 100] {
        let world = World::new();
        world.tenant.switch(|switches| {
            switches.list_lag_after_delete_seconds = lag;
            switches.get_lag_after_delete_seconds = lag;
        });
        world.kubernetes.fail_next(secret_write(), kubernetes_api::Fault::server_error(500));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        world.check_delivered("lost-phone");

        world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
        world.until_ended("lost-phone", Phase::Revoked, SOON).await;
        world.request("again", &json!({}));
        world.until_phase("again", Phase::Active, SOON).await;
        world.check_delivered("again");
    }
}

/// The answer to the DELETE is lost. The end of the request counts as the end of its pass.
#[tokio::test(start_paused = true)]
async fn a_list_that_lags_behind_a_delete_without_an_answer_is_no_foreign_pass() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    sleep(IN_ORDER).await;
    world.tenant.switch(|switches| switches.list_lag_after_delete_seconds = 100);
    world.tenant.inject(Fault::on(Operation::PassDelete, FaultKind::AnswerLost));
    world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, Duration::from_mins(1)).await;
    world.request("again", &json!({}));
    world.until_phase("again", Phase::Active, SOON).await;
    world.check_delivered("again");
}

#[tokio::test(start_paused = true)]
async fn while_graph_is_down_everything_waits() {
    // Before the first call.
    let world = World::new();
    world.tenant.set_unreachable(true);
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(world.phase("lost-phone"), Phase::Pending);
    assert_eq!(world.reason("lost-phone"), "TenantUnreachable");
    assert!(world.writes().len() < 6, "each failure is written\n{}", world.report());
    world.tenant.set_unreachable(false);
    world.until_phase("lost-phone", Phase::Active, Duration::from_secs(90)).await;
    world.check_delivered("lost-phone");

    // Between any two effects of an issue.
    for write in [intent_write, secret_write, active_write] {
        for minutes in [1, 5] {
            let world = World::new();
            let mut held = world.kubernetes.intercept(write(), Point::AfterEffect);
            let _operator = world.operator();
            world.request("lost-phone", &json!({}));
            held.reached().await;
            world.tenant.set_unreachable(true);
            held.release();
            sleep(Duration::from_mins(minutes)).await;
            world.tenant.set_unreachable(false);
            world.until_phase("lost-phone", Phase::Active, IN_ORDER + Duration::from_mins(1)).await;
            sleep(Duration::from_mins(1)).await;
            world.check_delivered("lost-phone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_graph_is_down_when_a_scheduled_pass_is_due() {
    // The start is in 20 minutes, the lead time begins in 15, and with a lifetime of 10m it is too late in 30.
    let until_down = Duration::from_mins(14);
    for (back_after, phase) in [(16, Phase::Active), (25, Phase::Active), (31, Phase::Expired)] {
        let world = World::new();
        let _operator = world.operator();
        let start = world.tenant.now() + SignedDuration::from_mins(20);
        world.request("monday", &json!({"startTime": start.to_string(), "lifetime": "10m"}));
        world.until_phase("monday", Phase::Scheduled, SOON).await;
        sleep(until_down).await;
        world.tenant.set_unreachable(true);
        sleep(Duration::from_mins(back_after).saturating_sub(until_down)).await;
        assert_eq!(world.posts(), 0);
        if phase == Phase::Expired {
            world.until_ended("monday", phase, SOON).await;
            assert_eq!(world.reason("monday"), "NotIssuedInTime");
        } else {
            assert_eq!(world.reason("monday"), "TenantUnreachable", "{}", world.report());
        }
        world.tenant.set_unreachable(false);
        sleep(Duration::from_mins(2)).await;
        assert_eq!(world.phase("monday"), phase, "{}", world.report());
        if phase == Phase::Active {
            world.check_delivered("monday");
            // A pass that is issued before its start is sent that start. One that is issued later starts at once, with
            // its whole lifetime.
            let pass = world.live().remove(0);
            let now = pass.created_date_time;
            assert_eq!(pass.start_date_time, if now < start { start } else { now });
            assert_eq!(pass.lifetime_in_minutes, 10);
        }
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn while_graph_is_down_a_delivered_pass_stays_as_it_is() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let writes = world.writes().len();
    world.tenant.set_unreachable(true);
    sleep(Duration::from_mins(15)).await;
    assert_eq!(world.phase("lost-phone"), Phase::Active);
    world.tenant.set_unreachable(false);
    sleep(USE_CHECK * 2).await;
    world.check_delivered("lost-phone");
    let of_request =
        world.writes()[writes..].iter().filter(|w| w.resource == "taprequests").count();
    assert_eq!(of_request, 0, "{}", world.report());
}

#[tokio::test(start_paused = true)]
async fn while_graph_is_down_a_revocation_takes_the_secret_and_waits() {
    for how in ["Revoke", "deletion"] {
        for back in [true, false] {
            let world = World::new();
            let _operator = world.operator();
            world.request("lost-phone", &json!({"lifetime": "20m"}));
            world.until_phase("lost-phone", Phase::Active, SOON).await;
            world.tenant.set_unreachable(true);
            match how {
                "deletion" => world.delete("lost-phone"),
                decision => world.decide("lost-phone", "ada@contoso.com", decision).await,
            }
            world
                .until("the Secret is gone", SOON, || world.delivered("lost-phone").is_none())
                .await;
            sleep(Duration::from_mins(5)).await;
            assert!(has_finalizer(&world.get("lost-phone")), "its pass is still live");
            assert_eq!(world.live().len(), 1);
            let done = || world.find("lost-phone").is_none_or(|r| !has_finalizer(&r));
            if back {
                world.tenant.set_unreachable(false);
                world.until("it has ended", Duration::from_secs(90), done).await;
                assert_eq!(world.tenant.balance().deleted, 1, "{}", world.report());
            } else {
                world.until("it has ended", Duration::from_mins(16), done).await;
                assert_eq!(world.tenant.balance().expired, 1);
            }
            world.check_at_rest();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_post_while_graph_stays_down_is_let_go_when_its_pass_has_expired() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    let mut held = world.kubernetes.intercept(recovery_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    held.reached().await;
    world.tenant.set_unreachable(true);
    world.delete("lost-phone");
    held.release();
    let gone = || world.find("lost-phone").is_none();
    world.until("it is gone", Duration::from_mins(10) + IN_ORDER, gone).await;
    assert_eq!(world.live(), []);
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_another_kind_than_asked_for_is_taken_back() {
    let world = World::new();
    world.policy(&json!({"requireOneTimeUse": false}));
    world.tenant.switch(|switches| switches.one_time_enforced = OneTimeEnforced::Coerce);
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({"oneTimeUse": false}));
    held.reached().await;
    // Somebody requires one-time use between the check and the POST.
    world.tenant.portal_patch_policy(&json!({"isUsableOnce": true})).expect("changed");
    held.release();
    world.until_ended("lost-phone", Phase::Failed, SOON).await;
    assert_eq!((world.reason("lost-phone").as_str(), world.posts()), ("FlagCoerced", 1));
    assert_eq!(world.live(), []);
    world.check_at_rest();

    // The same with a lost answer: the pass is recognized though it became one-time.
    let world = World::new();
    world.policy(&json!({"requireOneTimeUse": false}));
    world.tenant.switch(|switches| switches.one_time_enforced = OneTimeEnforced::Coerce);
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({"oneTimeUse": false}));
    held.reached().await;
    world.tenant.portal_patch_policy(&json!({"isUsableOnce": true})).expect("changed");
    held.release();
    world.until_ended("lost-phone", Phase::Failed, IN_ORDER).await;
    assert_eq!(world.live(), []);
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_refused_is_tried_for_two_minutes() {
    let refused = |times| {
        let kind =
            FaultKind::Status { status: 400, effect: false, code: None, retry_after_seconds: None };
        Fault::on(Operation::PassCreate, kind).times(times)
    };
    let world = World::new();
    world.tenant.inject(refused(3));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
    world.check_delivered("lost-phone");

    let world = World::new();
    world.tenant.inject(refused(1000));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_ended("lost-phone", Phase::Failed, IN_ORDER).await;
    assert_eq!(world.reason("lost-phone"), "RefusedByTenant");
    assert!(world.posts() < 12, "{}", world.posts());
    world.check_at_rest();
}

/// Some tenants are reported to refuse a POST while a live pass exists; others replace that pass.
#[tokio::test(start_paused = true)]
async fn nothing_depends_on_whether_a_post_replaces() {
    use PostOverLivePass::{Conflict, Refuse, Replace};
    for answer in [Replace, Refuse, Conflict] {
        let world = World::new();
        world.tenant.switch(|switches| {
            switches.post_over_live_pass = answer;
            switches.post_after_delete_conflict_seconds = 10;
        });
        world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        world.check_delivered("lost-phone");
    }
}

#[tokio::test(start_paused = true)]
async fn at_graphs_documented_limit_everybody_is_served() {
    let world = World::new();
    world.tenant.switch(|switches| switches.authentication_method_limit = Some(5));
    let _operator = world.operator();
    world.request("a", &json!({}));
    world.request("b", &json!({"user": "bob@contoso.com"}));
    world.request("c", &json!({"user": "carol@contoso.com"}));
    world.request("f", &json!({"user": "frank@contoso.com"}));
    for name in ["a", "b", "c", "f"] {
        world.until_phase(name, Phase::Active, IN_ORDER).await;
    }
    sleep(Duration::from_mins(3)).await;
    world.check_at_rest();
    assert_eq!(world.live().len(), 4);
}

/// Graph is down for longer than the settle time, and the pass is removed in the portal. The first read that succeeds
/// after that counts as the first of two.
#[tokio::test(start_paused = true)]
async fn a_look_that_failed_is_not_the_first_of_two() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.tenant.set_unreachable(true);
    sleep(SETTLE * 2).await;
    let pass = world.live()[0].id;
    world.tenant.portal_delete_pass("alice@contoso.com", pass).expect("deleted");
    world.tenant.set_unreachable(false);
    sleep(SETTLE).await;
    assert_eq!(world.phase("lost-phone"), Phase::Active, "one read is no proof");
    world.until_ended("lost-phone", Phase::Revoked, USE_CHECK * 4).await;
    assert_eq!(world.reason("lost-phone"), "PassRemoved");
}
