//! The lives of requests and policies.

use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Histograms, catalog, histograms, register};
use crate::api::Phase;
use crate::decision::Reason;
use crate::decision::evidence::FAILED_WITH_PASS;

/// In seconds: from a minute to three days.
const APPROVAL_SECONDS: [f64; 11] = [
    60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0, 259_200.0,
];
/// In seconds. Alone a pass takes 1 s; at the documented pace a hundred take five minutes.
const ISSUE_SECONDS: [f64; 11] =
    [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPolicy {
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfConnection {
    connection: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfError {
    error: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfController {
    controller: &'static str,
}

/// What reconciles objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// The reconciler of requests.
    Requests,
    /// The reconciler of policies.
    Policies,
}

impl Controller {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Requests => "taprequest",
            Self::Policies => "tappolicy",
        }
    }
}

/// What is counted of requests and policies.
#[derive(Clone, Debug)]
pub(super) struct Lives {
    transitions: Family<OfPhase, Counter>,
    failed: Family<OfReason, Counter>,
    issued: Family<OfPolicy, Counter>,
    approval_seconds: Histograms<OfPolicy>,
    issue_seconds: Histograms<OfPolicy>,
    corrections: Family<OfPolicy, Counter>,
    foreign_passes: Family<OfConnection, Counter>,
    failed_sign_ins: Family<OfError, Counter>,
    reconcile_failures: Family<OfController, Counter>,
}

impl Lives {
    /// Registers them. What does not depend on a policy begins with 0, so that the first event shows as an increase.
    pub fn register(registry: &mut Registry) -> Self {
        let lives = Self {
            transitions: Family::default(),
            failed: Family::default(),
            issued: Family::default(),
            approval_seconds: histograms(|| Histogram::new(APPROVAL_SECONDS)),
            issue_seconds: histograms(|| Histogram::new(ISSUE_SECONDS)),
            corrections: Family::default(),
            foreign_passes: Family::default(),
            failed_sign_ins: Family::default(),
            reconcile_failures: Family::default(),
        };
        register(registry, &catalog::TRANSITIONS, &lives.transitions);
        register(registry, &catalog::FAILED, &lives.failed);
        register(registry, &catalog::ISSUED, &lives.issued);
        register(registry, &catalog::APPROVAL_SECONDS, &lives.approval_seconds);
        register(registry, &catalog::ISSUE_SECONDS, &lives.issue_seconds);
        register(registry, &catalog::CORRECTIONS, &lives.corrections);
        register(registry, &catalog::FOREIGN_PASSES, &lives.foreign_passes);
        register(registry, &catalog::FAILED_SIGN_INS, &lives.failed_sign_ins);
        register(registry, &catalog::RECONCILE_FAILURES, &lives.reconcile_failures);
        for phase in Phase::ALL {
            let _ = lives.transitions.get_or_create(&OfPhase { phase: phase.name() });
        }
        for reason in Reason::OF_FAILURES {
            let _ = lives.failed.get_or_create(&OfReason { reason: reason.as_str() });
        }
        for error in FAILED_WITH_PASS {
            let _ = lives.failed_sign_ins.get_or_create(&OfError { error });
        }
        for controller in [Controller::Requests, Controller::Policies] {
            let controller = controller.label();
            let _ = lives.reconcile_failures.get_or_create(&OfController { controller });
        }
        lives
    }

    /// The counters of a policy begin with 0.
    pub fn begin(&self, policy: &str) {
        let of_policy = OfPolicy { policy: policy.into() };
        let _ = self.issued.get_or_create(&of_policy);
        let _ = self.corrections.get_or_create(&of_policy);
    }

    /// The series of a policy go with it.
    pub fn forget(&self, policy: &str) {
        let of_policy = OfPolicy { policy: policy.into() };
        self.issued.remove(&of_policy);
        self.corrections.remove(&of_policy);
        self.approval_seconds.remove(&of_policy);
        self.issue_seconds.remove(&of_policy);
    }

    pub fn entered(&self, phase: Phase, reason: &str) {
        self.transitions.get_or_create(&OfPhase { phase: phase.name() }).inc();
        if phase == Phase::Failed {
            let reason = Reason::named(reason).map_or("Other", Reason::as_str);
            self.failed.get_or_create(&OfReason { reason }).inc();
        }
    }

    /// A pass was issued through a policy that still exists.
    pub fn issued(&self, policy: &str, took: SignedDuration) {
        let of_policy = OfPolicy { policy: policy.into() };
        if self.issued.get(&of_policy).is_some() {
            self.issued.get_or_create(&of_policy).inc();
            self.issue_seconds.get_or_create(&of_policy).observe(seconds(took));
        }
    }

    /// Enough people approved a request through a policy that still exists.
    pub fn approved(&self, policy: &str, took: SignedDuration) {
        let of_policy = OfPolicy { policy: policy.into() };
        if self.issued.get(&of_policy).is_some() {
            self.approval_seconds.get_or_create(&of_policy).observe(seconds(took));
        }
    }

    /// The method was corrected for a policy, if that still exists.
    pub fn corrected(&self, policy: &str) {
        if let Some(corrections) = self.corrections.get(&OfPolicy { policy: policy.into() }) {
            corrections.inc();
        }
    }

    /// The counter of a connection begins with 0.
    pub fn begin_connection(&self, connection: &str) {
        let _ = self.foreign_passes.get_or_create(&OfConnection { connection: connection.into() });
    }

    pub fn foreign_pass(&self, connection: &str) {
        self.foreign_passes.get_or_create(&OfConnection { connection: connection.into() }).inc();
    }

    pub fn sign_ins_failed(&self, error: i32, count: u32) {
        self.failed_sign_ins.get_or_create(&OfError { error }).inc_by(count.into());
    }

    pub fn failed(&self, controller: Controller) {
        let controller = controller.label();
        self.reconcile_failures.get_or_create(&OfController { controller }).inc();
    }
}

fn seconds(took: SignedDuration) -> f64 {
    took.max(SignedDuration::ZERO).as_secs_f64()
}

/// Seconds since 1970, with their fraction.
pub(super) fn timestamp(time: Timestamp) -> f64 {
    time.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}
