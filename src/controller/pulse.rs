//! Whether the work loop runs. It ticks in the task that does the work, so it stops when that task hangs.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often the work loop ticks.
const TICK: Duration = Duration::from_secs(5);
/// After this long without a tick the work loop counts as hung.
const HUNG_AFTER: Duration = Duration::from_secs(20);

/// The ticks of a work loop. Clones are the same pulse.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    /// The pulse of a work loop that begins now.
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Ticks for ever. It must be polled by the task that does the work.
    pub async fn tick(&self) -> Infallible {
        loop {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            sleep(TICK).await;
        }
    }

    /// How long the work loop has been hanging; `None` if it runs.
    pub fn hangs_for(&self) -> Option<Duration> {
        let silence = self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        (silence >= HUNG_AFTER).then_some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_hangs_when_it_has_not_ticked_for_twenty_seconds() {
        let pulse = Pulse::begin();
        let ticks = tokio::time::timeout(Duration::from_mins(5), pulse.tick());
        assert!(ticks.await.is_err(), "it ticks for ever");
        assert_eq!(pulse.hangs_for(), None);
        tokio::time::advance(Duration::from_secs(19)).await;
        assert_eq!(pulse.hangs_for(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pulse.hangs_for(), Some(Duration::from_secs(20)));
    }
}
