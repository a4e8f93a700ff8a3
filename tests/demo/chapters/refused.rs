//! Requests that get no pass, with the reason.

use anyhow::{Result, ensure};

use crate::stage::{NAMESPACE, Stage};

pub async fn refused(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("4. Refusals come with a reason")?;
    terminal.tell(
        "Sam is new and may create requests here, but was not granted the use of a policy. The API server itself \
         refuses him, even while the operator is down.",
    )?;
    world.control_plane.grant(&cast.sam.identity, "tap-requester", NAMESPACE).await?;
    let ask = "kubectl create -f tests/demo/manifests/grace.yaml";
    stage.refused(&cast.sam, ask, "Forbidden").await?;
    terminal.tell("Heidi may ask. But Grace is a Global Administrator, and this policy gives no passes to them.")?;
    stage.run(&cast.heidi, ask).await?;
    stage.ends("grace", "Failed (DirectoryRoleHolder)").await?;
    let why = stage.run(&cast.heidi, "kubectl tap explain grace").await?;
    ensure!(why.contains("DirectoryRoleHolder"), "{why}");
    Ok(())
}
