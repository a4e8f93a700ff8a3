//! `tap-operator run`: the operator.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use kube::Config;
use tap_operator::cluster::connection::OwnConnections;
use tap_operator::controller::{self, Chance, Clocks, Connections, LocalClock, Metrics, Options};
use tap_operator::decision::situation::Settings;
use tap_operator::{graph, version};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::core_dumps;

use super::connections::ConnectionArguments;
use super::log::{self, LogFormat};
use super::notices::NoticeArguments;

/// The time after which Graph's gateway gives up a call (documented).
const GRAPH_GATEWAY_LIMIT: SignedDuration = SignedDuration::from_secs(60);

/// How long nothing may come from the API server before another connection is made.
const SILENCE: Duration = Duration::from_secs(150);
/// The longest that a connection to the API server may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Run the operator
///
/// One tenant is configured by the environment: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and one of `AZURE_FEDERATED_TOKEN_FILE`
/// (workload identity), `AZURE_CLIENT_CERTIFICATE_PATH` (with `AZURE_CLIENT_CERTIFICATE_KEY_PATH`, if the key is in a separate
/// file), `AZURE_CLIENT_SECRET_FILE`, or `TAP_OPERATOR_MANAGED_IDENTITY=true`. Its connection is named `default`. Secrets are
/// read from mounted files only, and read again when they change.
///
/// Optional: `TAP_OPERATOR_CLOUD` (global, usgov or usgovdod; default global); `AZURE_AUTHORITY_HOST` and
/// `TAP_OPERATOR_GRAPH_URL` (other https URLs for sign-in and Graph); `TAP_OPERATOR_USER_NAME` (`userPrincipalName`,
/// `objectId` or both: what Kubernetes user names are in the tenant, after `TAP_OPERATOR_USER_NAME_PREFIX` is removed), with which the
/// operator keeps people from asking for a pass of their own and from approving it.
///
/// Several tenants are configured by --tenants-file, in YAML:
/// `tenants: [{name, tenantId, clientId, cloud, credential, users: {form, prefix}, ceilings, loginUrl, graphUrl}]`, where `credential` is one of
/// `workloadIdentity: {tokenFile}`, `clientCertificate: {certificateFile, keyFile}`, `clientSecret: {file}` and
/// `managedIdentity: {}`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Namespace of the operator, its lease and the `ConfigMap` tap-operator-stop
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system")]
    namespace: String,
    /// Name of this replica, different from that of any other; an id of this run is added
    #[arg(long, env = "POD_NAME", default_value = "tap-operator")]
    pod_name: String,
    /// Address at which /healthz, /readyz and /metrics are served
    #[arg(long, env = "TAP_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    connections: ConnectionArguments,
    #[command(flatten)]
    notices: NoticeArguments,
    /// The longest time after which a call to Graph or the API server that was given up may still take effect or show in a
    /// list: the deadline of a call, Graph's own limit of 60 s, and its lag
    #[arg(long, env = "TAP_OPERATOR_SETTLE_TIME", default_value = "150s", value_parser = super::duration)]
    settle_time: SignedDuration,
    /// How often an active pass is read, to see whether it was used or removed
    #[arg(long, env = "TAP_OPERATOR_USE_CHECK_INTERVAL", default_value = "60s", value_parser = super::duration)]
    use_check_interval: SignedDuration,
    /// Issue passes even if the admission policies are not in force: for trying out, never for a tenant that matters
    #[arg(long)]
    allow_unguarded: bool,
    /// Format of the log; by default text on a terminal, else JSON
    #[arg(long, env = "TAP_OPERATOR_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// What is logged, as a filter of the Rust crate tracing
    #[arg(
        long,
        env = "TAP_OPERATOR_LOG",
        default_value = "info,kube_client=warn,kube_client::client=off,azure_core=warn,azure_identity=warn,typespec_client_core=warn"
    )]
    log: String,
}

/// Runs the operator until a signal stops it. Once the log is there, its last words are in it.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log::start(arguments.log_format, &arguments.log)?;
    let Err(error) = operate(arguments).await else { return Ok(ExitCode::SUCCESS) };
    tracing::error!(error = format!("{error:#}"), "the operator ends");
    Ok(ExitCode::FAILURE)
}

async fn operate(arguments: Arguments) -> anyhow::Result<()> {
    core_dumps::forbid();
    if arguments.settle_time < arguments.connections.call_deadline + GRAPH_GATEWAY_LIMIT {
        tracing::warn!(
            "the settle time is shorter than the deadline of a call plus Graph's own limit of 60 s: a pass or Secret that is created late may go unnoticed"
        );
    }
    let shutdown = CancellationToken::new();
    end_on_signal(&shutdown)?;
    let clocks = Arc::new(Clocks::new(LocalClock::of_the_system()));
    let metrics = Metrics::default();
    let connections = Connections::default();
    let tenants = arguments.connections.clients(&clocks, {
        let (metrics, connections, clocks) =
            (metrics.clone(), connections.clone(), Arc::clone(&clocks));
        Arc::new(move |connection, report| {
            metrics.report(&connection.name, &report);
            connections.report(connection, &report, clocks.local());
        })
    });
    let told = arguments.notices.told(arguments.connections.extra_ca.as_deref());
    let (tenants, told) = match (tenants, told) {
        (Err(tenants), Err(told)) => bail!("{tenants}\n{told}"),
        (tenants, told) => (tenants?, told?),
    };

    let mut config =
        Config::infer().await.context("no cluster: set KUBECONFIG, or run inside a pod")?;
    // A retried POST could be answered with "already exists" because of our first one. The reconcilers retry instead: they
    // know what they have done.
    config.default_retry = false;
    // A connection on which nothing comes for so long is dead: watches get a bookmark about once a minute, and calls have
    // shorter deadlines.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    let unusable = "the cluster's configuration cannot be used";
    let client = kube::Client::try_from(config.clone()).context(unusable)?;
    let own = OwnConnections::new(config).context(unusable)?;
    let listener = TcpListener::bind(arguments.listen).with_context(|| {
        format!("cannot listen on {}: choose another address with --listen", arguments.listen)
    })?;
    for tenant in &tenants {
        tell_connection(tenant.config());
    }
    for receiver in told.iter().flat_map(|told| &told.receivers.all) {
        tracing::info!(receiver = receiver.name, format = ?receiver.format, "receiver of notices");
    }
    tracing::info!(version = version::VERSION, commit = version::COMMIT, namespace = arguments.namespace, listen = %arguments.listen, "starting");
    controller::run(Options {
        client,
        own_connection: Box::new(move || own.client()),
        namespace: arguments.namespace,
        holder: format!("{}_{}", arguments.pod_name, uuid::Uuid::new_v4()),
        settings: Settings {
            settle: arguments.settle_time,
            use_check: arguments.use_check_interval,
        },
        tenants,
        clocks,
        chance: Chance::from_operating_system(),
        metrics,
        connections,
        told,
        allow_unguarded: arguments.allow_unguarded,
        listener: Some(listener),
        beside: controller::on_a_thread_of_its_own,
        shutdown,
    })
    .await?;
    tracing::info!("stopped");
    Ok(())
}

fn tell_connection(connection: &graph::ConnectionConfig) {
    let graph::ConnectionConfig { name, tenant_id, client_id, cloud, login_url, graph_url, .. } =
        connection;
    let (cloud, credential) = (cloud.name(), connection.credential.kind());
    tracing::info!(
        connection = name,
        tenant_id,
        client_id,
        cloud,
        credential,
        login_url,
        graph_url,
        "tenant connection"
    );
}

/// The first SIGTERM or SIGINT stops the operator gracefully, the second at once.
fn end_on_signal(shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                tracing::warn!("second signal: stopping at once");
                std::process::exit(130);
            }
            tracing::info!("signal received: finishing what is in progress, then stopping");
            shutdown.cancel();
        }
    });
    Ok(())
}
