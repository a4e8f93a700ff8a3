//! Two clusters in one kubeconfig, or in two files: it is said which one was asked, and what is suggested goes to the same one.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::Phase;

use super::{Tap, expect, one_line_and_a_remedy};
use crate::scene::Scene;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::kubectl::Outcome;
use crate::support::program::kubectl_tap;
use crate::support::run;
use crate::support::world::{install, requests_are_known};

/// A cluster that has other things than tap-operator.
async fn staging() -> Result<ControlPlane> {
    ControlPlane::start(Options { controller_manager: false, ..Options::default() }).await
}

/// Runs a command that was suggested, as it stands there.
async fn suggested(tap: &Tap<'_>, text: &str, command: &str) -> Result<Outcome> {
    let commands = text.split("kubectl tap ").skip(1);
    let line = commands.map(|rest| rest.lines().next().unwrap_or_default());
    let line = line
        .map(|line| line.split([',', ';']).next().unwrap_or_default())
        .find(|line| line.contains(command))
        .with_context(|| format!("no {command} in {text}"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    tap.bare(&words).run().await
}

#[test]
fn a_command_says_which_of_two_clusters_it_asked() -> Result<()> {
    run(async {
        let scene = Scene::shared("clusters").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let (scratch, staging) = (scene.world.control_plane.scratch(), staging().await?);
        let names = ("prod", "staging");
        let of_staging = |who: &crate::support::identity::Identity| {
            who.beside(scratch, names, staging.admin(), "staging")
        };
        let helpdesk = of_staging(&scene.helpdesk)?;
        let tap = Tap::of(&scene, &helpdesk)?;

        // In the wrong one, where there is nothing.
        for command in [&["list"][..], &["request", "a@contoso.com"], &["stop"], &["status"]] {
            let outcome = tap.run(command).await?;
            ensure!(outcome.stdout.is_empty(), "{outcome}");
            expect(&outcome, 1, "(context staging)")?;
            one_line_and_a_remedy(&outcome.stderr)?;
        }
        let none = tap.run(&["list", "--context", "prod"]).await?;
        expect(&none, 0, &format!("in namespace {} (context prod)", scene.namespace))?;

        // What is suggested goes to the cluster of the request.
        let user = scene.user();
        let request = ["request", &user, "--name", "there", "--context", "prod"];
        let asked = tap.run(&request).await?;
        expect(&asked, 0, &format!("in namespace {} (context prod)", scene.namespace))?;
        scene.wait_phase("there", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let shown = suggested(&tap, &asked.stderr, "show there").await?;
        ensure!(shown.status.success() && shown.stdout.contains("AwaitingApproval"), "{shown}");
        let timeout = ["wait", "there", "--timeout", "1s", "--context=prod"];
        let timeout = tap.fails(&timeout, 4, "AwaitingApproval").await?;
        ensure!(timeout.contains("kubectl tap --context prod wait there"), "{timeout}");

        // In the wrong one, where there is tap-operator, too.
        install(&staging, "crds").await?;
        requests_are_known(&staging, false).await?;
        let elsewhere = tap.fails(&["show", "there"], 1, "there is no TapRequest there").await?;
        one_line_and_a_remedy(&elsewhere)?;
        ensure!(elsewhere.contains("(context staging)"), "{elsewhere}");
        let stranger = staging.person("helpdesk@contoso.com")?;
        let stranger = scene.helpdesk.beside(scratch, names, &stranger, "staging")?;
        let stranger = Tap::of(&scene, &stranger)?;
        let list = stranger.fails(&["list"], 1, "cannot list resource").await?;
        one_line_and_a_remedy(&list)?;
        ensure!(list.contains("(context staging)"), "{list}");

        // Whoever must confirm something sees where.
        let approver = of_staging(&scene.approver)?;
        let approver = Tap::of(&scene, &approver)?;
        let mut terminal = approver.terminal(&["approve", "there", "--context", "prod"])?;
        terminal.until("Approve it (context prod)? [y/N]").await?;
        terminal.type_line("y")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(0), "{code:?}\n{screen}");
        scene.wait_active("there").await?;

        let doctor = tap.run(&["doctor", "-o", "json"]).await?;
        ensure!(
            doctor.stdout.contains(&format!("{}/ (context staging)", staging.url())),
            "{doctor}"
        );
        Ok(())
    })
}

/// Runs a program with this KUBECONFIG.
async fn with(kubeconfig: &str, program: &Path, arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .await?;
    let (stdout, stderr) = [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .into();
    ensure!(output.status.success(), "{arguments:?} with {kubeconfig}: {stdout}{stderr}");
    Ok(stdout)
}

#[test]
fn files_in_kubeconfig_are_one_as_for_kubectl() -> Result<()> {
    run(async {
        let scene = Scene::shared("files").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        scene.ask("one", &scene.user(), json!({})).await?;
        // A file of another cluster, in which no context is chosen, as kubectl writes that.
        let mut other: Value =
            serde_json::from_slice(&std::fs::read(scene.helpdesk.kubeconfig())?)?;
        for list in ["clusters", "users", "contexts"] {
            other[list][0]["name"] = "elsewhere".into();
        }
        other["contexts"][0]["context"] = json!({ "cluster": "elsewhere", "user": "elsewhere" });
        other["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
        other["current-context"] = "".into();
        let home = tempfile::tempdir()?;
        let second = home.path().join("other.kubeconfig");
        std::fs::write(&second, serde_json::to_vec(&other)?)?;
        let missing = home.path().join("missing.kubeconfig");
        let all = [missing.as_path(), &second, scene.helpdesk.kubeconfig()];
        let all = all.map(|file| file.display().to_string()).join(":");

        let (kubectl, tap) = (scene.helpdesk.kubectl_program(), kubectl_tap()?);
        let namespace = format!("--namespace={}", scene.namespace);
        for program in [kubectl, &tap] {
            let list: &[&str] =
                if program == tap { &["list", "--all"] } else { &["get", "taprequests"] };
            let found = with(&all, program, &[list, &[&namespace]].concat()).await?;
            ensure!(found.contains("one"), "{}: {found}", program.display());
        }
        Ok(())
    })
}
