//! An unused pass expires.

use anyhow::{Result, ensure};
use graph_simulator::SignInError;
use jiff::SignedDuration;

use crate::stage::Stage;

pub async fn expired(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("5. Carol does not call back")?;
    terminal.tell("Carol gets a pass for one hour, and never uses it.")?;
    stage.run(&cast.heidi, "kubectl create -f tests/demo/manifests/carol.yaml").await?;
    stage.can_be_decided("carol").await?;
    stage.decide(&cast.leo, "carol", "approve --yes").await?;
    let code = stage.code("carol").await?;
    terminal.tell(
        "An hour passes in the tenant, not on this machine: the operator goes by Graph's clock, the Date of its answers.",
    )?;
    terminal.elsewhere("tenant's clock", "an hour later")?;
    world.simulator.step_clock(SignedDuration::from_mins(61));
    stage.ends("carol", "Expired").await?;
    stage.secret_is_gone("carol").await?;
    let answer = stage.sign_in("carol@contoso.com", &code)?;
    ensure!(answer == Err(SignInError::Expired), "an expired code: {answer:?}");
    Ok(())
}
