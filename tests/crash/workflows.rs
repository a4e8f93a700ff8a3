//! What an operator does with requests and policies. Each workflow says from when on crashes may happen.

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tap_operator::api::names::STOP_CONFIG_MAP;
use tap_operator::api::{DecisionKind, Phase};

use crate::promises::{delivered, taken_away};
use crate::run::{QUIET, Run, Victim, Workflow};
use crate::scene::policy_condition;
use crate::stand::leases;
use crate::support::age::Reader;
use crate::support::operator::NAMESPACE;
use crate::support::wait;

const PLAIN: (&str, fn() -> Value) = ("plain", || {
    // Each pass that expired on this stand has moved the tenant's clock further ahead of the cluster's.
    json!({ "approval": { "timeout": "720h" }, "replaceExistingPass": "Allowed" })
});
const QUOTA: (&str, fn() -> Value) = (
    "quota",
    || json!({ "approval": { "timeout": "720h" }, "quota": { "activePerNamespace": 1 } }),
);

macro_rules! workflow {
    ($name:literal, $scene:ident, $victim:ident, $run:ident) => {
        Workflow {
            name: $name,
            scene: $scene,
            victim: Victim::$victim,
            run: |run| Box::pin($run(run)),
        }
    };
}

/// The workflow that is also crashed twice.
pub const ISSUE: Workflow = workflow!("issue", PLAIN, Operator, issue);

/// All workflows.
pub const ALL: [Workflow; 14] = [
    ISSUE,
    workflow!("expiry", PLAIN, Operator, expiry),
    workflow!("revocation", PLAIN, Operator, revocation),
    workflow!("deletion while active", PLAIN, Operator, deletion),
    workflow!("use seen", PLAIN, Operator, used),
    workflow!("deny after issue", PLAIN, Operator, denied),
    workflow!("replace", PLAIN, Operator, replace),
    workflow!("sealed", PLAIN, Operator, sealed),
    workflow!("quota", QUOTA, Operator, quota),
    workflow!("ttlAfterFinished", PLAIN, Operator, ttl),
    workflow!("policy correction", PLAIN, Operator, correction),
    workflow!("the lease", PLAIN, Leader, lease),
    workflow!("command release", PLAIN, Command, release),
    workflow!("command uninstall", PLAIN, Command, uninstall),
];

/// Waits for the end of a run: all effects have happened, and the second crash as well.
async fn at_rest(run: &Run<'_>) -> Result<()> {
    run.stand.gate.quiet(QUIET).await;
    wait::until(wait::PATIENCE, "the operator is back", || async {
        ensure!(!run.stand.gate.is_down(), "the operator is down");
        run.stand.operator.get("readyz").await.map(drop)
    })
    .await
}

async fn issue(run: &Run<'_>) -> Result<()> {
    run.begin().await;
    run.active(json!({})).await?;
    at_rest(run).await?;
    delivered(run, None).await
}

async fn expiry(run: &Run<'_>) -> Result<()> {
    run.active(json!({ "lifetime": "10m" })).await?;
    run.begin().await;
    run.stand.world.simulator.step_clock(SignedDuration::from_mins(10));
    run.scene.wait_released(&run.name, Phase::Expired).await?;
    at_rest(run).await?;
    taken_away(run).await
}

async fn revocation(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    run.begin().await;
    run.scene.decide(&run.scene.helpdesk, &run.name, DecisionKind::Revoke).await?;
    run.scene.wait_released(&run.name, Phase::Revoked).await?;
    at_rest(run).await?;
    taken_away(run).await
}

async fn deletion(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    run.begin().await;
    run.scene.delete(&run.name).await?;
    run.scene.wait_gone(&run.name).await?;
    at_rest(run).await?;
    taken_away(run).await
}

async fn used(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    let code = run.scene.code(&run.name).await?;
    run.begin().await;
    let session = run.stand.world.simulator.sign_in(&run.user, &code);
    let session = session.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    run.scene.wait_released(&run.name, Phase::Used).await?;
    at_rest(run).await?;
    ensure!(
        run.stand.world.simulator.session_alive(session.session),
        "the pass was deleted, and with it the session in which the user registers a key"
    );
    taken_away(run).await
}

async fn denied(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    run.begin().await;
    run.scene.decide(&run.scene.approver, &run.name, DecisionKind::Deny).await?;
    run.scene.wait_released(&run.name, Phase::Revoked).await?;
    at_rest(run).await?;
    taken_away(run).await
}

async fn replace(run: &Run<'_>) -> Result<()> {
    let simulator = &run.stand.world.simulator;
    let theirs = simulator.portal_create_pass(&run.user, &json!({ "lifetimeInMinutes": 60 }))?;
    run.begin().await;
    run.active(json!({ "onExistingPass": "Replace" })).await?;
    at_rest(run).await?;
    let ledger = run.scene.ledger(&run.user);
    let theirs = ledger.iter().find(|pass| pass.id == theirs).context("the pass of the portal")?;
    ensure!(!theirs.is_live(), "it was to be replaced: {theirs:?}");
    delivered(run, None).await
}

async fn sealed(run: &Run<'_>) -> Result<()> {
    let reader = Reader::age();
    run.begin().await;
    run.active(json!({ "recipients": [&reader.public] })).await?;
    at_rest(run).await?;
    delivered(run, Some(&reader)).await
}

/// When a pass ends, its slot is free for the next request.
async fn quota(run: &Run<'_>) -> Result<()> {
    let first = format!("{}-first", run.name);
    let user = run.scene.user();
    run.scene.ask(&first, &user, json!({})).await?;
    run.scene.wait_active(&first).await?;
    run.ask(json!({})).await?;
    run.scene.wait_phase(&run.name, Phase::Pending, "QuotaReached").await?;
    run.begin().await;
    run.scene.decide(&run.scene.helpdesk, &first, DecisionKind::Revoke).await?;
    run.scene.wait_active(&run.name).await?;
    at_rest(run).await?;
    delivered(run, None).await?;
    let firsts = run.scene.ledger(&user);
    ensure!(firsts.len() == 1 && !firsts[0].is_live(), "{firsts:?}");
    Ok(())
}

/// A request that is too late to be issued ends and is deleted.
async fn ttl(run: &Run<'_>) -> Result<()> {
    run.begin().await;
    let past: Timestamp = run.stand.world.simulator.now() - SignedDuration::from_hours(30);
    let spec = json!({ "startTime": past, "lifetime": "2h", "ttlAfterFinished": "24h" });
    run.ask(spec).await?;
    run.scene.wait_phase(&run.name, Phase::Expired, "NotIssuedInTime").await?;
    run.scene.age(&run.name).await?;
    run.scene.wait_gone(&run.name).await?;
    at_rest(run).await?;
    taken_away(run).await
}

/// The tenant differs from the policy and is corrected.
async fn correction(run: &Run<'_>) -> Result<()> {
    let simulator = &run.stand.world.simulator;
    let before = simulator.policy();
    run.begin().await;
    let spec = json!({
        "tenant": "default", "enforcement": "Enforce",
        "method": { "codeLength": before.default_length + 1 },
    });
    run.scene.policy_named(&run.name, spec).await?;
    let policies = run.scene.policies().await?;
    let in_sync = |policy: &tap_operator::api::TapPolicy| {
        let status = policy.status.as_ref();
        status.and_then(|s| s.observed_generation) == policy.metadata.generation
            && policy_condition(policy, "Ready").is_some_and(|c| c.0 == "True")
    };
    run.scene.world.wait_for(&policies, &run.name, "in sync", in_sync).await?;
    at_rest(run).await?;
    let after = simulator.policy();
    ensure!(after.default_length == before.default_length + 1, "not corrected: {after:?}");
    policies.delete(&run.name, &DeleteParams::default()).await?;
    let mut restored = after;
    restored.default_length = before.default_length;
    ensure!(restored == before, "something else was changed: {restored:?}");
    simulator.set_policy(before);
    Ok(())
}

/// A leader is stopped, another process leads, then its lease is deleted.
async fn lease(run: &Run<'_>) -> Result<()> {
    let leases = leases(run.stand.world).await?;
    let led_by_another = async |than: Option<String>| {
        wait::until(wait::PATIENCE, "another process leads", || async {
            let holder = leases.get_opt("tap-operator").await?.and_then(|lease| lease.spec);
            let holder = holder.and_then(|spec| spec.holder_identity);
            ensure!(holder.is_some() && holder != than, "{holder:?} leads");
            Ok(())
        })
        .await
    };
    let holder = async || -> Result<Option<String>> {
        let lease = leases.get_opt("tap-operator").await?;
        Ok(lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity))
    };
    let first = holder().await?;
    run.begin().await;
    run.stand.operator.component().tell_to_end()?;
    led_by_another(first).await?;
    run.active(json!({})).await?;
    let renewed = async || -> Result<Option<MicroTime>> {
        let lease = leases.get_opt("tap-operator").await?;
        Ok(lease.and_then(|lease| lease.spec).and_then(|spec| spec.renew_time))
    };
    let before = renewed().await?;
    wait::until(wait::PATIENCE, "the lease is renewed", || async {
        let now = renewed().await?;
        ensure!(now.is_some() && now != before, "not since {before:?}");
        Ok(())
    })
    .await?;
    let second = holder().await?;
    leases.delete("tap-operator", &DeleteParams::default()).await?;
    led_by_another(second).await?;
    run.scene.decide(&run.scene.helpdesk, &run.name, DecisionKind::Revoke).await?;
    run.scene.wait_released(&run.name, Phase::Revoked).await?;
    at_rest(run).await?;
    taken_away(run).await
}

/// No operator runs; a person takes the finalizer off, and then cleans up by hand as the operator would have.
async fn release(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    run.stand.stop().await?;
    run.begin().await;
    let name = format!("{}/{}", run.scene.namespace, run.name);
    let released = run.stand.commands.run(&["release", &name]).await;
    let request = run.scene.requests().get(&run.name).await?;
    run.scene.delete(&run.name).await?;
    run.scene.secrets().await?.delete(&run.name, &DeleteParams::default()).await?;
    for pass in run.ours().iter().filter(|pass| pass.is_live()) {
        run.stand.world.simulator.portal_delete_pass(&run.user, pass.id)?;
    }
    run.stand.resume().await?;
    released?;
    ensure!(request.metadata.finalizers.is_none(), "it still has a finalizer: {request:?}");
    taken_away(run).await
}

/// All requests are revoked, and the operator is removed.
async fn uninstall(run: &Run<'_>) -> Result<()> {
    run.active(json!({})).await?;
    run.begin().await;
    let uninstalled = run.stand.commands.run(&["uninstall", "--timeout=50s"]).await;
    let released = run.scene.wait_released(&run.name, Phase::Revoked).await;
    let client = run.stand.world.control_plane.admin().client().await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    maps.delete(STOP_CONFIG_MAP, &DeleteParams::default()).await?;
    uninstalled?;
    released?;
    taken_away(run).await
}
