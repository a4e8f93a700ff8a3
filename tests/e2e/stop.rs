//! The emergency stop: the `ConfigMap` `tap-operator-stop`.

use anyhow::{Result, ensure};
use graph_simulator::Operation;
use serde_json::json;
use tap_operator::api::{Enforcement, Phase};

use crate::phases::wait_for_reads;
use crate::scene::{Scene, policy_condition, quick, quick_world};
use crate::support::operator::NAMESPACE;
use crate::support::run;

#[test]
fn stops_all_issuing_and_revokes_what_is_active_when_told_to() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "stop").await?;
        scene.policy(json!({})).await?;
        let (before, during) = (scene.user(), scene.user());
        scene.ask("before", &before, json!({})).await?;
        let active = scene.wait_active("before").await?;

        let on_call = world.control_plane.person("on-call@contoso.com")?;
        world.control_plane.grant(&on_call, "edit", NAMESPACE).await?;
        let stop = |arguments: &[&str]| {
            let arguments = arguments.iter().map(ToString::to_string);
            on_call.kubectl(arguments).in_namespace(NAMESPACE).ok()
        };
        stop(&["create", "configmap", "tap-operator-stop"]).await?;
        // The stop is seen by a watch of its own. A policy that is corrected only without it shows when it was seen.
        let method = json!({ "codeLength": 12 });
        let enforce = json!({ "method": method, "enforcement": Enforcement::Enforce });
        scene.change_policy(enforce).await?;
        let policies = scene.policies().await?;
        let is = |reason: &'static str| {
            move |policy: &tap_operator::api::TapPolicy| {
                policy_condition(policy, "Ready").is_some_and(|c| c.1 == reason)
            }
        };
        world.wait_for(&policies, &scene.policy, "stopped", is("Stopped")).await?;
        ensure!(world.simulator.requests_for(Operation::PolicyPatch).is_empty(), "it was written");

        scene.ask("during", &during, json!({})).await?;
        scene.wait_phase("during", Phase::Pending, "Stopped").await?;
        // Active passes stay.
        wait_for_reads(&scene, &active, 2).await?;
        scene.wait_active("before").await?;
        ensure!(scene.ledger(&during).is_empty(), "issued although it was stopped");

        stop(&["delete", "configmap", "tap-operator-stop"]).await?;
        scene.wait_active("during").await?;
        world.wait_for(&policies, &scene.policy, "corrected", is("InSync")).await?;

        let revoke = "--from-literal=revokeActive=true";
        stop(&["create", "configmap", "tap-operator-stop", revoke]).await?;
        for (name, user) in [("before", &before), ("during", &during)] {
            let revoked = scene.wait_phase(name, Phase::Revoked, "StopRevokesActive").await?;
            ensure!(!scene.pass_of(&revoked)?.is_live(), "the pass of {name} still lives");
            ensure!(scene.secret(name).await?.is_none(), "the Secret of {name} is still there");
            ensure!(scene.ledger(user).len() == 1);
        }
        // A request without a pass keeps waiting.
        let after = scene.user();
        scene.ask("after", &after, json!({})).await?;
        scene.wait_phase("after", Phase::Pending, "Stopped").await?;
        stop(&["delete", "configmap", "tap-operator-stop"]).await?;
        scene.wait_active("after").await?;
        Ok(())
    })
}
