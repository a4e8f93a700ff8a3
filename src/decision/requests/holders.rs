//! Who holds a place within the quota of a policy, and who waits for one.
//!
//! A place is taken before the attempt is recorded, and held for as long as the newest version of the request that this
//! process knows may hold a pass. Each bound of each policy has its count and its line: those whom it keeps out, the
//! oldest first. When a count falls, the first of its line are called.

use std::sync::Arc;

use jiff::Timestamp;

use super::index::change;
use super::ordered::{Map, Set};
use crate::decision::ids::Uid;
use crate::decision::quota::{Bound, Bounds, Party, Reached};
use crate::decision::situation::Slot;

/// How a request stands to the quota of its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stand {
    /// It takes no place and waits for none, as far as this process did anything about it.
    None,
    /// A reconcile goes on, and may record an attempt.
    Taken,
    /// When its last reconcile ended, it held a place.
    Kept,
    /// There was no place for it, by this bound.
    Waiting(Bound),
    /// Now there is one, and it is called.
    Called,
}

/// How a request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Count {
    /// It holds a place.
    Certain,
    /// It may yet not take it.
    Coming,
    /// It was called.
    Called,
}

/// A bound of a policy, and whom it counts.
type Key = (Arc<str>, Bound, Arc<str>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Counts {
    certain: usize,
    coming: usize,
    called: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim {
    party: Arc<Party>,
    created: Timestamp,
    stand: Stand,
    count: Option<Count>,
}

/// All that is known of quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holders {
    claims: Map<Uid, Claim>,
    counts: Map<Key, Counts>,
    lines: Map<Key, Set<(Timestamp, Uid)>>,
    bounds: Map<Arc<str>, Bounds>,
}

fn keys(party: &Party) -> [Key; 2] {
    [
        (party.policy.clone(), Bound::Namespace, party.namespace.clone()),
        (party.policy.clone(), Bound::Requester, party.requester.clone()),
    ]
}

impl Holders {
    /// What the policy of this name allows; nothing is known of one that is gone.
    pub fn set_bounds(&mut self, policy: &str, bounds: Option<Bounds>) {
        match bounds {
            Some(bounds) => self.bounds.insert(policy.into(), bounds),
            None => self.bounds.remove(policy),
        };
    }

    /// What is known of a request changed: whether it holds a pass, has ended, or neither. Answers with those who are called
    /// because of it.
    pub fn observe(
        &mut self,
        uid: &Uid,
        party: &Arc<Party>,
        created: Timestamp,
        holds: bool,
        ended: bool,
    ) -> Vec<Uid> {
        let stand = self.claims.get(uid).map_or(Stand::None, |claim| claim.stand);
        let stand = if ended { Stand::None } else { stand };
        let claim = Claim { party: party.clone(), created, stand, count: None };
        let count = match stand {
            _ if ended => None,
            _ if holds => Some(Count::Certain),
            Stand::Taken => Some(Count::Coming),
            Stand::Kept => Some(Count::Certain),
            Stand::Called => Some(Count::Called),
            Stand::None | Stand::Waiting(_) => None,
        };
        self.enter(
            uid,
            (stand != Stand::None || count.is_some()).then_some(Claim { count, ..claim }),
        )
    }

    /// A request is gone, or this process has nothing more to do with it.
    pub fn forget(&mut self, uid: &Uid) -> Vec<Uid> {
        self.enter(uid, None)
    }

    /// Takes a place for a request, if there is one; else the request waits for one. `holds` says whether it holds a pass
    /// as it was last seen.
    pub fn take(
        &mut self,
        uid: &Uid,
        party: &Arc<Party>,
        created: Timestamp,
        holds: bool,
        bounds: Bounds,
    ) -> (Slot, Vec<Uid>) {
        let freed = self.take_out(uid);
        let taken = self.used_up(party, bounds);
        let contested = self.reached(party, bounds, |counts| counts.certain + counts.coming);
        let slot = taken.map(Slot::Taken).or(contested.map(Slot::Contested)).unwrap_or(Slot::Ours);
        let (stand, count) = match slot {
            Slot::Contested(reached) | Slot::Taken(reached) => {
                (Stand::Waiting(reached.bound), holds.then_some(Count::Certain))
            }
            Slot::Ours => (Stand::Taken, Some(if holds { Count::Certain } else { Count::Coming })),
        };
        let claim = Claim { party: party.clone(), created, stand, count };
        let mut called = self.put_in(uid, Some(claim), freed);
        // Whoever has just looked need not look again.
        called.retain(|other| other != uid);
        (slot, called)
    }

    /// The place of a request is kept beyond the reconcile that took it.
    pub fn keep(&mut self, uid: &Uid) {
        let Some(claim) = self.claims.get(uid).filter(|claim| claim.stand == Stand::Taken) else {
            return;
        };
        let kept = Claim { stand: Stand::Kept, count: Some(Count::Certain), ..claim.clone() };
        let called = self.enter(uid, Some(kept));
        debug_assert!(called.is_empty(), "nobody gains by it");
    }

    /// A request has no place by its own doing, and waits for none.
    pub fn give_back(&mut self, uid: &Uid, holds: bool) -> Vec<Uid> {
        let claim = self.claims.get(uid).cloned();
        let kept = claim.filter(|_| holds);
        self.enter(
            uid,
            kept.map(|claim| Claim { stand: Stand::None, count: Some(Count::Certain), ..claim }),
        )
    }

    /// Whether a request waits for a place.
    pub fn waits(&self, uid: &Uid) -> bool {
        self.claims.get(uid).is_some_and(|claim| matches!(claim.stand, Stand::Waiting(_)))
    }

    /// Whether a request was called, because there is a place for it now.
    pub fn is_called(&self, uid: &Uid) -> bool {
        self.claims.get(uid).is_some_and(|claim| claim.stand == Stand::Called)
    }

    fn reached(
        &self,
        party: &Party,
        bounds: Bounds,
        live: impl Fn(&Counts) -> usize,
    ) -> Option<Reached> {
        keys(party).into_iter().find_map(|key| {
            let allowed = bounds.of_bound(key.1)?;
            let live = self.counts.get(&key).map_or(0, &live);
            (live >= allowed).then_some(Reached { bound: key.1, live, allowed })
        })
    }

    /// The bound that the live passes of a party have reached, if any.
    pub fn used_up(&self, party: &Party, bounds: Bounds) -> Option<Reached> {
        self.reached(party, bounds, |counts| counts.certain)
    }

    /// Puts a claim in the place of what was there, and calls those who find a place now.
    fn enter(&mut self, uid: &Uid, claim: Option<Claim>) -> Vec<Uid> {
        if self.claims.get(uid) == claim.as_ref() {
            return Vec::new();
        }
        let freed = self.take_out(uid);
        self.put_in(uid, claim, freed)
    }

    /// Takes a claim out; what it counted for.
    fn take_out(&mut self, uid: &Uid) -> Vec<Key> {
        let Some(old) = self.claims.remove(uid) else { return Vec::new() };
        self.line(uid, &old, false);
        self.count(&old, false)
    }

    /// Puts a claim in, and calls those who find a place where it does not take what was freed.
    fn put_in(&mut self, uid: &Uid, claim: Option<Claim>, mut freed: Vec<Key>) -> Vec<Uid> {
        if let Some(new) = claim {
            self.line(uid, &new, true);
            let taken = self.count(&new, true);
            self.claims.insert(uid.clone(), new);
            freed.retain(|key| !taken.contains(key));
        }
        self.call(freed)
    }

    fn line(&mut self, uid: &Uid, claim: &Claim, enter: bool) {
        if let Stand::Waiting(bound) = claim.stand {
            let key = keys(&claim.party).into_iter().find(|key| key.1 == bound);
            if let Some(key) = key {
                change(&mut self.lines, key, (claim.created, uid.clone()), enter);
            }
        }
    }

    /// Counts a claim, or counts it no more; the keys that it counts for.
    fn count(&mut self, claim: &Claim, enter: bool) -> Vec<Key> {
        let Some(count) = claim.count else { return Vec::new() };
        let keys = keys(&claim.party);
        for key in &keys {
            let counts = self.counts.entry(key.clone()).or_default();
            let number = match count {
                Count::Certain => &mut counts.certain,
                Count::Coming => &mut counts.coming,
                Count::Called => &mut counts.called,
            };
            *number = if enter { *number + 1 } else { number.saturating_sub(1) };
            if *counts == Counts::default() {
                self.counts.remove(key);
            }
        }
        keys.into()
    }

    /// Calls the first of these lines, the oldest first, as many as find a place. One whom another bound keeps out waits in
    /// the line of that one.
    fn call(&mut self, mut lines: Vec<Key>) -> Vec<Uid> {
        let mut called = Vec::new();
        loop {
            let first = |key: &Key| Some((self.lines.get(key)?.first()?.clone(), key.clone()));
            let Some(((_, uid), key)) = lines.iter().filter_map(first).min() else { return called };
            let Some(bounds) = self.bounds.get(&key.0).copied() else { return called };
            let Some(claim) = self.claims.get(&uid).cloned() else { return called };
            let all = |counts: &Counts| counts.certain + counts.coming + counts.called;
            match self.reached(&claim.party, bounds, all) {
                Some(reached) if reached.bound == key.1 => lines.retain(|other| *other != key),
                Some(reached) => {
                    let moved = Claim { stand: Stand::Waiting(reached.bound), ..claim.clone() };
                    self.line(&uid, &claim, false);
                    self.line(&uid, &moved, true);
                    self.claims.insert(uid, moved);
                }
                None => {
                    let count = claim.count.or(Some(Count::Called));
                    let now = Claim { stand: Stand::Called, count, ..claim.clone() };
                    self.line(&uid, &claim, false);
                    if claim.count.is_none() {
                        self.count(&now, true);
                    }
                    self.claims.insert(uid.clone(), now);
                    called.push(uid);
                }
            }
        }
    }
}

#[cfg(test)]
impl Holders {
    /// What must be in it where these requests claim places: counts and lines by a scan over all of them.
    pub fn scanned(&self) -> Self {
        let mut scanned = Self { bounds: self.bounds.clone(), ..Self::default() };
        for (uid, claim) in &self.claims {
            scanned.line(uid, claim, true);
            scanned.count(claim, true);
            scanned.claims.insert(uid.clone(), claim.clone());
        }
        scanned
    }

    /// How a request stands, and whether it counts as one that holds a place.
    pub fn stand(&self, uid: &Uid) -> Option<(Stand, bool)> {
        let claim = self.claims.get(uid)?;
        Some((claim.stand, claim.count == Some(Count::Certain)))
    }

    /// The first of each line for which there is a place all the same.
    pub fn overlooked(&self) -> Vec<Uid> {
        let mut overlooked = Vec::new();
        for (key, line) in &self.lines {
            let Some(bounds) = self.bounds.get(&key.0).copied() else { continue };
            let Some((_, uid)) = line.first() else { continue };
            let all = |counts: &Counts| counts.certain + counts.coming + counts.called;
            if self.reached(&self.claims[uid].party, bounds, all).is_none() {
                overlooked.push(uid.clone());
            }
        }
        overlooked
    }
}
