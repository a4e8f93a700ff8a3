//! The in-process API server, seen through real clients, watchers and controllers.

#[path = "support/kubernetes/mod.rs"]
mod kubernetes;

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

use self::kubernetes::{
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
        Err(error) => panic!("refused otherwise: {error:?}"),
        Ok(_) => panic!("not refused"),
    }
}

fn connection_lost<T>(result: &kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Service(_)))
}

/// The next event of a watch, within a day.
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

mod objects {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn creation_stamps_what_the_server_owns() {
        let api = server();
        tokio::time::advance(Duration::from_millis(90_500)).await;
        let created = create(&api, &widget("a", 1)).await;

        assert_eq!(
            created.metadata.creation_timestamp.expect("a time").0,
            "2026-11-23T08:01:30Z".parse::<Timestamp>().expect("a time")
        );
        assert_eq!(created.metadata.generation, Some(1));
        assert_eq!(created.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(created.metadata.resource_version, Some(api.revision().to_string()));
        assert!(created.metadata.uid.is_some_and(|uid| uid.len() == 36));
        assert_eq!(created.status.expect("the default").phase, "Pending");
        assert_eq!(widgets(&api).get("a").await.expect("there").spec.size, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_repeat_themselves() {
        let run = async || {
            let api = server();
            let mut generated = widget("", 1);
            generated.metadata =
                ObjectMeta { generate_name: Some("a-".into()), ..ObjectMeta::default() };
            create(&api, &generated).await;
            create(&api, &generated).await;
            api.list("widgets")
        };
        let (first, second) = (run().await, run().await);
        assert_eq!(first.len(), 2);
        assert_eq!(first, second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_in_a_new_object_is_ignored() {
        let api = server();
        let mut with_status = widget("a", 1);
        with_status.status = Some(WidgetStatus { phase: "Done".into(), ..WidgetStatus::default() });
        let created = create(&api, &with_status).await;
        assert_eq!(created.status.expect("the default").phase, "Pending");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_taken_once() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let status = refusal(widgets(&api).create(&PostParams::default(), &widget("a", 1)).await);
        assert!(status.is_already_exists());
        assert_eq!(status.code, 409);
        assert_eq!(status.message, "widgets.example.com \"a\" already exists");
        let details = status.details.expect("details");
        assert_eq!(
            (details.name.as_str(), details.group.as_str(), details.kind.as_str()),
            ("a", "example.com", "widgets")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_checked() {
        let api = server();
        for name in ["Upper", "-a", "a..b", "a_b"] {
            let status =
                refusal(widgets(&api).create(&PostParams::default(), &widget(name, 1)).await);
            assert!(status.is_invalid(), "{name}: {status:?}");
            assert_eq!(status.details.expect("details").causes[0].field, "metadata.name");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dry_run_creates_nothing_and_tells_all_else() {
        let api = server();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let created = widgets(&api).create(&dry, &widget("a", 1)).await.expect("would be created");
        assert!(created.metadata.uid.is_some());
        assert_eq!(created.metadata.resource_version, None);
        assert_eq!(api.get("widgets", "default", "a"), None);

        create(&api, &widget("a", 1)).await;
        let status = refusal(widgets(&api).create(&dry, &widget("a", 1)).await);
        assert!(status.is_already_exists());
        assert!(api.writes().iter().all(|write| !write.is_dry_run()));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_created_without_its_namespace() {
        let api = server();
        let nowhere: Api<Widget> = Api::namespaced(api.client(), "nowhere");
        let status = refusal(nowhere.create(&PostParams::default(), &widget("a", 1)).await);
        assert!(status.is_not_found());
        assert_eq!(status.message, "namespaces \"nowhere\" not found");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_not_found() {
        let api = server();
        let status = refusal(widgets(&api).get("a").await);
        assert!(status.is_not_found());
        assert_eq!(status.message, "widgets.example.com \"a\" not found");
        assert!(widgets(&api).get_opt("a").await.expect("an answer").is_none());
        assert!(refusal(merge(&api, "a", json!({"spec": {"size": 2}})).await).is_not_found());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unserved_resource_is_a_404_without_a_status() {
        let api = KubernetesApi::new(START.parse().expect("a timestamp"));
        let status = refusal(widgets(&api).list(&ListParams::default()).await);
        assert_eq!(status.code, 404);
        assert_eq!(status.message, "404 page not found");
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_take_texts_and_may_be_immutable() {
        let api = server();
        let mut first = secret("a");
        first.string_data = Some(BTreeMap::from([("code".into(), "hello".into())]));
        first.immutable = Some(true);
        let created = secrets(&api).create(&PostParams::default(), &first).await.expect("created");
        assert_eq!(created.data.expect("data")["code"].0, b"hello");
        assert_eq!(created.type_.as_deref(), Some("Opaque"));
        assert_eq!(created.metadata.generation, None);

        let patch = Patch::Merge(json!({"data": {"code": "AAAA"}}));
        let status = refusal(secrets(&api).patch("a", &PatchParams::default(), &patch).await);
        assert!(status.is_invalid());
        let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        secrets(&api).patch("a", &PatchParams::default(), &label).await.expect("labels are free");
    }
}

mod writing {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_replacement_needs_the_latest_version() {
        let api = server();
        let first = create(&api, &widget("a", 1)).await;
        let mut second = first.clone();
        second.spec.size = 2;
        let second =
            widgets(&api).replace("a", &PostParams::default(), &second).await.expect("replaced");
        assert_eq!(second.metadata.generation, Some(2));

        let status = refusal(widgets(&api).replace("a", &PostParams::default(), &first).await);
        assert!(status.is_conflict());
        assert_eq!(status.code, 409);
        assert_eq!(status.reason, "Conflict");
        assert!(status.message.starts_with("Operation cannot be fulfilled on widgets.example.com \"a\": the object has been modified"));

        let mut blind = second.clone();
        blind.metadata.resource_version = None;
        assert!(
            refusal(widgets(&api).replace("a", &PostParams::default(), &blind).await).is_invalid()
        );
        let mut other = second;
        other.metadata.uid = Some("another".into());
        assert!(
            refusal(widgets(&api).replace("a", &PostParams::default(), &other).await).is_conflict()
        );
        assert_eq!(api.get("widgets", "default", "a").expect("there")["spec"]["size"], 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_merge_patch_merges_and_removes() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let annotated = json!({"metadata": {"annotations": {"x": "1", "y": "2"}, "finalizers": ["example.com/f"]}});
        let patched = merge(&api, "a", annotated).await.expect("patched");
        assert_eq!(patched.metadata.generation, Some(1));
        let patched = merge(&api, "a", json!({"metadata": {"annotations": {"x": null}}}))
            .await
            .expect("patched");
        assert_eq!(patched.annotations(), &BTreeMap::from([("y".to_owned(), "2".to_owned())]));
        assert_eq!(patched.finalizers(), ["example.com/f"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_patch_may_name_the_version_it_is_for() {
        let api = server();
        let first = create(&api, &widget("a", 1)).await;
        let version = first.resource_version().expect("a version");
        let patch =
            |size: i32| json!({"metadata": {"resourceVersion": version}, "spec": {"size": size}});
        merge(&api, "a", patch(2)).await.expect("still the version");
        assert!(refusal(merge(&api, "a", patch(3)).await).is_conflict());
        let status_patch =
            json!({"metadata": {"resourceVersion": version}, "status": {"phase": "Done"}});
        assert!(refusal(merge_status(&api, "a", status_patch).await).is_conflict());
        merge(&api, "a", json!({"spec": {"size": 3}})).await.expect("any version");
    }

    #[tokio::test(start_paused = true)]
    async fn a_json_patch_applies_whole_or_not_at_all() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let patch = async |operations: Value| {
            let patch: json_patch::Patch = serde_json::from_value(operations).expect("a patch");
            widgets(&api).patch("a", &PatchParams::default(), &Patch::Json::<()>(patch)).await
        };
        let patched = patch(json!([
            {"op": "test", "path": "/spec/size", "value": 1},
            {"op": "replace", "path": "/spec/size", "value": 2},
        ]))
        .await
        .expect("patched");
        assert_eq!(patched.spec.size, 2);

        for failing in [
            json!([{"op": "replace", "path": "/spec/size", "value": 3}, {"op": "test", "path": "/spec/size", "value": 1}]),
            json!([{"op": "remove", "path": "/spec/nothing"}]),
        ] {
            let status = refusal(patch(failing).await);
            assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        }
        assert_eq!(api.get("widgets", "default", "a").expect("there")["spec"]["size"], 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_default_status_can_be_appended_to() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let operations = json!([{"op": "add", "path": "/status/notes/-", "value": "hello"}]);
        let patch: json_patch::Patch = serde_json::from_value(operations).expect("a patch");
        let patched = widgets(&api)
            .patch_status("a", &PatchParams::default(), &Patch::Json::<()>(patch))
            .await
            .expect("patched");
        assert_eq!(patched.status.expect("a status").notes, ["hello"]);
    }

    #[tokio::test(start_paused = true)]
    async fn apply_is_refused() {
        let api = server();
        let apply = PatchParams::apply("me");
        let status = refusal(widgets(&api).patch("a", &apply, &Patch::Apply(widget("a", 1))).await);
        assert!([404, 415].contains(&status.code));
        create(&api, &widget("a", 1)).await;
        let status = refusal(widgets(&api).patch("a", &apply, &Patch::Apply(widget("a", 1))).await);
        assert_eq!((status.code, status.reason.as_str()), (415, "UnsupportedMediaType"));
    }

    #[tokio::test(start_paused = true)]
    async fn status_and_the_rest_are_written_apart() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let both = json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {"size": 7},
            "status": {"phase": "Done"},
        });
        let after = merge_status(&api, "a", both.clone()).await.expect("status written");
        assert_eq!(after.spec.size, 1);
        assert!(after.labels().is_empty());
        assert_eq!(after.metadata.generation, Some(1));
        assert_eq!(after.status.as_ref().expect("a status").phase, "Done");

        let back = json!({"spec": {"size": 7}, "status": {"phase": "Pending"}});
        let after = merge(&api, "a", back).await.expect("written");
        assert_eq!(after.spec.size, 7);
        assert_eq!(after.metadata.generation, Some(2));
        assert_eq!(after.status.expect("a status").phase, "Done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_status_subresource_is_not_found() {
        let api = server();
        secrets(&api).create(&PostParams::default(), &secret("a")).await.expect("created");
        let patch = Patch::Merge(json!({"status": {}}));
        let status =
            refusal(secrets(&api).patch_status("a", &PatchParams::default(), &patch).await);
        assert_eq!(status.code, 404);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_a_difference_writes_nothing() {
        let api = server();
        let first = create(&api, &widget("a", 1)).await;
        let revision = api.revision();
        merge(
            &api,
            "a",
            json!({"spec": {"size": 1}, "metadata": {"finalizers": [], "labels": {}}}),
        )
        .await
        .expect("patched");
        merge_status(&api, "a", json!({"status": {"phase": "Pending"}})).await.expect("patched");
        widgets(&api).replace("a", &PostParams::default(), &first).await.expect("replaced");
        assert_eq!(api.revision(), revision);
        assert_eq!(api.writes().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn identity_cannot_be_rewritten() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        for (field, value) in [("uid", "x"), ("deletionTimestamp", "2020-01-01T00:00:00Z")] {
            let status = refusal(merge(&api, "a", json!({"metadata": {field: value}})).await);
            assert!(status.is_invalid(), "{field}");
        }
        let ignored = json!({"generation": 9, "creationTimestamp": "2020-01-01T00:00:00Z"});
        let revision = api.revision();
        merge(&api, "a", json!({"metadata": ignored})).await.expect("ignored");
        assert_eq!(api.revision(), revision);
        assert_eq!(api.get("widgets", "default", "a").expect("there")["metadata"]["generation"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dry_run_patch_changes_nothing() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"size": 2}}));
        let patched = widgets(&api).patch("a", &dry, &patch).await.expect("would be patched");
        assert_eq!((patched.spec.size, patched.metadata.generation), (2, Some(2)));
        assert_eq!(api.get("widgets", "default", "a").expect("there")["spec"]["size"], 1);
    }
}

mod deletion {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_without_finalizers_goes_and_a_status_tells_its_uid() {
        let api = server();
        let created = create(&api, &widget("a", 1)).await;
        let answer = widgets(&api).delete("a", &DeleteParams::default()).await.expect("deleted");
        let status = answer.right().expect("a status");
        assert!(status.is_success());
        let details = status.details.expect("details");
        assert_eq!(
            (details.name.as_str(), details.group.as_str(), details.kind.as_str()),
            ("a", "example.com", "widgets")
        );
        assert_eq!(Some(details.uid), created.metadata.uid);
        assert_eq!(api.get("widgets", "default", "a"), None);
        assert!(refusal(widgets(&api).delete("a", &DeleteParams::default()).await).is_not_found());
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_with_finalizers_waits_for_them() {
        let api = server();
        let mut held = widget("a", 1);
        held.metadata.finalizers = Some(vec!["example.com/f".into()]);
        create(&api, &held).await;
        tokio::time::advance(Duration::from_secs(5)).await;
        let answer = widgets(&api).delete("a", &DeleteParams::default()).await.expect("marked");
        let marked = answer.left().expect("the object");
        assert_eq!(
            marked.metadata.deletion_timestamp.expect("a time").0,
            "2026-11-23T08:00:05Z".parse::<Timestamp>().expect("a time")
        );
        assert_eq!(marked.metadata.generation, Some(2));

        let revision = api.revision();
        tokio::time::advance(Duration::from_secs(5)).await;
        widgets(&api).delete("a", &DeleteParams::default()).await.expect("marked already");
        assert_eq!(api.revision(), revision);

        let more = json!({"metadata": {"finalizers": ["example.com/f", "example.com/g"]}});
        assert!(refusal(merge(&api, "a", more).await).is_invalid());
        merge(&api, "a", json!({"metadata": {"finalizers": null}})).await.expect("released");
        assert_eq!(api.get("widgets", "default", "a"), None);
        let last = api.writes().pop().expect("a write");
        assert_eq!(last.effects[0].kind, ChangeKind::Deleted);
    }

    #[tokio::test(start_paused = true)]
    async fn preconditions_hold() {
        let api = server();
        let created = create(&api, &widget("a", 1)).await;
        let with = |uid: Option<&str>, version: Option<&str>| {
            let preconditions = Preconditions {
                uid: uid.map(str::to_owned),
                resource_version: version.map(str::to_owned),
            };
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
        };
        let status = refusal(widgets(&api).delete("a", &with(Some("another"), None)).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        assert!(refusal(widgets(&api).delete("a", &with(None, Some("1"))).await).is_conflict());
        assert!(api.get("widgets", "default", "a").is_some());
        let uid = created.uid();
        widgets(&api).delete("a", &with(uid.as_deref(), None)).await.expect("deleted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dry_run_stands_in_the_body() {
        let api = server();
        let created = create(&api, &widget("a", 1)).await;
        let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let status =
            widgets(&api).delete("a", &dry).await.expect("would go").right().expect("a status");
        assert_eq!(Some(status.details.expect("details").uid), created.metadata.uid);
        assert!(api.get("widgets", "default", "a").is_some());
        assert!(refusal(widgets(&api).delete("b", &dry).await).is_not_found());

        let foreground = dry.clone().foreground_policy();
        let object = widgets(&api).delete("a", &foreground).await.expect("would be marked").left();
        assert!(object.expect("the object").metadata.deletion_timestamp.is_some());
        assert_eq!(
            api.get("widgets", "default", "a").expect("there")["metadata"].get("deletionTimestamp"),
            None
        );

        delete_raw(&api, "", "?dryRun=All").await;
        assert!(api.get("widgets", "default", "a").is_some(), "the query counts without a body");
        delete_raw(&api, "{}", "?dryRun=All").await;
        assert_eq!(api.get("widgets", "default", "a"), None, "a body hides the query");
    }

    trait ForegroundPolicy {
        fn foreground_policy(self) -> Self;
    }

    impl ForegroundPolicy for DeleteParams {
        fn foreground_policy(mut self) -> Self {
            self.propagation_policy = Some(kube::api::PropagationPolicy::Foreground);
            self
        }
    }

    async fn delete_raw(api: &KubernetesApi, body: &str, query: &str) {
        let path = format!("/apis/example.com/v1/namespaces/default/widgets/a{query}");
        let request =
            http::Request::delete(path).body(body.as_bytes().to_vec()).expect("a request");
        api.client().request_text(request).await.expect("an answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_collection_is_deleted_by_labels() {
        let api = server();
        let config_maps: Api<ConfigMap> = Api::default_namespaced(api.client());
        for (name, color) in [("a", "red"), ("b", "green"), ("c", "red")] {
            let config_map = config_map(name, Some(("color", color)));
            config_maps.create(&PostParams::default(), &config_map).await.expect("created");
        }
        let red = ListParams::default().labels("color=red");
        config_maps.delete_collection(&DeleteParams::default(), &red).await.expect("deleted");
        let left = config_maps.list(&ListParams::default()).await.expect("a list");
        assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
    }

    fn owned_secret(name: &str, owner: &Widget, block: bool) -> Secret {
        let mut dependent = secret(name);
        let mut reference = owner.owner_ref(&()).expect("an owner reference");
        reference.block_owner_deletion = Some(block);
        dependent.metadata.owner_references = Some(vec![reference]);
        dependent
    }

    #[tokio::test(start_paused = true)]
    async fn dependents_follow_their_owner() {
        let api = server();
        let owner = create(&api, &widget("a", 1)).await;
        secrets(&api)
            .create(&PostParams::default(), &owned_secret("s", &owner, false))
            .await
            .expect("created");
        secrets(&api).create(&PostParams::default(), &secret("free")).await.expect("created");
        assert!(api.get("secrets", "default", "s").is_some());
        widgets(&api).delete("a", &DeleteParams::default()).await.expect("deleted");
        assert_eq!(api.get("secrets", "default", "s"), None);
        assert!(api.get("secrets", "default", "free").is_some());

        create(&api, &widget("a", 1)).await;
        secrets(&api)
            .create(&PostParams::default(), &owned_secret("s", &owner, false))
            .await
            .expect("created");
        assert_eq!(api.get("secrets", "default", "s"), None, "an owner of another uid is no owner");
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_is_collected_when_the_test_says_so() {
        let api = server();
        api.set_controllers(Controllers::Stepped);
        let owner = create(&api, &widget("a", 1)).await;
        secrets(&api)
            .create(&PostParams::default(), &owned_secret("s", &owner, false))
            .await
            .expect("created");
        widgets(&api).delete("a", &DeleteParams::default()).await.expect("deleted");
        assert!(api.get("secrets", "default", "s").is_some());
        api.run_controllers();
        assert_eq!(api.get("secrets", "default", "s"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn foreground_waits_for_dependents_and_orphan_frees_them() {
        let api = server();
        let owner = create(&api, &widget("a", 1)).await;
        let mut held = owned_secret("s", &owner, true);
        held.metadata.finalizers = Some(vec!["example.com/f".into()]);
        secrets(&api).create(&PostParams::default(), &held).await.expect("created");
        widgets(&api).delete("a", &DeleteParams::foreground()).await.expect("marked");
        assert!(api.get("widgets", "default", "a").is_some());
        let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        secrets(&api).patch("s", &PatchParams::default(), &release).await.expect("released");
        assert_eq!(api.get("secrets", "default", "s"), None);
        assert_eq!(api.get("widgets", "default", "a"), None);

        let owner = create(&api, &widget("b", 1)).await;
        secrets(&api)
            .create(&PostParams::default(), &owned_secret("t", &owner, false))
            .await
            .expect("created");
        widgets(&api).delete("b", &DeleteParams::orphan()).await.expect("marked");
        assert_eq!(api.get("widgets", "default", "b"), None);
        let orphan = api.get("secrets", "default", "t").expect("kept");
        assert_eq!(orphan["metadata"].get("ownerReferences"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_goes_with_all_that_is_in_it() {
        let api = server();
        let namespaces: Api<Namespace> = Api::all(api.client());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("team".into());
        namespaces.create(&PostParams::default(), &namespace).await.expect("created");
        let team: Api<Widget> = Api::namespaced(api.client(), "team");
        let mut held = widget("held", 1);
        held.metadata.finalizers = Some(vec!["example.com/f".into()]);
        team.create(&PostParams::default(), &held).await.expect("created");
        team.create(&PostParams::default(), &widget("free", 1)).await.expect("created");

        let answer = namespaces.delete("team", &DeleteParams::default()).await.expect("marked");
        let marked = answer.left().expect("the namespace");
        assert_eq!(marked.status.expect("a status").phase.as_deref(), Some("Terminating"));
        assert_eq!(api.get("widgets", "team", "free"), None);
        let waiting = api.get("widgets", "team", "held").expect("there");
        assert!(waiting["metadata"]["deletionTimestamp"].is_string());

        let status = refusal(team.create(&PostParams::default(), &widget("late", 1)).await);
        assert!(status.is_forbidden());
        assert_eq!(status.details.expect("details").causes[0].reason, "NamespaceTerminating");
        let patch = Patch::Merge(json!({"spec": {"size": 2}}));
        team.patch("held", &PatchParams::default(), &patch).await.expect("patches still work");

        let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        team.patch("held", &PatchParams::default(), &release).await.expect("released");
        assert_eq!(api.get("namespaces", "", "team"), None);
    }
}

mod admission {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rules_refuse_and_see_who_asks() {
        let api = server();
        api.admit("secrets", |review| match review.operation {
            Operation::Create if review.user != Some("operator") => {
                Err(statuses::denied_by_policy(review.resource, review.name, "fence", "no"))
            }
            Operation::Delete
                if review.options["preconditions"]["uid"].is_null() && !review.dry_run =>
            {
                Err(statuses::forbidden(review.resource, review.name, "a uid is needed"))
            }
            _ => Ok(()),
        });
        let status = refusal(secrets(&api).create(&PostParams::default(), &secret("a")).await);
        assert!(status.is_invalid());
        let operator: Api<Secret> = Api::default_namespaced(api.client_as("operator"));
        operator.create(&PostParams::default(), &secret("a")).await.expect("created");
        let again = secrets(&api).create(&PostParams::default(), &secret("a")).await;
        assert!(refusal(again).is_invalid(), "rules come before names that are taken");

        assert!(refusal(operator.delete("a", &DeleteParams::default()).await).is_forbidden());
        let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
        operator.delete("a", &dry).await.expect("a dry run is free");
        assert!(refusal(operator.delete("b", &DeleteParams::default()).await).is_not_found());
        assert!(api.get("secrets", "default", "a").is_some());
    }
}

mod reading {
    use super::*;

    async fn colors(api: &KubernetesApi) -> Api<ConfigMap> {
        let config_maps: Api<ConfigMap> = Api::default_namespaced(api.client());
        for (name, label) in [
            ("a", Some(("color", "red"))),
            ("b", Some(("color", "green"))),
            ("c", Some(("color", "blue"))),
            ("d", None),
        ] {
            let object = config_map(name, label);
            config_maps.create(&PostParams::default(), &object).await.expect("created");
        }
        config_maps
    }

    async fn names(config_maps: &Api<ConfigMap>, params: &ListParams) -> String {
        let list = config_maps.list(params).await.expect("a list");
        list.items.iter().map(ResourceExt::name_any).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn selectors_select() {
        let api = server();
        let config_maps = colors(&api).await;
        for (selector, expected) in [
            ("color=red", "a"),
            ("color==red", "a"),
            ("color!=red", "bcd"),
            ("color in (red, blue)", "ac"),
            ("color notin (red,blue)", "bd"),
            ("color", "abc"),
            ("!color", "d"),
            ("color,color!=green", "ac"),
        ] {
            assert_eq!(
                names(&config_maps, &ListParams::default().labels(selector)).await,
                expected,
                "{selector}"
            );
        }
        assert_eq!(
            names(&config_maps, &ListParams::default().fields("metadata.name=b")).await,
            "b"
        );
        assert_eq!(
            names(&config_maps, &ListParams::default().fields("metadata.namespace!=default")).await,
            ""
        );
        let unknown = ListParams::default().fields("spec.size=1");
        assert_eq!(refusal(config_maps.list(&unknown).await).code, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn pages_show_one_version() {
        let api = server();
        let config_maps = colors(&api).await;
        let first = config_maps.list(&ListParams::default().limit(3)).await.expect("a page");
        assert_eq!(first.items.len(), 3);
        assert_eq!(first.metadata.remaining_item_count, Some(1));
        let token = first.metadata.continue_.clone().expect("a token");

        config_maps.delete("d", &DeleteParams::default()).await.expect("deleted");
        config_maps.create(&PostParams::default(), &config_map("e", None)).await.expect("created");
        let more = ListParams::default().limit(3).continue_token(&token);
        let second = config_maps.list(&more).await.expect("a page");
        assert_eq!(second.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["d"]);
        assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
        assert_eq!(second.metadata.continue_, None);

        api.compact();
        let status = refusal(config_maps.list(&more).await);
        assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_tells_about_itself() {
        let api = server();
        api.set_minor_version("33+");
        let client = api.client();
        assert_eq!(client.apiserver_version().await.expect("a version").minor, "33+");
        let groups = client.list_api_groups().await.expect("groups");
        assert!(groups.groups.iter().any(|group| group.name == "example.com"));
        let resources = client.list_api_group_resources("example.com/v1").await.expect("resources");
        let names: Vec<_> = resources.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["widgets", "widgets/status"]);
        let (resource, capabilities) = kube::discovery::pinned_kind(
            &client,
            &kube::core::GroupVersionKind::gvk("", "v1", "Secret"),
        )
        .await
        .expect("secrets");
        assert_eq!(resource.plural, "secrets");
        assert_eq!(capabilities.scope, kube::discovery::Scope::Namespaced);
        let ready = http::Request::get("/readyz").body(Vec::new()).expect("a request");
        assert_eq!(client.request_text(ready).await.expect("an answer"), "ok");
    }
}

mod watching {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_resumes_where_it_is_told() {
        let api = server();
        let version = create(&api, &widget("a", 1)).await.resource_version().expect("a version");
        create(&api, &widget("b", 1)).await;
        merge(&api, "a", json!({"spec": {"size": 2}})).await.expect("patched");
        let mut watch =
            widgets(&api).watch(&WatchParams::default(), &version).await.expect("a watch").boxed();
        assert_eq!(described(&next(&mut watch).await.expect("an event")), "ADDED b");
        assert_eq!(described(&next(&mut watch).await.expect("an event")), "MODIFIED a");
        widgets(&api).delete("b", &DeleteParams::default()).await.expect("deleted");
        let event = next(&mut watch).await.expect("an event");
        assert_eq!(described(&event), "DELETED b");
        let WatchEvent::Deleted(object) = event else { unreachable!() };
        assert_eq!(object.resource_version(), Some(api.revision().to_string()));
    }

    #[tokio::test(start_paused = true)]
    async fn version_zero_begins_with_what_is_there() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let mut watch =
            widgets(&api).watch(&WatchParams::default(), "0").await.expect("a watch").boxed();
        assert_eq!(described(&next(&mut watch).await.expect("an event")), "ADDED a");
    }

    #[tokio::test(start_paused = true)]
    async fn objects_enter_and_leave_a_selection() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let red = WatchParams::default().labels("color=red");
        let mut watch =
            widgets(&api).watch(&red, &api.revision().to_string()).await.expect("a watch").boxed();
        for color in ["red", "red", "blue"] {
            let patch = json!({"metadata": {"labels": {"color": color}}, "spec": {"size": color.len() + 1}});
            merge(&api, "a", patch).await.expect("patched");
            merge(&api, "a", json!({"spec": {"size": 1}})).await.expect("patched");
        }
        let mut kinds = Vec::new();
        for _ in 0..5 {
            kinds.push(described(&next(&mut watch).await.expect("an event")));
        }
        assert_eq!(kinds, ["ADDED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_ends_in_time_and_marks_its_place() {
        let api = server();
        let started = tokio::time::Instant::now();
        let params = WatchParams::default().timeout(100);
        let watch =
            widgets(&api).watch(&params, &api.revision().to_string()).await.expect("a watch");
        let watch = tokio::spawn(watch.map_ok(|event| described(&event)).try_collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_secs(10)).await;
        secrets(&api).create(&PostParams::default(), &secret("a")).await.expect("created");
        let events = watch.await.expect("joined").expect("events");
        assert_eq!(started.elapsed().as_secs(), 100);
        let bookmark = format!("BOOKMARK {}", api.revision());
        assert_eq!(events, [bookmark.clone(), bookmark]);
        assert!(api.open_watches().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_compacted_version_ends_in_the_stream() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let mut open =
            widgets(&api).watch(&WatchParams::default(), "1").await.expect("a watch").boxed();
        api.compact();
        assert_eq!(described(&next(&mut open).await.expect("an event")), "ADDED a");
        let mut late =
            widgets(&api).watch(&WatchParams::default(), "1").await.expect("a watch").boxed();
        assert_eq!(described(&next(&mut late).await.expect("an event")), "ERROR 410");
        assert!(late.next().await.is_none());
    }

    async fn until_synced(
        stream: &mut (impl Stream<Item = watcher::Result<watcher::Event<Widget>>> + Unpin),
    ) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            match next(stream).await {
                Ok(watcher::Event::InitApply(object)) => names.push(object.name_any()),
                Ok(watcher::Event::InitDone) => return names,
                _ => {}
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_lists_again_after_410() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let mut stream =
            watcher(widgets(&api), watcher::Config::default()).default_backoff().boxed();
        assert_eq!(until_synced(&mut stream).await, ["a"]);
        let task = tokio::spawn(async move { until_synced(&mut stream).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(api.end_watches(&Match::any().resource("widgets"), WatchEnd::Expired), 1);
        api.put(json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "b"}, "spec": {"size": 1}}));
        assert_eq!(task.await.expect("joined"), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_survives_every_end_of_its_watch() {
        for end in [WatchEnd::Closed, WatchEnd::ConnectionLost, WatchEnd::Silent] {
            let api = server();
            let mut stream =
                watcher(widgets(&api), watcher::Config::default()).default_backoff().boxed();
            until_synced(&mut stream).await;
            let task = tokio::spawn(async move {
                loop {
                    if let Ok(watcher::Event::Apply(object)) = next(&mut stream).await {
                        return object.name_any();
                    }
                }
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(api.end_watches(&Match::any(), end), 1, "{end:?}");
            create(&api, &widget("a", 1)).await;
            assert_eq!(task.await.expect("joined"), "a", "{end:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_streaming_list_ends_with_a_bookmark() {
        let api = server();
        create(&api, &widget("a", 1)).await;
        let config = watcher::Config::default().streaming_lists();
        let mut stream = watcher(widgets(&api), config).boxed();
        assert_eq!(until_synced(&mut stream).await, ["a"]);
        assert!(api.requests_for(&Match::verb(Verb::List)).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn delayed_watches_make_stale_caches() {
        let api = server();
        api.delay_watches(Match::any().resource("widgets").user("slow"), Duration::from_secs(30));
        let slow: Api<Widget> = Api::default_namespaced(api.client_as("slow"));
        let (store, writer) = reflector::store();
        let stream =
            watcher(slow.clone(), watcher::Config::default()).reflect(writer).touched_objects();
        tokio::spawn(stream.for_each(|_| async {}));
        store.wait_until_ready().await.expect("ready");
        create(&api, &widget("a", 1)).await;

        tokio::time::sleep(Duration::from_secs(29)).await;
        assert!(store.state().is_empty());
        let cached = ListParams::default().match_any();
        assert!(slow.list(&cached).await.expect("a list").items.is_empty());
        assert_eq!(slow.list(&ListParams::default()).await.expect("a list").items.len(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(store.state().len(), 1);
        assert_eq!(slow.list(&cached).await.expect("a list").items.len(), 1);

        api.delay_watches(Match::any(), Duration::MAX);
        create(&api, &widget("b", 1)).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(store.state().len(), 1);
        api.delay_watches(Match::any(), Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(store.state().len(), 2);
    }
}

mod faults {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_one_by_one_and_in_order() {
        let api = server();
        let creations = Match::verb(Verb::Create).resource("widgets");
        api.fail_next(creations.clone(), Fault::server_error(503));
        api.fail_next(creations.clone(), Fault::too_many_requests(7));
        api.fail_next(creations, Fault::RefusedAfterEffect(statuses::server_error(504)));
        let attempt = async || widgets(&api).create(&PostParams::default(), &widget("a", 1)).await;

        assert_eq!(refusal(attempt().await).code, 503);
        let throttled = refusal(attempt().await);
        assert_eq!(
            (throttled.code, throttled.details.expect("details").retry_after_seconds),
            (429, 7)
        );
        assert_eq!(api.get("widgets", "default", "a"), None);
        assert_eq!(refusal(attempt().await).code, 504);
        assert!(api.get("widgets", "default", "a").is_some());
        assert!(refusal(attempt().await).is_already_exists());
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_client_is_told_when_to_come_back() {
        use tower::ServiceExt as _;
        let api = server();
        api.fail_next(Match::any(), Fault::too_many_requests(7));
        let request =
            http::Request::get("/version").body(kube::client::Body::empty()).expect("a request");
        let response = api.service(None).oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["retry-after"], "7");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_break_before_and_after_the_effect() {
        let api = server();
        api.fail_next(Match::verb(Verb::Create).name("a"), Fault::ConnectionLost);
        api.fail_next(Match::verb(Verb::Create).name("b"), Fault::AnswerLost);
        for (name, there) in [("a", false), ("b", true)] {
            let result = widgets(&api).create(&PostParams::default(), &widget(name, 1)).await;
            assert!(connection_lost(&result), "{name}");
            assert_eq!(api.get("widgets", "default", name).is_some(), there, "{name}");
        }
        let log = api.requests();
        assert_eq!(log[0].answer, Answer::Lost);
        assert!(log[0].effects.is_empty());
        assert_eq!(log[1].effects.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_requests_never_answer() {
        let api = server();
        for (name, fault, there) in [("a", Fault::Hang, false), ("b", Fault::HangAfterEffect, true)]
        {
            api.fail_next(Match::any().name(name), fault);
            let (widgets, object) = (widgets(&api), widget(name, 1));
            let params = PostParams::default();
            let attempt = widgets.create(&params, &object);
            assert!(tokio::time::timeout(Duration::from_hours(1), attempt).await.is_err());
            assert_eq!(api.get("widgets", "default", name).is_some(), there, "{name}");
        }
        assert!(api.requests().iter().all(|request| request.answer == Answer::Pending));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_lasts_as_long_as_it_is_held() {
        let api = server();
        let outage = api.fail(Match::writes(), Fault::ConnectionLost);
        for _ in 0..3 {
            assert!(connection_lost(&merge(&api, "a", json!({})).await));
        }
        widgets(&api).list(&ListParams::default()).await.expect("reads go on");
        drop(outage);
        create(&api, &widget("a", 1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_held_before_its_effect() {
        let api = server();
        let mut intercept =
            api.intercept(Match::verb(Verb::Create).dry_run(false), Point::BeforeEffect);
        let task = tokio::spawn({
            let widgets = widgets(&api);
            async move { widgets.create(&PostParams::default(), &widget("a", 1)).await }
        });
        let held = intercept.reached().await;
        assert_eq!(held.name.as_deref(), Some("a"));
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(api.get("widgets", "default", "a"), None);
        intercept.release();
        task.await.expect("joined").expect("created");
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_request_outlives_its_client() {
        let api = server();
        let mut intercept = api.intercept(Match::verb(Verb::Create), Point::BeforeEffect);
        let task = tokio::spawn({
            let widgets = widgets(&api);
            async move { widgets.create(&PostParams::default(), &widget("a", 1)).await }
        });
        intercept.reached().await;
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
        intercept.release();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(api.get("widgets", "default", "a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_held_after_its_effect_and_lost() {
        let api = server();
        let mut intercept = api.intercept(Match::verb(Verb::Create), Point::AfterEffect);
        let task = tokio::spawn({
            let widgets = widgets(&api);
            async move { widgets.create(&PostParams::default(), &widget("a", 1)).await }
        });
        intercept.reached().await;
        assert!(api.get("widgets", "default", "a").is_some());
        assert!(!task.is_finished());
        intercept.lose();
        assert!(connection_lost(&task.await.expect("joined")));
    }
}

mod log {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_logged_with_their_effects() {
        use tower::ServiceExt as _;
        let api = server();
        let service = api.service(Some("alice")).map_request(
            |mut request: http::Request<kube::client::Body>| {
                request
                    .headers_mut()
                    .insert("user-agent", http::HeaderValue::from_static("tool/1"));
                request
            },
        );
        let widgets: Api<Widget> = Api::default_namespaced(Client::new(service, "default"));
        widgets.create(&PostParams::default(), &widget("a", 1)).await.expect("created");
        widgets.get("a").await.expect("there");
        let patch = Patch::Merge(json!({"status": {"phase": "Done"}}));
        widgets.patch_status("a", &PatchParams::default(), &patch).await.expect("patched");
        widgets.patch_status("a", &PatchParams::default(), &patch).await.expect("patched");

        let log = api.requests();
        let summary: Vec<_> = log
            .iter()
            .map(|entry| (entry.method.as_str(), entry.path.as_str(), entry.effects.len()))
            .collect();
        let collection = "/apis/example.com/v1/namespaces/default/widgets";
        assert_eq!(
            summary,
            [
                ("POST", collection, 1),
                ("GET", "/apis/example.com/v1/namespaces/default/widgets/a", 0),
                ("PATCH", "/apis/example.com/v1/namespaces/default/widgets/a/status", 1),
                ("PATCH", "/apis/example.com/v1/namespaces/default/widgets/a/status", 0),
            ]
        );
        assert_eq!(log[0].answer, Answer::Code(201));
        assert_eq!(log[0].effects[0].kind, ChangeKind::Created);
        assert_eq!(log[0].user.as_deref(), Some("alice"));
        assert_eq!(log[0].user_agent.as_deref(), Some("tool/1"));
        assert_eq!(log[2].body, json!({"status": {"phase": "Done"}}));
        assert_eq!(log[2].subresource.as_deref(), Some("status"));
        assert_eq!(api.writes().len(), 2);
        assert_eq!(api.requests_for(&Match::writes().subresource("status")).len(), 2);
        assert_eq!(api.requests_for(&Match::writes().main_resource()).len(), 1);
    }
}

mod runtime {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_recorder_reports_and_counts() {
        let api = server();
        let object = create(&api, &widget("a", 1)).await;
        let recorder = Recorder::new(api.client(), Reporter::from("tests"));
        let report = Report {
            type_: EventType::Normal,
            reason: "Made".into(),
            note: Some("It was made".into()),
            action: "Make".into(),
            secondary: None,
        };
        let reference: ObjectReference = object.object_ref(&());
        for _ in 0..3 {
            recorder.publish(&report, &reference).await.expect("published");
        }
        let events: Api<Event> = Api::default_namespaced(api.client());
        let events = events.list(&ListParams::default()).await.expect("a list").items;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].series.as_ref().expect("a series").count, 3);
        let core: Api<CoreEvent> = Api::default_namespaced(api.client());
        let core = core.list(&ListParams::default()).await.expect("a list").items;
        assert_eq!(core[0].message.as_deref(), Some("It was made"));
        assert_eq!(core[0].involved_object.name.as_deref(), Some("a"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Failed(#[from] kube::Error);

    /// Says `Ready` in the status when a widget is ten minutes old.
    async fn ripen(widget: Arc<Widget>, api: Arc<KubernetesApi>) -> Result<Action, Failed> {
        let ready = widget.status.as_ref().is_some_and(|status| status.phase == "Ready");
        let born = widget.metadata.creation_timestamp.as_ref().expect("a time").0;
        let age = api.now().duration_since(born).as_secs();
        if ready {
            return Ok(Action::await_change());
        }
        let Some(left) = u64::try_from(600 - age).ok().filter(|left| *left > 0) else {
            let patch = json!({
                "metadata": {"resourceVersion": widget.metadata.resource_version},
                "status": {"phase": "Ready"},
            });
            merge_status(&api, &widget.name_any(), patch).await?;
            return Ok(Action::await_change());
        };
        Ok(Action::requeue(Duration::from_secs(left)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_works_in_paused_time() {
        let api = server();
        for index in 0..20 {
            create(&api, &widget(&format!("w{index}"), index)).await;
        }
        let real = std::time::Instant::now();
        api.fail_next(Match::any().subresource("status"), Fault::AnswerLost);
        let error_policy = |_: Arc<Widget>, _: &Failed, _| Action::requeue(Duration::from_secs(5));
        let controller = Controller::new(widgets(&api), watcher::Config::default())
            .run(ripen, error_policy, Arc::new(api.clone()))
            .for_each(|_| async {});
        let controller = tokio::spawn(controller);

        tokio::time::sleep(Duration::from_secs(590)).await;
        assert_eq!(api.writes().len(), 20, "nothing is written too early");
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(api.list("widgets").iter().all(|widget| widget["status"]["phase"] == "Ready"));
        assert_eq!(api.writes().len(), 40, "one status each, and nothing while nothing changes");
        controller.abort();
        assert!(real.elapsed() < Duration::from_secs(5), "an hour passes in no time");
    }
}
