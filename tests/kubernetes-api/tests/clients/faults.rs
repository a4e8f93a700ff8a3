//! Scripted faults.

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
    assert_eq!((throttled.code, throttled.details.expect("details").retry_after_seconds), (429, 7));
    assert_eq!(api.get("widgets", "default", "a"), None);
    assert_eq!(refusal(attempt().await).code, 504);
    assert!(api.get("widgets", "default", "a").is_some());
    assert!(refusal(attempt().await).is_already_exists());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_client_gets_a_retry_after() {
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
    for (name, fault, there) in [("a", Fault::Hang, false), ("b", Fault::HangAfterEffect, true)] {
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
    widgets(&api).list(&ListParams::default()).await.expect("reads still work");
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
