//! What the tenant's logs tell of a pass that has ended, on a real API server.

use anyhow::{Result, ensure};
use graph_simulator::tenant::OPERATOR;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::condition;
use crate::support::run;
use crate::tenants;

#[test]
fn a_request_that_has_ended_says_who_tried_its_code_and_what_was_registered() -> Result<()> {
    run(async {
        let scene = tenants::scene("evidence").await?;
        let simulator = scene.simulator;
        simulator.switch(|switches| {
            switches.audit_lag_seconds = 0;
            switches.sign_in_lag_seconds = 0;
        });
        simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into()))?;
        simulator.expire_tokens();
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("tried", &user, json!({})).await?;
        scene.wait_active("tried").await?;
        ensure!(simulator.sign_in(&user, "guessed").is_err(), "the code was right");
        simulator.register_method(&user, "fido2")?;
        scene.decide(&scene.helpdesk, "tried", DecisionKind::Revoke).await?;
        scene.wait_released("tried", Phase::Revoked).await?;

        let is_told = |seen: &TapRequest| condition(seen, "Registered").is_some();
        let told = scene.world.wait_for(scene.requests(), "tried", "Registered", is_told).await?;
        let status = told.status.unwrap_or_default();
        let failed = status.evidence.unwrap_or_default().failed_sign_ins;
        ensure!(failed.iter().any(|f| (f.code, f.count) == (130_503, 1)), "{failed:?}");
        ensure!(status.registered == ["fido2"], "{:?}", status.registered);
        ensure!(status.phase == Phase::Revoked, "{}", status.phase);
        Ok(())
    })
}
