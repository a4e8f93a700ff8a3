//! Runs the process: watches, reconcilers, lease and health, until it is asked to end or a part fails.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::Api;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::Reporter;
use kube::runtime::{Controller, WatchStreamExt as _, watcher};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::{self, Watches};
use super::chance::Chance;
use super::clocks::Clocks;
use super::connections::Connections;
use super::evidence::{self, Logs};
use super::fence::AdmissionState;
use super::health::Health;
use super::metrics::Metrics;
use super::notices::{Notices, Told};
use super::operator::{Operator, Stores, Tenant};
use super::preflight;
use super::pulse::Pulse;
use super::tenants::connections_of;
use super::terms::PolicyTerms;
use super::vitals::{OwnConnection, Vital, Vitals};
use super::wake::on_policies;
use super::watches::{self, WatchedPolicy, watch};
use super::{dispatch, leading, policy, stop};
use crate::api::Lean;
use crate::api::names::{OPERATOR, STOP_CONFIG_MAP};
use crate::cluster::ApiError;
use crate::cluster::lease::{LeaseLost, LeaseView, Renewals};
use crate::decision::requests::Requests;
use crate::decision::situation::{Connection, Settings};
use crate::graph;
use crate::version::OLDEST_KUBERNETES;

/// How long to wait for the first attempt to take the lease, before requests are listed without it.
const FIRST_TRY: Duration = Duration::from_secs(5);

/// How to run an operator.
pub struct Options {
    /// The API server.
    pub client: kube::Client,
    /// Makes a connection to the API server that nothing else uses.
    pub own_connection: Box<OwnConnection>,
    /// The operator's own namespace.
    pub namespace: String,
    /// The unique identity of this process, as holder of its lease and its intents.
    pub holder: String,
    /// The settings for decisions.
    pub settings: Settings,
    /// One Graph client for each tenant connection.
    pub tenants: Vec<graph::Client>,
    /// Local time and Graph's. The Graph clients report to it.
    pub clocks: Arc<Clocks>,
    /// The source of randomness.
    pub chance: Chance,
    /// The metrics. The Graph clients report to them.
    pub metrics: Metrics,
    /// Whether the tenant connections work. The Graph clients report to them.
    pub connections: Connections,
    /// Who outside of the cluster is told what happens; nobody if it is absent.
    pub told: Option<Told>,
    /// Issue passes even if the admission policies are not in force: for trying out.
    pub allow_unguarded: bool,
    /// Serves `/healthz`, `/readyz` and `/metrics`.
    pub listener: Option<TcpListener>,
    /// Where the lease is kept and probes are answered: as it is, beside the work, or on a thread of its own.
    pub beside: fn(Vital) -> Vital,
    /// Ends the process gracefully.
    pub shutdown: CancellationToken,
}

/// Why an operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Kubernetes is too old.
    #[error(
        "Kubernetes 1.{minor} is too old: the operator needs validating admission policies, which Kubernetes serves since 1.{OLDEST_KUBERNETES}; upgrade the cluster"
    )]
    TooOld {
        /// Minor version of the API server.
        minor: u32,
    },
    /// The lease could not be kept.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The configuration of the cluster cannot be used.
    #[error("the cluster's configuration cannot be used: {0}")]
    Connect(#[from] kube::Error),
    /// A part ended that must run as long as the process.
    #[error("{0} ended unexpectedly: the process exits so that it is restarted")]
    PartEnded(&'static str),
    /// Health and metrics cannot be served.
    #[error("health and metrics cannot be served: {0}")]
    Serve(#[from] std::io::Error),
}

/// Runs an operator until it is asked to end, or a part of it ends that must not.
pub async fn run(options: Options) -> Result<(), RunError> {
    let health = Health::of(options.connections.clone());
    let shutdown = options.shutdown.clone();
    let own_connection: Arc<OwnConnection> = options.own_connection.into();
    let (pulse, renewals) = (Pulse::begin(), Renewals::default());
    let (lead, leave) = (CancellationToken::new(), CancellationToken::new());
    let vitals = Vitals {
        connect: Arc::clone(&own_connection),
        namespace: options.namespace.clone(),
        holder: options.holder.clone(),
        listener: options.listener,
        health: health.clone(),
        metrics: options.metrics.clone(),
        pulse: pulse.clone(),
        renewals: renewals.clone(),
        lead: lead.clone(),
        leave: leave.clone(),
    };
    let mut vitals = (options.beside)(vitals.keep().boxed());
    let work = work(
        Work {
            client: options.client,
            own_connection,
            lease: renewals.view(),
            lead,
            namespace: options.namespace,
            holder: options.holder,
            settings: options.settings,
            tenants: options.tenants,
            clocks: options.clocks,
            chance: options.chance,
            metrics: options.metrics.clone(),
            connections: options.connections,
            told: options.told,
            allow_unguarded: options.allow_unguarded,
        },
        &health,
        &shutdown,
    );
    tokio::select! {
        biased;
        // First, so that nothing that is busy keeps the lease from being renewed.
        ended = &mut vitals => return ended.and(Err(RunError::PartEnded("the lease"))),
        outcome = work => outcome?,
        never = pulse.tick() => match never {},
    }
    // All reconciles have ended, so another replica may start.
    leave.cancel();
    vitals.await
}

struct Work {
    client: kube::Client,
    own_connection: Arc<OwnConnection>,
    lease: LeaseView,
    lead: CancellationToken,
    namespace: String,
    holder: String,
    settings: Settings,
    tenants: Vec<graph::Client>,
    clocks: Arc<Clocks>,
    chance: Chance,
    metrics: Metrics,
    connections: Connections,
    told: Option<Told>,
    allow_unguarded: bool,
}

/// Feeds the state machine. It waits first until this process has tried to take the lease, because a list that begins under
/// the lease shows every attempt that earlier leaders had recorded.
async fn watch_requests(operator: &Operator, health: &Health) {
    let mut lease = operator.lease.clone();
    let _ = tokio::time::timeout(FIRST_TRY, lease.tried()).await;
    watches::feed(operator, health).await;
}

async fn work(w: Work, health: &Health, shutdown: &CancellationToken) -> Result<(), RunError> {
    let started = tokio::select! {
        biased;
        started = preflight::wait_for_cluster(&w.client, health) => started,
        () = shutdown.cancelled() => return Ok(()),
    };
    started?;
    w.lead.cancel();

    let all = watcher::Config::default;
    let client = &w.client;
    health.expect(watches::REQUESTS);
    let (policies, policy_events) =
        watch(Api::<WatchedPolicy>::all(client.clone()), all(), watches::POLICIES, health);
    let (namespaces, namespace_events) =
        watch(Api::<Lean<Namespace>>::all(client.clone()), all(), "Namespaces", health);
    let only_stop = all().fields(&format!("metadata.name={STOP_CONFIG_MAP}"));
    let stop_events = watches::events(
        Api::<ConfigMap>::namespaced(client.clone(), &w.namespace),
        only_stop,
        "the stop ConfigMap",
        health,
    );

    let admission_watches = Watches::new(client, health);
    let (admission_state, admission) =
        tokio::sync::watch::channel(AdmissionState::unknown(w.allow_unguarded));

    let (wake_policies, all_policies_due) = tokio::sync::mpsc::unbounded_channel::<()>();
    let tenants = tenants(w.tenants);
    let reporter = Reporter { controller: OPERATOR.into(), instance: Some(w.holder.clone()) };
    let awaited = tokio::sync::watch::Sender::new(tenants.keys().cloned().collect());
    let operator = Arc::new(Operator {
        reporter,
        client: w.client.clone(),
        own_connection: w.own_connection,
        namespace: w.namespace,
        holder: w.holder,
        settings: w.settings,
        requests: Mutex::new(Requests::new(w.settings, connections(&tenants))),
        tenants,
        clocks: w.clocks,
        chance: w.chance,
        lease: w.lease,
        stores: Stores { policies: policies.clone(), namespaces },
        stop: tokio::sync::watch::Sender::new(None),
        updates: tokio::sync::watch::Sender::new(()),
        began: Instant::now(),
        terms: PolicyTerms::default(),
        corrections: Mutex::default(),
        known_groups: Mutex::default(),
        logged_permissions: Mutex::default(),
        informed: AtomicBool::new(false),
        awaited,
        ending: shutdown.clone(),
        lists_of_requests: tokio::sync::watch::Sender::new(None),
        admission,
        notices: Notices::new(w.told, &w.metrics),
        metrics: w.metrics.clone(),
        connections: w.connections,
        census: Mutex::default(),
        sightings: Mutex::default(),
        logs: Logs::default(),
    });
    operator.metrics.attach(&operator);

    let on_policies = on_policies(Arc::clone(&operator), wake_policies.clone());
    let policy_stream = policy_events.inspect(on_policies).touched_objects();
    let policy_controller = Controller::for_stream(policy_stream, policies)
        .reconcile_all_on(stream_of(all_policies_due))
        .with_config(Config::default().concurrency(4))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(policy::reconcile, |_, error, _| retry(error), Arc::clone(&operator))
        .for_each(|_| async {});

    let controllers = async {
        tokio::join!(dispatch::reconcile(&operator), policy_controller);
    };
    tokio::select! {
        biased;
        () = controllers => if shutdown.is_cancelled() { Ok(()) } else { Err(RunError::PartEnded("a controller")) },
        () = namespace_events.for_each(|_| async {}) => Err(RunError::PartEnded("the watch of Namespaces")),
        () = stop::follow(&operator, stop_events, health, &wake_policies) => Err(RunError::PartEnded("the watch of the stop ConfigMap")),
        () = leading::lead(&operator, &wake_policies) => Err(RunError::PartEnded("the start of work")),
        () = watch_requests(&operator, health) => Err(RunError::PartEnded("the watch of TapRequests")),
        () = dispatch::look_at_passes(&operator) => Err(RunError::PartEnded("the look at recorded passes")),
        () = dispatch::tell_of_queued(&operator) => Err(RunError::PartEnded("the news of requests that wait")),
        () = operator.notices.deliver(&operator) => Err(RunError::PartEnded("the delivery of notices")),
        () = evidence::read_logs(&operator, &wake_policies) => Err(RunError::PartEnded("the reading of logs")),
        () = leading::follow_clocks(&operator) => Err(RunError::PartEnded("the watch of Graph's clocks")),
        () = admission::keep(&operator, admission_watches, health, &admission_state, w.allow_unguarded) => Err(RunError::PartEnded("the watch of the admission policies")),
    }
}

fn tenants(clients: Vec<graph::Client>) -> BTreeMap<String, Tenant> {
    let connections = connections_of(&clients);
    let tenant = |(connection, client): (Connection, graph::Client)| {
        (connection.name.clone(), Tenant::new(connection, client))
    };
    connections.into_iter().zip(clients).map(tenant).collect()
}

fn connections(tenants: &BTreeMap<String, Tenant>) -> Arc<[Connection]> {
    tenants.values().map(|tenant| tenant.connection.clone()).collect()
}

fn stream_of<T>(
    mut receiver: tokio::sync::mpsc::UnboundedReceiver<T>,
) -> impl futures::Stream<Item = T> {
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// The reconciler requeues policies itself. An error that gets here all the same is retried soon.
fn retry(error: &ApiError) -> Action {
    tracing::warn!(%error, "reconciling a policy failed");
    Action::requeue(Duration::from_secs(5))
}
