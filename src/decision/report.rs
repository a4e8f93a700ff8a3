//! Writes findings into the status of a request.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;
use super::checks::Findings;
use super::intent::has_finalizer;
use super::situation::{Approvals, Grounds, Situation};
use crate::api::{
    Basis, ConditionType, Pass, PersonFound, Phase, TapRequest, TapRequestStatus, merge_conditions,
};

/// Builds a status: the status of the request as it was read, changed by what was found.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    request: &'a TapRequest,
    now: Timestamp,
    /// Whether the policy could be read.
    knows_policy: bool,
    status: TapRequestStatus,
    ready: (bool, Reason, String),
    reconciling: Option<(Reason, String)>,
    stalled: bool,
}

impl<'a> Report<'a> {
    /// Starts with the phase of the request, its reason, and a message that says what the reader should know or do.
    pub fn new(
        s: &Situation<'a>,
        phase: Phase,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        let knows_policy = s.policy.version().is_some();
        Self { knows_policy, ..Self::of(s.request, s.now.earliest, phase, reason, message.into()) }
    }

    /// The status of a request that is due, and for which there is no room yet: so many requests go first. `None` if the
    /// request says so already, or something that matters more.
    pub fn queued(
        request: &'a TapRequest,
        before: usize,
        now: Timestamp,
    ) -> Option<TapRequestStatus> {
        let phase = request.phase();
        if phase != Phase::Pending || has_finalizer(request) || request.is_being_deleted() {
            return None;
        }
        let before = match before {
            0 => "this request is the next for which there is room".to_owned(),
            1 => "1 request goes first".to_owned(),
            before => format!("{before} requests go first"),
        };
        let message = format!(
            "{before}, since only so many can be issued at once; namespaces and requesters take turns, and this request goes on by itself"
        );
        let report = Self::of(request, now, phase, Reason::Queued, message.clone());
        let status = report.reconciling(Reason::Queued, message).finish();
        (request.status.as_ref() != Some(&status)).then_some(status)
    }

    fn of(
        request: &'a TapRequest,
        now: Timestamp,
        phase: Phase,
        reason: Reason,
        message: String,
    ) -> Self {
        let mut status = request.status.clone().unwrap_or_default();
        status.phase = phase;
        status.observed_generation = request.metadata.generation;
        if phase.is_final() {
            status.secret_name = None;
            status.finished_at = status.finished_at.or(Some(Time(whole_second(now))));
        }
        let ready = match phase {
            Phase::AwaitingApproval
            | Phase::Scheduled
            | Phase::Active
            | Phase::Used
            | Phase::Expired
            | Phase::Revoked => true,
            Phase::Pending | Phase::Denied | Phase::Failed | Phase::Unknown => false,
        };
        let stalled = matches!(phase, Phase::Denied | Phase::Failed);
        let ready = (ready, reason, message);
        Self { request, now, knows_policy: false, status, ready, reconciling: None, stalled }
    }

    /// Work is in progress and ends by itself.
    #[must_use]
    pub fn reconciling(mut self, reason: Reason, message: impl Into<String>) -> Self {
        self.reconciling = Some((reason, message.into()));
        self
    }

    /// Makes Ready false, whatever the phase.
    #[must_use]
    pub fn not_ready(mut self) -> Self {
        self.ready.0 = false;
        self
    }

    /// Nothing more happens until somebody acts.
    #[must_use]
    pub fn stalled(mut self) -> Self {
        self.stalled = true;
        self
    }

    /// Adds what the checks found.
    #[must_use]
    pub fn findings(mut self, findings: &Findings) -> Self {
        self.status.checks.clone_from(&findings.checks);
        // The deadline is fixed once a policy has said how long the request may wait.
        if self.knows_policy || self.status.phase.is_final() {
            self.status.deadline = self.status.deadline.or(Some(Time(findings.deadline)));
        }
        if self.status.resolved.is_none() {
            self.status.resolved.clone_from(&findings.resolved);
        }
        self.people(&findings.people).approvals(findings.approvals.as_ref())
    }

    /// Adds the policy generation, approvals and checks on which the pass was issued.
    #[must_use]
    pub fn grounds(self, grounds: &Grounds) -> Self {
        let mut report = self.people(&grounds.people).approvals(grounds.approvals.as_ref());
        if !grounds.checks.is_empty() {
            report.status.checks.clone_from(&grounds.checks);
        }
        let generation = grounds.policy.as_ref().and_then(|policy| policy.generation);
        report.status.basis = generation.map(|policy_generation| Basis {
            policy_generation,
            approved_by: grounds.approvals.iter().flat_map(|a| a.by.iter().cloned()).collect(),
        });
        report
    }

    /// Adds whom people were found to be. What was certain first stays.
    fn people(mut self, found: &[PersonFound]) -> Self {
        let known = &mut self.status.people;
        for person in found {
            match known.iter_mut().find(|other| other.name == person.name) {
                None => known.push(person.clone()),
                Some(other) if other.user_id.is_none() => other.clone_from(person),
                Some(_) => {}
            }
        }
        self
    }

    fn approvals(mut self, approvals: Option<&Approvals>) -> Self {
        if let Some(Approvals { by, required }) = approvals {
            self.status.approvals = Some(format!("{}/{required}", by.len()));
        }
        self
    }

    /// Adds the pass and the name of its Secret.
    #[must_use]
    pub fn issued(mut self, pass: Pass, resolved: crate::api::Resolved) -> Self {
        self.status.pass = Some(pass);
        // What people were asked to approve stays as they saw it, also when the user was renamed.
        self.status.resolved.get_or_insert(resolved);
        self.status.secret_name.clone_from(&self.request.metadata.name);
        self
    }

    /// Removes the name of the Secret, which is gone before the request has ended.
    #[must_use]
    pub fn without_secret(mut self) -> Self {
        self.status.secret_name = None;
        self
    }

    /// Adds what is known of a pass without a Secret.
    #[must_use]
    pub fn pass(mut self, pass: Pass) -> Self {
        self.status.pass = Some(pass);
        self
    }

    /// Returns the status. It keeps `decisions`, which the operator never writes.
    pub fn finish(mut self) -> TapRequestStatus {
        let (ready, reason, message) = self.ready.clone();
        let mut conditions = vec![condition(ConditionType::Ready, ready, reason, &message)];
        let phase = self.status.phase;
        let active = phase == Phase::Active;
        conditions.push(condition(
            ConditionType::Issued,
            active && self.status.secret_name.is_some(),
            reason,
            &message,
        ));
        conditions.extend(self.approved());
        conditions.push(condition(ConditionType::Finished, phase.is_final(), reason, &message));
        if let Some((reason, message)) = &self.reconciling {
            conditions.push(condition(ConditionType::Reconciling, true, *reason, message));
        }
        if self.stalled {
            conditions.push(condition(ConditionType::Stalled, true, reason, &message));
        }
        for condition in &mut conditions {
            condition.observed_generation = self.request.metadata.generation;
        }
        let old = self.request.status.as_ref().map_or(&[][..], |s| &s.conditions);
        self.status.conditions = merge_conditions(old, conditions, whole_second(self.now));
        self.status
    }

    fn approved(&self) -> Option<Condition> {
        let (given, needed) = self.status.approvals.as_deref()?.split_once('/')?;
        let (given, needed): (usize, usize) = (given.parse().ok()?, needed.parse().ok()?);
        let (reason, message) = match (needed, given >= needed) {
            (0, _) => (Reason::NoApprovalNeeded, "the policy requires no approval".to_owned()),
            (_, true) => (Reason::Approved, format!("{given} of {needed} approvals")),
            (_, false) => (Reason::AwaitingApproval, format!("{given} of {needed} approvals")),
        };
        Some(condition(ConditionType::Approved, given >= needed, reason, &message))
    }
}

/// A condition without its generation and transition time, which [`Report::finish`] sets.
fn condition(type_: ConditionType, status: bool, reason: Reason, message: &str) -> Condition {
    Condition {
        type_: type_.as_str().into(),
        status: if status { "True" } else { "False" }.into(),
        reason: reason.as_str().into(),
        message: message.into(),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// The time without the fraction of its second. Kubernetes stores whole seconds, so a finer time would differ from what is
/// read back.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
