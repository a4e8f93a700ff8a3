//! What goes wrong is told in one line, with a remedy and an exit code.

use std::process::Stdio;

use anyhow::{Result, ensure};
use serde_json::json;
use tap_operator::api::Phase;

use super::{Tap, expect, one_line_and_a_remedy};
use crate::scene::Scene;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::program::kubectl_tap;
use crate::support::run;

#[test]
fn what_was_typed_wrongly_is_said_before_anything_is_tried() -> Result<()> {
    run(async {
        let scene = Scene::shared("typed").await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/ed25519.pub");
        for (arguments, words) in [
            (&["request"][..], "<USER>"),
            (&["reqest", "a@contoso.com"], "a similar subcommand exists: 'request'"),
            (
                &["request", "a@contoso.com", "--for", "2"],
                "--for: \"2\" is no lifetime: write 90m, 2h",
            ),
            (&["request", "a@contoso.com", "--for", "60d"], "10m to 720h, not 1440h"),
            (
                &["request", "a@contoso.com", "--at", "soon"],
                "--at: \"soon\" is no time: write tomorrow 8:00",
            ),
            (&["request", "a@contoso.com", "--at", "2020-01-01 08:00"], "which is over"),
            (&["request", "a@contoso.com", "--at", "2h"], "write in 2h"),
            (&["request", "a@contoso.com", "--for", "-1h"], "\"-1h\" is no lifetime"),
            (&["request", ""], "USER is empty"),
            (&["request", "a@contoso.com", "--timeout", "5m"], "add --wait or --reveal"),
            (&["request", "a@contoso.com", "--recipient", key], "--recipient takes the key itself"),
            (&["revoke"], "required"),
            (&["revoke", "a", "--all"], "cannot be used with"),
        ] {
            tap.fails(arguments, 2, words).await?;
        }
        let ask = ["request", "a@contoso.com", "--policy", "nope"];
        let admin = Tap::of(&scene, scene.world.control_plane.admin())?;
        admin.fails(&ask, 1, "there is no TapPolicy nope").await?;
        Ok(())
    })
}

#[test]
fn a_cluster_that_is_not_there_or_not_the_right_one_is_said() -> Result<()> {
    run(async {
        let scene = Scene::shared("where").await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let unknown = tap.fails(&["list", "--context", "nowhere"], 1, "nowhere").await?;
        one_line_and_a_remedy(&unknown)?;
        let stranger =
            tap.fails(&["list", "--user", "nobody"], 1, "has no user \"nobody\"").await?;
        one_line_and_a_remedy(&stranger)?;
        let missing = tap.fails(&["show", "missing"], 1, "there is no TapRequest missing").await?;
        one_line_and_a_remedy(&missing)?;
        let no_file =
            tap.fails(&["list", "--kubeconfig", "/nonexistent"], 1, "/nonexistent").await?;
        one_line_and_a_remedy(&no_file)?;
        // Nothing listens on this port.
        let scratch = scene.world.control_plane.scratch();
        let authority = scene.world.control_plane.authority();
        let gone = scene.helpdesk.through(scratch, "https://127.0.0.1:1", &authority)?;
        let gone = Tap::of(&scene, &gone)?.fails(&["list"], 1, "https://127.0.0.1:1").await?;
        one_line_and_a_remedy(&gone)?;
        Ok(())
    })
}

#[test]
fn a_cluster_without_the_definitions_is_said() -> Result<()> {
    run(async {
        let options = Options { controller_manager: false, ..Options::default() };
        let plane = ControlPlane::start(options).await?;
        for command in [
            &["list"][..],
            &["inbox"],
            &["request", "a@contoso.com"],
            &["approve", "a", "--yes"],
            &["status"],
        ] {
            let outcome =
                plane.admin().program(&kubectl_tap()?, command.iter().copied()).run().await?;
            expect(&outcome, 1, "tap-operator is not installed in the cluster https://")?;
        }
        let outcome = plane.admin().program(&kubectl_tap()?, ["doctor"]).run().await?;
        ensure!(outcome.status.code() == Some(5), "{outcome}");
        ensure!(outcome.stdout.contains("definitions"), "{outcome}");
        Ok(())
    })
}

#[test]
fn a_missing_right_is_said_with_what_to_ask_for() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("rights").await?;
        let stranger = scene.world.control_plane.person("stranger@contoso.com")?;
        let tap = Tap::of(&scene, &stranger)?;
        let list = tap.fails(&["list"], 1, "cannot list resource \"taprequests\"").await?;
        one_line_and_a_remedy(&list)?;
        let ask = tap.fails(&["request", "a@contoso.com"], 1, "you may use no TapPolicy").await?;
        one_line_and_a_remedy(&ask)?;
        // Whoever may ask cannot approve, whatever the tool says.
        scene.ask("waits", &scene.user(), json!({})).await?;
        scene.wait_active("waits").await?;
        let denied =
            tap.fails(&["deny", "waits"], 1, "cannot get resource \"taprequests\"").await?;
        one_line_and_a_remedy(&denied)?;
        let other = scene.world.control_plane.person("other@contoso.com")?;
        scene.world.control_plane.grant(&other, "tap-approver", &scene.namespace).await?;
        let refused = Tap::of(&scene, &other)?
            .fails(&["deny", "waits"], 1, "needs the verb approve on tappolicies")
            .await?;
        ensure!(!refused.contains("ValidatingAdmissionPolicy"), "{refused}");
        Ok(())
    })
}

#[test]
fn whoever_may_use_several_policies_names_one() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("several").await?;
        let plane = &scene.world.control_plane;
        plane.grant_policy(&scene.helpdesk, "use", "another", &scene.namespace).await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let user = scene.user();
        let which = tap.fails(&["request", &user], 2, "another").await?;
        one_line_and_a_remedy(&which)?;
        ensure!(which.contains("--policy"), "{which}");
        tap.ok(&["request", &user, "--policy", &scene.policy, "--name", "named", "--wait"]).await?;
        scene.wait_active("named").await?;
        tap.fails(
            &["request", &user, "--policy", &scene.policy, "--name", "named"],
            1,
            "choose another name",
        )
        .await?;
        // One that cannot be fulfilled ends with its reason.
        let failed = [
            "request",
            "nobody@elsewhere.example",
            "--policy",
            &scene.policy,
            "--name",
            "fails",
            "--wait",
        ];
        let outcome = tap.run(&failed).await?;
        expect(&outcome, 3, "fails has ended: Failed (UserNotAllowed)")?;
        scene.wait_phase("fails", Phase::Failed, "UserNotAllowed").await?;
        Ok(())
    })
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("pipe").await?;
        scene.ask("one", &scene.user(), json!({})).await?;
        for arguments in [
            &["list", "--all"][..],
            &["show", "one"],
            &["version"],
            &["completion", "bash"],
            &["--help"],
        ] {
            let (reader, writer) = std::io::pipe()?;
            drop(reader);
            let child = tokio::process::Command::new(kubectl_tap()?)
                .args(arguments)
                .args(["--namespace", &scene.namespace])
                .env("KUBECONFIG", scene.helpdesk.kubeconfig())
                .env("NO_PROXY", "127.0.0.1")
                .stdin(Stdio::null())
                .stdout(writer)
                .stderr(Stdio::piped())
                .output()
                .await?;
            ensure!(child.status.success(), "{arguments:?}: {child:?}");
            ensure!(
                child.stderr.is_empty(),
                "{arguments:?}: {}",
                String::from_utf8_lossy(&child.stderr)
            );
        }
        Ok(())
    })
}
