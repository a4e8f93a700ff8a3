//! The process: watches, controllers, lease and health, and how it ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Resource as _;
use kube::api::{Api, ListParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::Reporter;
use kube::runtime::reflector::{Lookup as _, ObjectRef};
use kube::runtime::{Controller, watcher};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::admission::{self, Watches};
use super::chance::Chance;
use super::clocks::Clocks;
use super::error::{ApiError, call};
use super::fence::Known;
use super::health::{self, Health};
use super::lease::{LeaderLease, LeaseLost};
use super::metrics::Metrics;
use super::operator::{Operator, Stores, Tenant};
use super::places::Places;
use super::sightings::Sightings;
use super::watches::{GuardedPolicy, GuardedRequest, watch};
use super::{policy, request};
use crate::api::names::{FINALIZER, OPERATOR, STOP_CONFIG_MAP};
use crate::api::{Phase, TapRequest};
use crate::decision::admission::Guard;
use crate::decision::intent::has_finalizer;
use crate::decision::life::situation::{Connection, Settings};
use crate::graph;

/// The oldest Kubernetes whose admission policies the promises can rest on.
const OLDEST_MINOR: u32 = 30;
/// How many of the requests that are worked on may wait for answers of tenants on the way to an issue.
const ISSUING: usize = 32;
/// How many requests are worked on at once.
const CONCURRENCY: u16 = 64;
/// How often what is gone is forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// How long to wait before asking again for what is not there at the start.
const START_AGAIN: Duration = Duration::from_secs(3);
/// How long a tenant, or a word about the admission policies, is waited for at the start.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long to wait before looking again whether the cache shows all attempts.
const CATCH_UP_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait between two questions to a tenant whose clock seems to have jumped.
const CLOCK_AGAIN: Duration = Duration::from_millis(500);

/// How to run an operator.
pub struct Options {
    /// The API server.
    pub client: kube::Client,
    /// Makes a connection to the API server that nothing else uses.
    pub own_connection: Box<dyn Fn() -> kube::Result<kube::Client> + Send + Sync>,
    /// The operator's own namespace.
    pub namespace: String,
    /// This process, unlike any other: the holder of its lease and of its intents.
    pub holder: String,
    /// How decisions are set up.
    pub settings: Settings,
    /// One Graph client for each tenant connection.
    pub tenants: Vec<graph::Client>,
    /// Local time and Graph's; the Graph clients report to it.
    pub clocks: Arc<Clocks>,
    /// What is random in what it does.
    pub chance: Chance,
    /// Metrics; the Graph clients report to them.
    pub metrics: Metrics,
    /// Issue even where the admission policies are not in force: for trying out.
    pub allow_unguarded: bool,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub listener: Option<TcpListener>,
    /// Ends the process gracefully.
    pub shutdown: CancellationToken,
}

/// Why an operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Kubernetes is too old.
    #[error(
        "Kubernetes 1.{minor} is too old: validating admission policies, on which the operator's promises rest, are there from 1.{OLDEST_MINOR} on; upgrade the cluster"
    )]
    TooOld {
        /// Minor version of the API server.
        minor: u32,
    },
    /// Another replica works now.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// A part that must never end has ended.
    #[error("{0} has ended, which it never should: the process ends, so that it is started anew")]
    PartEnded(&'static str),
    /// Health and metrics cannot be served.
    #[error("health and metrics cannot be served: {0}")]
    Serve(#[from] std::io::Error),
}

/// Runs an operator until it is told to end, or something that must never end does.
pub async fn run(options: Options) -> Result<(), RunError> {
    let health = Health::default();
    let shutdown = options.shutdown.clone();
    let served = serve(options.listener, &health, &options.metrics);
    let work = work(
        Work {
            client: options.client,
            own_connection: options.own_connection,
            namespace: options.namespace,
            holder: options.holder,
            settings: options.settings,
            tenants: options.tenants,
            clocks: options.clocks,
            chance: options.chance,
            metrics: options.metrics.clone(),
            allow_unguarded: options.allow_unguarded,
        },
        &health,
        &shutdown,
    );
    tokio::select! {
        biased;
        outcome = work => outcome,
        served = served => served,
    }
}

struct Work {
    client: kube::Client,
    own_connection: Box<dyn Fn() -> kube::Result<kube::Client> + Send + Sync>,
    namespace: String,
    holder: String,
    settings: Settings,
    tenants: Vec<graph::Client>,
    clocks: Arc<Clocks>,
    chance: Chance,
    metrics: Metrics,
    allow_unguarded: bool,
}

async fn serve(
    listener: Option<TcpListener>,
    health: &Health,
    metrics: &Metrics,
) -> Result<(), RunError> {
    match listener {
        None => std::future::pending().await,
        Some(listener) => {
            let router = health::router(health.clone(), metrics.clone());
            axum::serve(listener, router).await?;
            Err(RunError::PartEnded("the health server"))
        }
    }
}

async fn work(w: Work, health: &Health, shutdown: &CancellationToken) -> Result<(), RunError> {
    let started = tokio::select! {
        biased;
        started = wait_for_cluster(&w.client, health) => started,
        () = shutdown.cancelled() => return Ok(()),
    };
    started?;
    let lease = LeaderLease::new(
        Api::<Lease>::namespaced(w.client.clone(), &w.namespace),
        OPERATOR,
        &w.holder,
    );

    let all = watcher::Config::default;
    let client = &w.client;
    let (requests, request_stream) =
        watch(Api::<GuardedRequest>::all(client.clone()), all(), "TapRequests", health);
    let (policies, policy_stream) =
        watch(Api::<GuardedPolicy>::all(client.clone()), all(), "TapPolicies", health);
    let (namespaces, namespace_stream) =
        watch(Api::<Namespace>::all(client.clone()), all(), "Namespaces", health);
    let only_stop = all().fields(&format!("metadata.name={STOP_CONFIG_MAP}"));
    let (stop, stop_stream) = watch(
        Api::<ConfigMap>::namespaced(client.clone(), &w.namespace),
        only_stop,
        "the stop ConfigMap",
        health,
    );

    let admission_watches = Watches::new(client, health);
    let (known, admission) = tokio::sync::watch::channel(Known::nothing(w.allow_unguarded));

    let (nudges, to_look_at) = tokio::sync::mpsc::unbounded_channel();
    let (policy_nudges, policies_to_look_at) = tokio::sync::mpsc::unbounded_channel::<()>();
    let reporter = Reporter { controller: OPERATOR.into(), instance: Some(w.holder.clone()) };
    let operator = Arc::new(Operator {
        reporter,
        client: w.client.clone(),
        own_connection: w.own_connection,
        namespace: w.namespace,
        holder: w.holder,
        settings: w.settings,
        tenants: tenants(w.tenants),
        clocks: w.clocks,
        chance: w.chance,
        lease: lease.view(),
        stores: Stores { requests: requests.clone(), policies: policies.clone(), namespaces, stop },
        turns: super::registry::Turns::default(),
        places: Places::new(ISSUING, nudges.clone()),
        quotas: super::quotas::Quotas::default(),
        own_passes: super::registry::OwnPasses::default(),
        memories: std::sync::Mutex::default(),
        corrections: std::sync::Mutex::default(),
        told_permissions: std::sync::Mutex::default(),
        informed: AtomicBool::new(false),
        caught_up: AtomicBool::new(false),
        admission,
        nudges,
        metrics: w.metrics.clone(),
    });

    let policy_stream =
        policy_stream.inspect(on_policies(Arc::clone(&operator), policy_nudges.clone()));
    let on_request = Arc::clone(&operator);
    let request_stream = request_stream.inspect(move |seen| on_request.call_after(seen));
    let request_controller = Controller::for_stream(request_stream, requests)
        .reconcile_on(stream_of(to_look_at))
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(request::reconcile, |_, error, _| retry(error), Arc::clone(&operator))
        .for_each(|_| async {});
    let policy_controller = Controller::for_stream(policy_stream, policies)
        .reconcile_all_on(stream_of(policies_to_look_at))
        .with_config(Config::default().concurrency(4))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(policy::reconcile, |_, error, _| retry(error), Arc::clone(&operator))
        .for_each(|_| async {});

    let on_stop = Arc::clone(&operator);
    let stop_nudges = policy_nudges.clone();
    let stop_watch = stop_stream.for_each(move |_| {
        on_stop.nudge_all();
        let _ = stop_nudges.send(());
        async {}
    });

    let controllers = async {
        tokio::join!(request_controller, policy_controller);
        // Told to end: nothing works any more, so another replica may.
        lease.release().await;
    };
    tokio::select! {
        biased;
        () = controllers => if shutdown.is_cancelled() { Ok(()) } else { Err(RunError::PartEnded("a controller")) },
        lost = lease.run() => Err(lost.into()),
        () = namespace_stream.for_each(|_| async {}) => Err(RunError::PartEnded("the watch of Namespaces")),
        () = stop_watch => Err(RunError::PartEnded("the watch of the stop ConfigMap")),
        () = lead(&operator, &policy_nudges) => Err(RunError::PartEnded("the leader's watch")),
        () = forget_the_gone(&operator) => Err(RunError::PartEnded("the forgetting")),
        () = look_at_passes(&operator) => Err(RunError::PartEnded("the look at passes")),
        () = follow_clocks(&operator) => Err(RunError::PartEnded("the clock")),
        () = admission::keep(&operator, admission_watches, health, &known, w.allow_unguarded) => Err(RunError::PartEnded("the watch of the admission policies")),
    }
}

/// What a policy that was seen to change makes to be looked at again.
fn on_policies(
    operator: Arc<Operator>,
    all_policies: tokio::sync::mpsc::UnboundedSender<()>,
) -> impl FnMut(&watcher::Result<GuardedPolicy>) {
    let mut managers = HashMap::new();
    move |seen| {
        let Ok(policy) = seen else { return };
        let name = policy.name().unwrap_or_default();
        operator.nudge_waiting(&name);
        // What a policy does depends on who else manages the method of its tenant.
        let managed = operator.managed_by(&name);
        let changed = managers.get(name.as_ref()) != managed.as_ref();
        match managed {
            Some(managed) => managers.insert(name.into_owned(), managed),
            None => managers.remove(name.as_ref()),
        };
        if changed {
            let _ = all_policies.send(());
        }
    }
}

fn tenants(clients: Vec<graph::Client>) -> BTreeMap<String, Tenant> {
    let tenant = |client: graph::Client| {
        let connection = Connection {
            name: client.connection().to_owned(),
            tenant_id: client.tenant_id().to_owned(),
            client_id: client.config().client_id.clone(),
            cloud: client.config().cloud,
            users: client.config().users.clone(),
        };
        (connection.name.clone(), Tenant { connection, client, sightings: Sightings::default() })
    };
    clients.into_iter().map(tenant).collect()
}

fn stream_of<T>(
    mut receiver: tokio::sync::mpsc::UnboundedReceiver<T>,
) -> impl futures::Stream<Item = T> {
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// The reconcilers say themselves when to come back; an error that gets here is retried soon.
fn retry(error: &ApiError) -> Action {
    tracing::warn!(%error, "a reconcile failed");
    Action::requeue(Duration::from_secs(5))
}

/// Waits until Kubernetes answers, is new enough, and knows the resources.
async fn wait_for_cluster(client: &kube::Client, health: &Health) -> Result<(), RunError> {
    loop {
        match call("get version", client.apiserver_version()).await {
            Ok(version) => {
                let minor = version
                    .minor
                    .trim_end_matches(|c: char| !c.is_ascii_digit())
                    .parse()
                    .unwrap_or(0);
                if version.major == "1" && minor < OLDEST_MINOR {
                    return Err(RunError::TooOld { minor });
                }
                break;
            }
            Err(error) => wait(health, &format!("Kubernetes cannot be reached: {error}")).await,
        }
    }
    let one = ListParams::default().limit(1);
    loop {
        let requests =
            call("list TapRequests", Api::<GuardedRequest>::all(client.clone()).list(&one))
                .await
                .map(drop);
        let policies =
            call("list TapPolicies", Api::<GuardedPolicy>::all(client.clone()).list(&one))
                .await
                .map(drop);
        match requests.and(policies) {
            Ok(()) => break,
            Err(ApiError::NotFound { .. }) => {
                wait(health, "the custom resource definitions are not there: install them with kubectl apply -k crds").await;
            }
            Err(error) => wait(health, &format!("the resources cannot be read: {error}")).await,
        }
    }
    health.waits_for(None);
    Ok(())
}

async fn wait(health: &Health, what: &str) {
    tracing::warn!("{what}");
    health.waits_for(Some(what));
    tokio::time::sleep(START_AGAIN).await;
}

/// Once this process leads and knows what it must, everything is looked at.
async fn lead(operator: &Operator, policies: &tokio::sync::mpsc::UnboundedSender<()>) {
    let mut lease = operator.lease.clone();
    lease.acquired().await;
    operator.metrics.leads(true);
    let stores = &operator.stores;
    // They are dropped only when everything ends.
    let _ = tokio::join!(
        stores.requests.wait_until_ready(),
        stores.policies.wait_until_ready(),
        stores.namespaces.wait_until_ready(),
        stores.stop.wait_until_ready(),
    );
    tokio::join!(
        ask_for_the_time(operator),
        ask_for_the_permissions(operator),
        wait_for_admission(operator)
    );
    operator.informed.store(true, Ordering::Release);
    operator.nudge_all();
    let _ = policies.send(());
    catch_up(operator).await;
    operator.caught_up.store(true, Ordering::Release);
    std::future::pending::<()>().await;
}

/// Waits until the cache shows every attempt that the API server has: it may lag, and not show the last ones of the process
/// that led before. Until then nothing is issued; all else goes on.
async fn catch_up(operator: &Operator) {
    let api = Api::<TapRequest>::all(operator.client.clone());
    loop {
        match call("list TapRequests", api.list_metadata(&ListParams::default())).await {
            Ok(listed) if listed.items.iter().all(|request| operator.has_seen(request)) => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "nothing is issued before the requests are known"),
        }
        tokio::time::sleep(CATCH_UP_AGAIN).await;
    }
}

/// Asks each tenant for the time, so that nothing ends by a local clock that is wrong, nor by one wrong answer. Who does
/// not answer soon is not waited for: revocation must go on while Graph is gone.
async fn ask_for_the_time(operator: &Operator) {
    let asked = operator.tenants.values().map(|tenant| async {
        let until_certain = async {
            loop {
                // Only the answer's Date matters.
                let _ = tenant.client.method(graph::Priority::Read).await;
                if operator.clocks.is_certain(&tenant.connection.tenant_id) {
                    break;
                }
                tokio::time::sleep(CLOCK_AGAIN).await;
            }
        };
        if tokio::time::timeout(FIRST_ANSWER, until_certain).await.is_err() {
            let name = tenant.connection.name.as_str();
            tracing::warn!(
                connection = name,
                "the tenant does not tell the time; until it does, the local clock must do"
            );
        }
    });
    futures::future::join_all(asked).await;
}

/// Forgets now and then what is gone, lest a user's turn is kept by a request that nobody will look at again.
async fn forget_the_gone(operator: &Operator) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        operator.forget_the_gone();
    }
}

/// Looks at active passes when their requests want it.
async fn look_at_passes(operator: &Operator) {
    let looks = operator.tenants.values().map(|t| t.sightings.look(&t.client, &operator.nudges));
    futures::future::join_all(looks).await;
    // Without a tenant there is nothing to look at.
    std::future::pending::<()>().await;
}

/// Asks what the app of each connection may do, so that the log says at the start what is missing and what is too much.
async fn ask_for_the_permissions(operator: &Operator) {
    let asked = operator.tenants.values().map(|tenant| async {
        // Who does not answer is told of elsewhere.
        let _ = tokio::time::timeout(FIRST_ANSWER, operator.permissions(tenant)).await;
    });
    futures::future::join_all(asked).await;
}

/// Asks a tenant again whose clock seems to have jumped, and looks at everything when it has.
async fn follow_clocks(operator: &Operator) {
    loop {
        tokio::select! {
            biased;
            () = operator.clocks.suspect.notified() => {
                tokio::time::sleep(CLOCK_AGAIN).await;
                // Only the answers' Dates matter.
                let asked = operator.tenants.values().map(|t| t.client.method(graph::Priority::Read));
                futures::future::join_all(asked).await;
            }
            () = operator.clocks.jumped.notified() => operator.nudge_all(),
        }
    }
}

/// Waits until it is known whether the admission policies are in force, so that no request says that it is not. No longer
/// than for a tenant: revocation must go on.
async fn wait_for_admission(operator: &Operator) {
    let mut admission = operator.admission.clone();
    let answer = admission.wait_for(|known| known.guard != Guard::Unknown);
    let _ = tokio::time::timeout(FIRST_ANSWER, answer).await;
}

impl Operator {
    /// Whether the cache shows the attempt that a request, as the API server has it, carries.
    fn has_seen(&self, request: &PartialObjectMeta<TapRequest>) -> bool {
        let meta = &request.metadata;
        if !meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
            return true;
        }
        let name = meta.name.as_deref().unwrap_or_default();
        let at = ObjectRef::new(name).within(meta.namespace.as_deref().unwrap_or_default());
        self.stores.requests.get(&at).is_some_and(|cached| {
            cached.meta().uid == meta.uid && cached.meta().annotations == meta.annotations
        })
    }

    /// A request changed, and may have ended: whoever waited for its place within a quota is looked at.
    fn call_after(&self, seen: &watcher::Result<GuardedRequest>) {
        if let Ok(DeserializeGuard(Ok(request))) = seen {
            self.call_who_waits(&request.spec.policy_ref.name);
        }
    }

    /// Looks again at every request for which something is left to do.
    pub(super) fn nudge_all(&self) {
        self.nudge(|_| true);
    }

    /// Looks again at every request that waits and names this policy.
    fn nudge_waiting(&self, policy: &str) {
        self.nudge(|request| {
            request.spec.policy_ref.name == policy && request.phase() != Phase::Active
        });
    }

    fn nudge(&self, which: impl Fn(&TapRequest) -> bool) {
        for request in self.requests() {
            let Ok(readable) = &request.0 else { continue };
            // One that has ended may still have the finalizer, where a process died before it took that off.
            let ended = readable.phase().is_final() && !has_finalizer(readable);
            if (!ended || readable.spec.ttl_after_finished.is_some()) && which(readable) {
                let _ = self.nudges.send(ObjectRef::from_obj(request.as_ref()));
            }
        }
    }
}
