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
use kube::core::PartialObjectMeta;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::call_error::{CallError, ClusterName};
use super::record::Record;
use crate::api::names::{GROUP, STOP_CONFIG_MAP, STOP_REVOKE_ACTIVE_KEY};
use crate::api::{Lean, TapPolicy, TapRequest};

/// How many requests one page of a list has.
const PAGE: u32 = 500;
/// The name of the plugin as field manager.
const MANAGER: &str = "kubectl-tap";

/// Where in the API a right is needed.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
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
    name: ClusterName,
    limit: Option<Duration>,
}

impl Cluster {
    /// The cluster behind a client. `limit`: how long one call may take, if not as long as it likes.
    pub fn new(client: Client, name: ClusterName, limit: Option<Duration>) -> Self {
        Self { client, name, limit }
    }

    /// The same, of which no call takes longer than this if the person set no limit.
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self.clone() }
    }

    /// How people are told of it.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    async fn call<T>(&self, future: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        let answer = match self.limit {
            None => future.await,
            Some(limit) => tokio::time::timeout(limit, future).await.map_err(|_| {
                self.unreachable(format!("nothing came within {} s", limit.as_secs()))
            })?,
        };
        answer.map_err(|error| CallError::from_client(error, &self.name))
    }

    fn unreachable(&self, cause: String) -> CallError {
        CallError::Unreachable { cluster: self.name.full(), cause }
    }

    /// The requests of a namespace, or of all.
    fn requests(&self, namespace: Option<&str>) -> Result<Api<Lean<DynamicObject>>, CallError> {
        let kind = ApiResource::erase::<TapRequest>(&());
        Ok(match namespace {
            Some(namespace) => {
                Api::namespaced_with(self.client.clone(), segment("namespace", namespace)?, &kind)
            }
            None => Api::all_with(self.client.clone(), &kind),
        })
    }

    /// The objects of a kind in one namespace.
    fn objects<K>(&self, namespace: &str) -> Result<Api<K>, CallError>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Ok(Api::namespaced(self.client.clone(), segment("namespace", namespace)?))
    }

    /// Reads an object by its name; nothing if the API server says that there is none.
    async fn find<K>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, CallError>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        match self.call(api.get(name)).await {
            Ok(found) => Ok(Some(found)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
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
            subresource: Some(right.subresource.to_owned()).filter(|name| !name.is_empty()),
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
        let found = self.call(self.requests(Some(namespace))?.get(segment("name", name)?)).await;
        found.map(|Lean(found)| Record::new(found)).map_err(|error| match error {
            CallError::NotFound(_) => CallError::NoRequest {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                which: self.name.which(),
            },
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
        let api = self.requests(namespace)?;
        let mut page = ListParams::default().limit(PAGE);
        if !selector.is_empty() {
            page = page.fields(selector);
        }
        let mut records = Vec::new();
        loop {
            let list: ObjectList<Lean<DynamicObject>> = self.call(api.list(&page)).await?;
            records.extend(list.items.into_iter().map(|Lean(request)| Record::new(request)));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(records),
            }
        }
    }

    /// The names of all namespaces.
    pub async fn namespaces(&self) -> Result<Vec<String>, CallError> {
        use k8s_openapi::api::core::v1::Namespace;
        let list = async {
            let url = Namespace::url_path(&(), None);
            let list = kube::core::Request::new(url).list_metadata(&ListParams::default());
            self.client.request(list.map_err(kube::Error::BuildRequest)?).await
        };
        let list: ObjectList<Lean<PartialObjectMeta<Namespace>>> = self.call(list).await?;
        Ok(list.items.into_iter().filter_map(|Lean(namespace)| namespace.metadata.name).collect())
    }

    /// All policies.
    pub async fn policies(&self) -> Result<Vec<TapPolicy>, CallError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        Ok(self.call(api.list(&ListParams::default())).await?.items)
    }

    /// A policy.
    pub async fn policy(&self, name: &str) -> Result<TapPolicy, CallError> {
        let api: Api<TapPolicy> = Api::all(self.client.clone());
        self.call(api.get(segment("name", name)?)).await
    }

    /// The Secret of this name, if there is one.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, CallError> {
        let api: Api<Secret> = self.objects(namespace)?;
        self.find(&api, segment("name", name)?).await
    }

    /// The stop, if it is set.
    pub async fn stop(&self, namespace: &str) -> Result<Option<ConfigMap>, CallError> {
        let api: Api<ConfigMap> = self.objects(namespace)?;
        self.find(&api, STOP_CONFIG_MAP).await
    }

    /// Any object, if it exists.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, CallError>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug,
        K::DynamicType: Default,
    {
        let api: Api<K> = self.objects(namespace)?;
        self.find(&api, segment("name", name)?).await
    }

    /// Any object of the cluster, if it exists.
    pub async fn get_any(
        &self,
        kind: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, CallError> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        self.find(&api, segment("name", name)?).await
    }

    /// What a path of the API server answers, as JSON.
    pub async fn path(&self, path: &str) -> Result<Answer<serde_json::Value>, CallError> {
        let Answer { value, date } = self.bytes(path).await?;
        Ok(Answer { value: serde_json::from_slice(&value).unwrap_or_default(), date })
    }

    /// What it answers, as text.
    pub async fn text(&self, path: &str) -> Result<String, CallError> {
        let answer = self.bytes(path).await?;
        Ok(String::from_utf8_lossy(&answer.value).into_owned())
    }

    async fn bytes(&self, path: &str) -> Result<Answer<Vec<u8>>, CallError> {
        let request = http::Request::get(path).body(Body::empty());
        let request = request.map_err(|error| CallError::Unsendable(error.to_string()))?;
        let answer = self.call(self.client.send(request)).await?;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let (code, date) = (answer.status().as_u16(), date.map(|date| date.timestamp()));
        let body = self.call(answer.into_body().collect_bytes()).await?;
        match code {
            200 => Ok(Answer { value: body.into(), date }),
            code => Err(CallError::of_path(path, code, &body)),
        }
    }

    /// Creates a request, or only says whether it could be created. Fields that the cluster does not know are refused: left
    /// out in silence, as is the default, the request would be another one than was asked for.
    pub async fn create(
        &self,
        namespace: &str,
        request: &TapRequest,
        dry_run: bool,
    ) -> Result<Record, CallError> {
        let parameters = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
        let unsent = CallError::Unsendable;
        let body = serde_json::to_vec(request).map_err(|error| unsent(error.to_string()))?;
        let api = self.requests(Some(namespace))?;
        let request = kube::core::Request::new(api.resource_url()).create(&parameters, body);
        let mut request = request.map_err(|error| unsent(error.to_string()))?;
        // The parameters have no field for it.
        let url = format!("{}&fieldValidation=Strict", request.uri());
        *request.uri_mut() = url.parse().map_err(|_| unsent(format!("{url} is no URL")))?;
        let created = self.call(self.client.request::<Lean<DynamicObject>>(request)).await;
        created.map(|Lean(created)| Record::new(created))
    }

    /// Appends a decision, by a patch whose tests must hold, and of which the cluster must know every field.
    pub async fn decide(
        &self,
        namespace: &str,
        name: &str,
        patch: json_patch::Patch,
    ) -> Result<Record, CallError> {
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let parameters = parameters.validation_strict();
        let patch = Patch::Json::<()>(patch);
        let api = self.requests(Some(namespace))?;
        self.call(api.patch_status(segment("name", name)?, &parameters, &patch))
            .await
            .map(|Lean(it)| Record::new(it))
    }

    /// Deletes exactly this Secret.
    pub async fn delete_secret(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), CallError> {
        let api: Api<Secret> = self.objects(namespace)?;
        match self.call(api.delete(segment("name", name)?, &exactly(uid))).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets the stop. One that is set already may become stricter, never less strict.
    pub async fn set_stop(&self, namespace: &str, revoke: bool) -> Result<(), CallError> {
        let api: Api<ConfigMap> = self.objects(namespace)?;
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
        let api: Api<ConfigMap> = self.objects(namespace)?;
        match self.call(api.delete(STOP_CONFIG_MAP, &exactly(uid))).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl<'a> Right<'a> {
    /// A right on the requests.
    pub fn requests(verb: &'a str) -> Self {
        Self { verb, group: GROUP, resource: "taprequests", subresource: "", name: "" }
    }

    /// A verb on a policy.
    pub fn policy(verb: &'a str, name: &'a str) -> Self {
        Self { verb, group: GROUP, resource: "tappolicies", subresource: "", name }
    }

    /// A right on a Secret.
    pub fn secret(verb: &'a str, name: &'a str) -> Self {
        Self { verb, group: "", resource: "secrets", subresource: "", name }
    }
}

fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// A part of a path of the API server, as client-go takes them. Without a namespace the path would be that of all namespaces,
/// and a slash would begin a subresource. `what`: what it names.
fn segment<'a>(what: &str, text: &'a str) -> Result<&'a str, CallError> {
    let is_part = !text.contains(['/', '%', '?', '#']) && !matches!(text, "" | "." | "..");
    is_part.then_some(text).ok_or_else(|| CallError::Unsendable(format!("{text:?} is no {what}")))
}

/// A value in a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kubernetes_api::{Fault, KubernetesApi, Match};

    use super::*;

    fn cluster(api: &KubernetesApi) -> Cluster {
        Cluster::new(api.client(), ClusterName::default(), None)
    }

    #[tokio::test]
    async fn what_is_no_part_of_a_path_is_not_sent() {
        let api = KubernetesApi::new("2026-11-29T17:30:00Z".parse().unwrap());
        let cluster = cluster(&api);
        let refused =
            |error: CallError| assert!(matches!(error, CallError::Unsendable(_)), "{error}");
        for namespace in ["", "a/b", "..", "a?b"] {
            refused(cluster.list(Some(namespace), &[]).await.unwrap_err());
            refused(cluster.request(namespace, "a").await.unwrap_err());
            refused(cluster.secret(namespace, "a").await.unwrap_err());
            refused(cluster.stop(namespace).await.unwrap_err());
            refused(cluster.set_stop(namespace, true).await.unwrap_err());
            refused(cluster.delete_secret(namespace, "a", "b").await.unwrap_err());
            refused(
                cluster.decide(namespace, "a", json_patch::Patch::default()).await.unwrap_err(),
            );
        }
        for name in ["", "a/status", "..", "a%2fstatus"] {
            refused(cluster.request("helpdesk", name).await.unwrap_err());
            refused(cluster.policy(name).await.unwrap_err());
            refused(cluster.secret("helpdesk", name).await.unwrap_err());
        }
        assert!(api.requests().is_empty(), "{:?}", api.requests());
    }

    #[tokio::test]
    async fn only_what_the_api_server_names_is_absent() {
        let api = KubernetesApi::new("2026-11-29T17:30:00Z".parse().unwrap());
        let cluster = cluster(&api);
        let stop = || cluster.stop("helpdesk");
        assert_eq!(stop().await, Ok(None));
        let gateway = || Fault::Refused(Status::failure("<html>", "").with_code(404).boxed());
        api.fail_next(Match::any(), gateway());
        let failed = stop().await.unwrap_err();
        assert!(matches!(failed, CallError::Failed { code: 404, .. }), "{failed:?}");
        api.fail_next(Match::any(), gateway());
        let deleted = cluster.delete_secret("helpdesk", "a", "b").await;
        assert!(deleted.unwrap_err().is_unsure());
        assert_eq!(cluster.delete_secret("helpdesk", "a", "b").await, Ok(()));
    }

    #[test]
    fn names_in_selectors_are_escaped() {
        assert_eq!(escaped("CN=a,O=b"), "CN\\=a\\,O\\=b");
    }
}
