//! What the tenant's logs tell on a real API server: of passes that have ended, and of passes that others make.

use anyhow::{Context, Result, ensure};
use graph_simulator::LedgerEntry;
use graph_simulator::tenant::OPERATOR;
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapRequest};

use crate::scene::{Scene, condition};
use crate::support::{run, wait};
use crate::tenants;

/// A scene with a tenant that lets the operator's app read its logs, which do not lag.
async fn scene(prefix: &str) -> Result<Scene<'static>> {
    let scene = tenants::scene(prefix).await?;
    scene.simulator.switch(|switches| {
        switches.audit_lag_seconds = 0;
        switches.sign_in_lag_seconds = 0;
    });
    scene.simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into()))?;
    scene.simulator.expire_tokens();
    scene.policy(json!({})).await?;
    Ok(scene)
}

/// The lines of the audit trail of this kind that name this.
fn lines(scene: &Scene<'_>, kind: &str, what: &str) -> Vec<Value> {
    let log = scene.world.operator.component().log_text();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["audit"] == kind && line.to_string().contains(what)).collect()
}

/// The value of a metric with these labels.
async fn metric(scene: &Scene<'_>, series: &str) -> Result<u64> {
    let page = scene.world.operator.metrics().await?;
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    Ok(line.with_context(|| format!("no {series}"))?.trim().parse()?)
}

#[test]
fn a_code_that_was_tried_five_times_in_vain_and_then_rightly_leaves_a_trace() -> Result<()> {
    run(async {
        let scene = scene("tried").await?;
        let user = scene.user();
        scene.ask("guessed", &user, json!({})).await?;
        scene.wait_active("guessed").await?;
        for _ in 0..5 {
            ensure!(scene.simulator.sign_in(&user, "guess").is_err(), "the guess was right");
        }
        let code = scene.code("guessed").await?;
        scene.simulator.sign_in(&user, &code)?;
        scene.simulator.register_method(&user, "fido2")?;
        scene.wait_released("guessed", Phase::Used).await?;

        let is_told = |seen: &TapRequest| condition(seen, "Registered").is_some();
        let told = scene.world.wait_for(scene.requests(), "guessed", "Registered", is_told).await?;
        let status = told.status.unwrap_or_default();
        let evidence = status.evidence.context("no evidence")?;
        ensure!(evidence.first_sign_in.is_some(), "{evidence:?}");
        let failed: Vec<_> = evidence.failed_sign_ins.iter().map(|f| (f.code, f.count)).collect();
        ensure!(failed == [(130_503, 5)], "{evidence:?}");
        ensure!(status.registered == ["fido2"], "{:?}", status.registered);
        ensure!(status.phase == Phase::Used, "{}", status.phase);

        let event = scene.event("guessed", "UseSeen").await?;
        let note = event.note.unwrap_or_default();
        ensure!(event.type_.as_deref() == Some("Warning"), "{note}");
        ensure!(note.contains("5 times with AADSTS130503 (wrong code)"), "{note}");
        scene.event("guessed", "MethodRegistered").await?;
        // No other test of this operator tries a wrong code in a tenant whose logs it may read.
        let failed = "tap_operator_pass_sign_ins_failed_total{error=\"130503\"}";
        ensure!(metric(&scene, failed).await? == 5);
        let lines = lines(&scene, "evidence", &scene.namespace);
        let [line] = &lines[..] else { anyhow::bail!("{lines:#?}") };
        ensure!(line["failed"] == json!([{"error": 130_503, "count": 5}]), "{line:#}");
        ensure!(line["sign_ins"].as_array().is_some_and(|all| all.len() == 6), "{line:#}");
        ensure!(line["registered"] == json!(["fido2"]), "{line:#}");
        Ok(())
    })
}

#[test]
fn a_pass_made_in_the_portal_beside_ours_is_told_with_who_made_it_and_stays() -> Result<()> {
    run(async {
        let scene = scene("beside").await?;
        scene.ask("ours", &scene.user(), json!({})).await?;
        scene.wait_active("ours").await?;
        let other = scene.user();
        let pass = scene.simulator.portal_create_pass(&other, &json!({}))?.to_string();

        // The log is read once a minute.
        wait::until(wait::PATIENCE * 2, "the pass is told", || async {
            ensure!(!lines(&scene, "foreign", &pass).is_empty(), "no line");
            Ok(())
        })
        .await?;
        let event = scene.event(&scene.policy, "ForeignPass").await?;
        let note = event.note.unwrap_or_default();
        ensure!(event.type_.as_deref() == Some("Warning"), "{note}");
        ensure!(note.contains("admin@contoso.com") && note.contains(&other), "{note}");
        let lines = lines(&scene, "foreign", &pass);
        let [line] = &lines[..] else { anyhow::bail!("{lines:#?}") };
        ensure!(line["pass_id"] == pass && line["user"] == other, "{line:#}");
        ensure!(line["by"] == "admin@contoso.com" && line["by_kind"] == "person", "{line:#}");
        let count =
            format!("tap_operator_foreign_passes_total{{connection=\"{}\"}}", scene.connection);
        ensure!(metric(&scene, &count).await? == 1);
        wait::until(wait::PATIENCE, "the receiver is told", || async {
            let got = scene.world.receiver.got();
            let told = got.iter().any(|got| {
                let data = &got.event["data"];
                data["kind"] == "ForeignPass" && data["pass_id"] == pass && got.genuine
            });
            ensure!(told, "{got:?}");
            Ok(())
        })
        .await?;

        scene.wait_active("ours").await?;
        ensure!(
            scene.ledger(&other).iter().all(LedgerEntry::is_live),
            "{:?}",
            scene.ledger(&other)
        );
        ensure!(scene.writes_about(&other)?.is_empty(), "{:?}", scene.writes_about(&other)?);
        Ok(())
    })
}
