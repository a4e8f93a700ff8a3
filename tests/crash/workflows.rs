//! What an operator does with requests and policies, each from the moment at which the crashes may come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};
use tap_operator::simulator::{Actor, LedgerEntry};

use crate::gate::Crash;
use crate::promises::{delivered, taken_away};
use crate::scene::{Scene, policy_condition};
use crate::stand::Stand;
use crate::support::age::Reader;
use crate::support::wait;

/// One run of a workflow.
pub struct Run<'a> {
    pub stand: &'a Stand,
    pub scene: Arc<Scene<'static>>,
    /// Of its request, unlike any other's.
    pub name: String,
    /// Whom only this run knows.
    pub user: String,
    pub crashes: Vec<Crash>,
}

impl Run<'_> {
    /// From here on the operator may crash.
    async fn begin(&self) {
        self.stand.gate.quiet(QUIET).await;
        self.stand.gate.begin(&self.crashes);
    }

    async fn ask(&self, spec: Value) -> Result<()> {
        self.scene.ask(&self.name, &self.user, spec).await.map(drop)
    }

    /// An active request, in which the operator did what there was to do.
    async fn active(&self, spec: Value) -> Result<()> {
        self.ask(spec).await?;
        self.scene.wait_active(&self.name).await.map(drop)
    }

    /// Passes of this run's user that the operator made.
    pub fn ours(&self) -> Vec<LedgerEntry> {
        let mut passes = self.scene.ledger(&self.user);
        passes.retain(|pass| matches!(pass.made_by, Actor::App { .. }));
        passes
    }
}

/// So long without an effect, and nothing more is to come.
const QUIET: std::time::Duration = std::time::Duration::from_millis(400);

type Ran<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A workflow.
pub struct Workflow {
    pub name: &'static str,
    /// Its scene, and how the policy of that differs.
    pub scene: (&'static str, fn() -> Value),
    pub run: for<'a> fn(&'a Run<'a>) -> Ran<'a>,
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const PLAIN: (&str, fn() -> Value) = ("plain", || {
    // The tenant's clock runs ahead of the cluster's by each pass that expired here.
    json!({ "approval": { "timeout": "720h" }, "replaceExistingPass": "Allowed" })
});
const QUOTA: (&str, fn() -> Value) = (
    "quota",
    || json!({ "approval": { "timeout": "720h" }, "quota": { "activePerNamespace": 1 } }),
);

/// The one that is crashed twice, too.
pub const ISSUE: Workflow =
    Workflow { name: "issue", scene: PLAIN, run: |run| Box::pin(issue(run)) };

/// All of them.
pub const ALL: [Workflow; 11] = [
    ISSUE,
    Workflow { name: "expiry", scene: PLAIN, run: |run| Box::pin(expiry(run)) },
    Workflow { name: "revocation", scene: PLAIN, run: |run| Box::pin(revocation(run)) },
    Workflow { name: "deletion while active", scene: PLAIN, run: |run| Box::pin(deletion(run)) },
    Workflow { name: "use seen", scene: PLAIN, run: |run| Box::pin(used(run)) },
    Workflow { name: "deny after issue", scene: PLAIN, run: |run| Box::pin(denied(run)) },
    Workflow { name: "replace", scene: PLAIN, run: |run| Box::pin(replace(run)) },
    Workflow { name: "sealed", scene: PLAIN, run: |run| Box::pin(sealed(run)) },
    Workflow { name: "quota", scene: QUOTA, run: |run| Box::pin(quota(run)) },
    Workflow { name: "ttlAfterFinished", scene: PLAIN, run: |run| Box::pin(ttl(run)) },
    Workflow { name: "policy correction", scene: PLAIN, run: |run| Box::pin(correction(run)) },
];

/// The end of a run: everything that was to come has come, the second crash included.
async fn at_rest(run: &Run<'_>) -> Result<()> {
    run.stand.gate.quiet(QUIET).await;
    wait::until(wait::PATIENCE, "the operator is back", || async {
        ensure!(!run.stand.gate.is_down(), "it is down");
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

/// The place of one that ends is the next one's.
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

/// One that is too late to be issued ends, and goes.
async fn ttl(run: &Run<'_>) -> Result<()> {
    run.begin().await;
    let past: Timestamp = run.stand.world.simulator.now() - SignedDuration::from_hours(3);
    let spec = json!({ "startTime": past, "lifetime": "2h", "ttlAfterFinished": "0m" });
    run.ask(spec).await?;
    run.scene.wait_gone(&run.name).await?;
    at_rest(run).await?;
    taken_away(run).await
}

/// The tenant differs, and is corrected.
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
