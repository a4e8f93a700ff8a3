//! A server is down for a while, in the middle of an issue.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase};
use tokio::time::sleep;

use crate::plan::new_run;
use crate::promises::{cleared, delivered, taken_away};
use crate::run::Run;
use crate::stand::Stand;
use crate::support::wait;
use crate::workflows::ISSUE;

/// Longer than a leader holds its lease without a renewal.
const OUTAGE: Duration = Duration::from_secs(12);

/// All outages, one after the other.
pub async fn all(stand: &Stand) -> Result<()> {
    api_server(stand).await.context("the API server is killed")?;
    etcd(stand).await.context("etcd is killed")?;
    graph(stand).await.context("Graph is unreachable")
}

/// Starts a run with a request whose POST is under way.
async fn in_its_post(stand: &Stand) -> Result<Run<'_>> {
    let run = new_run(stand, &ISSUE, &[]).await?;
    let slow = Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 4 });
    stand.world.simulator.inject(slow);
    run.scene.ask(&run.name, &run.user, json!({})).await?;
    wait::until(wait::PATIENCE, "the POST is sent", || async {
        ensure!(!run.scene.writes_about(&run.user)?.is_empty(), "no POST yet");
        Ok(())
    })
    .await?;
    Ok(run)
}

async fn api_server(stand: &Stand) -> Result<()> {
    let run = in_its_post(stand).await?;
    stand.world.control_plane.api_server().kill();
    sleep(OUTAGE).await;
    stand.world.control_plane.start_api_server().await?;
    delivered(&run, None).await?;
    cleared(&run).await
}

async fn etcd(stand: &Stand) -> Result<()> {
    let run = in_its_post(stand).await?;
    stand.world.control_plane.etcd().kill();
    sleep(OUTAGE).await;
    stand.world.control_plane.etcd().start()?;
    delivered(&run, None).await?;
    cleared(&run).await
}

/// Graph is unreachable from shortly before a pass expires until long after.
async fn graph(stand: &Stand) -> Result<()> {
    let [left_alone, revoked, deleted] = [
        new_run(stand, &ISSUE, &[]).await?,
        new_run(stand, &ISSUE, &[]).await?,
        new_run(stand, &ISSUE, &[]).await?,
    ];
    let all = [&left_alone, &revoked, &deleted];
    for run in all {
        run.scene.ask(&run.name, &run.user, json!({ "lifetime": "10m" })).await?;
        run.scene.wait_active(&run.name).await?;
    }
    let simulator = &stand.world.simulator;
    simulator.step_clock(SignedDuration::from_secs(600 - 20));
    // The operator accepts a new time only if several answers agree on it.
    sleep(Duration::from_secs(5)).await;
    simulator.set_unreachable(true);
    revoked.scene.decide(&revoked.scene.helpdesk, &revoked.name, DecisionKind::Revoke).await?;
    deleted.scene.delete(&deleted.name).await?;
    let ends = async {
        deleted.scene.wait_gone(&deleted.name).await?;
        left_alone.scene.wait_released(&left_alone.name, Phase::Expired).await?;
        revoked.scene.wait_released(&revoked.name, Phase::Expired).await.map(drop)
    };
    let ended = ends.await;
    let checked = async {
        for run in all {
            taken_away(run).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let checked = checked.await;
    simulator.set_unreachable(false);
    ended?;
    checked?;
    cleared(&left_alone).await
}
