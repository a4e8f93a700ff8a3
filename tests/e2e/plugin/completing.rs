//! Completion of commands, flags and names: for kubectl, and in shells.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tap_operator::api::Phase;

use super::Tap;
use crate::scene::Scene;
use crate::support::identity::Identity;
use crate::support::program::kubectl_tap;
use crate::support::run;
use crate::support::terminal::Terminal;
use crate::support::wait;

/// A namespace with requests, and a home directory with the programs.
struct Desk<'a> {
    scene: Scene<'a>,
    user: String,
    home: tempfile::TempDir,
}

impl Desk<'_> {
    /// One request awaits approval, and one has ended.
    async fn new(name: &str) -> Result<Self> {
        let scene = Scene::shared(name).await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("awaits", &user, json!({})).await?;
        scene.ask("revoked", &scene.user(), json!({})).await?;
        scene.wait_phase("awaits", Phase::AwaitingApproval, "AwaitingApproval").await?;
        Tap::of(&scene, &scene.helpdesk)?.ok(&["revoke", "revoked"]).await?;
        scene.wait_phase("revoked", Phase::Revoked, "Revoked").await?;
        let home = tempfile::tempdir()?;
        for name in ["kubectl-tap", "kubectl-entra_tap"] {
            symlink(kubectl_tap()?, home.path().join(name))?;
        }
        symlink(scene.helpdesk.kubectl_program(), home.path().join("kubectl"))?;
        Ok(Self { scene, user, home })
    }

    /// The programs are on the PATH, before all others.
    fn variables(&self) -> Result<[(&'static str, String); 2]> {
        let home = self.home.path().display().to_string();
        Ok([("PATH", format!("{home}:{}", std::env::var("PATH")?)), ("HOME", home)])
    }

    /// Runs a program.
    async fn output(&self, who: &Identity, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .envs(self.variables()?)
            .env("KUBECONFIG", who.kubeconfig())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null());
        Ok(command.output().await?)
    }

    /// Runs a program that must succeed and say nothing on standard error.
    async fn quiet(&self, who: &Identity, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(who, program, arguments).await?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The program of this name, if it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Asks until the candidates are these. Names are not offered if they take longer than a second, and the machine may be busy.
async fn offers(
    ask: impl AsyncFn() -> Result<String>,
    are_these: impl Fn(&str) -> bool,
) -> Result<()> {
    wait::until(wait::PATIENCE, "candidates", || async {
        let candidates = ask().await?;
        ensure!(are_these(&candidates), "{candidates}");
        Ok(())
    })
    .await
}

#[test]
fn names_are_completed_for_kubectl() -> Result<()> {
    run(async {
        let desk = Desk::new("complete").await?;
        let scene = &desk.scene;
        let (helpdesk, approver) =
            (Tap::of(scene, &scene.helpdesk)?, Tap::of(scene, &scene.approver)?);
        let ask = async |tap: &Tap<'_>, words: &[&str]| {
            tap.bare(&[&["__complete"][..], words].concat()).ok().await
        };
        let namespace = scene.namespace.as_str();
        let awaits = format!("awaits\t{}, AwaitingApproval\n", desk.user);
        let is_alone = |names: &str| {
            names.contains(&awaits) && !names.contains("revoked") && names.ends_with(":4\n")
        };
        offers(async || ask(&approver, &["approve", "-n", namespace, ""]).await, is_alone).await?;
        let shown = async || ask(&approver, &["show", "-n", namespace, "r"]).await;
        offers(shown, |names| names.starts_with("revoked\t")).await?;
        // Who may not read policies is offered those in their rights.
        let words = ["request", "a@contoso.com", "-n", namespace, "--policy", ""];
        let is_first = |policies: &str| policies.lines().next() == Some(&scene.policy);
        offers(async || ask(&helpdesk, &words).await, is_first).await?;
        let commands = ask(&helpdesk, &["re"]).await?;
        for command in ["request\t", "resume\t", "reveal\t", "revoke\t"] {
            ensure!(commands.contains(command), "{commands}");
        }
        ensure!(!ask(&helpdesk, &[""]).await?.contains("__complete"));
        // No cluster, no names, no noise: only flags are left to offer.
        let words = ["__complete", "show", "--context", "nowhere", ""];
        let none = helpdesk.bare(&words).run().await?;
        let only_flags = none.stdout.lines().all(|line| line.starts_with("--") || line == ":4");
        ensure!(none.status.success() && only_flags && none.stderr.is_empty(), "{none}");
        Ok(())
    })
}

#[test]
fn kubectl_finds_and_completes_it() -> Result<()> {
    run(async {
        let desk = Desk::new("found").await?;
        let who = &desk.scene.approver;
        for (plugin, file) in [("tap", "kubectl-tap"), ("entra-tap", "kubectl-entra_tap")] {
            // Under the other name, nothing of the first one is left.
            if plugin != "tap" {
                std::fs::remove_file(desk.home.path().join("kubectl-tap"))?;
            }
            let script = desk.quiet(who, file, &["completion", "kubectl"]).await?;
            let completer = desk.home.path().join(file.replace("kubectl-", "kubectl_complete-"));
            std::fs::write(&completer, script)?;
            std::fs::set_permissions(&completer, std::fs::Permissions::from_mode(0o755))?;
            let help = desk.quiet(who, "kubectl", &[plugin, "--help"]).await?;
            ensure!(help.contains(&format!("Usage: kubectl {plugin} ")), "{help}");
            let complete = async |words: &[&str]| {
                let words = [&["__complete", plugin], words].concat();
                let output = desk.output(who, "kubectl", &words).await?;
                Ok::<_, anyhow::Error>(String::from_utf8(output.stdout)?)
            };
            let commands = complete(&["appr"]).await?;
            ensure!(commands.contains("approve\tApprove requests"), "{commands}");
            let words = ["approve", "-n", &desk.scene.namespace, ""];
            offers(async || complete(&words).await, |names| names.starts_with("awaits\t")).await?;
        }
        Ok(())
    })
}

/// The calls that the scripts of all shells make, without the shells.
#[test]
fn names_are_completed_for_every_shell() -> Result<()> {
    run(async {
        let desk = Desk::new("shells").await?;
        let (who, namespace) = (&desk.scene.helpdesk, desk.scene.namespace.as_str());
        for (shell, separator) in [("bash", '\u{b}'), ("zsh", '\n'), ("fish", '\n')] {
            let script = desk.quiet(who, "kubectl-tap", &["completion", shell]).await?;
            let call = script.lines().any(|line| {
                line.contains("kubectl-tap -- ") || line.contains("\"kubectl-tap\" -- ")
            });
            ensure!(call && script.contains("KUBECTL_TAP_COMPLETE="), "{shell}: {script}");
            let ask = async |words: &[&str]| {
                let variables = [
                    format!("KUBECTL_TAP_COMPLETE={shell}"),
                    format!("_CLAP_COMPLETE_INDEX={}", words.len()),
                    format!("_CLAP_IFS={separator}"),
                ];
                let variables = variables.iter().map(String::as_str);
                let call = ["kubectl-tap", "--", "kubectl-tap"];
                let call: Vec<&str> = variables.chain(call).chain(words.iter().copied()).collect();
                let answer = desk.quiet(who, "/usr/bin/env", &call).await?;
                // Without descriptions and flags.
                let lines = answer.trim_end().split(separator);
                let words = lines.map(|line| line.split(['\t', ':']).next().unwrap_or_default());
                let words: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
                Ok::<_, anyhow::Error>(words.join(" "))
            };
            for (words, candidates) in [
                (&["app"][..], "approve"),
                (&["approve", "-n", namespace, ""], "awaits"),
                (&["show", "-n", namespace, ""], "awaits revoked"),
                (&["list", "-n", namespace, "--policy", ""], &desk.scene.policy),
            ] {
                let offered = offers(async || ask(words).await, |offered| offered == candidates);
                offered.await.with_context(|| format!("{shell}: {words:?}"))?;
            }
        }
        Ok(())
    })
}

#[test]
fn bash_and_fish_complete_names() -> Result<()> {
    run(async {
        let desk = Desk::new("lines").await?;
        let (who, namespace) = (&desk.scene.helpdesk, desk.scene.namespace.as_str());
        let bash = format!(
            "source <(kubectl-tap completion bash)\n\
             COMP_WORDS=(kubectl-tap show --namespace = {namespace} rev) COMP_CWORD=5 COMP_TYPE=9\n\
             _clap_complete_kubectl_tap kubectl-tap rev {namespace}\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let bash = ["-c", &bash];
        offers(async || desk.quiet(who, "bash", &bash).await, |name| name == "revoked\n").await?;
        if installed("fish").is_some() {
            let fish = format!(
                "kubectl-tap completion fish | source\ncomplete --do-complete 'kubectl-tap show --namespace={namespace} rev'"
            );
            let fish = ["-c", &fish];
            let is_alone =
                |names: &str| names.starts_with("revoked\t") && names.lines().count() == 1;
            offers(async || desk.quiet(who, "fish", &fish).await, is_alone).await?;
        }
        Ok(())
    })
}

#[test]
fn zsh_completes_names() -> Result<()> {
    run(async {
        let Some(zsh) = installed("zsh") else { return Ok(()) };
        let desk = Desk::new("zsh").await?;
        let variables = desk.variables()?.map(|(name, value)| format!("{name}={value}"));
        let zsh = zsh.display().to_string();
        let line: Vec<&str> =
            variables.iter().map(String::as_str).chain([zsh.as_str(), "-f", "-i"]).collect();
        let mut terminal = Terminal::start(&desk.scene.approver, Path::new("/usr/bin/env"), &line)?;
        terminal.type_line("autoload -Uz compinit && compinit -u -D && source <(kubectl-tap completion zsh) && echo re''ady")?;
        terminal.until("ready").await?;
        let line = format!("kubectl-tap show -n {} rev", desk.scene.namespace);
        terminal.complete(&line)?;
        if terminal.until("revoked").await.is_err() {
            // The machine was too busy to offer names in time. Ctrl-U clears the line.
            terminal.complete(&format!("\u{15}{line}"))?;
            terminal.until("revoked").await?;
        }
        // The line that was completed is a command that works.
        terminal.type_line("")?;
        terminal.until(&format!("TapRequest {}/revoked", desk.scene.namespace)).await?;
        terminal.type_line("exit")?;
        let (code, screen) = terminal.end().await?;
        ensure!(code == Some(0), "{code:?}\n{screen}");
        Ok(())
    })
}
