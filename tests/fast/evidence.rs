//! What the operator reads in the tenant's logs: how passes were used, what their users registered, which passes others make,
//! who changes the method. And that it reads nothing where it may not, and slows nothing down.

use std::sync::Arc;
use std::time::Duration;

use graph_simulator::switches::AuditNames;
use graph_simulator::tenant::{App, BOB, CONTOSO, OPERATOR, OPERATOR_SECRET, Secret};
use graph_simulator::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapRequestStatus};
use tap_operator::controller::metrics::Format;
use tap_operator::entra::NewPass;
use tap_operator::graph;
use tokio::time::{Instant, sleep};
use uuid::{Uuid, uuid};

use crate::log::Log;
use crate::notices::{Post, everything};
use crate::transport::InProcess;
use crate::world::{SETTLE, SOON, USE_CHECK, World, operators_writes, secret_file};

/// Longer than the logs lag, the settle time, and the interval at which they are read.
const TOLD: Duration = Duration::from_mins(6);
/// Longer than the logs are asked about a pass that ended.
const ALL_ASKED: Duration = Duration::from_mins(62);

/// A tenant that lets the operator's app read its logs.
fn world() -> World {
    let world = World::new();
    let grant = |app: &mut App| app.roles.push("AuditLog.Read.All".into());
    world.tenant.edit_app(OPERATOR, grant).expect("it is known");
    world
}

/// The notes of the events with this reason about an object, in order, with their type.
fn events(world: &World, kind: &str, name: &str, reason: &str) -> Vec<(String, String)> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let all = world.kubernetes.list("events").into_iter().filter(|event| {
        let about = &event["regarding"];
        about["kind"] == kind && about["name"] == name && event["reason"] == reason
    });
    all.map(|event| (text(&event, "type"), text(&event, "note"))).collect()
}

fn status(world: &World, name: &str) -> TapRequestStatus {
    world.get(name).status.unwrap_or_default()
}

fn says(world: &World, name: &str, type_: &str) -> String {
    let conditions = status(world, name).conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map(|c| format!("{} {}", c.status, c.reason)).unwrap_or_default()
}

/// A request of Alice whose pass was used.
async fn used(world: &World, name: &str) {
    world.request(name, &json!({}));
    world.until_phase(name, Phase::Active, SOON).await;
    let code = world.delivered(name).expect("a code");
    world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in");
    world.until_ended(name, Phase::Used, USE_CHECK * 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_tried_five_times_in_vain_leaves_a_trace() {
    let world = world();
    let (log, _logging) = Log::start();
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    for _ in 0..5 {
        world.tenant.sign_in("alice@contoso.com", "guessed").expect_err("it is wrong");
    }
    let code = world.delivered("lost-phone").expect("a code");
    let used = world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in");
    world.tenant.register_method("alice@contoso.com", "fido2").expect("registered");
    world.until_ended("lost-phone", Phase::Used, USE_CHECK * 2).await;

    let told = || status(&world, "lost-phone").evidence.is_some();
    world.until("the status tells of its use", TOLD, told).await;
    let found = status(&world, "lost-phone");
    let expected = json!({
        "firstSignIn": format!("{:.0}", used.at),
        "failedSignIns": [{"code": 130_503, "count": 5}],
    });
    assert_eq!(serde_json::to_value(&found.evidence).expect("JSON"), expected);
    assert_eq!(says(&world, "lost-phone", "Registered"), "True MethodRegistered");
    assert_eq!((found.registered, found.phase), (vec!["fido2".to_owned()], Phase::Used));
    let events = |reason| events(&world, "TapRequest", "lost-phone", reason);
    world.until("all events are there", SOON, || !events("MethodRegistered").is_empty()).await;
    let [(type_, note)] = &events("UseSeen")[..] else { panic!("{:?}", events("UseSeen")) };
    assert_eq!(type_, "Warning");
    for words in ["5 times with AADSTS130503 (wrong code)", "My Signins", "203.0.113.7"] {
        assert!(note.contains(words), "{note}");
    }
    let count = "tap_operator_pass_sign_ins_failed_total{error=\"130503\"} 5";
    let page = operator.metrics.text(Format::Classic);
    assert!(page.contains(count), "{page}");
    let line = log.about("\"audit\":\"evidence\"").pop().expect("a line");
    for words in ["\"error\":130503,\"count\":5", "203.0.113.7", "\"registered\":[\"fido2\"]"] {
        assert!(line.contains(words), "{line}");
    }
    assert!(!line.contains(&code), "{line}");

    // Then it is quiet.
    let writes = world.kubernetes.requests_for(&operators_writes()).len();
    sleep(ALL_ASKED).await;
    assert_eq!(world.kubernetes.requests_for(&operators_writes()).len(), writes);
    let asked = world.tenant.requests_for(Operation::SignIns).len();
    assert_eq!(asked, 4, "at once, and after 5, 15 and 60 minutes");
    sleep(Duration::from_hours(2)).await;
    assert_eq!(world.tenant.requests_for(Operation::SignIns).len(), asked);
    assert_eq!(log.about("\"audit\":\"evidence\"").len(), 1, "each sign-in is told once");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_registers_nothing_is_told_once_whoever_leads() {
    let world = world();
    let operator = world.operator();
    used(&world, "used").await;
    world.request("unused", &json!({"lifetime": "10m", "user": "bob@contoso.com"}));
    world.until_ended("unused", Phase::Expired, Duration::from_mins(11)).await;
    operator.stop().await;
    sleep(Duration::from_mins(30)).await;
    let _another = world.operator();
    sleep(ALL_ASKED).await;
    for name in ["used", "unused"] {
        assert_eq!(says(&world, name, "Registered"), "False NothingRegistered", "{name}");
        assert_eq!(events(&world, "TapRequest", name, "NothingRegistered").len(), 1, "{name}");
    }
    assert!(status(&world, "used").evidence.is_some());
    let writes = world.kubernetes.requests_for(&operators_writes()).len();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(world.kubernetes.requests_for(&operators_writes()).len(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_pass_made_in_the_portal_beside_ours_is_told_and_stays() {
    for (names, app_ids) in [
        (AuditNames::AdminSecurityInfo, true),
        (AuditNames::UserSecurityInfo, false),
        (AuditNames::CreateMethod, true),
    ] {
        let world = world();
        world.tenant.switch(|switches| {
            switches.audit_names = names;
            switches.audit_app_ids = app_ids;
        });
        let (log, _logging) = Log::start();
        let operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        let bob = "bob@contoso.com";
        let hour = json!({"lifetimeInMinutes": 60});
        let pass = world.tenant.portal_create_pass(bob, &hour).expect("made");
        let told = || events(&world, "TapPolicy", "contoso", "ForeignPass");
        world.until("it is told", TOLD, || !told().is_empty()).await;
        sleep(TOLD).await;
        let [(type_, note)] = &told()[..] else { panic!("{:?}", told()) };
        assert!(type_ == "Warning" && note.contains("admin@contoso.com"), "{note}");
        assert!(note.contains("a pass for bob@contoso.com"), "{note}");
        let lines = log.about("\"audit\":\"foreign\"");
        assert!(lines.len() == 1 && lines[0].contains(&pass.to_string()), "{lines:?}");
        assert!(lines[0].contains("\"again\":false"), "{lines:?}");
        let count = "tap_operator_foreign_passes_total{connection=\"default\"} 1";
        assert!(operator.metrics.text(Format::Classic).contains(count));
        assert_eq!(world.tenant.balance().live, 2, "nothing is deleted");
        world.check_delivered("lost-phone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_begins_calls_no_pass_of_the_one_before_it_foreign() {
    let world = world();
    world.tenant.switch(|switches| switches.audit_lag_seconds = 600);
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.request("withdrawn", &json!({"user": "bob@contoso.com"}));
    world.until_phase("withdrawn", Phase::Active, SOON).await;
    world.delete("withdrawn");
    world.until("it is gone", SOON, || world.find("withdrawn").is_none()).await;
    world.tenant.portal_create_pass("carol@contoso.com", &json!({})).expect("made");
    operator.crash().await;
    let (log, _logging) = Log::start();
    let _another = world.operator();
    sleep(Duration::from_mins(30)).await;
    let told = events(&world, "TapPolicy", "contoso", "ForeignPass");
    let [(_, note)] = &told[..] else { panic!("{told:?}") };
    assert!(note.contains("carol@contoso.com"), "{note}");
    let lines = log.about("\"audit\":\"foreign\"");
    assert!(lines.len() == 1 && lines[0].contains("\"again\":true"), "{lines:?}");
}

/// An answer that is lost leaves a pass that no status names, until the operator finds it.
#[tokio::test(start_paused = true)]
async fn a_pass_whose_answer_was_lost_is_not_foreign() {
    let world = world();
    world.tenant.switch(|switches| switches.audit_lag_seconds = 0);
    let _operator = world.operator();
    world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SETTLE * 3).await;
    sleep(Duration::from_mins(30)).await;
    assert_eq!(world.tenant.balance().made, 2);
    assert!(events(&world, "TapPolicy", "contoso", "ForeignPass").is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_installation_of_the_app_is_told_to_be_one() {
    let world = world();
    let _operator = world.operator();
    sleep(TOLD).await;
    // Its passes are made with the same app, and no request here records them.
    let connections = format!(
        "tenants: [{{name: default, tenantId: {CONTOSO}, clientId: {OPERATOR},
          credential: {{clientSecret: {{file: '{}'}}}}}}]",
        secret_file()
    );
    let connections = graph::connections_from_text(&connections, "the test").expect("connections");
    let options = graph::Options::new(Arc::new(InProcess(world.tenant.clone())));
    let elsewhere = graph::Client::connect(connections, &options).remove(0);
    let new = NewPass { start: None, lifetime_minutes: 60, one_time: true };
    let id = Uuid::new_v4().to_string();
    let created = elsewhere.create_pass(&BOB.to_string(), &new, &id, Instant::now() + SOON).await;
    created.expect("a pass");
    let told = || events(&world, "TapPolicy", "contoso", "ForeignPass");
    world.until("it is told", TOLD, || !told().is_empty()).await;
    assert!(told()[0].1.contains("another installation of this app"), "{:?}", told());
}

#[tokio::test(start_paused = true)]
async fn who_deleted_a_pass_and_who_changed_the_method_is_told() {
    let world = world();
    let method = json!({"lifetime": {"maximum": "8h"}});
    world.policy_named("method", &json!({"tenant": "default", "interval": "2h", "method": method}));
    let post = Post::default();
    let _operator = post.operator(&world, &json!([everything("all")]));
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    sleep(TOLD).await;
    let pass = world.live()[0].id;
    world.tenant.portal_delete_pass("alice@contoso.com", pass).expect("deleted");
    let longer = json!({"maximumLifetimeInMinutes": 600});
    world.tenant.portal_patch_policy(&longer).expect("changed");
    let deleted = || events(&world, "TapRequest", "lost-phone", "PassDeleted");
    world.until("the deletion is told", TOLD, || !deleted().is_empty()).await;
    assert!(deleted()[0].1.contains("admin@contoso.com"), "{:?}", deleted());
    // Long before the tenant would be read again.
    let drifted = || events(&world, "TapPolicy", "method", "Drifted");
    world.until("the drift is told", SOON, || !drifted().is_empty()).await;
    let who = "admin@contoso.com last changed the tenant's authentication methods";
    assert!(drifted()[0].1.contains(who), "{:?}", drifted());
    let told = || post.kinds("all").contains(&"Drift".to_owned());
    world.until("the receiver is told of the drift", SOON, told).await;
    let drift = post.got("all").into_iter().map(|got| got.event()["data"].clone());
    let drift = drift.filter(|data| data["kind"] == "Drift").collect::<Vec<_>>();
    let [drift] = &drift[..] else { panic!("{drift:?}") };
    assert_eq!(drift["changed_by"], "admin@contoso.com");
    assert!(drift["changed_at"].is_string(), "{drift}");
    let changed = events(&world, "TapPolicy", "method", "MethodChanged");
    assert!(changed.last().is_some_and(|(_, note)| note.contains("admin@contoso.com")));
    let elsewhere = events(&world, "TapPolicy", "contoso", "MethodChanged");
    assert!(elsewhere.is_empty(), "it manages none: {elsewhere:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_permission_nothing_is_asked_and_the_policy_says_what_is_not_seen() {
    let world = World::new();
    let _operator = world.operator();
    used(&world, "lost-phone").await;
    world.tenant.portal_create_pass("bob@contoso.com", &json!({})).expect("made");
    sleep(Duration::from_hours(3)).await;
    let logs = [Operation::SignIns, Operation::DirectoryAudits];
    assert!(logs.iter().all(|log| world.tenant.requests_for(*log).is_empty()));
    assert_eq!(world.policy_says("contoso", "LogsRead"), "False LogsNotRead");
    assert_eq!(world.policy_says("contoso", "Ready"), "True AdmitsRequests");
    assert_eq!(says(&world, "lost-phone", "Registered"), "");
    // Once it is granted, the next pass is seen.
    let grant = |app: &mut App| app.roles.push("AuditLog.Read.All".into());
    world.tenant.edit_app(OPERATOR, grant).expect("it is known");
    let told = || world.policy_says("contoso", "LogsRead") == "True LogsRead";
    world.until("the logs are read", Duration::from_hours(2), told).await;
    used(&world, "another").await;
    let told = || status(&world, "another").evidence.is_some();
    world.until("its use is told", TOLD, told).await;
    assert_eq!(status(&world, "lost-phone").evidence, None, "that is long ago");
}

#[tokio::test(start_paused = true)]
async fn without_the_licence_for_sign_ins_the_rest_is_seen() {
    let world = world();
    world.tenant.switch(|switches| switches.premium_licence = false);
    let _operator = world.operator();
    used(&world, "lost-phone").await;
    world.tenant.register_method("alice@contoso.com", "fido2").expect("registered");
    let told = || says(&world, "lost-phone", "Registered") == "True MethodRegistered";
    world.until("the registration is told", TOLD, told).await;
    let told = || world.policy_says("contoso", "LogsRead") == "False SignInsNotRead";
    world.until("the policy says so", Duration::from_mins(15), told).await;
    sleep(ALL_ASKED).await;
    assert_eq!(world.tenant.requests_for(Operation::SignIns).len(), 1, "it does not insist");
    assert_eq!(status(&world, "lost-phone").evidence, None);
}

#[tokio::test(start_paused = true)]
async fn logs_that_are_throttled_or_broken_come_later_and_slow_no_issue() {
    let world = world();
    let _operator = world.operator();
    let throttled = FaultKind::Throttled { retry_after_seconds: Some(120.0), form: None };
    let broken =
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
    for kind in [throttled, broken, FaultKind::Hang { seconds: None }] {
        for log in [Operation::SignIns, Operation::DirectoryAudits] {
            world.tenant.inject(Fault::on(log, kind.clone()));
        }
    }
    used(&world, "lost-phone").await;
    let began = Instant::now();
    world.request("meanwhile", &json!({"user": "bob@contoso.com"}));
    world.until_phase("meanwhile", Phase::Active, SOON).await;
    assert!(began.elapsed() < SOON);
    let told = || status(&world, "lost-phone").evidence.is_some();
    world.until("its use is told", Duration::from_mins(20), told).await;
    assert_eq!(says(&world, "lost-phone", "Ready"), "True PassUsed");
}

/// Two connections to one tenant read its log once, through the app that may.
#[tokio::test(start_paused = true)]
async fn a_log_is_read_once_for_a_tenant() {
    const SECOND: Uuid = uuid!("0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a22");
    let world = World::new();
    world.tenant.add_app(App {
        client_id: SECOND,
        service_principal_id: Uuid::new_v4(),
        name: "second".into(),
        enabled: true,
        roles: vec!["AuditLog.Read.All".into(), "Policy.Read.AuthenticationMethod".into()],
        secrets: vec![Secret { value: OPERATOR_SECRET.into(), end_date_time: None }],
        certificates: Vec::new(),
        federated_credentials: Vec::new(),
    });
    world.policy_named("logs", &json!({"tenant": "logs"}));
    let apps = [("default", OPERATOR), ("logs", SECOND), ("twin", SECOND)];
    let _operator = world.operator_with_apps(&apps);
    sleep(Duration::from_mins(61)).await;
    let read = world.tenant.requests_for(Operation::DirectoryAudits);
    assert!((58..=61).contains(&read.len()), "{}", read.len());
    assert!(read.iter().all(|call| call.app == Some(SECOND)));
}

/// The token of the app has the permission, and Graph refuses it all the same.
#[tokio::test(start_paused = true)]
async fn a_log_that_graph_refuses_is_told_as_one_that_is_not_read() {
    let world = world();
    let refusal =
        FaultKind::Status { status: 403, effect: false, code: None, retry_after_seconds: None };
    world.tenant.inject(Fault::on(Operation::DirectoryAudits, refusal).times(u32::MAX));
    let _operator = world.operator();
    let told = || world.policy_says("contoso", "LogsRead") == "False LogsNotRead";
    world.until("it is told", Duration::from_mins(15), told).await;
    let policy = world.kubernetes.get("tappolicies", "", "contoso").expect("there");
    let refused = "Graph refuses to let the app read them";
    assert!(policy["status"]["conditions"].to_string().contains(refused), "{policy}");
    world.tenant.clear_faults();
    let told = || world.policy_says("contoso", "LogsRead") == "True LogsRead";
    world.until("they are read again", Duration::from_mins(30), told).await;
}
