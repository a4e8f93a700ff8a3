//! Workflows, and one run of a workflow.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use graph_simulator::{Actor, LedgerEntry};
use serde_json::Value;

use crate::gate::{Crash, Gate};
use crate::scene::Scene;
use crate::stand::Stand;

/// One run of a workflow.
pub struct Run<'a> {
    pub stand: &'a Stand,
    pub scene: Arc<Scene<'static>>,
    /// The name of its request, different from that of any other run.
    pub name: String,
    /// The user of this run only.
    pub user: String,
    pub crashes: Vec<Crash>,
    pub victim: Victim,
}

/// The program that crashes, and at which effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The operator, at effects on requests and policies.
    Operator,
    /// The operator, at effects on its lease.
    Leader,
    /// A command run by a person.
    Command,
}

impl Run<'_> {
    /// Begins the part of the run in which crashes happen.
    pub async fn begin(&self) {
        self.stand.gate.quiet(QUIET).await;
        self.gate().begin(&self.crashes);
    }

    /// The gate of the program that crashes.
    pub fn gate(&self) -> &Arc<Gate> {
        match self.victim {
            Victim::Operator | Victim::Leader => &self.stand.gate,
            Victim::Command => &self.stand.commands.gate,
        }
    }

    pub async fn ask(&self, spec: Value) -> Result<()> {
        self.scene.ask(&self.name, &self.user, spec).await.map(drop)
    }

    /// Creates a request and waits until it is active and the operator has nothing left to do.
    pub async fn active(&self, spec: Value) -> Result<()> {
        self.ask(spec).await?;
        self.scene.wait_active(&self.name).await.map(drop)
    }

    /// Passes that the operator made for the user of this run.
    pub fn ours(&self) -> Vec<LedgerEntry> {
        let mut passes = self.scene.ledger(&self.user);
        passes.retain(|pass| matches!(pass.made_by, Actor::App { .. }));
        passes
    }
}

/// After so long without an effect no more effects are expected.
pub const QUIET: Duration = Duration::from_millis(400);

type Ran<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A workflow.
pub struct Workflow {
    pub name: &'static str,
    /// The name of its scene, and how the policy of the scene differs from the usual one.
    pub scene: (&'static str, fn() -> Value),
    pub run: for<'a> fn(&'a Run<'a>) -> Ran<'a>,
    pub victim: Victim,
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
