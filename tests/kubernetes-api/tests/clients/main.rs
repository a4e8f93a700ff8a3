//! The in-process API server as real clients, watchers and controllers see it.

mod admission;
mod deletion;
mod faults;
mod log;
mod objects;
mod reading;
mod runtime;
mod watching;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{
    ConfigMap, Event as CoreEvent, Namespace, ObjectReference, Secret,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
    WatchEvent, WatchParams,
};
use kube::core::Status;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event as Report, EventType, Recorder, Reporter};
use kube::runtime::{Controller, WatchStreamExt as _, reflector, watcher};
use kube::{Client, CustomResource, CustomResourceExt as _, Resource as _, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use kubernetes_api::{
    Answer, ChangeKind, Controllers, Fault, KubernetesApi, Match, Operation, Point, Resource, Verb,
    WatchEnd, statuses,
};

/// A custom resource with a status.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.com", version = "v1", kind = "Widget", namespaced, status = "WidgetStatus")]
struct WidgetSpec {
    size: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
struct WidgetStatus {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    notes: Vec<String>,
}

const START: &str = "2026-11-23T08:00:00Z";

fn server() -> KubernetesApi {
    let api = KubernetesApi::new(START.parse().expect("a timestamp"));
    let pending = json!({"phase": "Pending", "notes": []});
    api.register(Resource::from_crd(&Widget::crd()).with_default_status(pending));
    api
}

fn widgets(api: &KubernetesApi) -> Api<Widget> {
    Api::default_namespaced(api.client())
}

fn secrets(api: &KubernetesApi) -> Api<Secret> {
    Api::default_namespaced(api.client())
}

fn widget(name: &str, size: i32) -> Widget {
    Widget::new(name, WidgetSpec { size })
}

fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        ..Secret::default()
    }
}

fn config_map(name: &str, label: Option<(&str, &str)>) -> ConfigMap {
    let labels = label.map(|(key, value)| BTreeMap::from([(key.to_owned(), value.to_owned())]));
    let metadata = ObjectMeta { name: Some(name.into()), labels, ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

async fn create(api: &KubernetesApi, widget: &Widget) -> Widget {
    widgets(api).create(&PostParams::default(), widget).await.expect("created")
}

async fn merge(api: &KubernetesApi, name: &str, patch: Value) -> kube::Result<Widget> {
    widgets(api).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

async fn merge_status(api: &KubernetesApi, name: &str, patch: Value) -> kube::Result<Widget> {
    widgets(api).patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

fn refusal<T>(result: kube::Result<T>) -> Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("not refused"),
    }
}

fn connection_lost<T>(result: &kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Service(_)))
}

/// The next event of a watch, within a day of paused time.
async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    let day = Duration::from_hours(24);
    tokio::time::timeout(day, stream.next()).await.expect("an event").expect("an open stream")
}

fn described(event: &WatchEvent<Widget>) -> String {
    match event {
        WatchEvent::Added(object) => format!("ADDED {}", object.name_any()),
        WatchEvent::Modified(object) => format!("MODIFIED {}", object.name_any()),
        WatchEvent::Deleted(object) => format!("DELETED {}", object.name_any()),
        WatchEvent::Bookmark(bookmark) => {
            format!("BOOKMARK {}", bookmark.metadata.resource_version)
        }
        WatchEvent::Error(status) => format!("ERROR {}", status.code),
    }
}
