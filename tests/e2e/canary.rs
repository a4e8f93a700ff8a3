//! The code of a pass is in its Secret and nowhere else: not in the log at the finest level, in no other object, on no
//! page that the operator serves, in no notice, in nothing that it tells of the tenant's logs, and not in the operator's memory
//! once it is delivered.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use graph_simulator::tenant::OPERATOR;
use graph_simulator::{Fault, FaultKind, Operation};
use kube::api::{DynamicObject, PostParams};
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};

use crate::scene::{Scene, quick, quick_world};
use crate::support::age::Reader;
use crate::support::canary::{self, Search};
use crate::support::world::World;
use crate::support::{memory, run, wait};

/// So many passes are issued before the memory is searched, so that a leak is not missed by chance.
const PASSES: usize = 20;

#[test]
fn the_search_finds_codes_in_every_form() -> Result<()> {
    canary::check()
}

#[test]
fn a_code_is_in_its_secret_and_nowhere_else() -> Result<()> {
    run(async {
        // `trace` for everything: whatever a library logs at its finest level.
        let world = quick_world(quick(&["--log=trace"])).await?;
        let scene = Scene::new(&world, "canary").await?;
        let simulator = scene.simulator;
        simulator.switch(|switches| {
            switches.audit_lag_seconds = 0;
            switches.sign_in_lag_seconds = 0;
        });
        for permission in ["AuditLog.Read.All", "Policy.Read.All"] {
            simulator.edit_app(OPERATOR, |app| app.roles.push(permission.into()))?;
        }
        simulator.expire_tokens();
        scene.policy(json!({})).await?;
        let mut live = deliveries(&scene).await?;
        revoked(&scene, "pass-0").await?;
        live.remove("pass-0");
        used(&scene, "pass-1").await?;
        live.remove("pass-1");
        let foreign = simulator.portal_create_pass(&scene.user(), &json!({}))?;
        spoilt_answers(&scene, &mut live).await?;
        refused_secret(&scene).await?;
        logs_are_told(&world, &foreign.to_string()).await?;

        let ledger = scene.simulator.ledger();
        ensure!(ledger.len() >= PASSES + 6, "{} passes", ledger.len());
        let codes: Vec<_> =
            ledger.iter().filter_map(|pass| scene.simulator.code(pass.id)).collect();
        ensure!(codes.len() == ledger.len(), "a pass without a code");
        nowhere(&world, &scene, &Search::new(&codes), &live).await
    })
}

/// Issues passes in the clear and sealed, with short and with long codes. Returns the names of the requests whose
/// Secret holds a code.
async fn deliveries(scene: &Scene<'_>) -> Result<BTreeSet<String>> {
    let reader = Reader::age();
    let mut clear = BTreeSet::new();
    for (from, length) in [(0, 8), (PASSES / 2, 48)] {
        scene.simulator.portal_patch_policy(&json!({ "defaultLength": length }))?;
        for number in from..from + PASSES / 2 {
            let (name, sealed) = (format!("pass-{number}"), number % 4 == 3);
            let spec = if sealed { json!({ "recipients": [reader.public] }) } else { json!({}) };
            scene.ask(&name, &scene.user(), spec).await?;
            if !sealed {
                clear.insert(name);
            }
        }
        for number in from..from + PASSES / 2 {
            scene.wait_active(&format!("pass-{number}")).await?;
        }
    }
    Ok(clear)
}

async fn revoked(scene: &Scene<'_>, name: &str) -> Result<()> {
    scene.decide(&scene.helpdesk, name, DecisionKind::Revoke).await?;
    scene.wait_released(name, Phase::Revoked).await?;
    Ok(())
}

/// A pass that is used, and for whose user wrong codes were tried.
async fn used(scene: &Scene<'_>, name: &str) -> Result<()> {
    let user = scene.requests().get(name).await?.spec.user;
    ensure!(scene.simulator.sign_in(&user, "guess").is_err(), "the guess was right");
    scene.simulator.sign_in(&user, &scene.code(name).await?)?;
    scene.wait_released(name, Phase::Used).await?;
    Ok(())
}

/// Waits until all has been told that the tenant's logs say: of the use of a pass, and of the pass of somebody else.
async fn logs_are_told(world: &World, foreign: &str) -> Result<()> {
    wait::until(wait::PATIENCE * 2, "the logs are told", || async {
        let got = world.receiver.got();
        ensure!(got.iter().any(|got| got.event["data"]["pass_id"] == foreign), "no notice");
        let page = world.operator.metrics().await?;
        let failed = "tap_operator_pass_sign_ins_failed_total{error=\"130503\"} 1";
        ensure!(page.contains(failed), "no {failed}");
        Ok(())
    })
    .await
}

/// The pass is made, but its answer is lost or unusable. The operator finds the pass, takes it back, and makes another.
async fn spoilt_answers(scene: &Scene<'_>, live: &mut BTreeSet<String>) -> Result<()> {
    let faults = [
        ("lost", FaultKind::AnswerLost),
        ("truncated", FaultKind::Truncated),
        ("quoted-as-success", FaultKind::Quoted { status: 201 }),
        ("quoted-as-failure", FaultKind::Quoted { status: 502 }),
        ("quoted-as-refusal", FaultKind::Quoted { status: 403 }),
    ];
    for (name, fault) in faults.clone() {
        let user = scene.user();
        let id = scene.user_id(&user)?.to_string();
        scene.simulator.inject(Fault::on(Operation::PassCreate, fault).for_path(id));
        scene.ask(name, &user, json!({})).await?;
        live.insert(name.to_owned());
    }
    for (name, _) in faults {
        let active = scene.wait_active(name).await?;
        let passes = scene.ledger(&active.spec.user);
        ensure!(
            passes.len() == 2,
            "{name}: expected a second pass in place of the first: {passes:?}"
        );
    }
    Ok(())
}

/// The API server accepts the Secret in a dry run, then refuses it with a message that quotes the code.
async fn refused_secret(scene: &Scene<'_>) -> Result<()> {
    let group = "admissionregistration.k8s.io/v1";
    let refuse = |namespace: &str| -> Vec<Value> {
        let quote = "'the code ' + object.data['temporaryAccessPass'] + ' is not wanted'";
        let here = json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
        vec![
            json!({
                "apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": { "name": "quotes-secrets" },
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": {
                        "namespaceSelector": here,
                        "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE"] }],
                    },
                    "matchConditions": [{
                        "name": "not-a-dry-run",
                        "expression": "!(has(request.dryRun) && request.dryRun) && has(object.data) && 'temporaryAccessPass' in object.data",
                    }],
                    "validations": [{ "expression": "false", "messageExpression": quote }],
                },
            }),
            json!({
                "apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": "quotes-secrets" },
                "spec": { "policyName": "quotes-secrets", "validationActions": ["Deny"] },
            }),
        ]
    };
    let admin = scene.world.control_plane.admin();
    for object in refuse(&scene.namespace) {
        admin.apply(&object.to_string()).ok().await?;
    }
    let probe = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "generateName": "probe-", "namespace": scene.namespace },
        "stringData": { "temporaryAccessPass": "of the probe" },
    });
    let secrets: Api<DynamicObject> = Api::namespaced_with(
        admin.client().await?,
        &scene.namespace,
        &ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&()),
    );
    let probe: DynamicObject = serde_json::from_value(probe)?;
    wait::until(wait::PATIENCE, "Secrets are refused", || async {
        match secrets.create(&PostParams::default(), &probe).await {
            Ok(made) => bail!("{} was made", made.name_any()),
            Err(error) => {
                ensure!(error.to_string().contains("is not wanted"), "{error}");
                Ok(())
            }
        }
    })
    .await?;

    let user = scene.user();
    scene.ask("refused", &user, json!({})).await?;
    let taken_back = |passes: &[graph_simulator::LedgerEntry]| {
        !passes.is_empty() && passes.iter().all(|pass| !pass.is_live())
    };
    wait::until(wait::PATIENCE, "the pass is taken back", || async {
        let passes = scene.ledger(&user);
        ensure!(taken_back(&passes), "{passes:?}");
        Ok(())
    })
    .await?;
    let says = scene.wait("refused", "it reports why", |request| {
        let ready = crate::scene::condition(request, "Ready");
        ready.is_some_and(|(_, _, message)| message.contains("Secret"))
    });
    says.await.context("the reason")?;
    scene.delete("refused").await?;
    scene.wait_gone("refused").await
}

async fn nowhere(
    world: &World,
    scene: &Scene<'_>,
    search: &Search,
    live: &BTreeSet<String>,
) -> Result<()> {
    let mut leaks = Vec::new();
    let expected: BTreeSet<_> =
        live.iter().map(|name| format!("/registry/secrets/{}/{name}", scene.namespace)).collect();
    let stored = world.control_plane.keys_with(search).await?.into_iter().collect::<BTreeSet<_>>();
    let missing: Vec<_> = expected.difference(&stored).collect();
    ensure!(missing.is_empty(), "the search finds no code in {missing:?}");
    leaks.extend(stored.difference(&expected).map(|key| format!("in etcd: {key}")));

    for page in ["metrics", "healthz", "readyz"] {
        if search.is_in(world.operator.get(page).await?) {
            leaks.push(format!("on the page {page}"));
        }
    }
    let told = world.receiver.got();
    ensure!(told.len() >= PASSES, "only {} notices", told.len());
    leaks.extend(
        told.iter()
            .filter(|got| search.is_in(&got.body))
            .map(|got| format!("in a notice: {got:?}")),
    );
    let component = world.operator.component();
    if search.is_in(memory::started_with(component)?) {
        leaks.push("in the command line or the environment".to_owned());
    }
    let log = component.log_text();
    let libraries = ["TRACE", "hyper_util", "rustls", "kube_client", "tower", "azure_identity"];
    let of_logs = ["\"audit\":\"evidence\"", "\"audit\":\"foreign\""];
    for part in libraries.into_iter().chain(of_logs) {
        ensure!(log.contains(part), "{part} is not in the log: too little is logged");
    }
    let lines = log.lines().filter(|line| search.is_in(line));
    leaks.extend(lines.map(|line| format!("in the log: {line}")));

    // The namespace's name, which is in the cache, must be found: this shows that the search works.
    match memory::search(component, &Search::new([&scene.namespace]))? {
        Some(known) => {
            ensure!(
                !known.found.is_empty(),
                "not even the namespace's name is found in the memory"
            );
            let remains = memory::search(component, search)?.context("it could be read before")?;
            leaks.extend(remains.found.into_iter().map(|found| format!("in memory: {found}")));
        }
        None => skipped(),
    }
    ensure!(leaks.is_empty(), "codes are in {} other places:\n{}", leaks.len(), leaks.join("\n"));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a check that was skipped must be reported")]
fn skipped() {
    eprintln!(
        "SKIPPED: this system does not let a process read its child's memory (see ptrace(2), kernel.yama.ptrace_scope)"
    );
}
