//! What clients need in addition to their connections.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pacing::Pace;
use super::transport::Transport;
use crate::entra::DateSample;
use crate::graph::connection::ConnectionConfig;

/// The default of [`Options::deadline`].
const DEADLINE: Duration = Duration::from_secs(30);

/// The local time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Receives the `Date` of an answer, and the connection to which the answer belongs.
pub type OnDate = Arc<dyn Fn(&ConnectionConfig, DateSample) + Send + Sync>;

/// What clients need in addition to their connections.
#[derive(Clone)]
pub struct Options {
    /// The transport to Graph and Entra.
    pub transport: Arc<dyn Transport>,
    /// The local time.
    pub clock: Clock,
    /// How long one exchange may take, from the first byte sent (including the connection setup) to the last byte
    /// received. Getting a token and waiting to be admitted may each take as long before it. The deadline is part of the
    /// settle time: a request that was given up may still take effect until Graph's own gateway gives up. Default: 30 s.
    pub deadline: Duration,
    /// The pace of calls about passes. Default: 5 in 10 s, the documented limit.
    pub pace: Pace,
    /// Receives the `Date` of every answer.
    pub on_date: OnDate,
    /// Receives a report of every finished call, for metrics.
    pub on_call: Arc<dyn Fn(CallReport) + Send + Sync>,
}

impl Options {
    /// The defaults, with the system's clock.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(Timestamp::now),
            deadline: DEADLINE,
            pace: Pace::default(),
            on_date: Arc::new(|_, _| {}),
            on_call: Arc::new(|_| {}),
        }
    }
}

/// A call that has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallReport {
    /// A short name of the call, such as `create_pass`.
    pub call: &'static str,
    /// `ok`, or [`ErrorKind::label`](crate::entra::ErrorKind::label).
    pub outcome: &'static str,
    /// The time from the start of the call to its outcome, including the time that it waited.
    pub duration: Duration,
}
