//! The reconciler of policies.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use kube::api::{Api, Patch};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

use super::announce;
use super::error::{ApiError, call};
use super::operator::Operator;
use super::patch::{as_operator, merge_patch};
use super::watches::GuardedPolicy;
use super::write;
use crate::api::{TapPolicy, TapPolicySpec, TapPolicyStatus};
use crate::decision::life::step::Rest;
use crate::decision::permissions::enforces;
use crate::decision::policy::{
    self, Correction, GroupName, PolicyReads, PolicySituation, PolicyStep, is_in_sync, manages,
};
use crate::effect::Effect;
use crate::graph::{Client, ErrorKind, GraphError, Priority};

/// More steps than any pass has.
const STEPS: usize = 16;
/// How often a policy that cannot be read, or waits for a change, is looked at all the same.
const RESYNC: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Reconciles one policy.
pub async fn reconcile(
    seen: Arc<GuardedPolicy>,
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
            let name = policy.metadata.name.as_deref().unwrap_or_default();
            return Ok(Action::requeue(operator.chance.jittered(name, RESYNC)));
        }
    };
    let (name, chance) = (seen.metadata.name.as_deref().unwrap_or_default(), operator.chance);
    match operator.pass_over_policy(seen).await {
        Ok(Rest::ForChange | Rest::Until(_)) => Ok(Action::requeue(chance.jittered(name, RESYNC))),
        Ok(Rest::For(length)) => Ok(Action::requeue(chance.jittered(name, length))),
        Ok(Rest::Backoff(least) | Rest::BackoffUntil(least, _)) => {
            Ok(Action::requeue(chance.backoff(name, 4, least)))
        }
        Err(ApiError::NotFound { .. }) => Ok(Action::await_change()),
        Err(ApiError::Conflict { .. }) => {
            Ok(Action::requeue(std::time::Duration::from_millis(200)))
        }
        Err(error) => {
            tracing::warn!(policy = seen.metadata.name, %error, "a pass over a policy failed");
            operator.metrics.reconcile_failed();
            Ok(Action::requeue(chance.backoff(name, 3, None)))
        }
    }
}

impl Operator {
    async fn pass_over_policy(&self, seen: &TapPolicy) -> Result<Rest, ApiError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        let mut policy =
            call("get TapPolicy", api.get(seen.metadata.name.as_deref().unwrap_or_default()))
                .await?;
        let mut reads = PolicyReads::default();
        for _ in 0..STEPS {
            let tenant = self.tenants.get(&policy.spec.tenant);
            let rivals = self.rivals(&policy);
            let enforced = tenant.is_some_and(|tenant| self.is_enforced_by(tenant));
            let uid = policy.metadata.uid.clone().unwrap_or_default();
            let correction = self.corrections().get(&uid).cloned();
            let step = policy::next(&PolicySituation {
                policy: &policy,
                now: self.clocks.now(tenant.map(|t| t.connection.tenant_id.as_str())).earliest,
                connection: tenant.map(|t| &t.connection),
                rivals: &rivals,
                enforced,
                stop: self.stop(),
                settle: self.settings.settle,
                correction: correction.as_ref(),
                reads: &reads,
            });
            match (step, tenant) {
                (PolicyStep::Rest(rest), _) => return Ok(rest),
                (PolicyStep::WriteStatus(status), _) => {
                    policy = self.write_policy_status(&api, &policy, *status).await?;
                }
                (PolicyStep::ReadPermissions, Some(tenant)) => {
                    reads.permissions = Some(self.permissions(tenant).await);
                }
                (PolicyStep::ReadMethod, Some(tenant)) => {
                    let method = tenant.client.method(Priority::Read).await;
                    if method.as_ref().is_ok_and(|method| is_in_sync(&policy, method)) {
                        self.corrections().remove(&uid);
                    }
                    reads.method = Some(method);
                }
                (PolicyStep::ReadNames(ids), Some(tenant)) => {
                    reads.names = Some(names(&tenant.client, &ids).await);
                }
                (PolicyStep::Correct(difference), Some(tenant)) => {
                    announce::drift(&self.recorder(), &policy, &difference.drift).await;
                    let patched = tenant.client.patch_method(&difference.patch).await;
                    let tenant_id = tenant.connection.tenant_id.as_str();
                    let sent = |refused| Correction {
                        generation: policy.metadata.generation,
                        patch: difference.patch.clone(),
                        at: self.clocks.now(Some(tenant_id)).latest,
                        refused,
                    };
                    match &patched {
                        Ok(()) => {
                            announce::corrected(
                                &self.recorder(),
                                &policy,
                                &difference.correction(),
                            )
                            .await;
                            self.metrics.drift_corrected();
                            // Graph may have recalculated other fields: it is read again.
                            reads.method = None;
                            self.corrections().insert(uid, sent(false));
                        }
                        Err(error) if error.kind == ErrorKind::BadRequest => {
                            self.corrections().insert(uid, sent(true));
                        }
                        Err(_) => {}
                    }
                    reads.patched = Some(patched);
                }
                (_, None) => return Ok(Rest::ForChange),
            }
        }
        Ok(Rest::Backoff(None))
    }

    fn corrections(&self) -> MutexGuard<'_, HashMap<String, Correction>> {
        self.corrections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the policy of this name manages the method of a tenant, if it is there and manages any.
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

    async fn write_policy_status(
        &self,
        api: &Api<TapPolicy>,
        policy: &TapPolicy,
        status: TapPolicyStatus,
    ) -> Result<TapPolicy, ApiError> {
        let old = policy.status.clone().unwrap_or_default();
        let patch = json!({
            "metadata": { "resourceVersion": policy.metadata.resource_version },
            "status": merge_patch(&old, &status),
        });
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(&patch);
        let written =
            write::patch_status(Effect::WritePolicyStatus, api, name, &as_operator(), &patch)
                .await?;
        announce::drift(&self.recorder(), policy, &status.drift).await;
        Ok(written)
    }
}

/// How a policy manages the method of a tenant: what other policies depend on.
#[derive(PartialEq, Eq)]
pub(super) struct Managed {
    connection: String,
    enforced: bool,
}

async fn names(client: &Client, ids: &[String]) -> Result<Vec<GroupName>, GraphError> {
    let mut names = Vec::with_capacity(ids.len());
    for id in ids {
        names.push((id.clone(), client.group_name(id, Priority::Read).await?));
    }
    Ok(names)
}
