//! The real kubectl, run as one user. A failure shows enough to be understood without a second run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::identity::Identity;

const PATIENCE: Duration = Duration::from_mins(2);

/// A kubectl command that has not run yet.
#[must_use]
pub struct Kubectl {
    program: PathBuf,
    identity: Identity,
    arguments: Vec<String>,
    input: String,
}

impl Kubectl {
    pub(super) fn new(program: &Path, identity: &Identity, arguments: Vec<String>) -> Self {
        let (program, identity) = (program.to_owned(), identity.clone());
        Self { program, identity, arguments, input: String::new() }
    }

    /// The standard input of kubectl, as for `apply -f -`.
    pub fn input(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// With `--namespace`.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.arguments.push(format!("--namespace={namespace}"));
        self
    }

    /// Runs it and returns how it ended, success or not.
    pub async fn run(self) -> Result<Outcome> {
        // Discovery is cached in the home directory, so each user has a home directory of its own.
        let home = self.identity.kubeconfig().with_extension("home");
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("KUBECONFIG", self.identity.kubeconfig())
            .env("HOME", home)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let mut stdin = child.stdin.take().context("kubectl's standard input")?;
        let (program, arguments, user, input) = (
            self.program.display(),
            self.arguments.join(" "),
            self.identity.user(),
            self.input.clone(),
        );
        let command = format!("{program} {arguments}  (as {user})");
        let output = tokio::time::timeout(PATIENCE, async {
            let feed = async {
                // A kubectl that fails early does not read its input. Its own message says more than a broken pipe.
                let _ = stdin.write_all(input.as_bytes()).await;
                drop(stdin);
            };
            tokio::join!(feed, child.wait_with_output()).1
        })
        .await
        .with_context(|| format!("{command}: did not end within {PATIENCE:?}"))?
        .with_context(|| command.clone())?;
        Ok(Outcome {
            command,
            input: self.input,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it and returns its standard output. Fails if kubectl fails.
    pub async fn ok(self) -> Result<String> {
        let outcome = self.run().await?;
        ensure!(outcome.status.success(), "kubectl failed\n{outcome}");
        Ok(outcome.stdout)
    }

    /// Runs it and returns its standard error. Fails if kubectl succeeds.
    pub async fn refused(self) -> Result<String> {
        let outcome = self.run().await?;
        ensure!(!outcome.status.success(), "kubectl was expected to fail and did not\n{outcome}");
        Ok(outcome.stderr)
    }
}

/// How a kubectl command ended.
#[derive(Debug)]
pub struct Outcome {
    command: String,
    input: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\n{}", self.command, self.status)?;
        for (name, text) in [
            ("standard input", &self.input),
            ("standard output", &self.stdout),
            ("standard error", &self.stderr),
        ] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}
