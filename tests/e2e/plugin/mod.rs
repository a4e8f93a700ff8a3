//! `kubectl-tap`, as the people use it who ask for passes and decide about requests: in a pipe, and in a terminal.

mod asking;
mod clusters;
mod completing;
mod deciding;
mod examples;
mod failing;
mod revealing;
mod stopping;
mod versions;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::scene::Scene;
use crate::support::identity::Identity;
use crate::support::kubectl::{Kubectl, Outcome};
use crate::support::program::kubectl_tap;
use crate::support::terminal::Terminal;

/// The directory of private keys that are used nowhere else.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys");

/// The program, as one person in the namespace of a scene.
pub struct Tap<'a> {
    program: PathBuf,
    who: &'a Identity,
    namespace: &'a str,
}

impl<'a> Tap<'a> {
    pub fn of(scene: &'a Scene<'_>, who: &'a Identity) -> Result<Self> {
        Ok(Self { program: kubectl_tap()?, who, namespace: &scene.namespace })
    }

    /// A command without a namespace.
    pub fn bare(&self, arguments: &[&str]) -> Kubectl {
        self.who.program(&self.program, arguments.iter().copied())
    }

    /// Runs a command in a pipe.
    pub async fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        self.bare(arguments).in_namespace(self.namespace).run().await
    }

    /// Runs a command that must succeed. Returns its standard output.
    pub async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let outcome = self.run(arguments).await?;
        ensure!(outcome.status.success(), "{outcome}");
        Ok(outcome.stdout)
    }

    /// Runs a command that must fail with this exit code and these words on standard error, and print nothing.
    pub async fn fails(&self, arguments: &[&str], code: i32, words: &str) -> Result<String> {
        let outcome = self.run(arguments).await?;
        expect(&outcome, code, words)?;
        ensure!(outcome.stdout.is_empty(), "it printed something\n{outcome}");
        Ok(outcome.stderr)
    }

    /// Starts a command in a terminal.
    pub fn terminal(&self, arguments: &[&str]) -> Result<Terminal> {
        let namespace = format!("--namespace={}", self.namespace);
        let arguments: Vec<&str> = arguments.iter().copied().chain([namespace.as_str()]).collect();
        Terminal::start(self.who, &self.program, &arguments)
    }
}

/// One line about what is wrong, and one about what to do.
pub fn one_line_and_a_remedy(stderr: &str) -> Result<()> {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("A pass for ")).collect();
    let [error, hint] = lines.as_slice() else { anyhow::bail!("not two lines:\n{stderr}") };
    ensure!(error.starts_with("error: ") && hint.starts_with("hint: "), "{stderr}");
    Ok(())
}

/// How a command must have ended.
pub fn expect(outcome: &Outcome, code: i32, words: &str) -> Result<()> {
    ensure!(outcome.status.code() == Some(code), "exit code {code} was expected\n{outcome}");
    ensure!(outcome.stderr.contains(words), "{words:?} was expected\n{outcome}");
    Ok(())
}
