//! The operator is killed, is stopped or loses the API server, and the next process continues its work.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::{Fault, FaultKind, Operation};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};
use tokio::time::Instant;

use crate::scene::{Scene, quick, quick_world};
use crate::support::operator::{self, NAMESPACE, SERVICE_ACCOUNT};
use crate::support::world::{Options, World};
use crate::support::{control_plane, run, wait};

/// A world without garbage collection, which these tests do not need.
async fn world() -> Result<World> {
    let control_plane =
        control_plane::Options { controller_manager: false, ..control_plane::Options::default() };
    let world = quick_world(Options { control_plane, ..quick(&[]) }).await?;
    Ok(world)
}

/// Checks that the user has one live pass, recorded by the request and delivered in its Secret, and that all others
/// were taken back.
async fn delivered_once(scene: &Scene<'_>, name: &str, user: &str) -> Result<()> {
    let request = scene.wait_active(name).await?;
    let pass = scene.pass_of(&request)?;
    let live: Vec<_> =
        scene.ledger(user).into_iter().filter(graph_simulator::LedgerEntry::is_live).collect();
    ensure!(live.len() == 1 && live[0].id == pass.id, "{live:?}\n{request:?}");
    ensure!(scene.simulator.code(pass.id) == Some(scene.code(name).await?), "another code");
    let balance = scene.simulator.balance();
    ensure!(balance.replaced == 0, "a POST replaced a pass: {balance:?}");
    let mut posts: Vec<_> = scene
        .simulator
        .requests_for(Operation::PassCreate)
        .into_iter()
        .map(|post| post.client_request_id)
        .collect();
    let all = posts.len();
    posts.sort_unstable();
    posts.dedup();
    ensure!(posts.len() == all, "an attempt was sent twice");
    Ok(())
}

/// Grants or removes the operator's right to write the status of requests. It is in force when this returns.
async fn let_write_status(world: &World, may: bool) -> Result<()> {
    let admin = world.control_plane.admin();
    let roles: Api<ClusterRole> = Api::all(admin.client().await?);
    let mut role = serde_json::to_value(roles.get("tap-operator").await?)?;
    let rules = role["rules"].as_array_mut().context("rules")?;
    for rule in rules.iter_mut().filter(|rule| rule["resources"] == json!(["taprequests/status"])) {
        rule["verbs"] = if may { json!(["patch"]) } else { json!(["get"]) };
    }
    let patch = json!({ "rules": rules });
    roles.patch("tap-operator", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
    let question =
        ["auth", "can-i", "patch", "taprequests.tap-operator.io", "--subresource=status", &account];
    wait::until(wait::PATIENCE, "the right is changed", || async {
        let answer = admin.kubectl(question).in_namespace("default").run().await?.stdout;
        let yes = answer.lines().last() == Some("yes");
        ensure!(yes == may, "{answer}");
        Ok(())
    })
    .await
}

#[test]
fn killed_at_its_worst_moments_it_resolves_everything_by_itself() -> Result<()> {
    run(async {
        let world = world().await?;
        let scene = Scene::new(&world, "killed").await?;
        scene.policy(json!({})).await?;

        // Between the POST and the Secret: the POST takes effect at once, never, or late.
        for (name, kind) in [
            ("answer-lost", FaultKind::Slow { seconds: 60 }),
            ("never-done", FaultKind::Hang { seconds: Some(60) }),
            ("done-late", FaultKind::LateCommit { after_seconds: 3 }),
        ] {
            let user = scene.user();
            world.simulator.inject(Fault::on(Operation::PassCreate, kind));
            scene.ask(name, &user, json!({})).await?;
            wait::until(wait::PATIENCE, "the POST is sent", || async {
                ensure!(!scene.writes_about(&user)?.is_empty(), "no POST yet");
                Ok(())
            })
            .await?;
            world.operator.restart().await?;
            delivered_once(&scene, name, &user).await?;
        }

        // Between the Secret and the status.
        let user = scene.user();
        let_write_status(&world, false).await?;
        scene.ask("not-recorded", &user, json!({})).await?;
        wait::until(wait::PATIENCE, "the Secret is there", || async {
            scene.secret("not-recorded").await?.context("no Secret yet").map(drop)
        })
        .await
        .with_context(|| world.operator.component().log_tail(40))?;
        let first = scene.code("not-recorded").await?;
        world.operator.kill();
        let_write_status(&world, true).await?;
        world.operator.start().await?;
        delivered_once(&scene, "not-recorded", &user).await?;
        ensure!(scene.code("not-recorded").await? != first, "the unrecorded pass was not replaced");

        // While a pass is active, nothing is written.
        let before = world.simulator.requests_for(Operation::PassCreate).len();
        world.operator.restart().await?;
        scene.decide(&scene.helpdesk, "not-recorded", DecisionKind::Revoke).await?;
        scene.wait_phase("not-recorded", Phase::Revoked, "Revoked").await?;
        ensure!(
            world.simulator.requests_for(Operation::PassCreate).len() == before,
            "issued again"
        );
        ensure!(world.simulator.balance().untold_live == 0, "{:?}", world.simulator.balance());
        Ok(())
    })
}

#[test]
fn stopped_it_releases_the_lease_and_another_leads_at_once() -> Result<()> {
    run(async {
        let world = world().await?;
        let scene = Scene::new(&world, "leases").await?;
        scene.policy(json!({})).await?;
        let identity = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let flags: Vec<String> = quick(&[]).operator_flags;
        let scratch = world.control_plane.scratch();
        let second = operator::Operator::new(
            scratch,
            "tap-operator-2",
            &identity,
            &world.simulator,
            &flags,
        )?;
        second.component().start()?;
        let user = scene.user();
        scene.ask("first", &user, json!({})).await?;
        scene.wait_active("first").await?;

        let leases: Api<Lease> =
            Api::namespaced(world.control_plane.admin().client().await?, NAMESPACE);
        let holder = async || -> Result<String> {
            let spec = leases.get("tap-operator").await?.spec.context("a spec")?;
            Ok(spec.holder_identity.unwrap_or_default())
        };
        let leader = holder().await?;
        let status = world.operator.stop().await?;
        ensure!(status.success(), "{status}\n{}", world.operator.component().log_tail(40));
        let told = Instant::now();
        wait::until(wait::PATIENCE, "the other leads", || async {
            let now = holder().await?;
            ensure!(!now.is_empty() && now != leader, "{now:?}");
            Ok(())
        })
        .await?;
        ensure!(told.elapsed() < Duration::from_secs(8), "only after {:?}", told.elapsed());

        let other = scene.user();
        scene.ask("second", &other, json!({})).await?;
        delivered_once(&scene, "second", &other).await?;
        scene.delete("first").await?;
        scene.wait_gone("first").await?;
        ensure!(
            scene.ledger(&user).iter().all(|pass| !pass.is_live()),
            "{:?}",
            scene.ledger(&user)
        );
        Ok(())
    })
}

#[test]
fn without_the_api_server_for_a_while_nothing_is_lost() -> Result<()> {
    run(async {
        let world = world().await?;
        let scene = Scene::new(&world, "outage").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("before", &user, json!({})).await?;
        scene.wait_active("before").await?;

        // In the middle of an issue: the answer to the POST comes while there is no API server.
        let other = scene.user();
        world.simulator.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 4 }));
        scene.ask("middle", &other, json!({})).await?;
        wait::until(wait::PATIENCE, "the POST is sent", || async {
            ensure!(!scene.writes_about(&other)?.is_empty(), "no POST yet");
            Ok(())
        })
        .await?;
        world.control_plane.api_server().kill();
        // Longer than the lease can be held: the process ends, and is started again as a kubelet would.
        let ended = world.operator.component().ended(Duration::from_secs(40)).await?;
        ensure!(!ended.success(), "{ended}");
        world.control_plane.start_api_server().await?;
        world.operator.start().await?;
        delivered_once(&scene, "middle", &other).await?;
        let still: Value = serde_json::to_value(scene.wait_active("before").await?)?;
        ensure!(still["status"]["phase"] == "Active", "{still}");
        scene.decide(&scene.helpdesk, "before", DecisionKind::Revoke).await?;
        scene.wait_phase("before", Phase::Revoked, "Revoked").await?;
        Ok(())
    })
}
