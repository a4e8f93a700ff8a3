//! One call to the API server, and tables of calls with their expected outcomes.

use std::fmt;

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

use crate::offline;
use crate::support::identity::Identity;

/// A user with a connection to the API server.
pub struct Actor {
    pub identity: Identity,
    client: Client,
}

impl Actor {
    pub async fn new(identity: Identity) -> Result<Self> {
        let client = identity.client().await?;
        Ok(Self { identity, client })
    }

    /// The user name.
    pub fn name(&self) -> &str {
        self.identity.user()
    }

    /// Makes the call. Fails if it is refused.
    pub async fn call(&self, call: Call) -> Result<Value> {
        let what = format!("{} as {}", call, self.name());
        match self.outcome(call).await? {
            Ok(answer) => Ok(answer),
            Err(refusal) => bail!("{what}: {refusal:?}"),
        }
    }

    /// Makes the call and returns the refusal. Fails if it is not refused.
    pub async fn refused(&self, call: Call) -> Result<Refusal> {
        let what = format!("{} as {}", call, self.name());
        match self.outcome(call).await? {
            Err(refusal) => Ok(refusal),
            Ok(answer) => bail!("{what} was not refused: {answer:#}"),
        }
    }

    /// Makes the call and returns the answer or the refusal. Fails if there is neither, and if `tap-operator plan` says
    /// something else of a new object.
    pub async fn outcome(&self, call: Call) -> Result<Result<Value, Refusal>> {
        let outcome = match self.client.request(call.request()?).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(status),
            Err(error) => {
                return Err(error).with_context(|| format!("{call} as {}", self.name()));
            }
        };
        if let Some(object) = call.body.as_ref().filter(|_| call.creates_ours()) {
            offline::agrees(object, outcome.as_ref().err().map(|status| &**status))?;
        }
        Ok(outcome.map_err(|status| Refusal { code: status.code, message: status.message.clone() }))
    }
}

/// A refusal by the API server.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    pub message: String,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Option<Value>,
}

impl Call {
    fn new(method: Method, path: &str, content_type: &'static str, body: Option<Value>) -> Self {
        Self { method, path: path.to_owned(), content_type, body }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, "application/json", None)
    }

    pub fn create(collection: &str, object: Value) -> Self {
        Self::new(Method::POST, collection, "application/json", Some(object))
    }

    /// Replaces the object as it was last `seen`, as `kubectl replace` does.
    pub fn replace(path: &str, seen: &Value, object: Value) -> Self {
        let mut object = object;
        object["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"].clone();
        Self::new(Method::PUT, path, "application/json", Some(object))
    }

    pub fn merge(path: &str, change: Value) -> Self {
        Self::new(Method::PATCH, path, "application/merge-patch+json", Some(change))
    }

    pub fn json_patch(path: &str, change: Value) -> Self {
        Self::new(Method::PATCH, path, "application/json-patch+json", Some(change))
    }

    /// A strategic merge patch, which custom resources do not support.
    pub fn strategic(path: &str, change: Value) -> Self {
        Self::new(Method::PATCH, path, "application/strategic-merge-patch+json", Some(change))
    }

    /// Server-side apply, as pipelines do it.
    pub fn apply(path: &str, object: Value) -> Self {
        let path = format!("{path}?fieldManager=pipeline&force=true");
        Self::new(Method::PATCH, &path, "application/apply-patch+yaml", Some(object))
    }

    /// A DELETE with options in the URL and no body.
    pub fn delete_by_url(path: &str, query: &str) -> Self {
        Self::new(Method::DELETE, &format!("{path}?{query}"), "application/json", None)
    }

    /// A DELETE with these `DeleteOptions` in the body.
    pub fn delete(path: &str, options: Value) -> Self {
        let mut options = options;
        options["apiVersion"] = json!("v1");
        options["kind"] = json!("DeleteOptions");
        Self::new(Method::DELETE, path, "application/json", Some(options))
    }

    /// The same call as a dry run.
    pub fn dry_run(mut self) -> Self {
        if let (&Method::DELETE, Some(options)) = (&self.method, &mut self.body) {
            // If there is a body, the API server ignores the query.
            options["dryRun"] = json!(["All"]);
        } else {
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str("dryRun=All");
        }
        self
    }

    /// Whether it creates a policy or a request.
    fn creates_ours(&self) -> bool {
        let collection = self.path.split('?').next().unwrap_or_default();
        let ours = ["/tappolicies", "/taprequests"].iter().any(|name| collection.ends_with(name));
        self.method == Method::POST && ours
    }

    fn request(&self) -> Result<Request<Vec<u8>>> {
        let body = match &self.body {
            Some(body) => serde_json::to_vec(body)?,
            None => Vec::new(),
        };
        Ok(Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("content-type", self.content_type)
            .body(body)?)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, content_type, body } = self;
        write!(f, "{method} {path}")?;
        body.as_ref().map_or(Ok(()), |body| write!(f, " {content_type} {body}"))
    }
}

/// The expected outcome of a call.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    Allowed,
    /// 403, as for people, with this in the message.
    Forbidden(&'static str),
    /// 422, as for the operator, with this in the message.
    Invalid(&'static str),
}

/// Makes each call as a dry run. Fails with all lines of the table that had another outcome.
pub async fn check<'a>(
    table: impl IntoIterator<Item = (&'static str, &'a Actor, Call, Expect)>,
) -> Result<()> {
    let mut wrong = Vec::new();
    for (what, who, call, expect) in table {
        let call = call.dry_run();
        let outcome = match expect {
            Expect::Allowed => who.call(call).await.map(drop),
            Expect::Forbidden(message) => is_refused(who, call, 403, message).await,
            Expect::Invalid(message) => is_refused(who, call, 422, message).await,
        };
        if let Err(error) = outcome {
            wrong.push(format!("- {what}: {error:#}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

async fn is_refused(who: &Actor, call: Call, code: u16, message: &str) -> Result<()> {
    let refusal = who.refused(call.clone()).await?;
    if refusal.code == code && refusal.message.contains(message) {
        return Ok(());
    }
    bail!("{call} as {} should be refused with {code} {message:?}: {refusal:?}", who.name())
}
