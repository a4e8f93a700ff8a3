//! Many requests at once and a policy that allows few live passes. The ledger knows how many were live at any moment.

use std::collections::HashMap;
use std::time::Duration;

use graph_simulator::tenant::User;
use graph_simulator::{Actor, End, Fault, FaultKind, LedgerEntry, Operation};
use jiff::Timestamp;
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapRequest};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{
    IN_ORDER, NAMESPACE, SERVICE_ACCOUNT, SETTLE, SOON, USE_CHECK, World, intent_write,
};
use kubernetes_api::Match;

/// The lifetime of a pass.
const LIFETIME: Duration = Duration::from_mins(10);
/// A second namespace.
const ELSEWHERE: &str = "onboarding";

fn quota(per_namespace: impl Into<Value>, per_requester: impl Into<Value>) -> Value {
    let mut quota = json!({});
    for (name, bound) in
        [("activePerNamespace", per_namespace.into()), ("activePerRequester", per_requester.into())]
    {
        if !bound.is_null() {
            quota[name] = bound;
        }
    }
    json!({"quota": quota, "namespaces": {"names": [NAMESPACE, ELSEWHERE]}})
}

/// A world with a second namespace, and a policy with this quota.
fn world(per_namespace: impl Into<Value>, per_requester: impl Into<Value>) -> World {
    let world = World::new();
    world
        .kubernetes
        .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}}));
    world.policy(&quota(per_namespace, per_requester));
    world
}

/// Creates a request in a namespace for the user of this number. The request is named after the number.
fn ask(world: &World, number: usize, namespace: &str, requester: &str) {
    ask_with(world, number, namespace, requester, &json!({}));
}

fn ask_with(world: &World, number: usize, namespace: &str, requester: &str, fields: &Value) {
    let user = user(number);
    let id = Uuid::from_u128(0x0150_0000 + number as u128);
    world.tenant.add_user(User::member(id, &user, "A User"));
    let mut spec = json!({
        "policyRef": {"name": "contoso"}, "user": user, "lifetime": "10m", "requestedBy": requester,
    });
    json_patch::merge(&mut spec, fields);
    world.kubernetes.put(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {"name": name(number), "namespace": namespace}, "spec": spec,
    }));
}

fn user(number: usize) -> String {
    format!("u{number}@contoso.com")
}

fn name(number: usize) -> String {
    format!("r{number}")
}

fn requests(world: &World) -> Vec<TapRequest> {
    let read = |value| serde_json::from_value(value).expect("a TapRequest");
    world.kubernetes.list("taprequests").into_iter().map(read).collect()
}

/// How many requests are in a phase.
fn count(world: &World, phase: Phase) -> usize {
    requests(world).iter().filter(|r| r.phase() == phase).count()
}

/// The reasons and messages of the condition Ready of pending requests.
fn waiting(world: &World) -> Vec<(String, String)> {
    let ready = |request: &TapRequest| {
        let conditions = request.status.clone()?.conditions;
        let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
        Some(ready.map_or((String::new(), String::new()), |c| (c.reason, c.message)))
    };
    requests(world).iter().filter(|r| r.phase() == Phase::Pending).filter_map(ready).collect()
}

/// From when until when a pass could be used to sign in.
fn alive(pass: &LedgerEntry) -> (Timestamp, Timestamp) {
    let ended = match pass.end {
        End::Live => Timestamp::MAX,
        End::Expired { at } | End::Deleted { at, .. } | End::Replaced { at, .. } => at,
    };
    // A used one-time pass is no longer live.
    let used = pass.uses.first().map(|used| used.at);
    (pass.created_date_time, used.map_or(ended, |used| used.min(ended)))
}

/// The most passes that were ever live at once, for each value of `by`.
fn most_live(world: &World, by: fn(&TapRequest) -> String) -> HashMap<String, usize> {
    let of_user: HashMap<String, String> =
        requests(world).iter().map(|r| (r.spec.user.clone(), by(r))).collect();
    let mut lives: HashMap<String, Vec<(Timestamp, i32)>> = HashMap::new();
    let ours = |pass: &LedgerEntry| matches!(pass.made_by, Actor::App { .. });
    for pass in world.tenant.ledger().into_iter().filter(ours) {
        let Some(counted) = of_user.get(&pass.user_principal_name) else { continue };
        let (from, until) = alive(&pass);
        lives.entry(counted.clone()).or_default().extend([(from, 1), (until, -1)]);
    }
    lives
        .into_iter()
        .map(|(counted, mut changes)| {
            // Of changes at the same moment, the end of a pass comes first.
            changes.sort_unstable();
            let mut live = 0;
            let counts = changes.iter().map(|(_, change)| {
                live += change;
                live
            });
            (counted, usize::try_from(counts.max().unwrap_or_default()).expect("no negative count"))
        })
        .collect()
}

/// Checks that no namespace and no requester ever had more live passes than this.
fn check_bounds(world: &World, per_namespace: usize, per_requester: usize) {
    let namespace = |r: &TapRequest| r.metadata.namespace.clone().unwrap_or_default();
    let requester = |r: &TapRequest| r.spec.requested_by.clone().unwrap_or_default();
    for (most, bound) in
        [(most_live(world, namespace), per_namespace), (most_live(world, requester), per_requester)]
    {
        assert!(most.values().all(|n| *n <= bound), "more than {bound}: {most:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_at_once_no_more_are_ever_live_and_all_are_issued_in_the_end() {
    let world = world(20, 5);
    let _operator = world.operator();
    for number in 0..200 {
        ask(&world, number, NAMESPACE, &format!("rita-{}@contoso.com", number % 10));
    }
    world.until("20 are issued", IN_ORDER, || count(&world, Phase::Active) == 20).await;
    sleep(SOON).await;
    let conditions = waiting(&world);
    assert_eq!(conditions.len(), 180);
    for (reason, message) in &conditions {
        assert_eq!(reason, "QuotaReached", "{message}");
        assert!(message.contains("issuance.quota.activePer"), "{message}");
        assert!(message.contains("when one of them ends"), "{message}");
    }
    // While nothing changes, nothing is written, and waiting requests cause no calls to the tenant.
    let (writes, calls) = (world.writes().len(), world.tenant.requests().len());
    sleep(Duration::from_mins(3)).await;
    assert_eq!((world.writes().len(), count(&world, Phase::Active)), (writes, 20));
    assert!(
        world.tenant.requests().len() <= calls + 20 * 4,
        "waiting requests cause calls to the tenant"
    );

    // As passes end, others are issued, and each free slot is taken at once.
    sleep(LIFETIME.saturating_sub(Duration::from_mins(3)) + SOON).await;
    assert_eq!((count(&world, Phase::Expired), count(&world, Phase::Active)), (20, 20));
    for round in 1..=8 {
        let active = requests(&world).into_iter().filter(|r| r.phase() == Phase::Active);
        for name in active.filter_map(|r| r.metadata.name) {
            world.decide(&name, "ada@contoso.com", "Revoke").await;
        }
        sleep(SOON).await;
        let issued = world.tenant.ledger().len();
        assert!(issued > 20 * round + 15, "{issued} were issued\n{}", world.report());
        check_bounds(&world, 20, 5);
    }
    sleep(LIFETIME * 2).await;
    assert_eq!(count(&world, Phase::Revoked) + count(&world, Phase::Expired), 200);
    assert_eq!((world.tenant.ledger().len(), world.posts()), (200, 200));
    check_bounds(&world, 20, 5);
    world.check_at_rest();
}

#[tokio::test(start_paused = true)]
async fn with_a_cache_that_lags_no_more_are_issued_and_no_slot_is_lost() {
    for lag in [Duration::from_secs(5), Duration::from_secs(90)] {
        let world = world(4, 3);
        let of_requests = || Match::any().resource("taprequests").user(SERVICE_ACCOUNT);
        world.kubernetes.delay_watches(of_requests(), lag);
        let _operator = world.operator();
        sleep(SOON).await;
        for number in 0..12 {
            ask(&world, number, NAMESPACE, &format!("rita-{}@contoso.com", number % 3));
        }
        sleep((LIFETIME + lag * 3) * 4).await;
        assert_eq!(count(&world, Phase::Expired), 12, "{}", world.report());
        assert_eq!(world.posts(), 12);
        check_bounds(&world, 4, 3);
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_process_counts_what_the_one_before_issued() {
    for after in [1, 3, 4, 7] {
        let world = world(4, 3);
        let operator = world.operator();
        sleep(Duration::from_secs(20)).await;
        for number in 0..12 {
            ask(&world, number, NAMESPACE, &format!("rita-{}@contoso.com", number % 3));
        }
        // It dies while some passes are issued, some are on their way, and other requests wait.
        let recorded = || world.kubernetes.requests_for(&intent_write()).len();
        world.until("some are on their way", LIFETIME * 4, || recorded() >= after).await;
        operator.crash().await;
        let _next = world.operator();
        sleep((LIFETIME + SETTLE) * 4).await;
        assert_eq!(count(&world, Phase::Expired), 12, "{}", world.report());
        check_bounds(&world, 4, 3);
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unresolved_post_keeps_its_slot() {
    for fault in [
        FaultKind::AnswerLost,
        FaultKind::LateCommit { after_seconds: 40 },
        FaultKind::Hang { seconds: None },
    ] {
        let world = world(2, Value::Null);
        for _ in 0..2 {
            world.tenant.inject(Fault::on(Operation::PassCreate, fault.clone()));
        }
        let _operator = world.operator();
        for number in 0..4 {
            ask(&world, number, NAMESPACE, "rita@contoso.com");
        }
        sleep((LIFETIME + IN_ORDER) * 2 + IN_ORDER).await;
        assert_eq!(count(&world, Phase::Expired), 4, "{}", world.report());
        check_bounds(&world, 2, 2);
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn each_namespace_has_its_own_count_and_a_requester_one_over_all() {
    let world = world(3, 4);
    let _operator = world.operator();
    for number in 0..6 {
        ask(&world, number, NAMESPACE, "rita@contoso.com");
    }
    world.until("three are issued", IN_ORDER, || count(&world, Phase::Active) == 3).await;
    for number in 6..12 {
        ask(&world, number, ELSEWHERE, "rita@contoso.com");
    }
    world.until("four are issued", IN_ORDER, || count(&world, Phase::Active) == 4).await;
    for number in 12..18 {
        ask(&world, number, ELSEWHERE, &format!("sam-{number}@contoso.com"));
    }
    world.until("six are issued", IN_ORDER, || count(&world, Phase::Active) == 6).await;
    sleep(SOON).await;
    let conditions = waiting(&world);
    assert_eq!(conditions.len(), 12);
    for bound in ["requester rita@contoso.com has 4", "namespace onboarding has 3"] {
        assert!(
            conditions.iter().any(|(_, m)| m.starts_with(bound)),
            "no {bound:?} in {conditions:#?}"
        );
    }
    check_bounds(&world, 3, 4);

    // Another policy has a quota of its own.
    let another = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": {"name": "another"},
        "spec": {"tenant": "default", "issuance": {
            "namespaces": {"names": [NAMESPACE]}, "users": {"domains": ["contoso.com"]},
            "approval": {"required": 0}, "quota": {"activePerNamespace": 1},
        }},
    });
    world.kubernetes.put(another);
    let through = json!({"policyRef": {"name": "another"}});
    ask_with(&world, 18, NAMESPACE, "rita@contoso.com", &through);
    world.until_phase("r18", Phase::Active, SOON).await;
}

/// However a request ends, the oldest waiting request goes on.
#[tokio::test(start_paused = true)]
async fn when_one_ends_the_oldest_goes_on_at_once() {
    for how in ["Revoke", "Deny", "deletion", "use", "expiry", "released by hand"] {
        let world = world(1, Value::Null);
        let _operator = world.operator();
        ask(&world, 0, NAMESPACE, "rita@contoso.com");
        world.until_phase("r0", Phase::Active, SOON).await;
        for number in 1..4 {
            ask(&world, number, NAMESPACE, "rita@contoso.com");
            sleep(Duration::from_secs(2)).await;
        }
        let reasons = || waiting(&world).iter().filter(|(r, _)| r == "QuotaReached").count();
        world.until("three wait", SOON, || reasons() == 3).await;
        let patience = match how {
            "deletion" => {
                world.delete("r0");
                SOON
            }
            "use" => {
                let code = world.delivered("r0").expect("a code");
                world.tenant.sign_in(&user(0), &code).expect("it signs in");
                USE_CHECK + SOON
            }
            "expiry" => LIFETIME + SOON,
            "released by hand" => {
                // The operator no longer watches this pass: the person who took the finalizer off is responsible for it.
                let mut released = world.kubernetes.get("taprequests", NAMESPACE, "r0").unwrap();
                released["metadata"]["finalizers"] = json!([]);
                released["metadata"]["deletionTimestamp"] = Value::Null;
                world.kubernetes.put(released);
                world.delete("r0");
                SOON
            }
            decision => {
                world.decide("r0", "ada@contoso.com", decision).await;
                SOON
            }
        };
        world.until_phase("r1", Phase::Active, patience).await;
        sleep(SOON).await;
        let others = ["r2", "r3"].map(|name| (world.phase(name), world.reason(name)));
        let waits = (Phase::Pending, "QuotaReached".to_owned());
        assert_eq!(others, [waits.clone(), waits], "{how}\n{}", world.report());
        if how != "released by hand" {
            check_bounds(&world, 1, 1);
            world.check_at_rest();
        }
    }
}

/// A request that fails, or that finds a foreign pass, does not keep others from the quota.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_pass_holds_no_slot() {
    let world = world(1, Value::Null);
    let theirs = json!({"lifetimeInMinutes": 480});
    for number in [0, 1] {
        world.tenant.add_user(User::member(
            Uuid::from_u128(0x0150_0000 + number as u128),
            &user(number),
            "A User",
        ));
        world.tenant.portal_create_pass(&user(number), &theirs).expect("a pass");
    }
    let _operator = world.operator();
    for number in [0, 1] {
        let wait = json!({"onExistingPass": "Wait"});
        ask_with(&world, number, NAMESPACE, "rita@contoso.com", &wait);
    }
    // Both ask for the only slot again and again, and do not wake each other.
    sleep(Duration::from_mins(2)).await;
    let writes = world.writes().len();
    sleep(Duration::from_mins(30)).await;
    assert_eq!(world.writes().len(), writes, "{}", world.report());

    // Graph refuses one of them again and again; the next one gets its slot meanwhile.
    let refuse =
        FaultKind::Status { status: 400, effect: false, code: None, retry_after_seconds: None };
    world.tenant.inject(Fault::on(Operation::PassCreate, refuse));
    ask(&world, 2, NAMESPACE, "rita@contoso.com");
    world.until("it is refused", SOON, || world.reason("r2") == "RefusedByTenant").await;
    ask(&world, 3, NAMESPACE, "rita@contoso.com");
    world.until_phase("r3", Phase::Active, SOON).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(world.reason("r2"), "QuotaReached");
    world.until_phase("r2", Phase::Active, LIFETIME + SOON).await;
    check_bounds(&world, 1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_quota_holds_for_waiting_requests_and_never_for_live_passes() {
    let world = world(4, Value::Null);
    let _operator = world.operator();
    for number in 0..10 {
        ask(&world, number, NAMESPACE, "rita@contoso.com");
    }
    world.until("four are issued", IN_ORDER, || count(&world, Phase::Active) == 4).await;
    world.policy(&quota(2, Value::Null));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(count(&world, Phase::Active), 4, "active passes stay");
    assert!(waiting(&world).iter().all(|(_, m)| m.contains("has 4") && m.contains("allows 2")));
    let active = requests(&world).into_iter().filter(|r| r.phase() == Phase::Active);
    let active: Vec<String> = active.filter_map(|r| r.metadata.name).collect();
    for name in &active[..2] {
        world.decide(name, "ada@contoso.com", "Revoke").await;
    }
    sleep(Duration::from_mins(1)).await;
    assert_eq!(count(&world, Phase::Active), 2, "the quota is two");

    world.policy(&quota(5, Value::Null));
    world.until("five are issued", SOON, || count(&world, Phase::Active) == 5).await;
    // Without a quota all go on.
    world.policy(&json!({}));
    world.until("all are issued", SOON, || waiting(&world).is_empty()).await;
    world.check_at_rest();
}

/// A request that waits for approval or for its start holds no slot, and takes none from another.
#[tokio::test(start_paused = true)]
async fn a_slot_is_taken_only_for_the_issue() {
    let world = world(1, Value::Null);
    let mut fields = quota(1, Value::Null);
    fields["approval"] = json!({"required": 1});
    world.policy(&fields);
    let _operator = world.operator();
    for number in 0..2 {
        ask(&world, number, NAMESPACE, "rita@contoso.com");
        world.until_phase(&name(number), Phase::AwaitingApproval, SOON).await;
    }
    let later = world.kubernetes.now() + jiff::SignedDuration::from_mins(20);
    let start = json!({"startTime": format!("{later:.0}")});
    ask_with(&world, 2, NAMESPACE, "rita@contoso.com", &start);
    world.until_phase("r2", Phase::AwaitingApproval, SOON).await;
    world.decide("r2", "ada@contoso.com", "Approve").await;
    world.until_phase("r2", Phase::Scheduled, SOON).await;
    world.decide("r1", "ada@contoso.com", "Approve").await;
    world.until_phase("r1", Phase::Active, SOON).await;
    world.decide("r0", "ada@contoso.com", "Approve").await;
    world.until_phase("r0", Phase::Pending, SOON).await;
    assert_eq!(world.reason("r0"), "QuotaReached");
    let approved = world.get("r0").status.and_then(|s| s.approvals);
    assert_eq!(approved.as_deref(), Some("1/1"), "it stays approved");
    world.until_phase("r0", Phase::Active, LIFETIME + SOON).await;
    world.until_phase("r2", Phase::Pending, LIFETIME + SOON).await;
    assert_eq!(world.reason("r2"), "QuotaReached");
    world.until_phase("r2", Phase::Active, LIFETIME + SOON).await;
    check_bounds(&world, 1, 1);
}
