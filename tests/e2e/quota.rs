//! A quota with many requests at once.

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::ListParams;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::{Scene, condition};
use crate::support::{run, wait};
use crate::tenants;

/// The number of requests, and how many passes may be live.
const CROWD: usize = 200;
const BOUND: usize = 20;

async fn all(scene: &Scene<'_>) -> Result<Vec<TapRequest>> {
    Ok(scene.requests().list(&ListParams::default()).await?.items)
}

/// Waits until so many passes were made, [`BOUND`] are live and all other requests wait for the quota. There must never
/// be more.
async fn full(scene: &Scene<'_>, made: usize) -> Result<Vec<TapRequest>> {
    wait::until(
        wait::PATIENCE * 2,
        "the quota is used up, and all other requests wait for it",
        || async {
            let ledger = scene.simulator.ledger();
            let live = ledger.iter().filter(|pass| pass.is_live()).count();
            ensure!(live <= BOUND, "{live} passes are live");
            let requests = all(scene).await?;
            let told =
                |r: &&TapRequest| condition(r, "Ready").is_some_and(|c| c.1 == "QuotaReached");
            let waiting = requests.iter().filter(told).count();
            let active = requests.iter().filter(|r| r.phase() == Phase::Active).count();
            let found = (ledger.len(), active, waiting);
            ensure!(found == (made, BOUND, CROWD - made), "made, active, waiting: {found:?}");
            Ok(())
        },
    )
    .await?;
    all(scene).await
}

#[test]
fn of_two_hundred_at_once_twenty_are_issued_and_the_others_follow() -> Result<()> {
    run(async {
        let scene = tenants::scene("quota").await?;
        scene.policy(json!({ "quota": { "activePerNamespace": BOUND } })).await?;
        let users: Vec<String> = (0..CROWD).map(|_| scene.user()).collect();
        stream::iter(users.iter().enumerate())
            .map(|(number, user)| {
                let scene = &scene;
                async move { scene.ask(&format!("r{number}"), user, json!({})).await }
            })
            .buffer_unordered(32)
            .try_collect::<Vec<_>>()
            .await?;
        let requests = full(&scene, BOUND).await?;
        let message = requests.iter().find(|r| r.phase() == Phase::Pending);
        let message = message.and_then(|r| condition(r, "Ready")).map_or("", |c| c.2);
        for word in [&scene.namespace, "activePerNamespace", "when one of them ends"] {
            ensure!(message.contains(word), "no {word:?} in {message}");
        }

        let active = requests.iter().filter(|r| r.phase() == Phase::Active).take(5);
        for request in active {
            let name = request.metadata.name.as_deref().unwrap_or_default();
            scene.decide(&scene.helpdesk, name, DecisionKind::Revoke).await?;
        }
        full(&scene, BOUND + 5).await?;
        Ok(())
    })
}
