//! The emergency stop, the state of everything, and what is wrong: each in a world of its own.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::Phase;

use super::{Tap, expect};
use crate::scene::{Scene, quick, quick_world};
use crate::support::operator::NAMESPACE;
use crate::support::world::{Options, World};
use crate::support::{control_plane, run};

/// The result and the finding of a check of `doctor`.
fn found(report: &Value, check: &str) -> Result<(String, String)> {
    let findings = report["findings"].as_array().context("no findings")?;
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.with_context(|| format!("no {check} in {report:#}"))?;
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    Ok((text("result"), text("finding")))
}

#[test]
fn a_stop_is_set_confirmed_and_taken_back() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "stop").await?;
        scene.policy(json!({})).await?;
        scene.ask("before", &scene.user(), json!({})).await?;
        scene.wait_active("before").await?;
        let on_call = world.control_plane.person("on-call@contoso.com")?;
        world.control_plane.grant(&on_call, "edit", NAMESPACE).await?;
        world.control_plane.grant_everywhere(&on_call, "tap-viewer").await?;
        let tap = Tap::of(&scene, &on_call)?;

        let status = tap.ok(&["status"]).await?;
        let here = format!("Requests in namespace {}: 1 active", scene.namespace);
        ensure!(status.contains(&here), "{status}");
        let status = tap.bare(&["status"]).ok().await?;
        ensure!(status.contains("Requests in all namespaces: 1 active"), "{status}");
        let elsewhere = ["stop", "--operator-namespace", &scene.namespace];
        Tap::of(&scene, world.control_plane.admin())?
            .fails(&elsewhere, 1, "there is no operator in namespace")
            .await?;
        ensure!(tap.ok(&["stop"]).await? == "stopped; 1 pass is still active\n");
        scene.ask("during", &scene.user(), json!({})).await?;
        scene.wait_phase("during", Phase::Pending, "Stopped").await?;
        let status: Value = serde_json::from_str(&tap.ok(&["status", "-o", "json"]).await?)?;
        ensure!(
            status["stop"].as_str().is_some_and(|stop| stop.contains("active passes stay")),
            "{status}"
        );
        ensure!(status["requests"] == json!({ "Active": 1, "Pending": 1 }), "{status}");
        // Who may not read the ConfigMap learns of it from the policies, who may not read these from nothing.
        let helpdesk = Tap::of(&scene, &scene.helpdesk)?.run(&["status"]).await?;
        ensure!(
            helpdesk.status.success() && helpdesk.stderr.contains("Policies cannot be seen"),
            "{helpdesk}"
        );

        ensure!(tap.ok(&["stop", "--revoke"]).await? == "stopped; no pass is active\n");
        scene.wait_phase("before", Phase::Revoked, "StopRevokesActive").await?;
        // A stop that is set never becomes less strict by being set again.
        let again = tap.run(&["stop"]).await?;
        expect(&again, 0, "still revokes active passes, as it was set before")?;
        let map = world.control_plane.admin().kubectl([
            "get",
            "configmap",
            "tap-operator-stop",
            "-o",
            "jsonpath={.data.revokeActive}",
        ]);
        ensure!(map.in_namespace(NAMESPACE).ok().await? == "true");

        tap.ok(&["resume"]).await?;
        scene.wait_active("during").await?;
        let again = tap.run(&["resume"]).await?;
        expect(&again, 0, "The stop is not set")?;
        let refused = Tap::of(&scene, &scene.helpdesk)?;
        refused.fails(&["stop"], 1, "cannot create resource \"configmaps\"").await?;
        Ok(())
    })
}

#[test]
fn the_doctor_names_what_is_wrong_as_far_as_a_person_may_see() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "doctor").await?;
        scene.policy(json!({})).await?;
        scene.ask("issues", &scene.user(), json!({})).await?;
        scene.wait_active("issues").await?;
        let admin = world.control_plane.admin();
        let report = async |tap: &Tap<'_>| {
            let outcome = tap.run(&["doctor", "-o", "json"]).await?;
            Ok::<(Option<i32>, Value), anyhow::Error>((
                outcome.status.code(),
                serde_json::from_str(&outcome.stdout)?,
            ))
        };
        let (admin_tap, helpdesk) = (Tap::of(&scene, admin)?, Tap::of(&scene, &scene.helpdesk)?);
        let (code, well) = report(&admin_tap).await?;
        ensure!(code == Some(0), "{well:#}");
        for check in [
            "API server",
            "clock",
            "definitions",
            "admission policies",
            "operator",
            "emergency stop",
            "you",
        ] {
            ensure!(found(&well, check)?.0 == "ok", "{check}: {well:#}");
        }
        ensure!(found(&well, "definitions")?.1.contains("as version"), "{well:#}");
        let (code, theirs) = report(&helpdesk).await?;
        ensure!(code == Some(0), "what a person may not see is no failure: {theirs:#}");
        ensure!(found(&theirs, "admission policies")?.0 == "unknown", "{theirs:#}");
        ensure!(
            found(&theirs, "your right to ask")?.1 == format!("through {}", scene.policy),
            "{theirs:#}"
        );

        let kubectl = async |arguments: &[&str]| {
            admin.kubectl(arguments.iter().copied()).in_namespace(NAMESPACE).ok().await.map(drop)
        };
        kubectl(&["create", "configmap", "tap-operator-stop"]).await?;
        kubectl(&["delete", "validatingadmissionpolicybinding", "tap-operator-decisions"]).await?;
        kubectl(&["label", "crd", "taprequests.tap-operator.io", "a=b"]).await?;
        let drop_a_rule = r#"[{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/reason"}]"#;
        kubectl(&[
            "patch",
            "crd",
            "taprequests.tap-operator.io",
            "--type=json",
            "--patch",
            drop_a_rule,
        ])
        .await?;
        let (code, ill) = report(&admin_tap).await?;
        ensure!(code == Some(5) && ill["success"] == false, "{ill:#}");
        for (check, result, words) in [
            (
                "admission policies",
                "failed",
                "ValidatingAdmissionPolicyBinding tap-operator-decisions is missing",
            ),
            ("emergency stop", "warning", "stops all issuing"),
            ("definitions", "warning", "taprequests.tap-operator.io"),
        ] {
            let (is, finding) = found(&ill, check)?;
            ensure!(is == result && finding.contains(words), "{check}: {ill:#}");
        }
        let table = admin_tap.run(&["doctor"]).await?;
        ensure!(table.stdout.contains("What to do\n") && table.status.code() == Some(5), "{table}");
        Ok(())
    })
}

#[test]
fn an_older_server_is_told_who_asks() -> Result<()> {
    run(async {
        let options = Options {
            control_plane: control_plane::Options::older(),
            deploy: "deploy/overlays/without-mutating-policies",
            ..quick(&[])
        };
        let world = World::own(options).await?;
        let scene = Scene::new(&world, "older").await?;
        scene.policy(json!({})).await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let user = scene.user();
        let printed =
            tap.ok(&["request", &user, "--name", "printed", "--dry-run", "-o", "yaml"]).await?;
        ensure!(printed.contains(&format!("requestedBy: {}", scene.helpdesk.user())), "{printed}");
        tap.ok(&["request", &user, "--name", "asked", "--wait"]).await?;
        scene.wait_active("asked").await?;
        Ok(())
    })
}
