//! A process in which something broke ends. It never stays alive without working.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph_simulator::tenant::User;
use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::Phase;
use tap_operator::graph::{self, Body, Client, SendOptions, Transport, TransportError};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{IN_ORDER, NAMESPACE, SERVICE_ACCOUNT, SOON, World};
use kubernetes_api::{Fault as ApiFault, Match, Verb, WatchEnd};

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_ends_it_and_the_next_one_takes_everything_back() {
    let world = World::new();
    let mut operator = world.operator_with(SignedDuration::ZERO, |options| {
        // The call that writes the code into the Secret: it comes after the POST, at the worst moment. The first connection
        // is for the lease, the second for the dry run of the Secret, and too old when the code is there.
        let connections = vec![(options.own_connection)(), (options.own_connection)()];
        let connections = Mutex::new(connections);
        options.own_connection =
            Box::new(move || connections.lock().expect("no panic").pop().expect("no connection"));
    });
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 11 }));
    world.request("lost-phone", &json!({}));
    let panic = operator.panicked(IN_ORDER).await;
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
            ApiFault::server_error(503),
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

/// Its connection is dead, and nobody says so: not even a bookmark comes.
#[tokio::test(start_paused = true)]
async fn a_watch_that_went_silent_is_begun_again_and_what_it_missed_is_acted_on() {
    let world = World::new();
    let _operator = world.operator();
    world.request("first", &json!({}));
    world.until_phase("first", Phase::Active, SOON).await;
    // All but those of the admission policies, which are also probed each minute.
    let ours = Match::any()
        .user(SERVICE_ACCOUNT)
        .when(|r| !r.resource.starts_with("validatingadmissionpolic"));
    assert_eq!(world.kubernetes.end_watches(&ours, WatchEnd::Silent), 4);
    world.policy(&json!({"users": {"domains": ["contoso.com", "fabrikam.com"]}}));
    world.request("second", &json!({"user": "bob@contoso.com"}));
    world.decide("first", "ada@contoso.com", "Revoke").await;
    let silence = Duration::from_secs(150);
    world.until_ended("first", Phase::Revoked, silence + SOON).await;
    world.until_phase("second", Phase::Active, SOON).await;
    // A watch on which bookmarks come lasts as long as it was asked to, and is begun again where it ended.
    let lists = || {
        let lists = Match::any().user(SERVICE_ACCOUNT).resource("taprequests");
        world.kubernetes.requests_for(&lists.when(|r| r.verb == Verb::List)).len()
    };
    let before = lists();
    sleep(silence * 4).await;
    assert_eq!(lists(), before, "everything is listed again");
}

/// A tenant that cannot be reached: nothing is refused, and nothing answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl Transport for Silent {
    async fn send(
        &self,
        _: http::Request<bytes::Bytes>,
        _: SendOptions,
    ) -> Result<http::Response<Body>, TransportError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_cannot_be_reached_delays_no_other_at_the_start() {
    let world = World::new();
    let _operator = world.operator_with(SignedDuration::ZERO, |options| {
        let elsewhere = json!({"tenants": [{
            "name": "elsewhere", "tenantId": Uuid::from_u128(1), "clientId": Uuid::from_u128(2),
            "credential": {"managedIdentity": {}},
        }]});
        let elsewhere = graph::connections_from_text(&elsewhere.to_string(), "the test");
        let unreachable = graph::Options::new(Arc::new(Silent));
        options.tenants.extend(Client::connect(elsewhere.expect("a connection"), &unreachable));
    });
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn told_to_end_it_waits_for_no_read_of_a_request_that_holds_nothing() {
    for call in [Operation::UserGet, Operation::PassList] {
        let world = World::new();
        let operator = world.operator();
        let hang = Fault::on(call, FaultKind::Hang { seconds: None });
        world.tenant.inject(hang.times(100));
        world.request("lost-phone", &json!({}));
        sleep(SOON).await;
        let began = tokio::time::Instant::now();
        operator.stop().await;
        assert!(began.elapsed() < Duration::from_secs(3), "{call:?}: {:?}", began.elapsed());
        world.tenant.clear_faults();
        let _next = world.operator();
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        assert_eq!(world.posts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_end_it_takes_passes_away_as_long_as_it_keeps_the_lease() {
    let world = World::new();
    let operator = world.operator();
    world.request("first", &json!({"user": "bob@contoso.com"}));
    world.until_phase("first", Phase::Active, SOON).await;
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 25 }));
    world.request("second", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == 2).await;
    operator.tell_to_end();
    world.decide("first", "ada@contoso.com", "Revoke").await;
    world.until_ended("first", Phase::Revoked, SOON).await;
    assert_eq!(world.phase("second"), Phase::Pending);
    operator.stop().await;
    world.check_delivered("second");
}

/// Of one tenant only some are deleted at once, so each must make room for the next.
#[tokio::test(start_paused = true)]
async fn told_to_end_it_takes_every_pass_away_however_many_there_are() {
    let world = World::new();
    let operator = world.operator();
    let names: Vec<String> = (0..40).map(|number| format!("u{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let (id, user) =
            (Uuid::from_u128(0x0f10_0000 + number as u128), format!("{name}@contoso.com"));
        world.tenant.add_user(User::member(id, &user, "A User"));
        world.request(name, &json!({ "user": user, "lifetime": "1h" }));
    }
    for name in &names {
        world.until_phase(name, Phase::Active, Duration::from_mins(5)).await;
    }
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 25 }));
    world.request("last", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == names.len() + 1).await;
    operator.tell_to_end();
    world.stop(&json!({"revokeActive": "true"}));
    // That of the POST is there, too.
    let gone = || world.live().len() == 1;
    world.until("all passes are gone", Duration::from_secs(20), gone).await;
    operator.stop().await;
}

/// An API server whose database was set back shows nothing on the watches that it has.
#[tokio::test(start_paused = true)]
async fn a_process_whose_watch_shows_nothing_begins_anew() {
    let world = World::new();
    let leads = world.operator();
    world.request("first", &json!({}));
    world.until_phase("first", Phase::Active, SOON).await;
    let mut standby = world.operator();
    sleep(IN_ORDER).await;
    leads.crash().await;
    let watches = || Match::verb(Verb::Watch).resource("taprequests");
    world.kubernetes.end_watches(&watches(), WatchEnd::Closed);
    let _outage = world.kubernetes.fail(watches(), ApiFault::server_error(503));
    // The last write of the process that led.
    let mut first = world.kubernetes.get("taprequests", NAMESPACE, "first").expect("it is there");
    first["metadata"]["labels"] = json!({"written": "last"});
    world.kubernetes.put(first);
    let ended = standby.ended(Duration::from_mins(7)).await.to_string();
    assert!(ended.contains("the start of work"), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn told_to_end_it_finishes_what_it_has_begun_and_begins_nothing() {
    let world = World::new();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 10 }));
    let operator = world.operator();
    world.request("first", &json!({}));
    world.until("the POST is sent", SOON, || world.posts() == 1).await;
    world.request("second", &json!({"user": "bob@contoso.com"}));
    operator.stop().await;
    world.check_delivered("first");
    assert_eq!((world.phase("first"), world.phase("second")), (Phase::Active, Phase::Pending));
    assert_eq!(world.posts(), 1);
}
