//! How Argo CD, Flux and kstatus read the health of objects: in every phase, and after every fault, as the operator writes it.
//!
//! The statuses are made by the operator's own code, and judged by the interpreters of those tools.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapPolicy, TapRequest, TapRequestStatus, yaml};
use tap_operator::decision::Reason;
use tap_operator::decision::admission::Guard;
use tap_operator::decision::clock::Now;
use tap_operator::decision::permissions::Uses;
use tap_operator::decision::policy::{PolicyReads, PolicySituation, PolicyStep, next};
use tap_operator::decision::report::Report;
use tap_operator::decision::situation::{
    Connection, Memory, PolicyFound, Reads, Settings, Situation, Stop, Surroundings,
};
use tap_operator::decision::stop::StopOrder;
use tap_operator::decision::terms::Terms;
use tap_operator::entra::{
    Cloud, ErrorKind, GraphError, GraphTarget, Group, MethodConfiguration, MethodState,
    SignInErrorKind,
};

use crate::repository;
use crate::support::program;

const ARGO_CD: &str = "deploy/gitops/argocd.yaml";
const FLUX: &str = "deploy/gitops/flux.yaml";
const GROUP: &str = "6c1f0000-0000-4000-8000-000000000101";

/// An object, and what it is about.
struct Case {
    what: String,
    object: Value,
    conditions: Vec<Condition>,
}

/// How healthy an object is, by its conditions.
fn expected(conditions: &[Condition]) -> &'static str {
    let holds = |type_: &str| conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
    match (holds("Reconciling"), holds("Stalled"), holds("Ready")) {
        (true, _, _) => "InProgress",
        (_, true, _) => "Failed",
        (_, _, true) => "Current",
        _ => "InProgress",
    }
}

/// The statuses of a request in this phase: as it usually is, and with what may come to it.
fn statuses(phase: Phase) -> Result<Vec<(&'static str, TapRequestStatus)>> {
    let request: TapRequest = yaml::read(
        "{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {name: a, namespace: b, generation: 1}, spec: {policyRef: {name: c}, user: d@contoso.com}}",
    )?;
    let (reads, memory) = (Reads::default(), Memory::default());
    let settings = Settings {
        settle: SignedDuration::from_secs(150),
        use_check: SignedDuration::from_secs(60),
    };
    let situation = Situation {
        around: Surroundings {
            now: Now::exactly(Timestamp::UNIX_EPOCH),
            settings: &settings,
            policy: PolicyFound::Missing,
            terms: None,
            namespace: None,
            connection: None,
            stop: Stop::Off,
            guard: &Guard::Overridden,
            holder: "",
            lease_is_fresh: true,
            new_attempt: "",
        },
        request: &request,
        connections: &[],
        superseded_by: None,
        secret_is_gone: false,
        seen: None,
        reads: &reads,
        memory: &memory,
    };
    let report = || Report::new(&situation, phase, Reason::Issued, "a message");
    Ok(vec![
        ("usual", report().finish()),
        ("reconciling", report().reconciling(Reason::Resolving, "work").finish()),
        ("stalled", report().stalled().finish()),
        ("not ready", report().not_ready().finish()),
        ("not ready, stalled", report().not_ready().stalled().finish()),
        (
            "not ready, reconciling",
            report().not_ready().reconciling(Reason::Resolving, "work").finish(),
        ),
    ])
}

fn requests() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for phase in Phase::ALL {
        for (what, status) in statuses(phase)? {
            let object = json!({
                "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
                "metadata": {"name": "a", "namespace": "b", "generation": 1}, "status": status,
            });
            cases.push(Case {
                what: format!("{phase:?}, {what}"),
                object,
                conditions: status.conditions,
            });
        }
    }
    Ok(cases)
}

fn method() -> MethodConfiguration {
    MethodConfiguration {
        state: MethodState::Enabled,
        default_lifetime_minutes: Some(60),
        minimum_lifetime_minutes: Some(60),
        maximum_lifetime_minutes: Some(480),
        default_length: Some(8),
        one_time_required: Some(false),
        include: vec![GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        }],
        exclude: vec![],
    }
}

fn error(kind: ErrorKind) -> GraphError {
    GraphError {
        call: "read the method",
        kind,
        status: None,
        // Graph's refusals have a code.
        code: if kind == ErrorKind::Forbidden { "accessDenied".into() } else { String::new() },
        message: "no".into(),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

/// The statuses of policies, as they are decided after each fault.
fn policies() -> Result<Vec<Case>> {
    let observes = "{tenant: default, method: {codeLength: 14}}";
    let enforces = "{tenant: default, method: {codeLength: 14}, enforcement: Enforce}";
    let fits = "{tenant: default, method: {codeLength: 8}, enforcement: Enforce}";
    let issues =
        "{tenant: default, issuance: {namespaces: {names: [a]}, users: {domains: [contoso.com]}}}";
    let excludes = format!(
        "{{tenant: default, issuance: {{namespaces: {{names: [a]}}, users: {{domains: [contoso.com], excludeGroups: [{{group: {GROUP}}}]}}}}}}"
    );
    let suspended = "{tenant: default, issuance: {namespaces: {names: [a]}, users: {domains: [contoso.com]}, suspend: true}}";
    let nobody = "{tenant: default, issuance: {}}";
    let connection = Connection {
        name: "default".into(),
        tenant_id: "tenant".into(),
        client_id: "app".into(),
        cloud: Cloud::Global,
        users: None,
        ceilings: Arc::default(),
    };
    let read = || PolicyReads {
        permissions: Some(Ok(vec![])),
        method: Some(Ok(method())),
        groups: Some(Ok(Vec::<Group>::new())),
        ..PolicyReads::default()
    };
    let stop = StopOrder { stop: Stop::On, not_understood: None };
    let off = StopOrder::OFF;
    let rivals = ["another".to_owned()];
    let known = Some(&connection);
    let mut cases = Vec::new();
    let mut add =
        |what: String, spec: &str, connection, rivals: &[String], stop, reads: PolicyReads| {
            let mut policy = TapPolicy::new("contoso", yaml::read(spec)?);
            policy.metadata.generation = Some(1);
            let terms = policy.spec.issuance.as_ref().map(Terms::of);
            let step = next(&PolicySituation {
                policy: &policy,
                terms: terms.as_ref(),
                now: Timestamp::UNIX_EPOCH,
                connection,
                rivals,
                uses: Uses::default(),
                stop,
                settle: SignedDuration::from_secs(150),
                correction: None,
                sign_ins_given: true,
                logs_refused: None,
                what_if_offered: true,
                reads: &reads,
            });
            let PolicyStep::WriteStatus(status) = step else {
                anyhow::bail!("{what}: no status: {step:?}");
            };
            policy.status = Some(*status.clone());
            let object = serde_json::to_value(policy)?;
            cases.push(Case { what, object, conditions: status.conditions });
            Ok(())
        };
    add("in sync".into(), fits, known, &[], &off, read())?;
    add("drift, observed".into(), observes, known, &[], &off, read())?;
    add("drift, before its correction".into(), enforces, known, &[], &off, read())?;
    add("drift, under the stop".into(), enforces, known, &[], &stop, read())?;
    add("issues".into(), issues, known, &[], &off, read())?;
    add("issues, under the stop".into(), issues, known, &[], &stop, read())?;
    add("suspended".into(), suspended, known, &[], &off, read())?;
    add("admits nobody".into(), nobody, known, &[], &off, read())?;
    add("a group is gone".into(), &excludes, known, &[], &off, read())?;
    add("conflict".into(), fits, known, &rivals, &off, read())?;
    add("no connection".into(), fits, None, &[], &off, read())?;
    let sign_in = [SignInErrorKind::Unavailable, SignInErrorKind::WrongSecret];
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::Throttled,
        ErrorKind::Unavailable,
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden,
        ErrorKind::BadRequest,
        ErrorKind::Unexpected,
    ];
    for kind in kinds.into_iter().chain(sign_in.map(ErrorKind::SignIn)) {
        let unreadable = PolicyReads { method: Some(Err(error(kind))), ..read() };
        add(format!("cannot be read: {kind:?}"), fits, known, &[], &off, unreadable)?;
        let refused = PolicyReads { patched: Some(Err(error(kind))), ..read() };
        add(format!("cannot be corrected: {kind:?}"), enforces, known, &[], &off, refused)?;
    }
    Ok(cases)
}

/// What the tools say about these objects.
fn judged(objects: &[&Value]) -> Result<Vec<Value>> {
    let health = program::built_by("tests/gitops/build")?.join("health");
    let mut child = Command::new(health)
        .args([repository(ARGO_CD), repository(FLUX)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let lines: String =
        objects.iter().flat_map(|object| [object.to_string(), "\n".into()]).collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output()?;
    writing.join().ok().context("writing")??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let verdicts = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    ensure!(verdicts.len() == objects.len(), "{} of {}", verdicts.len(), objects.len());
    Ok(verdicts)
}

#[test]
#[ignore = "make test-deploy"]
fn every_phase_and_every_fault_is_read_as_it_is_meant() -> Result<()> {
    let mut cases = requests()?;
    cases.extend(policies()?);
    let objects: Vec<&Value> = cases.iter().map(|case| &case.object).collect();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (case, verdict) in cases.iter().zip(judged(&objects)?) {
        let health = expected(&case.conditions);
        let ready = case.conditions.iter().find(|c| c.type_ == "Ready").context("Ready")?;
        let argo_cd = match health {
            "Current" => "Healthy",
            "Failed" => "Degraded",
            _ if ready.status == "False" && ready.reason == "Stopped" => "Suspended",
            _ => "Progressing",
        };
        let is = |tool: &str, health: &str| verdict[tool] == *health;
        let all = is("argocd", argo_cd)
            && is("flux", health)
            && is("kstatus", health)
            && is("fluxKstatus", health);
        let told = verdict["argocdMessage"].as_str().is_some_and(|message| {
            case.conditions.iter().any(|condition| condition.message == message)
        });
        if !all || !told {
            wrong.push(format!("{}: {health}, {argo_cd}: {verdict}", case.what));
        }
        seen.insert(argo_cd);
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(seen.len() == 4, "only {seen:?}");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn each_final_phase_that_went_wrong_is_a_failure_and_waiting_for_people_is_none() -> Result<()> {
    for (phase, health) in [
        (Phase::Pending, "InProgress"),
        (Phase::AwaitingApproval, "Current"),
        (Phase::Scheduled, "Current"),
        (Phase::Active, "Current"),
        (Phase::Used, "Current"),
        (Phase::Expired, "Current"),
        (Phase::Revoked, "Current"),
        (Phase::Denied, "Failed"),
        (Phase::Failed, "Failed"),
    ] {
        let (_, status) = statuses(phase)?.remove(0);
        ensure!(expected(&status.conditions) == health, "{phase:?}");
    }
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn what_the_operator_has_not_looked_at_is_never_healthy() -> Result<()> {
    let object = |kind: &str, metadata: Value, status: Value| {
        let (api_version, mut metadata) = ("tap-operator.io/v1alpha1", metadata);
        metadata["name"] = json!("a");
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        if !status.is_null() {
            object["status"] = status;
        }
        object
    };
    let ready = json!([{"type": "Ready", "status": "True", "reason": "InSync", "message": "yes"}]);
    let new = json!({"phase": "Pending", "decisions": []});
    let stale = json!({"observedGeneration": 1, "conditions": ready});
    let generation = |number: i64| json!({"generation": number});
    let deleted = json!({"generation": 1, "deletionTimestamp": "2026-11-22T08:00:00Z"});
    let objects = [
        object("TapPolicy", generation(1), json!(null)),
        object("TapPolicy", generation(1), json!({})),
        object("TapPolicy", generation(2), stale.clone()),
        object("TapRequest", generation(1), new),
        object("TapRequest", deleted, stale),
    ];
    for (object, verdict) in objects.iter().zip(judged(&objects.iter().collect::<Vec<_>>())?) {
        ensure!(verdict["argocd"] == "Progressing", "{object}: {verdict}");
        // Flux cannot judge an object without a status, and waits for it, too.
        let waits: &[&str] =
            if object["status"].is_null() { &["Unknown"] } else { &["InProgress", "Terminating"] };
        let flux = verdict["flux"].as_str().unwrap_or_default();
        ensure!(waits.contains(&flux), "{object}: {verdict}");
    }
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn the_examples_have_the_shipped_health_checks() -> Result<()> {
    let read = |path: &str| -> Result<Vec<Value>> {
        Ok(yaml::read_all(&std::fs::read_to_string(repository(path))?)?)
    };
    let shipped = &read(FLUX)?[0]["spec"]["healthCheckExprs"];
    let of_requests =
        shipped.as_array().context("a list")?.iter().find(|e| e["kind"] == "TapRequest");
    let example = read("examples/flux/requests.yaml")?;
    let example =
        example.iter().find(|object| object["kind"] == "Kustomization").context("none")?;
    ensure!(Some(&example["spec"]["healthCheckExprs"][0]) == of_requests, "{example:#}");
    Ok(())
}

/// A request that is applied before the admission policies are in force fails for good. So whoever rebuilds a cluster from
/// Git gets the requests after the operator is ready, which it is not before that.
#[test]
#[ignore = "make test-deploy"]
fn requests_are_applied_after_the_operator_is_ready() -> Result<()> {
    let of_kind = |path: &str, kind: &str| -> Result<Vec<Value>> {
        let mut all: Vec<Value> = yaml::read_all(&std::fs::read_to_string(repository(path))?)?;
        all.retain(|object| object["kind"] == kind);
        Ok(all)
    };
    let flux = of_kind("examples/flux/operator.yaml", "Kustomization")?;
    let requests = of_kind("examples/flux/requests.yaml", "Kustomization")?;
    let before = &requests[0]["spec"]["dependsOn"];
    let operator = flux.iter().find(|k| k["spec"]["path"] == "./deploy").context("deploy")?;
    let named = json!([{
        "name": operator["metadata"]["name"], "namespace": operator["metadata"]["namespace"],
    }]);
    ensure!(*before == named && operator["spec"]["wait"] == true, "{before}");

    let wave = |application: &Value| -> Result<i64> {
        let wave = &application["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
        Ok(wave.as_str().with_context(|| format!("no wave: {application:#}"))?.parse()?)
    };
    let mut waves = Vec::new();
    for path in ["examples/argocd/operator.yaml", "examples/argocd/requests.yaml"] {
        for application in of_kind(path, "Application")? {
            waves.push(wave(&application)?);
            let retry = &application["spec"]["syncPolicy"]["retry"]["limit"];
            let name = &application["metadata"]["name"];
            ensure!(name == "tap-operator-crds" || retry.as_i64() > Some(0), "{name}");
        }
    }
    ensure!(waves.len() == 3 && waves.is_sorted_by(|one, other| one < other), "{waves:?}");
    // A wave waits for an Application only where Argo CD is told how healthy Applications are.
    for (status, health) in [
        (json!(null), "Progressing"),
        (json!({"health": {"status": "Progressing"}}), "Progressing"),
        (json!({"health": {"status": "Degraded", "message": "why"}}), "Degraded"),
        (json!({"health": {"status": "Healthy"}}), "Healthy"),
    ] {
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "tap-operator"}, "status": status,
        });
        let verdict = judged(&[&application])?.remove(0);
        ensure!(verdict["argocd"] == health, "{application}: {verdict}");
    }
    Ok(())
}
