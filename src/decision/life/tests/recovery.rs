//! What became of a lost POST: who finds out, since when, and which pass it made.

use super::trouble::hold_on;
use super::*;

fn intent(life: &Life) -> Intent {
    Intent::of(&life.request).unwrap()
}

#[test]
fn each_recovery_is_an_attempt_of_its_own_and_counts_from_the_first_one() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    let first = intent(&life);
    for (holder, second) in [("b", 60), ("c", 120)] {
        let before = intent(&life);
        life.crash();
        (life.holder, life.now) = (holder, at(second));
        life.pass();
        let now = intent(&life);
        assert_ne!(now.attempt, before.attempt);
        assert_eq!((now.number, now.holder.as_str()), (before.number + 1, holder));
        assert_eq!(now.stage, first.stage, "the settle time counts from the first one");
        // What was known before the POST is what tells whose pass is whose.
        assert_eq!((now.listed, now.listed_at), (first.listed.clone(), first.listed_at));
    }
    life.now = at(161);
    life.post = made;
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn who_finds_a_newer_attempt_takes_back_what_it_holds_and_leaves_that_alone() {
    let mut life = Life::active();
    let mine = intent(&life);
    life.request.status = None;
    life.annotate(&mine.raised("newer".into(), "b".into(), at(20), false));
    hold_on(&mut life, mine);
    // The newer one is brought to its end afterwards, as any that is found.
    life.meanwhile = ("forget", |life| life.lease_is_fresh = false);
    life.pass();
    assert_eq!(life.done[..3], ["delete secret", "delete pass ours", "forget"]);
    assert!(!life.done.contains(&"status Active".to_owned()), "{:?}", life.done);
}

/// A person's pass that was replaced in vain: the POST never took effect, and theirs is as new as ours would be.
#[test]
fn a_pass_that_was_there_before_the_post_is_not_taken_for_ours() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(5), 60, true)]);
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.now = at(200);
    life.post = made;
    life.pass();
    assert!(!life.done.iter().any(|done| done.starts_with("delete pass")), "{:?}", life.done);
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn the_pass_of_another_request_is_not_taken_for_ours() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.passes = Ok(vec![pass("another", at(11), 60, true)]);
    life.known = HashMap::from([("another".to_owned(), Known::Recorded("helpdesk/other".into()))]);
    life.now = at(30);
    life.pass();
    life.expect(Phase::Pending, "Resolving", &["intent", "post", "raise", "status Pending"]);
}

#[test]
fn a_pass_that_starts_at_another_time_is_not_ours() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(300)));
    life.post = |_, _| Posted::Lost;
    life.pass();
    let starting = |second| TapMethod { created: Some(at(11)), ..pass("x", at(second), 60, true) };
    let made = |pass| intent(&life).made(&pass, SignedDuration::from_secs(150));
    assert!(made(starting(300)));
    assert!(!made(starting(302)) && !made(starting(11)));
}

/// The API server may create it long after the operator gave it up, and nobody would take it away from a request that has
/// ended.
#[test]
fn a_secret_that_may_still_come_keeps_its_request_open() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Unknown;
    life.pass();
    let done = ["intent", "post", "secret", "delete pass ours", "forget", "raise"];
    assert_eq!(life.done[..6], done, "the pass goes at once");
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "Resolving"));
    life.decide("alice", "Revoke");
    life.done.clear();
    life.now = at(10 + 149);
    life.secret = SecretFound::Ours("late".into());
    life.pass();
    life.expect(Phase::Pending, "Resolving", &["delete secret"]);
    life.now = at(10 + 151);
    life.pass();
    life.expect(Phase::Revoked, "Revoked", &["delete secret", "release", "status Revoked"]);
}

#[test]
fn a_secret_that_came_though_nobody_said_so_is_taken_back_with_its_pass_at_once() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Unknown;
    life.meanwhile = ("secret", |life| life.secret = SecretFound::Ours("came".into()));
    life.pass();
    let done = ["intent", "post", "secret", "delete secret", "delete pass ours", "release"];
    assert_eq!(life.done[..6], done);
}

/// Whoever died after Graph's answer may have asked for the Secret.
#[test]
fn who_finds_a_lost_pass_and_no_secret_waits_for_one() {
    let crashed = || {
        let mut life = Life::active();
        (life.request.status, life.secret) = (None, SecretFound::Absent);
        life.crash();
        life.now = at(20);
        life.passes = Ok(vec![pass("ours", at(10), 60, true)]);
        life
    };
    let mut life = crashed();
    life.pass();
    life.expect(Phase::Pending, "Resolving", &["raise", "delete pass ours", "status Pending"]);
    life.done.clear();
    life.now = at(20 + 151);
    life.secret = SecretFound::Ours("late".into());
    life.pass();
    assert_eq!(life.done[..2], ["delete secret", "release"]);

    // The Secret of a deleted request goes with it.
    let mut life = crashed();
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.pass();
    assert_eq!(life.done, ["raise", "delete pass ours", "release"]);

    let mut life = crashed();
    life.passes = Ok(vec![TapMethod {
        reason: Some(UsabilityReason::OneTimeUsed),
        ..pass("ours", at(10), 60, true)
    }]);
    // Whoever used it had the code from the Secret, which may have come since it was looked for.
    life.before_a_list = |life| {
        (life.now, life.secret) = (at(21), SecretFound::Ours("late".into()));
    };
    life.pass();
    life.expect(Phase::Used, "PassUsed", &["raise", "delete secret", "status Used", "release"]);
}

#[test]
fn a_deleted_request_does_not_wait_for_its_secret() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Unknown;
    life.meanwhile =
        ("secret", |life| life.request.metadata.deletion_timestamp = Some(Time(at(10))));
    life.pass();
    let done = ["intent", "post", "secret", "delete pass ours", "status Revoked", "release"];
    assert_eq!(life.done, done);

    // But for one of which it cannot be told whether it is there.
    let mut life = Life::new();
    life.create_secret = SecretWritten::Unknown;
    life.secret = SecretFound::Unclear("a webhook says no".into());
    life.meanwhile =
        ("secret", |life| life.request.metadata.deletion_timestamp = Some(Time(at(10))));
    assert!(matches!(life.pass(), Rest::Backoff(_)));
    assert_eq!(life.done, ["intent", "post", "secret", "delete pass ours"]);
}

#[test]
fn a_secret_that_comes_while_the_passes_are_listed_is_found_as_well() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Unknown;
    life.pass();
    life.done.clear();
    life.now = at(10 + 149);
    life.before_a_list = |life| {
        (life.now, life.secret) = (at(10 + 151), SecretFound::Ours("late".into()));
    };
    life.pass();
    assert_eq!(life.done[..2], ["delete secret", "release"]);
}
