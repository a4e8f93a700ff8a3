//! A request as the server understands it.

use std::collections::BTreeMap;

use axum::extract::Query;
use http::{Method, request::Parts};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// What a request does, in terms of authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Makes an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

impl Verb {
    /// Whether it can change anything.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request, whether or not it is accepted.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// When it arrived, on the server's clock.
    pub at: Timestamp,
    /// What it does.
    pub verb: Verb,
    /// The HTTP method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: BTreeMap<String, String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `Content-Type` header, without parameters; empty if there is none.
    pub content_type: String,
    /// The client's user name; none for an anonymous client.
    pub user: Option<String>,
    /// The API group; empty for the core group, and if the path is not that of a resource.
    pub group: String,
    /// The API version; empty if the path is not that of a resource.
    pub version: String,
    /// The resource's plural; empty if the path is not that of a resource.
    pub resource: String,
    /// The namespace; none for cluster-scoped objects and for all namespaces at once.
    pub namespace: Option<String>,
    /// The object's name; for a creation the one in the body.
    pub name: Option<String>,
    /// The subresource, usually `status`.
    pub subresource: Option<String>,
    /// The body; null if there is none or it is not JSON.
    pub body: Value,
}

impl ApiRequest {
    /// Reads a request, even if its path is not served.
    pub fn parse(at: Timestamp, user: Option<String>, parts: &Parts, body: &[u8]) -> Self {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let query = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri)
            .map_or_else(|_| BTreeMap::new(), |Query(query)| query);
        let path = Path::parse(parts.uri.path());
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let truthy = |name: &str| query.get(name).is_some_and(|v| v == "true" || v == "1");
        let verb = match (&parts.method, path.name.is_some()) {
            (&Method::POST, _) => Verb::Create,
            (&Method::PUT, _) => Verb::Update,
            (&Method::PATCH, _) => Verb::Patch,
            (&Method::DELETE, true) => Verb::Delete,
            (&Method::DELETE, false) => Verb::DeleteCollection,
            (_, true) => Verb::Get,
            (_, false) if truthy("watch") => Verb::Watch,
            (_, false) => Verb::List,
        };
        let created_name = || match verb {
            Verb::Create => body["metadata"]["name"].as_str().map(str::to_owned),
            _ => None,
        };
        Self {
            at,
            verb,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            user_agent: header("user-agent").map(str::to_owned),
            content_type: header("content-type")
                .and_then(|value| value.split(';').next())
                .unwrap_or_default()
                .trim()
                .to_owned(),
            user,
            group: path.group,
            version: path.version,
            resource: path.resource,
            namespace: path.namespace,
            name: path.name.or_else(created_name),
            subresource: path.subresource,
            query,
            body,
        }
    }

    /// A query parameter; empty if it is missing.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// Whether it is a dry run. The query says so, or, for a deletion with a body, the body alone.
    pub fn is_dry_run(&self) -> bool {
        match self.verb {
            Verb::Delete | Verb::DeleteCollection if !self.body.is_null() => {
                self.body["dryRun"].as_array().is_some_and(|values| !values.is_empty())
            }
            verb => verb.writes() && !self.parameter("dryRun").is_empty(),
        }
    }
}

#[derive(Default)]
struct Path {
    group: String,
    version: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl Path {
    fn parse(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let Some((resource, rest)) = rest.split_first() else { return Self::default() };
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: (*resource).to_owned(),
            namespace: namespace.map(str::to_owned),
            name: rest.first().map(|name| (*name).to_owned()),
            subresource: (rest.len() > 1).then(|| rest[1..].join("/")),
        }
    }
}
