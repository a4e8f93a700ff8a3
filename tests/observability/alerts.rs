//! Each alert is provoked once, and goes when its cause is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use graph_simulator::tenant::{CONTOSO, Certificate, OPERATOR, OPERATOR_SECRET};
use graph_simulator::{Fault, FaultKind, Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tap_operator::api::names::INTENT_ANNOTATION;
use tap_operator::api::{DecisionKind, Phase, TapRequest, yaml};
use tap_operator::decision::intent::Intent;

use crate::prometheus::Prometheus;
use crate::scene::{Scene, quick};
use crate::support::operator::{NAMESPACE, SERVICE_ACCOUNT};
use crate::support::world::{World, install, policies_are_of_age};
use crate::support::{run_within, wait};

const RULES: &str = include_str!("../../deploy/monitoring/rules.yaml");
const MONITORING: &str = include_str!("../../docs/monitoring.md");
const DASHBOARD: &str = include_str!("../../deploy/monitoring/dashboard.json");

/// What somebody on call asks, and the query that answers it.
fn questions() -> Vec<(&'static str, &'static str)> {
    let (_, table) = MONITORING.split_once("| question | query |").unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |"));
    rows.filter_map(|row| row.split_once(" | `")).collect()
}

/// A world whose operator knows two connections: the tenant, and one whose certificate expires in ten days.
async fn world() -> Result<World> {
    let mut options = quick(&[]);
    options.operator = false;
    // The world's own directory is not known before it is there.
    let directory = tempfile::tempdir()?.keep();
    let file = directory.join("tenants.yaml");
    options.operator_flags.push(format!("--tenants-file={}", file.display()));
    let world = World::own(options).await?;
    world.simulator.switch(|switches| switches.authentication_method_limit = None);
    let write = |name: &str, content: &str| -> Result<Value> {
        std::fs::write(directory.join(name), content)?;
        Ok(json!(directory.join(name)))
    };
    let mut certificate = CertificateParams::default();
    let ends = Timestamp::now() + SignedDuration::from_hours(10 * 24);
    let (year, month, day) = {
        let date = ends.to_zoned(jiff::tz::TimeZone::UTC).date();
        (i32::from(date.year()), u8::try_from(date.month())?, u8::try_from(date.day())?)
    };
    certificate.not_after = rcgen::date_time_ymd(year, month, day);
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
    let certificate = certificate.self_signed(&key)?.pem();
    let known =
        Certificate { key: certificate.clone(), start_date_time: None, end_date_time: None };
    world.simulator.edit_app(OPERATOR, |app| app.certificates.push(known))?;
    let url = world.simulator.url();
    let connection = |name: &str, credential: Value| {
        json!({"name": name, "tenantId": CONTOSO, "clientId": OPERATOR, "loginUrl": url, "graphUrl": url,
               "credential": credential, "users": {"form": "userPrincipalName"}})
    };
    let certificate_file = write("app.crt", &certificate)?;
    let key_file = write("app.key", &key.serialize_pem())?;
    let by_certificate = json!({"certificateFile": certificate_file, "keyFile": key_file});
    let tenants = json!({"tenants": [
        connection("default", json!({"clientSecret": {"file": write("secret", OPERATOR_SECRET)?}})),
        connection("other", json!({"clientCertificate": by_certificate})),
    ]});
    write("tenants.yaml", &tenants.to_string())?;
    world.operator.start().await?;
    Ok(world)
}

struct Watch<'a> {
    prometheus: Prometheus,
    scene: Scene<'a>,
    fired: BTreeSet<String>,
}

impl Watch<'_> {
    /// These alerts fire now.
    async fn fire(&mut self, names: &[&str]) -> Result<()> {
        self.prometheus.fires(names).await?;
        self.fired.extend(names.iter().map(|name| (*name).to_owned()));
        Ok(())
    }

    async fn resolve(&self, names: &[&str]) -> Result<()> {
        self.prometheus.resolves(names).await
    }

    /// Makes the operator read the tenant: the interval of the policy is changed.
    async fn touch(&self, minutes: u32) -> Result<()> {
        self.scene.change_policy(json!({"interval": format!("{minutes}m")})).await.map(drop)
    }

    /// A policy of this name that the helpdesk may use.
    async fn policy(&self, name: &str, spec: Value) -> Result<()> {
        let Scene { helpdesk, namespace, world, .. } = &self.scene;
        world.control_plane.grant_policy(helpdesk, "use", name, namespace).await?;
        self.scene.policy_named(name, spec).await.map(drop)
    }

    /// Asks for a pass through a policy of this name.
    async fn ask(&self, name: &str, policy: &str) -> Result<()> {
        let spec = json!({"policyRef": {"name": policy}});
        // Rights take a moment to arrive.
        wait::until(wait::PATIENCE, "the request is taken", || async {
            self.scene.ask(name, &self.scene.user(), spec.clone()).await.map(drop)
        })
        .await
    }

    /// Records an intent on a request, as an operator does.
    async fn record(&self, name: &str, intent: &str) -> Result<()> {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
        let annotation = format!("{INTENT_ANNOTATION}={intent}");
        let annotate = ["annotate", "--overwrite", "taprequest", name, &annotation, &account];
        self.kubectl(&annotate, &self.scene.namespace).await
    }

    async fn kubectl(&self, arguments: &[&str], namespace: &str) -> Result<()> {
        let admin = self.scene.world.control_plane.admin();
        admin.kubectl(arguments.iter().copied()).in_namespace(namespace).ok().await.map(drop)
    }
}

fn issuance(scene: &Scene, more: &Value) -> Value {
    let mut issuance = json!({
        "namespaces": {"names": [scene.namespace]}, "users": {"domains": ["contoso.com"]}, "approval": {"required": 0},
    });
    json_patch::merge(&mut issuance, more);
    json!({"tenant": "default", "issuance": issuance})
}

#[test]
#[ignore = "make observability runs it: it needs Prometheus"]
fn each_alert_fires_and_resolves_and_each_question_has_an_answer() -> Result<()> {
    run_within(Duration::from_mins(30), async {
        let world = world().await?;
        let scene = Scene::new(&world, "watched").await?;
        scene.policy(json!({})).await?;
        let address = world.operator.address();
        let prometheus = Prometheus::start(&world.control_plane, &address, RULES).await?;
        let mut watch = Watch { prometheus, scene, fired: BTreeSet::new() };
        watch.fire(&["TapCredentialExpires"]).await?;

        people(&mut watch).await?;
        brakes(&mut watch).await?;
        tenant(&mut watch).await?;
        attempts(&mut watch).await?;
        logs(&mut watch).await?;
        answers(&watch).await?;
        cluster(&mut watch).await?;
        process(&mut watch).await?;

        let rules: Value = yaml::read(RULES)?;
        let rules = rules["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        let names = rules.iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned));
        let all: BTreeSet<String> = names.collect();
        ensure!(watch.fired == all, "not provoked: {:?}", all.difference(&watch.fired));
        Ok(())
    })
}

/// What people wait for, and what they may not do.
async fn people(watch: &mut Watch<'_>) -> Result<()> {
    let Scene { namespace, approver, helpdesk, world, .. } = &watch.scene;
    let (namespace, approver, helpdesk) = (namespace.clone(), approver.clone(), helpdesk.clone());
    let control_plane = &world.control_plane;
    control_plane.grant_policy(&approver, "approve", "approved", &namespace).await?;
    control_plane.grant_policy(&helpdesk, "use", "missing", &namespace).await?;
    watch.policy("approved", issuance(&watch.scene, &json!({"approval": {"required": 1}}))).await?;
    watch.scene.world.receiver.down(true);
    watch.ask("approval", "approved").await?;
    watch.ask("nowhere", "missing").await?;
    watch.fire(&["TapApprovalWaits", "TapRequestWaits", "TapNoticesFail"]).await?;
    watch.scene.world.receiver.down(false);
    watch.scene.decide(&approver, "approval", DecisionKind::Approve).await?;
    watch.scene.decide(&helpdesk, "nowhere", DecisionKind::Revoke).await?;
    watch.resolve(&["TapApprovalWaits", "TapRequestWaits", "TapNoticesFail"]).await?;

    let elsewhere = json!({"namespaces": {"names": ["elsewhere"]}});
    watch.policy("elsewhere", issuance(&watch.scene, &elsewhere)).await?;
    for number in 0..8 {
        watch.ask(&format!("refused-{number}"), "elsewhere").await?;
    }
    watch.fire(&["TapRefusedAttempts"]).await?;
    watch.resolve(&["TapRefusedAttempts"]).await?;

    // Without the verb use.
    let requests: Api<TapRequest> = Api::namespaced(helpdesk.client().await?, &namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let spec = json!({"policyRef": {"name": "nobody-may"}});
    let forbidden = serde_json::from_value(watch.scene.manifest("x", &watch.scene.user(), spec))?;
    let tries = async {
        loop {
            let batch = (0..50).map(|_| requests.create(&dry_run, &forbidden));
            ensure!(join_all(batch).await.iter().all(Result::is_err), "it was taken");
        }
    };
    tokio::select! {
        fired = watch.fire(&["TapRefusedByAdmission"]) => fired?,
        taken = tries => taken?,
    }
    watch.resolve(&["TapRefusedByAdmission"]).await
}

/// The emergency stop, and a tenant that is not corrected meanwhile.
async fn brakes(watch: &mut Watch<'_>) -> Result<()> {
    let stop = ["create", "configmap", "tap-operator-stop", "--from-literal=unheard=of"];
    watch.kubectl(&stop, NAMESPACE).await?;
    watch.fire(&["TapOperatorStopped", "TapOperatorStopNotUnderstood"]).await?;
    let method =
        json!({"tenant": "default", "enforcement": "Enforce", "method": {"codeLength": 20}});
    watch.policy("enforced", method).await?;
    watch.policy("lost", json!({"tenant": "nowhere"})).await?;
    watch.fire(&["TapDriftNotCorrected", "TapPolicyNotReady"]).await?;
    watch.kubectl(&["delete", "configmap", "tap-operator-stop"], NAMESPACE).await?;
    watch.kubectl(&["delete", "tappolicy", "lost"], "default").await?;
    let all = [
        "TapOperatorStopped",
        "TapOperatorStopNotUnderstood",
        "TapDriftNotCorrected",
        "TapPolicyNotReady",
    ];
    watch.resolve(&all).await
}

/// What goes wrong with the tenant.
async fn tenant(watch: &mut Watch<'_>) -> Result<()> {
    let simulator = watch.scene.simulator;
    simulator.step_clock(SignedDuration::from_secs(120));
    for minutes in 1..6 {
        watch.touch(minutes).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    watch.fire(&["TapClockOff"]).await?;
    simulator.step_clock(SignedDuration::from_secs(-120));
    for minutes in 6..12 {
        watch.touch(minutes).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    watch.resolve(&["TapClockOff"]).await?;

    let permission = "User.Read.All";
    simulator.edit_app(OPERATOR, |app| app.roles.retain(|role| role != permission))?;
    simulator.expire_tokens();
    watch.touch(12).await?;
    watch.fire(&["TapPermissionMissing"]).await?;
    simulator.edit_app(OPERATOR, |app| app.roles.push(permission.into()))?;
    simulator.expire_tokens();
    watch.touch(13).await?;
    watch.resolve(&["TapPermissionMissing"]).await?;

    let mut right = Vec::new();
    simulator.edit_app(OPERATOR, |app| {
        right.clone_from(&app.secrets);
        app.secrets.iter_mut().for_each(|secret| "another".clone_into(&mut secret.value));
    })?;
    simulator.expire_tokens();
    watch.touch(14).await?;
    watch.fire(&["TapSignInFails", "TapConnectionDown"]).await?;
    simulator.edit_app(OPERATOR, |app| app.secrets = right)?;
    // A refusal stands for ten seconds.
    tokio::time::sleep(Duration::from_secs(11)).await;
    watch.touch(15).await?;
    watch.resolve(&["TapSignInFails", "TapConnectionDown"]).await
}

/// Attempts and revocations that find no end, and many passes.
async fn attempts(watch: &mut Watch<'_>) -> Result<()> {
    let simulator = watch.scene.simulator;
    let helpdesk = watch.scene.helpdesk.clone();
    let policy = watch.scene.policy.clone();
    let throttled: Vec<String> = (0..10).map(|number| format!("throttled-{number}")).collect();
    for name in throttled.iter().map(String::as_str).chain(["revoked"]) {
        watch.ask(name, &policy).await?;
        watch.scene.wait_active(name).await?;
    }
    // A refused revocation is sent again after two seconds.
    let busy = FaultKind::Throttled { retry_after_seconds: None, form: None };
    simulator.inject(Fault::on(Operation::PassDelete, busy).times(100));
    for name in &throttled {
        watch.scene.decide(&helpdesk, name, DecisionKind::Revoke).await?;
    }
    watch.fire(&["TapThrottled"]).await?;
    watch.resolve(&["TapThrottled"]).await?;

    simulator.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    // The list before the POST is answered. Those after it would find the pass at once.
    let down =
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
    simulator.inject(Fault::on(Operation::PassList, down).after(1).times(1000));
    watch.ask("lost", &policy).await?;
    let resolving =
        |seen: &TapRequest| seen.ready().is_some_and(|ready| ready.reason == "Resolving");
    watch.scene.wait("lost", "Resolving", resolving).await?;
    simulator.set_unreachable(true);
    watch.scene.decide(&helpdesk, "revoked", DecisionKind::Revoke).await?;
    watch.fire(&["TapAttemptUnresolved", "TapRevocationHangs"]).await?;
    simulator.clear_faults();
    simulator.set_unreachable(false);
    watch.resolve(&["TapAttemptUnresolved", "TapRevocationHangs"]).await?;

    watch.ask("newer", &policy).await?;
    let intent = Intent::of(&watch.scene.wait_active("newer").await?).context("no intent")?;
    let mut newer = serde_json::to_value(&intent)?;
    newer["stage"] = json!({"name": "newer"});
    watch.record("newer", &newer.to_string()).await?;
    watch.fire(&["TapRequestUnreadable"]).await?;
    watch.record("newer", &intent.to_annotation()).await?;
    watch.resolve(&["TapRequestUnreadable"]).await?;

    let names: Vec<String> = (0..25).map(|number| format!("many-{number}")).collect();
    try_join_all(names.iter().map(|name| watch.ask(name, &policy))).await?;
    watch.fire(&["TapPassesUnusual"]).await?;
    watch.resolve(&["TapPassesUnusual"]).await
}

/// What only the tenant's logs tell.
async fn logs(watch: &mut Watch<'_>) -> Result<()> {
    let simulator = watch.scene.simulator;
    simulator.switch(|switches| {
        switches.audit_lag_seconds = 0;
        switches.sign_in_lag_seconds = 0;
    });
    simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into()))?;
    simulator.expire_tokens();
    watch.touch(16).await?;
    simulator.portal_create_pass(&watch.scene.user(), &json!({}))?;
    watch.fire(&["TapForeignPass"]).await?;
    watch.resolve(&["TapForeignPass"]).await?;

    let (helpdesk, policy) = (watch.scene.helpdesk.clone(), watch.scene.policy.clone());
    watch.ask("guessed", &policy).await?;
    let user = watch.scene.wait_active("guessed").await?.spec.user;
    for _ in 0..12 {
        ensure!(simulator.sign_in(&user, "guessed").is_err(), "it was right");
    }
    watch.scene.decide(&helpdesk, "guessed", DecisionKind::Revoke).await?;
    watch.fire(&["TapCodesGuessed"]).await?;
    watch.resolve(&["TapCodesGuessed"]).await
}

/// Each question and each query of the dashboard has an answer.
async fn answers(watch: &Watch<'_>) -> Result<()> {
    let questions = questions();
    ensure!(questions.len() > 15, "{questions:?}");
    for (question, query) in questions {
        let answer = watch.prometheus.query(query).await?;
        ensure!(!answer.is_empty(), "{question}: {query} has no answer");
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let mut asked = 0;
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().context("no query")?;
            let query = query.replace("$namespace", ".*").replace("$__rate_interval", "1m");
            let answer = watch.prometheus.query(&query).await?;
            // Nothing need be out of order.
            let may_be_empty = panel["title"] == "TapPolicies that are not as they should be";
            ensure!(!answer.is_empty() || may_be_empty, "{}: {query} has no data", panel["title"]);
            asked += 1;
        }
    }
    ensure!(asked > 30, "{asked}");
    Ok(())
}

/// What goes wrong with the cluster.
async fn cluster(watch: &mut Watch<'_>) -> Result<()> {
    watch.policy("suspended", issuance(&watch.scene, &json!({"suspend": true}))).await?;
    for number in 0..30 {
        watch.ask(&format!("suspended-{number}"), "suspended").await?;
    }
    watch.scene.wait_phase("suspended-29", Phase::Pending, "Suspended").await?;
    watch.kubectl(&["delete", "clusterrolebinding", "tap-operator"], "default").await?;
    let patch = r#"{"spec": {"issuance": {"lifetime": {"maximum": "2h"}}}}"#;
    let touch = ["patch", "tappolicy", "suspended", "--type=merge", "--patch", patch];
    watch.kubectl(&touch, "default").await?;
    watch.fire(&["TapOperatorReconcilesFail"]).await?;
    let control_plane = &watch.scene.world.control_plane;
    install(control_plane, "deploy").await?;
    watch.resolve(&["TapOperatorReconcilesFail"]).await?;

    let binding = ["delete", "validatingadmissionpolicybinding", "tap-operator-decisions"];
    watch.kubectl(&binding, "default").await?;
    watch.fire(&["TapOperatorNotGuarded"]).await?;
    install(control_plane, "deploy").await?;
    policies_are_of_age(control_plane).await?;
    watch.resolve(&["TapOperatorNotGuarded"]).await
}

/// What goes wrong with the process.
async fn process(watch: &mut Watch<'_>) -> Result<()> {
    let world = watch.scene.world;
    world.operator.kill();
    watch.fire(&["TapOperatorAbsent"]).await?;
    // Another replica seems to hold the Lease, until it is not renewed for 15 seconds.
    let leases: Api<Lease> =
        Api::namespaced(world.control_plane.admin().client().await?, NAMESPACE);
    let held = json!({"spec": {"holderIdentity": "another", "leaseDurationSeconds": 15}});
    leases.patch("tap-operator", &PatchParams::default(), &Patch::Merge(held)).await?;
    world.operator.start().await?;
    watch.fire(&["TapOperatorNotLeading"]).await?;
    watch.resolve(&["TapOperatorAbsent", "TapOperatorNotLeading"]).await
}
