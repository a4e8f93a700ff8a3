//! The workflows under `.github`, and the one among the examples: linted by the real actionlint, every action pinned by its
//! commit, every command one that works here, too.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tap_operator::api::yaml;

use crate::repository;
use crate::support::program;

/// The workflow for repositories with policies.
const EXAMPLE: &str = "examples/pipeline/github.yml";

fn workflows() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository(".github/workflows"))? {
        let path = entry?.path();
        found.push((path.display().to_string(), std::fs::read_to_string(&path)?));
    }
    ensure!(found.len() >= 2, "{found:?}");
    let example = repository(EXAMPLE);
    found.push((example.display().to_string(), std::fs::read_to_string(&example)?));
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

/// What signs or attests writes to the registry, and finds its login in the configuration of docker alone. Publishing signs in
/// by a configuration of its own, which it deletes.
#[test]
#[ignore = "make test-deploy"]
fn a_login_precedes_what_signs() -> Result<()> {
    let mut signing = 0;
    for (path, text) in workflows()? {
        let workflow: Value = yaml::read(&text)?;
        for (name, job) in workflow["jobs"].as_object().context("jobs")? {
            let mut signed_in = false;
            for step in job["steps"].as_array().into_iter().flatten() {
                let run = step["run"].as_str().unwrap_or_default();
                signed_in |=
                    run.contains("docker login ghcr.io") && run.contains("--password-stdin");
                if run.contains("cosign sign") || step["with"]["push-to-registry"] == true {
                    ensure!(signed_in, "{path}: {name} signs before it signs in: {step:#}");
                    signing += 1;
                }
            }
        }
    }
    ensure!(signing >= 3, "only {signing} steps write to the registry");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn forks_get_no_token_in_the_example() -> Result<()> {
    let workflow: Value = yaml::read(&std::fs::read_to_string(repository(EXAMPLE))?)?;
    let of = |job: &str| {
        let job = &workflow["jobs"][job];
        let token = job["permissions"].get("id-token").is_some();
        (job["if"].as_str().unwrap_or_default().to_owned(), token)
    };
    let (forks, token) = of("offline");
    let fork = "github.event.pull_request.head.repo.full_name != github.repository";
    ensure!(forks == format!("github.event_name == 'pull_request' && {fork}") && !token, "{forks}");
    let (others, token) = of("plan");
    let same = fork.replace("!=", "==");
    ensure!(
        others == format!("github.event_name != 'pull_request' || {same}") && token,
        "{others}"
    );
    // A workflow on this event runs with the rights of the repository, whatever the fork contains.
    ensure!(workflow["on"].get("pull_request_target").is_none(), "{workflow:#}");
    Ok(())
}
