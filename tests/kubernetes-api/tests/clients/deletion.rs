//! Deletion: preconditions, dry runs, finalizers, owners, namespaces.

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
    assert!(api.get("widgets", "default", "a").is_some(), "without a body the query must count");
    delete_raw(&api, "{}", "?dryRun=All").await;
    assert_eq!(api.get("widgets", "default", "a"), None, "with a body the query must not count");
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
    let request = http::Request::delete(path).body(body.as_bytes().to_vec()).expect("a request");
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
    assert_eq!(api.get("secrets", "default", "s"), None, "an owner of another uid does not count");
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
