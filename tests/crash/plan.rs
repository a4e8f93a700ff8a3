//! Which crashes there are, and the results of their runs.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tap_operator::effect::Effect;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::gate::{Crash, Passed, Position};
use crate::promises::cleared;
use crate::run::{Run, Victim, Workflow};
use crate::stand::{OF_A_RUN, Stand};
use crate::table::Table;
use crate::workflows::{ALL, ISSUE};

/// Longer than any run, even if each wait in it takes its full minute.
const LONGEST_RUN: Duration = Duration::from_mins(4);

/// Prints a line of progress.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One run of a workflow, with the crashes that are to happen in it.
#[derive(Clone)]
pub struct Case {
    pub workflow: &'static Workflow,
    pub crashes: Vec<Crash>,
}

impl Case {
    pub fn name(&self) -> String {
        let crashes: Vec<String> = self.crashes.iter().map(ToString::to_string).collect();
        format!("{}: {}", self.workflow.name, crashes.join(", then "))
    }

    /// The row of the table in which it is counted.
    pub fn row(&self) -> (&'static str, bool) {
        (self.workflow.name, self.crashes.len() > 1)
    }
}

/// The result of a case.
pub struct Outcome {
    pub passed: Passed,
    pub violations: Vec<String>,
    pub took: Duration,
}

/// A new run of a workflow, with a name and a user of its own. It has not begun.
pub async fn new_run<'a>(
    stand: &'a Stand,
    workflow: &Workflow,
    crashes: &[Crash],
) -> Result<Run<'a>> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let (scene, issuance) = workflow.scene;
    let scene = stand.scene(scene, issuance()).await?;
    Ok(Run {
        stand,
        user: scene.user(),
        scene,
        name: format!("{OF_A_RUN}{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        crashes: crashes.to_vec(),
        victim: workflow.victim,
    })
}

/// Runs one case and cleans up the stand.
pub async fn run(stand: &Stand, case: &Case) -> Outcome {
    let began = Instant::now();
    let ran = async {
        let run = new_run(stand, case.workflow, &case.crashes).await?;
        let ran = (case.workflow.run)(&run).await;
        let passed = run.gate().end();
        let cleared = cleared(&run).await;
        Ok::<_, anyhow::Error>((passed, [ran, cleared]))
    };
    let (mut passed, ends) = match timeout(LONGEST_RUN, ran).await {
        Ok(Ok(ran)) => ran,
        Ok(Err(error)) => (end(stand), [Err(error), Ok(())]),
        Err(_) => (end(stand), [Err(anyhow::anyhow!("it did not end")), Ok(())]),
    };
    let mut violations = std::mem::take(&mut passed.violations);
    violations.extend(ends.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
    if !violations.is_empty() {
        let log = stand.operator.component().log_tail(60);
        tell(&format!("VIOLATION {}\n{}\n{log}", case.name(), violations.join("\n")));
    }
    Outcome { passed, violations, took: began.elapsed() }
}

fn end(stand: &Stand) -> Passed {
    stand.commands.gate.end();
    stand.gate.end()
}

/// The boundaries of a workflow: all effects of a run without a crash. Effects on the lease are tested by a workflow of
/// their own, in which only the first renewal counts.
pub async fn boundaries(stand: &Stand, workflow: &'static Workflow) -> Result<Vec<(Effect, u32)>> {
    let outcome = run(stand, &Case { workflow, crashes: Vec::new() }).await;
    ensure!(
        outcome.violations.is_empty(),
        "{} without a crash: {:?}",
        workflow.name,
        outcome.violations
    );
    let effects = outcome.passed.effects.into_iter().next().context("nothing was counted")?;
    let of_lease = |effect: &(Effect, u32)| match (workflow.victim, of_lease(effect.0)) {
        (Victim::Leader, of_lease) => of_lease && effect.1 == 1,
        (Victim::Operator | Victim::Command, of_lease) => !of_lease,
    };
    Ok(effects.into_iter().filter(of_lease).collect())
}

fn of_lease(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::CreateLease | Effect::TakeLease | Effect::RenewLease | Effect::ReleaseLease
    )
}

/// The crashes at these boundaries.
pub fn singles(workflow: &'static Workflow, boundaries: &[(Effect, u32)]) -> Vec<Case> {
    let crashes = boundaries.iter().flat_map(|&(effect, nth)| {
        Position::ALL
            .map(|position| Case { workflow, crashes: vec![Crash { effect, nth, position }] })
    });
    crashes.collect()
}

/// A second crash at each effect of the process that recovers from the first crash. A crash with a lost answer leaves
/// the same state as one with a read answer, so only one of them gets second crashes. Nor do events, on which nothing
/// depends.
fn pairs(first: &Case, passed: &Passed) -> Vec<Case> {
    let [crash] = first.crashes[..] else { return Vec::new() };
    let same_as_lost = crash.position == Position::AnswerRead;
    if first.workflow.name != ISSUE.name || same_as_lost || crash.effect == Effect::PublishEvent {
        return Vec::new();
    }
    let second = passed.effects.get(1).into_iter().flatten();
    let second = second.filter(|(effect, _)| !of_lease(*effect) && *effect != Effect::PublishEvent);
    second
        .flat_map(|&(effect, nth)| {
            Position::ALL.map(|position| Case {
                workflow: first.workflow,
                crashes: vec![crash, Crash { effect, nth, position }],
            })
        })
        .collect()
}

/// Runs everything, on so many stands at once.
pub async fn everything(stands: usize) -> Result<Table> {
    let began = Instant::now();
    let others: Vec<_> = (1..stands).map(|_| tokio::spawn(Stand::start())).collect();
    let first = Stand::start().await?;
    tell(&format!("{:>4.0} s: the first stand is up", began.elapsed().as_secs_f64()));
    let mut cases = VecDeque::new();
    // The directories can be inspected during the run.
    let only = std::env::var("ONLY").unwrap_or_default();
    for workflow in ALL.iter().filter(|workflow| workflow.name.contains(&only)) {
        let found = boundaries(&first, workflow).await?;
        let names: Vec<String> = found.iter().map(|(e, n)| format!("{} #{n}", e.name())).collect();
        tell(&format!("{}: {}", workflow.name, names.join(", ")));
        cases.extend(singles(workflow, &found));
    }
    let shared = Arc::new(Shared {
        cases: Mutex::new(cases),
        busy: AtomicUsize::new(0),
        table: Mutex::default(),
        began,
    });
    let mut working = vec![tokio::spawn(work(first, Arc::clone(&shared)))];
    for other in others {
        working.push(tokio::spawn(work(other.await??, Arc::clone(&shared))));
    }
    for worker in working {
        worker.await?;
    }
    let table = std::mem::take(&mut *shared.table.lock().await);
    Ok(table)
}

struct Shared {
    cases: Mutex<VecDeque<Case>>,
    busy: AtomicUsize,
    table: Mutex<Table>,
    began: Instant,
}

async fn work(stand: Stand, shared: Arc<Shared>) {
    loop {
        let next = {
            let mut cases = shared.cases.lock().await;
            let next = cases.pop_front();
            if next.is_some() {
                shared.busy.fetch_add(1, Ordering::SeqCst);
            }
            next
        };
        let Some(case) = next else {
            // A worker that is still busy may add cases.
            if shared.busy.load(Ordering::SeqCst) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let outcome = run(&stand, &case).await;
        let more = pairs(&case, &outcome.passed);
        let mut cases = shared.cases.lock().await;
        cases.extend(more);
        shared.table.lock().await.add(&case, &outcome);
        tell(&format!(
            "{:>4.0} s: {} ({:.1} s{}), {} left",
            shared.began.elapsed().as_secs_f64(),
            case.name(),
            outcome.took.as_secs_f64(),
            if outcome.passed.crashes < case.crashes.len() { ", not reached" } else { "" },
            cases.len()
        ));
        shared.busy.fetch_sub(1, Ordering::SeqCst);
    }
}
