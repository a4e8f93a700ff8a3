//! Reads and writes of requests.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, ObjectMeta, Patch, Preconditions};
use kube::core::{ObjectList, PartialObjectMeta, Request};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::error::{ApiError, call, find};
use super::patch::as_operator;
use super::write;
use crate::api::names::{FINALIZER, INTENT_ANNOTATION, STOP_CONFIG_MAP};
use crate::api::{Lean, TapPolicy, TapRequest, TapRequestSpec, TapRequestStatus};
use crate::decision::ids::{RequestName, Uid};
use crate::decision::intent::{Intent, LONGEST_AT_FIRST, Stage};
use crate::decision::situation::{Brakes, Labels, Stop};
use crate::decision::stop::StopOrder;
use crate::decision::terms::PolicyVersion;
use crate::effect::Effect;

/// The API of the requests in a request's namespace.
pub fn api(client: &Client, request: &TapRequest) -> Api<Lean<TapRequest>> {
    api_in(client, &request.namespace().unwrap_or_default())
}

/// The API of the requests in a namespace.
pub fn api_in(client: &Client, namespace: &str) -> Api<Lean<TapRequest>> {
    Api::namespaced(client.clone(), namespace)
}

/// The namespace and name of a request, as namespace/name.
pub fn name_of(request: &TapRequest) -> String {
    format!("{}/{}", request.namespace().unwrap_or_default(), request.name_any())
}

/// A request of which nothing is known but its name and uid, to refer to it.
pub fn named(name: &RequestName, uid: &Uid) -> TapRequest {
    let mut request = TapRequest::new(&name.name, TapRequestSpec::default());
    request.metadata.namespace = Some(name.namespace.to_string());
    request.metadata.uid = Some(uid.to_string());
    request
}

/// The request of this name, by a quorum read; `None` if it does not exist.
pub async fn get(client: &Client, name: &RequestName) -> Result<Option<TapRequest>, ApiError> {
    let api = api_in(client, &name.namespace);
    Ok(find("get TapRequest", &api, &name.name).await?.map(|Lean(found)| found))
}

/// The metadata of the request of this name, even if this version cannot read the rest; `None` if it does not exist.
pub async fn get_metadata(
    client: &Client,
    name: &RequestName,
) -> Result<Option<ObjectMeta>, ApiError> {
    let api = metadata_api(client, &name.namespace);
    let found = find("get TapRequest", &api, &name.name).await?;
    Ok(found.map(|Lean(found)| found.metadata))
}

/// The metadata of a page of the requests of all namespaces.
#[expect(clippy::disallowed_methods, reason = "it reads")]
pub async fn list_metadata(
    client: &Client,
    page: &ListParams,
) -> Result<ObjectList<Lean<PartialObjectMeta<TapRequest>>>, ApiError> {
    let listed = async {
        let list = Request::new(TapRequest::url_path(&(), None)).list_metadata(page);
        client.request(list.map_err(kube::Error::BuildRequest)?).await
    };
    call("list TapRequests", listed).await
}

/// Changes the status that was read into this one. `decisions` are never written, because people write them.
pub async fn write_status(
    client: &Client,
    before: &TapRequest,
    status: &TapRequestStatus,
) -> Result<TapRequest, ApiError> {
    let old = before.status.clone().unwrap_or_default();
    let (effect, api) = (Effect::WriteRequestStatus, api(client, before));
    let written = write::change_status(effect, &api, &before.metadata, &old, status).await;
    written.map(|Lean(written)| written)
}

/// Records an intent, with the finalizer. An intent too long to be read again is refused, and nothing is sent.
pub async fn record_intent(
    client: &Client,
    before: &TapRequest,
    intent: &Intent,
) -> Result<TapRequest, ApiError> {
    fits(intent)?;
    let mut finalizers = before.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    let patch = metadata_patch(&before.metadata, &finalizers, Some(intent));
    patch_metadata(Effect::RecordIntent, client, before, &patch).await
}

fn fits(intent: &Intent) -> Result<(), ApiError> {
    let bytes = intent.to_annotation().len();
    if intent.stage != Stage::Issuing || bytes <= LONGEST_AT_FIRST {
        return Ok(());
    }
    let message = format!(
        "the annotation {INTENT_ANNOTATION} would have {bytes} bytes, and at most {LONGEST_AT_FIRST} are sure to be read again: the tenant lists {} passes of the user, or gives the user or them uncommonly long names",
        intent.listed.len()
    );
    Err(ApiError::Refused { call: Effect::RecordIntent.name(), code: 413, message })
}

/// Removes the finalizer and closes the intent, in one write.
pub async fn release(
    client: &Client,
    before: &TapRequest,
    closed: Option<&Intent>,
) -> Result<TapRequest, ApiError> {
    let patch = metadata_patch(&before.metadata, &without_ours(&before.metadata), closed);
    patch_metadata(Effect::ReleaseFinalizer, client, before, &patch).await
}

/// Removes the finalizer of a request of which only the metadata could be read.
pub async fn release_unread(client: &Client, metadata: &ObjectMeta) -> Result<(), ApiError> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let api = metadata_api(client, namespace);
    let patch = Patch::Merge(metadata_patch(metadata, &without_ours(metadata), None));
    let name = metadata.name.as_deref().unwrap_or_default();
    let effect = Effect::ReleaseFinalizer;
    write::patch(effect, &api, name, &as_operator(), &patch).await.map(drop)
}

/// Deletes exactly this version of a request. Returns the request if it is only marked for deletion, or `None` if it is
/// gone.
pub async fn delete(client: &Client, request: &TapRequest) -> Result<Option<TapRequest>, ApiError> {
    let exactly = Preconditions {
        uid: request.metadata.uid.clone(),
        resource_version: request.metadata.resource_version.clone(),
    };
    let api = api(client, request);
    match write::delete(Effect::DeleteRequest, &api, &request.name_any(), exactly).await {
        Err(ApiError::NotFound { .. }) => Ok(None),
        deleted => Ok(deleted?.map(|Lean(deleted)| deleted)),
    }
}

/// The labels of a request's namespace, by a quorum read: a list, because the operator has no right to get a namespace.
pub async fn labels(client: &Client, request: &TapRequest) -> Result<Labels, String> {
    let name = request.namespace().unwrap_or_default();
    let namespaces: Api<Lean<PartialObjectMeta<Namespace>>> = Api::all(client.clone());
    let this_one = ListParams::default().fields(&format!("metadata.name={name}"));
    let listed = call("list Namespaces", namespaces.list(&this_one)).await;
    let found = listed.map_err(|error| error.to_string())?.items.into_iter().next();
    let Lean(namespace) = found.ok_or_else(|| format!("namespace {name} does not exist"))?;
    Ok(namespace.metadata.labels.unwrap_or_default())
}

/// Stop and suspension, by quorum reads. A failed read counts as stopped or suspended.
pub async fn brakes(client: &Client, namespace: &str, policy: &str) -> Brakes {
    let stop = match stop(client, namespace).await {
        Ok(found) => StopOrder::of(found.as_ref()).stop,
        Err(_) => Stop::On,
    };
    let policies: Api<TapPolicy> = Api::all(client.clone());
    let policy = find("get TapPolicy", &policies, policy).await;
    let issuance = |policy: &TapPolicy| policy.spec.issuance.as_ref().map(|i| i.suspend);
    let suspended =
        !matches!(&policy, Ok(Some(policy)) if issuance(policy).is_some_and(|s| s != Some(true)));
    let policy = policy.ok().flatten().map(|policy| PolicyVersion::of(&policy.metadata));
    Brakes { stop, suspended, policy }
}

/// The stop `ConfigMap`, by a quorum read; `None` if it does not exist.
pub async fn stop(client: &Client, namespace: &str) -> Result<Option<ConfigMap>, ApiError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    find("get stop ConfigMap", &maps, STOP_CONFIG_MAP).await
}

async fn patch_metadata(
    effect: Effect,
    client: &Client,
    request: &TapRequest,
    patch: &Value,
) -> Result<TapRequest, ApiError> {
    let api = api(client, request);
    let patch = Patch::Merge(patch);
    let patched = write::patch(effect, &api, &request.name_any(), &as_operator(), &patch).await;
    patched.map(|Lean(patched)| patched)
}

/// Of whole objects only the metadata is read.
fn metadata_api(client: &Client, namespace: &str) -> Api<Lean<PartialObjectMeta<TapRequest>>> {
    Api::namespaced(client.clone(), namespace)
}

fn without_ours(metadata: &ObjectMeta) -> Vec<String> {
    let all = metadata.finalizers.iter().flatten();
    all.filter(|finalizer| *finalizer != FINALIZER).cloned().collect()
}

fn metadata_patch(metadata: &ObjectMeta, finalizers: &[String], intent: Option<&Intent>) -> Value {
    let mut changed =
        json!({ "resourceVersion": metadata.resource_version, "finalizers": finalizers });
    if let Some(intent) = intent {
        changed["annotations"] = json!({ INTENT_ANNOTATION: intent.to_annotation() });
    }
    json!({ "metadata": changed })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::decision::intent::LONGEST;

    fn intent(listed: usize) -> Intent {
        let id = "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa";
        Intent {
            uid: id.into(),
            attempt: id.into(),
            number: 1,
            holder: "tap-operator".into(),
            tenant_id: id.into(),
            cloud: None,
            connection: "default".into(),
            user_id: id.into(),
            user_principal_name: format!("{}@contoso.com", "a".repeat(100)),
            lifetime_minutes: 60,
            one_time_use: true,
            start: None,
            latest_expiry: Timestamp::UNIX_EPOCH,
            listed: vec![id.into(); listed],
            listed_at: Timestamp::UNIX_EPOCH,
            replaces: None,
            stage: Stage::Issuing,
        }
    }

    /// No POST is sent without a record that can be read again, by every process that takes it over.
    #[test]
    fn an_attempt_that_could_not_be_read_again_is_not_recorded() {
        let most = (0..100).rfind(|listed| fits(&intent(*listed)).is_ok()).unwrap();
        assert!(most > 20, "{most}");
        let pod = "p".repeat(253);
        let now = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
        let raised = intent(most).raised("x".repeat(36), pod, now, true);
        assert!(raised.to_annotation().len() <= LONGEST && fits(&raised).is_ok());
        let refused = fits(&intent(most + 1)).unwrap_err().to_string();
        assert!(refused.contains("lists") && refused.contains("passes of the user"), "{refused}");
    }
}
