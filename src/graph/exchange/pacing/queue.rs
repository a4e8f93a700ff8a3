//! The calls that wait, and which of them is admitted next.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::learned::Learned;
use super::recent::{Recent, Room};
use super::refusals::Refusals;
use super::served::Served;
use super::{Pace, Priority, Share};

/// After so many calls to create passes, one read goes first.
const ISSUES_FOR_A_READ: usize = 3;

/// A call that waits: its priority, and when it arrived among all.
pub(super) type Key = (Priority, u64);
/// A call that was admitted, by its number among all.
pub(super) type Admitted = (u64, Priority);

#[derive(Debug)]
pub(super) struct Queue {
    /// What the tenant takes, and what it took lately; absent where calls are admitted at once.
    pace: Option<(Learned, Recent)>,
    refusals: Refusals,
    /// How many calls were admitted.
    admitted: u64,
    /// The calls that wait, by priority and arrival. Only the next of them watches the clock. When it leaves, it wakes the
    /// one after it.
    waiting: BTreeMap<Key, Waiting>,
    arrivals: u64,
    served: Served,
    /// How many calls that issue passes were admitted since the last read.
    since_a_read: usize,
}

#[derive(Debug)]
struct Waiting {
    wake: Arc<Notify>,
    share: Share,
    /// How many calls were in the window when it came.
    found: usize,
}

impl Queue {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self {
            pace: pace.map(|pace| (Learned::new(pace), Recent::new(pace.window))),
            refusals: Refusals::default(),
            admitted: 0,
            waiting: BTreeMap::new(),
            arrivals: 0,
            served: Served::default(),
            since_a_read: 0,
        }
    }

    pub(super) fn join(
        &mut self,
        priority: Priority,
        share: Share,
        wake: Arc<Notify>,
        now: Instant,
    ) -> Key {
        self.arrivals += 1;
        let key = (priority, self.arrivals);
        let found = self.pace.as_mut().map_or(0, |(_, recent)| {
            recent.advance(now);
            recent.in_window()
        });
        self.waiting.insert(key, Waiting { wake, share, found });
        key
    }

    pub(super) fn leave(&mut self, key: Key) {
        self.waiting.remove(&key);
    }

    /// Graph refused a call because there were too many, and may have said how long to wait.
    pub(super) fn refuse(&mut self, call: Admitted, retry_after: Option<Duration>, now: Instant) {
        let in_doubt = self.refusals.in_doubt();
        let is_news = self.refusals.refuse(call, self.admitted, retry_after, now);
        if let Some((learned, _)) = self.pace.as_mut().filter(|_| is_news) {
            learned.refuse(in_doubt, now);
        }
    }

    /// Graph took a call.
    pub(super) fn take(&mut self, (call, _): Admitted) {
        let is_news = self.refusals.take(call);
        if let Some((learned, _)) = self.pace.as_mut().filter(|_| is_news) {
            learned.resume();
        }
    }

    /// Nothing more will be heard of a call. Others may have waited for that.
    pub(super) fn end(&mut self, (call, _): Admitted, now: Instant) {
        self.refusals.end(call);
        self.wake_next(now);
    }

    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.refusals.are_delaying(now)
    }

    /// How many calls of this priority wait.
    pub(super) fn count(&self, priority: Priority) -> usize {
        self.of(priority).count()
    }

    /// How many calls the tenant takes in a window, as far as is known.
    pub(super) fn calls(&self) -> Option<usize> {
        self.pace.as_ref().map(|(learned, _)| learned.calls())
    }

    /// Wakes the call that is admitted next.
    pub(super) fn wake_next(&mut self, now: Instant) {
        let next = self.next(now);
        if let Some(next) = next.and_then(|key| self.waiting.get(&key)) {
            next.wake.notify_one();
        }
    }

    /// The call that is admitted next: the first that can be admitted now, else the one that can be first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Key> {
        let mut next = None;
        for key in self.in_order() {
            let due = self.due(key, now);
            if due <= now {
                return Some(key);
            }
            if next.is_none_or(|(before, _)| due < before) {
                next = Some((due, key));
            }
        }
        next.map(|(_, key)| key)
    }

    /// Revocations, then what creates passes, then what is read for that, with another read after every third of all those.
    /// Of each namespace only the first is among them: the others can be admitted no sooner.
    /// After a refusal only revocations go while a call finds out whether more are taken, and what creates passes comes last:
    /// one that is refused must begin anew.
    fn in_order(&self) -> Vec<Key> {
        if self.refusals.awaits_an_answer() {
            return self.of(Priority::Revoke).take(1).collect();
        }
        let read = self.of(Priority::Read).next();
        let read_goes_first = self.since_a_read >= ISSUES_FOR_A_READ;
        let mut order: Vec<Key> = self.of(Priority::Revoke).take(1).collect();
        order.extend(self.first_of_namespaces(self.of(Priority::Create)));
        order.extend(read.filter(|_| read_goes_first));
        let issues = self.issues();
        order.extend(read.filter(|_| !read_goes_first && issues.is_empty()));
        order.extend(issues);
        if self.refusals.in_doubt() {
            order.sort_by_key(|(priority, _)| *priority == Priority::Create);
        }
        order
    }

    /// The reads for passes: first that of the namespace, and then of the requester, whose last was longest ago.
    fn issues(&self) -> Vec<Key> {
        let rank = |key: &Key| {
            let share = self.waiting.get(key).map(|waiting| &waiting.share);
            (share.map(|share| self.served.last(share)), key.1)
        };
        let mut issues: Vec<Key> = self.of(Priority::Issue).collect();
        issues.sort_by_cached_key(rank);
        self.first_of_namespaces(issues.into_iter())
    }

    fn first_of_namespaces(&self, calls: impl Iterator<Item = Key>) -> Vec<Key> {
        let mut seen = HashSet::new();
        let namespace = |key: &Key| self.waiting.get(key).map(|waiting| &waiting.share.namespace);
        calls.filter(|key| seen.insert(namespace(key))).collect()
    }

    fn of(&self, priority: Priority) -> impl Iterator<Item = Key> + '_ {
        self.waiting.range((priority, 0)..=(priority, u64::MAX)).map(|(key, _)| *key)
    }

    /// Takes note that a call is admitted.
    pub(super) fn admit(&mut self, key: Key, now: Instant) -> Admitted {
        self.admitted += 1;
        self.refusals.admit(self.admitted);
        self.count_in(key, now);
        (self.admitted, key.0)
    }

    fn count_in(&mut self, key: Key, now: Instant) {
        // Reads try more than was taken, so what follows evenly is as many.
        let room = self.room(Priority::Issue, now);
        let share = self.waiting.get(&key).map(|waiting| waiting.share.clone()).unwrap_or_default();
        let (Some((learned, recent)), Some(room)) = (&mut self.pace, room) else { return };
        recent.add(key.0, Arc::clone(&share.namespace), room, now);
        learned.admitted(recent.in_window(), now);
        match key.0 {
            Priority::Revoke => {}
            Priority::Create => self.since_a_read += 1,
            Priority::Read => self.since_a_read = 0,
            Priority::Issue => {
                self.since_a_read += 1;
                self.served.add(share);
            }
        }
    }

    /// When a call that waits can be admitted, if none goes before it. It may take longer, and is asked again then.
    pub(super) fn due(&mut self, key: Key, now: Instant) -> Instant {
        let resumed = self.refusals.due(key.0, now);
        if let Some((learned, recent)) = &mut self.pace {
            learned.settle(now);
            recent.advance(now);
        }
        let room = self.room(key.0, now);
        let (Some((_, recent)), Some(mut room)) = (&self.pace, room) else { return resumed };
        let waiting = self.waiting.get(&key);
        // What was tried, or was taken before a refusal, may fill the window beyond that. A revocation takes the first place
        // that gets free all the same.
        if key.0 == Priority::Revoke {
            room.calls = room.calls.max(waiting.map_or(0, |waiting| waiting.found));
        }
        let namespace = waiting.map_or("", |waiting| &waiting.share.namespace);
        recent.due(key.0, namespace, room, now).max(resumed)
    }

    /// How many calls there is room for, the next one of this priority included.
    fn room(&self, priority: Priority, now: Instant) -> Option<Room> {
        let (learned, _) = self.pace.as_ref()?;
        let revocation_waits = self.count(Priority::Revoke) > 0;
        Some(Room {
            calls: learned.limit(priority, revocation_waits, now),
            taken: learned.calls(),
            is_careful: learned.is_careful(now),
        })
    }
}
