//! What the server sets in an object: names, versions, times, generations.

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
        let status = refusal(widgets(&api).create(&PostParams::default(), &widget(name, 1)).await);
        assert!(status.is_invalid(), "{name}: {status:?}");
        assert_eq!(status.details.expect("details").causes[0].field, "metadata.name");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_creates_nothing_and_answers_as_if_it_did() {
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
