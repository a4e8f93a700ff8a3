//! What is measured of a program that makes passes.

use std::time::Duration;

use super::calls::Calls;
use super::process::{Spent, Usage};

/// What was measured of one program, over all rounds.
#[derive(Default)]
pub struct Figures {
    /// How long passes took that were asked for one by one.
    pub one_by_one: Vec<Duration>,
    /// The calls that these took.
    pub calls: Calls,
    /// How long as many took, together, that were asked for at once.
    pub at_once: Duration,
    /// What the operator's process had used before each round of both, and after it.
    pub used: Vec<(Usage, Usage)>,
    /// The processor time that both took.
    pub spent: Spent,
}

impl Figures {
    /// The latency in milliseconds that so many percent of the passes did not exceed.
    pub fn latency(&self, percent: usize) -> f64 {
        let mut sorted = self.one_by_one.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        milliseconds(sorted.get(rank).copied().unwrap_or_default())
    }

    /// How many passes there were in a second where many were asked for at once.
    pub fn passes_per_second(&self) -> f64 {
        number(self.one_by_one.len()) / self.at_once.as_secs_f64()
    }

    /// Processor time per pass, in milliseconds.
    pub fn per_pass(&self, cpu: Duration) -> f64 {
        milliseconds(cpu) / number(2 * self.one_by_one.len())
    }
}

/// A duration as it stands in tables.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "these are small")]
fn number(count: usize) -> f64 {
    count as f64
}
