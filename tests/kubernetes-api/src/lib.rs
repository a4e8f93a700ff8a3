//! A Kubernetes API server inside the test's process: real clients, watchers and controllers work against it, without
//! sockets and on tokio's clock, so that paused time passes for it too. It keeps objects of any kind as JSON, follows the
//! API server's rules where an operator depends on them, and repeats itself: uids, versions and names count up.
//!
//! What it leaves out: authorization, schemas (validation, pruning, defaults other than the status's), managed fields,
//! server-side apply, strategic merge patches, table and metadata-only answers, conversion between versions.

mod admission;
mod cleanup;
mod clock;
mod discovery;
mod faults;
mod list;
mod log;
mod patch;
mod request;
mod resource;
mod routes;
mod selector;
mod server;
mod shared;
mod state;
mod status;
mod store;
mod target;
mod validation;
mod watch;
mod watches;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use serde_json::Value;
use tower::{BoxError, Service, service_fn};

pub use self::admission::{Operation, Review};
pub use self::faults::{Fault, Intercept, Match, Outage, Point, WatchEnd};
pub use self::log::{Answer, Effect, LoggedRequest};
pub use self::request::{ApiRequest, Verb};
pub use self::resource::Resource;
pub use self::state::Controllers;
pub use self::status::Refusal;
pub use self::store::ChangeKind;

use self::shared::Shared;
use self::state::State;
use self::store::Key;
use self::target::Target;

/// Statuses for admission rules and faults to answer with.
pub mod statuses {
    pub use crate::status::{
        conflict, denied_by_policy, forbidden, invalid, no_such_path, not_found, server_error,
        too_many_requests, unprocessable,
    };
}

/// The server. Clones are the same server.
#[derive(Clone, Debug)]
pub struct KubernetesApi {
    shared: Arc<Shared>,
}

impl KubernetesApi {
    /// A server whose clock shows `start` now. It has the namespaces `default` and `kube-system`, and serves namespaces,
    /// secrets, configmaps, serviceaccounts, events (of both groups: the same objects), leases,
    /// customresourcedefinitions and the validating admission policies and bindings, which it keeps and does not enforce.
    pub fn new(start: Timestamp) -> Self {
        Self { shared: Arc::new(Shared::new(State::new(start))) }
    }

    /// Serves one more resource.
    pub fn register(&self, resource: Resource) {
        self.shared.change(|state| state.registry.register(resource));
    }

    /// Adds a rule to the admission of a resource (named by its plural, alone or with the group). The rule runs inside the
    /// server and must not call it.
    pub fn admit(
        &self,
        resource: &str,
        rule: impl Fn(&Review<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) {
        self.shared.change(|state| state.admission.add(resource, rule));
    }

    /// Sets when garbage collector and namespace controller work: at once, if nothing is said.
    pub fn set_controllers(&self, controllers: Controllers) {
        self.shared.change(|state| state.controllers = controllers);
    }

    /// Lets garbage collector and namespace controller do all that there is to do.
    pub fn run_controllers(&self) {
        self.shared.change(State::clean_up);
    }

    /// Sets the minor version that `/version` tells: `36` at first.
    pub fn set_minor_version(&self, minor: &str) {
        self.shared.change(|state| minor.clone_into(&mut state.minor));
    }

    // Clients.

    /// An anonymous client whose default namespace is `default`.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(None), "default")
    }

    /// A client of a user, as admission rules and the log know it.
    pub fn client_as(&self, user: &str) -> kube::Client {
        kube::Client::new(self.service(Some(user)), "default")
    }

    /// What stands in for the connection: layers of a client's own (headers, deadlines, retries) go on top of it.
    pub fn service(
        &self,
        user: Option<&str>,
    ) -> impl Service<
        Request<Body>,
        Response = Response,
        Error = BoxError,
        Future: Future<Output = Result<Response, BoxError>> + Send + 'static,
    > + Clone
    + Send
    + 'static {
        let shared = Arc::clone(&self.shared);
        let user = user.map(str::to_owned);
        service_fn(move |request: Request<Body>| {
            let (shared, user) = (Arc::clone(&shared), user.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                tokio::spawn(server::serve(shared, user, parts, body)).await?
            }
        })
    }

    // Direct access.

    /// The server's present time.
    pub fn now(&self) -> Timestamp {
        self.shared.lock().clock.now()
    }

    /// The last resource version.
    pub fn revision(&self) -> u64 {
        self.shared.lock().store.revision()
    }

    /// An object, by its resource's plural (alone or with the group). The namespace of cluster-scoped ones is ignored.
    ///
    /// # Panics
    /// If the resource is not served.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.shared.lock();
        let resource = named(&state, resource);
        let object = state.store.get(&Key::new(&resource, namespace, name))?;
        Some(resource.serve(&object))
    }

    /// The objects of a resource in all namespaces, by namespace and name.
    ///
    /// # Panics
    /// If the resource is not served.
    pub fn list(&self, resource: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let resource = named(&state, resource);
        let objects = state.store.at(&resource.storage(), None, state.store.revision());
        objects.values().map(|object| resource.serve(object)).collect()
    }

    /// Writes an object as it is, past admission, validation and subresources: status included. What the server sets and
    /// the object leaves out (uid, creation time, default status) is kept or made up; the generation counts on.
    ///
    /// # Panics
    /// If the object's kind is not served.
    pub fn put(&self, object: Value) -> Value {
        self.shared.change(|state| state.put(object))
    }

    /// Deletes an object as an anonymous client would, and with the same answer.
    ///
    /// # Panics
    /// If the resource is not served.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<Value, Refusal> {
        self.shared.change(|state| {
            let target = Target {
                resource: named(state, resource),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                status: false,
                user: None,
                dry_run: false,
            };
            state.delete(&target, &Value::Null)
        })
    }

    /// Forgets the history: watches and pages from earlier versions are answered with 410 from now on. Open watches go on.
    pub fn compact(&self) {
        self.shared.change(|state| state.store.compact());
    }

    // Faults.

    /// Lets the next matching request fail; several faults are used up in the order in which they were given.
    pub fn fail_next(&self, requests: Match, fault: Fault) {
        self.shared.lock().faults.fail_next(requests, fault);
    }

    /// Lets every matching request fail until the outage is dropped.
    #[must_use]
    pub fn fail(&self, requests: Match, fault: Fault) -> Outage {
        self.shared.lock().faults.fail(requests, fault)
    }

    /// Holds the next matching request at a point, until the handle releases or loses it.
    #[must_use]
    pub fn intercept(&self, requests: Match, point: Point) -> Intercept {
        self.shared.lock().faults.intercept(requests, point)
    }

    /// Shows changes to matching watches, and to reads from the cache (`resourceVersion=0`), that much later, bookmarks
    /// included. The last setting that matches counts, from now on; `Duration::MAX` is never.
    pub fn delay_watches(&self, requests: Match, delay: Duration) {
        self.shared.change(|state| state.faults.delay(requests, delay));
    }

    /// Breaks the open watches that match; how many there were.
    pub fn end_watches(&self, requests: &Match, end: WatchEnd) -> usize {
        self.shared.change(|state| state.watches.end(requests, end))
    }

    // The log.

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.lock().log.entries().to_vec()
    }

    /// The requests so far that match.
    pub fn requests_for(&self, requests: &Match) -> Vec<LoggedRequest> {
        self.logged(|logged| requests.matches(logged))
    }

    /// The requests so far that changed an object.
    pub fn writes(&self) -> Vec<LoggedRequest> {
        self.logged(|logged| !logged.effects.is_empty())
    }

    fn logged(&self, such: impl Fn(&LoggedRequest) -> bool) -> Vec<LoggedRequest> {
        let state = self.shared.lock();
        state.log.entries().iter().filter(|logged| such(logged)).cloned().collect()
    }

    /// The requests of the watches that are open.
    pub fn open_watches(&self) -> Vec<ApiRequest> {
        self.shared.lock().watches.requests().cloned().collect()
    }
}

fn named(state: &State, resource: &str) -> Resource {
    let resource = state.registry.named(resource);
    resource.unwrap_or_else(|| panic!("the resource is not served")).clone()
}
