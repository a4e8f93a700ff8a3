//! The state that both reconcilers share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource as _;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chance::Chance;
use super::clocks::Clocks;
use super::conditional_access::ConditionalAccess;
use super::connections::Connections;
use super::directory::Directory;
use super::evidence::Logs;
use super::fence::AdmissionState;
use super::metrics::Metrics;
use super::notices::Notices;
use super::terms::PolicyTerms;
use super::vitals::OwnConnection;
use super::watches::WatchedPolicy;
use crate::api::Lean;
use crate::cluster::lease::LeaseView;
use crate::decision::census::Census;
use crate::decision::corrections::Corrections;
use crate::decision::ids::{RequestName, Uid};
use crate::decision::known_groups::KnownGroups;
use crate::decision::outcome::Outcome;
use crate::decision::permissions::Comparison;
use crate::decision::requests::{Moment, Requests};
use crate::decision::sightings::Sightings;
use crate::decision::situation::{Connection, Settings};
use crate::decision::stop::StopOrder;
use crate::entra::{Advice, GraphError};
use crate::graph;

/// The caches.
#[derive(Clone)]
pub struct Stores {
    /// All policies.
    pub policies: Store<WatchedPolicy>,
    /// All namespaces.
    pub namespaces: Store<Lean<Namespace>>,
}

/// One running operator.
pub struct Operator {
    /// The API server.
    pub client: kube::Client,
    /// Makes a connection to the API server that nothing else uses, for a call that carries a code.
    pub own_connection: Arc<OwnConnection>,
    /// The operator's own namespace.
    pub namespace: String,
    /// The unique identity of this process.
    pub holder: String,
    /// The settings for decisions.
    pub settings: Settings,
    /// The tenants, by name of the connection.
    pub tenants: BTreeMap<String, Tenant>,
    /// Local time and Graph's.
    pub clocks: Arc<Clocks>,
    /// The source of randomness.
    pub chance: Chance,
    /// The lease.
    pub lease: LeaseView,
    /// The caches.
    pub stores: Stores,
    /// What the stop `ConfigMap` ordered when it was last read; `None` before that.
    pub stop: watch::Sender<Option<StopOrder>>,
    /// The state machine of all requests.
    pub requests: Mutex<Requests>,
    /// Changes with every update of the state machine.
    pub updates: watch::Sender<()>,
    /// When this process started. The state machine counts local time from here.
    pub began: Instant,
    /// The terms of policies.
    pub terms: PolicyTerms,
    /// The corrections that were last sent to tenants.
    pub corrections: Mutex<Corrections>,
    /// The groups of policies as they were read last.
    pub known_groups: Mutex<KnownGroups>,
    /// The findings about the permissions of each connection's app that were logged last, by name of the connection.
    pub logged_permissions: Mutex<HashMap<String, Comparison>>,
    /// Whether reconciles may start: the caches are complete.
    pub informed: AtomicBool,
    /// The connections whose tenants are still asked at the start, by name.
    pub awaited: watch::Sender<BTreeSet<String>>,
    /// Cancelled when the process is to end.
    pub ending: CancellationToken,
    /// Whether the last complete list of requests began while this process held the lease; `None` before the first one.
    pub lists_of_requests: watch::Sender<Option<bool>>,
    /// The state of the admission policies.
    pub admission: watch::Receiver<AdmissionState>,
    /// The reporter of events.
    pub reporter: Reporter,
    /// Metrics.
    pub metrics: Metrics,
    /// What receivers outside of the cluster are told.
    pub notices: Notices,
    /// Whether the tenant connections work.
    pub connections: Connections,
    /// The states of all requests, for metrics.
    pub census: Mutex<Census>,
    /// When decisions were first seen that no status says yet.
    pub sightings: Mutex<Sightings>,
    /// What is known of the tenants' logs.
    pub logs: Logs,
}

/// One tenant connection.
pub struct Tenant {
    /// The connection as decisions see it.
    pub connection: Connection,
    /// The Graph client.
    pub client: graph::Client,
    /// What requests share of the tenant's directory.
    pub directory: Directory,
    /// What requests and policies share of its Conditional Access.
    pub conditional_access: ConditionalAccess,
}

impl Tenant {
    /// A connection of which nothing was read yet.
    pub fn new(connection: Connection, client: graph::Client) -> Self {
        let (directory, conditional_access) = (Directory::default(), ConditionalAccess::default());
        Self { connection, client, directory, conditional_access }
    }
}

impl Operator {
    /// The ids of the tenants to which connections lead.
    pub fn tenant_ids(&self) -> BTreeSet<&str> {
        self.tenants.values().map(|tenant| tenant.connection.tenant_id.as_str()).collect()
    }

    /// The tenant connection that a policy names. `None` if there is no such policy or connection, or the policy cannot be
    /// read.
    pub fn tenant_behind(&self, policy: &str) -> Option<&Tenant> {
        let policy = self.stores.policies.get(&ObjectRef::new(policy))?;
        self.tenants.get(&policy.0.as_ref().ok()?.spec.tenant)
    }

    /// The generation of a policy, as it is now.
    pub fn policy_generation(&self, policy: &str) -> Option<i64> {
        self.stores.policies.get(&ObjectRef::new(policy))?.meta().generation
    }

    /// Makes a call through the first of these tenant connections whose app is not refused.
    pub async fn through<'a, T, F: Future<Output = Result<T, GraphError>>>(
        &'a self,
        connections: &[String],
        call: impl Fn(&'a graph::Client) -> F,
    ) -> Result<T, GraphError> {
        let mut refused = None;
        for tenant in connections.iter().filter_map(|name| self.tenants.get(name)) {
            match call(&tenant.client).await {
                Err(error) if error.advice() == Advice::Wait && !error.is_not_found() => {
                    refused.get_or_insert(error);
                }
                answer => return answer,
            }
        }
        let none = || GraphError::unreached("no tenant connection leads to it");
        Err(refused.unwrap_or_else(none))
    }

    /// What the stop `ConfigMap` ordered when it was last read. Before that, it counts as set.
    pub fn stop(&self) -> StopOrder {
        self.stop.borrow().clone().unwrap_or(StopOrder::UNREAD)
    }

    /// Waits until the stop `ConfigMap` was read.
    pub async fn stop_is_read(&self) {
        // The sender is dropped only with the operator.
        let _ = self.stop.subscribe().wait_for(Option::is_some).await;
    }

    /// Tells the state machine whether everything is stopped.
    pub fn apply_stop(&self) {
        let stop = self.stop().stop;
        self.with_requests(|requests, moment| requests.set_stop(stop, moment));
    }

    /// Whether reconciles may start: this process holds the lease and is informed.
    pub fn works(&self) -> bool {
        self.lease.is_held() && self.informed.load(Ordering::Acquire)
    }

    /// What is answered, unless the process is to end meanwhile. Only reads may be given up so.
    pub async fn unless_ending<F: Future>(&self, read: F) -> Option<F::Output> {
        self.ending.run_until_cancelled(read).await
    }

    /// Waits until a tenant has answered at the start, or was waited for: its time is known then. One tenant that cannot be
    /// reached delays no other. `None`: all tenants.
    pub async fn tenant_was_asked(&self, tenant_id: Option<&str>) {
        let is_of_it = |connection: &String| {
            let tenant = self.tenants.get(connection).map(|t| t.connection.tenant_id.as_str());
            tenant_id.is_none_or(|id| tenant == Some(id))
        };
        let mut awaited = self.awaited.subscribe();
        // The sender is dropped only with the operator.
        let _ = awaited.wait_for(|awaited| !awaited.iter().any(is_of_it)).await;
    }

    /// A recorder for one event. Each event needs its own: a recorder merges events with the same reason into the first of
    /// them, even if their notes differ.
    pub fn recorder(&self) -> Recorder {
        Recorder::new(self.client.clone(), self.reporter.clone())
    }

    /// The state machine, for reading.
    pub fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the request with this uid is, if it is there.
    pub fn name_of(&self, uid: &Uid) -> Option<RequestName> {
        let requests = self.requests();
        let there = requests.observed(uid).filter(|_| requests.is_there(uid))?;
        Some(there.name.clone())
    }

    /// Asks the state machine, or claims what is due. Unlike [`Self::with_requests`], it announces no update.
    pub fn at_this_moment<R>(&self, ask: impl FnOnce(&mut Requests, Moment) -> R) -> R {
        let graph = |tenant_id: Option<&str>| self.clocks.now(tenant_id);
        let moment = Moment { at: self.began.elapsed(), graph: &graph };
        ask(&mut self.requests(), moment)
    }

    /// Updates the state machine, after which more may be due.
    pub fn with_requests<R>(&self, update: impl FnOnce(&mut Requests, Moment) -> R) -> R {
        let result = self.at_this_moment(update);
        self.updates.send_replace(());
        result
    }

    /// Reports the outcome of a step to the state machine.
    pub fn learn(&self, uid: &Uid, outcome: Outcome) {
        self.with_requests(|requests, moment| requests.learn(uid, outcome, moment));
    }

    /// Waits until the requests were listed.
    pub async fn requests_are_listed(&self) {
        // The sender is dropped only with the operator.
        let _ = self.lists_of_requests.subscribe().wait_for(Option::is_some).await;
    }

    /// Makes every request due for which something is left to do.
    pub fn wake_all(&self) {
        self.with_requests(Requests::wake_all);
    }

    /// The states of all requests.
    pub fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When decisions were first seen that no status says yet.
    pub fn sightings(&self) -> MutexGuard<'_, Sightings> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All policies, readable by this version or not.
    pub fn policies(&self) -> Vec<Arc<WatchedPolicy>> {
        self.stores.policies.state()
    }
}
