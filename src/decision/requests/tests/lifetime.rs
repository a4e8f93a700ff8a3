//! One entry, one lifetime: nothing is left of requests that are gone.

use super::*;
use crate::decision::requests::ordered::Map;

type Ends = fn(&mut Life);

fn lives() -> Vec<(&'static str, Ends)> {
    vec![
        ("refused", |life| life.edit_spec("{lifetime: 9h}")),
        ("denied", |life| life.decide("helen", "Deny")),
        ("issued", |_| {}),
        ("its POST lost", |life| life.post = lost),
        ("its POST refused", |life| life.post = refused),
        ("its Secret refused", |life| life.create_secret = SecretCreation::Refused("no".into())),
        ("its Secret lost", |life| life.create_secret = SecretCreation::Unknown("no".into())),
        ("its intent lost", |life| life.answer_lost = Some("intent")),
        ("its status lost", |life| life.answer_lost = Some("status Active")),
        ("its release lost", |life| {
            life.meanwhile = ("intent", |life| life.brakes.stop = Stop::On);
            life.answer_lost = Some("release");
        }),
        ("waiting for a place", |life| life.fill_the_quota(1)),
        ("called", |life| {
            life.fill_the_quota(1);
            life.meanwhile = ("status Pending", |life| life.a_place_is_free_again());
        }),
        ("waiting for its turn", |life| life.beside(unresolved("first"))),
        ("beside a pass of another one", |life| {
            life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
        }),
        ("its pass kept alive", |life| {
            life.create_secret = SecretCreation::Refused("no".into());
            life.delete_pass = Err(error(ErrorKind::Unavailable));
        }),
    ]
}

/// Everybody is gone: the watch shows it, or a reconcile finds out.
fn all_gone(life: &mut Life, shown: bool) {
    let all: Vec<Uid> = life.others.keys().cloned().chain([life.uid()]).collect();
    life.gone.extend(all.iter().cloned());
    if shown {
        life.show();
    }
    // What goes on is brought to its end.
    (life.delete_pass, life.secret) = (Ok(()), SecretFound::Absent);
    for uid in &all {
        if shown && !life.requests.holds_an_answer(uid) {
            continue;
        }
        life.reconcile_only(uid);
    }
    life.show();
}

#[test]
fn nothing_is_left_of_requests_that_are_gone_but_their_passes_for_a_while() {
    for (what, change) in lives() {
        for shown in [true, false] {
            let mut life = Life::new();
            change(&mut life);
            for second in [10, 11, 30, 200] {
                life.now = at(second);
                life.reconcile();
                life.show();
            }
            all_gone(&mut life, shown);
            // Lists may show what this process made and deleted.
            life.requests.own_passes.forget_until(at(10_000));
            // Whether Secrets are written concerns the requests that come next.
            life.requests.unwritable.clear();
            life.requests.forget_listed_passes(at(100_000));
            // One for each connection.
            life.requests.methods = Map::new();
            let fresh = life.fresh();
            assert_eq!(life.requests, fresh, "{what}, shown: {shown}");
        }
    }
}

#[test]
fn passes_that_are_long_gone_are_forgotten_when_the_next_one_is_made() {
    let mut life = Life::new();
    life.make_and_take_back("other");
    let one = life.requests.own_passes.clone();
    life.now = at(4 * 3600);
    life.secret = SecretFound::Absent;
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    let mut alone = Life::new();
    alone.now = life.now;
    alone.reconcile();
    assert_eq!(life.requests.own_passes, alone.requests.own_passes);
    assert_ne!(life.requests.own_passes, one);
}

/// Such records may be many.
#[test]
fn of_a_request_that_has_ended_only_what_was_seen_is_kept() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.reconcile();
    assert_eq!((life.request.phase(), has_finalizer(&life.request)), (Phase::Revoked, false));
    let entry = &life.requests.entries[&life.uid()];
    assert!(entry.work.is_none() && entry.secret.is_none() && entry.turn.is_none());
    assert_eq!(life.requests.due(&life.uid()), None);
    assert!(life.requests.holders.stand(&life.uid()).is_none());
}
