//! What others refuse: Secrets that the API server does not write, writes of the request that somebody else's admission
//! refuses, and users whom Graph gives no pass.

use super::*;

fn forbidden(_: &Intent, _: Timestamp) -> Posted {
    Posted::Refused(error(ErrorKind::Forbidden))
}

fn posts(life: &Life) -> usize {
    life.done.iter().filter(|done| *done == "post").count()
}

/// Reconciles another request, which is for a user of its own.
fn reconcile_other(life: &mut Life, name: &str) {
    life.user.as_mut().unwrap().id = format!("user of {name}");
    life.show();
    life.reconcile_only(&name.into());
    life.user.as_mut().unwrap().id = USER_ID.into();
}

#[test]
fn a_busy_api_server_gets_the_same_secret_again_for_half_a_minute() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Busy("too many requests".into());
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(1)));
    assert!(life.requests.holds_an_answer(&life.uid()));
    life.now = at(39);
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(1)));
    life.create_secret = SecretCreation::Yes("s1".into());
    life.reconcile();
    let done = ["intent", "post", "secret", "secret", "secret", "status Active"];
    life.expect(Phase::Active, "Issued", &done);

    let mut life = Life::new();
    life.create_secret = SecretCreation::Busy("too many requests".into());
    life.reconcile();
    life.now = at(40);
    life.reconcile();
    let done =
        ["intent", "post", "secret", "secret", "delete pass ours", "release", "status Pending"];
    life.expect(Phase::Pending, "SecretRefused", &done);
}

#[test]
fn a_secret_of_a_busy_api_server_is_not_created_for_a_request_that_ends() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Busy("too many requests".into());
    life.reconcile();
    life.decide("helen", "Revoke");
    life.reconcile();
    assert_eq!(life.done[2..], ["secret", "delete pass ours", "status Revoked", "release"]);
}

#[test]
fn while_secrets_are_not_written_one_request_finds_out_for_all() {
    let mut life = Life::new();
    let others: Vec<String> = (0..20).map(|n| format!("other-{n}")).collect();
    for name in &others {
        life.beside(request(name, name));
    }
    life.create_secret = SecretCreation::Refused("no".into());
    for second in 0..60 {
        life.now = at(second);
        life.reconcile();
        for name in &others {
            reconcile_other(&mut life, name);
        }
    }
    assert_eq!(posts(&life), 4, "after 0, 10, 20 and 40 seconds: {:?}", life.done);
    let waits = &life.others[&Uid::from("other-19")];
    let ready = waits.ready().unwrap();
    assert_eq!((waits.phase(), ready.reason.as_str()), (Phase::Pending, "SecretRefused"));
    assert!(ready.message.contains("finds out with one request at a time"), "{}", ready.message);

    // Who waits need not ask Graph.
    life.method = Err(error(ErrorKind::Unavailable));
    reconcile_other(&mut life, "other-19");
    let reason = life.others[&Uid::from("other-19")].ready().unwrap().reason.clone();
    assert_eq!(reason, "SecretRefused");
    life.method = Life::new().method;

    life.create_secret = SecretCreation::Yes("s1".into());
    life.now = at(100);
    reconcile_other(&mut life, "other-7");
    assert_eq!(posts(&life), 5);
    let uid = Uid::from("other-3");
    assert!(life.requests.due(&uid) <= Some(life.moment_at()), "nobody waits any longer");
    reconcile_other(&mut life, "other-3");
    assert_eq!(posts(&life), 6);
}

#[test]
fn a_refusal_keeps_only_its_namespace_waiting_and_a_lost_answer_the_whole_cluster() {
    for (created, again, waits) in [
        (SecretCreation::Refused("no".into()), 11, false),
        (SecretCreation::Busy("too many requests".into()), 41, true),
        (SecretCreation::Unknown("no answer".into()), 11, true),
    ] {
        let mut life = Life::new();
        life.edit_policy("{namespaces: {names: [helpdesk, elsewhere]}}");
        let mut other = request("other", "other");
        other.metadata.namespace = Some("elsewhere".into());
        life.beside(other);
        life.create_secret = created;
        life.reconcile();
        life.now = at(again);
        life.reconcile();
        life.create_secret = SecretCreation::Yes("s1".into());
        reconcile_other(&mut life, "other");
        let is_active = life.others[&Uid::from("other")].phase() == Phase::Active;
        assert_eq!(is_active, !waits, "{:?}", life.done);
    }
}

#[test]
fn a_name_that_is_taken_keeps_nobody_else_waiting() {
    let mut life = Life::new();
    life.beside(request("other", "other"));
    life.create_secret = SecretCreation::Taken("it exists".into());
    life.reconcile();
    life.create_secret = SecretCreation::Yes("s1".into());
    reconcile_other(&mut life, "other");
    assert_eq!(life.others[&Uid::from("other")].phase(), Phase::Active);
}

/// How long it takes to find out what became of an attempt does not matter to others, nor whether that can be found out.
#[test]
fn nobody_waits_longer_than_the_pause_for_whoever_finds_out() {
    let mut life = Life::new();
    life.beside(request("other", "other"));
    life.create_secret = SecretCreation::Unknown("no answer".into());
    life.reconcile();
    life.passes = Err(error(ErrorKind::Unavailable));
    life.create_secret = SecretCreation::Yes("s1".into());
    life.now = at(15);
    reconcile_other(&mut life, "other");
    assert_eq!(posts(&life), 1);
    life.passes = Ok(vec![]);
    life.secret = SecretFound::Absent;
    life.now = at(21);
    reconcile_other(&mut life, "other");
    assert_eq!(life.others[&Uid::from("other")].phase(), Phase::Active);
}

#[test]
fn a_pass_that_is_deleted_gets_no_secret() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Busy("too many requests".into());
    life.reconcile();
    life.lease_is_fresh = false;
    life.delete_pass = Ok(());
    let uid = life.uid();
    life.with_moment(|requests, moment| requests.learn(&uid, Outcome::Rested, moment));
    for _ in 0..64 {
        if life.done.contains(&"delete pass ours".to_owned()) {
            break;
        }
        life.step(&uid);
    }
    // The lease is fresh again.
    (life.lease_is_fresh, life.create_secret) = (true, SecretCreation::Yes("s1".into()));
    life.reconcile();
    let done: Vec<&str> = life.done.iter().map(String::as_str).collect();
    assert_eq!(done[..3], ["intent", "post", "secret"]);
    // The Secret of the next attempt is another one.
    let next = done[3..].iter().position(|done| *done == "intent").unwrap();
    assert!(!done[3..3 + next].contains(&"secret"), "{done:?}");
}

#[test]
fn a_record_that_may_not_be_taken_over_ends_with_the_last_expiry() {
    let mut life = Life::new();
    life.request = unresolved("lost-phone");
    life.refused = Some(Written::Intent);
    assert_eq!(life.reconcile(), Rest::BackoffUntil(None, at(3600 + 180)));
    life.now = at(3600 + 180);
    life.done.clear();
    life.reconcile();
    assert_eq!(life.done[0], "release", "{:?}", life.done);
}

#[test]
fn a_user_to_whom_graph_gives_no_pass_although_it_may_is_final_after_some_refusals() {
    let mut life = Life::new();
    life.post = forbidden;
    for second in 0..300 {
        life.now = at(second);
        life.reconcile();
    }
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "UserForbidden"));
    assert!(life.ready().message.contains("restricted management administrative unit"));
    assert!(!life.ready().message.contains("grant"), "{}", life.ready().message);
    assert_eq!(posts(&life), 6, "{:?}", life.done);
}

#[test]
fn without_the_permission_no_attempt_is_made_before_it_is_granted() {
    let mut life = Life::new();
    (life.post, life.permitted) = (forbidden, Ok(false));
    for second in 0..300 {
        life.now = at(second);
        life.reconcile();
    }
    assert_eq!(posts(&life), 1, "{:?}", life.done);
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "PermissionMissing"));
    (life.post, life.permitted) = (made, Ok(true));
    life.now = at(300);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

/// Neither the user nor the app is blamed while nobody knows.
#[test]
fn an_unknown_permission_ends_nothing() {
    let mut life = Life::new();
    (life.post, life.permitted) = (forbidden, Err(error(ErrorKind::Unavailable)));
    for second in 0..300 {
        life.now = at(second);
        life.reconcile();
    }
    assert_eq!(posts(&life), 1, "{:?}", life.done);
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "TenantUnreachable"));
    (life.post, life.permitted) = (made, Ok(true));
    life.now = at(300);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn an_attempt_that_may_not_be_recorded_is_told_and_makes_no_pass() {
    let mut life = Life::new();
    life.refused = Some(Written::Intent);
    assert!(matches!(life.reconcile(), Rest::BackoffUntil(..)));
    life.expect(Phase::Pending, "WriteRefused", &["status Pending"]);
    assert!(life.ready().message.contains("a webhook said no"), "{}", life.ready().message);
    life.refused = None;
    life.reconcile();
    life.expect(
        Phase::Active,
        "Issued",
        &["status Pending", "intent", "post", "secret", "status Active"],
    );
}

#[test]
fn a_finalizer_that_may_not_be_removed_is_tried_again_and_leaves_no_trace_in_the_status() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.refused = Some(Written::Release);
    assert_eq!(life.reconcile(), Rest::Backoff(None));
    life.expect(
        Phase::Revoked,
        "Revoked",
        &["delete secret", "delete pass ours", "status Revoked"],
    );
    life.refused = None;
    life.reconcile();
    assert_eq!(life.done.last().unwrap(), "release");
    assert_eq!(life.reason(), "Revoked");
}

#[test]
fn a_refused_status_keeps_neither_the_secret_nor_the_finalizer_beyond_the_expiry() {
    let mut life = Life::active();
    life.refused = Some(Written::Status);
    life.now = at(10 + 3600);
    life.reconcile();
    assert_eq!(life.done, ["delete secret", "release"]);
    // It is told when it can be.
    life.refused = None;
    life.now = at(10 + 7200);
    life.reconcile();
    life.expect(Phase::Expired, "PassExpired", &["delete secret", "release", "status Expired"]);
}

#[test]
fn a_revocation_whose_status_is_refused_takes_all_away_and_waits_for_the_expiry_at_most() {
    let mut life = Life::active();
    life.refused = Some(Written::Status);
    life.decide("helen", "Revoke");
    assert_eq!(life.reconcile(), Rest::BackoffUntil(None, at(10 + 3600)));
    assert_eq!(life.done, ["delete secret", "delete pass ours"]);
}

#[test]
fn a_deleted_request_owes_no_status() {
    let mut life = Life::active();
    life.refused = Some(Written::Status);
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.reconcile();
    assert_eq!(life.done, ["delete secret", "delete pass ours", "release"]);
}

/// Its pass was made and delivered, and the status never said so.
#[test]
fn a_deleted_request_whose_pass_may_not_be_recorded_is_released() {
    let mut life = Life::new();
    life.refused = Some(Written::Status);
    life.reconcile();
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.now = at(20);
    life.reconcile();
    let made = ["intent", "post", "secret"];
    assert_eq!(life.done, [&made[..], &["delete secret", "delete pass ours", "release"]].concat());
}

#[test]
fn a_pass_that_may_not_be_recorded_leaves_no_secret_beyond_its_expiry() {
    let mut life = Life::new();
    life.refused = Some(Written::Status);
    let expires = life.reconcile();
    assert_eq!(expires, Rest::BackoffUntil(None, at(10 + 3600)));
    life.now = at(10 + 3600);
    life.reconcile();
    assert_eq!(life.done, ["intent", "post", "secret", "delete secret"]);
    // It is not issued again, and told when it can be.
    life.refused = None;
    life.now = at(10 + 3700);
    life.reconcile();
    let done = ["intent", "post", "secret", "delete secret", "status Expired", "release"];
    life.expect(Phase::Expired, "PassExpired", &done);
}

/// Whatever fails, and however often.
#[test]
fn a_reconcile_that_keeps_failing_is_repeated_at_the_expiry_at_the_latest() {
    let mut life = Life::active();
    let uid = life.uid();
    life.now = at(10 + 3590);
    life.begin(&uid);
    life.with_moment(|requests, moment| requests.fail(&uid, moment, |_| Duration::from_mins(5)));
    let expires = life.moment_at() + Duration::from_secs(10);
    assert_eq!(life.requests.due(&uid), Some(expires));
}

#[test]
fn a_policy_that_was_created_anew_closes_the_intent() {
    let mut life = Life::new();
    let metadata = &mut life.policy.as_mut().unwrap().metadata;
    (metadata.uid, metadata.generation) = (Some("old".into()), Some(1));
    let mut anew = metadata.clone();
    anew.uid = Some("new".into());
    life.brakes.policy = Some(PolicyVersion::of(&anew));
    life.reconcile();
    assert_eq!(life.done, ["intent", "release", "status Pending"]);
}
