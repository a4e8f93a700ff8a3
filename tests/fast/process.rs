//! A process in which something broke ends, and does not go on without doing anything.

use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::Phase;
use tokio::time::sleep;

use crate::kubernetes::{Fault, Match, WatchEnd};
use crate::world::{IN_ORDER, SERVICE_ACCOUNT, SOON, World};

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_ends_it_and_the_next_one_takes_everything_back() {
    let world = World::new();
    let mut operator = world.operator_with(SignedDuration::ZERO, |options| {
        // The connection on which the code goes into the Secret: after the POST, the worst moment.
        options.own_connection = Box::new(|| panic!("no connection"));
    });
    world.request("lost-phone", &json!({}));
    let panic = operator.panicked(SOON).await;
    assert!(panic.contains("no connection"), "{panic}");
    assert_eq!((world.live().len(), world.delivered("lost-phone")), (1, None));

    let _next = world.operator();
    world.until_phase("lost-phone", Phase::Active, IN_ORDER * 2).await;
    world.check_delivered("lost-phone");
    assert_eq!((world.posts(), world.tenant.balance().deleted), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_begun_again() {
    let watches = || Match::any().user(SERVICE_ACCOUNT);
    for end in [WatchEnd::Closed, WatchEnd::ConnectionLost, WatchEnd::Expired] {
        let world = World::new();
        let _operator = world.operator();
        world.request("first", &json!({}));
        world.until_phase("first", Phase::Active, SOON).await;
        // Requests, policies, namespaces, the stop, three admission policies and their bindings.
        assert_eq!(world.kubernetes.end_watches(&watches(), end), 10, "{end:?}");
        let outage = world.kubernetes.fail(
            watches().when(|r| !r.verb.writes() && r.name.is_none()),
            Fault::server_error(503),
        );
        sleep(IN_ORDER).await;
        world.request("second", &json!({"user": "bob@contoso.com"}));
        world.decide("first", "ada@contoso.com", "Revoke").await;
        drop(outage);
        world.until_ended("first", Phase::Revoked, IN_ORDER).await;
        world.until_phase("second", Phase::Active, IN_ORDER).await;
        world.check_delivered("second");
    }
}
