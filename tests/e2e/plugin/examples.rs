//! Every example in the helps runs, as it stands there.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase};

use super::{KEYS, Tap};
use crate::scene::{Scene, quick, quick_world};
use crate::support::identity::Identity;
use crate::support::operator::NAMESPACE;
use crate::support::program::kubectl_tap;
use crate::support::run;
use crate::support::terminal::Terminal;

const NAME: &str = "alice-inc0012345";

/// The lines under `Examples:` of a help, without what only sources a script.
fn examples(help: &str) -> Vec<String> {
    let Some((_, text)) = help.split_once("Examples:\n") else { return Vec::new() };
    let lines = text.lines().take_while(|line| line.starts_with("  "));
    lines
        .map(|line| match line.trim().strip_prefix("source <(") {
            Some(inner) => inner.trim_end_matches(')').to_owned(),
            None => line.trim().trim_end_matches("| source").to_owned(),
        })
        .collect()
}

/// Brings the scene into the state in which an example makes sense. Returns who would type it.
async fn prepare<'a>(scene: &'a Scene<'_>, example: &str) -> Result<&'a Identity> {
    for request in scene.requests().list(&kube::api::ListParams::default()).await? {
        let name = request.metadata.name.context("a name")?;
        scene.delete(&name).await?;
        scene.wait_gone(&name).await?;
    }
    let (_, command) = example.split_once("kubectl tap ").context("a command")?;
    let command = command.split([' ', ')']).next().unwrap_or_default();
    let admin = scene.world.control_plane.admin();
    if command == "resume" {
        return Ok(admin);
    }
    // The example before may have set it.
    let go_on = ["delete", "configmap", "tap-operator-stop", "--ignore-not-found"];
    admin.kubectl(go_on).in_namespace(NAMESPACE).ok().await?;
    let mut spec = json!({ "policyRef": { "name": "helpdesk" }, "lifetime": "1h" });
    if example.contains(" -i ") {
        let key = std::fs::read_to_string(format!("{KEYS}/ed25519.pub"))?;
        spec["recipients"] = json!([key.trim()]);
    }
    let mut awaiting = Vec::new();
    if command != "request" {
        scene.ask(NAME, "alice@contoso.com", spec.clone()).await?;
        awaiting.push(NAME);
    }
    if example.contains("bob-inc0012346") {
        scene.ask("bob-inc0012346", "bob@contoso.com", spec).await?;
        awaiting.push("bob-inc0012346");
    }
    for name in awaiting {
        scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
    }
    if ["wait", "reveal"].contains(&command) {
        scene.decide(&scene.approver, NAME, DecisionKind::Approve).await?;
        scene.wait_active(NAME).await?;
    }
    if example.contains("--for finished") {
        scene.decide(&scene.helpdesk, NAME, DecisionKind::Revoke).await?;
    }
    Ok(match command {
        "approve" | "deny" | "inbox" => &scene.approver,
        "stop" | "status" | "doctor" | "version" => admin,
        "list" if example.contains("-A") => admin,
        _ => &scene.helpdesk,
    })
}

/// Answers what the program asks.
async fn answer(scene: &Scene<'_>, terminal: &mut Terminal, example: &str) -> Result<()> {
    if example.contains("request ") && example.contains("--reveal") {
        scene.wait_phase(NAME, Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, NAME, DecisionKind::Approve).await?;
    }
    let asks = [" approve ", " reveal ", "--reveal", "revoke --all"];
    let asks = asks.iter().any(|words| example.contains(words));
    if asks && !example.contains("--yes") && !example.contains("--delete") {
        // Nobody can open what --reveal asked for once it was shown.
        let usual = if example.contains("--reveal") { "[Y/n]" } else { "[y/N]" };
        terminal.until(usual).await?;
        terminal.type_line("y")?;
    }
    Ok(())
}

fn place(directory: &Path, kubectl: &Path) -> Result<()> {
    symlink(kubectl_tap()?, directory.join("kubectl-tap"))?;
    symlink(kubectl, directory.join("kubectl"))?;
    std::fs::create_dir_all(directory.join(".ssh"))?;
    std::fs::create_dir_all(directory.join(".local/bin"))?;
    for file in [".ssh/id_ed25519", "key.txt"] {
        let file = directory.join(file);
        std::fs::copy(format!("{KEYS}/ed25519"), &file)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[test]
fn every_example_in_the_helps_runs() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "examples").await?;
        let issuance = json!({
            "namespaces": { "names": [scene.namespace] }, "users": { "domains": ["contoso.com"] },
            "lifetime": { "default": "1h", "maximum": "8h" }, "approval": { "required": 1 },
        });
        scene
            .policy_named("helpdesk", json!({ "tenant": "default", "issuance": issuance }))
            .await?;
        let plane = &world.control_plane;
        plane.grant_policy(&scene.helpdesk, "use", "helpdesk", &scene.namespace).await?;
        plane.grant_policy(&scene.approver, "approve", "helpdesk", &scene.namespace).await?;
        // The scene's own policy does not exist. Who may read policies knows that.
        plane.grant_everywhere(&scene.helpdesk, "tap-policy-viewer").await?;

        let home = tempfile::tempdir()?;
        place(home.path(), scene.helpdesk.kubectl_program())?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let overview = tap.bare(&["--help"]).ok().await?;
        let mut all = examples(&overview);
        let (_, commands) = overview.split_once("Commands:\n").context("no commands")?;
        for line in commands.lines().take_while(|line| !line.is_empty()) {
            let Some(command) = line.strip_prefix("  ").filter(|l| !l.starts_with(' ')) else {
                continue;
            };
            let command = command.split(' ').next().context("a command")?;
            let own = examples(&tap.bare(&[command, "--help"]).ok().await?);
            ensure!(!own.is_empty(), "{command} has no example");
            all.extend(own);
        }
        ensure!(all.len() > 25, "{all:#?}");
        for example in &all {
            let who = prepare(&scene, example).await?;
            // In the namespace of the scene, and with the programs under test.
            let script = format!(
                "set -e; cd {home}; export HOME={home} PATH={home}:$PATH\n\
                 kubectl config set-context --current --namespace={namespace} >/dev/null\n{example}",
                home = home.path().display(),
                namespace = scene.namespace,
            );
            let mut terminal = Terminal::start(who, Path::new("/bin/bash"), &["-c", &script])?;
            if let Err(error) = answer(&scene, &mut terminal, example).await {
                bail!("{example}: {error:#}\n{}", terminal.screen());
            }
            let (code, screen) = terminal.end().await?;
            ensure!(code == Some(0), "{example}: {code:?}\n{screen}");
        }
        Ok(())
    })
}
