//! The calls to the API server, each with a time limit, and the only place of the plugin that writes.
//!
//! The writes of the operator name their [`Effect`](crate::effect::Effect), because it must recover from a crash at each
//! of them. These are the writes of a person, with that person's rights.
#![expect(clippy::disallowed_methods, reason = "these methods may be called only here")]

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, ObjectList, Patch, PatchParams,
    PostParams, Preconditions,
};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::record::Record;
use crate::api::names::{GROUP, STOP_CONFIG_MAP, STOP_REVOKE_ACTIVE_KEY};
use crate::api::{TapPolicy, TapRequest};

/// How many requests one page of a list has.
const PAGE: u32 = 500;
/// The name of the plugin as field manager.
const MANAGER: &str = "kubectl-tap";

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The object does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request does not exist.
    #[error("there is no TapRequest {name} in namespace {namespace}")]
    NoRequest {
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The API server does not serve the resources of tap-operator.
    #[error(
        "tap-operator is not installed in the cluster {0}: it knows no TapRequests and TapPolicies"
    )]
    NoSuchKind(String),
    /// An object of this name exists.
    #[error("{0}")]
    Exists(String),
    /// RBAC refused it.
    #[error("{0}")]
    Right(String),
    /// An admission policy refused it; the text is the policy's message.
    #[error("{0}")]
    Policy(String),
    /// The API server does not know who is asking.
    #[error("the API server does not accept your credentials: {0}")]
    Unauthorized(String),
    /// It refused the call for another reason, and changed nothing.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// There was no answer. If it was a write, it may have been made.
    #[error("the cluster {url} does not answer: {cause}")]
    Unreachable {
        /// The URL of the API server.
        url: String,
        /// What happened.
        cause: String,
    },
}

impl CallError {
    /// What the API server at this URL answered.
    fn of(status: Status, url: &str) -> Self {
        let message = status.message;
        // An answer that is no Status comes from a path that is not served.
        let unknown_path = message.contains("page not found")
            || message.contains("could not find the requested resource");
        match status.code {
            401 => Self::Unauthorized(message),
            403 if message.contains("User \"system:anonymous\"") => {
                Self::Unauthorized("it knows you only as system:anonymous".to_owned())
            }
            403 => match message.split_once("denied request: ") {
                Some((_, why)) => Self::Policy(why.trim_end().to_owned()),
                None => Self::Right(message),
            },
            404 if unknown_path => Self::NoSuchKind(url.to_owned()),
            404 => Self::NotFound(message),
            409 if status.reason == "AlreadyExists" => Self::Exists(message),
            code => Self::Refused { code, message },
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }
}

/// Where in the API a right is needed.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The name of the object; empty for any.
    pub name: &'a str,
}

/// What can be asked about any object.
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// When the API server says that it answered.
    pub date: Option<Timestamp>,
}

/// A cluster, as one person sees it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    url: String,
    limit: Duration,
}

impl Cluster {
    /// The cluster behind a client.
    pub fn new(client: Client, url: String, limit: Duration) -> Self {
        Self { client, url, limit }
    }

    async fn call<T>(&self, future: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        match tokio::time::timeout(self.limit, future).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) => Err(CallError::of(*status, &self.url)),
            Ok(Err(error)) => Err(self.unreachable(chain(&error))),
            Err(_) => {
                Err(self.unreachable(format!("nothing came within {} s", self.limit.as_secs())))
            }
        }
    }

    fn unreachable(&self, cause: String) -> CallError {
        CallError::Unreachable { url: self.url.clone(), cause }
    }

    fn requests(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<TapRequest>(&());
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        }
    }

    /// Who is asking.
    pub async fn who_am_i(&self) -> Result<String, CallError> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        let name = answer.status.and_then(|status| status.user_info).and_then(|user| user.username);
        Ok(name.unwrap_or_default())
    }

    /// Whether the person has a right in a namespace.
    pub async fn may(&self, right: Right<'_>, namespace: Option<&str>) -> Result<bool, CallError> {
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            group: Some(right.group.to_owned()),
            resource: Some(right.resource.to_owned()),
            name: Some(right.name.to_owned()).filter(|name| !name.is_empty()),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// All that the person may do in a namespace.
    pub async fn rules(&self, namespace: &str) -> Result<SubjectRulesReviewStatus, CallError> {
        let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
        let review = SelfSubjectRulesReview { spec, metadata: ObjectMeta::default(), status: None };
        let reviews: Api<SelfSubjectRulesReview> = Api::all(self.client.clone());
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.unwrap_or_default())
    }

    /// A request.
    pub async fn request(&self, namespace: &str, name: &str) -> Result<Record, CallError> {
        let found = self.call(self.requests(Some(namespace)).get(name)).await;
        found.map(Record::new).map_err(|error| match error {
            CallError::NotFound(_) => {
                CallError::NoRequest { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            error => error,
        })
    }

    /// The requests of a namespace, or of all, for which these fields have these values.
    pub async fn list(
        &self,
        namespace: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<Vec<Record>, CallError> {
        let selector: Vec<String> =
            fields.iter().map(|(field, value)| format!("{field}={}", escaped(value))).collect();
        let all = self.pages(namespace, &selector.join(",")).await;
        match all {
            // Before Kubernetes 1.31 no field of a custom resource can be selected.
            Err(CallError::Refused { code: 400, .. }) if !fields.is_empty() => {
                let all = self.pages(namespace, "").await?;
                Ok(all.into_iter().filter(|record| record.has(fields)).collect())
            }
            all => all,
        }
    }

    async fn pages(
        &self,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Record>, CallError> {
        let api = self.requests(namespace);
        let mut page = ListParams::default().limit(PAGE);
        if !selector.is_empty() {
            page = page.fields(selector);
        }
        let mut records = Vec::new();
        loop {
            let list: ObjectList<DynamicObject> = self.call(api.list(&page)).await?;
            records.extend(list.items.into_iter().map(Record::new));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(records),
            }
        }
    }

    /// The names of all namespaces.
    pub async fn namespaces(&self) -> Result<Vec<String>, CallError> {
        use k8s_openapi::api::core::v1::Namespace;
        let api: Api<Namespace> = Api::all(self.client.clone());
        let list = self.call(api.list_metadata(&ListParams::default())).await?;
        Ok(list.items.into_iter().filter_map(|namespace| namespace.metadata.name).collect())
    }

    /// All policies.
    pub async fn policies(&self) -> Result<Vec<TapPolicy>, CallError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        Ok(self.call(api.list(&ListParams::default())).await?.items)
    }

    /// A policy.
    pub async fn policy(&self, name: &str) -> Result<TapPolicy, CallError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        self.call(api.get(name)).await
    }

    /// The Secret of this name, if there is one.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, CallError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        self.call(api.get_opt(name)).await
    }

    /// The stop, if it is set.
    pub async fn stop(&self, namespace: &str) -> Result<Option<ConfigMap>, CallError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        self.call(api.get_opt(STOP_CONFIG_MAP)).await
    }

    /// Any object, if it exists.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, CallError>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        self.call(api.get_opt(name)).await
    }

    /// Any object of the cluster, if it exists.
    pub async fn get_any(
        &self,
        kind: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, CallError> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        self.call(api.get_opt(name)).await
    }

    /// What a path of the API server answers, as JSON.
    pub async fn path(&self, path: &str) -> Result<Answer<serde_json::Value>, CallError> {
        let request = http::Request::get(path).body(Body::empty());
        let request = request.map_err(|error| self.unreachable(error.to_string()))?;
        let answer = self.call(self.client.send(request)).await?;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let (code, date) = (answer.status().as_u16(), date.map(|date| date.timestamp()));
        let body = self.call(answer.into_body().collect_bytes()).await?;
        match code {
            200 => {
                let value = serde_json::from_slice(&body).unwrap_or_default();
                Ok(Answer { value, date })
            }
            404 => Err(CallError::NoSuchKind(self.url.clone())),
            code => {
                let message = format!("GET {path}: {}", String::from_utf8_lossy(&body).trim_end());
                Err(match code {
                    401 => CallError::Unauthorized(message),
                    403 => CallError::Right(message),
                    code => CallError::Refused { code, message },
                })
            }
        }
    }

    /// Creates a request, or only says whether it could be created.
    pub async fn create(
        &self,
        namespace: &str,
        request: &TapRequest,
        dry_run: bool,
    ) -> Result<Record, CallError> {
        let parameters = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
        let object = serde_json::to_value(request).and_then(serde_json::from_value);
        let object: DynamicObject =
            object.map_err(|error| CallError::Refused { code: 422, message: error.to_string() })?;
        let api = self.requests(Some(namespace));
        self.call(api.create(&parameters, &object)).await.map(Record::new)
    }

    /// Appends a decision, by a patch whose tests must hold.
    pub async fn decide(
        &self,
        namespace: &str,
        name: &str,
        patch: json_patch::Patch,
    ) -> Result<Record, CallError> {
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Json::<()>(patch);
        let api = self.requests(Some(namespace));
        self.call(api.patch_status(name, &parameters, &patch)).await.map(Record::new)
    }

    /// Deletes exactly this Secret.
    pub async fn delete_secret(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), CallError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        match self.call(api.delete(name, &exactly(uid))).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets the stop. One that is set already may become stricter, never less strict.
    pub async fn set_stop(&self, namespace: &str, revoke: bool) -> Result<(), CallError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let data = revoke.then(|| (STOP_REVOKE_ACTIVE_KEY.to_owned(), "true".to_owned()));
        let metadata =
            ObjectMeta { name: Some(STOP_CONFIG_MAP.to_owned()), ..ObjectMeta::default() };
        let stop =
            ConfigMap { metadata, data: Some(data.into_iter().collect()), ..ConfigMap::default() };
        let parameters =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match self.call(api.create(&parameters, &stop)).await {
            Err(CallError::Exists(_)) if revoke => {
                let data = serde_json::json!({ "data": { (STOP_REVOKE_ACTIVE_KEY): "true" } });
                let parameters = PatchParams {
                    field_manager: Some(MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                let patch = Patch::Merge(&data);
                self.call(api.patch(STOP_CONFIG_MAP, &parameters, &patch)).await.map(drop)
            }
            Ok(_) | Err(CallError::Exists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes away exactly this stop.
    pub async fn lift_stop(&self, namespace: &str, uid: &str) -> Result<(), CallError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        match self.call(api.delete(STOP_CONFIG_MAP, &exactly(uid))).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl<'a> Right<'a> {
    /// A right on the requests.
    pub fn requests(verb: &'a str) -> Self {
        Self { verb, group: GROUP, resource: "taprequests", name: "" }
    }

    /// A verb on a policy.
    pub fn policy(verb: &'a str, name: &'a str) -> Self {
        Self { verb, group: GROUP, resource: "tappolicies", name }
    }

    /// A right on a Secret.
    pub fn secret(verb: &'a str, name: &'a str) -> Self {
        Self { verb, group: "", resource: "secrets", name }
    }
}

fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// A value in a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// An error with its causes, none of them said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status { code, reason: reason.into(), message: message.into(), ..Status::default() }
    }

    #[test]
    fn a_policys_message_is_told_without_the_words_around_it() {
        let refused = status(
            403,
            "Forbidden",
            "taprequests.tap-operator.io \"a\" is forbidden: ValidatingAdmissionPolicy 'tap-operator-decisions' with \
             binding 'tap-operator-decisions' denied request: it is too early to approve",
        );
        assert_eq!(
            CallError::of(refused, ""),
            CallError::Policy("it is too early to approve".into())
        );
    }

    #[test]
    fn a_missing_object_is_not_a_missing_installation() {
        let object = status(404, "NotFound", "taprequests.tap-operator.io \"a\" not found");
        assert!(matches!(CallError::of(object, ""), CallError::NotFound(_)));
        let path = status(404, "Failed to parse error data", "404 page not found\n");
        let error = CallError::of(path, "https://prod.example.com");
        assert_eq!(error, CallError::NoSuchKind("https://prod.example.com".into()));
    }

    #[test]
    fn names_in_selectors_are_escaped() {
        assert_eq!(escaped("CN=a,O=b"), "CN\\=a\\,O\\=b");
    }
}
