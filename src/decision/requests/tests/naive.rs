//! What the machine looks up, beside what a scan over all that it knows would find.

use std::cmp::Reverse;

use super::super::entry::{Entry, InList, LookState};
use super::super::holders::{Holders, Stand};
use super::super::index::Index;
use super::super::observed::{Observed, Recorded};
use super::super::schedule::Schedule;
use super::*;
use crate::decision::ids::{PassId, UserKey};

/// All that is asked about users, passes and policies is what a scan finds, and nothing is forgotten. Where the bounds of
/// policies have not changed, whoever waits for a place within one was called where there is one.
pub(super) fn agree(requests: &Requests, moment: Moment, same_bounds: bool) {
    assert_eq!(requests.index, Index::scanned(&requests.entries), "the index");
    assert_eq!(requests.schedule, Schedule::scanned(&requests.entries), "the schedule");
    assert_eq!(requests.holders, requests.holders.scanned(), "the quotas");
    let seen = Seen(requests);
    seen.users();
    seen.passes();
    seen.policies();
    seen.quotas(same_bounds);
    seen.turns(moment);
    for (uid, entry) in &requests.entries {
        assert!(requests.is_listing || entry.in_list == InList::Not, "no list goes on");
        is_not_forgotten(uid, entry, moment);
    }
}

/// All requests that the machine knows, to scan.
struct Seen<'a>(&'a Requests);

impl<'a> Seen<'a> {
    fn all(&self) -> impl Iterator<Item = (&'a Uid, &'a Observed)> {
        let there = self.0.entries.iter().filter(|(_, entry)| !entry.is_gone);
        there.filter_map(|(uid, entry)| Some((uid, entry.observed.as_ref()?)))
    }

    fn which(&self, is: impl Fn(&Observed) -> bool) -> Vec<&'a Uid> {
        self.all().filter(|(_, observed)| is(observed)).map(|(uid, _)| uid).collect()
    }

    fn users(&self) {
        for user in ["user-0", "user-1", USER_ID].map(|user| UserKey::new("tenant", user)) {
            let unresolved = |observed: &Observed| {
                observed.unresolved.as_ref().is_some_and(|unresolved| {
                    unresolved.tenant_id.as_ref().is_none_or(|id| *id == user.tenant_id)
                        && unresolved.user_id.as_ref().is_none_or(|id| *id == user.user_id)
                })
            };
            let nobody = Uid::from("nobody");
            let mut found: Vec<&Uid> = self.0.index.unresolved_for(&user, &nobody).collect();
            found.sort_unstable();
            assert_eq!(found, self.which(unresolved), "unresolved for {user:?}");
            for but in self.which(unresolved) {
                assert!(self.0.index.unresolved_for(&user, but).all(|uid| uid != but));
            }

            let attempt = |observed: &'a Observed| {
                let recorded = observed.recorded.as_ref().filter(|_| !observed.has_ended())?;
                recorded.attempt.as_ref().filter(|attempt| attempt.user == user)
            };
            let mut issued: Vec<_> = self
                .all()
                .filter_map(|(uid, observed)| Some((attempt(observed)?.listed_at, uid)))
                .collect();
            issued.sort_unstable_by_key(|(listed_at, uid)| (Reverse(*listed_at), *uid));
            let issued: Vec<&Uid> = issued.into_iter().map(|(_, uid)| uid).collect();
            let found: Vec<&Uid> = self.0.index.issued_for(&user).collect();
            assert_eq!(found, issued, "issued for {user:?}");
        }
    }

    fn passes(&self) {
        let recorded = |observed: &'a Observed| observed.recorded.as_ref();
        let mut ids: Vec<&PassId> =
            self.all().filter_map(|(_, o)| Some(&recorded(o)?.pass_id)).collect();
        ids.extend(self.all().filter_map(|(_, o)| replaced(recorded(o)?)));
        for id in ids {
            for (asking, _) in self.all() {
                let others = |is: &dyn Fn(&Recorded) -> bool| -> Vec<&Uid> {
                    let found = self.which(|o| o.recorded.as_ref().is_some_and(is));
                    found.into_iter().filter(|uid| *uid != asking).collect()
                };
                let found: Vec<&Uid> = self.0.index.recording(id.clone(), asking).collect();
                assert_eq!(found, others(&|r| r.pass_id == *id), "recording {id}");
                let found: Vec<&Uid> = self.0.index.replacing(id.clone(), asking).collect();
                assert_eq!(found, others(&|r| replaced(r) == Some(id)), "replacing {id}");
            }
        }
    }

    fn policies(&self) {
        for policy in ["contoso", "other"] {
            let waits = |observed: &Observed| {
                *observed.party.policy == *policy
                    && !observed.phase.is_final()
                    && observed.recorded.is_none()
            };
            let found: Vec<&Uid> = self.0.index.waiting_for(policy).collect();
            assert_eq!(found, self.which(waits), "waiting for {policy}");
        }
    }

    /// Whoever holds a pass holds a place, whoever has ended holds none, and nobody who could have one waits unseen.
    fn quotas(&self, same_bounds: bool) {
        let holders: &Holders = &self.0.holders;
        for (uid, observed) in self.all() {
            let stand = holders.stand(uid);
            if observed.holds() {
                assert!(stand.is_some_and(|(_, certain)| certain), "{uid} holds: {stand:?}");
            }
            if observed.has_ended() {
                assert_eq!(stand, None, "{uid} has ended");
            }
            if let Some((Stand::Taken, _)) = stand {
                assert!(self.0.entries[uid].reconcile().is_some(), "{uid} is not reconciled");
            }
        }
        for uid in holders.overlooked() {
            let entry = &self.0.entries[&uid];
            let comes = entry.due.is_some() || entry.reconcile().is_some();
            assert!(comes && !same_bounds, "{uid} waits for a place that is there");
        }
    }

    /// A turn belongs to one request, which is about to issue or has something unresolved.
    fn turns(&self, moment: Moment) {
        for (user, uid) in &self.0.turns {
            let entry = &self.0.entries[uid];
            assert_eq!(entry.turn.as_deref(), Some(user), "the turn of {uid}");
            let attempt = entry.work.as_ref().is_some_and(|work| work.memory.attempt.is_some());
            let unresolved = entry.observed.as_ref().is_some_and(|o| o.unresolved.is_some());
            // Somebody may have taken the finalizer off: the reconcile that is due then gives it back.
            let is_due = entry.due.as_ref().is_some_and(|due| due.at <= moment.at);
            let is_needed = entry.reconcile().is_some() || attempt || unresolved || is_due;
            assert!(is_needed, "{uid} keeps a turn that it does not need");
        }
        for (uid, entry) in &self.0.entries {
            let held = entry.turn.as_deref().and_then(|user| self.0.turns.get(user));
            assert_eq!(held, entry.turn.as_ref().map(|_| uid), "the turn of {uid}");
        }
    }
}

/// A request is due where something is left to do for it, and its pass is looked at where it is as it should be.
fn is_not_forgotten(uid: &Uid, entry: &Entry, moment: Moment) {
    let observed = entry.observed.as_ref().expect("it is known");
    if entry.is_gone {
        assert!(entry.reconcile().is_some(), "{uid} is gone, and nothing goes on for it");
        assert!(entry.due.is_none() && entry.look == LookState::None);
        return;
    }
    assert_eq!(entry.look != LookState::None, observed.settled().is_some(), "looks at {uid}");
    let Some(due) = &entry.due else {
        let rests = observed.is_over() && observed.leaves_at.is_none();
        assert!(entry.reconcile().is_some() || rests, "{uid} is forgotten");
        return;
    };
    assert!(entry.reconcile().is_none(), "{uid} is due, and its reconcile goes on");
    assert_eq!((due.urgent, due.created), (observed.finalizer, observed.created), "{uid}");
    assert!(!observed.is_over() || observed.leaves_at.is_some(), "{uid} is over");
    let fails = entry.work.as_ref().is_some_and(|work| work.failures > 0);
    if let Some(recorded) = observed.settled().filter(|_| !fails) {
        let expires = recorded.expires().expect("it has not ended");
        let expires = moment.until(expires, observed.tenant_id.as_deref());
        assert!(due.at <= expires.max(moment.at), "{uid} is due after its expiry");
    }
    if matches!(entry.look, LookState::Seen(_)) {
        assert!(due.at <= moment.at + Duration::from_mins(10), "what was seen is acted on");
    }
}

fn replaced(recorded: &Recorded) -> Option<&PassId> {
    recorded.attempt.as_ref()?.replaces.as_ref()
}
