//! The tenant's clock: real time, paused time and stepped time in one.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The time in the tenant: a start, plus what tokio's clock has counted since, plus the steps.
///
/// Under tokio's paused time it moves only when a test moves it, so that nothing depends on how fast the machine is.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Timestamp,
    origin: Instant,
    stepped: SignedDuration,
}

impl Clock {
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: Instant::now(), stepped: SignedDuration::ZERO }
    }

    pub(crate) fn now(&self) -> Timestamp {
        shifted(self.start, self.counted().saturating_add(self.stepped))
    }

    /// The time outside of the tenant: without the steps.
    pub(crate) fn outside(&self) -> Timestamp {
        shifted(self.start, self.counted())
    }

    fn counted(&self) -> SignedDuration {
        SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX)
    }

    pub(crate) fn step(&mut self, by: SignedDuration) {
        self.stepped = self.stepped.saturating_add(by);
    }
}

/// A number of seconds as they stand in switches, as a duration.
pub(crate) fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap_or(i64::MAX))
}

/// `at` moved by `by`, held at the ends of time.
pub(crate) fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// As Graph writes most of its times: seven fractional digits.
pub(crate) fn graph_time(at: Timestamp) -> String {
    format!("{at:.7}")
}

/// The precision that Graph keeps: 100 ns.
pub(crate) fn graph_precision(at: Timestamp) -> Timestamp {
    let nanosecond = at.as_nanosecond();
    Timestamp::from_nanosecond(nanosecond - nanosecond.rem_euclid(100)).unwrap_or(at)
}
