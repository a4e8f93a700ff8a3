//! Updates and patches, and their conflicts.

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
    assert!(status.message.starts_with(
        "Operation cannot be fulfilled on widgets.example.com \"a\": the object has been modified"
    ));

    let mut blind = second.clone();
    blind.metadata.resource_version = None;
    assert!(refusal(widgets(&api).replace("a", &PostParams::default(), &blind).await).is_invalid());
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
    let annotated =
        json!({"metadata": {"annotations": {"x": "1", "y": "2"}, "finalizers": ["example.com/f"]}});
    let patched = merge(&api, "a", annotated).await.expect("patched");
    assert_eq!(patched.metadata.generation, Some(1));
    let patched =
        merge(&api, "a", json!({"metadata": {"annotations": {"x": null}}})).await.expect("patched");
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
    let status = refusal(secrets(&api).patch_status("a", &PatchParams::default(), &patch).await);
    assert_eq!(status.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_difference_writes_nothing() {
    let api = server();
    let first = create(&api, &widget("a", 1)).await;
    let revision = api.revision();
    merge(&api, "a", json!({"spec": {"size": 1}, "metadata": {"finalizers": [], "labels": {}}}))
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
