//! `tap-operator check`: one table, and an exit code.

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::OPERATOR;
use jiff::SignedDuration;
use serde_json::json;

use crate::scene::{Scene, quick, quick_world};
use crate::support::operator::NAMESPACE;
use crate::support::run;

/// The result and the finding of a check.
fn found<'a>(table: &'a str, what: &str) -> Result<(&'a str, &'a str)> {
    let line = table.lines().find(|line| line.starts_with(&format!("{what}  ")));
    let rest = line.with_context(|| format!("no {what} in\n{table}"))?[what.len()..].trim_start();
    let (result, finding) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok((result, finding.trim_start()))
}

#[test]
fn it_finds_nothing_where_all_is_well_and_names_everything_that_is_not() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "check").await?;
        scene.policy(json!({})).await?;
        let (code, table) = world.operator.check().await?;
        ensure!(code == Some(0), "{code:?}\n{table}");
        for what in [
            "API server",
            "custom resource definitions",
            "rights of the operator",
            "admission policies",
            "admission policies in force",
            "stamp of the requester",
            "emergency stop",
            "leader",
            "default: credential",
            "default: sign-in",
            "default: method",
            "default: clock",
        ] {
            ensure!(found(&table, what)?.0 == "ok", "{what}\n{table}");
        }
        // The app may write the tenant's method, and no policy enforces it.
        let (result, finding) = found(&table, "default: permissions")?;
        let excessive = finding.contains("Policy.ReadWrite.AuthenticationMethod");
        ensure!(result == "warning" && excessive, "{table}");

        // So far off that no single answer is believed.
        scene.simulator.step_clock(SignedDuration::from_mins(10));
        let (_, table) = world.operator.check().await?;
        let (result, finding) = found(&table, "default: clock")?;
        ensure!(result == "warning" && finding.contains(" s ahead"), "{table}");
        scene.simulator.step_clock(-SignedDuration::from_mins(10));

        let admin = world.control_plane.admin();
        let kubectl = async |arguments: &[&str]| {
            admin.kubectl(arguments.iter().copied()).in_namespace(NAMESPACE).ok().await.map(drop)
        };
        kubectl(&["create", "configmap", "tap-operator-stop"]).await?;
        kubectl(&["delete", "validatingadmissionpolicybinding", "tap-operator-decisions"]).await?;
        let rules = r#"[{"op": "remove", "path": "/rules/3"}]"#;
        kubectl(&["patch", "clusterrole", "tap-operator", "--type=json", "--patch", rules]).await?;
        scene.policy_named("elsewhere", json!({"tenant": "nowhere"})).await?;
        scene.simulator.edit_app(OPERATOR, |app| {
            app.secrets.iter_mut().for_each(|secret| "another".clone_into(&mut secret.value));
        })?;
        let (code, table) = world.operator.check().await?;
        ensure!(code == Some(1), "{code:?}\n{table}");
        for (what, result, words) in [
            ("rights of the operator", "FAILED", "patch tappolicies/status"),
            (
                "admission policies",
                "FAILED",
                "ValidatingAdmissionPolicyBinding tap-operator-decisions is missing",
            ),
            ("emergency stop", "warning", "stops all issuing"),
            ("default: sign-in", "FAILED", "AADSTS7000215"),
            ("TapPolicy elsewhere", "FAILED", "\"nowhere\""),
            ("API server", "ok", "Kubernetes v1."),
        ] {
            let (is, finding) = found(&table, what)?;
            ensure!(is == result && finding.contains(words), "{what}: {words}\n{table}");
        }
        Ok(())
    })
}
