//! The change that somebody made in the portal is corrected.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::policy::EVENTS;
use crate::stage::Stage;
use crate::support::wait;
use crate::terminal::progress;

/// The policy's interval of a minute, its jitter of a tenth, and some time for the correction.
const PATIENCE: Duration = Duration::from_secs(90);

pub async fn correction(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("6. The change in the portal is corrected")?;
    let corrected = || {
        let policy = world.simulator.policy();
        policy.maximum_lifetime_in_minutes == 240 && policy.is_usable_once
    };
    if !corrected() {
        progress("waiting until the operator reads the tenant again: once a minute");
    }
    wait::until(PATIENCE, "the change in the portal is corrected", || async {
        ensure!(corrected(), "it is still {:?}", world.simulator.policy());
        Ok(())
    })
    .await?;
    terminal
        .tell("The operator saw it and put it back. The policy's events show the difference:")?;
    wait::until(wait::PATIENCE, "the event of the correction is there", || async {
        let events = cast.admin.identity.kubectl(["get", "events", "--output=json"]).ok().await?;
        ensure!(events.contains("lifetime.maximum from 720h to 4h"), "{events}");
        Ok(())
    })
    .await?;
    stage.run(&cast.admin, EVENTS).await?;
    let synced = "kubectl wait tappolicy/helpdesk --for=condition=Synced --timeout=60s";
    stage.run(&cast.ines, synced).await?;
    Ok(())
}
