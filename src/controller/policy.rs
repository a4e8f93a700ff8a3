//! The reconciler of policies.

use std::sync::{Arc, MutexGuard, PoisonError};

use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::announce;
use super::metrics::Controller;
use super::operator::{Operator, Tenant};
use super::watches::WatchedPolicy;
use crate::api::{Drift, TapPolicy, TapPolicySpec, TapPolicyStatus};
use crate::cluster::error::{ApiError, call};
use crate::cluster::write;
use crate::decision::Reason;
use crate::decision::corrections::Corrections;
use crate::decision::known_groups::KnownGroups;
use crate::decision::permissions::enforces;
use crate::decision::policy::{
    self, PolicyQuestion, PolicyReads, PolicySituation, PolicyStep, manages,
};
use crate::decision::step::Rest;
use crate::effect::Effect;
use crate::graph::Priority;

/// More steps than a reconcile ever takes.
const STEPS: usize = 16;
/// How often a policy that cannot be read, or that waits for a change, is reconciled without a cause.
const RESYNC: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Reconciles one policy.
pub async fn reconcile(
    seen: Arc<WatchedPolicy>,
    operator: Arc<Operator>,
) -> Result<Action, ApiError> {
    if !operator.works() {
        return Ok(Action::await_change());
    }
    let seen = match &seen.0 {
        Ok(policy) => policy,
        Err(invalid) => {
            let mut policy = TapPolicy::new("", TapPolicySpec::default());
            policy.metadata = invalid.metadata.clone();
            announce::unreadable(&operator.recorder(), &policy, &invalid.error).await;
            return Ok(Action::requeue(operator.chance.jittered(&policy.name_any(), RESYNC)));
        }
    };
    if let Some(tenant) = operator.tenants.get(&seen.spec.tenant) {
        operator.tenant_was_asked(Some(&tenant.connection.tenant_id)).await;
    }
    let (name, chance) = (seen.name_any(), operator.chance);
    match operator.reconcile_policy(seen).await {
        Ok(Rest::ForChange | Rest::Until(_)) => Ok(Action::requeue(chance.jittered(&name, RESYNC))),
        Ok(Rest::For(length)) => Ok(Action::requeue(chance.jittered(&name, length))),
        Ok(Rest::Backoff(least) | Rest::BackoffUntil(least, _)) => {
            Ok(Action::requeue(chance.backoff(&name, 4, least)))
        }
        Err(ApiError::NotFound { .. }) => Ok(Action::await_change()),
        Err(ApiError::Conflict { .. }) => {
            Ok(Action::requeue(std::time::Duration::from_millis(200)))
        }
        Err(error) => {
            tracing::warn!(policy = name, %error, "reconciling the policy failed");
            operator.metrics.reconcile_failed(Controller::Policies);
            // What is refused is refused again until somebody changes something, and each time the tenant is read before.
            let failures = if matches!(error, ApiError::Refused { .. }) { 6 } else { 3 };
            Ok(Action::requeue(chance.backoff(&name, failures, None)))
        }
    }
}

impl Operator {
    async fn reconcile_policy(&self, seen: &TapPolicy) -> Result<Rest, ApiError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        let mut policy = call("get TapPolicy", api.get(&seen.name_any())).await?;
        let mut reads = PolicyReads::default();
        // What was told of differences, here or when the status was written that has them.
        let mut told = policy.status.as_ref().map(|s| s.drift.clone()).unwrap_or_default();
        for _ in 0..STEPS {
            let tenant = self.tenants.get(&policy.spec.tenant);
            let rivals = self.rivals(&policy);
            let uses = tenant.map(|tenant| self.uses_of(tenant)).unwrap_or_default();
            let correction = self.corrections().of(&policy).cloned();
            let stop = self.stop();
            let terms = self.terms.of(&policy);
            let logs_refused = tenant.and_then(|t| self.logs.refusal(&t.connection.tenant_id));
            let step = policy::next(&PolicySituation {
                policy: &policy,
                terms: terms.as_deref(),
                now: self.clocks.now(tenant.map(|t| t.connection.tenant_id.as_str())).earliest,
                connection: tenant.map(|t| &t.connection),
                rivals: &rivals,
                uses,
                stop: &stop,
                settle: self.settings.settle,
                correction: correction.as_ref(),
                sign_ins_given: tenant
                    .is_none_or(|t| self.logs.gives_sign_ins(&t.connection.tenant_id)),
                logs_refused: logs_refused.as_deref(),
                what_if_offered: tenant.is_none_or(|t| t.conditional_access.offers_what_if()),
                reads: &reads,
            });
            match (step, tenant) {
                (PolicyStep::Rest(rest), _) => return Ok(rest),
                (PolicyStep::WriteStatus(status), _) => {
                    policy = self.write_policy_status(&api, &policy, *status, &mut told).await?;
                }
                (PolicyStep::Ask(question), Some(tenant)) => {
                    let reading = self.read_of_tenant(&policy, tenant, question, &mut reads);
                    if self.unless_ending(reading).await.is_none() {
                        return Ok(Rest::ForChange);
                    }
                }
                (PolicyStep::Correct { difference, found }, Some(tenant)) => {
                    self.report_drift(&policy, &found, &mut told).await;
                    let patched = tenant.client.patch_method(&difference.patch).await;
                    let now = self.clocks.now(Some(&tenant.connection.tenant_id)).latest;
                    self.corrections().answered(&policy, &difference.patch, &patched, now);
                    if patched.is_ok() {
                        self.tell_drift(&policy, &difference.drift, Reason::Corrected);
                        let recorder = self.recorder();
                        let connection = &tenant.connection;
                        announce::corrected(&recorder, &policy, connection, &difference).await;
                        self.metrics.drift_corrected(&policy.name_any());
                        // The method is read again, because Graph may have changed other fields, too.
                        reads.method = None;
                    }
                    reads.patched = Some(patched);
                }
                (_, None) => return Ok(Rest::ForChange),
            }
        }
        Ok(Rest::Backoff(None))
    }

    /// Reads something of a tenant for a policy.
    async fn read_of_tenant(
        &self,
        policy: &TapPolicy,
        tenant: &Tenant,
        question: PolicyQuestion,
        reads: &mut PolicyReads,
    ) {
        let client = &tenant.client;
        match question {
            PolicyQuestion::Permissions => reads.permissions = Some(self.permissions(tenant).await),
            PolicyQuestion::Method => {
                let method = client.method(Priority::Read).await;
                self.corrections().method_read(policy, &method);
                reads.method = Some(method);
            }
            PolicyQuestion::Groups(ids) => {
                let answer = client.groups(&ids, Priority::Read).await;
                reads.groups = Some(self.known_groups().learn(policy, ids, answer));
            }
            PolicyQuestion::AccessPolicies => {
                reads.access_policies = Some(tenant.conditional_access.policies(client).await);
            }
            PolicyQuestion::Strengths => {
                reads.strengths = Some(client.authentication_strengths(Priority::Read).await);
            }
        }
    }

    fn known_groups(&self) -> MutexGuard<'_, KnownGroups> {
        self.known_groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is remembered of a policy that does not exist any more.
    pub(super) fn forget_policy(&self, uid: &str) {
        self.corrections().forget(uid);
        self.known_groups().forget(uid);
    }

    fn corrections(&self) -> MutexGuard<'_, Corrections> {
        self.corrections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the policy of this name manages the method of its tenant; `None` if it does not exist or manages none.
    pub(super) fn managed_by(&self, name: &str) -> Option<Managed> {
        let policy = self.stores.policies.get(&ObjectRef::new(name))?;
        let policy = policy.0.as_ref().ok().filter(|p| manages(p))?;
        let enforced = enforces(&policy.spec);
        Some(Managed { connection: policy.spec.tenant.clone(), enforced })
    }

    /// The other policies that manage the method of the same tenant, by name.
    fn rivals(&self, policy: &TapPolicy) -> Vec<String> {
        let tenant_of = |p: &TapPolicy| {
            self.tenants.get(&p.spec.tenant).map(|t| t.connection.tenant_id.clone())
        };
        let ours = tenant_of(policy);
        let mut rivals: Vec<String> = self
            .policies()
            .iter()
            .filter_map(|other| other.0.as_ref().ok())
            .filter(|other| manages(other))
            .filter(|other| {
                other.metadata.uid != policy.metadata.uid
                    && ours.is_some()
                    && tenant_of(other) == ours
            })
            .filter_map(|other| other.metadata.name.clone())
            .collect();
        rivals.sort_unstable();
        rivals
    }

    /// The method of a policy's tenant is another than it was: requests may wait for that.
    fn method_changed(&self, policy: &TapPolicy) {
        let tenant_of = |p: &TapPolicy| {
            self.tenants.get(&p.spec.tenant).map(|tenant| &tenant.connection.tenant_id)
        };
        let all = self.policies();
        let readable = all.iter().filter_map(|other| other.0.as_ref().ok());
        for other in readable.filter(|other| tenant_of(other) == tenant_of(policy)) {
            let name = other.name_any();
            self.with_requests(|requests, moment| requests.wake_waiting(&name, moment));
        }
    }

    /// Reports differences between the tenant and its policy, if they are others than were told.
    async fn report_drift(&self, policy: &TapPolicy, found: &[Drift], told: &mut Vec<Drift>) {
        if !found.is_empty() && found != told.as_slice() {
            found.clone_into(told);
            self.tell_drift(policy, found, Reason::Drifted);
            let tenant = self.tenants.get(&policy.spec.tenant);
            let last_change = |tenant: &Tenant| self.logs.last_change(&tenant.connection.tenant_id);
            let change = tenant.and_then(last_change);
            announce::drift(&self.recorder(), policy, found, change.as_ref()).await;
        }
    }

    async fn write_policy_status(
        &self,
        api: &Api<TapPolicy>,
        policy: &TapPolicy,
        status: TapPolicyStatus,
        told: &mut Vec<Drift>,
    ) -> Result<TapPolicy, ApiError> {
        let old = policy.status.clone().unwrap_or_default();
        let (effect, before) = (Effect::WritePolicyStatus, &policy.metadata);
        let written = write::change_status(effect, api, before, &old, &status).await?;
        if old.observed != status.observed {
            self.method_changed(policy);
        }
        self.report_drift(policy, &status.drift, told).await;
        announce::policy(&self.recorder(), policy, &written).await;
        Ok(written)
    }
}

/// How a policy manages the method of a tenant. Other policies depend on it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Managed {
    connection: String,
    enforced: bool,
}
