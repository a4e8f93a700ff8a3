//! A deleted request is soon gone together with its pass. A request that stays causes no writes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::{Actor, End, Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase};
use tokio::time::Instant;

use crate::phases::{from_now, wait_for_reads};
use crate::scene::{QuietWrite, Scene};
use crate::support::{run, wait};
use crate::tenants;

/// A deletion takes a second on an idle machine. This is longer, and shorter than every timer that it could wait for.
const QUICKLY: Duration = Duration::from_secs(20);

/// Deletes the request and expects that it is soon gone together with its Secret.
async fn deleted(scene: &Scene<'_>, name: &str) -> Result<()> {
    let before = Instant::now();
    scene.delete(name).await?;
    scene.wait_gone(name).await?;
    let took = before.elapsed();
    ensure!(took < QUICKLY, "{name} was gone only after {took:?}");
    wait::until(wait::PATIENCE, "the Secret is gone", || async {
        ensure!(scene.secret(name).await?.is_none(), "the Secret is still there");
        Ok(())
    })
    .await
}

#[test]
fn in_each_phase_before_the_issue() -> Result<()> {
    run(async {
        let scene = Scene::shared("unissued").await?;
        let user = scene.user();
        scene.ask("pending", &user, json!({})).await?;
        scene.wait_phase("pending", Phase::Pending, "PolicyNotFound").await?;
        deleted(&scene, "pending").await?;

        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        scene.ask("awaiting", &user, json!({})).await?;
        scene.wait_phase("awaiting", Phase::AwaitingApproval, "AwaitingApproval").await?;
        deleted(&scene, "awaiting").await?;

        scene.ask("denied", &user, json!({})).await?;
        scene.wait_phase("denied", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, "denied", DecisionKind::Deny).await?;
        scene.wait_phase("denied", Phase::Denied, "Denied").await?;
        deleted(&scene, "denied").await?;

        scene.ask("failed", &user, json!({ "lifetime": "9h" })).await?;
        scene.wait_phase("failed", Phase::Failed, "LifetimeNotAllowed").await?;
        deleted(&scene, "failed").await?;

        let past = from_now(-SignedDuration::from_hours(3));
        scene.ask("expired", &user, json!({ "startTime": past, "lifetime": "2h" })).await?;
        scene.wait_phase("expired", Phase::Expired, "NotIssuedInTime").await?;
        deleted(&scene, "expired").await?;

        scene.change_policy(json!({ "issuance": { "approval": { "required": 0 } } })).await?;
        let future = from_now(SignedDuration::from_hours(2));
        scene.ask("scheduled", &user, json!({ "startTime": future })).await?;
        scene.wait_phase("scheduled", Phase::Scheduled, "Scheduled").await?;
        deleted(&scene, "scheduled").await?;

        ensure!(scene.writes_about(&user)?.is_empty(), "the tenant was asked for a pass");
        Ok(())
    })
}

#[test]
fn while_active_takes_the_pass_away() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("active").await?;
        let user = scene.user();
        scene.ask("mistake", &user, json!({})).await?;
        let request = scene.wait_active("mistake").await?;
        deleted(&scene, "mistake").await?;
        let pass = scene.pass_of(&request)?;
        ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
        let writes = scene.writes_about(&user)?;
        ensure!(writes.len() == 2, "one POST and one DELETE: {writes:?}");
        Ok(())
    })
}

#[test]
fn after_the_end_leaves_the_tenant_alone() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("ended").await?;
        let user = scene.user();
        scene.ask("used", &user, json!({})).await?;
        let request = scene.wait_active("used").await?;
        let session = scene.simulator.sign_in(&user, &scene.code("used").await?)?.session;
        scene.wait_phase("used", Phase::Used, "PassUsed").await?;
        deleted(&scene, "used").await?;
        ensure!(scene.pass_of(&request)?.is_live(), "the session's pass was deleted");
        ensure!(scene.simulator.session_alive(session), "the session was ended");

        let user = scene.user();
        scene.ask("revoked", &user, json!({})).await?;
        scene.wait_active("revoked").await?;
        scene.decide(&scene.helpdesk, "revoked", DecisionKind::Revoke).await?;
        scene.wait_phase("revoked", Phase::Revoked, "Revoked").await?;
        deleted(&scene, "revoked").await?;
        let writes = scene.writes_about(&user)?;
        ensure!(writes.len() == 2, "one POST and one DELETE: {writes:?}");
        Ok(())
    })
}

#[test]
fn of_the_namespace_takes_the_pass_away() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("namespace").await?;
        let (user, waiting) = (scene.user(), scene.user());
        scene.ask("alive", &user, json!({})).await?;
        let request = scene.wait_active("alive").await?;
        let future = from_now(SignedDuration::from_hours(2));
        scene.ask("scheduled", &waiting, json!({ "startTime": future })).await?;
        scene.wait_phase("scheduled", Phase::Scheduled, "Scheduled").await?;

        let namespaces: Api<Namespace> =
            Api::all(scene.world.control_plane.admin().client().await?);
        namespaces.delete(&scene.namespace, &DeleteParams::default()).await?;
        scene.world.wait_gone(&namespaces, &scene.namespace).await?;
        let pass = scene.pass_of(&request)?;
        ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
        ensure!(scene.ledger(&waiting).is_empty(), "issued into a dying namespace");
        Ok(())
    })
}

#[test]
fn of_the_policy_changes_nothing_for_what_is_active() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("policy").await?;
        let user = scene.user();
        scene.ask("alive", &user, json!({})).await?;
        let request = scene.wait_active("alive").await?;
        scene.policies().await?.delete(&scene.policy, &DeleteParams::default()).await?;
        scene.world.wait_gone(&scene.policies().await?, &scene.policy).await?;
        wait_for_reads(&scene, &request, 3).await?;
        let still = scene.wait_active("alive").await?;
        ensure!(scene.pass_of(&still)?.is_live());

        deleted(&scene, "alive").await?;
        let pass = scene.pass_of(&request)?;
        ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
        Ok(())
    })
}

#[test]
fn of_the_user_ends_the_request() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("leaver").await?;
        let user = scene.user();
        scene.ask("leaver", &user, json!({})).await?;
        scene.wait_active("leaver").await?;
        scene.simulator.delete_user(&user)?;
        scene.wait_phase("leaver", Phase::Revoked, "PassRemoved").await?;
        deleted(&scene, "leaver").await
    })
}

#[test]
fn of_the_secret_changes_nothing_for_the_pass() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("read").await?;
        let user = scene.user();
        scene.ask("read", &user, json!({})).await?;
        let request = scene.wait_active("read").await?;
        let code = scene.code("read").await?;
        scene.secrets().await?.delete("read", &DeleteParams::default()).await?;
        wait_for_reads(&scene, &request, 3).await?;
        scene.wait_phase("read", Phase::Active, "SecretGone").await?;
        scene.simulator.sign_in(&user, &code)?;
        scene.wait_phase("read", Phase::Used, "PassUsed").await?;
        Ok(())
    })
}

#[test]
fn by_ttl_waits_for_the_end_of_the_window() -> Result<()> {
    run(async {
        let scene = tenants::scene("ttl").await?;
        scene.policy(json!({})).await?;
        let (late, early) = (scene.user(), scene.user());

        // It ended long before the end of its window. Until then the request must stay: if it were gone, applying its
        // manifest again would create it anew.
        let soon = from_now(SignedDuration::from_mins(2));
        let spec = json!({ "startTime": soon, "lifetime": "1h", "ttlAfterFinished": "24h" });
        scene.ask("withdrawn", &early, spec).await?;
        scene.wait_active("withdrawn").await?;
        scene.decide(&scene.helpdesk, "withdrawn", DecisionKind::Revoke).await?;
        scene.wait_released("withdrawn", Phase::Revoked).await?;
        scene.age("withdrawn").await?;

        // The window of this one is over, too.
        let past = from_now(-SignedDuration::from_hours(30));
        let spec = json!({ "startTime": past, "lifetime": "2h", "ttlAfterFinished": "24h" });
        scene.ask("over", &late, spec).await?;
        scene.wait_phase("over", Phase::Expired, "NotIssuedInTime").await?;
        ensure!(scene.ledger(&late).is_empty(), "a pass was asked for");
        scene.age("over").await?;
        scene.wait_gone("over").await?;
        scene.wait_phase("withdrawn", Phase::Revoked, "Revoked").await?;
        Ok(())
    })
}

#[test]
fn a_tombstone_stays_and_applying_again_does_nothing() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("tombstone").await?;
        let user = scene.user();
        let manifest = scene.manifest("once", &user, json!({ "reason": "lost phone" })).to_string();
        scene.helpdesk.apply(&manifest).ok().await?;
        let request = scene.wait_active("once").await?;
        let again = scene.helpdesk.apply(&manifest).ok().await?;
        ensure!(again.contains("unchanged"), "{again}");
        scene.decide(&scene.helpdesk, "once", DecisionKind::Revoke).await?;
        scene.wait_phase("once", Phase::Revoked, "Revoked").await?;
        let finished = scene.wait_released("once", Phase::Revoked).await?;

        let again = scene.helpdesk.apply(&manifest).ok().await?;
        ensure!(again.contains("unchanged"), "{again}");
        // If the operator reacts to it at all, it does so before it issues this other pass.
        scene.ask("another", &scene.user(), json!({})).await?;
        scene.wait_active("another").await?;
        let kept = scene.requests().get("once").await?;
        ensure!(kept.metadata.resource_version == finished.metadata.resource_version, "{kept:?}");
        ensure!(scene.ledger(&user).len() == 1, "another pass was made");
        ensure!(!scene.pass_of(&request)?.is_live());
        Ok(())
    })
}

#[test]
fn three_writes_for_a_pass_and_none_while_nothing_changes() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("quiet").await?;
        let user = scene.user();
        scene.ask("quiet", &user, json!({})).await?;
        let request = scene.wait_active("quiet").await?;
        wait_for_reads(&scene, &request, 1).await?;

        let writes = scene.operator_writes(3).await?;
        let in_namespace = format!("/namespaces/{}/", scene.namespace);
        let request_uri = format!("/apis/tap-operator.io/v1alpha1{in_namespace}taprequests/quiet");
        let expected = [
            ("patch", request_uri.clone()),
            ("create", format!("/api/v1{in_namespace}secrets")),
            ("patch", format!("{request_uri}/status")),
        ];
        let expected = expected.map(|(verb, path)| QuietWrite { verb: verb.into(), path });
        ensure!(writes == expected, "{writes:#?}");
        let graph = scene.writes_about(&user)?;
        ensure!(graph.len() == 1 && graph[0].operation == Operation::PassCreate, "{graph:?}");

        // Requests that wait for people or for time cause no writes either.
        scene.change_policy(json!({ "issuance": { "approval": { "required": 1 } } })).await?;
        scene.ask("waits", &scene.user(), json!({})).await?;
        scene.wait_phase("waits", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let before = scene.operator_writes(4).await?;
        let version = scene.requests().get("quiet").await?.metadata.resource_version;
        wait_for_reads(&scene, &request, 10).await?;
        let writes = scene.operator_writes(4).await?;
        ensure!(writes == before, "{writes:#?}");
        let after = scene.requests().get("quiet").await?.metadata.resource_version;
        ensure!(version == after, "the request was written");
        Ok(())
    })
}

#[test]
fn the_end_of_a_pass_is_two_writes_and_a_secret() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("quiet-end").await?;
        let user = scene.user();
        scene.ask("ends", &user, json!({})).await?;
        scene.wait_active("ends").await?;
        let before = scene.operator_writes(3).await?.len();
        scene.simulator.sign_in(&user, &scene.code("ends").await?)?;
        let used = scene.wait_released("ends", Phase::Used).await?;
        let finished = used.status.and_then(|s| s.finished_at).context("no time of its end")?;
        let ago = Timestamp::now().duration_since(finished.0);
        ensure!(ago < SignedDuration::from_mins(2), "{ago}");
        let writes = scene.operator_writes(before + 4).await?.split_off(before);
        let verbs: Vec<&str> = writes.iter().map(|write| write.verb.as_str()).collect();
        // The first DELETE is the dry run that finds out whose Secret it is.
        ensure!(verbs == ["delete", "delete", "patch", "patch"], "{writes:#?}");
        Ok(())
    })
}
