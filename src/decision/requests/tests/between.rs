//! What happens between two effects of an issue: a stop, a lost lease, a revocation, time.

use super::*;

type Change = fn(&mut Life);

const REVOKED: Change = |life| life.decide("helen", "Revoke");

#[test]
fn what_changes_between_intent_and_post_closes_the_intent_and_nothing_is_sent() {
    let changes: &[(&str, Change, Phase)] = &[
        ("the lease is lost", |l| l.lease_is_fresh = false, Phase::Pending),
        ("the list is old", |l| l.now += SignedDuration::from_secs(31), Phase::Pending),
        ("all is stopped", |l| l.brakes.stop = Stop::On, Phase::Pending),
        ("the policy is suspended", |l| l.brakes.suspended = true, Phase::Pending),
    ];
    for (what, change, phase) in changes {
        let mut life = Life::new();
        life.meanwhile = ("intent", *change);
        life.reconcile();
        assert_eq!(life.done, ["intent", "release", &format!("status {phase}")], "{what}");
    }
}

/// The intent was written, and its answer was lost: this process knows that nothing was sent.
#[test]
fn what_was_decided_before_the_post_closes_the_intent_and_nothing_is_sent() {
    let deny: Change = |life| life.decide("helen", "Deny");
    for (change, phase) in [(deny, Phase::Denied), (REVOKED, Phase::Revoked)] {
        let mut life = Life::new();
        life.answer_lost = Some("intent");
        life.meanwhile = ("intent", change);
        life.reconcile();
        assert_eq!(life.done, ["intent"]);
        life.reconcile();
        assert_eq!(life.done, ["intent", "release", &format!("status {phase}")]);
    }
}

#[test]
fn an_intent_whose_answer_was_lost_is_gone_on_with_by_who_wrote_it() {
    let mut life = Life::new();
    life.answer_lost = Some("intent");
    life.reconcile();
    life.now += SignedDuration::from_secs(1);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
}

#[test]
fn who_lost_the_lease_after_the_post_delivers_nothing() {
    let mut life = Life::new();
    life.meanwhile = ("post", |life| life.lease_is_fresh = false);
    life.reconcile();
    assert_eq!(life.done[..4], ["intent", "post", "delete pass ours", "release"]);
    assert!(!life.done.contains(&"secret".to_owned()), "{:?}", life.done);
}

/// Whoever decides it, the write of the status finds it out at the latest.
#[test]
fn a_revocation_after_the_post_takes_back_what_was_made_and_is_never_issued() {
    for when in ["post", "secret"] {
        let mut life = Life::new();
        life.meanwhile = (when, REVOKED);
        life.reconcile();
        let taken_back = ["delete secret", "delete pass ours", "status Revoked", "release"];
        let done = [&["intent", "post", "secret"][..], &taken_back].concat();
        life.expect(Phase::Revoked, "Revoked", &done);
    }
}

#[test]
fn a_stop_that_revokes_takes_back_what_the_post_made_before_it_is_delivered() {
    let stop: Change = |life| life.stop = Stop::RevokeActive;
    for (when, taken_back) in [
        ("post", &["delete pass ours"][..]),
        ("secret", &["secret", "delete secret", "delete pass ours"]),
    ] {
        let mut life = Life::new();
        life.meanwhile = (when, stop);
        life.reconcile();
        let done = [&["intent", "post"], taken_back, &["status Revoked", "release"]].concat();
        life.expect(Phase::Revoked, "StopRevokesActive", &done);
    }
}
