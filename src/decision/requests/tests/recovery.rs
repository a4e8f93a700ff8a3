//! What became of a lost POST: who finds out, since when, and which pass it made.

use super::*;

fn intent(life: &Life) -> Intent {
    Intent::of(&life.request).unwrap()
}

#[test]
fn each_recovery_is_an_attempt_of_its_own_and_counts_from_the_first_one() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    let first = intent(&life);
    for (holder, second) in [("b", 60), ("c", 120)] {
        let before = intent(&life);
        life.crash();
        (life.holder, life.now) = (holder, at(second));
        life.reconcile();
        let now = intent(&life);
        assert_ne!(now.attempt, before.attempt);
        assert_eq!((now.number, now.holder.as_str()), (before.number + 1, holder));
        assert_eq!(now.stage, first.stage, "the settle time counts from the first one");
        // What was known before the POST is what tells whose pass is whose.
        assert_eq!((now.listed, now.listed_at), (first.listed.clone(), first.listed_at));
    }
    life.now = at(161);
    life.post = made;
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn who_finds_a_newer_attempt_takes_back_what_it_holds_and_leaves_that_alone() {
    let mut life = Life::new();
    life.meanwhile = ("secret", |life| {
        let newer = intent(life).raised("newer".into(), "b".into(), at(20), false);
        life.annotate(&newer);
        // It is brought to its end by whoever has the lease.
        life.lease_is_fresh = false;
    });
    life.reconcile();
    assert_eq!(life.done, ["intent", "post", "secret", "delete secret", "delete pass ours"]);
    assert_eq!(intent(&life).attempt, "newer");
    assert!(has_finalizer(&life.request));
}

/// A person's pass that was replaced in vain: the POST never took effect, and theirs is as new as ours would be.
#[test]
fn a_pass_that_was_there_before_the_post_is_not_taken_for_ours() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(5), 60, true)]);
    life.post = lost;
    life.reconcile();
    life.now = at(200);
    life.post = made;
    life.reconcile();
    assert!(!life.done.iter().any(|done| done.starts_with("delete pass")), "{:?}", life.done);
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn the_pass_of_another_request_is_not_taken_for_ours() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.passes = Ok(vec![pass("another", at(11), 60, true)]);
    life.beside(recording("other", "another", &intent_of("other")));
    life.now = at(30);
    life.reconcile();
    life.expect(Phase::Pending, "Resolving", &["intent", "post", "raise", "status Pending"]);
}

#[test]
fn a_pass_that_starts_at_another_time_is_not_ours() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(300)));
    life.post = lost;
    life.reconcile();
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
    life.create_secret = SecretCreation::Unknown("no".into());
    life.reconcile();
    let done = ["intent", "post", "secret", "delete pass ours", "raise"];
    assert_eq!(life.done[..5], done, "the pass goes at once");
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "Resolving"));
    life.decide("alice", "Revoke");
    life.done.clear();
    life.now = at(10 + 149);
    life.secret = SecretFound::Ours("late".into());
    life.reconcile();
    life.expect(Phase::Pending, "Resolving", &["delete secret"]);
    life.now = at(10 + 151);
    life.reconcile();
    life.expect(Phase::Revoked, "Revoked", &["delete secret", "release", "status Revoked"]);
}

#[test]
fn a_secret_that_came_though_nobody_said_so_is_taken_back_with_its_pass_at_once() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Unknown("no".into());
    life.meanwhile = ("secret", |life| life.secret = SecretFound::Ours("came".into()));
    life.reconcile();
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
    life.reconcile();
    life.expect(Phase::Pending, "Resolving", &["raise", "delete pass ours", "status Pending"]);
    life.done.clear();
    life.now = at(20 + 151);
    life.secret = SecretFound::Ours("late".into());
    life.reconcile();
    assert_eq!(life.done[..2], ["delete secret", "release"]);

    // The Secret of a deleted request goes with it.
    let mut life = crashed();
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.reconcile();
    assert_eq!(life.done, ["raise", "delete pass ours", "release"]);

    let mut life = crashed();
    life.passes = Ok(vec![used(pass("ours", at(10), 60, true))]);
    // Whoever used it had the code from the Secret, which may have come since it was looked for.
    life.before_a_list = |life| {
        (life.now, life.secret) = (at(21), SecretFound::Ours("late".into()));
    };
    life.reconcile();
    life.expect(Phase::Used, "PassUsed", &["raise", "delete secret", "status Used", "release"]);
}

#[test]
fn a_deleted_request_does_not_wait_for_its_secret() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Unknown("no".into());
    life.meanwhile =
        ("secret", |life| life.request.metadata.deletion_timestamp = Some(Time(at(10))));
    life.reconcile();
    let done = ["intent", "post", "secret", "delete pass ours", "status Revoked", "release"];
    assert_eq!(life.done, done);

    // But for one of which it cannot be told whether it is there.
    let mut life = Life::new();
    life.create_secret = SecretCreation::Unknown("no".into());
    life.secret = SecretFound::Unclear("a webhook says no".into());
    life.meanwhile =
        ("secret", |life| life.request.metadata.deletion_timestamp = Some(Time(at(10))));
    assert!(matches!(life.reconcile(), Rest::Backoff(_)));
    let done = ["intent", "post", "secret", "delete pass ours", "status Pending"];
    life.expect(Phase::Pending, "SecretStays", &done);
}

#[test]
fn a_secret_that_comes_while_the_passes_are_listed_is_found_as_well() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Unknown("no".into());
    life.reconcile();
    life.done.clear();
    life.now = at(10 + 151);
    life.before_a_list = |life| life.secret = SecretFound::Ours("late".into());
    life.reconcile();
    assert_eq!(life.done[..2], ["delete secret", "release"]);
}

#[test]
fn after_a_lost_answer_the_pass_is_found_deleted_and_asked_for_again() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    assert_eq!(life.done, ["intent", "post", "raise", "status Pending"]);
    assert_eq!(life.reason(), "Resolving");
    life.done.clear();
    life.now = at(30);
    life.passes = Ok(vec![pass("lost", at(11), 60, true)]);
    life.post = made;
    life.delete_pass = Ok(());
    life.reconcile();
    assert_eq!(life.done[..2], ["delete pass lost", "release"]);
    // The list showed the pass that was just deleted: with an empty one the next attempt goes out.
    life.passes = Ok(vec![]);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(life.done.iter().filter(|d| *d == "post").count(), 1);
}

#[test]
fn a_crash_after_the_post_is_resolved_without_a_human() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.crash();
    life.post = made;
    life.reconcile();
    assert_eq!(life.done, ["raise"], "recovery begins with a write of its own, and posts nothing");
    life.now = at(10 + 149);
    life.reconcile();
    assert_eq!(life.done, ["raise"], "not before the settle time has passed");
    life.now = at(10 + 151);
    life.reconcile();
    assert_eq!(life.done[1..], ["release", "intent", "post", "secret", "status Active"]);
}

#[test]
fn a_clock_that_was_ahead_when_recovery_began_does_not_make_it_longer() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.post = made;
    // Before Graph has told the time, its clock may be as far ahead as this.
    let mut intent = Intent::of(&life.request).unwrap();
    intent.stage = Stage::Resolving { since: at(310), no_secret: false };
    life.annotate(&intent);
    life.done.clear();
    life.now = at(20);
    life.reconcile();
    life.now = at(20 + 149);
    life.reconcile();
    assert!(!life.done.contains(&"release".into()), "too early: {:?}", life.done);
    life.now = at(20 + 151);
    life.reconcile();
    assert_eq!(life.done[0], "raise");
    assert_eq!(life.request.phase(), Phase::Active, "{:?}", life.done);
}

#[test]
fn a_crash_between_secret_and_status_takes_both_back_first() {
    let mut life = Life::active();
    // The status was not written.
    life.request.status = None;
    life.crash();
    life.passes = Ok(vec![pass("ours", at(10), 60, true)]);
    life.reconcile();
    assert_eq!(life.done[..4], ["raise", "delete secret", "delete pass ours", "release"]);
}

#[test]
fn recovery_leaves_foreign_passes_alone() {
    let foreign = [
        ("listed before", pass("old", at(10), 60, true)),
        ("another lifetime", pass("x", at(11), 90, true)),
        ("created too early", pass("x", at(-100), 60, true)),
        ("created too late", pass("x", at(500), 60, true)),
        ("another kind", pass("x", at(11), 60, false)),
    ];
    for (what, pass) in foreign {
        let mut life = Life::new();
        life.edit_spec("{onExistingPass: Wait}");
        life.post = lost;
        life.reconcile();
        let mut intent = Intent::of(&life.request).unwrap();
        intent.listed.push("old".into());
        life.annotate(&intent);
        life.crash();
        life.passes = Ok(vec![pass]);
        life.now = at(20);
        life.reconcile();
        life.now = at(300);
        life.reconcile();
        assert!(!life.done.iter().any(|d| d.starts_with("delete pass")), "{what}: {:?}", life.done);
    }
}

#[test]
fn a_lost_pass_that_was_used_ends_the_request() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.done.clear();
    life.passes = Ok(vec![used(pass("lost", at(11), 60, true))]);
    life.reconcile();
    life.expect(Phase::Used, "PassUsed", &["status Used", "release"]);
}

/// By then pass and Secret may be those of the next attempt, made by the process that has the lease.
#[test]
fn who_lost_the_lease_in_the_middle_of_a_recovery_takes_nothing_back() {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.lease_is_fresh = false;
    life.passes = Ok(vec![pass("of the next attempt", at(11), 60, true)]);
    life.secret = SecretFound::Ours("of the next attempt".into());
    life.done.clear();
    life.reconcile();
    assert_eq!(life.done, Vec::<String>::new());

    // Nor does it take anything over.
    life.crash();
    life.reconcile();
    assert_eq!(life.done, Vec::<String>::new());

    life.lease_is_fresh = true;
    life.reconcile();
    assert_eq!(life.done[..2], ["raise", "delete secret"]);
}

#[test]
fn what_a_lost_attempt_replaced_is_remembered() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.post = lost;
    life.reconcile();
    // The lost POST replaced it, and is found.
    life.passes = Ok(vec![pass("ours", at(10), 60, true)]);
    life.post = |intent, now| {
        assert_eq!(intent.replaces.as_ref().map(|r| r.pass_id.as_str()), Some("theirs"));
        made(intent, now)
    };
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"), "{:?}", life.done);
}
