//! Every call of every process passes this gate. The gate delays the call, lets calls arrive in an order that depends
//! on the seed alone, applies faults, and may let the process die at the call.
//!
//! Calls that arrive at the same moment arrive in the order of their descriptions, so that it does not matter in which
//! order a process happened to send them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use graph_simulator::Simulator;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tap_operator::graph::{self, SendOptions, Transport, TransportError};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Service as _, service_fn};

use crate::faults::{ApiFault, Class};
use crate::history::{self, History};
use crate::others::FABRIKAM_HOST;
use crate::plan::{Crash, Moment};
use crate::transport::InProcess;
use crate::world::SERVICE_ACCOUNT;
use kubernetes_api::KubernetesApi;

/// A gate between all processes and their servers.
#[derive(Debug)]
pub struct Gate {
    seed: u64,
    began: Instant,
    inner: Mutex<Inner>,
    deaths: UnboundedSender<Death>,
}

/// A process that dies at one of its effects, and for how many seconds it is away.
#[derive(Debug)]
pub struct Death {
    pub process: usize,
    pub away: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// The calls that are to arrive, by time and description.
    arriving: BTreeMap<(Instant, String, u64), Arc<Notify>>,
    arrivals: u64,
    effects: u64,
    crashes: Vec<Crash>,
    armed: Vec<Armed>,
    /// Which writes are refused with which status, and until when.
    refused: Vec<(Class, u16, Instant)>,
    /// For each process its replica, and whether it is dead.
    processes: Vec<(usize, bool)>,
    /// Which replicas are held up, until when, and whether only the calls about the lease are.
    held: Vec<(usize, Instant, bool)>,
    counts: BTreeMap<String, u64>,
    history: History,
}

#[derive(Debug)]
struct Armed {
    class: Class,
    skip: u32,
    times: u32,
    fault: ApiFault,
}

/// A call.
#[derive(Clone, Debug)]
struct Call {
    process: usize,
    /// A description of the call, as it is in the history.
    what: String,
    class: Option<Class>,
    effect: bool,
}

/// A route to a server.
trait Route: Send + Sync + 'static {
    type Answer: Send + 'static;
    type Error: Send + 'static;
    /// Sends the call. The server has it as soon as this is polled.
    fn send(&self) -> BoxFuture<'static, Result<Self::Answer, Self::Error>>;
    fn lost() -> Self::Error;
    fn refused(status: u16) -> Result<Self::Answer, Self::Error>;
    fn summary(answer: &Result<Self::Answer, Self::Error>) -> String;
}

impl Gate {
    /// A gate at which these crashes happen. Deaths are sent to the channel.
    pub fn new(seed: u64, crashes: &[Crash], deaths: UnboundedSender<Death>) -> Arc<Self> {
        let inner = Inner { crashes: crashes.to_vec(), ..Inner::default() };
        Arc::new(Self { seed, began: Instant::now(), inner: Mutex::new(inner), deaths })
    }

    /// Adds a new process of a replica. Returns its number.
    pub fn process(&self, replica: usize) -> usize {
        let mut inner = self.inner();
        inner.processes.push((replica, false));
        inner.processes.len() - 1
    }

    /// Marks a process as dead: nothing comes from it any more.
    pub fn dead(&self, process: usize) {
        self.inner().processes[process].1 = true;
    }

    /// Applies a fault to the next calls of a class.
    pub fn arm(&self, class: Class, skip: u32, times: u32, fault: ApiFault) {
        self.inner().armed.push(Armed { class, skip, times, fault });
    }

    /// Refuses all calls of a class for some time.
    pub fn refuse(&self, class: Class, status: u16, until: Instant) {
        self.inner().refused.push((class, status, until));
    }

    /// Holds up all calls of a replica, or only those about its lease.
    pub fn hold(&self, replica: usize, until: Instant, lease_only: bool) {
        self.inner().held.push((replica, until, lease_only));
        self.count(if lease_only { "process: cannot renew" } else { "process: cut off" }, 1);
    }

    /// Ends all faults.
    pub fn calm(&self) {
        let mut inner = self.inner();
        inner.armed.clear();
        inner.refused.clear();
        inner.crashes.clear();
        inner.held.clear();
    }

    /// Adds to a count.
    pub fn count(&self, what: &str, times: u64) {
        *self.inner().counts.entry(what.to_owned()).or_default() += times;
    }

    /// All counts.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.inner().counts.clone()
    }

    /// Notes something in the history.
    pub fn note(&self, line: impl Into<String>) {
        let at = self.began.elapsed();
        self.inner().history.note(at, line.into());
    }

    /// The history so far.
    pub fn history(&self) -> History {
        self.inner().history.clone()
    }

    /// A client of the API server for a process.
    pub fn kubernetes(self: &Arc<Self>, process: usize, api: &KubernetesApi) -> kube::Client {
        let (gate, api) = (Arc::clone(self), api.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (gate, api) = (Arc::clone(&gate), api.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let call = Call::kubernetes(process, &parts, &body);
                gate.pass(call, ToKubernetes { api, parts, body }).await
            }
        });
        kube::Client::new(service, "default")
    }

    /// A transport to the tenant, and to the other one, for a process.
    pub fn graph(
        self: &Arc<Self>,
        process: usize,
        tenant: Simulator,
        other: Simulator,
    ) -> Arc<dyn Transport> {
        let (tenant, other) = (InProcess(tenant), InProcess(other));
        Arc::new(GraphTransport { gate: Arc::clone(self), process, tenant, other })
    }

    async fn pass<W: Route>(self: &Arc<Self>, call: Call, way: W) -> Result<W::Answer, W::Error> {
        if self.is_dead(call.process) {
            std::future::pending::<()>().await;
        }
        let (answer, answered) = oneshot::channel();
        // In a task of its own, because what was sent arrives even if its sender dies.
        tokio::spawn(Arc::clone(self).carry(call, way, answer));
        match answered.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    async fn carry<W: Route>(
        self: Arc<Self>,
        call: Call,
        way: W,
        answer: oneshot::Sender<Result<W::Answer, W::Error>>,
    ) {
        self.held_up(&call).await;
        let turn = self.turn(&call).await;
        let (fault, crash) = self.fate(&call);
        let arrive = |way: &W| tokio::spawn(way.send());
        if let Some(Crash { moment: Moment::Before(late), away, .. }) = crash {
            self.die(&call, away);
            drop(turn);
            if let Some(late) = late {
                sleep(Duration::from_secs(late)).await;
                let _ = way.send().await;
                self.note(format!("{} arrives after all", call.what));
            }
            return;
        }
        let came = match fault {
            Some(ApiFault::Lost) => {
                drop(turn);
                Err(W::lost())
            }
            Some(ApiFault::Hang) => return,
            Some(ApiFault::Refused(status)) => {
                drop(turn);
                W::refused(status)
            }
            Some(ApiFault::Late(seconds)) => {
                drop(turn);
                sleep(Duration::from_secs(seconds)).await;
                self.note(format!("{} arrives late", call.what));
                way.send().await
            }
            fault => {
                let on_its_way = arrive(&way);
                drop(turn);
                let first = on_its_way.await.unwrap_or_else(|_| Err(W::lost()));
                match fault {
                    Some(ApiFault::AnswerLost) => Err(W::lost()),
                    Some(ApiFault::HangAfterEffect) => return,
                    Some(ApiFault::Twice) => way.send().await,
                    Some(ApiFault::SlowAnswer(seconds)) => {
                        sleep(Duration::from_secs(seconds)).await;
                        first
                    }
                    Some(ApiFault::FailedAfterEffect(status)) => W::refused(status),
                    _ => first,
                }
            }
        };
        if let Some(Crash { moment: Moment::After, away, .. }) = crash {
            self.die(&call, away);
            return;
        }
        self.held_up(&call).await;
        sleep(self.length(&call, "answer")).await;
        self.note(format!("p{} {} -> {}", call.process, call.what, W::summary(&came)));
        let _ = answer.send(came);
        if let Some(Crash { moment: Moment::Answered, away, .. }) = crash {
            self.die(&call, away);
        }
    }

    /// The fault and the crash of a call that is about to arrive.
    fn fate(&self, call: &Call) -> (Option<ApiFault>, Option<Crash>) {
        let mut inner = self.inner();
        let mut fault = None;
        for armed in inner.armed.iter_mut().filter(|armed| Some(armed.class) == call.class) {
            if armed.skip > 0 {
                armed.skip -= 1;
            } else {
                armed.times -= 1;
                fault = Some(armed.fault);
                break;
            }
        }
        inner.armed.retain(|armed| armed.times > 0);
        let now = Instant::now();
        let refused =
            |(class, _, until): &&(Class, u16, Instant)| Some(*class) == call.class && now < *until;
        if let Some((_, status, _)) = inner.refused.iter().find(refused) {
            fault = fault.or(Some(ApiFault::Refused(*status)));
        }
        let alive = !inner.processes[call.process].1;
        let mut crash = None;
        if call.effect && alive {
            let effect = inner.effects;
            inner.effects += 1;
            crash = inner.crashes.iter().find(|crash| crash.effect == effect).cloned();
        }
        drop(inner);
        if let Some(fault) = fault {
            self.count(fault.name(), 1);
            self.note(format!("p{} {} meets {fault:?}", call.process, call.what));
        }
        (fault, crash)
    }

    fn die(&self, call: &Call, away: u64) {
        self.note(format!("p{} dies at {}", call.process, call.what));
        self.count("process: dies at an effect", 1);
        self.dead(call.process);
        let _ = self.deaths.send(Death { process: call.process, away });
    }

    /// Waits until the call's replica is no longer held up.
    async fn held_up(&self, call: &Call) {
        let until = {
            let inner = self.inner();
            let replica = inner.processes[call.process].0;
            let lease = call.class == Some(Class::Lease);
            let mine = inner.held.iter().filter(|(of, _, only)| *of == replica && (!only || lease));
            mine.map(|(_, until, _)| *until).max()
        };
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    /// Waits until it is this call's turn to arrive.
    async fn turn(self: &Arc<Self>, call: &Call) -> Turn {
        let at = Instant::now() + self.length(call, "call");
        let wake = Arc::new(Notify::new());
        let key = {
            let mut inner = self.inner();
            inner.arrivals += 1;
            let key = (at, format!("{} {}", call.process, call.what), inner.arrivals);
            inner.arriving.insert(key.clone(), Arc::clone(&wake));
            key
        };
        sleep_until(at).await;
        while self.inner().arriving.keys().next() != Some(&key) {
            wake.notified().await;
        }
        Turn { gate: Arc::clone(self), key }
    }

    /// How long a call or its answer takes: a few milliseconds, sometimes much longer.
    fn length(&self, call: &Call, way: &str) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, way, call.process, &call.what, self.began.elapsed()).hash(&mut hasher);
        let drawn = hasher.finish();
        let milliseconds = 1 + drawn % 20;
        Duration::from_millis(if (drawn >> 32).is_multiple_of(64) {
            milliseconds * 40
        } else {
            milliseconds
        })
    }

    fn is_dead(&self, process: usize) -> bool {
        self.inner().processes[process].1
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to arrive, given up when dropped.
struct Turn {
    gate: Arc<Gate>,
    key: (Instant, String, u64),
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inner = self.gate.inner();
        inner.arriving.remove(&self.key);
        if let Some(next) = inner.arriving.values().next() {
            next.notify_one();
        }
    }
}

impl Call {
    fn kubernetes(process: usize, parts: &http::request::Parts, body: &[u8]) -> Self {
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let kinds = ["leases", "events", "secrets", "taprequests", "tappolicies", "configmaps"];
        let kind = segments.iter().position(|segment| kinds.contains(segment));
        let (resource, part) =
            kind.map_or(("", None), |at| (segments[at], segments.get(at + 2).copied()));
        let named = kind.is_some_and(|at| segments.len() > at + 1);
        let body: Value = match parts.method {
            Method::GET => Value::Null,
            _ => serde_json::from_slice(body).unwrap_or_default(),
        };
        let dry_run = query.contains("dryRun") || body["dryRun"].is_array();
        let class = match (named, &parts.method) {
            (false, &Method::GET) => Class::List,
            _ => Class::of(&parts.method, resource, part, dry_run),
        };
        let tail = match resource {
            // Their names contain the time.
            "events" => "events".to_owned(),
            _ => segments.get(kind.unwrap_or(0)..).unwrap_or_default().join("/"),
        };
        let detail = history::detail(&body);
        let watch = if query.contains("watch=") { " watch" } else { "" };
        // The only difference between several watches.
        let selected =
            query.split('&').find(|part| part.starts_with("fieldSelector=")).unwrap_or("");
        let dry = if dry_run { " dry run" } else { "" };
        Self {
            process,
            what: format!("{} {tail}{watch}{dry}{detail} {selected}", parts.method),
            effect: class.is_effect(),
            class: Some(class),
        }
    }

    fn graph(process: usize, request: &Request<Bytes>) -> Self {
        let path = request.uri().path().trim_start_matches("/v1.0");
        let id = request.headers().get("client-request-id").and_then(|id| id.to_str().ok());
        let passes = path.contains("temporaryAccessPassMethods");
        let effect = passes && *request.method() != Method::GET;
        let attempt = id.filter(|_| effect && *request.method() == Method::POST);
        let attempt = attempt.map(|id| format!(" {}", history::short(id))).unwrap_or_default();
        let path = history::shortened(path);
        let host = request.uri().host().filter(|host| *host == FABRIKAM_HOST).unwrap_or_default();
        Self {
            process,
            what: format!("graph {} {host}{path}{attempt}", request.method()),
            class: None,
            effect,
        }
    }
}

struct ToKubernetes {
    api: KubernetesApi,
    parts: http::request::Parts,
    body: Bytes,
}

impl Route for ToKubernetes {
    type Answer = axum::response::Response;
    type Error = BoxError;

    fn send(&self) -> BoxFuture<'static, Result<Self::Answer, BoxError>> {
        let mut service = self.api.service(Some(SERVICE_ACCOUNT));
        let request = Request::from_parts(self.parts.clone(), Body::from(self.body.clone()));
        Box::pin(async move { service.call(request).await })
    }

    fn lost() -> BoxError {
        "connection lost".into()
    }

    fn refused(status: u16) -> Result<Self::Answer, BoxError> {
        let reason = match status {
            403 => "Forbidden",
            409 => "Conflict",
            429 => "TooManyRequests",
            _ => "InternalError",
        };
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "refused on purpose", "reason": reason, "code": status,
        });
        let code = StatusCode::from_u16(status).expect("a status");
        let mut response = Response::new(axum::body::Body::from(body.to_string()));
        *response.status_mut() = code;
        Ok(response)
    }

    fn summary(answer: &Result<Self::Answer, BoxError>) -> String {
        answer.as_ref().map_or_else(ToString::to_string, |a| a.status().as_u16().to_string())
    }
}

#[derive(Debug)]
struct GraphTransport {
    gate: Arc<Gate>,
    process: usize,
    tenant: InProcess,
    other: InProcess,
}

struct ToGraph {
    tenant: InProcess,
    request: Request<Bytes>,
    options: SendOptions,
}

#[async_trait]
impl Transport for GraphTransport {
    async fn send(
        &self,
        request: Request<Bytes>,
        options: SendOptions,
    ) -> Result<Response<graph::Body>, TransportError> {
        let call = Call::graph(self.process, &request);
        let elsewhere = request.uri().host() == Some(FABRIKAM_HOST);
        let tenant = if elsewhere { &self.other } else { &self.tenant }.clone();
        self.gate.pass(call, ToGraph { tenant, request, options }).await
    }
}

impl Route for ToGraph {
    type Answer = Response<graph::Body>;
    type Error = TransportError;

    fn send(&self) -> BoxFuture<'static, Result<Self::Answer, TransportError>> {
        let tenant = self.tenant.clone();
        let (request, options) = (self.request.clone(), self.options);
        Box::pin(async move { tenant.send(request, options).await })
    }

    fn lost() -> TransportError {
        TransportError { maybe_sent: true, message: "the connection was cut".into() }
    }

    fn refused(_: u16) -> Result<Self::Answer, TransportError> {
        Err(Self::lost())
    }

    fn summary(answer: &Result<Self::Answer, TransportError>) -> String {
        answer.as_ref().map_or_else(|e| e.message.clone(), |a| a.status().as_u16().to_string())
    }
}
