//! Onboarding as it really happens: the request is in Git days before its user is in the tenant.

use anyhow::{Result, ensure};
use graph_simulator::tenant::{PILOT_GROUP, User};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase, TapRequest};
use uuid::Uuid;

use crate::phases::{from_now, wait_for_reads};
use crate::scene::Scene;
use crate::support::run;
use crate::tenants;

/// So many days pass in the tenant, and the operator learns of it by looking at a pass.
async fn days_pass(scene: &Scene<'_>, watched: &TapRequest, days: i64) -> Result<()> {
    scene.simulator.step_clock(SignedDuration::from_hours(24 * days));
    // A jump of the clock is believed after three answers that agree.
    wait_for_reads(scene, watched, 6).await
}

#[test]
fn a_joiner_is_created_approved_added_to_a_group_and_enabled_over_ten_days() -> Result<()> {
    run(async {
        let scene = tenants::scene("joiner").await?;
        let longest = json!({ "maximumLifetimeInMinutes": 30 * 24 * 60 });
        scene.simulator.portal_patch_policy(&longest)?;
        let users = json!({"domains": ["contoso.com"], "groups": [{ "group": PILOT_GROUP }]});
        let lifetime = json!({"default": "8h", "maximum": "720h"});
        scene
            .policy(json!({
                "users": users, "lifetime": lifetime, "leadTime": "12h", "approval": { "required": 1 },
            }))
            .await?;
        let approve = async |name: &str| {
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
            scene.decide(&scene.approver, name, DecisionKind::Approve).await
        };

        // Somebody else's pass, which the operator looks at all the time.
        let colleague = scene.user();
        scene.simulator.add_member(PILOT_GROUP, scene.user_id(&colleague)?)?;
        scene.ask("colleague", &colleague, json!({ "lifetime": "720h" })).await?;
        approve("colleague").await?;
        let watched = scene.wait_active("colleague").await?;

        let joiner = format!("joiner-{}@contoso.com", scene.namespace);
        let start = from_now(SignedDuration::from_hours(24 * 10));
        scene.ask("first-day", &joiner, json!({ "startTime": start })).await?;
        scene.wait_phase("first-day", Phase::Pending, "UserNotFound").await?;

        days_pass(&scene, &watched, 2).await?;
        let id = Uuid::new_v4();
        let account_enabled = false;
        scene.simulator.add_user(User { account_enabled, ..User::member(id, &joiner, "Jo") });
        days_pass(&scene, &watched, 1).await?;
        approve("first-day").await?;
        scene.wait_phase("first-day", Phase::Pending, "UserDisabled").await?;

        days_pass(&scene, &watched, 3).await?;
        scene.simulator.edit_user(&joiner, |user| user.account_enabled = true)?;
        days_pass(&scene, &watched, 1).await?;
        scene.wait_phase("first-day", Phase::Pending, "UserNotAllowed").await?;
        scene.simulator.add_member(PILOT_GROUP, id)?;
        days_pass(&scene, &watched, 1).await?;
        scene.wait_phase("first-day", Phase::Scheduled, "Scheduled").await?;
        ensure!(scene.ledger(&joiner).is_empty(), "issued before its time");

        days_pass(&scene, &watched, 2).await?;
        scene.wait_active("first-day").await?;
        ensure!(scene.ledger(&joiner).len() == 1, "{:?}", scene.ledger(&joiner));
        Ok(())
    })
}
