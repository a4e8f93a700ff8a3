//! What a request waits for in the cluster, and that it goes on by itself.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use graph_simulator::{Fault, FaultKind, Operation};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tap_operator::api::Phase;

use crate::scene::{Scene, condition, quick, quick_world};
use crate::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use crate::support::world::Options;
use crate::support::{control_plane, run, wait};
use crate::tenants;

#[test]
fn for_another_request_for_the_same_user() -> Result<()> {
    run(async {
        let scene = tenants::scene("turns").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.simulator.inject(Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 10 }));
        scene.ask("first", &user, json!({})).await?;
        wait::until(wait::PATIENCE, "the POST is sent", || async {
            ensure!(!scene.writes_about(&user)?.is_empty(), "no POST yet");
            Ok(())
        })
        .await?;
        scene.ask("second", &user, json!({ "onExistingPass": "Wait" })).await?;
        let waiting = scene.wait_phase("second", Phase::Pending, "AnotherRequest").await?;
        let (_, _, message) = condition(&waiting, "Ready").context("no condition Ready")?;
        ensure!(message.contains("request first"), "{message}");
        ensure!(condition(&waiting, "Reconciling").is_some_and(|c| c.1 == "AnotherRequest"));

        scene.wait_active("first").await?;
        scene.wait_phase("second", Phase::Pending, "ExistingPass").await?;
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));
        Ok(())
    })
}

#[test]
fn for_a_place_in_the_quota_of_its_namespace() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("quota").await?;
        let admin = scene.world.control_plane.admin().client().await?;
        let quotas: Api<ResourceQuota> = Api::namespaced(admin, &scene.namespace);
        let no_secrets = serde_json::from_value(json!({
            "metadata": { "name": "no-secrets" }, "spec": { "hard": { "secrets": "0" } },
        }))?;
        quotas.create(&PostParams::default(), &no_secrets).await?;
        // The quota controller, which does not run here, would count like this.
        let counted =
            json!({ "status": { "hard": { "secrets": "0" }, "used": { "secrets": "0" } } });
        let counted = Patch::Merge(counted);
        quotas.patch_status("no-secrets", &PatchParams::default(), &counted).await?;

        let user = scene.user();
        scene.ask("waits", &user, json!({})).await?;
        let waiting = scene.wait_phase("waits", Phase::Pending, "SecretRefused").await?;
        let (_, _, message) = condition(&waiting, "Ready").context("no condition Ready")?;
        ensure!(message.contains("no-secrets") && message.contains("quota"), "{message}");
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");

        quotas.delete("no-secrets", &DeleteParams::default()).await?;
        scene.wait_active("waits").await?;
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));
        Ok(())
    })
}

#[test]
fn for_a_policy_that_is_suspended_while_the_passes_are_listed() -> Result<()> {
    run(async {
        let scene = tenants::scene("held-back").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        // The list is the last read before the attempt is recorded, and the policy is suspended while it is on its way.
        scene.simulator.inject(Fault::on(Operation::PassList, FaultKind::Slow { seconds: 5 }));
        scene.ask("held", &user, json!({})).await?;
        wait::until(wait::PATIENCE, "the passes are listed", || async {
            let lists = scene.simulator.requests_for(Operation::PassList);
            ensure!(!lists.is_empty(), "no list yet");
            Ok(())
        })
        .await?;
        scene.change_policy(json!({ "issuance": { "suspend": true } })).await?;
        let held = scene.wait_phase("held", Phase::Pending, "Suspended").await?;
        let intent =
            held.metadata.annotations.iter().flatten().find(|(name, _)| name.ends_with("intent"));
        ensure!(intent.is_none(), "an attempt was recorded: {intent:?}");
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");

        scene.change_policy(json!({ "issuance": { "suspend": false } })).await?;
        scene.wait_active("held").await?;
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));
        Ok(())
    })
}

#[test]
fn for_the_admission_policies() -> Result<()> {
    run(async {
        let control_plane =
            control_plane::Options { controller_manager: false, ..Default::default() };
        let world = quick_world(Options { control_plane, operator: false, ..quick(&[]) }).await?;
        let admin = world.control_plane.admin();
        let binding = ["delete", "validatingadmissionpolicybinding", "tap-operator-secrets"];
        admin.kubectl(binding).ok().await?;
        let scene = Scene::new(&world, "unguarded").await?;
        scene.policy(json!({})).await?;
        world.operator.start().await?;
        let [waits, tried] = std::array::from_fn(|_| scene.user());
        scene.ask("waits", &waits, json!({})).await?;
        let waiting = scene.wait_phase("waits", Phase::Pending, "AdmissionMissing").await?;
        let (_, _, message) = condition(&waiting, "Ready").context("no condition Ready")?;
        ensure!(message.contains("kubectl apply -k deploy"), "{message}");
        ensure!(scene.ledger(&waits).is_empty(), "issued without the policy on Secrets");
        world.operator.stop().await?;

        // With the flag for trying out.
        let flags = quick(&["--allow-unguarded"]).operator_flags;
        let identity = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let scratch = world.control_plane.scratch();
        let reckless = Operator::new(scratch, "reckless", &identity, &world.simulator, &flags)?;
        reckless.start().await?;
        scene.ask("tried", &tried, json!({})).await?;
        scene.wait_active("tried").await?;
        scene.wait_active("waits").await?;
        let log = reckless.component().log_text();
        ensure!(log.contains("but passes are issued"), "this is not in the log:\n{log}");
        scene.delete("tried").await?;
        scene.wait_gone("tried").await?;
        ensure!(scene.ledger(&tried).iter().all(|pass| !pass.is_live()), "its pass still lives");
        reckless.stop().await?;

        // Once they are applied again, they count without a restart.
        let late = scene.user();
        world.operator.start().await?;
        scene.ask("late", &late, json!({})).await?;
        scene.wait_phase("late", Phase::Pending, "AdmissionMissing").await?;
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").display().to_string();
        admin.kubectl(["apply", "--kustomize", &deploy]).ok().await?;
        scene.wait_active("late").await?;
        Ok(())
    })
}
