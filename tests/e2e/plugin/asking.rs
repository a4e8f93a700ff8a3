//! Asking for a pass, seeing how far it is, and waiting for it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Tap, expect};
use crate::scene::Scene;
use crate::support::run;

#[test]
fn a_request_is_named_listed_shown_and_waited_for() -> Result<()> {
    run(async {
        let scene = Scene::shared("ask").await?;
        scene.policy(json!({ "approval": { "required": 1 }, "requireOneTimeUse": false })).await?;
        let user = scene.user();
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let arguments =
            ["request", &user, "--reason", "INC0012345 lost phone", "--for", "90m", "--multi-use"];
        let asked = tap.run(&[&arguments[..], &["-o", "name"]].concat()).await?;
        let local = user.split('@').next().unwrap_or_default();
        let name = format!("{local}-inc0012345");
        ensure!(asked.stdout == format!("taprequest.tap-operator.io/{name}\n"), "{asked}");
        for words in ["for 1h30m, works several times", &format!("through policy {}", scene.policy)]
        {
            ensure!(asked.stderr.contains(words), "{words}: {asked}");
        }
        let made = scene.requests().get(&name).await?;
        ensure!(made.spec.requested_by.as_deref() == Some(scene.helpdesk.user()), "{made:?}");
        // The name is taken: the next one gets a number.
        let second = tap.run(&arguments).await?;
        ensure!(
            second.stdout == format!("taprequest.tap-operator.io/{name}-2 created\n"),
            "{second}"
        );
        ensure!(second.stderr.contains(&format!("another name: {name}-2")), "{second}");

        tap.ok(&["wait", &name, "--for", "approval"]).await?;
        let timeout = tap
            .fails(&["wait", &name, "--timeout", "1s"], 4, "AwaitingApproval, 0/1 approvals")
            .await?;
        ensure!(timeout.contains(&format!("kubectl tap wait {name}")), "{timeout}");
        let list = tap.ok(&["list"]).await?;
        let row = |name: &str| list.lines().find(|line| line.starts_with(&format!("{name} ")));
        ensure!(row(&name).is_some_and(|row| row.contains("AwaitingApproval   0/1")), "{list}");
        let show = tap.ok(&["explain", &name]).await?;
        for words in [
            "INC0012345 lost phone",
            "1h30m, works several times",
            "Checks\n",
            "Who approves runs: kubectl tap approve",
        ] {
            ensure!(show.contains(words), "{words}: {show}");
        }
        scene.decide(&scene.approver, &name, DecisionKind::Approve).await?;
        let issued = tap.ok(&["wait", &name]).await?;
        ensure!(issued.contains("Active, expires in"), "{issued}");

        tap.ok(&["revoke", &name, "-m", "the phone is back"]).await?;
        tap.ok(&["wait", &name, "--for", "finished"]).await?;
        tap.fails(&["wait", &name], 3, "has ended: Revoked").await?;
        tap.fails(&["reveal", &name], 2, "on a terminal only").await?;
        let json: Value = serde_json::from_str(&tap.ok(&["show", &name, "-o", "json"]).await?)?;
        ensure!(json["status"]["decisions"][1]["comment"] == "the phone is back", "{json}");
        // Whoever revokes it once more may mean the other one.
        let again = tap.run(&["revoke", &name]).await?;
        expect(&again, 0, &format!("{name}-2, for the same user, has not ended"))?;
        Ok(())
    })
}

#[test]
fn only_ones_own_requests_are_listed_unless_all_are_asked_for() -> Result<()> {
    run(async {
        let scene = Scene::shared("mine").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        scene.ask("theirs", &scene.user(), json!({})).await?;
        let approver = Tap::of(&scene, &scene.approver)?;
        let none = approver.run(&["list"]).await?;
        ensure!(none.status.success() && none.stdout.is_empty(), "{none}");
        ensure!(none.stderr.contains("no requests of yours"), "{none}");
        ensure!(approver.ok(&["list", "--all", "-o", "name"]).await?.ends_with("/theirs\n"));
        let wide = approver.ok(&["list", "--all", "-o", "wide"]).await?;
        ensure!(wide.contains(scene.helpdesk.user()), "{wide}");
        let list: Value =
            serde_json::from_str(&approver.ok(&["list", "--all", "-o", "json"]).await?)?;
        ensure!(
            list["kind"] == "List" && list["items"][0]["metadata"]["name"] == "theirs",
            "{list}"
        );
        // The administrator, as the helpdesk.
        let admin = scene.world.control_plane.admin();
        let admin = Tap::of(&scene, admin)?;
        let impersonated = admin.ok(&["list", "-o", "name", "--as", scene.helpdesk.user()]).await?;
        ensure!(impersonated.ends_with("/theirs\n"), "{impersonated}");
        Ok(())
    })
}

#[test]
fn a_printed_manifest_gives_the_same_request() -> Result<()> {
    run(async {
        let scene = Scene::shared("manifest").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let reasons = [
            "yes",
            "on",
            "1_000",
            "2026-11-22",
            "0x10",
            "~",
            "null",
            "a: b # c",
            "é 漢字",
            "'\"",
            "- x",
        ];
        for (index, reason) in reasons.iter().enumerate() {
            let (user, name) = (scene.user(), format!("reason-{index}"));
            let printed = tap
                .ok(&[
                    "request",
                    &user,
                    &format!("--reason={reason}"),
                    "--name",
                    &name,
                    "--for",
                    "2h",
                    "--dry-run",
                    "-o",
                    "yaml",
                ])
                .await?;
            ensure!(
                !printed.contains("requestedBy"),
                "whoever applies it is the requester:\n{printed}"
            );
            ensure!(scene.requests().get_opt(&name).await?.is_none(), "a dry run created it");
            scene.helpdesk.kubectl(["create", "-f", "-"]).input(&printed).ok().await?;
            let created = scene.requests().get(&name).await?;
            ensure!(created.spec.reason.as_deref() == Some(*reason), "{printed}\n{created:?}");
            ensure!(
                created.spec.user == user
                    && created.spec.lifetime.is_some_and(|l| l.to_string() == "2h")
            );
        }
        let two_lines = ["request", "a@contoso.com", "--reason", "a\nb", "--dry-run", "-o", "yaml"];
        tap.fails(&two_lines, 1, "must be text on one line").await?;
        Ok(())
    })
}

#[test]
fn an_interrupted_wait_leaves_the_request() -> Result<()> {
    run(async {
        let scene = Scene::shared("interrupt").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let user = scene.user();
        let mut terminal = tap.terminal(&["request", &user, "--name", "waits", "--wait"])?;
        terminal.until("waits: AwaitingApproval, 0/1 approvals").await?;
        terminal.interrupt()?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(130), "{code:?}\n{screen}");
        for words in ["the request waits goes on", "kubectl tap wait waits -n"] {
            ensure!(screen.contains(words), "{words}: {screen}");
        }
        scene.wait_phase("waits", Phase::AwaitingApproval, "AwaitingApproval").await?;
        Ok(())
    })
}

/// Else nothing but `kill -9` ends a program that waits for a server without end.
#[test]
fn a_wait_is_interrupted_though_the_api_server_says_nothing() -> Result<()> {
    run(async {
        let scene = Scene::shared("silent").await?;
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let plane = &scene.world.control_plane;
        let url = format!("https://{}", silent.local_addr()?);
        let somebody = scene.helpdesk.through(plane.scratch(), &url, &plane.authority())?;
        let tap = Tap::of(&scene, &somebody)?;
        let arguments = ["wait", "lost-phone", "--request-timeout", "0"];
        let mut terminal = tap.terminal(&arguments)?;
        let _connection = timeout(Duration::from_mins(1), silent.accept()).await??;
        terminal.interrupt()?;
        // The connection itself is given up after ten seconds.
        let (code, screen) = timeout(Duration::from_secs(5), terminal.end()).await??;
        ensure!(code == Some(130), "{code:?}\n{screen}");
        ensure!(screen.contains("the request lost-phone goes on"), "{screen}");
        Ok(())
    })
}
