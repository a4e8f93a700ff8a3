//! Watches.

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
        let patch =
            json!({"metadata": {"labels": {"color": color}}, "spec": {"size": color.len() + 1}});
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
    let watch = widgets(&api).watch(&params, &api.revision().to_string()).await.expect("a watch");
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
    let mut stream = watcher(widgets(&api), watcher::Config::default()).default_backoff().boxed();
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
