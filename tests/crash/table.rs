//! The results of all runs, a row for each workflow.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use tap_operator::effect::Effect;

use crate::gate::Position;
use crate::plan::{Case, Outcome};

/// The rows of the table.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    pub hit: HashSet<Effect>,
}

struct Row {
    of: (&'static str, bool),
    boundaries: HashSet<Vec<(Effect, u32)>>,
    positions: HashSet<Vec<Position>>,
    runs: usize,
    not_reached: usize,
    violations: Vec<String>,
    seconds: Duration,
}

impl Table {
    pub fn add(&mut self, case: &Case, outcome: &Outcome) {
        let at = self.rows.iter().position(|row| row.of == case.row());
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                of: case.row(),
                boundaries: HashSet::new(),
                positions: HashSet::new(),
                runs: 0,
                not_reached: 0,
                violations: Vec::new(),
                seconds: Duration::ZERO,
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.boundaries.insert(case.crashes.iter().map(|c| (c.effect, c.nth)).collect());
        row.positions.insert(case.crashes.iter().map(|c| c.position).collect());
        row.runs += 1;
        row.seconds += outcome.took;
        if outcome.passed.crashes < case.crashes.len() {
            row.not_reached += 1;
        }
        let reached = case.crashes.iter().take(outcome.passed.crashes);
        self.hit.extend(reached.map(|crash| crash.effect));
        let violations = outcome.violations.iter();
        row.violations.extend(violations.map(|violation| format!("{}: {violation}", case.name())));
    }

    pub fn violations(&self) -> Vec<&String> {
        self.rows.iter().flat_map(|row| &row.violations).collect()
    }

    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<28} {:>10} {:>9} {:>6} {:>11} {:>10} {:>8}\n",
            "workflow", "boundaries", "positions", "runs", "not reached", "violations", "seconds"
        );
        let mut sums = (0, 0, 0, 0);
        for row in &self.rows {
            let name = if row.of.1 { format!("{}, in pairs", row.of.0) } else { row.of.0.into() };
            let _ = writeln!(
                text,
                "{name:<28} {:>10} {:>9} {:>6} {:>11} {:>10} {:>8.0}",
                row.boundaries.len(),
                row.positions.len(),
                row.runs,
                row.not_reached,
                row.violations.len(),
                row.seconds.as_secs_f64()
            );
            sums.0 += row.boundaries.len();
            sums.1 += row.runs;
            sums.2 += row.not_reached;
            sums.3 += row.violations.len();
        }
        let _ = writeln!(
            text,
            "{:<28} {:>10} {:>9} {:>6} {:>11} {:>10}",
            "all", sums.0, "", sums.1, sums.2, sums.3
        );
        text
    }
}
