//! Changes of the cluster behind the operator's back: it is restored, set back, upgraded, the operator is removed and
//! installed again, and a second installation uses the same tenant.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use graph_simulator::LedgerEntry;
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase, yaml};

use crate::scene::{QUICK, Scene, condition, quick, quick_world};
use crate::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use crate::support::world::{Options, World, install, policies_are_of_age};
use crate::support::{control_plane, run, wait};

/// Without garbage collection: these tests see what the operator itself deletes.
fn without_controllers() -> Options {
    let control_plane = control_plane::Options { controller_manager: false, ..Default::default() };
    Options { control_plane, ..quick(&[]) }
}

/// A second cluster whose operator signs in to the tenant of another world, as the same app.
async fn second_installation(first: &World) -> Result<World> {
    let mut second = World::own(Options { operator: false, ..without_controllers() }).await?;
    second.operator = new_operator(&second, first).await?;
    second.operator.start().await?;
    Ok(second)
}

/// An operator for one cluster and the tenant of the other, with a new token of its service account.
async fn new_operator(cluster: &World, tenant: &World) -> Result<Operator> {
    let control_plane = &cluster.control_plane;
    let identity = control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
    let flags = QUICK.map(str::to_owned);
    let scratch = control_plane.scratch();
    Operator::new(scratch, "tap-operator-again", &identity, &tenant.simulator, &flags)
}

fn lives(passes: &[LedgerEntry]) -> Vec<bool> {
    passes.iter().map(LedgerEntry::is_live).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// Stops everything that keeps data, changes its files, and starts it again.
async fn with_stopped_cluster(world: &World, change: impl FnOnce() -> Result<()>) -> Result<()> {
    world.operator.stop().await?;
    let control_plane = &world.control_plane;
    control_plane.api_server().kill();
    control_plane.etcd().kill();
    change()?;
    control_plane.etcd().start()?;
    control_plane.start_api_server().await?;
    world.operator.start().await
}

#[test]
fn a_cluster_restored_from_a_backup_without_status() -> Result<()> {
    run(async {
        let lost = quick_world(without_controllers()).await?;
        let scene = Scene::new(&lost, "lost").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let (held, asked) = (scene.user(), scene.user());
        for (name, user) in [("live", &held), ("asked", &asked)] {
            scene.ask(name, user, json!({})).await?;
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
        }
        scene.decide(&scene.approver, "live", DecisionKind::Approve).await?;
        let live = scene.wait_active("live").await?;
        lost.operator.kill();

        let restored = second_installation(&lost).await?;
        let again = Scene::for_tenant(&restored, &lost.simulator, "default", "restored").await?;
        again.policy(json!({ "approval": { "required": 1 } })).await?;
        for name in ["live", "asked"] {
            let saved: Value = serde_json::to_value(scene.requests().get(name).await?)?;
            let mut copy =
                again.manifest(name, saved["spec"]["user"].as_str().unwrap_or_default(), json!({}));
            for field in ["annotations", "finalizers", "labels"] {
                copy["metadata"][field] = saved["metadata"][field].clone();
            }
            let create = ["create", "--filename=-"];
            // A backup tool creates what was saved, and is not who asked.
            let mut whole = copy.clone();
            whole["spec"]["requestedBy"] = saved["spec"]["requestedBy"].clone();
            let tool = restored.control_plane.admin().kubectl(create);
            let tool = tool.in_namespace(&again.namespace).input(whole.to_string());
            let refusal = tool.refused().await?;
            ensure!(refusal.contains("cannot be restored or copied"), "{refusal}");
            again.helpdesk.kubectl(create).input(copy.to_string()).ok().await?;
        }
        again.wait_released("live", Phase::Failed).await?;
        again.wait_phase("live", Phase::Failed, "Restored").await?;
        ensure!(again.secret("live").await?.is_none(), "the code came back");
        // In this cluster nobody has approved this request yet.
        let request =
            again.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        ensure!(request.decisions().is_empty(), "{request:?}");
        again.decide(&again.approver, "asked", DecisionKind::Approve).await?;
        again.wait_active("asked").await?;

        // The pass that the lost cluster issued is foreign here and must not be deleted: that cluster may still be
        // there.
        ensure!(lives(&scene.ledger(&held)) == [true], "{:?}", scene.ledger(&held));
        again.ask("refused", &held, json!({})).await?;
        again.wait_phase("refused", Phase::AwaitingApproval, "AwaitingApproval").await?;
        again.decide(&again.approver, "refused", DecisionKind::Approve).await?;
        again.wait_phase("refused", Phase::Failed, "ExistingPass").await?;

        // If the old cluster is still there, it continues.
        lost.operator.start().await?;
        scene.decide(&scene.helpdesk, "live", DecisionKind::Revoke).await?;
        scene.wait_released("live", Phase::Revoked).await?;
        ensure!(!scene.pass_of(&live)?.is_live(), "the pass is still live");
        Ok(())
    })
}

#[test]
fn a_cluster_set_back_to_an_earlier_state() -> Result<()> {
    run(async {
        let world = quick_world(without_controllers()).await?;
        let scene = Scene::new(&world, "set-back").await?;
        scene.policy(json!({})).await?;
        let (kept, revoked, deleted) = (scene.user(), scene.user(), scene.user());
        for (name, user) in [("kept", &kept), ("revoked", &revoked), ("deleted", &deleted)] {
            scene.ask(name, user, json!({})).await?;
            scene.wait_active(name).await?;
        }
        let (data, saved) =
            (world.control_plane.etcd_data(), world.control_plane.scratch().file("saved"));
        with_stopped_cluster(&world, || copy(&data, &saved)).await?;
        scene.decide(&scene.helpdesk, "revoked", DecisionKind::Revoke).await?;
        scene.wait_released("revoked", Phase::Revoked).await?;
        scene.delete("deleted").await?;
        scene.wait_gone("deleted").await?;
        let later = scene.user();
        scene.ask("later", &later, json!({})).await?;
        scene.wait_active("later").await?;

        with_stopped_cluster(&world, || {
            fs::remove_dir_all(&data)?;
            copy(&saved, &data)
        })
        .await?;
        // A pass that is gone in the tenant ends here, too, and its Secret does not stay.
        for name in ["revoked", "deleted"] {
            let request = scene.wait_released(name, Phase::Revoked).await?;
            let reason = condition(&request, "Ready").map(|c| c.1);
            ensure!(reason == Some("PassRemoved"), "{name}: {reason:?}");
            ensure!(scene.secret(name).await?.is_none(), "{name} has a Secret");
        }
        let request = scene.wait_active("kept").await?;
        ensure!(scene.pass_of(&request)?.is_live());
        ensure!(
            scene.simulator.code(scene.pass_of(&request)?.id) == Some(scene.code("kept").await?)
        );
        // A pass that was issued after the backup is foreign now: it stays, and nothing is issued over it unless
        // requested.
        ensure!(lives(&scene.ledger(&later)) == [true], "{:?}", scene.ledger(&later));
        scene.ask("later", &later, json!({})).await?;
        scene.wait_phase("later", Phase::Failed, "ExistingPass").await?;
        scene.ask("instead", &later, json!({ "onExistingPass": "Wait" })).await?;
        scene.wait_phase("instead", Phase::Pending, "ExistingPass").await?;
        Ok(())
    })
}

/// The definition as a newer version could have it: with other fields, columns and words.
fn upgraded(definition: &mut Value) {
    let version = &mut definition["spec"]["versions"][0];
    let column = json!({
        "name": "Newer", "type": "string", "jsonPath": ".status.newer", "priority": 1,
    });
    if let Some(columns) = version["additionalPrinterColumns"].as_array_mut() {
        columns.push(column);
    }
    for part in ["spec", "status"] {
        let schema = &mut version["schema"]["openAPIV3Schema"]["properties"][part];
        schema["description"] = json!("What a newer version says.");
        schema["properties"]["newer"] = json!({ "type": "string", "default": "yes" });
    }
}

#[test]
fn definitions_upgraded_under_live_requests() -> Result<()> {
    run(async {
        let world = quick_world(without_controllers()).await?;
        let scene = Scene::new(&world, "upgrade").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let (live, waiting) = (scene.user(), scene.user());
        for (name, user) in [("live", &live), ("waiting", &waiting)] {
            scene.ask(name, user, json!({})).await?;
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
        }
        scene.decide(&scene.approver, "live", DecisionKind::Approve).await?;
        let before = scene.wait_active("live").await?;

        let admin = world.control_plane.admin();
        for name in ["taprequests", "tappolicies"] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
            let shipped = fs::read_to_string(directory.join(format!("{name}.yaml")))?;
            let mut definition: Value = yaml::read(&shipped)?;
            upgraded(&mut definition);
            admin.apply(&definition.to_string()).ok().await?;
        }
        wait::until(wait::PATIENCE, "the newer definition is served", || async {
            let get = ["get", "tap", "live", "--output=jsonpath={.spec.newer}"];
            let newer = scene.helpdesk.kubectl(get).in_namespace(&scene.namespace).ok().await?;
            ensure!(newer == "yes", "{newer}");
            Ok(())
        })
        .await?;
        scene.decide(&scene.approver, "waiting", DecisionKind::Approve).await?;
        scene.wait_active("waiting").await?;
        let after = scene.requests().get("live").await?;
        ensure!(after.metadata.resource_version == before.metadata.resource_version, "{after:?}");

        // Back again: what the newer version wrote is dropped, and nothing else changes.
        install(&world.control_plane, "crds").await?;
        scene.decide(&scene.helpdesk, "live", DecisionKind::Revoke).await?;
        scene.wait_released("live", Phase::Revoked).await?;
        ensure!(!scene.pass_of(&before)?.is_live(), "the pass is still live");
        ensure!(lives(&scene.ledger(&waiting)) == [true], "{:?}", scene.ledger(&waiting));
        Ok(())
    })
}

#[test]
fn removed_with_live_passes_and_installed_again() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "reinstalled").await?;
        scene.policy(json!({})).await?;
        let names = ["kept", "used", "revoked", "deleted"];
        let mut users = Vec::new();
        for name in names {
            let user = scene.user();
            scene.ask(name, &user, json!({})).await?;
            scene.wait_active(name).await?;
            users.push(user);
        }
        scene.change_policy(json!({ "issuance": { "suspend": true } })).await?;
        scene.ask("waiting", &scene.user(), json!({})).await?;
        scene.wait_phase("waiting", Phase::Pending, "Suspended").await?;

        world.operator.stop().await?;
        let delete = ["delete", "--kustomize", "deploy", "--timeout=60s"];
        world.control_plane.admin().kubectl(delete).ok().await?;
        // Meanwhile no operator runs. Finalizers hold the requests that have a pass.
        world.simulator.sign_in(&users[1], &scene.code("used").await?)?;
        let delete = ["delete", "tap", "deleted", "--wait=false"];
        world.control_plane.admin().kubectl(delete).in_namespace(&scene.namespace).ok().await?;

        install(&world.control_plane, "deploy").await?;
        let operator = new_operator(&world, &world).await?;
        operator.start().await?;
        scene.wait_released("used", Phase::Used).await?;
        scene.wait_gone("deleted").await?;
        ensure!(lives(&scene.ledger(&users[3])) == [false], "{:?}", scene.ledger(&users[3]));
        let kept = scene.wait_active("kept").await?;
        ensure!(scene.simulator.code(scene.pass_of(&kept)?.id) == Some(scene.code("kept").await?));
        scene.decide(&scene.helpdesk, "revoked", DecisionKind::Revoke).await?;
        scene.wait_released("revoked", Phase::Revoked).await?;
        ensure!(lives(&scene.ledger(&users[2])) == [false], "{:?}", scene.ledger(&users[2]));
        // Who created a request while there were no policies is not known, so it must be created again.
        scene.change_policy(json!({ "issuance": { "suspend": false } })).await?;
        scene.wait_phase("waiting", Phase::Failed, "CreatedUnguarded").await?;
        policies_are_of_age(&world.control_plane).await?;
        scene.ask("next", &scene.user(), json!({})).await?;
        scene.wait_active("next").await?;
        ensure!(users.iter().all(|user| scene.ledger(user).len() == 1), "another pass was made");
        Ok(())
    })
}

#[test]
fn two_installations_on_one_tenant() -> Result<()> {
    run(async {
        let first = quick_world(without_controllers()).await?;
        let second = second_installation(&first).await?;
        let here = Scene::new(&first, "here").await?;
        let there = Scene::for_tenant(&second, &first.simulator, "default", "there").await?;
        for scene in [&here, &there] {
            scene.policy(json!({ "replaceExistingPass": "Allowed" })).await?;
        }
        let users = [here.user(), here.user(), here.user()];
        for (name, user) in ["refused", "waited", "replaced"].into_iter().zip(&users) {
            here.ask(name, user, json!({})).await?;
            here.wait_active(name).await?;
        }
        // Each installation sees the other's passes as foreign and leaves them.
        there.ask("refused", &users[0], json!({})).await?;
        there.wait_phase("refused", Phase::Failed, "ExistingPass").await?;
        there.ask("waited", &users[1], json!({ "onExistingPass": "Wait" })).await?;
        there.wait_phase("waited", Phase::Pending, "ExistingPass").await?;
        for user in &users {
            ensure!(lives(&here.ledger(user)) == [true], "{:?}", here.ledger(user));
        }
        // Unless it is told to replace them; the other one then notices that its pass is gone.
        there.ask("replaced", &users[2], json!({ "onExistingPass": "Replace" })).await?;
        there.wait_active("replaced").await?;
        let removed = here.wait_released("replaced", Phase::Revoked).await?;
        ensure!(condition(&removed, "Ready").is_some_and(|c| c.1 == "PassRemoved"), "{removed:?}");
        ensure!(here.secret("replaced").await?.is_none(), "its Secret is still there");
        ensure!(lives(&here.ledger(&users[2])) == [false, true], "{:?}", here.ledger(&users[2]));

        here.decide(&here.helpdesk, "waited", DecisionKind::Revoke).await?;
        here.wait_released("waited", Phase::Revoked).await?;
        there.wait_active("waited").await?;
        ensure!(lives(&here.ledger(&users[1])) == [false, true], "{:?}", here.ledger(&users[1]));
        Ok(())
    })
}
