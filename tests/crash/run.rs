//! One run of a workflow, and what a workflow is.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tap_operator::simulator::{Actor, LedgerEntry};

use crate::gate::{Crash, Gate};
use crate::scene::Scene;
use crate::stand::Stand;

/// One run of a workflow.
pub struct Run<'a> {
    pub stand: &'a Stand,
    pub scene: Arc<Scene<'static>>,
    /// Of its request, unlike any other's.
    pub name: String,
    /// Whom only this run knows.
    pub user: String,
    pub crashes: Vec<Crash>,
    pub victim: Victim,
}

/// What crashes, and at which effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The operator, at what it does about requests and policies.
    Operator,
    /// The operator, at what it does about its lease.
    Leader,
    /// A command of a person.
    Command,
}

impl Run<'_> {
    /// From here on the crashes may come.
    pub async fn begin(&self) {
        self.stand.gate.quiet(QUIET).await;
        self.gate().begin(&self.crashes);
    }

    /// That of the program which crashes.
    pub fn gate(&self) -> &Arc<Gate> {
        match self.victim {
            Victim::Operator | Victim::Leader => &self.stand.gate,
            Victim::Command => &self.stand.commands.gate,
        }
    }

    pub async fn ask(&self, spec: Value) -> Result<()> {
        self.scene.ask(&self.name, &self.user, spec).await.map(drop)
    }

    /// An active request, in which the operator did what there was to do.
    pub async fn active(&self, spec: Value) -> Result<()> {
        self.ask(spec).await?;
        self.scene.wait_active(&self.name).await.map(drop)
    }

    /// Passes of this run's user that the operator made.
    pub fn ours(&self) -> Vec<LedgerEntry> {
        let mut passes = self.scene.ledger(&self.user);
        passes.retain(|pass| matches!(pass.made_by, Actor::App { .. }));
        passes
    }
}

/// So long without an effect, and nothing more is to come.
pub const QUIET: Duration = Duration::from_millis(400);

type Ran<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A workflow.
pub struct Workflow {
    pub name: &'static str,
    /// Its scene, and how the policy of that differs.
    pub scene: (&'static str, fn() -> Value),
    pub run: for<'a> fn(&'a Run<'a>) -> Ran<'a>,
    pub victim: Victim,
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
