//! The one place from which anything is written to the API server.
//!
//! Each write names its [`Effect`]. What is only tried or asked goes as a question, by [`Trial`], which cannot write.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the place to which these methods are confined"
)]

use std::fmt::Debug;
use std::future::Future;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::Body;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, Recorder};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, call};
use crate::effect::Effect;

/// Creates an object.
pub async fn create<K>(effect: Effect, api: &Api<K>, object: &K) -> Result<K, ApiError>
where
    K: Clone + DeserializeOwned + Debug + Serialize,
{
    call(effect.name(), api.create(&PostParams::default(), object)).await
}

/// Creates an object by a request that was made by hand, for an answer that is not the object and is read by hand.
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

/// Puts an object in the place of the version that it carries.
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

/// Patches an object of which only the metadata can be read.
pub async fn patch_metadata<K, P>(
    effect: Effect,
    api: &Api<K>,
    name: &str,
    by: &PatchParams,
    patch: &Patch<P>,
) -> Result<PartialObjectMeta<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
    P: Serialize + Debug,
{
    call(effect.name(), api.patch_metadata(name, by, patch)).await
}

/// Patches an object's status.
pub async fn patch_status<K, P>(
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
    call(effect.name(), api.patch_status(name, by, patch)).await
}

/// Deletes exactly this object, and no other of the same name. Answers with the object where it is only marked, because
/// it has finalizers.
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

/// What the API server is only asked: a dry run, or who somebody is. Nothing is kept of it.
pub struct Trial(pub &'static str);

impl Trial {
    /// Would this object be created?
    pub async fn create<K>(self, api: &Api<K>, object: &K) -> Result<K, ApiError>
    where
        K: Clone + DeserializeOwned + Debug + Serialize,
    {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        call(self.0, api.create(&dry_run, object)).await
    }

    /// Would this patch be taken?
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

    /// Would this patch of the status be taken?
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

    /// Would the object of this name be deleted? Answers with its uid.
    ///
    /// `dryRun` stands in the body: beside a body the API server ignores the one in the URL, and deletes.
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

    /// As whom does the API server know this program?
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
