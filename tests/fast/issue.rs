//! From a request to a pass and to its end, without any fault.

use std::time::Duration;

use graph_simulator::Operation;
use serde_json::json;
use tap_operator::api::Phase;
use tokio::time::sleep;

use crate::world::{IN_ORDER, NAMESPACE, SERVICE_ACCOUNT, SETTLE, SOON, USE_CHECK, World};
use kubernetes_api::{Match, Verb};

#[tokio::test(start_paused = true)]
async fn a_pass_takes_three_writes_and_one_post() {
    let world = World::new();
    let operator = world.operator();
    // Its first list is in.
    sleep(SOON).await;
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.check_delivered("lost-phone");

    let writes = world.writes();
    let seen: Vec<_> = writes
        .iter()
        .map(|w| (w.verb, w.resource.as_str(), w.subresource.as_deref().unwrap_or_default()))
        .collect();
    let expected = [
        (Verb::Patch, "taprequests", ""),
        (Verb::Create, "secrets", ""),
        (Verb::Patch, "taprequests", "status"),
    ];
    let of_request = seen.iter().filter(|(_, resource, _)| *resource != "tappolicies");
    assert_eq!(of_request.copied().collect::<Vec<_>>(), expected, "{}", world.report());
    assert_eq!(world.posts(), 1);
    // What the watch showed is not read again, but for the brakes after the intent.
    let reads = Match::verb(Verb::Get).user(SERVICE_ACCOUNT);
    let reads = world.kubernetes.requests_for(&reads);
    let of_request: Vec<_> =
        reads.iter().filter(|r| r.resource == "taprequests").map(|r| &r.request).collect();
    assert_eq!(of_request.len(), 0, "{of_request:?} {}", world.report());
    drop(operator);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "8h"}));
    world.policy(&json!({"approval": {"required": 1}}));
    world.request("waiting", &json!({"user": "bob@contoso.com"}));
    world.until_phase("waiting", Phase::AwaitingApproval, SOON).await;
    world.policy(&json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.until_phase("waiting", Phase::Active, SOON).await;
    sleep(Duration::from_secs(30)).await;

    let (revision, writes) = (world.kubernetes.revision(), world.writes().len());
    sleep(Duration::from_mins(20)).await;
    assert_eq!(world.writes().len(), writes, "{}", world.report());
    let others = |r: &kubernetes_api::ApiRequest| r.resource != "leases";
    let other_writes = Match::writes().user(SERVICE_ACCOUNT).dry_run(false).when(others);
    let since = |w: &&kubernetes_api::LoggedRequest| {
        w.effects.iter().any(|effect| effect.resource_version > revision)
    };
    assert_eq!(world.kubernetes.requests_for(&other_writes).iter().filter(since).count(), 0);
    let patched = world.tenant.requests_for(Operation::PolicyPatch).len();
    assert_eq!((world.posts(), patched), (2, 0));
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_issued_once_and_its_end_is_final() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.until_ended("lost-phone", Phase::Expired, Duration::from_secs(605)).await;
    world.check_at_rest();
    assert_eq!(world.tenant.balance().deleted, 0, "an expired pass needs no DELETE");
    sleep(Duration::from_mins(20)).await;
    assert_eq!((world.posts(), world.phase("lost-phone")), (1, Phase::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_pass_goes_with_its_secret() {
    for decision in ["Revoke", "Deny"] {
        let world = World::new();
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        world.decide("lost-phone", "ada@contoso.com", decision).await;
        world.until_ended("lost-phone", Phase::Revoked, SOON).await;
        assert_eq!(world.live(), []);
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_request_takes_its_pass_along() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.delete("lost-phone");
    world.until("it is gone", SOON, || world.find("lost-phone").is_none()).await;
    assert_eq!((world.live().len(), world.delivered("lost-phone")), (0, None));
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_used_pass_loses_its_secret_and_keeps_its_session() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let code = world.delivered("lost-phone").expect("a code");
    let session = world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in").session;
    world.until_ended("lost-phone", Phase::Used, USE_CHECK + SOON + USE_CHECK / 10).await;
    assert!(world.tenant.session_alive(session), "the user was thrown out while registering");
    assert_eq!(world.tenant.balance().deleted, 0);
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_works_often_is_not_ended_by_its_use() {
    let world = World::new();
    world.policy(&json!({"requireOneTimeUse": false}));
    let _operator = world.operator();
    world.request("lost-phone", &json!({"oneTimeUse": false}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let code = world.delivered("lost-phone").expect("a code");
    world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in");
    sleep(USE_CHECK * 5).await;
    assert_eq!(world.phase("lost-phone"), Phase::Active);
    world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in again");
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn a_pass_removed_in_the_portal_is_missed_only_after_two_looks() {
    for use_it in [false, true] {
        let world = World::new();
        world.policy(&json!({"requireOneTimeUse": false}));
        let _operator = world.operator();
        world.request("lost-phone", &json!({"oneTimeUse": false}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        let code = world.delivered("lost-phone").expect("a code");
        if use_it {
            world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in");
        }
        let pass = world.live()[0].id;
        world.tenant.portal_delete_pass("alice@contoso.com", pass).expect("deleted");
        sleep(SETTLE).await;
        assert_eq!(world.phase("lost-phone"), Phase::Active, "one read is no proof");
        world.until_ended("lost-phone", Phase::Revoked, USE_CHECK * 3).await;
        assert_eq!(world.reason("lost-phone"), "PassRemoved");
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_reads_and_deletes_the_secret_changes_nothing() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({"lifetime": "10m"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.kubernetes.delete("secrets", NAMESPACE, "lost-phone").expect("deleted");
    sleep(IN_ORDER).await;
    assert_eq!((world.phase("lost-phone"), world.live().len()), (Phase::Active, 1));
    world.until_ended("lost-phone", Phase::Expired, Duration::from_mins(11)).await;
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn the_stop_holds_back_what_is_new_and_revokes_where_it_says_so() {
    let world = World::new();
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.stop(&json!({}));
    world.request("another", &json!({"user": "bob@contoso.com"}));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(
        (world.phase("another"), world.reason("another").as_str()),
        (Phase::Pending, "Stopped")
    );
    assert_eq!(world.phase("lost-phone"), Phase::Active);

    world.stop(&json!({"revokeActive": "true"}));
    world.until_ended("lost-phone", Phase::Revoked, SOON).await;
    assert_eq!(world.phase("another"), Phase::Pending);
    world
        .kubernetes
        .delete("configmaps", crate::world::SYSTEM, "tap-operator-stop")
        .expect("there");
    world.until_phase("another", Phase::Active, SOON).await;
    world.check_delivered("another");
}

/// Nothing but the list of the next process shows it.
#[tokio::test(start_paused = true)]
async fn a_stop_that_is_there_at_the_start_revokes_what_is_active() {
    let world = World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.stop().await;
    world.stop(&json!({"revokeActive": "true"}));
    let _next = world.operator();
    world.until_ended("lost-phone", Phase::Revoked, IN_ORDER).await;
    assert_eq!(world.live().len(), 0);
}
