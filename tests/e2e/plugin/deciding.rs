//! Approving, denying and revoking: about what was read, and nothing else.

use anyhow::{Result, ensure};
use serde_json::json;
use tap_operator::api::Phase;

use super::{Tap, expect};
use crate::scene::Scene;
use crate::support::run;

#[test]
fn the_inbox_has_what_an_approver_can_approve_and_an_approval_is_recorded() -> Result<()> {
    run(async {
        let scene = Scene::shared("inbox").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        for name in ["one", "two"] {
            scene.ask(name, &scene.user(), json!({ "reason": "INC1 lost phone" })).await?;
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
        }
        let (helpdesk, approver) =
            (Tap::of(&scene, &scene.helpdesk)?, Tap::of(&scene, &scene.approver)?);
        let inbox = approver.ok(&["inbox"]).await?;
        ensure!(inbox.contains("1h, works once   INC1 lost phone"), "{inbox}");
        // Without a namespace, over all that this person may see.
        let here = approver.bare(&["inbox"]).run().await?;
        expect(&here, 1, "name the namespace in which you may approve with -n")?;
        scene.world.control_plane.grant_everywhere(&scene.approver, "view").await?;
        let everywhere = approver.bare(&["inbox", "-o", "name"]).ok().await?;
        ensure!(everywhere.contains("/one\n") && everywhere.contains("/two\n"), "{everywhere}");
        let own = helpdesk.run(&["inbox"]).await?;
        ensure!(own.stdout.is_empty() && own.stderr.contains("Nothing awaits"), "{own}");

        helpdesk.fails(&["approve", "one", "--yes"], 1, "one is your own request").await?;
        approver.fails(&["approve", "one"], 2, "nobody can answer here").await?;
        let approved =
            approver.ok(&["approve", "one", "two", "--yes", "-m", "called back"]).await?;
        let expected =
            "taprequest.tap-operator.io/one approved\ntaprequest.tap-operator.io/two approved\n";
        ensure!(approved == expected, "{approved}");
        let active = scene.wait_active("one").await?;
        let decision = &active.decisions()[0];
        ensure!(
            decision.by == scene.approver.user()
                && decision.comment.as_deref() == Some("called back")
        );
        let again = approver.run(&["approve", "one", "--yes"]).await?;
        expect(&again, 0, "you have approved one already")?;
        // One of several names that does not exist does not keep the others from being decided.
        scene.wait_active("two").await?;
        let partly = approver.run(&["deny", "nothing", "two"]).await?;
        expect(&partly, 1, "there is no TapRequest nothing in namespace")?;
        ensure!(partly.stdout == "taprequest.tap-operator.io/two denied\n", "{partly}");
        expect(&partly, 1, "tap wait two --for finished -n")?;
        scene.wait_phase("two", Phase::Revoked, "DeniedAfterIssue").await?;
        Ok(())
    })
}

#[test]
fn nobody_approves_another_request_than_the_one_that_was_shown() -> Result<()> {
    run(async {
        let scene = Scene::shared("swap").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let (first, second) = (scene.user(), scene.user());
        scene.ask("swapped", &first, json!({})).await?;
        scene.wait_phase("swapped", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let approver = Tap::of(&scene, &scene.approver)?;
        let mut terminal = approver.terminal(&["approve", "swapped"])?;
        terminal.until("Approve it? [y/N]").await?;
        terminal.until(&format!("a pass for {first} (1h, works once)")).await?;

        scene.delete("swapped").await?;
        scene.wait_gone("swapped").await?;
        scene.ask("swapped", &second, json!({})).await?;
        let other =
            scene.wait_phase("swapped", Phase::AwaitingApproval, "AwaitingApproval").await?;
        terminal.type_line("y")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(1), "{code:?}\n{screen}");
        ensure!(
            screen.contains("another request has its name now: nothing was decided"),
            "{screen}"
        );
        let now = scene.requests().get("swapped").await?;
        ensure!(now.metadata.uid == other.metadata.uid && now.decisions().is_empty(), "{now:?}");

        // Whoever does not say yes has said no.
        let mut terminal = approver.terminal(&["approve", "swapped"])?;
        terminal.until("Approve it? [y/N]").await?;
        terminal.type_line("")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(1) && screen.contains("nothing was approved"), "{code:?}\n{screen}");
        // And whoever says yes approves.
        let mut terminal = approver.terminal(&["approve", "swapped"])?;
        terminal.until("Approve it? [y/N]").await?;
        terminal.type_line("y")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(0) && screen.contains("swapped approved"), "{code:?}\n{screen}");
        scene.wait_active("swapped").await?;
        Ok(())
    })
}

#[test]
fn all_of_ones_passes_are_revoked_when_it_is_confirmed() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("all").await?;
        for name in ["one", "two"] {
            scene.ask(name, &scene.user(), json!({})).await?;
            scene.wait_active(name).await?;
        }
        let helpdesk = Tap::of(&scene, &scene.helpdesk)?;
        helpdesk.fails(&["revoke", "--all"], 2, "nobody can answer here").await?;
        let mut terminal = helpdesk.terminal(&["revoke", "--all"])?;
        terminal.until("Revoke all 2 of them? [y/N]").await?;
        terminal.type_line("y")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(0), "{code:?}\n{screen}");
        for name in ["one", "two"] {
            scene.wait_phase(name, Phase::Revoked, "Revoked").await?;
        }
        let none = helpdesk.run(&["revoke", "--all", "--yes"]).await?;
        expect(&none, 0, "There is nothing that you may revoke")?;
        Ok(())
    })
}
