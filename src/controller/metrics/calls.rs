//! The calls to Graph and to sign-in.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Histograms, catalog, histograms, register};
use crate::graph::{self, CallOutcomes, Report};

/// In seconds. A call takes 30 ms to 2 s, and is given up after 30 s.
const CALL_SECONDS: [f64; 9] = [0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0];
/// In seconds. A call waits for its turn until its deadline of 30 s, a POST as long as its list is fresh.
const WAIT_SECONDS: [f64; 8] = [0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    connection: String,
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    connection: String,
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCause {
    connection: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPriority {
    connection: String,
    priority: &'static str,
}

/// What is counted of calls.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    sent: Family<OfOutcome, Counter>,
    not_sent: Family<OfCause, Counter>,
    seconds: Histograms<OfCall>,
    waited: Histograms<OfPriority>,
}

impl Calls {
    pub fn register(registry: &mut Registry) -> Self {
        let calls = Self {
            sent: Family::default(),
            not_sent: Family::default(),
            seconds: histograms(|| Histogram::new(CALL_SECONDS)),
            waited: histograms(|| Histogram::new(WAIT_SECONDS)),
        };
        register(registry, &catalog::CALLS, &calls.sent);
        register(registry, &catalog::NOT_SENT, &calls.not_sent);
        register(registry, &catalog::CALL_SECONDS, &calls.seconds);
        register(registry, &catalog::WAIT_SECONDS, &calls.waited);
        calls
    }

    /// Every counter of a connection begins with 0, so that the first event shows as an increase.
    pub fn begin(&self, connection: &str) {
        for CallOutcomes { call, outcomes } in graph::call_outcomes() {
            for outcome in outcomes {
                let connection = connection.to_owned();
                let _ = self.sent.get_or_create(&OfOutcome { connection, call, outcome });
            }
        }
        for cause in graph::NOT_SENT {
            let _ = self.not_sent.get_or_create(&OfCause { connection: connection.into(), cause });
        }
    }

    pub fn report(&self, connection: &str, report: &Report<'_>) {
        let connection = connection.to_owned();
        match *report {
            Report::Sent { call, outcome, duration, .. } => {
                let of_call = OfCall { connection: connection.clone(), call };
                self.sent.get_or_create(&OfOutcome { connection, call, outcome }).inc();
                self.seconds.get_or_create(&of_call).observe(duration.as_secs_f64());
            }
            Report::NotSent { cause, .. } => {
                self.not_sent.get_or_create(&OfCause { connection, cause }).inc();
            }
            Report::Admitted { priority, waited } => {
                let of_priority = OfPriority { connection, priority };
                self.waited.get_or_create(&of_priority).observe(waited.as_secs_f64());
            }
            Report::SignedIn(_) => {}
        }
    }
}
