//! Lists, selectors, pages and old versions.

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
    assert_eq!(names(&config_maps, &ListParams::default().fields("metadata.name=b")).await, "b");
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
