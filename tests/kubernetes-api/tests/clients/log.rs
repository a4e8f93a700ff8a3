//! The log of requests.

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_are_logged_with_their_effects() {
    use tower::ServiceExt as _;
    let api = server();
    let service =
        api.service(Some("alice")).map_request(|mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert("user-agent", http::HeaderValue::from_static("tool/1"));
            request
        });
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
