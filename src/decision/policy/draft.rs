//! A status of a policy while it is built.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::advice::{self, Finding};
use super::issuing::issuing;
use super::usable::passes_usable;
use super::{PolicySituation, PolicyStep, groups};
use crate::api::{ConditionType, TapPolicy, TapPolicyStatus, merge_conditions};
use crate::decision::Reason;
use crate::decision::method::{self, Difference};
use crate::decision::posture::posture;
use crate::decision::report::whole_second;
use crate::decision::situation::Connection;
use crate::decision::step::Rest;
use crate::entra::{Advice, GraphError, MethodConfiguration};

/// A status while it is built: that of the policy as it was read, changed by what was found.
pub(super) struct Draft<'a> {
    policy: &'a TapPolicy,
    now: Timestamp,
    pub(super) status: TapPolicyStatus,
    conditions: Vec<Condition>,
    /// Why the policy is not ready, whatever the state of the tenant.
    not_ready: Option<String>,
    /// Conditions that are reported beside the state of the tenant and do not change Ready.
    advice: Vec<(ConditionType, Finding)>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(s: &PolicySituation<'a>) -> Self {
        let mut status = s.policy.status.clone().unwrap_or_default();
        status.observed_generation = s.policy.metadata.generation;
        let of_the_tenant = |advice: fn(&PolicySituation, &Connection) -> Option<Finding>| {
            s.connection.and_then(|connection| advice(s, connection))
        };
        let advice = [
            (ConditionType::Issuing, issuing(s)),
            (ConditionType::Stopped, advice::stopped(s)),
            (ConditionType::Permissions, of_the_tenant(advice::permissions)),
            (ConditionType::ChecksComplete, of_the_tenant(advice::checks_complete)),
            (ConditionType::PassesUsable, passes_usable(s)),
            (ConditionType::WithinCeilings, of_the_tenant(advice::within_ceilings)),
            (ConditionType::LogsRead, advice::logs_read(s)),
        ];
        let advice = advice.into_iter().filter_map(|(type_, finding)| Some((type_, finding?)));
        let advice = advice.collect();
        let not_ready = s.connection.and_then(|connection| groups::gone(s, connection));
        Self { policy: s.policy, now: s.now, status, conditions: Vec::new(), not_ready, advice }
    }

    /// What was found for a condition that is reported beside the state of the tenant.
    pub(super) fn finding(&self, of: ConditionType) -> Option<&Finding> {
        self.advice.iter().find(|(type_, _)| *type_ == of).map(|(_, finding)| finding)
    }

    /// Records what was read, and how it differs.
    pub(super) fn seen(
        mut self,
        s: &PolicySituation,
        connection: &Connection,
        observed: &MethodConfiguration,
        found: &Difference,
    ) -> Self {
        self.status.tenant_id = Some(connection.tenant_id.clone());
        self.status.observed = Some(method::as_method(observed));
        self.status.drift.clone_from(&found.drift);
        self.status.drifted_fields = Some(found.fields());
        let policies = s.reads.access_policies.as_ref().and_then(|policies| policies.as_ref().ok());
        self.status.posture = posture(observed, policies.map(|policies| &**policies));
        self
    }

    /// Records the tenant's method before the first write to it.
    pub(super) fn adopting(mut self, observed: &MethodConfiguration) -> Self {
        self.status.adopted = Some(method::as_method(observed));
        self
    }

    fn condition(
        mut self,
        type_: ConditionType,
        status: &str,
        reason: &str,
        message: &str,
    ) -> Self {
        self.conditions.push(Condition {
            type_: type_.as_str().into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            observed_generation: self.policy.metadata.generation,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        });
        self
    }

    /// Sets the condition Ready. It is the first one: Reconciling and Stalled repeat its reason and message.
    pub(super) fn ready(mut self, ready: bool, reason: Reason, message: &str) -> Self {
        let why = self.not_ready.take_if(|_| ready || reason == Reason::GroupNotFound);
        if let Some(why) = why {
            let reason = Reason::GroupNotFound;
            return self.condition(ConditionType::Ready, "False", reason.as_str(), &why).stalled();
        }
        let status = if ready { "True" } else { "False" };
        self.condition(ConditionType::Ready, status, reason.as_str(), message)
    }

    /// Sets the condition Synced.
    pub(super) fn synced(self, synced: &str, reason: Reason, message: &str) -> Self {
        self.condition(ConditionType::Synced, synced, reason.as_str(), message)
    }

    fn repeat_ready(self, type_: ConditionType) -> Self {
        let ready = self.conditions.first().map(|c| (c.reason.clone(), c.message.clone()));
        let (reason, message) = ready.unwrap_or_default();
        self.condition(type_, "True", &reason, &message)
    }

    /// Work is in progress, for the reason of Ready.
    pub(super) fn reconciling(self) -> Self {
        self.repeat_ready(ConditionType::Reconciling)
    }

    /// Somebody must act, for the reason of Ready.
    pub(super) fn stalled(self) -> Self {
        self.repeat_ready(ConditionType::Stalled)
    }

    /// The step after a failed call: whether it is tried again, or somebody must act.
    pub(super) fn after(self, error: &GraphError) -> PolicyStep {
        let retries = matches!(error.advice(), Advice::Retry { .. });
        let draft = if retries { self.reconciling() } else { self.stalled() };
        draft.or_rest(Rest::after(error))
    }

    /// The step: to write the status, or to rest if the policy has it already.
    pub(super) fn or_rest(mut self, rest: Rest) -> PolicyStep {
        for (type_, (status, reason, message)) in std::mem::take(&mut self.advice) {
            self = self.condition(type_, status, reason.as_str(), &message);
        }
        let mut status = self.status;
        let old = self.policy.status.as_ref();
        status.conditions = merge_conditions(
            old.map_or(&[][..], |s| &s.conditions),
            self.conditions,
            whole_second(self.now),
        );
        if old == Some(&status) {
            PolicyStep::Rest(rest)
        } else {
            PolicyStep::WriteStatus(Box::new(status))
        }
    }
}
