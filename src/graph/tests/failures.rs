//! Calls that fail, and the effect on later calls.

use super::*;
use graph_simulator::switches::{ExpiredTokenBody, RetryAfterForm};
use graph_simulator::tenant::ALICE;

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_once() {
    for body in [ExpiredTokenBody::AccessToken, ExpiredTokenBody::Lifetime, ExpiredTokenBody::Empty]
    {
        let bench = Bench::new();
        bench.simulator.switch(|switches| switches.expired_token_body = body);
        bench.client.method(Priority::Read).await.unwrap();
        bench.simulator.expire_tokens();
        bench.client.method(Priority::Read).await.unwrap();
        assert_eq!(bench.count(Operation::Token), 2);
        assert_eq!(bench.count(Operation::PolicyGet), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_again_is_an_error() {
    let bench = Bench::new();
    bench.simulator.inject(Fault::on(Operation::PolicyGet, FaultKind::ExpiredToken).times(5));
    let error = bench.client.method(Priority::Read).await.unwrap_err();
    assert_eq!((error.kind, error.advice()), (ErrorKind::Unauthorized, Advice::Wait));
    assert_eq!(bench.count(Operation::PolicyGet), 2);
}

#[tokio::test(start_paused = true)]
async fn a_claims_challenge_is_met_with_a_new_token_and_told_if_it_comes_again() {
    let bench = Bench::new();
    let challenge = Fault::on(Operation::PolicyGet, FaultKind::ClaimsChallenge);
    bench.simulator.inject(challenge.clone());
    bench.client.method(Priority::Read).await.unwrap();
    assert_eq!((bench.count(Operation::Token), bench.count(Operation::PolicyGet)), (2, 2));

    bench.simulator.inject(challenge.times(5));
    let error = bench.client.method(Priority::Read).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unauthorized, "insufficient_claims"));
    let message = error.to_string();
    for part in ["TokenCreatedWithOutdatedPolicies", "claims challenge", "Conditional Access"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!((bench.count(Operation::Token), bench.count(Operation::PolicyGet)), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_its_end() {
    let bench = Bench::new();
    bench.client.method(Priority::Read).await.unwrap();
    for (seconds, tokens) in [(3_290, 1), (20, 2), (3_000, 2)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        bench.client.method(Priority::Read).await.unwrap();
        assert_eq!(bench.count(Operation::Token), tokens, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_share_one_token() {
    let bench = Bench::new();
    let calls = (0..20).map(|_| bench.client.method(Priority::Read));
    for method in futures::future::join_all(calls).await {
        method.unwrap();
    }
    assert_eq!(bench.count(Operation::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_found_once_granted() {
    let bench = Bench::new();
    let without = |app: &mut graph_simulator::tenant::App| {
        app.roles.retain(|role| role != "Policy.ReadWrite.AuthenticationMethod");
    };
    bench.simulator.edit_app(OPERATOR, without).unwrap();
    let error = bench.client.method(Priority::Read).await.unwrap_err();
    assert_eq!((error.kind, error.advice()), (ErrorKind::Forbidden, Advice::Wait));
    assert!(error.to_string().contains("Policy.Read.AuthenticationMethod"), "{error}");
    let grant = |app: &mut graph_simulator::tenant::App| {
        app.roles.push("Policy.ReadWrite.AuthenticationMethod".into());
    };
    bench.simulator.edit_app(OPERATOR, grant).unwrap();
    bench.client.method(Priority::Read).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(301)).await;
    // The old token is refused once more and then not used again.
    bench.client.method(Priority::Read).await.unwrap_err();
    bench.client.method(Priority::Read).await.unwrap();
    assert_eq!(bench.count(Operation::Token), 2);
}

#[tokio::test(start_paused = true)]
async fn errors_keep_graphs_ids() {
    let bench = Bench::new();
    let error = bench.client.user("nobody@contoso.com", Priority::Read).await.unwrap_err();
    assert_eq!(error.code, "Request_ResourceNotFound");
    assert_eq!(error.status, Some(404));
    let request = bench.simulator.requests_for(Operation::UserGet).remove(0);
    assert_eq!(error.client_request_id.as_deref(), request.client_request_id.as_deref());
    assert!(error.request_id.is_some_and(|id| uuid::Uuid::parse_str(&id).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_graphs_does_not_mean_absence() {
    let bench = Bench::new();
    let html = FaultKind::Html { status: 404, effect: false };
    bench.fault(Operation::UserGet, html.clone());
    let error = bench.client.user("alice@contoso.com", Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    bench.fault(Operation::GroupList, html);
    bench.client.groups(&[ALICE.to_string()], Priority::Read).await.unwrap_err();
    bench.fault(Operation::PassList, FaultKind::Garbled);
    let error = bench.client.passes(&ALICE.to_string(), Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
}

/// A proxy that blocks calls often shows its page with 200.
#[tokio::test(start_paused = true)]
async fn a_page_with_success_that_is_not_graphs_deletes_and_changes_nothing() {
    let bench = Bench::new();
    let html = FaultKind::Html { status: 200, effect: false };
    bench.fault(Operation::PassDelete, html.clone());
    let error = bench.client.delete_pass(&ALICE.to_string(), "a-pass").await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Unexpected, Some(200)));
    assert!(error.message.contains("proxy"), "{error}");
    bench.fault(Operation::PolicyPatch, html);
    bench.client.patch_method(&MethodPatch::default()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn reads_that_fail_are_unavailable_and_not_repeated() {
    for fault in [
        FaultKind::Html { status: 502, effect: false },
        FaultKind::AnswerLost,
        FaultKind::Hang { seconds: None },
        FaultKind::Status {
            status: 503,
            effect: false,
            code: None,
            retry_after_seconds: Some(7.0),
        },
    ] {
        let bench = Bench::new();
        bench.fault(Operation::PassList, fault.clone());
        let began = Instant::now();
        let error = bench.client.passes(&ALICE.to_string(), Priority::Read).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{fault:?}");
        assert!(began.elapsed() <= Duration::from_secs(30), "{fault:?}");
        assert_eq!(bench.count(Operation::PassList), 1, "{fault:?}");
        let after = matches!(fault, FaultKind::Status { .. }).then_some(Duration::from_secs(7));
        assert_eq!(error.advice(), Advice::Retry { after }, "{fault:?}");
    }
    let bench = Bench::new();
    bench.simulator.set_unreachable(true);
    let error = bench.client.method(Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn(SignInErrorKind::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_all_calls_about_passes_but_not_the_directory() {
    for (form, wait) in [
        (RetryAfterForm::Integer, 7_000..=7_000),
        (RetryAfterForm::Decimal, 6_500..=6_500),
        (RetryAfterForm::HttpDate, 6_500..=8_000),
        (RetryAfterForm::Absent, 2_000..=2_000),
    ] {
        let bench = Bench::new();
        let secret = bench.client.config().credential.clone();
        let pair = vec![connection("one", secret.clone()), connection("two", secret)];
        let clients = Client::connect(pair, &bench.options);
        let alice = ALICE.to_string();
        let throttled = FaultKind::Throttled { retry_after_seconds: Some(6.5), form: Some(form) };
        bench.fault(Operation::PassList, throttled);
        let began = Instant::now();
        let error = clients[0].passes(&alice, Priority::Read).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Throttled);
        assert_eq!(error.retry_after.is_none(), form == RetryAfterForm::Absent);
        clients[1].user(&alice, Priority::Read).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        clients[1].passes(&alice, Priority::Revoke).await.unwrap();
        let waited = began.elapsed().as_millis();
        assert!(wait.contains(&waited), "{form:?}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_is_throttled_is_sent_again_until_its_deadline() {
    let alice = ALICE.to_string();
    let throttled = FaultKind::Throttled { retry_after_seconds: None, form: None };
    for (times, deletes, ends) in [(3, 4, None), (99, 15, Some(ErrorKind::Throttled))] {
        let bench = Bench::new();
        let created = create(&bench.client, &alice, &new_pass()).await.unwrap();
        bench.simulator.inject(Fault::on(Operation::PassDelete, throttled.clone()).times(times));
        let deleted = bench.client.delete_pass(&alice, &created.method.id).await;
        assert_eq!(deleted.err().map(|error| error.kind), ends);
        assert_eq!(bench.count(Operation::PassDelete), deletes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_has_to_wait_longer_than_its_deadline_ends_at_once() {
    let bench = Bench::new();
    let alice = ALICE.to_string();
    let created = create(&bench.client, &alice, &new_pass()).await.unwrap();
    let throttled = FaultKind::Throttled { retry_after_seconds: Some(120.0), form: None };
    bench.fault(Operation::PassDelete, throttled);
    let began = Instant::now();
    for _ in 0..2 {
        let error = bench.client.delete_pass(&alice, &created.method.id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Throttled);
        assert_eq!(error.retry_after, Some(Duration::from_mins(2)));
    }
    assert_eq!((began.elapsed(), bench.count(Operation::PassDelete)), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn the_pace_keeps_within_graphs_limit() {
    let bench = Bench::new();
    let alice = ALICE.to_string();
    let began = Instant::now();
    for index in 0..30 {
        let priority = if index % 3 == 0 { Priority::Read } else { Priority::Issue };
        bench.client.passes(&alice, priority).await.unwrap();
    }
    // 30 calls: 5 at once and 5 more in each 10.5 s.
    assert_eq!(began.elapsed(), Duration::from_millis(5 * 10_500));
}

#[tokio::test(start_paused = true)]
async fn revocation_overtakes_waiting_calls() {
    let bench = Bench::new();
    let alice = ALICE.to_string();
    let created = create(&bench.client, &alice, &new_pass()).await.unwrap();
    // The last one can wait, so that it is not the turn of another that can.
    for priority in [Priority::Issue, Priority::Issue, Priority::Issue, Priority::Read] {
        bench.client.passes(&alice, priority).await.unwrap();
    }
    let reads =
        futures::future::join_all((0..4).map(|_| bench.client.passes(&alice, Priority::Issue)));
    let revoke = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.client.delete_pass(&alice, &created.method.id).await.unwrap();
    };
    tokio::join!(reads, revoke);
    let requests = bench.simulator.requests();
    let last: Vec<_> = requests.iter().rev().take(5).map(|request| request.operation).collect();
    assert_eq!(last[4], Operation::PassDelete, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_at_the_deadline_and_delays_no_other_call() {
    let bench = Bench::new();
    bench.fault(Operation::PassList, FaultKind::Hang { seconds: None });
    let alice = ALICE.to_string();
    let began = Instant::now();
    let hanging = bench.client.passes(&alice, Priority::Read);
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.client.delete_pass(&alice, "00000000-0000-4000-8000-000000000000").await.unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 1);
    };
    let (hanging, ()) = tokio::join!(hanging, other);
    assert!(hanging.unwrap_err().message.contains("no answer within 30 s"));
    assert_eq!(began.elapsed().as_secs(), 30);
}

/// A proxy has a clock of its own. Its answers lack the id that Graph gives each request.
#[tokio::test(start_paused = true)]
async fn only_answers_of_graph_tell_its_time() {
    for fault in [
        FaultKind::ProxyPage { offset_seconds: 3_600 },
        FaultKind::Html { status: 502, effect: false },
        FaultKind::Quoted { status: 200 },
    ] {
        let bench = Bench::unpaced();
        bench.fault(Operation::PolicyGet, fault.clone());
        bench.client.method(Priority::Read).await.unwrap_err();
        assert_eq!(bench.dates.lock().unwrap().len(), 0, "{fault:?}");
        bench.client.method(Priority::Read).await.unwrap();
        assert_eq!(bench.dates.lock().unwrap().len(), 1);
    }
}
