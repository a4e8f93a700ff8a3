//! The lower bounds: programs that do only what is needed to deliver passes as the operator does.
//!
//! The bare one writes and asks for the pass, and reads nothing. The other reads, too, what must be known before a pass may be
//! issued, as early and as much side by side as the protocol allows. So it shows what the checks cost, and the operator beside it
//! what the operator costs.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::try_join;
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use http::header::CONTENT_TYPE;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION, SECRET_TYPE, STOP_CONFIG_MAP};
use tap_operator::api::{TapPolicy, TapRequest};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::process;
use super::subject::{self, POLICY};
use super::support::identity::Identity;
use super::support::operator::NAMESPACE as OPERATOR_NAMESPACE;
use super::support::world::World;
use super::way::Way;

/// What a minimal program does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// The three writes and the POST.
    Writes,
    /// The same, and the reads that must come before them.
    ReadsAndWrites,
}

/// The name of the threads on which minimal programs run, by which their processor time is known.
const THREADS: &str = "floor";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // As many as the operator has.
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name(THREADS).enable_all().build();
    runtime.expect("it has what any runtime needs")
});

/// The processor time that minimal programs have used. Absent where there is no `/proc`.
pub fn cpu() -> Option<Duration> {
    process::cpu_of_threads(THREADS)
}

/// A minimal program with the operator's rights in cluster and tenant. Like the operator, it never sends a POST twice. It has
/// threads of its own.
pub struct Floor(Arc<Program>);

struct Program {
    does: Does,
    stops: Api<ConfigMap>,
    policies: Api<TapPolicy>,
    requests: Api<TapRequest>,
    secrets: Api<Secret>,
    graph: reqwest::Client,
    url: String,
    token: String,
    /// What the operator wrote, so that the program's writes are as large.
    intent: String,
    status: Value,
    made: Mutex<Vec<String>>,
}

impl Floor {
    /// Signs in, and copies intent and status of a request for which the operator issued a pass.
    pub async fn like(does: Does, world: &World, way: &Way, issued: &TapRequest) -> Result<Self> {
        let authority = std::fs::read(world.simulator.authority())?;
        let (identity, url) = (way.identity.clone(), way.tenant.clone());
        let program = Program::new(does, identity, authority, url, issued.clone());
        Ok(Self(Arc::new(RUNTIME.spawn(program).await??)))
    }

    /// Issues a pass by three writes and one POST.
    pub async fn make(&self, request: &TapRequest, user: Uuid) -> Result<()> {
        let (program, request) = (Arc::clone(&self.0), request.clone());
        RUNTIME.spawn(async move { program.make(&request, user).await }).await?
    }

    /// Cleans up, so that the operator finds nothing to do when it starts.
    pub async fn put_away(&self) -> Result<()> {
        let program = Arc::clone(&self.0);
        RUNTIME.spawn(async move { program.put_away().await }).await?
    }
}

impl Program {
    async fn new(
        does: Does,
        identity: Identity,
        authority: Vec<u8>,
        url: String,
        issued: TapRequest,
    ) -> Result<Self> {
        let client = identity.client().await?;
        let graph = reqwest::Client::builder()
            .no_proxy()
            .retry(reqwest::retry::never())
            .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
            .build()?;
        let form = format!(
            "grant_type=client_credentials&client_id={OPERATOR}&client_secret={OPERATOR_SECRET}&scope={url}/.default"
        );
        let sign_in = graph
            .post(format!("{url}/{CONTOSO}/oauth2/v2.0/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        Ok(Self {
            does,
            stops: Api::namespaced(client.clone(), OPERATOR_NAMESPACE),
            policies: Api::all(client.clone()),
            requests: Api::namespaced(client.clone(), subject::NAMESPACE),
            secrets: Api::namespaced(client, subject::NAMESPACE),
            token: answered(sign_in, "access_token").await?,
            graph,
            url,
            intent: issued.annotations().get(INTENT_ANNOTATION).context("no intent")?.clone(),
            status: serde_json::to_value(&issued.status)?,
            made: Mutex::default(),
        })
    }

    async fn make(&self, request: &TapRequest, user: Uuid) -> Result<()> {
        let name = request.name_any();
        let reads = self.does == Does::ReadsAndWrites;
        if reads {
            self.look_at(request, user).await?;
        }
        let intent = json!({ INTENT_ANNOTATION: self.intent });
        self.patch(&name, json!({ "finalizers": [FINALIZER], "annotations": intent })).await?;
        if reads {
            // Not before: a stop must not come between them unseen.
            let (stop, policy) = (self.stops.get_opt(STOP_CONFIG_MAP), self.policies.get(POLICY));
            try_join!(stop, policy)?;
        }
        let code = self.post(user).await?;
        let secret = secret(request, &code)?;
        self.secrets.create(&PostParams::default(), &secret).await?;
        self.patch_status(&name, &self.status).await?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        Ok(())
    }

    /// Reads the request, then whom it names, and then what is to be known of them.
    async fn look_at(&self, request: &TapRequest, user: Uuid) -> Result<()> {
        self.requests.get(&request.name_any()).await?;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let secret = secret(request, "")?;
        let allowed = async { Ok(self.secrets.create(&dry_run, &secret).await?) };
        let named = self.get(format!("users/{}", request.spec.user));
        try_join!(allowed, named)?;
        let passes = self.get(format!("users/{user}/authentication/temporaryAccessPassMethods"));
        let roles = self.get(format!(
            "users/{user}/transitiveMemberOf/microsoft.graph.directoryRole?$count=true"
        ));
        try_join!(passes, roles)?;
        Ok(())
    }

    async fn get(&self, path: String) -> Result<()> {
        let request = self.graph.get(format!("{}/v1.0/{path}", self.url)).bearer_auth(&self.token);
        let answer = request.header("ConsistencyLevel", "eventual").send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await?;
        Ok(())
    }

    async fn put_away(&self) -> Result<()> {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for name in made {
            self.patch_status(&name, &json!({ "phase": "Expired" })).await?;
            self.patch(&name, json!({ "finalizers": null })).await?;
        }
        Ok(())
    }

    async fn patch(&self, name: &str, metadata: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        self.requests.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn patch_status(&self, name: &str, status: &Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "status": status }));
        self.requests.patch_status(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Makes a pass and returns its code.
    async fn post(&self, user: Uuid) -> Result<String> {
        let path = format!("v1.0/users/{user}/authentication/temporaryAccessPassMethods");
        let body = json!({ "lifetimeInMinutes": 60, "isUsableOnce": true });
        let request = self.graph.post(format!("{}/{path}", self.url)).bearer_auth(&self.token);
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        answered(request, "temporaryAccessPass").await
    }
}

/// Sends a request and returns a field of the answer.
async fn answered(request: reqwest::RequestBuilder, field: &str) -> Result<String> {
    let answer = request.send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body)?;
    Ok(answer[field].as_str().context("a text is missing in the answer")?.to_owned())
}

fn secret(request: &TapRequest, code: &str) -> Result<Secret> {
    let name = request.name_any();
    let owner = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "name": name, "uid": request.uid(),
    });
    Ok(serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/managed-by": "tap-operator", "velero.io/exclude-from-backup": "true" },
            "ownerReferences": [owner],
        },
        "type": SECRET_TYPE,
        "immutable": true,
        "stringData": {
            "temporaryAccessPass": code,
            "userPrincipalName": request.spec.user,
            "notBefore": "2026-01-01T00:00:00Z",
            "notAfter": "2026-01-01T01:00:00Z",
            "signInUrl": "https://aka.ms/mysecurityinfo",
        },
    }))?)
}
