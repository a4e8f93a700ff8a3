//! Requests that get no pass, with the reason.

use anyhow::{Result, ensure};

use crate::stage::{NAMESPACE, Stage};

const WHY: &str = "kubectl get tap grace \\\n\
    -o jsonpath='{range .status.conditions[?(@.type==\"Ready\")]}{.reason}: {.message}{end}'";

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
    stage.reaches("grace", "Failed").await?;
    let why = stage.run(&cast.heidi, WHY).await?;
    ensure!(why.contains("DirectoryRoleHolder"), "{why}");
    Ok(())
}
