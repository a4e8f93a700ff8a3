//! The server's clock: a settable start plus the time that has passed on tokio's clock, so that it follows paused time.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// A clock that follows tokio's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    epoch: Instant,
}

impl Clock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, epoch: Instant::now() }
    }

    /// The server's present time.
    ///
    /// # Panics
    /// If the test has run past the year 9999.
    pub fn now(&self) -> Timestamp {
        let passed: Duration = self.epoch.elapsed();
        self.start.checked_add(passed).expect("the time is within jiff's range")
    }

    /// The present time as it is written into `metadata`, cut to whole seconds.
    pub fn metadata_time(&self) -> String {
        Timestamp::from_second(self.now().as_second()).expect("now is within range").to_string()
    }
}
