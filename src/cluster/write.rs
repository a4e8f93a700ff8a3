//! The only place that writes to the API server.
//!
//! Each write names its [`Effect`]. Dry runs and reviews go through [`Trial`], which changes nothing.
#![expect(clippy::disallowed_methods, reason = "these methods may be called only here")]

use std::fmt::Debug;
use std::future::Future;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::Body;
use kube::core::ObjectMeta;
use kube::runtime::events::{Event, Recorder};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::{ApiError, call};
use super::patch::{as_operator, merge_patch};
use crate::decision::rights::Right;
use crate::effect::Effect;

/// Creates an object.
pub async fn create<K>(effect: Effect, api: &Api<K>, object: &K) -> Result<K, ApiError>
where
    K: Clone + DeserializeOwned + Debug + Serialize,
{
    call(effect.name(), api.create(&PostParams::default(), object)).await
}

/// Creates an object by a given HTTP request, and reads the answer with a given function, because the answer is not the
/// object.
pub async fn create_by<T, R>(
    effect: Effect,
    client: &Client,
    request: http::Request<Vec<u8>>,
    read: impl FnOnce(http::Response<Body>) -> R,
) -> Result<T, ApiError>
where
    R: Future<Output = kube::Result<T>>,
{
    let answered = async { read(client.send(request.map(Body::from)).await?).await };
    call(effect.name(), answered).await
}

/// Replaces the version of an object whose `resourceVersion` it carries.
pub async fn replace<K>(effect: Effect, api: &Api<K>, name: &str, object: &K) -> Result<K, ApiError>
where
    K: Clone + DeserializeOwned + Debug + Serialize,
{
    call(effect.name(), api.replace(name, &PostParams::default(), object)).await
}

/// Patches an object.
pub async fn patch<K, P>(
    effect: Effect,
    api: &Api<K>,
    name: &str,
    by: &PatchParams,
    patch: &Patch<P>,
) -> Result<K, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
    P: Serialize + Debug,
{
    call(effect.name(), api.patch(name, by, patch)).await
}

/// Changes the status of exactly this version of an object from one into another, in a patch of what differs.
pub async fn change_status<K, S>(
    effect: Effect,
    api: &Api<K>,
    before: &ObjectMeta,
    from: &S,
    to: &S,
) -> Result<K, ApiError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let changes = merge_patch(from, to);
    let patch = Patch::Merge(json!({
        "metadata": { "resourceVersion": before.resource_version },
        "status": changes,
    }));
    let name = before.name.as_deref().unwrap_or_default();
    let written = call(effect.name(), api.patch_status(name, &as_operator(), &patch)).await?;
    took_something(effect, &changes, before, written.meta())?;
    Ok(written)
}

/// Whether a patch of a status with these changes changed anything. If not, the API server dropped all of them, because its
/// definition does not have these fields. Without this, the same patch would be sent again and again.
fn took_something(
    effect: Effect,
    changes: &Value,
    before: &ObjectMeta,
    after: &ObjectMeta,
) -> Result<(), ApiError> {
    let is_empty = changes.as_object().is_some_and(Map::is_empty);
    if is_empty || before.resource_version != after.resource_version {
        return Ok(());
    }
    let message = "the API server drops fields of the status, because its custom resource definitions are older than the operator: install those of the operator's version";
    Err(ApiError::Refused { call: effect.name(), code: 422, message: message.into() })
}

/// Deletes exactly this object, and no other of the same name. Returns the object if finalizers still hold it.
pub async fn delete<K>(
    effect: Effect,
    api: &Api<K>,
    name: &str,
    exactly: Preconditions,
) -> Result<Option<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let exactly = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
    Ok(call(effect.name(), api.delete(name, &exactly)).await?.left())
}

/// Publishes an event.
pub async fn publish(
    recorder: &Recorder,
    event: &Event,
    about: &ObjectReference,
) -> Result<(), ApiError> {
    call(Effect::PublishEvent.name(), recorder.publish(event, about)).await
}

/// A call that changes nothing: a dry run, or a review. It has the name of the call in messages.
pub struct Trial(pub &'static str);

impl Trial {
    /// Dry run: creates an object.
    pub async fn create<K>(self, api: &Api<K>, object: &K) -> Result<K, ApiError>
    where
        K: Clone + DeserializeOwned + Debug + Serialize,
    {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        call(self.0, api.create(&dry_run, object)).await
    }

    /// Dry run: patches an object.
    pub async fn patch<K>(
        self,
        api: &Api<K>,
        name: &str,
        patch: &Patch<serde_json::Value>,
    ) -> Result<K, ApiError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        call(self.0, api.patch(name, &dry_run_of_a_patch(), patch)).await
    }

    /// Dry run: patches the status of an object.
    pub async fn patch_status<K>(
        self,
        api: &Api<K>,
        name: &str,
        patch: &Patch<serde_json::Value>,
    ) -> Result<K, ApiError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        call(self.0, api.patch_status(name, &dry_run_of_a_patch(), patch)).await
    }

    /// Dry run: deletes the object of this name. Returns its uid.
    ///
    /// `dryRun` must be in the body: if there is a body, the API server ignores `dryRun` in the URL, and deletes.
    pub async fn delete<K>(self, api: &Api<K>, name: &str) -> Result<String, ApiError>
    where
        K: Clone + DeserializeOwned + Debug + Resource,
    {
        let dry_run = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let answer = call(self.0, api.delete(name, &dry_run)).await?;
        let uid = answer.either(
            |object| object.meta().uid.clone(),
            |status| status.details.map(|details| details.uid).filter(|uid| !uid.is_empty()),
        );
        uid.ok_or(ApiError::Unknown { call: self.0, cause: "the answer names no uid".into() })
    }

    /// Whether this program has a right. `namespace` is the operator's own.
    pub async fn may(
        self,
        client: &Client,
        right: &Right,
        namespace: &str,
    ) -> Result<bool, ApiError> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.clone()),
                    resource: Some(right.resource.clone()),
                    subresource: some(&right.subresource),
                    name: some(&right.name),
                    verb: Some(right.verb.clone()),
                    namespace: right.own_namespace.then(|| namespace.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let answer = call(self.0, reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// The user as which the API server knows this program.
    pub fn who_am_i(
        self,
        client: &Client,
    ) -> impl Future<Output = Result<SelfSubjectReview, ApiError>> {
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        call(self.0, async move {
            reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await
        })
    }
}

fn dry_run_of_a_patch() -> PatchParams {
    PatchParams { dry_run: true, ..PatchParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_which_nothing_was_taken_is_refused() {
        let version = |version: &str| ObjectMeta {
            resource_version: Some(version.into()),
            ..Default::default()
        };
        let took = |changes: Value, after: &str| {
            took_something(Effect::WriteRequestStatus, &changes, &version("1"), &version(after))
        };
        assert!(took(json!({}), "1").is_ok());
        assert!(took(json!({"a": 1}), "2").is_ok());
        let refused = took(json!({"a": 1}), "1");
        assert!(matches!(refused, Err(ApiError::Refused { code: 422, .. })), "{refused:?}");
    }
}
