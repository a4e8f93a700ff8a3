//! Two replicas, and what happens to the one that loses the lease.

use std::time::Duration;

use graph_simulator::{Fault, FaultKind, Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::cluster::running::renewing_holder;
use tap_operator::controller::RunError;
use tokio::time::sleep;

use crate::world::{IN_ORDER, Operator, SETTLE, SOON, SYSTEM, World, intent_write};
use kubernetes_api::{Fault as ApiFault, Match, Outage, Point};

/// The time from the death of a leader to the first act of the next one.
const TAKEOVER: Duration = Duration::from_secs(20);

/// Hangs all renewals of the present leader; another replica may take the lease.
fn cut_off(world: &World) -> Outage {
    let lease = world.kubernetes.list("leases");
    let leader = lease[0]["spec"]["holderIdentity"].as_str().expect("a leader").to_owned();
    let renewals = Match::writes()
        .resource("leases")
        .when(move |r| r.body["spec"]["holderIdentity"] == leader);
    world.kubernetes.fail(renewals, ApiFault::Hang)
}

async fn two(world: &World) -> (Operator, Operator) {
    let leader = world.operator();
    sleep(Duration::from_secs(1)).await;
    let other = world.operator();
    sleep(Duration::from_secs(4)).await;
    (leader, other)
}

#[tokio::test(start_paused = true)]
async fn only_one_of_two_replicas_works() {
    let world = World::new();
    let (_leader, _other) = two(&world).await;
    for (name, user) in
        [("a", "alice@contoso.com"), ("b", "bob@contoso.com"), ("c", "carol@contoso.com")]
    {
        world.request(name, &json!({"user": user}));
        world.until_phase(name, Phase::Active, SOON).await;
    }
    sleep(IN_ORDER).await;
    assert_eq!(world.posts(), 3);
    assert_eq!(world.tenant.requests_for(Operation::Token).len(), 1, "the other does no work");
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_end_hands_over_at_once() {
    let world = World::new();
    let (leader, _other) = two(&world).await;
    leader.stop().await;
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_end_finishes_what_is_under_way() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 10 }));
    let (leader, _other) = two(&world).await;
    world.request("lost-phone", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    leader.stop().await;
    assert_eq!(world.phase("lost-phone"), Phase::Active);
    sleep(IN_ORDER).await;
    assert_eq!(world.posts(), 1);
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_is_followed() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 20 }));
    let (leader, _other) = two(&world).await;
    world.request("lost-phone", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    leader.crash().await;
    world.until_phase("lost-phone", Phase::Active, TAKEOVER + IN_ORDER).await;
    world.check_delivered("lost-phone");
    assert_eq!(world.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_before_the_post_does_not_send_it() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let (mut leader, _other) = two(&world).await;
    world.request("lost-phone", &json!({}));
    held.reached().await;
    let outage = cut_off(&world);
    // No longer fresh and not yet lost: the leader gives up after ten seconds.
    sleep(Duration::from_secs(8)).await;
    held.release();
    assert!(matches!(leader.ended(TAKEOVER).await, RunError::LeaseLost(_)));
    assert_eq!(world.posts(), 0, "{}", world.report());
    drop(outage);
    world.until_phase("lost-phone", Phase::Active, TAKEOVER + IN_ORDER).await;
    sleep(SETTLE).await;
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_after_the_post_delivers_nothing() {
    for seconds in [8, 9, 20] {
        let world = World::new();
        world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds }));
        let (mut leader, _other) = two(&world).await;
        world.request("lost-phone", &json!({}));
        world.until("the POST is sent", SOON, || world.posts() == 1).await;
        let outage = cut_off(&world);
        assert!(matches!(leader.ended(TAKEOVER).await, RunError::LeaseLost(_)));
        assert_eq!(world.delivered("lost-phone"), None, "{seconds}\n{}", world.report());
        drop(outage);
        world.until_phase("lost-phone", Phase::Active, TAKEOVER + IN_ORDER).await;
        sleep(SETTLE).await;
        world.check_delivered("lost-phone");
        assert_eq!(world.posts(), 2, "{seconds}\n{}", world.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_with_a_cache_that_lags_issues_nothing_before_it_sees_the_last_attempt() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::ConnectionCut));
    let mut held = world.kubernetes.intercept(intent_write(), Point::BeforeEffect);
    let (leader, _other) = two(&world).await;
    // Due after the other replica has taken over, and before its cache shows the first attempt.
    let start = world.kubernetes.now() + SignedDuration::from_secs(330);
    let later = json!({"startTime": start, "onExistingPass": "Wait"});
    world.request("later", &later);
    world.until_phase("later", Phase::Scheduled, SOON).await;
    world.request("first", &json!({}));
    held.reached().await;
    let lag = Duration::from_secs(90);
    world.kubernetes.delay_watches(Match::any().resource("taprequests"), lag);
    held.release();
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    leader.crash().await;
    sleep(SETTLE).await;
    assert_eq!(world.posts(), 1, "the first POST is not resolved yet\n{}", world.report());
    world.until_phase("first", Phase::Active, IN_ORDER + lag).await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_follows_finds_what_is_due() {
    // The leader dies. Meanwhile one pass expires, another is revoked, a third is used, and a fourth request is
    // created.
    let world = World::new();
    let (leader, _other) = two(&world).await;
    world.request("expires", &json!({"lifetime": "10m"}));
    world.request("revoked", &json!({"user": "bob@contoso.com"}));
    world.request("used", &json!({"user": "carol@contoso.com"}));
    for name in ["expires", "revoked", "used"] {
        world.until_phase(name, Phase::Active, SOON).await;
    }
    sleep(Duration::from_secs(590)).await;
    leader.crash().await;
    world.decide("revoked", "ada@contoso.com", "Revoke").await;
    let code = world.delivered("used").expect("a code");
    world.tenant.sign_in("carol@contoso.com", &code).expect("it signs in");
    world.request("new", &json!({"user": "frank@contoso.com"}));
    world.until_ended("expires", Phase::Expired, TAKEOVER).await;
    world.until_ended("revoked", Phase::Revoked, TAKEOVER).await;
    world.until_ended("used", Phase::Used, Duration::from_secs(70)).await;
    world.until_phase("new", Phase::Active, SOON).await;
    world.check_at_rest();
}

/// A POST waits for its turn because Graph asked to wait, and the lease cannot be renewed meanwhile.
#[tokio::test(start_paused = true)]
async fn a_post_whose_turn_comes_after_the_lease_is_not_sent() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(intent_write(), Point::AfterEffect);
    let (mut leader, _other) = two(&world).await;
    world.request("lost-phone", &json!({}));
    held.reached().await;
    // The turn comes when the lease is no longer fresh and not yet given up.
    let wait = FaultKind::Throttled { retry_after_seconds: Some(8.0), form: None };
    world.tenant.inject(Fault::on(Operation::PassList, wait));
    world.request("another", &json!({"user": "bob@contoso.com"}));
    let throttled = || world.reason("another") == "Throttled";
    world.until("Graph asks to wait", SOON, throttled).await;
    let _outage = cut_off(&world);
    held.release();
    assert!(matches!(leader.ended(TAKEOVER).await, RunError::LeaseLost(_)));
    assert_eq!(world.posts(), 0, "{}", world.report());
    world.check();
}

/// The holder of the lease may have a clock that is wrong by an hour.
#[tokio::test(start_paused = true)]
async fn a_lease_is_judged_by_watching_it_and_not_by_what_it_says() {
    for wrong in [SignedDuration::from_hours(-1), SignedDuration::from_hours(1)] {
        let world = World::new();
        let renewed = Timestamp::now() + wrong;
        world.kubernetes.put(lease_of_another(renewed));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        sleep(Duration::from_secs(14)).await;
        assert_eq!((world.writes().len(), world.posts()), (0, 0), "{wrong:?}");
        world.until_phase("lost-phone", Phase::Active, TAKEOVER).await;
        world.check_delivered("lost-phone");
    }
}

fn lease_of_another(renewed: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "tap-operator", "namespace": SYSTEM},
        "spec": {
            "holderIdentity": "another", "leaseDurationSeconds": 15,
            "renewTime": format!("{renewed:.6}"),
        },
    })
}

/// Whoever frees requests does so from a machine of their own, whose clock may be wrong by an hour.
#[tokio::test(start_paused = true)]
async fn whether_an_operator_runs_is_told_without_a_clock() {
    let world = World::new();
    let leases: Api<Lease> = Api::namespaced(world.kubernetes.client(), SYSTEM);
    let holder = || renewing_holder(&leases, "tap-operator");
    assert_eq!(holder().await.unwrap(), None, "there is no lease");
    for wrong in [SignedDuration::from_hours(-1), SignedDuration::from_hours(1)] {
        let at = || Timestamp::now() + wrong;
        world.kubernetes.put(lease_of_another(at()));
        assert_eq!(holder().await.unwrap(), None, "nobody renews it");
        let renews = async {
            for second in 0.. {
                sleep(Duration::from_secs(2)).await;
                world.kubernetes.put(lease_of_another(at() + SignedDuration::from_secs(second)));
            }
        };
        let found = tokio::select! {
            found = holder() => found.unwrap(),
            () = renews => None,
        };
        assert_eq!(found.as_deref(), Some("another"), "{wrong:?}");
    }
    let operator = world.operator();
    sleep(TAKEOVER).await;
    assert_eq!(holder().await.unwrap(), Some(operator_of(&world)));
    operator.stop().await;
    assert_eq!(holder().await.unwrap(), None, "it let go, and nobody takes it");
}

fn operator_of(world: &World) -> String {
    let lease = world.kubernetes.list("leases").remove(0);
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}
