//! Scripted faults, throttling, dates.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_a_pass_whose_code_nobody_has() {
    let client = Client::new().await;
    client.simulator.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
    assert!(client.try_send("POST", &passes(ALICE), json!({})).await.is_err());
    let entry = &client.simulator.ledger()[0];
    assert!(!entry.is_told() && entry.told.len() == 1 && entry.is_live());
    assert_eq!(client.simulator.balance().untold_live, 1);
    let (_, _) = client.made(BOB, json!({})).await;
    assert!(client.simulator.ledger()[1].is_told());
    let log = client.simulator.requests_for(Operation::PassCreate);
    assert_eq!((log[0].status, log[1].status), (None, Some(201)));
    assert!(log[0].acted_at.is_some() && log[0].fault.is_some());
    client.step(36_000);
    assert_eq!(client.simulator.balance().untold_expired, 1);
}

#[tokio::test(start_paused = true)]
async fn over_the_router_a_cut_connection_breaks_the_body() {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;
    let client = Client::new().await;
    client.simulator.set_unreachable(true);
    let request = Request::get(POLICY).body(Body::empty()).unwrap();
    let response = client.simulator.router().oneshot(request).await.unwrap();
    assert_eq!(response.extensions().get::<ConnectionCut>(), Some(&ConnectionCut));
    to_bytes(response.into_body(), 1024).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_comes_after_the_client_gave_up() {
    let client = Client::new().await;
    client
        .simulator
        .inject(Fault::on(Operation::PassCreate, FaultKind::LateCommit { after_seconds: 40 }));
    let path = passes(ALICE);
    let given_up =
        timeout(Duration::from_secs(30), client.try_send("POST", &path, json!({}))).await;
    assert!(given_up.is_err());
    sleep(Duration::from_secs(9)).await;
    assert!(client.simulator.ledger().is_empty());
    sleep(Duration::from_secs(2)).await;
    let ledger = client.simulator.ledger();
    assert!(ledger.len() == 1 && !ledger[0].is_told());
    assert_eq!(ledger[0].created_date_time, "2026-11-24T08:00:40Z".parse().unwrap());
}

#[tokio::test(start_paused = true)]
async fn hangs_end_at_the_gateway() {
    let client = Client::new().await;
    client.simulator.inject(Fault::on_any(FaultKind::Hang { seconds: None }));
    let begun = Instant::now();
    assert_eq!(client.create(ALICE, json!({})).await.status, 504);
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert!(client.simulator.ledger().is_empty());
    client.simulator.inject(Fault::on_any(FaultKind::AnswerHangs));
    assert_eq!(client.create(ALICE, json!({})).await.status, 504);
    assert!(!client.simulator.ledger()[0].is_told());
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_that_nobody_waits_for_delivers_no_code() {
    let client = Client::new().await;
    client.simulator.inject(Fault::on_any(FaultKind::Slow { seconds: 20 }).times(2));
    let path = passes(ALICE);
    let given_up =
        timeout(Duration::from_secs(10), client.try_send("POST", &path, json!({}))).await;
    assert!(given_up.is_err());
    assert!(!client.simulator.ledger()[0].is_told());
    client.made(BOB, json!({})).await;
    assert!(client.simulator.ledger()[1].is_told());
}

#[tokio::test(start_paused = true)]
async fn errors_with_and_without_effect() {
    let client = Client::new().await;
    let status = |effect| FaultKind::Status {
        status: 503,
        effect,
        code: None,
        retry_after_seconds: Some(7.0),
    };
    client.simulator.inject(Fault::on_any(status(false)));
    let refused = client.create(ALICE, json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "7"));
    assert!(client.simulator.ledger().is_empty());
    client.simulator.inject(Fault::on_any(status(true)));
    assert_eq!(client.create(ALICE, json!({})).await.status, 503);
    client.simulator.inject(Fault::on_any(FaultKind::Html { status: 502, effect: true }));
    let page = client.create(BOB, json!({})).await;
    assert!(
        page.status == 502
            && page.header("content-type") == "text/html"
            && page.raw.starts_with("<html>")
    );
    client.simulator.inject(Fault::on_any(FaultKind::Garbled));
    let garbled = client.create(CAROL, json!({})).await;
    assert!(garbled.status == 201 && garbled.body.is_null());
    let balance = client.simulator.balance();
    assert_eq!((balance.made, balance.untold_live), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn throttling_in_each_form() {
    let client = Client::new().await;
    let cases = [
        (None, "7"),
        (Some(RetryAfterForm::Decimal), "6.128"),
        (Some(RetryAfterForm::HttpDate), "Tue, 24 Nov 2026 08:00:07 GMT"),
        (Some(RetryAfterForm::Absent), ""),
    ];
    for (form, header) in cases {
        client
            .simulator
            .inject(Fault::on_any(FaultKind::Throttled { retry_after_seconds: Some(6.128), form }));
        let refused = client.create(ALICE, json!({})).await;
        assert_eq!((refused.status, refused.code()), (429, "TooManyRequests"));
        assert_eq!(refused.header("retry-after"), header);
    }
    client
        .simulator
        .inject(Fault::on_any(FaultKind::Throttled { retry_after_seconds: None, form: None }));
    assert_eq!(client.get(POLICY).await.header("retry-after"), "");
    assert!(client.simulator.ledger().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_real_limit_is_five_in_ten_seconds() {
    let client = Client::with(|switches| switches.authentication_method_limit = Some(5)).await;
    for _ in 0..5 {
        assert_eq!(client.get(&passes(ALICE)).await.status, 200);
    }
    sleep(Duration::from_secs(4)).await;
    let refused = client.create(ALICE, json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "6"));
    assert!(refused.header("x-ms-throttle-scope").contains(&OPERATOR.to_string()));
    assert_eq!(client.get(POLICY).await.status, 200);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(client.create(ALICE, json!({})).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn dates_follow_the_clock_unless_they_lie() {
    let client = Client::new().await;
    sleep(Duration::from_millis(1_900)).await;
    client.step(3_600);
    assert_eq!(client.get(POLICY).await.header("date"), "Tue, 24 Nov 2026 09:00:01 GMT");
    client.simulator.inject(Fault::on_any(FaultKind::WrongDate { offset_seconds: -86_400 }));
    let lying = client.get(POLICY).await;
    assert_eq!((lying.status, lying.header("date")), (200, "Mon, 23 Nov 2026 09:00:01 GMT"));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_tenant_does_nothing_until_it_is_back() {
    let client = Client::new().await;
    client.simulator.set_unreachable(true);
    assert!(client.try_send("POST", &passes(ALICE), json!({})).await.is_err());
    assert!(client.simulator.ledger().is_empty());
    client.simulator.set_unreachable(false);
    client.made(ALICE, json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_a_fault_of_one_request() {
    let client = Client::new().await;
    client.simulator.inject(Fault::on_any(FaultKind::ExpiredToken));
    assert_eq!(client.create(ALICE, json!({})).await.status, 401);
    assert_eq!(client.create(ALICE, json!({})).await.status, 201);
}
