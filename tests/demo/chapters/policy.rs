//! The tenant is made to match the policy, and somebody changes it by hand.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::Stage;

const APPLY: &str = "kubectl apply -f tests/demo/manifests/policy.yaml";
const SYNCED: &str = "kubectl wait tappolicy/helpdesk --for=condition=Synced --timeout=60s";
pub(super) const EVENTS: &str = "kubectl get events --field-selector=involvedObject.name=helpdesk \\\n\
    -o custom-columns=REASON:.reason,MESSAGE:.message";

pub async fn policy(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("1. The tenant is what the policy says")?;
    terminal.tell(
        "Who may do what is plain RBAC: the helpdesk asks, its leads approve, the identity team writes policies.",
    )?;
    stage.run(&cast.admin, "kubectl apply -f examples/access.yaml").await?;
    cast.has_its_rights().await?;

    terminal.tell(
        "Ines, of the identity team, writes down what the tenant's method must look like and who may get a pass.",
    )?;
    stage.cat(&cast.ines, "tests/demo/manifests/policy.yaml")?;
    stage.run(&cast.ines, APPLY).await?;
    stage.run(&cast.ines, SYNCED).await?;
    stage.run(&cast.ines, "kubectl get tappolicy helpdesk").await?;
    terminal.tell(
        "The tenant differed, and was corrected. What it had before is kept in status.adopted.",
    )?;
    let events = stage.run(&cast.admin, EVENTS).await?;
    ensure!(events.contains("Corrected"), "no event reports the correction");
    ensure!(world.simulator.policy().is_usable_once, "the tenant was not corrected");

    terminal.tell("Somebody finds this too strict and changes it in the portal:")?;
    terminal.elsewhere("portal", "maximum lifetime 30 days, one-time use not required")?;
    world.simulator.portal_patch_policy(
        &json!({ "maximumLifetimeInMinutes": 43200, "isUsableOnce": false }),
    )?;
    terminal
        .tell("The operator reads the tenant every minute. Meanwhile, the helpdesk's phone rings.")
}
