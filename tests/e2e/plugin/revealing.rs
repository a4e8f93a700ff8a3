//! The code: shown once, on a terminal, to whoever asked for it.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use tap_operator::api::Phase;

use super::{KEYS, Tap};
use crate::scene::Scene;
use crate::support::run;

#[test]
fn a_code_is_asked_for_sealed_and_shown_on_the_terminal_alone() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("reveal").await?;
        let user = scene.user();
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        tap.fails(&["request", &user, "--reveal"], 2, "on a terminal only").await?;
        ensure!(scene.requests().list(&kube::api::ListParams::default()).await?.items.is_empty());

        let mut terminal = tap.terminal(&["request", &user, "--name", "shown", "--reveal"])?;
        terminal.until("Delete the Secret now? Nobody can open it any more").await?;
        let active = scene.wait_active("shown").await?;
        let pass = scene.pass_of(&active)?;
        let code = scene.simulator.code(pass.id).context("a live pass has a code")?;
        ensure!(terminal.screen().matches(&code).count() == 1, "{}", terminal.screen());
        let secret =
            scene.secret("shown").await?.and_then(|secret| secret.data).context("no Secret")?;
        ensure!(
            secret.contains_key("temporaryAccessPass.age")
                && !secret.contains_key("temporaryAccessPass")
        );
        terminal.type_line("y")?;
        let (code_of_exit, screen) = terminal.end().await?;
        ensure!(code_of_exit == Some(0), "{code_of_exit:?}\n{screen}");
        ensure!(
            screen.contains(&format!("Temporary Access Pass of {user}, works once, valid until")),
            "{screen}"
        );
        ensure!(scene.secret("shown").await?.is_none(), "the Secret was to be deleted");
        scene.simulator.sign_in(&user, &code)?;
        Ok(())
    })
}

#[test]
fn a_code_that_was_shown_is_not_taken_back() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("kept").await?;
        let user = scene.user();
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let mut terminal = tap.terminal(&["request", &user, "--name", "kept", "--reveal"])?;
        terminal.until("Delete the Secret now? Nobody can open it any more").await?;
        terminal.interrupt()?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(130) && screen.contains("the Secret stays"), "{code:?}\n{screen}");
        let kept = scene.wait_active("kept").await?;
        ensure!(kept.decisions().is_empty() && scene.secret("kept").await?.is_some(), "{kept:?}");
        Ok(())
    })
}

#[test]
fn a_request_that_nobody_can_read_any_more_is_revoked() -> Result<()> {
    run(async {
        let scene = Scene::shared("unread").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let (user, other) = (scene.user(), scene.user());
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let mut terminal = tap.terminal(&["request", &user, "--name", "unread", "--reveal"])?;
        terminal.until("unread: AwaitingApproval").await?;
        terminal.interrupt()?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(130) && screen.contains("unread was revoked"), "{code:?}\n{screen}");
        scene.wait_phase("unread", Phase::Revoked, "Revoked").await?;
        // The same when the time is over.
        let terminal =
            tap.terminal(&["request", &other, "--name", "late", "--reveal", "--timeout", "3s"])?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(4) && screen.contains("late was revoked"), "{code:?}\n{screen}");
        scene.wait_phase("late", Phase::Revoked, "Revoked").await?;
        Ok(())
    })
}

#[test]
fn a_code_in_a_secret_is_shown_to_whoever_may_read_it() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("secret").await?;
        let (plain, sealed) = (scene.user(), scene.user());
        scene.ask("plain", &plain, json!({})).await?;
        let key = std::fs::read_to_string(format!("{KEYS}/ed25519.pub"))?;
        scene.ask("sealed", &sealed, json!({ "recipients": [key.trim()] })).await?;
        let (tap, approver) =
            (Tap::of(&scene, &scene.helpdesk)?, Tap::of(&scene, &scene.approver)?);
        let shown = async |tap: &Tap<'_>, arguments: &[&str]| tap.terminal(arguments)?.end().await;
        for (name, arguments) in [
            ("plain", vec!["reveal", "plain"]),
            (
                "sealed",
                vec![
                    "reveal",
                    "sealed",
                    "-i",
                    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/ed25519"),
                ],
            ),
        ] {
            let active = scene.wait_active(name).await?;
            let code = scene.simulator.code(scene.pass_of(&active)?.id).context("no code")?;
            let mut terminal = tap.terminal(&arguments)?;
            terminal.until("Delete the Secret with the code now?").await?;
            terminal.type_line("n")?;
            let (exit, screen) = terminal.end().await?;
            ensure!(exit == Some(0) && screen.contains(&code), "{exit:?}\n{screen}");
            ensure!(scene.secret(name).await?.is_some(), "nobody wanted it deleted");
        }
        let (exit, screen) = shown(&tap, &["reveal", "sealed"]).await?;
        ensure!(exit == Some(2) && screen.contains("sealed to SHA256:"), "{exit:?}\n{screen}");
        let rsa = format!("{KEYS}/rsa");
        let (exit, screen) = shown(&tap, &["reveal", "sealed", "-i", &rsa]).await?;
        ensure!(
            exit == Some(1) && screen.contains("private RSA keys are not used"),
            "{exit:?}\n{screen}"
        );
        // Approvers read no Secrets.
        let (exit, screen) = shown(&approver, &["reveal", "plain"]).await?;
        ensure!(
            exit == Some(1) && screen.contains("cannot get resource \"secrets\""),
            "{exit:?}\n{screen}"
        );

        let (exit, screen) = shown(&tap, &["reveal", "plain", "--delete"]).await?;
        ensure!(exit == Some(0) && scene.secret("plain").await?.is_none(), "{exit:?}\n{screen}");
        let (exit, screen) = shown(&tap, &["reveal", "plain"]).await?;
        ensure!(
            exit == Some(1) && screen.contains("the Secret plain is gone"),
            "{exit:?}\n{screen}"
        );
        tap.ok(&["revoke", "plain"]).await?;
        scene.wait_phase("plain", Phase::Revoked, "Revoked").await?;
        let (exit, screen) = shown(&tap, &["reveal", "plain"]).await?;
        ensure!(
            exit == Some(3) && screen.contains("plain has ended: Revoked"),
            "{exit:?}\n{screen}"
        );
        Ok(())
    })
}

/// The file of an age key that a passphrase encrypts, and its public key.
fn encrypted_identity(directory: &Path, passphrase: &str) -> Result<(PathBuf, String)> {
    let key = age::x25519::Identity::generate();
    let mut recipient = age::scrypt::Recipient::new(passphrase.to_owned().into());
    // The least work, for tests.
    recipient.set_work_factor(1);
    let text = key.to_string().expose_secret().to_owned();
    let file = directory.join("key.age");
    std::fs::write(&file, age::encrypt(&recipient, text.as_bytes())?)?;
    Ok((file, key.to_public().to_string()))
}

#[test]
fn a_private_key_with_a_passphrase_opens_a_code() -> Result<()> {
    const PASSPHRASE: &str = "correct horse";
    run(async {
        let scene = Scene::shared_with_policy("passphrase").await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let directory = tempfile::tempdir()?;
        let (of_age, public_of_age) = encrypted_identity(directory.path(), PASSPHRASE)?;
        let of_ssh = Path::new(KEYS).join("ed25519-encrypted");
        let public_of_ssh = std::fs::read_to_string(of_ssh.with_extension("pub"))?;
        let recipients = [public_of_age.as_str(), public_of_ssh.trim()];
        for (name, file) in [("age", of_age), ("ssh", of_ssh)] {
            scene.ask(name, &scene.user(), json!({ "recipients": recipients })).await?;
            let active = scene.wait_active(name).await?;
            let code = scene.simulator.code(scene.pass_of(&active)?.id).context("no code")?;
            let file = file.display().to_string();
            let reveal = ["reveal", name, "-i", &file];

            let mut terminal = tap.terminal(&reveal)?;
            terminal.until("passphrase").await?;
            terminal.until_hidden().await?;
            terminal.type_line("battery staple")?;
            let (exit, screen) = terminal.end().await?;
            ensure!(exit == Some(1) && !screen.contains(&code), "{exit:?}\n{screen}");
            ensure!(screen.contains("wrong passphrase"), "{screen}");

            let mut terminal = tap.terminal(&reveal)?;
            terminal.until("passphrase").await?;
            terminal.until_hidden().await?;
            terminal.type_line(PASSPHRASE)?;
            terminal.until("Delete the Secret with the code now?").await?;
            terminal.type_line("n")?;
            let (exit, screen) = terminal.end().await?;
            ensure!(exit == Some(0) && screen.matches(&code).count() == 1, "{exit:?}\n{screen}");
            ensure!(!screen.contains(PASSPHRASE), "{screen}");
        }
        Ok(())
    })
}
