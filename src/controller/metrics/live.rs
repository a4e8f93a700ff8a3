//! What is read at each scrape: requests, policies, connections and queues as they are then, so that a series goes with its
//! object.
//!
//! Requests and policies are told by the replica that leads alone, so that sums over all replicas are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::catalog::{self, Metric};
use super::lives::timestamp;
use super::queue::{self, WorkQueue};
use super::{float, sample};
use crate::api::{ConditionType, Phase};
use crate::controller::connections::Standing;
use crate::controller::operator::{Operator, Tenant};
use crate::decision::Reason;
use crate::graph::Pacing;

/// The policy of requests that name none that exists: anybody may write any name.
const NO_POLICY: &str = "<none>";

/// The operator whose state is told; none before it has started.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<OnceLock<Weak<Operator>>>);

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl Live {
    pub fn attach(&self, operator: &Arc<Operator>) {
        let _ = self.0.set(Arc::downgrade(operator));
    }

    pub fn collector(&self, queue: WorkQueue) -> LiveCollector {
        LiveCollector { live: self.clone(), queue }
    }
}

/// Reads the state of the operator.
#[derive(Debug)]
pub(super) struct LiveCollector {
    live: Live,
    queue: WorkQueue,
}

impl Collector for LiveCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(operator) = self.live.0.get().and_then(Weak::upgrade) else { return Ok(()) };
        let encoder = &mut encoder;
        if operator.lease.is_held() {
            requests(encoder, &operator)?;
            policies(encoder, &operator)?;
        }
        connections(encoder, &operator)?;
        pacing(encoder, &operator)?;
        work(encoder, &operator, &self.queue)
    }
}

fn requests(encoder: &mut DescriptorEncoder, operator: &Operator) -> fmt::Result {
    let policies: BTreeSet<String> = operator.policies().iter().map(|p| p.name_any()).collect();
    let mut states: BTreeMap<[String; 3], (usize, Option<Timestamp>)> = BTreeMap::new();
    let census = operator.census();
    for (state, tally) in census.states() {
        let policy = policies.get(&*state.policy).map_or(NO_POLICY, String::as_str);
        let labels = [policy.into(), state.phase.name().into(), state.reason.into()];
        let (number, oldest) = states.entry(labels).or_default();
        *number += tally.number;
        *oldest = match (*oldest, tally.oldest()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    drop(census);
    // Each policy has a series from the start, so that nothing is missing where there is no pass.
    for policy in policies {
        let labels = [policy, Phase::Active.name().into(), Reason::Issued.as_str().into()];
        states.entry(labels).or_default();
    }
    let numbers = states.iter().map(|(labels, (number, _))| (labels.clone(), float(*number)));
    sample(encoder, &catalog::REQUESTS, numbers)?;
    let oldest = states
        .iter()
        .filter_map(|(labels, (_, oldest))| Some((labels.clone(), timestamp((*oldest)?))));
    sample(encoder, &catalog::OLDEST, oldest)
}

fn policies(encoder: &mut DescriptorEncoder, operator: &Operator) -> fmt::Result {
    let (mut conditions, mut drifts) = (Vec::new(), Vec::new());
    for seen in operator.policies() {
        let name = seen.name_any();
        let Ok(policy) = &seen.0 else {
            let reason = Reason::Unreadable.as_str();
            let labels = [&name, "", ConditionType::Ready.as_str(), "False", reason];
            conditions.push((labels.map(str::to_owned), 1.0));
            continue;
        };
        let connection = policy.spec.tenant.as_str();
        let Some(status) = &policy.status else { continue };
        for Condition { type_, status, reason, .. } in &status.conditions {
            conditions.push(([&name, connection, type_, status, reason].map(str::to_owned), 1.0));
        }
        drifts.push(([&name, connection].map(str::to_owned), float(status.drift.len())));
    }
    sample(encoder, &catalog::POLICY_CONDITION, conditions)?;
    sample(encoder, &catalog::POLICY_DRIFT, drifts)
}

fn connections(encoder: &mut DescriptorEncoder, operator: &Operator) -> fmt::Result {
    let tenants = || operator.tenants.iter();
    let info = tenants().map(|(name, tenant)| {
        let config = tenant.client.config();
        let (cloud, credential) = (config.cloud.name(), config.credential.kind());
        let labels = [name, &config.tenant_id, &config.client_id, cloud, credential];
        (labels.map(str::to_owned), 1.0)
    });
    sample(encoder, &catalog::CONNECTION, info)?;

    let known: Vec<_> = tenants()
        .filter_map(|(name, _)| Some((name.clone(), operator.connections.get(name)?)))
        .collect();
    let of = |value: fn(&Standing) -> Option<f64>| {
        known.iter().filter_map(move |(name, known)| Some(([name.clone()], value(known)?)))
    };
    sample(
        encoder,
        &catalog::CONNECTION_UP,
        of(|known| Some(truth(known.graph.as_ref()?.is_ok()))),
    )?;
    sample(
        encoder,
        &catalog::CONNECTION_SIGNED_IN,
        of(|known| Some(truth(known.sign_in.as_ref()?.is_ok()))),
    )?;
    let since = of(|known| known.graph.as_ref().map(|_| timestamp(known.since)));
    sample(encoder, &catalog::CONNECTION_SINCE, since)?;

    let offsets: Vec<_> = tenants()
        .filter_map(|(name, tenant)| {
            Some((name.clone(), operator.clocks.offset(&tenant.connection.tenant_id)?))
        })
        .collect();
    let clock = offsets.iter().map(|(name, (offset, _))| ([name.clone()], offset.as_secs_f64()));
    sample(encoder, &catalog::CONNECTION_CLOCK, clock)?;
    let error = offsets.iter().map(|(name, (_, error))| ([name.clone()], error.as_secs_f64()));
    sample(encoder, &catalog::CONNECTION_CLOCK_ERROR, error)?;

    let expiry = tenants().filter_map(|(name, tenant)| {
        let credential = &tenant.client.config().credential;
        let expires = timestamp(credential.expires()?);
        Some(([name.clone(), credential.kind().to_owned()], expires))
    });
    sample(encoder, &catalog::CREDENTIAL_EXPIRY, expiry)?;

    // What was found for policies that are gone concerns nobody.
    let named: BTreeSet<String> = operator
        .policies()
        .iter()
        .filter_map(|policy| Some(policy.0.as_ref().ok()?.spec.tenant.clone()))
        .collect();
    let compared = operator.logged_permissions.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<_> = compared
        .iter()
        .map(|(name, found)| {
            let missing = if named.contains(name) { found.missing.len() } else { 0 };
            ([name.clone()], float(missing))
        })
        .collect();
    drop(compared);
    sample(encoder, &catalog::PERMISSIONS_MISSING, missing)
}

fn pacing(encoder: &mut DescriptorEncoder, operator: &Operator) -> fmt::Result {
    let of_each = |(name, tenant): (&String, &Tenant)| {
        tenant.client.pacing().map(|(service, pacing)| ([name.clone(), service.to_owned()], pacing))
    };
    let all: Vec<([String; 2], Pacing)> = operator.tenants.iter().flat_map(of_each).collect();
    let queues = all.iter().flat_map(|([name, service], pacing)| {
        pacing.waiting.map(|(priority, number)| {
            ([name.clone(), service.clone(), priority.to_owned()], float(number))
        })
    });
    sample(encoder, &catalog::QUEUE, queues)?;
    let throttled = all.iter().map(|(of, pacing)| (of.clone(), truth(pacing.throttled)));
    sample(encoder, &catalog::THROTTLED, throttled)?;
    let pace = all.iter().map(|(of, pacing)| (of.clone(), pacing.calls_per_second));
    sample(encoder, &catalog::PACE, pace)
}

fn work(encoder: &mut DescriptorEncoder, operator: &Operator, queue: &WorkQueue) -> fmt::Result {
    let backlog = operator.at_this_moment(|requests, moment| requests.backlog(moment.at));
    let (unfinished, longest) = queue.unfinished();
    let all: [(&Metric, f64); 3] = [
        (&catalog::QUEUE_DEPTH, float(backlog)),
        (&catalog::UNFINISHED_SECONDS, unfinished),
        (&catalog::LONGEST_SECONDS, longest),
    ];
    for (metric, value) in all {
        sample(encoder, metric, [(queue::labels(), value)])?;
    }
    Ok(())
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}
