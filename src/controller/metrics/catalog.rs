//! Every metric, described once: name, kind, labels, and what it tells. What is registered and what the reference says come
//! from here.

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often it took how long.
    Histogram,
}

impl Kind {
    /// Its name in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in queries; a histogram has three series of this name, with `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, without `le`.
    pub labels: &'static [&'static str],
    /// What it tells, with its unit.
    pub help: &'static str,
}

impl Metric {
    /// Its name as it is registered: `OpenMetrics` adds the `_total` of a counter.
    pub(super) fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}

macro_rules! catalog {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

catalog! {
    REQUESTS: Gauge "tap_operator_requests" ["policy", "phase", "reason"]
        "TapRequests in this state; only the replica that leads tells them";
    OLDEST: Gauge "tap_operator_oldest_request_timestamp_seconds" ["policy", "phase", "reason"]
        "Since when, in seconds since 1970, the oldest of the requests of this state waits that have not ended: the time of the last change of its condition Reconciling if it has one, else of Ready";
    TRANSITIONS: Counter "tap_operator_request_transitions_total" ["phase"]
        "Requests that entered a phase";
    FAILED: Counter "tap_operator_requests_failed_total" ["reason"]
        "Requests that entered the phase Failed, by the reason";
    ISSUED: Counter "tap_operator_passes_issued_total" ["policy"]
        "Passes that were issued";
    APPROVAL_SECONDS: Histogram "tap_operator_request_approval_duration_seconds" ["policy"]
        "How long people took to approve, from the phase AwaitingApproval to the last approval that was needed";
    ISSUE_SECONDS: Histogram "tap_operator_request_issue_duration_seconds" ["policy"]
        "How long it took to issue a pass, from when nothing had to be waited for any more (the creation, the last approval, or the start less the lead time) to the phase Active";
    POLICY_CONDITION: Gauge "tap_operator_policy_condition" ["policy", "connection", "condition", "status", "reason"]
        "1 for each condition of each TapPolicy, with its present status (True, False or Unknown) and reason";
    POLICY_DRIFT: Gauge "tap_operator_policy_drifted_fields" ["policy", "connection"]
        "Fields of the TapPolicy from which the tenant differs";
    CORRECTIONS: Counter "tap_operator_drift_corrections_total" ["policy"]
        "Corrections of a tenant's method";
    FOREIGN_PASSES: Counter "tap_operator_foreign_passes_total" ["connection"]
        "Passes in the tenant that no TapRequest records, as its audit log told";
    FAILED_SIGN_INS: Counter "tap_operator_pass_sign_ins_failed_total" ["error"]
        "Sign-ins with passes that failed, by the number of Entra's error; the tenant's log tells them after the pass was used or ended";
    CONNECTION: Gauge "tap_operator_connection_info" ["connection", "tenant_id", "client_id", "cloud", "credential"]
        "1 for each tenant connection";
    CONNECTION_UP: Gauge "tap_operator_connection_up" ["connection"]
        "1 if Graph answered the last call, 0 if it did not, refused the token, or could not be asked without one; missing before the first call";
    CONNECTION_SIGNED_IN: Gauge "tap_operator_connection_signed_in" ["connection"]
        "1 if Entra gave a token when it was last asked for one, 0 if it refused; a token that is still good is used on";
    CONNECTION_SINCE: Gauge "tap_operator_connection_last_transition_timestamp_seconds" ["connection"]
        "Since when, in seconds since 1970, tap_operator_connection_up is as it is";
    CONNECTION_CLOCK: Gauge "tap_operator_connection_clock_offset_seconds" ["connection"]
        "How far Graph's clock is ahead of this machine's";
    CONNECTION_CLOCK_ERROR: Gauge "tap_operator_connection_clock_error_seconds" ["connection"]
        "How far that may be off, in either direction";
    CREDENTIAL_EXPIRY: Gauge "tap_operator_connection_credential_expiry_timestamp_seconds" ["connection", "kind"]
        "When the certificate or the service account token of the connection expires, in seconds since 1970; of a client secret only Entra knows";
    PERMISSIONS_MISSING: Gauge "tap_operator_connection_permissions_missing" ["connection"]
        "Graph permissions that the TapPolicies of the connection need, and its app lacks";
    CALLS: Counter "tap_operator_graph_calls_total" ["connection", "call", "outcome"]
        "Calls that were sent to Graph, or to Entra for a token";
    NOT_SENT: Counter "tap_operator_graph_calls_not_sent_total" ["connection", "cause"]
        "Calls that were not sent: without a token (sign_in), without a turn in time (pacing), or without a connection (connect)";
    CALL_SECONDS: Histogram "tap_operator_graph_call_duration_seconds" ["connection", "call"]
        "How long these calls took, without the wait for their turn";
    WAIT_SECONDS: Histogram "tap_operator_graph_queue_duration_seconds" ["connection", "priority"]
        "How long calls waited for their turn";
    QUEUE: Gauge "tap_operator_graph_queue_length" ["connection", "service", "priority"]
        "Calls that wait for their turn; connections of one app to one tenant show the same calls";
    THROTTLED: Gauge "tap_operator_graph_throttled" ["connection", "service"]
        "1 while Graph has asked the app to wait";
    PACE: Gauge "tap_operator_graph_pace_calls_per_second" ["connection", "service"]
        "The pace: how many calls a second the operator allows itself";
    RECONCILE_FAILURES: Counter "tap_operator_reconcile_failures_total" ["controller"]
        "Reconciles that failed with an error of the API server";
    NOTICES: Counter "tap_operator_notices_total" ["receiver", "fate"]
        "Notices to a receiver that were delivered, refused by it, or dropped: too many waited, or it could not be told for a day";
    NOTICES_WAITING: Gauge "tap_operator_notices_waiting" ["receiver"]
        "Notices that wait to be sent to a receiver, besides the one that is being sent";
    RECEIVER_UP: Gauge "tap_operator_notice_receiver_up" ["receiver"]
        "1 if the receiver took the last notice that was sent to it, 0 if it did not; missing before the first one";
    GUARDED: Gauge "tap_operator_guarded" []
        "1 while the admission policies are as shipped and in force; at 0 nothing is issued";
    STOPPED: Gauge "tap_operator_stopped" []
        "1 while the emergency stop is set";
    STOP_NOT_UNDERSTOOD: Gauge "tap_operator_stop_not_understood" []
        "1 while the emergency stop has an entry that is not understood";
    BUILD: Gauge "tap_operator_build_info" ["version", "commit"]
        "1, with the version and the commit of the program";
    LEADING: Gauge "leader_election_master_status" ["name"]
        "1 while this process holds the Lease of this name";
    QUEUE_DEPTH: Gauge "workqueue_depth" ["name", "controller"]
        "Requests that are due and whose reconcile has not begun";
    QUEUE_ADDS: Counter "workqueue_adds_total" ["name", "controller"]
        "Reconciles that began";
    QUEUE_RETRIES: Counter "workqueue_retries_total" ["name", "controller"]
        "Reconciles that are repeated after a pause that grows";
    QUEUE_SECONDS: Histogram "workqueue_queue_duration_seconds" ["name", "controller"]
        "How long requests were due before their reconcile began";
    WORK_SECONDS: Histogram "workqueue_work_duration_seconds" ["name", "controller"]
        "How long reconciles took";
    UNFINISHED_SECONDS: Gauge "workqueue_unfinished_work_seconds" ["name", "controller"]
        "How long all reconciles that go on have taken so far, together";
    LONGEST_SECONDS: Gauge "workqueue_longest_running_processor_seconds" ["name", "controller"]
        "How long the longest of them has taken so far";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "CPU time of the process, in seconds";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" []
        "Resident memory of the process";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the process";
    PROCESS_FDS: Gauge "process_open_fds" []
        "Open file descriptors of the process";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "How many file descriptors the process may open";
    PROCESS_THREADS: Gauge "process_threads" []
        "Threads of the process";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When the process began, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        for Metric { name, kind, labels, help } in METRICS {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(
                name.ends_with("_duration_seconds"),
                *kind == Kind::Histogram,
                "a histogram here is one of durations: {name}"
            );
            assert!(!help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
            let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(word(name) && labels.iter().all(|label| word(label)), "{name}");
        }
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len(), "a name is used twice");
    }

    #[test]
    fn no_label_is_for_a_person_a_request_or_a_namespace() {
        for metric in METRICS {
            for label in ["user", "requester", "request", "namespace", "by", "uid", "pass"] {
                assert!(!metric.labels.contains(&label), "{}: {label}", metric.name);
            }
        }
    }
}
