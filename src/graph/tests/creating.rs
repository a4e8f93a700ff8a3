//! The POST of a pass: what each failure means, and that the POST is never repeated.

use super::*;
use graph_simulator::switches::{OneTimeEnforced, PostOverLivePass};
use graph_simulator::tenant::{ALICE, ERIN};

/// The outcome of a failed POST, and the kind of its error.
fn outcome(result: &Result<Created, CreateError>) -> (&'static str, ErrorKind) {
    match result {
        Ok(_) => panic!("a pass was created"),
        Err(CreateError::NotSent(error)) => ("not sent", error.kind),
        Err(CreateError::Refused(error)) => ("refused", error.kind),
        Err(CreateError::Unknown(error)) => ("unknown", error.kind),
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_outcome_and_sends_one_request() {
    use FaultKind as Fault;
    let status =
        |status, effect| Fault::Status { status, effect, code: None, retry_after_seconds: None };
    let html = |status, effect| Fault::Html { status, effect };
    let throttled = Fault::Throttled { retry_after_seconds: Some(3.0), form: None };
    for (fault, expected, made) in [
        (Fault::AnswerLost, ("unknown", ErrorKind::Unavailable), true),
        (Fault::ConnectionCut, ("unknown", ErrorKind::Unavailable), false),
        (Fault::AnswerHangs, ("unknown", ErrorKind::Unavailable), true),
        (Fault::Hang { seconds: None }, ("unknown", ErrorKind::Unavailable), false),
        (Fault::Hang { seconds: Some(10) }, ("unknown", ErrorKind::Unavailable), false),
        (Fault::Garbled, ("unknown", ErrorKind::Unexpected), true),
        (status(500, false), ("unknown", ErrorKind::Unavailable), false),
        (status(503, true), ("unknown", ErrorKind::Unavailable), true),
        (status(408, true), ("unknown", ErrorKind::Unavailable), true),
        (status(499, true), ("unknown", ErrorKind::Unexpected), true),
        (status(302, false), ("unknown", ErrorKind::Unexpected), false),
        (html(502, true), ("unknown", ErrorKind::Unavailable), true),
        (html(200, true), ("unknown", ErrorKind::Unexpected), true),
        (html(403, true), ("unknown", ErrorKind::Forbidden), true),
        (html(404, false), ("unknown", ErrorKind::Unexpected), false),
        (html(429, false), ("refused", ErrorKind::Throttled), false),
        (Fault::Truncated, ("unknown", ErrorKind::Unexpected), true),
        (Fault::Quoted { status: 201 }, ("unknown", ErrorKind::Unexpected), true),
        (status(400, false), ("refused", ErrorKind::BadRequest), false),
        (status(403, false), ("refused", ErrorKind::Forbidden), false),
        (status(404, false), ("refused", ErrorKind::NotFound), false),
        (status(409, false), ("refused", ErrorKind::Unexpected), false),
        (throttled, ("refused", ErrorKind::Throttled), false),
        (Fault::ExpiredToken, ("refused", ErrorKind::Unauthorized), false),
    ] {
        let bench = Bench::unpaced();
        let case = format!("{fault:?}");
        bench.fault(Operation::PassCreate, fault);
        let result = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
        assert_eq!(outcome(&result), expected, "{case}");
        let error = result.unwrap_err();
        assert_eq!(error.graph().client_request_id.as_deref(), Some(REQUEST_ID), "{case}");
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(bench.count(Operation::PassCreate), 1, "{case}");
        assert_eq!(!bench.simulator.ledger().is_empty(), made, "{case}");
        // The error does not contain the code.
        if let Some(entry) = bench.simulator.ledger().first() {
            let code = bench.simulator.code(entry.id).unwrap();
            assert!(!format!("{error} {error:?}").contains(&code), "{case}");
        }
        let told = if expected.0 == "not sent" {
            ("not sent", "connect")
        } else {
            ("create_pass", expected.1.label())
        };
        assert_eq!(bench.reports(), [("get_token", "ok"), told], "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_401_the_next_attempt_has_a_new_token() {
    let bench = Bench::unpaced();
    bench.client.method(Priority::Read).await.unwrap();
    bench.simulator.expire_tokens();
    let refused = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
    let error = refused.unwrap_err();
    assert_eq!(error.graph().advice(), Advice::Retry { after: None });
    assert!(bench.simulator.ledger().is_empty());
    create(&bench.client, &ALICE.to_string(), &new_pass()).await.unwrap();
    assert_eq!(bench.count(Operation::Token), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_is_unknown_within_the_deadline() {
    let bench = Bench::unpaced();
    bench.fault(Operation::PassCreate, FaultKind::LateCommit { after_seconds: 50 });
    let began = Instant::now();
    let result = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
    assert_eq!(outcome(&result), ("unknown", ErrorKind::Unavailable));
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert!(bench.simulator.ledger().is_empty());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.simulator.ledger().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent() {
    for (fault, kind, seconds) in [
        (FaultKind::Hang { seconds: None }, SignInErrorKind::Unavailable, 20),
        (FaultKind::ConnectionCut, SignInErrorKind::Unavailable, 0),
        (FaultKind::Html { status: 502, effect: false }, SignInErrorKind::Unavailable, 0),
    ] {
        let bench = Bench::unpaced();
        bench.fault(Operation::Token, fault);
        let began = Instant::now();
        let result = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
        assert_eq!(outcome(&result), ("not sent", ErrorKind::SignIn(kind)));
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!(bench.count(Operation::PassCreate), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_admitted_in_time_is_not_sent() {
    let bench = Bench::new();
    let alice = ALICE.to_string();
    create(&bench.client, &alice, &new_pass()).await.unwrap();
    for _ in 0..4 {
        bench.client.delete_pass(&alice, "00000000-0000-4000-8000-000000000000").await.unwrap_err();
    }
    let latest = Instant::now() + Duration::from_secs(5);
    let late = bench.client.create_pass(&alice, &new_pass(), REQUEST_ID, latest).await;
    assert_eq!(outcome(&late), ("not sent", ErrorKind::Throttled));
    let after = Some(Duration::from_millis(10_500));
    assert_eq!(late.unwrap_err().graph().advice(), Advice::Retry { after });
    assert_eq!(bench.count(Operation::PassCreate), 1);
    // With more time it is sent.
    create(&bench.client, &alice, &new_pass()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_latest_moment() {
    let bench = Bench::new();
    let past = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = bench.client.create_pass(&ALICE.to_string(), &new_pass(), REQUEST_ID, past).await;
    assert_eq!(outcome(&late).0, "not sent");
    // The same if there is a token already.
    bench.client.method(Priority::Read).await.unwrap();
    let late = bench.client.create_pass(&ALICE.to_string(), &new_pass(), REQUEST_ID, past).await;
    assert_eq!(outcome(&late), ("not sent", ErrorKind::Throttled));
    assert_eq!(bench.count(Operation::PassCreate), 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_graph_are_passed_on() {
    let bench = Bench::unpaced();
    let short = NewPass { lifetime_minutes: 59, ..new_pass() };
    let refused = create(&bench.client, &ALICE.to_string(), &short).await;
    assert_eq!(outcome(&refused), ("refused", ErrorKind::BadRequest));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("Invalid LifetimeInMinutes specified"), "{message}");
    let refused = create(&bench.client, &ERIN.to_string(), &new_pass()).await;
    assert_eq!(outcome(&refused), ("refused", ErrorKind::BadRequest));
    assert_eq!(refused.unwrap_err().graph().advice(), Advice::Stop);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_after_a_delete_may_be_tried_again() {
    let bench = Bench::unpaced();
    bench.simulator.switch(|switches| switches.post_after_delete_conflict_seconds = 15);
    let alice = ALICE.to_string();
    let created = create(&bench.client, &alice, &new_pass()).await.unwrap();
    bench.client.delete_pass(&alice, &created.method.id).await.unwrap();
    let refused = create(&bench.client, &alice, &new_pass()).await;
    assert_eq!(outcome(&refused), ("refused", ErrorKind::Unexpected));
    assert_eq!(refused.unwrap_err().graph().advice(), Advice::Retry { after: None });
}

#[tokio::test(start_paused = true)]
async fn a_coerced_flag_and_a_refused_replacement_are_reported() {
    let bench = Bench::unpaced();
    bench.simulator.switch(|switches| {
        switches.one_time_enforced = OneTimeEnforced::Coerce;
        switches.post_over_live_pass = PostOverLivePass::Refuse;
    });
    let patch = MethodPatch { one_time_required: Some(true), ..MethodPatch::default() };
    bench.client.patch_method(&patch).await.unwrap();
    let multi = NewPass { one_time: false, ..new_pass() };
    let alice = ALICE.to_string();
    let created = create(&bench.client, &alice, &multi).await.unwrap();
    assert_eq!(created.method.one_time, Some(true));
    let refused = create(&bench.client, &alice, &multi).await;
    assert_eq!(outcome(&refused).0, "refused");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_date_is_returned_unchanged() {
    let bench = Bench::unpaced();
    bench.fault(Operation::PassCreate, FaultKind::WrongDate { offset_seconds: -3_600 });
    let created = create(&bench.client, &ALICE.to_string(), &new_pass()).await.unwrap();
    assert_eq!(created.date, "2026-11-24T07:00:00Z".parse().unwrap());
    let sample = *bench.dates.lock().unwrap().last().unwrap();
    assert_eq!(sample.date, created.date);
    assert_eq!(sample.sent, "2026-11-24T08:00:00Z".parse().unwrap());
}
