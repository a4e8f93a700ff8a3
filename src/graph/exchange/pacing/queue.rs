//! The calls that wait, and which of them is admitted next.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::learned::Learned;
use super::recent::Recent;
use super::{Pace, Priority, Share};

/// How many calls are remembered for the sharing. More never wait at once, because no more reconciles run.
const SERVED: usize = 128;
/// After so many calls to create passes, one read goes first.
const ISSUES_FOR_A_READ: usize = 3;

/// A call that waits: its priority, and when it arrived among all.
pub(super) type Key = (Priority, u64);

#[derive(Debug)]
pub(super) struct Queue {
    /// What the tenant takes, and what it took lately; absent where calls are admitted at once.
    pace: Option<(Learned, Recent)>,
    /// Until when Graph has asked the client to wait.
    paused_until: Option<Instant>,
    /// The calls that wait, by priority and arrival. Only the next of them watches the clock. When it leaves, it wakes the
    /// one after it.
    waiting: BTreeMap<Key, Waiting>,
    arrivals: u64,
    /// For whom the last calls to create passes were made, the oldest first.
    served: VecDeque<Share>,
    /// How many of them were made since the last read.
    since_a_read: usize,
}

#[derive(Debug)]
struct Waiting {
    wake: Arc<Notify>,
    share: Share,
}

impl Queue {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self {
            pace: pace.map(|pace| (Learned::new(pace), Recent::new(pace.window))),
            paused_until: None,
            waiting: BTreeMap::new(),
            arrivals: 0,
            served: VecDeque::new(),
            since_a_read: 0,
        }
    }

    pub(super) fn join(&mut self, priority: Priority, share: Share, wake: Arc<Notify>) -> Key {
        self.arrivals += 1;
        let key = (priority, self.arrivals);
        self.waiting.insert(key, Waiting { wake, share });
        key
    }

    pub(super) fn leave(&mut self, key: Key) {
        self.waiting.remove(&key);
    }

    /// Admits nothing for a time, because Graph refused a call.
    pub(super) fn pause(&mut self, for_how_long: Duration, now: Instant) {
        if let Some((learned, _)) = &mut self.pace {
            learned.refuse(now);
        }
        self.paused_until = self.paused_until.max(Some(now + for_how_long));
    }

    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
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
    fn in_order(&self) -> Vec<Key> {
        let read = self.of(Priority::Read).next();
        let read_goes_first = self.since_a_read >= ISSUES_FOR_A_READ;
        let mut order: Vec<Key> = self.of(Priority::Revoke).take(1).collect();
        order.extend(self.first_of_namespaces(self.of(Priority::Create)));
        order.extend(read.filter(|_| read_goes_first));
        let issues = self.issues();
        order.extend(read.filter(|_| !read_goes_first && issues.is_empty()));
        order.extend(issues);
        order
    }

    /// The reads for passes: first that of the namespace, and then of the requester, whose last was longest ago.
    fn issues(&self) -> Vec<Key> {
        let mut last = (HashMap::new(), HashMap::new());
        for (index, share) in self.served.iter().enumerate() {
            last.0.insert(&share.namespace, index);
            last.1.insert(share, index);
        }
        let rank = |key: &Key| {
            let share = self.waiting.get(key).map(|waiting| &waiting.share);
            let namespace = share.and_then(|share| last.0.get(&share.namespace));
            (namespace, share.and_then(|share| last.1.get(share)), key.1)
        };
        let mut issues: Vec<Key> = self.of(Priority::Issue).collect();
        issues.sort_by_key(rank);
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
    pub(super) fn admit(&mut self, key: Key, now: Instant) {
        let Some((learned, recent)) = &mut self.pace else { return };
        let share = self.waiting.get(&key).map(|waiting| waiting.share.clone()).unwrap_or_default();
        recent.add(key.0, Arc::clone(&share.namespace), learned.calls(), now);
        learned.admitted(recent.in_window(now), now);
        match key.0 {
            Priority::Revoke => {}
            Priority::Create => self.since_a_read += 1,
            Priority::Read => self.since_a_read = 0,
            Priority::Issue => {
                self.since_a_read += 1;
                self.served.push_back(share);
                if self.served.len() > SERVED {
                    self.served.pop_front();
                }
            }
        }
    }

    /// When a call that waits can be admitted, if none goes before it. It may take longer, and is asked again then.
    pub(super) fn due(&mut self, key: Key, now: Instant) -> Instant {
        let resumed = self.paused_until.unwrap_or(now).max(now);
        let revocation_waits = self.count(Priority::Revoke) > 0;
        let Some((learned, recent)) = &mut self.pace else { return resumed };
        learned.settle(now);
        recent.forget(now);
        let calls = learned.limit(key.0, revocation_waits, now);
        let namespace = self.waiting.get(&key).map_or("", |waiting| &waiting.share.namespace);
        recent.due(key.0, namespace, calls, now).max(resumed)
    }
}
