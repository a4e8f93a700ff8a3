//! What happens between a request and its issue without stopping it: a new process, or an outage when the pass is due.

use anyhow::{Result, ensure};
use graph_simulator::Operation;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase};

use crate::phases::from_now;
use crate::scene::{Scene, quick, quick_world};
use crate::support::world::Options;
use crate::support::{control_plane, run};
use crate::tenants;

#[test]
fn a_new_process_goes_on_in_each_phase_before_the_issue() -> Result<()> {
    run(async {
        let control_plane =
            control_plane::Options { controller_manager: false, ..Default::default() };
        let world = quick_world(Options { control_plane, ..quick(&[]) }).await?;
        let pending = Scene::new(&world, "pending").await?;
        let awaiting = Scene::new(&world, "awaiting").await?;
        let scheduled = Scene::new(&world, "scheduled").await?;
        pending.policy(json!({ "suspend": true })).await?;
        awaiting.policy(json!({ "approval": { "required": 1 } })).await?;
        scheduled.policy(json!({})).await?;
        let start = from_now(SignedDuration::from_hours(2));
        let cases = [
            (&pending, json!({}), Phase::Pending, "Suspended"),
            (&awaiting, json!({}), Phase::AwaitingApproval, "AwaitingApproval"),
            (&scheduled, json!({ "startTime": start }), Phase::Scheduled, "Scheduled"),
        ];
        let mut before = Vec::new();
        for (scene, spec, phase, reason) in &cases {
            let user = scene.user();
            scene.ask("asked", &user, spec.clone()).await?;
            let request = scene.wait_phase("asked", *phase, reason).await?;
            before.push((user, request.metadata.resource_version));
        }
        world.operator.restart().await?;
        // Whatever it reports about these requests, it reports before it issues a pass for a later request.
        scheduled.ask("later", &scheduled.user(), json!({})).await?;
        scheduled.wait_active("later").await?;
        for ((scene, _, phase, reason), (_, version)) in cases.iter().zip(&before) {
            let request = scene.wait_phase("asked", *phase, reason).await?;
            ensure!(request.metadata.resource_version == *version, "{phase}: {request:?}");
        }

        pending.change_policy(json!({ "issuance": { "suspend": false } })).await?;
        awaiting.decide(&awaiting.approver, "asked", DecisionKind::Approve).await?;
        scheduled.change_policy(json!({ "issuance": { "leadTime": "3h" } })).await?;
        for ((scene, _, phase, _), (user, _)) in cases.iter().zip(&before) {
            let request = scene.wait_active("asked").await?;
            let ledger = scene.ledger(user);
            ensure!(ledger.len() == 1 && ledger[0].is_live(), "{phase}: {ledger:?}");
            let pass = scene.pass_of(&request)?;
            ensure!(scene.simulator.code(pass.id) == Some(scene.code("asked").await?), "{phase}");
        }
        let posts = world.simulator.requests_for(Operation::PassCreate).len();
        ensure!(posts == cases.len() + 1, "{posts} POSTs");
        Ok(())
    })
}

#[test]
fn an_outage_when_a_scheduled_pass_is_due() -> Result<()> {
    run(async {
        let scene = tenants::scene("due").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        let start = from_now(SignedDuration::from_hours(2));
        scene.ask("monday", &user, json!({ "startTime": start })).await?;
        scene.wait_phase("monday", Phase::Scheduled, "Scheduled").await?;
        scene.simulator.set_unreachable(true);
        scene.change_policy(json!({ "issuance": { "leadTime": "3h" } })).await?;
        scene.wait_phase("monday", Phase::Pending, "TenantUnreachable").await?;
        ensure!(scene.ledger(&user).is_empty(), "{:?}", scene.ledger(&user));

        scene.simulator.set_unreachable(false);
        let request = scene.wait_active("monday").await?;
        let pass = scene.pass_of(&request)?;
        ensure!(pass.start_date_time == start.parse::<Timestamp>()?, "{pass:?}");
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));
        Ok(())
    })
}
