//! The permissions of the operator's apps: each app needs only its own part, and the status says what is wrong.

use std::time::Duration;

use graph_simulator::tenant::{App, OPERATOR, OPERATOR_SECRET, Secret};
use graph_simulator::{End, Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::controller::metrics::Format;
use tokio::time::sleep;
use uuid::{Uuid, uuid};

use crate::log::Log;
use crate::world::{IN_ORDER, NAMESPACE, SOON, World};

/// An app besides the one that every tenant has.
const SECOND: Uuid = uuid!("0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a22");
const ISSUING: [&str; 4] = [
    "UserAuthMethod-TAP.ReadWrite.All",
    "Policy.Read.AuthenticationMethod",
    "User.Read.All",
    "RoleEligibilitySchedule.Read.Directory",
];
const WRITING: [&str; 1] = ["Policy.ReadWrite.AuthenticationMethod"];

/// A world whose tenant has two apps with these permissions.
fn world(first: &[&str], second: &[&str]) -> World {
    let world = World::new();
    grant(&world, first);
    world.tenant.add_app(App {
        client_id: SECOND,
        service_principal_id: Uuid::new_v4(),
        name: "second".into(),
        enabled: true,
        roles: second.iter().map(ToString::to_string).collect(),
        secrets: vec![Secret { value: OPERATOR_SECRET.into(), end_date_time: None }],
        certificates: Vec::new(),
        federated_credentials: Vec::new(),
    });
    world
}

/// Gives the first app exactly these permissions. Its next token has them.
fn grant(world: &World, roles: &[&str]) {
    let roles = roles.iter().map(ToString::to_string).collect();
    world.tenant.edit_app(OPERATOR, |app| app.roles = roles).expect("it is known");
}

/// A policy that issues through a connection, without approval.
fn issuing(connection: &str) -> Value {
    json!({"tenant": connection, "issuance": {
        "namespaces": {"names": [NAMESPACE]}, "users": {"domains": ["contoso.com"]},
        "approval": {"required": 0}, "lifetime": {"maximum": "8h"},
    }})
}

#[tokio::test(start_paused = true)]
async fn one_app_issues_and_another_writes_the_method() {
    let world = world(&ISSUING, &WRITING);
    world.policy_named("contoso", &issuing("issuing"));
    let method = json!({"codeLength": 14});
    let enforced = json!({"tenant": "writing", "enforcement": "Enforce", "method": method});
    world.policy_named("method", &enforced);
    let _operator = world.operator_with_apps(&[("issuing", OPERATOR), ("writing", SECOND)]);
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let synced = || world.policy_says("method", "Synced") == "True InSync";
    world.until("the method is in sync", SOON, synced).await;
    assert_eq!(world.tenant.policy().default_length, 14);
    for policy in ["contoso", "method"] {
        assert_eq!(world.policy_says(policy, "Permissions"), "True PermissionsGranted", "{policy}");
    }
    assert_eq!(world.policy_says("contoso", "Ready"), "True AdmitsRequests");

    let apps = |operation| {
        let calls = world.tenant.requests_for(operation);
        calls.into_iter().filter_map(|call| call.app).collect::<Vec<_>>()
    };
    assert_eq!(apps(Operation::PassCreate), [OPERATOR]);
    assert_eq!(apps(Operation::PolicyPatch), [SECOND]);
    let mut refused = world.tenant.requests();
    refused.retain(|call| call.status == Some(403));
    assert!(refused.is_empty(), "{refused:?}");
    world.check_delivered("lost-phone");
}

#[tokio::test(start_paused = true)]
async fn through_two_apps_a_user_still_gets_one_pass_at_a_time() {
    for fault in [FaultKind::Slow { seconds: 20 }, FaultKind::AnswerLost] {
        let world = world(&ISSUING, &ISSUING);
        world.policy_named("contoso", &issuing("first"));
        world.policy_named("other", &issuing("second"));
        world.tenant.inject(Fault::on(Operation::PassCreate, fault));
        let _operator = world.operator_with_apps(&[("first", OPERATOR), ("second", SECOND)]);
        world.request("one", &json!({"onExistingPass": "Wait"}));
        let other = json!({"onExistingPass": "Wait", "policyRef": {"name": "other"}});
        world.request("two", &other);
        let active = || ["one", "two"].into_iter().find(|name| world.phase(name) == Phase::Active);
        world.until("one is active", IN_ORDER, || active().is_some()).await;
        let winner = active().expect("one");
        let loser = if winner == "one" { "two" } else { "one" };
        sleep(Duration::from_mins(3)).await;
        assert_eq!((world.phase(winner), world.phase(loser)), (Phase::Active, Phase::Pending));
        assert_eq!(world.reason(loser), "ExistingPass");

        world.decide(winner, "ada@contoso.com", "Revoke").await;
        world.until_phase(loser, Phase::Active, Duration::from_mins(1)).await;
        world.check_delivered(loser);
        let ledger = world.tenant.ledger();
        let replaced = ledger.iter().filter(|pass| matches!(pass.end, End::Replaced { .. }));
        assert_eq!(replaced.count(), 0, "{ledger:?}");
        let apps: Vec<_> = world.tenant.requests_for(Operation::PassCreate);
        let used = |app| apps.iter().any(|call| call.app == Some(app));
        assert!(used(OPERATOR) && used(SECOND), "each by its own connection");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_policy_needs_of_an_app_is_not_too_much_for_the_others() {
    let world = world(&[&ISSUING[..], &WRITING].concat(), &[]);
    let _operator = world.operator();
    let says = |what: &str| {
        let (what, world) = (what.to_owned(), &world);
        move || world.policy_says("contoso", "Permissions") == what
    };
    world.until("nobody enforces", SOON, says("True PermissionExcessive")).await;
    let method = json!({"codeLength": 14});
    let enforced = json!({"tenant": "default", "enforcement": "Enforce", "method": method});
    world.policy_named("method", &enforced);
    world.until("somebody enforces", SOON, says("True PermissionsGranted")).await;
    world.policy_named("method", &json!({"tenant": "default", "method": method}));
    world.until("no policy enforces any more", SOON, says("True PermissionExcessive")).await;
}

/// Else an alert tells of permissions that nobody needs, until the process ends.
#[tokio::test(start_paused = true)]
async fn what_is_missing_for_a_policy_that_is_gone_is_missing_no_more() {
    let world = world(&ISSUING[1..], &[]);
    let operator = world.operator();
    let missing = |number: &str| {
        let line = format!(
            "tap_operator_connection_permissions_missing{{connection=\"default\"}} {number}\n"
        );
        operator.metrics.text(Format::Classic).contains(&line)
    };
    world.until("it is missing", SOON, || missing("1.0")).await;
    world.kubernetes.delete("tappolicies", "", "contoso").expect("it is there");
    world.until("nobody needs it", SOON, || missing("0.0")).await;
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_of_each_connection_at_the_start_and_when_something_changes() {
    let (log, _logging) = Log::start();
    let world = world(&ISSUING[1..], &[&WRITING[..], &["Mail.Send"]].concat());
    world.policy_named("contoso", &issuing("first"));
    let _operator = world.operator_with_apps(&[("first", OPERATOR), ("second", SECOND)]);
    let says = || world.policy_says("contoso", "Permissions") == "False PermissionMissing";
    world.until("the status reports it", SOON, says).await;
    sleep(Duration::from_mins(25)).await;
    let lines = log.about("the app");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for words in [
        &["WARN", "connection=\"first\"", "lacks UserAuthMethod-TAP.ReadWrite.All"],
        &["WARN", "connection=\"second\"", "Mail.Send (the operator does not need it)"],
    ] {
        let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} in {lines:#?}");
    }

    grant(&world, &ISSUING);
    let says = || world.policy_says("contoso", "Permissions") == "True PermissionsGranted";
    world.until("the status reports it", Duration::from_mins(12), says).await;
    let lines = log.about("the app");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[2].contains("INFO") && lines[2].contains("and no more"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_permissions_is_reported_and_nothing_else_is_written() {
    let world = World::new();
    grant(&world, &ISSUING[1..]);
    let _operator = world.operator();
    let says = |what: &str| {
        let what = what.to_owned();
        let world = &world;
        move || world.policy_says("contoso", "Permissions") == what
    };
    world.until("it is reported as missing", SOON, says("False PermissionMissing")).await;
    // A policy is reconciled every 10 minutes, with jitter.
    let look = Duration::from_mins(12);
    let quiet = async || {
        let before = world.writes().len();
        sleep(look).await;
        assert_eq!(world.writes().len(), before, "nothing has changed\n{}", world.report());
    };
    quiet().await;

    // While a permission is wrong, a new token is fetched before the old one expires.
    grant(&world, &[&ISSUING[..], &["Directory.ReadWrite.All"]].concat());
    world.until("it is reported as excessive", look, says("True PermissionExcessive")).await;
    quiet().await;
    grant(&world, &ISSUING);
    world.tenant.switch(|switches| switches.token_lifetime_seconds = 20 * 60);
    world.until("it fits", look, says("True PermissionsGranted")).await;
    quiet().await;
    grant(&world, &ISSUING[1..]);
    world.until("it is reported as missing again", 3 * look, says("False PermissionMissing")).await;
}

#[tokio::test(start_paused = true)]
async fn only_graph_itself_can_say_that_eligible_roles_may_not_be_seen() {
    let graphs =
        FaultKind::Status { status: 403, effect: false, code: None, retry_after_seconds: None };
    let proxys = FaultKind::Html { status: 403, effect: false };
    for (refusal, said) in [
        (graphs, "cannot see the directory roles that users could activate"),
        (proxys, "could activate none"),
    ] {
        let world = World::new();
        world.tenant.inject(Fault::on(Operation::RoleEligibilities, refusal));
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
        let checks = world.get("lost-phone").status.unwrap_or_default().checks;
        let roles = checks.into_iter().find(|check| check.name == "DirectoryRoles");
        let message = roles.and_then(|check| check.message).unwrap_or_default();
        assert!(message.contains(said), "{message}");
    }
}
