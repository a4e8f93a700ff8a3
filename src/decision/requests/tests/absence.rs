//! What is no absence: a read that failed, one that came too early, and the first of two.

use super::*;

#[test]
fn a_failed_read_is_no_second_look_at_a_pass() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(100);
    life.reconcile();
    life.seen = Err(error(ErrorKind::Unavailable));
    life.now = at(100 + 300);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &[]);
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(100 + 400);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Revoked, "PassRemoved"));
}

#[test]
fn a_look_that_failed_is_not_the_first_of_two() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::Unavailable));
    life.now = at(100);
    life.reconcile();
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(300);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &[]);
}

#[test]
fn a_user_who_is_missed_late_is_looked_up_twice_all_the_same() {
    let mut life = Life::new();
    life.user = Err(error(ErrorKind::NotFound));
    life.now = at(3600);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "UserNotFound"));
    life.now = at(3600 + 150);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "UserNotFound"));
}

#[test]
fn a_user_who_cannot_be_read_is_not_missing() {
    let mut life = Life::new();
    life.user = Err(error(ErrorKind::Unavailable));
    for hour in 0..23 {
        life.now = at(3600 * hour + 10);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "TenantUnreachable"));
    }
}

/// A request whose POST was lost at 10, and which another process has taken over.
fn lost_and_taken_over() -> Life {
    let mut life = Life::new();
    life.post = lost;
    life.reconcile();
    life.crash();
    life.now = at(20);
    life.reconcile();
    assert_eq!(life.done, ["raise"]);
    life
}

#[test]
fn a_list_that_was_asked_for_too_early_settles_nothing() {
    let mut life = lost_and_taken_over();
    // Settled at 160. The answer comes after that, and says what was so before.
    life.now = at(150);
    life.list_takes = SignedDuration::from_secs(20);
    life.reconcile();
    assert_eq!(life.done, ["raise"]);
    life.now = at(161);
    life.reconcile();
    assert_eq!(life.done[1], "release");
}

#[test]
fn while_the_tenant_does_not_answer_nothing_is_settled_until_every_pass_has_expired() {
    let mut life = lost_and_taken_over();
    life.passes = Err(error(ErrorKind::Unavailable));
    for minute in 3..60 {
        life.now = at(60 * minute);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "Resolving"));
        assert!(has_finalizer(&life.request), "a pass may be live");
    }
    life.now = Intent::of(&life.request).unwrap().latest_expiry;
    life.reconcile();
    assert!(!has_finalizer(&life.request), "{:?}", life.done);
}

#[test]
fn a_user_whom_a_list_does_not_know_settles_nothing_before_its_time() {
    let mut life = lost_and_taken_over();
    life.passes = Err(error(ErrorKind::NotFound));
    life.now = at(60);
    life.reconcile();
    assert_eq!(life.done, ["raise"]);
    life.now = at(161);
    life.reconcile();
    assert_eq!(life.done[1], "release");
}
