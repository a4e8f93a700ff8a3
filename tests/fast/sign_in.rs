//! What requests and policies say of Conditional Access, and that nothing waits for it.

use std::time::Duration;

use graph_simulator::tenant::{OPERATOR, PILOT_GROUP, User};
use graph_simulator::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tap_operator::api::{CheckResult, Phase};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{IN_ORDER, SOON, World};

const RESISTANT: &str = "00000000-0000-0000-0000-000000000004";
const ALL: &str = "Policy.Read.All";
const WHAT_IF: &str = "Policy.Read.ConditionalAccess";

/// A policy that demands keys of the members of the pilot group.
fn keys(state: &str) -> Value {
    json!({
        "id": "ca000000-0000-4000-8000-000000000001", "displayName": "Keys for pilots", "state": state,
        "conditions": {
            "users": {"includeGroups": [PILOT_GROUP]},
            "applications": {"includeApplications": ["All"]},
        },
        "grantControls": {"operator": "OR", "authenticationStrength": {"id": RESISTANT}},
    })
}

/// A tenant with this Conditional Access policy, whose app holds one more permission.
fn world(permission: &str, policy: Value) -> World {
    let world = World::new();
    world.tenant.edit_app(OPERATOR, |app| app.roles.push(permission.into())).expect("known");
    world.tenant.set_access_policies(vec![policy]);
    world
}

fn check(world: &World, name: &str) -> Option<(CheckResult, String)> {
    let checks = world.get(name).status.unwrap_or_default().checks;
    let check = checks.into_iter().find(|check| check.name == "SignIn")?;
    Some((check.result, check.message.unwrap_or_default()))
}

fn calls(world: &World, operation: Operation) -> usize {
    world.tenant.requests_for(operation).len()
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_could_not_be_used_is_told_of_before_it_is_made() {
    for permission in [ALL, WHAT_IF] {
        let world = world(permission, keys("enabled"));
        world.policy(&json!({"approval": {"required": 1}}));
        let _operator = world.operator();
        world.request("alice", &json!({}));
        world.request("carol", &json!({"user": "carol@contoso.com"}));
        for name in ["alice", "carol"] {
            world.until_phase(name, Phase::AwaitingApproval, IN_ORDER).await;
        }
        let (result, message) = check(&world, "alice").expect("a check");
        assert_eq!(result, CheckResult::Warned, "{permission}: {message}");
        assert!(
            message.contains("\"Keys for pilots\"") && message.contains("one-time"),
            "{message}"
        );
        assert_eq!(check(&world, "carol").expect("a check").0, CheckResult::Passed, "{permission}");
        world.decide("alice", "paula@contoso.com", "Approve").await;
        world.until_phase("alice", Phase::Active, SOON).await;
        assert_eq!(check(&world, "alice").expect("a check").0, CheckResult::Warned);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_permission_nothing_is_asked_and_requests_are_as_ever() {
    let world = World::new();
    world.tenant.set_access_policies(vec![keys("enabled")]);
    let _operator = world.operator();
    world.request("alice", &json!({}));
    world.until_phase("alice", Phase::Active, SOON).await;
    assert_eq!(check(&world, "alice"), None);
    let asked =
        [Operation::AccessPolicies, Operation::AuthenticationStrengths, Operation::Evaluate];
    assert_eq!(asked.map(|operation| calls(&world, operation)), [0, 0, 0]);
    let told =
        || world.policy_says("contoso", "PassesUsable") == "Unknown ConditionalAccessNotSeen";
    world.until("the policy says so", SOON, told).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_switched_on_after_the_request_stops_its_issue_where_that_is_wanted() {
    let reported = "enabledForReportingButNotEnforced";
    for refuses in [false, true] {
        let world = world(ALL, keys(reported));
        let what = if refuses { "Refuse" } else { "Warn" };
        world.policy(&json!({"approval": {"required": 1}, "unusablePass": what}));
        let _operator = world.operator();
        world.request("alice", &json!({}));
        world.until_phase("alice", Phase::AwaitingApproval, SOON).await;
        let (result, message) = check(&world, "alice").expect("a check");
        assert_eq!(result, CheckResult::Passed);
        assert!(message.contains("once enforced"), "{message}");
        let told =
            || world.policy_says("contoso", "PassesUsable") == "True PassesBlockedOnceEnforced";
        world.until("the policy says so", SOON, told).await;

        world.tenant.set_access_policies(vec![keys("enabled")]);
        // Longer than anything of it is remembered.
        sleep(Duration::from_mins(3)).await;
        world.decide("alice", "paula@contoso.com", "Approve").await;
        if refuses {
            world.until("it waits", SOON, || world.reason("alice") == "PassUnusable").await;
            assert_eq!((world.phase("alice"), world.posts()), (Phase::Pending, 0));
            // What an administrator corrects is seen.
            world.tenant.set_access_policies(vec![keys("disabled")]);
            world.until_phase("alice", Phase::Active, Duration::from_mins(3)).await;
        } else {
            world.until_phase("alice", Phase::Active, SOON).await;
            assert_eq!(check(&world, "alice").expect("a check").0, CheckResult::Warned);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn patience_ends_for_a_pass_that_is_refused() {
    let world = world(ALL, keys("enabled"));
    world.policy(&json!({"unusablePass": "Refuse", "patience": "10m"}));
    let _operator = world.operator();
    world.request("alice", &json!({}));
    world.until("it waits", SOON, || world.reason("alice") == "PassUnusable").await;
    world.until_phase("alice", Phase::Failed, Duration::from_mins(15)).await;
    assert_eq!((world.reason("alice").as_str(), world.posts()), ("PassUnusable", 0));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_answer_about_it_holds_up_no_pass() {
    let faults = [
        FaultKind::Hang { seconds: None },
        FaultKind::Html { status: 502, effect: false },
        FaultKind::Garbled,
        FaultKind::Throttled { retry_after_seconds: None, form: None },
    ];
    for permission in [ALL, WHAT_IF] {
        for fault in &faults {
            let world = world(permission, keys("enabled"));
            for operation in [Operation::AccessPolicies, Operation::Evaluate] {
                for _ in 0..20 {
                    world.tenant.inject(Fault::on(operation, fault.clone()));
                }
            }
            let _operator = world.operator();
            world.request("alice", &json!({}));
            world.until_phase("alice", Phase::Active, Duration::from_secs(2)).await;
            let (result, message) = check(&world, "alice").expect("a check");
            assert_eq!(result, CheckResult::Unknown, "{permission} {fault:?}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_ask_the_tenant_once() {
    let world = world(ALL, keys("enabled"));
    let _operator = world.operator();
    for number in 0..20 {
        let user = if number % 2 == 0 { "alice@contoso.com" } else { "carol@contoso.com" };
        world.request(&format!("r{number}"), &json!({"user": user, "onExistingPass": "Wait"}));
    }
    world
        .until("all are checked", IN_ORDER, || {
            (0..20).all(|number| check(&world, &format!("r{number}")).is_some())
        })
        .await;
    assert!(calls(&world, Operation::AccessPolicies) <= 4, "{}", world.report());
    let refused = world.tenant.requests().into_iter().filter(|call| call.status == Some(429));
    assert_eq!(refused.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_what_if_says_so() {
    let world = world(WHAT_IF, keys("enabled"));
    world.tenant.switch(|switches| switches.what_if = false);
    let _operator = world.operator();
    world.request("alice", &json!({}));
    world.until_phase("alice", Phase::Active, SOON).await;
    let (result, message) = check(&world, "alice").expect("a check");
    assert_eq!(result, CheckResult::Unknown);
    assert!(message.contains("this cloud") && message.contains(ALL), "{message}");
    let told = || {
        let policy = world.kubernetes.get("tappolicies", "", "contoso").expect("there");
        policy["status"]["conditions"].to_string().contains("this cloud does not tell")
    };
    world.until("the policy says so, too", Duration::from_mins(15), told).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_names_what_blocks_its_passes_and_the_recommendations_that_are_missed() {
    let world = world(ALL, keys("enabled"));
    let _operator = world.operator();
    let told = || world.policy_says("contoso", "PassesUsable") == "False PassesBlocked";
    world.until("the policy says so", SOON, told).await;
    let policy = world.kubernetes.get("tappolicies", "", "contoso").expect("there");
    let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let usable = conditions.into_iter().find(|c| c["type"] == "PassesUsable").unwrap_or_default();
    let message = usable["message"].as_str().unwrap_or_default().to_owned();
    let group = PILOT_GROUP.to_string();
    for part in ["\"Keys for pilots\"", "Phishing resistant MFA", "the members of group", &group] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let posture = policy["status"]["posture"].as_array().cloned().unwrap_or_default();
    let results: Vec<String> = (posture.iter())
        .map(|one| format!("{} {}", one["id"].as_str().unwrap(), one["result"].as_str().unwrap()))
        .collect();
    assert_eq!(
        results,
        [
            "EIDSCA.AT01 Met",
            "EIDSCA.AT02 NotMet",
            "ZeroTrust.21845 NotMet",
            "ZeroTrust.21846 NotMet",
        ]
    );
}

/// Each would hang for half a minute, one after the other.
#[tokio::test(start_paused = true)]
async fn requests_that_depend_on_one_read_share_its_failure() {
    let world = world(ALL, keys("disabled"));
    world.policy(&json!({"unusablePass": "Refuse"}));
    let hangs = Fault::on(Operation::AccessPolicies, FaultKind::Hang { seconds: None });
    world.tenant.inject(hangs.times(u32::MAX));
    let _operator = world.operator();
    let users = ["bob", "carol", "frank"];
    for user in users {
        world.request(user, &json!({"user": format!("{user}@contoso.com")}));
    }
    let all = || users.iter().all(|user| world.reason(user) == "TenantUnreachable");
    world.until("all are told", Duration::from_secs(65), all).await;
    let read = calls(&world, Operation::AccessPolicies);
    assert!(read <= 2, "one, and one of the policy before: {read}");
    world.tenant.clear_faults();
    for user in users {
        world.until_phase(user, Phase::Active, Duration::from_mins(2)).await;
    }
}

/// A user takes two calls, and the tenant allows one in a second.
#[tokio::test(start_paused = true)]
async fn many_users_who_are_asked_about_one_by_one_all_get_their_pass() {
    let world = world(WHAT_IF, keys("enabled"));
    world.policy(&json!({"unusablePass": "Refuse"}));
    let _operator = world.operator();
    let names: Vec<String> = (0..40).map(|number| format!("u{number}")).collect();
    for (name, number) in names.iter().zip(0x0f10_0000..) {
        let user = format!("{name}@contoso.com");
        world.tenant.add_user(User::member(Uuid::from_u128(number), &user, "A User"));
        world.request(name, &json!({ "user": user }));
    }
    for name in &names {
        world.until_phase(name, Phase::Active, Duration::from_mins(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_without_the_licence_for_what_if_says_so() {
    let world = world(WHAT_IF, keys("enabled"));
    world.tenant.switch(|switches| switches.premium_licence = false);
    let _operator = world.operator();
    world.request("alice", &json!({}));
    world.until_phase("alice", Phase::Active, SOON).await;
    let (result, message) = check(&world, "alice").expect("a check");
    assert_eq!(result, CheckResult::Unknown);
    assert!(message.contains("Microsoft Entra ID P1"), "{message}");
    assert!(!message.contains(WHAT_IF), "it holds that permission: {message}");
}

fn refusal(status: u16, code: &str) -> FaultKind {
    FaultKind::Status { status, effect: false, code: Some(code.into()), retry_after_seconds: None }
}

/// The permission was granted a moment ago.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_no_licence_is_none_for_lack_of_one() {
    let world = world(WHAT_IF, keys("enabled"));
    world.tenant.inject(Fault::on(Operation::Evaluate, refusal(403, "AccessDenied")).times(2));
    let _operator = world.operator();
    world.request("alice", &json!({}));
    world.until_phase("alice", Phase::Active, IN_ORDER).await;
    let (_, message) = check(&world, "alice").expect("a check");
    assert!(!message.contains("Microsoft Entra ID P1"), "{message}");
}

/// Such as one who was deleted a moment ago.
#[tokio::test(start_paused = true)]
async fn an_error_about_one_user_says_nothing_of_the_tenant() {
    let world = world(WHAT_IF, keys("enabled"));
    world.policy(&json!({"unusablePass": "Refuse"}));
    for status in [404, 400] {
        let error = refusal(status, "Request_ResourceNotFound");
        world.tenant.inject(Fault::on(Operation::Evaluate, error));
    }
    let _operator = world.operator();
    for user in ["carol", "bob"] {
        world.request(user, &json!({"user": format!("{user}@contoso.com")}));
        let told = || check(&world, user).is_some();
        world.until("it is checked", IN_ORDER, told).await;
        let (_, message) = check(&world, user).expect("a check");
        assert!(!message.contains("this cloud"), "{message}");
    }
}
