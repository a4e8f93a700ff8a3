//! The workflows under `.github`: linted by the real actionlint, every action pinned by its commit, every command one
//! that works here, too.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tap_operator::api::yaml;

use crate::repository;
use crate::support::program;

fn workflows() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository(".github/workflows"))? {
        let path = entry?.path();
        found.push((path.display().to_string(), std::fs::read_to_string(&path)?));
    }
    ensure!(found.len() >= 2, "{found:?}");
    Ok(found)
}

#[test]
#[ignore = "make test-deploy"]
fn actionlint_finds_nothing() -> Result<()> {
    let actionlint = program::built_by("tests/actionlint/build")?.join("actionlint");
    let mut command = Command::new(actionlint);
    command.args(["-shellcheck=", "-pyflakes="]).current_dir(repository(""));
    for (path, _) in workflows()? {
        command.arg(path);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn actions_are_pinned_and_what_runs_is_a_target_of_the_makefile() -> Result<()> {
    let makefile = std::fs::read_to_string(repository("Makefile"))?;
    for (path, text) in workflows()? {
        let workflow: Value = yaml::read(&text)?;
        ensure!(
            workflow["permissions"] == serde_json::json!({}),
            "{path}: permissions of all jobs"
        );
        let jobs = workflow["jobs"].as_object().context("jobs")?;
        let steps = jobs.values().filter_map(|job| job["steps"].as_array()).flatten();
        for step in steps {
            if let Some(action) = step["uses"].as_str() {
                let (_, commit) = action.split_once('@').context("an action without a version")?;
                let pinned = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
                ensure!(pinned, "{path}: {action} is not pinned by its commit");
                // The version is told beside it, for people and for what updates it.
                let line = text.lines().find(|line| line.contains(action)).unwrap_or_default();
                ensure!(line.contains("# v"), "{path}: {line}");
            }
            for line in step["run"].as_str().into_iter().flat_map(str::lines) {
                let words: Vec<_> = line.split_whitespace().collect();
                if let ["make", target, ..] = words[..] {
                    let found = makefile.contains(&format!("\n{target}:"));
                    ensure!(found, "{path}: the Makefile has no {target}");
                }
            }
        }
    }
    Ok(())
}
