//! Metrics in the `OpenMetrics` format. No label has the name of an object or a person.

use std::fmt::Debug;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::Phase;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;

/// The buckets of the histogram, in seconds. A call takes 30 ms to 2 s, and is given up after 30 s.
const CALL_SECONDS: [f64; 9] = [0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    outcome: &'static str,
}

/// The metrics of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    transitions: Family<PhaseLabel, Counter>,
    failures: Counter,
    corrections: Counter,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<CallLabels, Histogram, fn() -> Histogram>,
    leading: Gauge,
    guarded: Gauge,
    stopped: Gauge,
    stop_not_understood: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tap_operator");
        let transitions = Family::default();
        let failures = Counter::default();
        let corrections = Counter::default();
        let calls = Family::default();
        let call_seconds =
            Family::new_with_constructor((|| Histogram::new(CALL_SECONDS)) as fn() -> Histogram);
        let leading = Gauge::default();
        let guarded = Gauge::default();
        let stopped = Gauge::default();
        let stop_not_understood = Gauge::default();
        registry.register(
            "request_transitions",
            "Requests that entered a phase",
            transitions.clone(),
        );
        registry.register(
            "reconcile_failures",
            "Reconciles that failed with an error of the API server",
            failures.clone(),
        );
        registry.register(
            "drift_corrections",
            "Corrections of a tenant's method",
            corrections.clone(),
        );
        registry.register("graph_calls", "Calls to Microsoft Graph and to sign-in", calls.clone());
        registry.register(
            "graph_call_seconds",
            "How long these calls took, including their wait for the pacing",
            call_seconds.clone(),
        );
        registry.register(
            "leading",
            "1 while this process holds the leader lease",
            leading.clone(),
        );
        registry.register(
            "guarded",
            "1 while the admission policies are as shipped and in force",
            guarded.clone(),
        );
        registry.register("stopped", "1 while the emergency stop is set", stopped.clone());
        registry.register(
            "stop_not_understood",
            "1 while the emergency stop has an entry that is not understood",
            stop_not_understood.clone(),
        );
        Self {
            registry: Arc::new(registry),
            transitions,
            failures,
            corrections,
            calls,
            call_seconds,
            leading,
            guarded,
            stopped,
            stop_not_understood,
        }
    }
}

impl Metrics {
    /// Counts a request that entered a phase.
    pub fn transition(&self, phase: Phase) {
        let phase = match phase {
            Phase::Pending => "Pending",
            Phase::AwaitingApproval => "AwaitingApproval",
            Phase::Scheduled => "Scheduled",
            Phase::Active => "Active",
            Phase::Used => "Used",
            Phase::Expired => "Expired",
            Phase::Revoked => "Revoked",
            Phase::Denied => "Denied",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        };
        self.transitions.get_or_create(&PhaseLabel { phase }).inc();
    }

    /// Counts a failed reconcile.
    pub fn reconcile_failed(&self) {
        self.failures.inc();
    }

    /// Counts a correction of a tenant's method.
    pub fn drift_corrected(&self) {
        self.corrections.inc();
    }

    /// Counts a call to Graph or to sign-in with its outcome and duration.
    pub fn called(&self, call: &'static str, outcome: &'static str, took: std::time::Duration) {
        let labels = CallLabels { call, outcome };
        self.calls.get_or_create(&labels).inc();
        self.call_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Sets whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// Sets whether the admission policies are as shipped and in force.
    pub fn guards(&self, guards: bool) {
        self.guarded.set(i64::from(guards));
    }

    /// Sets what the emergency stop orders.
    pub fn stops(&self, order: &StopOrder) {
        self.stopped.set(i64::from(order.stop != Stop::Off));
        self.stop_not_understood.set(i64::from(order.not_understood.is_some()));
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
