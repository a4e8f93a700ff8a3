//! One namespace asks for far more than the tenant allows, and makes nobody else wait.

use std::time::Duration;

use graph_simulator::tenant::User;
use graph_simulator::{Fault, FaultKind, Operation};
use serde_json::json;
use tap_operator::api::Phase;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::world::{NAMESPACE, SOON, USE_CHECK, World};

/// The namespace of the flood.
const FLOODED: &str = "flooded";

/// A world with two namespaces and so many users.
fn world(users: usize) -> World {
    let world = World::new();
    let flooded = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLOODED}});
    world.kubernetes.put(flooded);
    world.policy(&json!({"namespaces": {"names": [NAMESPACE, FLOODED]}}));
    for number in 0..users {
        let id = Uuid::from_u128(0x0f10_0000 + number as u128);
        world.tenant.add_user(User::member(id, &user(number), "A User"));
    }
    world
}

fn user(number: usize) -> String {
    format!("u{number}@contoso.com")
}

/// So many requests that wait for a pass of somebody else: all for one user, or each for one of its own.
fn flood(world: &World, count: usize, for_one: bool) {
    for number in 0..count {
        let user = user(if for_one { 0 } else { number });
        if number == 0 || !for_one {
            world
                .tenant
                .portal_create_pass(&user, &json!({"lifetimeInMinutes": 480}))
                .expect("a pass");
        }
        world.kubernetes.put(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": format!("flood-{number}"), "namespace": FLOODED},
            "spec": {
                "policyRef": {"name": "contoso"}, "user": user, "lifetime": "10m",
                "requestedBy": "mallory@contoso.com", "onExistingPass": "Wait",
            },
        }));
    }
}

/// How long a request of another namespace takes to be issued.
async fn issues(world: &World, name: &str, user: &str) -> Duration {
    let began = Instant::now();
    world.request(name, &json!({"user": user, "lifetime": "10m"}));
    world.until_phase(name, Phase::Active, Duration::from_mins(5)).await;
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn many_requests_for_one_user_ask_graph_as_seldom_as_one() {
    let world = world(2);
    let _operator = world.operator();
    flood(&world, 300, true);
    sleep(Duration::from_mins(10)).await;
    // 0, 30, 75, 143, 244, 364, 484 and 604 seconds, and one while the first was on its way.
    let lists = world.tenant.requests_for(Operation::PassList).len();
    assert!(lists <= 9, "{lists} lists");
    // Each makes its other checks once: seven calls. One of them makes them each time that it lists. What all share is read
    // every half a minute at most: three lists, and who could join a group.
    let calls = world.tenant.requests().len();
    assert!(calls <= 300 * 7 + 9 * 7 + 20 * 4 + 60, "{calls} calls");
    let took = issues(&world, "another", &user(1)).await;
    assert!(took < SOON * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_namespace_makes_no_other_wait_and_no_used_pass_stay() {
    let world = world(502);
    let _operator = world.operator();
    let quiet = issues(&world, "before", &user(500)).await;
    let code = world.delivered("before").expect("a code");
    flood(&world, 500, false);
    sleep(Duration::from_mins(2)).await;
    let list = || world.tenant.requests_for(Operation::PassList).len();
    assert!(list() > 50, "the pace of the tenant is used up: {}", list());
    // Its list and its POST each wait for the next call that the pace admits, and no longer.
    let took = issues(&world, "during", &user(501)).await;
    assert!(took < quiet + Duration::from_secs(20), "{quiet:?} before, {took:?} during the flood");

    world.tenant.sign_in(&user(500), &code).expect("it can be used");
    world.until_phase("before", Phase::Used, 3 * USE_CHECK).await;
    assert!(world.delivered("before").is_none());
}

/// A tenant that does not answer holds up neither the Secrets of the other passes that are revoked, nor an expiry.
#[tokio::test(start_paused = true)]
async fn a_stop_takes_every_secret_away_at_once_though_no_pass_can_be_deleted() {
    const MANY: usize = 70;
    let world = world(MANY + 1);
    let _operator = world.operator();
    for number in 0..MANY {
        let name = format!("active-{number}");
        world.request(&name, &json!({"user": user(number), "lifetime": "1h"}));
    }
    let all_are = |phase| (0..MANY).all(|number| world.phase(&format!("active-{number}")) == phase);
    world.until("all are active", Duration::from_mins(10), || all_are(Phase::Active)).await;
    world.request("expires", &json!({"user": user(MANY), "lifetime": "10m"}));
    world.until_phase("expires", Phase::Active, Duration::from_mins(1)).await;
    let hang = FaultKind::Hang { seconds: None };
    world.tenant.inject(Fault::on(Operation::PassDelete, hang).times(10_000));
    for number in 0..MANY {
        world.decide(&format!("active-{number}"), "helen@contoso.com", "Revoke").await;
    }
    let secrets = || world.kubernetes.list("secrets").len();
    world.until("their Secrets are gone", SOON, || secrets() == 1).await;
    world.until_ended("expires", Phase::Expired, Duration::from_mins(11)).await;

    world.tenant.clear_faults();
    world.until("all are revoked", Duration::from_mins(10), || all_are(Phase::Revoked)).await;
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told_how_many_go_first() {
    const MANY: usize = 60;
    let world = world(MANY);
    // So many of a namespace are under way at once.
    let slow = FaultKind::Slow { seconds: 25 };
    world.tenant.inject(Fault::on(Operation::UserGet, slow).times(32));
    let _operator = world.operator();
    let name = |number: usize| format!("request-{number}");
    for number in 0..MANY {
        world.request(&name(number), &json!({"user": user(number), "lifetime": "8h"}));
    }
    sleep(Duration::from_secs(22)).await;
    let says = |number: usize| {
        let request = world.get(&name(number));
        let ready = request.ready().map(|ready| (ready.reason.clone(), ready.message.clone()));
        ready.filter(|(reason, _)| reason == "Queued").map(|(_, message)| message)
    };
    let told: Vec<String> = (0..MANY).filter_map(says).collect();
    assert!((5..=15).contains(&told.len()), "one in a second: {told:?}");
    let numbers = told.iter().filter_map(|message| message.split(' ').next()?.parse().ok());
    assert!(numbers.max().is_some_and(|most: usize| (3..MANY - 32).contains(&most)), "{told:?}");

    let active = |number| world.phase(&name(number)) == Phase::Active;
    let patience = Duration::from_mins(10);
    world.until("all are active", patience, || (0..MANY).all(active)).await;
    assert_eq!((0..MANY).filter_map(says).count(), 0);
    // Three writes for each, and what was told.
    let writes = world.writes().len();
    assert!(writes < 3 * MANY + 5 * MANY, "{writes} writes");
}
