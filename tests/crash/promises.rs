//! What must hold after a run, wherever the operator died.

use anyhow::{Context as _, Result, ensure};
use graph_simulator::{End, LedgerEntry};
use jiff::SignedDuration;

use crate::replica::SETTLE;
use crate::run::Run;
use crate::support::age::Reader;
use crate::support::wait;

/// How long after the settle time an unrecorded pass may live, once faults have stopped.
const TAKEN_BACK: SignedDuration = SignedDuration::from_secs(60);

/// Checks that there is one live pass, that the request records it, and that its code is in the only Secret. All other
/// passes of this run must have been taken back.
pub async fn delivered(run: &Run<'_>, reader: Option<&Reader>) -> Result<()> {
    let request = run.scene.wait_active(&run.name).await?;
    let recorded = run.scene.pass_of(&request)?;
    let (live, ended): (Vec<_>, Vec<_>) = run.ours().into_iter().partition(LedgerEntry::is_live);
    ensure!(live.len() == 1 && live[0].id == recorded.id, "live are {live:#?}, not {recorded:?}");
    for pass in &ended {
        ensure!(matches!(pass.end, End::Deleted { .. }), "not taken back: {pass:#?}");
    }
    let attempt = request.status.as_ref().and_then(|s| s.pass.as_ref());
    let attempt = attempt.map(|pass| pass.client_request_id.clone());
    ensure!(attempt == recorded.client_request_id, "the status records another attempt");
    let code = run.scene.simulator.code(recorded.id).context("a live pass has a code")?;
    let read = match reader {
        None => run.scene.code(&run.name).await?,
        Some(reader) => {
            let scratch = run.stand.world.control_plane.scratch();
            let secret = run.scene.read(&run.name, "temporaryAccessPass.age").await?;
            reader.open(scratch, secret.as_bytes()).await?
        }
    };
    ensure!(read == code, "the Secret holds another code");
    Ok(())
}

/// Checks that nothing usable of this run is left in the tenant or in the cluster.
pub async fn taken_away(run: &Run<'_>) -> Result<()> {
    for pass in run.ours() {
        // A used pass is left to expire, because deleting it would end the user's session.
        ensure!(!pass.is_live() || !pass.uses.is_empty(), "an orphan: {pass:#?}");
    }
    ensure!(run.scene.secret(&run.name).await?.is_none(), "the Secret is left");
    Ok(())
}

/// Deletes the request and checks that it goes: no finalizer holds it, and nothing outlives it.
pub async fn cleared(run: &Run<'_>) -> Result<()> {
    run.stand.clear().await?;
    wait::until(wait::PATIENCE, "nothing outlives the request", || taken_away(run)).await?;
    for pass in run.ours() {
        let replaced = matches!(pass.end, End::Replaced { .. });
        ensure!(!replaced, "a pass of the operator's was replaced by the next: {pass:#?}");
        // In no run a pass may live longer before it is taken back or revoked.
        if let End::Deleted { at, .. } = pass.end {
            let lived = at.duration_since(pass.created_date_time);
            ensure!(lived <= SETTLE + TAKEN_BACK, "taken back only after {lived}: {pass:#?}");
        }
    }
    Ok(())
}
