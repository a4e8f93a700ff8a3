//! What others write, refuse or lose: nothing of it may stop what must go on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::*;
use crate::decision::intent::is_unresolved_for;
use crate::decision::requests::life::latest_expiry;

/// The last start that the API server takes and this process can read.
const LAST_START: &str = "9999-12-30T21:30:00Z";

#[test]
fn a_start_at_the_end_of_time_waits_like_any_other_that_is_far() {
    for spec in [
        format!("{{startTime: '{LAST_START}'}}"),
        format!("{{startTime: '{LAST_START}', ttlAfterFinished: 8760h}}"),
    ] {
        let mut life = Life::new();
        life.edit_spec(&spec);
        life.reconcile();
        life.expect(Phase::Pending, "StartsLater", &["status Pending"]);
        life.reconcile();
    }
}

#[test]
fn a_secret_that_cannot_be_deleted_keeps_no_pass_alive() {
    let mut life = Life::active();
    life.stuck_secret = Some("a webhook says no");
    life.decide("bob@contoso.com", "Revoke");
    assert!(matches!(life.reconcile(), Rest::Backoff(_)));
    life.expect(Phase::Active, "SecretStays", &["delete pass ours", "status Active"]);
    // Nothing is said again.
    life.done.clear();
    life.delete_pass = Err(error(ErrorKind::NotFound));
    life.now = at(600);
    life.reconcile();
    assert_eq!(life.done, ["delete pass ours"]);

    life.stuck_secret = None;
    life.done.clear();
    life.reconcile();
    life.expect(
        Phase::Revoked,
        "Revoked",
        &["delete secret", "delete pass ours", "status Revoked", "release"],
    );
}

#[test]
fn a_pass_that_cannot_be_taken_back_is_told() {
    type Case = (fn(&mut Life), Phase, &'static str);
    let cases: [Case; 3] = [
        (|l| l.create_secret = SecretCreation::Refused("no".into()), Phase::Pending, "Resolving"),
        (
            |l| {
                l.edit_policy("{approval: {required: 1}}");
                l.reconcile();
                l.decide("bob@contoso.com", "Approve");
                l.create_secret = SecretCreation::Refused("no".into());
            },
            Phase::AwaitingApproval,
            "Resolving",
        ),
        (|l| l.meanwhile = ("post", |l| l.decide("helen", "Revoke")), Phase::Pending, "Revoking"),
    ];
    for (change, phase, reason) in cases {
        let mut life = Life::new();
        change(&mut life);
        life.delete_pass = Err(error(ErrorKind::Unavailable));
        assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(10)), "{:?}", life.done);
        assert_eq!((life.request.phase(), life.reason()), (phase, reason), "{:?}", life.done);
        assert_eq!(life.ready().status, "False");
        let message = life.ready().message.clone();
        assert!(message.contains("a pass was issued and must be deleted"), "{message}");
        // It is told once.
        life.done.clear();
        life.now += SignedDuration::from_secs(10);
        life.reconcile();
        assert_eq!(life.done, ["delete pass ours"]);
        life.delete_pass = Ok(());
        life.done.clear();
        life.now += SignedDuration::from_secs(10);
        life.reconcile();
        assert_eq!(life.done[0], "delete pass ours");
        assert_ne!(life.reason(), reason, "{:?}", life.done);
    }
}

#[test]
fn what_is_left_of_a_pass_that_is_taken_back_is_told_as_it_is() {
    let mut life = Life::new();
    life.stuck_secret = Some("a webhook says no");
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.meanwhile = ("secret", |l| l.decide("helen", "Revoke"));
    life.reconcile();
    assert_eq!(life.reason(), "Revoking", "{:?}", life.done);
    let message = life.ready().message.clone();
    assert!(message.contains("neither its Secret (a webhook says no) nor the pass"), "{message}");
    life.delete_pass = Ok(());
    life.now += SignedDuration::from_secs(10);
    life.reconcile();
    assert_eq!(life.reason(), "SecretStays", "{:?}", life.done);
    life.stuck_secret = None;
    life.now += SignedDuration::from_secs(60);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Revoked, "Revoked"));
}

#[test]
fn a_refused_status_slows_no_revocation() {
    let mut life = Life::new();
    life.refused = Some(Written::Status);
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.meanwhile = ("secret", |l| l.decide("helen", "Revoke"));
    life.reconcile();
    for _ in 0..5 {
        life.now += SignedDuration::from_secs(10);
        assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(10)), "{:?}", life.done);
    }
}

/// Whoever was asked to approve, and did, is not asked again by what becomes of the attempt.
#[test]
fn an_attempt_that_is_undone_asks_nobody_to_approve_again() {
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.reconcile();
    let ready = || "True".to_owned();
    assert_eq!(
        (life.request.phase(), life.ready().status.clone()),
        (Phase::AwaitingApproval, ready())
    );
    life.decide("bob@contoso.com", "Approve");
    life.create_secret = SecretCreation::Unknown("no answer".into());
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    for _ in 0..20 {
        life.reconcile();
        let says = life.ready();
        assert_ne!(says.status, ready(), "{}: {}", says.reason, says.message);
        life.now += SignedDuration::from_secs(10);
        life.delete_pass = Ok(());
    }
}

#[test]
fn a_deleted_request_is_not_held_for_its_secret_beyond_the_expiry() {
    let mut life = Life::active();
    life.stuck_secret = Some("a webhook says no");
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.reconcile();
    assert!(has_finalizer(&life.request));
    life.now = at(10 + 3600);
    life.reconcile();
    assert!(!has_finalizer(&life.request), "{:?}", life.done);
}

#[test]
fn a_secret_that_cannot_be_deleted_is_tried_again_after_the_expiry() {
    let mut life = Life::active();
    life.stuck_secret = Some("a webhook says no");
    life.now = at(10 + 3600);
    assert!(matches!(life.reconcile(), Rest::Backoff(_)));
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "SecretStays"));
    life.stuck_secret = None;
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Expired, "PassExpired"));
}

/// This process still holds Graph's answer: it does not know that what it wrote came through.
fn recorded_unawares() -> Life {
    let mut life = Life::new();
    life.answer_lost = Some("status Active");
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert!(life.requests.holds_an_answer(&life.uid()));
    life.done.clear();
    life
}

#[test]
fn an_answer_that_is_recorded_after_all_is_forgotten_and_not_taken_back() {
    let mut life = recorded_unawares();
    assert_eq!(life.reconcile(), Rest::Until(at(3610)));
    life.expect(Phase::Active, "Issued", &[]);
    assert!(!life.requests.holds_an_answer(&life.uid()));
}

/// Its Secret was refused or its answer lost, and another process delivered meanwhile: what is there now is that one's.
#[test]
fn who_was_superseded_leaves_a_secret_that_it_does_not_know_as_its_own() {
    let took_over = |life: &mut Life| {
        let mut issued = Life::new();
        issued.holder = "b";
        issued.reconcile();
        life.request = issued.request;
        life.secret = SecretFound::Ours("s1".into());
    };
    for answer in [SecretCreation::Refused("no".into()), SecretCreation::Unknown("no".into())] {
        let mut life = Life::new();
        life.create_secret = answer;
        life.meanwhile = ("secret", took_over);
        life.reconcile();
        life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "delete pass ours"]);
        assert_eq!(life.secret, SecretFound::Ours("s1".into()));
    }

    // Nor does who holds an answer for a request that was released and deleted touch what its successor may have.
    let mut life = Life::new();
    life.create_secret = SecretCreation::Unknown("no".into());
    life.meanwhile = ("secret", |life| {
        life.gone.insert(life.uid());
        life.secret = SecretFound::Ours("of its successor".into());
    });
    life.reconcile();
    assert_eq!(life.done, ["intent", "post", "secret", "delete pass ours"]);
    assert_eq!(life.left, Some(false));
    assert_eq!(life.secret, SecretFound::Ours("of its successor".into()));
}

#[test]
fn a_pass_that_was_used_is_not_taken_back_by_whoever_still_holds_its_answer() {
    let mut life = recorded_unawares();
    // Another process ends it.
    let mut other = Life::active();
    other.request = life.request.clone();
    other.seen = Ok(used(pass("ours", at(10), 60, true)));
    other.now = at(70);
    other.reconcile();
    other.expect(Phase::Used, "PassUsed", &["delete secret", "status Used", "release"]);
    life.request = other.request;
    life.reconcile();
    life.expect(Phase::Used, "PassUsed", &[]);
    assert!(!life.requests.holds_an_answer(&life.uid()));
}

#[test]
fn a_policy_that_was_changed_after_the_checks_closes_the_intent() {
    let mut life = Life::new();
    life.policy.as_mut().unwrap().metadata.generation = Some(1);
    life.brakes.policy = Some(PolicyVersion { uid: None, generation: Some(2) });
    life.reconcile();
    assert_eq!(life.done, ["intent", "release", "status Pending"]);
    assert_eq!(life.reason(), "HeldBack");
}

#[test]
fn a_deleted_pass_that_a_list_still_shows_settles_nothing() {
    // This process deleted it, for a request that is gone.
    let mut life = Life::new();
    life.make_and_take_back("earlier");
    life.post = lost;
    life.reconcile();
    life.passes = Ok(vec![pass("of earlier", at(5), 60, true)]);
    life.now = at(20);
    life.reconcile();
    life.expect(Phase::Pending, "Resolving", &["intent", "post", "raise", "status Pending"]);

    // One before it did, and the end of its request tells.
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.crash();
    let mut earlier = recording("earlier", "of earlier", &intent_of("earlier").closed());
    earlier.status.as_mut().unwrap().phase = Phase::Revoked;
    earlier.metadata.finalizers = None;
    life.beside(earlier);
    life.passes = Ok(vec![pass("of earlier", at(5), 60, true)]);
    life.now = at(20);
    life.reconcile();
    life.expect(Phase::Pending, "Resolving", &["raise"]);
}

#[test]
fn how_long_reads_take_does_not_count_as_time_between_them() {
    let settle = SignedDuration::from_secs(150);
    let first = Told::again(None, at(0), at(30));
    for (asked, answered, certain) in [(150, 200, false), (179, 300, false), (180, 181, true)] {
        let second = Told::again(Some(first), at(asked), at(answered));
        assert_eq!(second.is_certain(settle), certain, "{asked}");
    }
}

#[test]
fn failures_of_different_kinds_are_not_in_a_row() {
    let throttled = || Cause::Graph(error(ErrorKind::Throttled));
    let refused = || Cause::Graph(error(ErrorKind::NotFound));
    let earlier = Setback::after(None, at(0), throttled());
    assert_eq!(Setback::after(Some(earlier.clone()), at(200), throttled()).since, at(0));
    assert_eq!(Setback::after(Some(earlier), at(200), refused()).since, at(200));
}

/// A request whose intent a newer version wrote.
fn with_a_newer_intent(mut life: Life) -> Life {
    let annotations = life.request.metadata.annotations.get_or_insert_default();
    let mut intent: serde_json::Value =
        serde_json::from_str(&annotations[INTENT_ANNOTATION]).unwrap();
    intent["stage"] = json!({ "name": "newer" });
    annotations.insert(INTENT_ANNOTATION.into(), intent.to_string());
    assert!(Intent::of(&life.request).is_none());
    life.crash();
    life
}

#[test]
fn an_intent_that_cannot_be_read_holds_the_request_until_its_pass_has_expired() {
    let mut life = with_a_newer_intent(Life::active());
    let rest = life.reconcile();
    life.expect(Phase::Active, "IntentUnreadable", &["status Active"]);
    let Rest::Until(expires) = rest else { panic!("{rest:?}") };
    assert!(expires >= at(3610), "{expires}");
    assert!(has_finalizer(&life.request));

    // Its Secret can be taken away; the pass is left to whoever can read how it was made.
    life.decide("bob@contoso.com", "Revoke");
    life.done.clear();
    life.reconcile();
    assert_eq!(life.done, ["delete secret"]);
    assert!(has_finalizer(&life.request));

    life.now = expires;
    life.done.clear();
    life.reconcile();
    life.expect(Phase::Expired, "PassExpired", &["status Expired", "release"]);
}

#[test]
fn an_intent_that_cannot_be_read_asks_for_no_pass() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    let mut life = with_a_newer_intent(life);
    life.request.metadata.finalizers = None;
    life.reconcile();
    life.expect(Phase::Pending, "IntentUnreadable", &["status Pending"]);
}

/// Anybody who may create requests may write any intent into a new one.
#[test]
fn an_intent_that_somebody_made_up_holds_nobody_up() {
    for text in ["x", "{}", r#"{"uid":"uid-0","tenantId":"tenant"}"#] {
        let mut life = Life::new();
        let annotations = life.request.metadata.annotations.get_or_insert_default();
        annotations.insert(INTENT_ANNOTATION.into(), text.into());
        life.request.metadata.finalizers = Some(vec![FINALIZER.into()]);
        assert!(!is_unresolved_for(&life.request, "tenant", USER_ID), "{text}");
        life.reconcile();
        life.expect(Phase::Failed, "Restored", &["release", "status Failed"]);
    }
}

#[test]
fn a_stop_that_is_lifted_in_the_middle_of_a_revocation_leaves_no_pass() {
    let mut life = Life::active();
    life.stop = Stop::RevokeActive;
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Revoking"));
    life.stop = Stop::Off;
    life.delete_pass = Ok(());
    life.done.clear();
    life.reconcile();
    life.expect(
        Phase::Revoked,
        "StopRevokesActive",
        &["delete pass ours", "status Revoked", "release"],
    );
}

#[test]
fn one_look_that_found_no_pass_does_not_count_twice() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(100);
    life.stands_still_after_a_look = SignedDuration::from_secs(150);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    life.now = at(400);
    life.reconcile();
    assert_eq!(life.reason(), "PassRemoved");
}

#[test]
fn one_list_with_a_foreign_pass_does_not_count_twice() {
    let mut life = Life::new();
    life.passes = Ok(vec![pass("foreign", at(5), 600, true)]);
    life.stands_still_after_a_look = SignedDuration::from_secs(150);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "ExistingPass"));
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Failed);
}

/// A start may be far ahead, so the creation of the request says nothing of when its pass expires.
#[test]
fn an_unreadable_intent_is_held_from_when_it_was_written() {
    let written = |manager: &str, second: i64| ManagedFieldsEntry {
        manager: Some(manager.into()),
        time: Some(Time(at(second))),
        ..ManagedFieldsEntry::default()
    };
    let day = 24 * 3600;
    let mut request = request("far", "far");
    let unreadable = [(INTENT_ANNOTATION.into(), "{version: 9}".into())];
    request.metadata.annotations = Some(unreadable.into());
    assert_eq!(latest_expiry(&request), at(38 * day));
    request.metadata.managed_fields = Some(vec![written("kubectl", 400 * day)]);
    assert_eq!(latest_expiry(&request), at(38 * day), "what others write says nothing");
    let both = vec![written("tap-operator", 90 * day), written("tap-operator", 100 * day)];
    request.metadata.managed_fields = Some(both);
    assert_eq!(latest_expiry(&request), at(138 * day));
}
