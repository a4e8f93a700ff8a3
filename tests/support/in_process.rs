//! A cluster, a tenant and operators in one process, and checks of the operator's promises.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use age::x25519::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use graph_simulator::{Actor, LedgerEntry, Operation, Simulator, Tenant};
use jiff::{SignedDuration, Timestamp};
use kube::CustomResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::names::{INTENT_ANNOTATION, SECRET_TYPE};
use tap_operator::api::{Phase, TapPolicy, TapRequest, yaml};
use tap_operator::controller::{
    self, Chance, Clocks, Connections, LocalClock, Metrics, Options, RunError,
};
use tap_operator::decision::intent::{Intent, has_finalizer};
use tap_operator::decision::situation::Settings;
use tap_operator::graph::{self, Client, ConnectionConfig, Pace, Transport};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::transport::InProcess;
use kubernetes_api::{
    KubernetesApi, LoggedRequest, Match, Operation as Write, Refusal, Resource, Review, Verb,
    statuses,
};

/// The namespace of requests.
pub const NAMESPACE: &str = "helpdesk";
/// The namespace of the operator.
pub const SYSTEM: &str = "tap-operator-system";
/// The operator's user name.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:tap-operator-system:tap-operator";
/// The settle time of these operators.
pub const SETTLE: Duration = Duration::from_secs(150);
/// Within this time after the last fault everything must be in order again.
pub const IN_ORDER: Duration = Duration::from_secs(150 + 60);
/// The interval at which an active pass is read.
pub const USE_CHECK: Duration = Duration::from_mins(1);
/// Long enough for everything that waits for nothing but the network.
pub const SOON: Duration = Duration::from_secs(5);
/// The intervals at which a condition is polled: short at first, then longer.
const POLL_INTERVALS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// The client secret in a file, as it is mounted into a pod.
static SECRET_FILE: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), OPERATOR_SECRET).expect("written");
    file
});

/// The definitions of requests and policies.
static DEFINITIONS: LazyLock<(Resource, Resource)> = LazyLock::new(|| {
    (Resource::from_crd(&TapRequest::crd()), Resource::from_crd(&TapPolicy::crd()))
});

/// The path of that file.
pub fn secret_file() -> String {
    SECRET_FILE.path().display().to_string()
}

/// The connection to Contoso, by a client secret.
pub fn connections_to_contoso() -> Vec<ConnectionConfig> {
    let environment: HashMap<String, String> = [
        ("AZURE_TENANT_ID", CONTOSO.to_string()),
        ("AZURE_CLIENT_ID", OPERATOR.to_string()),
        ("AZURE_CLIENT_SECRET_FILE", secret_file()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    graph::connections_from_env(&environment).expect("a connection")
}

/// A cluster and a tenant.
pub struct World {
    pub kubernetes: KubernetesApi,
    pub tenant: Simulator,
    /// Decrypts what is sealed to [`World::reader`].
    identity: Identity,
    /// Whether the API server enforces the admission policies, whether or not they exist.
    pub enforcing: Arc<AtomicBool>,
    start: Timestamp,
    began: Instant,
    replicas: AtomicU32,
}

/// A running operator. It ends with this value.
pub struct Operator {
    task: JoinHandle<Result<(), RunError>>,
    shutdown: CancellationToken,
    /// Its metrics.
    pub metrics: Metrics,
    /// What it knows of its tenant connections.
    pub connections: Connections,
}

impl Operator {
    /// Ends it at once, in whatever state it is. What it has sent may still arrive.
    pub async fn crash(self) {
        self.task.abort();
        self.gone().await;
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_mins(1), &mut self.task).await;
        let ended = ended.expect("it ends in time").expect("no panic");
        ended.expect("it was told to end");
    }

    /// Waits until it has ended by itself. Returns the error.
    pub async fn ended(&mut self, patience: Duration) -> RunError {
        let ended = tokio::time::timeout(patience, &mut self.task).await;
        let ended = ended.unwrap_or_else(|_| panic!("it has not ended within {patience:?}"));
        ended.expect("no panic").expect_err("nobody told it to end")
    }

    /// Waits until it has ended by a panic. Returns the message.
    pub async fn panicked(&mut self, patience: Duration) -> String {
        let ended = tokio::time::timeout(patience, &mut self.task).await;
        let ended = ended.unwrap_or_else(|_| panic!("it has not ended within {patience:?}"));
        let panic = ended.expect_err("it ended without a panic").into_panic();
        match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => *panic.downcast::<String>().expect("a text"),
        }
    }

    /// Tells it to end, as SIGTERM does.
    pub fn tell_to_end(&self) {
        self.shutdown.cancel();
    }

    /// Whether it has ended; a panic is an error with its message. Must not be called again after that.
    pub fn poll_exit(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        Pin::new(&mut self.task).poll(context).map(|ended| match ended {
            Err(error) if error.is_panic() => {
                let panic = error.into_panic();
                let text = panic.downcast_ref::<String>().cloned();
                Err(text
                    .or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()))
                    .unwrap_or_default())
            }
            _ => Ok(()),
        })
    }

    async fn gone(mut self) {
        let _ = (&mut self.task).await;
        // Its reconciles are tasks of their own, which end a moment later.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// Contoso, a cluster with what the operator needs, and the policy `contoso`, which requires no approval.
    pub fn new() -> Self {
        let world = Self::without_admission_policies();
        world.install_admission_policies();
        world
    }

    /// The same without the admission policies.
    pub fn without_admission_policies() -> Self {
        let start = "2026-11-23T08:00:00Z".parse().expect("a time");
        let kubernetes = KubernetesApi::new(start);
        let pending = json!({"phase": "Pending", "decisions": []});
        let (requests, policies) = &*DEFINITIONS;
        kubernetes.register(requests.clone().with_default_status(pending));
        kubernetes.register(policies.clone());
        for namespace in [NAMESPACE, SYSTEM] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            kubernetes.put(namespace);
        }
        let tenant = Simulator::starting_at(Tenant::contoso(), start);
        // Pacing to Graph's limit is tested elsewhere.
        tenant.switch(|switches| switches.authentication_method_limit = None);
        let short = json!({"minimumLifetimeInMinutes": 10, "defaultLifetimeInMinutes": 10});
        tenant.portal_patch_policy(&short).expect("passes of ten minutes");
        let world = Self {
            kubernetes,
            tenant,
            identity: Identity::generate(),
            enforcing: Arc::default(),
            start,
            began: Instant::now(),
            replicas: AtomicU32::new(0),
        };
        for (resource, rule) in [("secrets", secret_rules as Rule), ("taprequests", request_rules)]
        {
            let enforcing = Arc::clone(&world.enforcing);
            world.kubernetes.admit(resource, move |review| {
                if enforcing.load(Ordering::Relaxed) { rule(review) } else { Ok(()) }
            });
        }
        world.policy(&json!({}));
        world
    }

    /// Installs the admission policies and enforces them, as if they had been there for an hour.
    pub fn install_admission_policies(&self) {
        for object in admission() {
            self.put_created_at(object, self.kubernetes.now() - SignedDuration::from_hours(1));
        }
        self.enforcing.store(true, Ordering::Relaxed);
    }

    /// Writes one of the admission policies or bindings with this creation time.
    pub fn put_created_at(&self, mut object: Value, created: Timestamp) {
        object["metadata"]["creationTimestamp"] = json!(format!("{created:.0}"));
        self.kubernetes.put(object);
    }

    /// Writes the policy `contoso`. These fields of `issuance` are added to the usual ones or replace them.
    pub fn policy(&self, fields: &Value) {
        let mut issuance = json!({
            "namespaces": {"names": [NAMESPACE]},
            "users": {"domains": ["contoso.com"]},
            "lifetime": {"default": "10m", "maximum": "8h"},
            "approval": {"required": 0},
        });
        merge(&mut issuance, fields);
        self.kubernetes.put(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": {"name": "contoso"},
            "spec": {"tenant": "default", "issuance": issuance},
        }));
    }

    /// Sets the emergency stop, with this in its `ConfigMap`.
    pub fn stop(&self, data: &Value) {
        self.kubernetes.put(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": "tap-operator-stop", "namespace": SYSTEM},
        }));
    }

    /// Writes a policy with this whole spec.
    pub fn policy_named(&self, name: &str, spec: &Value) {
        self.kubernetes.put(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
            "metadata": {"name": name}, "spec": spec,
        }));
    }

    /// A policy's condition: its status and reason.
    pub fn policy_says(&self, name: &str, type_: &str) -> String {
        let policy = self.kubernetes.get("tappolicies", "", name).unwrap_or_default();
        let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|c| c["type"] == type_).unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("status"), text("reason"))
    }

    /// Creates a request for Alice. These fields of the spec are added to the usual ones or replace them.
    pub fn request(&self, name: &str, fields: &Value) {
        let mut spec = json!({
            "policyRef": {"name": "contoso"}, "user": "alice@contoso.com", "lifetime": "1h",
            "requestedBy": "rita@contoso.com",
        });
        merge(&mut spec, fields);
        self.kubernetes.put(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        }));
    }

    /// The public key, as a recipient. [`World::delivered`] decrypts what is sealed to it.
    pub fn reader(&self) -> String {
        self.identity.to_public().to_string()
    }

    /// Starts an operator whose clock is right.
    pub fn operator(&self) -> Operator {
        self.operator_with_clock(SignedDuration::ZERO)
    }

    /// Starts an operator whose clock is ahead.
    pub fn operator_with_clock(&self, ahead: SignedDuration) -> Operator {
        self.operator_with(ahead, |_| {})
    }

    /// Starts an operator whose clock is ahead, with changed options.
    pub fn operator_with(
        &self,
        ahead: SignedDuration,
        change: impl FnOnce(&mut Options),
    ) -> Operator {
        self.operator_through(Arc::new(InProcess(self.tenant.clone())), ahead, change)
    }

    /// Starts an operator that reaches the tenant through another transport.
    pub fn operator_through(
        &self,
        transport: Arc<dyn Transport>,
        ahead: SignedDuration,
        change: impl FnOnce(&mut Options),
    ) -> Operator {
        self.start(ahead, connections_to_contoso(), transport, change)
    }

    /// Starts an operator with `--allow-unguarded`.
    pub fn unguarded_operator(&self) -> Operator {
        self.operator_with(SignedDuration::ZERO, |options| options.allow_unguarded = true)
    }

    /// Starts an operator that signs in to the one tenant as several apps. Each app is given by the name of its
    /// connection and its client id; all have the operator's secret.
    pub fn operator_with_apps(&self, apps: &[(&str, Uuid)]) -> Operator {
        let credential = json!({"clientSecret": {"file": secret_file()}});
        let connection = |(name, app): &(&str, Uuid)| json!({"name": name, "tenantId": CONTOSO, "clientId": app, "credential": credential});
        let file = json!({"tenants": apps.iter().map(connection).collect::<Vec<_>>()});
        let connections = graph::connections_from_text(&file.to_string(), "the test");
        let transport = Arc::new(InProcess(self.tenant.clone()));
        self.start(SignedDuration::ZERO, connections.expect("connections"), transport, |_| {})
    }

    /// Starts an operator with these connections.
    pub fn start(
        &self,
        ahead: SignedDuration,
        connections: Vec<ConnectionConfig>,
        transport: Arc<dyn Transport>,
        change: impl FnOnce(&mut Options),
    ) -> Operator {
        let passed = SignedDuration::try_from(self.began.elapsed()).expect("short");
        let clocks = Arc::new(Clocks::new(LocalClock::starting_at(self.start + passed + ahead)));
        let shutdown = CancellationToken::new();
        let client = self.kubernetes.client_as(SERVICE_ACCOUNT);
        let own = self.kubernetes.clone();
        let replica = self.replicas.fetch_add(1, Ordering::Relaxed);
        let seconds = |length: Duration| SignedDuration::try_from(length).expect("short");
        let (metrics, standings) = (Metrics::default(), Connections::default());
        let mut options = Options {
            client,
            own_connection: Box::new(move || Ok(own.client_as(SERVICE_ACCOUNT))),
            namespace: SYSTEM.into(),
            holder: format!("replica-{replica}"),
            settings: Settings { settle: seconds(SETTLE), use_check: seconds(USE_CHECK) },
            tenants: graph_clients(connections, transport, &clocks, &metrics, &standings),
            clocks,
            chance: Chance::from_operating_system(),
            metrics: metrics.clone(),
            connections: standings.clone(),
            told: None,
            allow_unguarded: false,
            listener: None,
            beside: |vitals| vitals,
            shutdown: shutdown.clone(),
        };
        change(&mut options);
        let task = tokio::spawn(controller::run(options));
        Operator { task, shutdown, metrics, connections: standings }
    }
}

fn graph_clients(
    connections: Vec<ConnectionConfig>,
    transport: Arc<dyn Transport>,
    clocks: &Arc<Clocks>,
    metrics: &Metrics,
    standings: &Connections,
) -> Vec<Client> {
    let mut options = graph::Options::new(transport);
    let [local, wall, learning] = [clocks, clocks, clocks].map(Arc::clone);
    options.clock = Arc::new(move || local.local());
    options.wall = Arc::new(move || wall.wall());
    options.pace = Pace { calls: 1000, most: 1000, window: Duration::from_secs(10) };
    options.on_date = Arc::new(move |connection, seen| {
        learning.learn(&connection.tenant_id, seen);
    });
    let (metrics, standings, local) = (metrics.clone(), standings.clone(), Arc::clone(clocks));
    options.on_report = Arc::new(move |connection, report| {
        metrics.report(&connection.name, &report);
        standings.report(connection, &report, local.local());
    });
    Client::connect(connections, &options)
}

/// What happens, and what can be seen.
impl World {
    /// A request as it is now; `None` when it is gone.
    pub fn find(&self, name: &str) -> Option<TapRequest> {
        let found = self.kubernetes.get("taprequests", NAMESPACE, name)?;
        Some(serde_json::from_value(found).expect("a TapRequest"))
    }

    /// A request as it is now.
    pub fn get(&self, name: &str) -> TapRequest {
        self.find(name).unwrap_or_else(|| panic!("{name} is gone\n{}", self.report()))
    }

    /// The phase of a request.
    pub fn phase(&self, name: &str) -> Phase {
        self.get(name).phase()
    }

    /// The reason of the condition Ready.
    pub fn reason(&self, name: &str) -> String {
        let status = self.get(name).status.unwrap_or_default();
        let ready = status.conditions.into_iter().find(|c| c.type_ == "Ready");
        ready.map(|c| c.reason).unwrap_or_default()
    }

    /// The code in a request's Secret, decrypted if it is sealed to [`World::reader`]; `None` if there is no Secret.
    pub fn delivered(&self, name: &str) -> Option<String> {
        let secret = self.kubernetes.get("secrets", NAMESPACE, name)?;
        let read = |key: &str| {
            Some(STANDARD.decode(secret["data"][key].as_str()?).expect("base64 in a Secret"))
        };
        let code = read("temporaryAccessPass").or_else(|| {
            let sealed = read("temporaryAccessPass.age")?;
            Some(age::decrypt(&self.identity, &sealed).expect("it is sealed to the reader"))
        });
        Some(String::from_utf8(code?).expect("UTF-8"))
    }

    /// The live passes that the operator made.
    pub fn live(&self) -> Vec<LedgerEntry> {
        let mut ledger = self.tenant.ledger();
        ledger.retain(|pass| pass.is_live() && matches!(pass.made_by, Actor::App { .. }));
        ledger
    }

    /// How many POSTs reached the tenant.
    pub fn posts(&self) -> usize {
        self.tenant.requests_for(Operation::PassCreate).len()
    }

    /// What the operator wrote, without its lease, its events and dry runs.
    pub fn writes(&self) -> Vec<LoggedRequest> {
        self.kubernetes.requests_for(&operators_writes())
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, patience: Duration, mut so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !so() {
            assert!(
                began.elapsed() < patience,
                "{what}: not within {patience:?}\n{}",
                self.report()
            );
            sleep((began.elapsed() / 50).clamp(POLL_INTERVALS[0], POLL_INTERVALS[1])).await;
        }
    }

    /// Waits until a request is in a phase.
    pub async fn until_phase(&self, name: &str, phase: Phase, patience: Duration) {
        let what = format!("{name} is {phase}");
        self.until(&what, patience, || self.find(name).is_some_and(|r| r.phase() == phase)).await;
    }

    /// Waits until a request has ended in a phase and the operator has released it.
    pub async fn until_ended(&self, name: &str, phase: Phase, patience: Duration) {
        self.until_phase(name, phase, patience).await;
        let what = format!("{name} is released");
        self.until(&what, patience, || !has_finalizer(&self.get(name))).await;
        assert_eq!(
            self.delivered(name),
            None,
            "{name} is {phase} and has a Secret\n{}",
            self.report()
        );
    }

    /// Appends a decision as this person.
    pub async fn decide(&self, name: &str, by: &str, decision: &str) {
        let requests: Api<TapRequest> = Api::namespaced(self.kubernetes.client_as(by), NAMESPACE);
        let append = json!([{"op": "add", "path": "/status/decisions/-", "value": {"by": by, "decision": decision}}]);
        let append = Patch::<()>::Json(serde_json::from_value(append).expect("a JSON patch"));
        let decided = requests.patch_status(name, &PatchParams::default(), &append).await;
        decided.expect("the decision is taken");
    }

    /// Deletes a request.
    pub fn delete(&self, name: &str) {
        self.kubernetes.delete("taprequests", NAMESPACE, name).expect("it is there");
    }

    /// Everything that helps to find out what went wrong.
    pub fn report(&self) -> String {
        let mut report = String::new();
        let mut line = |line: String| {
            report.push_str(&line);
            report.push('\n');
        };
        line(format!("--- now: {}; in the tenant: {}", self.kubernetes.now(), self.tenant.now()));
        for mut request in self.kubernetes.list("taprequests") {
            request["status"]["checks"].take();
            line(serde_json::to_string_pretty(&request).unwrap_or_default());
        }
        for secret in self.kubernetes.list("secrets") {
            line(format!("Secret {} {}", secret["metadata"]["name"], secret["type"]));
        }
        line("--- the ledger".into());
        for pass in self.tenant.ledger() {
            line(format!(
                "{} of {}: told {}: {:?}",
                pass.id,
                pass.user_principal_name,
                pass.is_told(),
                pass.end
            ));
        }
        line("--- calls to Graph".into());
        for call in self.tenant.requests() {
            line(format!(
                "{:.3} {} {} {:?} {:?}",
                call.at, call.method, call.path, call.status, call.fault
            ));
        }
        line("--- writes to Kubernetes".into());
        let quiet = Match::writes().when(|r| !matches!(r.resource.as_str(), "leases" | "events"));
        for write in self.kubernetes.requests_for(&quiet) {
            let dry = if write.is_dry_run() { " (dry run)" } else { "" };
            line(format!(
                "{:.3} {:?} {}{dry} {:?}",
                write.at, write.verb, write.path, write.answer
            ));
        }
        report
    }
}

/// The promises.
impl World {
    /// What must be true at every moment, whatever happened.
    pub fn check(&self) {
        self.each_post_was_recorded_before();
        self.the_code_is_in_the_secret_alone();
        self.no_secret_was_read();
        let balance = self.tenant.balance();
        assert_eq!(balance.deleted_foreign, 0, "a foreign pass was deleted\n{}", self.report());
    }

    /// What must be true once nothing happens any more: every live pass is recorded by a request, and every recorded
    /// pass is live and delivered.
    pub fn check_at_rest(&self) {
        self.check();
        let recorded: Vec<(String, String)> = self
            .requests()
            .iter()
            .filter(|r| r.phase() == Phase::Active)
            .filter_map(|r| {
                Some((r.status.as_ref()?.pass.as_ref()?.id.clone(), r.metadata.name.clone()?))
            })
            .collect();
        for pass in self.live() {
            // A used pass is left to expire, because the user is registering a new key.
            let by: Vec<_> = recorded.iter().filter(|(id, _)| *id == pass.id.to_string()).collect();
            let used = !pass.uses.is_empty();
            assert!(
                by.len() == 1 || (by.is_empty() && used),
                "{} is recorded by {by:?}\n{}",
                pass.id,
                self.report()
            );
            for (_, name) in by {
                assert_eq!(
                    self.delivered(name),
                    self.tenant.code(pass.id),
                    "{name}\n{}",
                    self.report()
                );
            }
        }
        for (id, name) in &recorded {
            let live = self.live().iter().any(|pass| pass.id.to_string() == *id);
            assert!(live, "{name} records {id}, which is not live\n{}", self.report());
        }
        let balance = self.tenant.balance();
        assert_eq!(
            balance.untold_live,
            0,
            "a pass whose code was never delivered is live\n{}",
            self.report()
        );
        assert_eq!(balance.untold_expired, 0, "a lost pass was left to expire\n{}", self.report());
        for secret in self.kubernetes.list("secrets") {
            let name = secret["metadata"]["name"].as_str().unwrap_or_default();
            let ours = secret["type"] == SECRET_TYPE;
            let owned = recorded.iter().any(|(_, request)| request == name);
            assert!(
                !ours || owned,
                "Secret {name} belongs to no active request\n{}",
                self.report()
            );
        }
    }

    /// Like [`World::check_at_rest`]; and the pass of this request is the only live one.
    pub fn check_delivered(&self, name: &str) {
        self.check_at_rest();
        let live = self.live();
        assert_eq!(live.len(), 1, "live passes: {live:?}\n{}", self.report());
        assert_eq!(self.delivered(name), self.tenant.code(live[0].id), "{}", self.report());
        let pass = self.get(name).status.and_then(|s| s.pass).expect("a pass");
        assert_eq!(pass.id, live[0].id.to_string());
        assert_eq!(Some(pass.client_request_id), live[0].client_request_id);
        let balance = self.tenant.balance();
        assert_eq!(balance.replaced, 0, "a pass was replaced by a POST\n{}", self.report());
    }

    pub fn requests(&self) -> Vec<TapRequest> {
        let read = |value| serde_json::from_value(value).expect("a TapRequest");
        self.kubernetes.list("taprequests").into_iter().map(read).collect()
    }

    pub fn each_post_was_recorded_before(&self) {
        let intents: Vec<(Timestamp, Intent)> = self
            .kubernetes
            .writes()
            .into_iter()
            .filter_map(|write| {
                let text = write.body["metadata"]["annotations"][INTENT_ANNOTATION].as_str()?;
                Some((write.at, serde_json::from_str(text).ok()?))
            })
            .collect();
        let mut sent = Vec::new();
        for post in self.tenant.requests_for(Operation::PassCreate) {
            let id = post.client_request_id.clone().unwrap_or_default();
            let stepped = self.kubernetes.now() != self.tenant.now();
            let recorded = intents
                .iter()
                .any(|(at, intent)| (stepped || *at <= post.at) && intent.attempt == id);
            assert!(recorded, "POST {id} was not recorded before\n{}", self.report());
            assert!(!sent.contains(&id), "POST {id} was sent twice\n{}", self.report());
            sent.push(id);
        }
    }

    pub fn the_code_is_in_the_secret_alone(&self) {
        let codes: Vec<String> =
            self.tenant.ledger().iter().filter_map(|pass| self.tenant.code(pass.id)).collect();
        for request in self.kubernetes.requests() {
            let mut body = request.body.clone();
            let create = request.resource == "secrets"
                && request.verb == Verb::Create
                && !request.is_dry_run();
            let mut text = String::new();
            let data = body.get_mut("data").and_then(Value::as_object_mut);
            if let Some(data) = data.filter(|_| create) {
                data.remove("temporaryAccessPass");
                for value in data.values() {
                    let value = STANDARD.decode(value.as_str().unwrap_or_default());
                    text.push_str(&String::from_utf8_lossy(&value.expect("base64 in a Secret")));
                }
            }
            text.push_str(&body.to_string());
            for code in &codes {
                let told = text.contains(code) || text.contains(&STANDARD.encode(code));
                assert!(!told, "{} {} carries a code", request.method, request.path);
                assert!(!request.path.contains(code), "a code in a path");
            }
        }
    }

    pub fn no_secret_was_read(&self) {
        let read = |r: &kubernetes_api::ApiRequest| !r.verb.writes();
        let reads = Match::any().resource("secrets").user(SERVICE_ACCOUNT).when(read);
        assert_eq!(self.kubernetes.requests_for(&reads).len(), 0, "the operator read Secrets");
    }
}

/// The operator's writes that may change something, without its lease, its events and its `SelfSubjectReview`.
pub fn operators_writes() -> Match {
    Match::writes()
        .user(SERVICE_ACCOUNT)
        .dry_run(false)
        .when(|r| !matches!(r.resource.as_str(), "leases" | "events" | "selfsubjectreviews"))
}

/// Write 1: the intent.
pub fn intent_write() -> Match {
    Match::verb(Verb::Patch).resource("taprequests").main_resource().when(|r| {
        let intent =
            r.body["metadata"]["annotations"][INTENT_ANNOTATION].as_str().unwrap_or_default();
        intent.contains(r#"{"name":"issuing"}"#)
    })
}

/// The write with which recovery begins.
pub fn recovery_write() -> Match {
    Match::verb(Verb::Patch).resource("taprequests").main_resource().when(|r| {
        let intent =
            r.body["metadata"]["annotations"][INTENT_ANNOTATION].as_str().unwrap_or_default();
        intent.contains(r#"{"name":"resolving""#)
    })
}

/// Write 2: the Secret.
pub fn secret_write() -> Match {
    Match::verb(Verb::Create).resource("secrets").dry_run(false)
}

/// Write 3: the status that says Active.
pub fn active_write() -> Match {
    Match::verb(Verb::Patch)
        .resource("taprequests")
        .subresource("status")
        .when(|r| r.body["status"]["phase"] == "Active")
}

/// The admission policies and bindings, as they are shipped.
pub fn admission() -> Vec<Value> {
    ADMISSION.clone()
}

static ADMISSION: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let read = |name: &str| -> Vec<Value> {
        let file = format!("{}/deploy/admission/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("the file is there");
        yaml::read_all(&text).expect("YAML")
    };
    ["requests", "decisions", "secrets"].into_iter().flat_map(read).collect()
});

type Rule = fn(&Review<'_>) -> Result<(), Refusal>;

/// What the admission policies on requests and decisions do about the operator's own writes.
fn request_rules(review: &Review<'_>) -> Result<(), Refusal> {
    let (Some(old), Some(new)) = (review.old, review.new) else { return Ok(()) };
    let labels = |object: &Value| -> Vec<_> {
        let all = object["metadata"]["labels"].as_object().cloned().into_iter().flatten();
        all.filter(|(name, _)| name.starts_with("tap-operator.io/")).collect()
    };
    let (policy, changed) = match review.subresource {
        Some(_) => ("decisions", old["status"]["decisions"] != new["status"]["decisions"]),
        None => ("requests", labels(old) != labels(new)),
    };
    if review.user != Some(SERVICE_ACCOUNT) || !changed {
        return Ok(());
    }
    let policy = format!("tap-operator-{policy}");
    Err(statuses::denied_by_policy(review.resource, review.name, &policy, "tap-operator does not"))
}

/// What the admission policy on Secrets does about the operator's own writes.
fn secret_rules(review: &Review<'_>) -> Result<(), Refusal> {
    if review.user != Some(SERVICE_ACCOUNT) {
        return Ok(());
    }
    let refuse = |message: &str| {
        Err(statuses::denied_by_policy(
            review.resource,
            review.name,
            "tap-operator-secrets",
            message,
        ))
    };
    let object = review.new.or(review.old).unwrap_or(&Value::Null);
    if object["type"] != SECRET_TYPE {
        let rule = "tap-operator creates and deletes only Secrets of type";
        return refuse(&format!("{rule} {SECRET_TYPE}"));
    }
    let uid = &review.options["preconditions"]["uid"];
    match review.operation {
        Write::Update => refuse("a Secret with a pass cannot be changed"),
        Write::Delete if !review.dry_run && !uid.is_string() => {
            refuse("tap-operator deletes Secrets only by uid")
        }
        Write::Create | Write::Delete => Ok(()),
    }
}

fn merge(into: &mut Value, fields: &Value) {
    if let (Some(into), Some(fields)) = (into.as_object_mut(), fields.as_object()) {
        for (name, value) in fields {
            into.insert(name.clone(), value.clone());
        }
    }
}
