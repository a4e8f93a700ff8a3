//! The operator issues only if its admission policies are in the cluster as they are shipped, and are in force.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::{Scene, condition, quick, quick_world};
use crate::support::world::{Options, World, install, policies_are_of_age};
use crate::support::{control_plane, run, wait};

const POLICY: &str = "validatingadmissionpolicy";
const BINDING: &str = "validatingadmissionpolicybinding";

/// Changes a policy or binding by a JSON patch, as a cluster administrator.
async fn patch(world: &World, kind: &str, name: &str, operations: &Value) -> Result<()> {
    let patch = operations.to_string();
    let line = ["patch", kind, name, "--type=json", "--patch", &patch];
    world.control_plane.admin().kubectl(line).ok().await.map(drop)
}

/// Waits until the request waits for the policies, with these words in its message.
async fn waits(scene: &Scene<'_>, name: &str, words: &str) -> Result<TapRequest> {
    let because = |seen: &TapRequest| {
        condition(seen, "Ready")
            .is_some_and(|ready| ready.1 == "AdmissionMissing" && ready.2.contains(words))
    };
    let seen = scene.wait(name, &format!("AdmissionMissing: {words}"), because).await?;
    ensure!(seen.phase() == Phase::Pending, "{}", seen.phase());
    Ok(seen)
}

async fn policies_in_force(world: &World) -> Result<bool> {
    Ok(world.operator.metrics().await?.lines().any(|line| line == "tap_operator_guarded 1"))
}

#[test]
fn what_is_changed_holds_back_what_is_new_until_it_is_as_shipped_again() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "changed").await?;
        scene.policy(json!({})).await?;
        let live = scene.user();
        scene.ask("live", &live, json!({})).await?;
        scene.wait_active("live").await?;
        ensure!(policies_in_force(&world).await?, "{}", world.operator.metrics().await?);

        let is_true = json!([{"op": "replace", "path": "/spec/validations", "value": [{"expression": "true"}]}]);
        let warns = json!([{"op": "replace", "path": "/spec/validationActions", "value": ["Audit", "Warn"]}]);
        let ignores = json!([{"op": "replace", "path": "/spec/failurePolicy", "value": "Ignore"}]);
        let nobody = json!([{"op": "add", "path": "/spec/matchConditions",
            "value": [{"name": "nobody", "expression": "false"}]}]);
        let elsewhere = json!([{"op": "add", "path": "/spec/matchResources",
            "value": {"namespaceSelector": {"matchLabels": {"no": "where"}}}}]);
        let everybody = json!([{"op": "remove", "path": "/spec/matchConditions"}]);
        let everywhere = json!([{"op": "remove", "path": "/spec/matchResources"}]);
        for (index, (kind, name, change, back, words)) in [
            (POLICY, "tap-operator-requests", is_true, None, "spec.validations has 1 instead of"),
            (BINDING, "tap-operator-decisions", warns, None, "must contain Deny"),
            (POLICY, "tap-operator-secrets", ignores, None, r#"is "Ignore" instead of "Fail""#),
            // Fields that others added are not removed by kubectl apply.
            (POLICY, "tap-operator-decisions", nobody, Some(everybody), "spec.matchConditions was"),
            (BINDING, "tap-operator-requests", elsewhere, Some(everywhere), "matchResources was"),
        ]
        .into_iter()
        .enumerate()
        {
            patch(&world, kind, name, &change).await?;
            wait::until(wait::PATIENCE, "the operator sees it", || async {
                ensure!(
                    !policies_in_force(&world).await?,
                    "{}",
                    world.operator.component().log_tail(20)
                );
                Ok(())
            })
            .await?;
            let (request, user) = (format!("waiting-{index}"), scene.user());
            scene.ask(&request, &user, json!({})).await?;
            let seen = waits(&scene, &request, words).await?;
            let ready = condition(&seen, "Ready").map_or("", |ready| ready.2);
            ensure!(ready.contains(name) && ready.contains("kubectl apply -k deploy"), "{ready}");
            ensure!(scene.ledger(&user).is_empty(), "issued although a policy was changed");

            install(&world.control_plane, "deploy").await?;
            if let Some(back) = back {
                waits(&scene, &request, words).await?;
                patch(&world, kind, name, &back).await?;
            }
            scene.wait_active(&request).await?;
        }
        // None of this touched the live pass.
        scene.wait_active("live").await?;
        ensure!(scene.ledger(&live).len() == 1);
        Ok(())
    })
}

#[test]
fn removed_policies_end_waiting_requests_and_no_live_pass() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "taken").await?;
        scene.policy(json!({})).await?;
        let users = [scene.user(), scene.user(), scene.user(), scene.user()];
        for (name, user) in [("live", &users[0]), ("revoked", &users[1])] {
            scene.ask(name, user, json!({})).await?;
            scene.wait_active(name).await?;
        }
        let admin = world.control_plane.admin();
        admin.kubectl(["delete", BINDING, "tap-operator-requests"]).ok().await?;
        scene.wait_active("live").await?;
        scene.ask("waiting", &users[2], json!({"startTime": far_ahead()})).await?;
        let missing = "ValidatingAdmissionPolicyBinding tap-operator-requests is missing";
        waits(&scene, "waiting", missing).await?;
        // A live pass can still be revoked.
        scene.decide(&scene.helpdesk, "revoked", DecisionKind::Revoke).await?;
        scene.wait_released("revoked", Phase::Revoked).await?;
        ensure!(scene.secret("revoked").await?.is_none());

        install(&world.control_plane, "deploy").await?;
        let failed = scene.wait_phase("waiting", Phase::Failed, "CreatedUnguarded").await?;
        let ready = condition(&failed, "Ready").map_or("", |ready| ready.2);
        ensure!(ready.contains("create it again"), "{ready}");
        policies_are_of_age(&world.control_plane).await?;
        scene.ask("again", &users[3], json!({})).await?;
        scene.wait_active("again").await?;
        scene.wait_active("live").await?;
        ensure!(scene.ledger(&users[2]).is_empty());
        Ok(())
    })
}

fn far_ahead() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string()
}

#[test]
fn policies_that_come_late_do_not_cover_older_requests() -> Result<()> {
    run(async {
        let world = quick_world(Options { deploy: "deploy/base", ..quick(&[]) }).await?;
        let scene = Scene::new(&world, "late").await?;
        scene.policy(json!({})).await?;
        let (before, after) = (scene.user(), scene.user());
        // Nobody checks who the requester really is.
        scene.ask("before", &before, json!({"requestedBy": "somebody@contoso.com"})).await?;
        waits(&scene, "before", "tap-operator-requests is missing").await?;
        install(&world.control_plane, "deploy").await?;
        scene.wait_phase("before", Phase::Failed, "CreatedUnguarded").await?;
        policies_are_of_age(&world.control_plane).await?;
        scene.ask("after", &after, json!({})).await?;
        scene.wait_active("after").await?;
        ensure!(scene.ledger(&before).is_empty());
        Ok(())
    })
}

#[test]
fn policies_that_the_api_server_does_not_enforce_are_not_enough() -> Result<()> {
    run(async {
        let without = "--disable-admission-plugins=ValidatingAdmissionPolicy".to_owned();
        let options = Options {
            control_plane: control_plane::Options {
                api_server_flags: vec![without],
                ..control_plane::Options::default()
            },
            ..quick(&[])
        };
        let world = quick_world(options).await?;
        let scene = Scene::new(&world, "idle").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("waiting", &user, json!({})).await?;
        waits(&scene, "waiting", "lets the operator create Secrets that hold no passes").await?;
        ensure!(scene.ledger(&user).is_empty());
        Ok(())
    })
}
