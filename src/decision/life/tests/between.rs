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
        ("it is denied", |l| l.decide("helen", "Deny"), Phase::Denied),
        ("it is revoked", REVOKED, Phase::Revoked),
    ];
    for (what, change, phase) in changes {
        let mut life = Life::new();
        life.meanwhile = ("intent", *change);
        life.pass();
        assert_eq!(life.done, ["intent", "release", &format!("status {phase}")], "{what}");
    }
}

#[test]
fn who_lost_the_lease_after_the_post_delivers_nothing() {
    let mut life = Life::new();
    life.meanwhile = ("post", |life| life.lease_is_fresh = false);
    life.pass();
    assert_eq!(life.done[..4], ["intent", "post", "delete pass ours", "release"]);
    assert!(!life.done.contains(&"secret".to_owned()), "{:?}", life.done);
}

#[test]
fn a_revocation_after_the_post_takes_back_what_was_made_and_is_never_issued() {
    for (when, taken_back) in [
        ("post", &["delete pass ours"][..]),
        ("secret", &["secret", "delete secret", "delete pass ours"]),
    ] {
        let mut life = Life::new();
        life.meanwhile = (when, REVOKED);
        life.pass();
        let done = [&["intent", "post"], taken_back, &["status Revoked", "release"]].concat();
        life.expect(Phase::Revoked, "Revoked", &done);
    }
}
