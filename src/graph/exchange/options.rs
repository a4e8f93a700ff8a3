//! What clients need in addition to their connections.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pacing::Pace;
use super::transport::Transport;
use crate::entra::{DateSample, GraphError};
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
    /// What the system's clock shows: the time in signatures, which Entra compares with its own.
    pub wall: Clock,
    /// How long one exchange may take, from the first byte sent (including the connection setup) to the last byte
    /// received. Getting a token and waiting to be admitted may each take as long before it. The deadline is part of the
    /// settle time: a request that was given up may still take effect until Graph's own gateway gives up. Default: 30 s.
    pub deadline: Duration,
    /// The pace of calls about passes. Default: 5 in 10 s, the documented limit.
    pub pace: Pace,
    /// Receives the `Date` of every answer of Graph.
    pub on_date: OnDate,
    /// Receives what happens on a connection, for metrics and the log.
    pub on_report: OnReport,
}

impl Options {
    /// The defaults, with the system's clock.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(Timestamp::now),
            wall: Arc::new(Timestamp::now),
            deadline: DEADLINE,
            pace: Pace::default(),
            on_date: Arc::new(|_, _| {}),
            on_report: Arc::new(|_, _| {}),
        }
    }
}

/// Receives what happens on a connection.
pub type OnReport = Arc<dyn Fn(&ConnectionConfig, Report<'_>) + Send + Sync>;

/// Something that happened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report<'a> {
    /// A call was sent, and answered or given up.
    Sent {
        /// A short name of the call, such as `create_pass`: one of [`call_outcomes`](super::call_outcomes).
        call: &'static str,
        /// `ok`, or [`ErrorKind::label`](crate::entra::ErrorKind::label).
        outcome: &'static str,
        /// The time from the first byte sent, connection setup included, to the last byte received. Neither the wait for
        /// its turn nor that for a token counts.
        duration: Duration,
        /// The error, if it failed.
        error: Option<&'a GraphError>,
    },
    /// A call was not sent: Graph knows nothing of it.
    NotSent {
        /// Why not: one of [`NOT_SENT`](super::NOT_SENT).
        cause: &'static str,
        /// The error of the call.
        error: &'a GraphError,
    },
    /// A call was admitted by the pacing.
    Admitted {
        /// How urgent it was: one of [`Priority::LABELS`](super::Priority::LABELS).
        priority: &'static str,
        /// How long it waited for its turn.
        waited: Duration,
    },
    /// Entra gave a new token, or refused one.
    SignedIn(Result<(), &'a GraphError>),
}
