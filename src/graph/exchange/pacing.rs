//! Pacing: calls wait here so that Graph does not have to refuse them, and the urgent ones are admitted first.

mod learned;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::learned::Learned;

/// How urgent a call is when calls must wait. The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Takes a pass away.
    Revoke,
    /// Creates a pass. It must follow its list soon, or it is not made.
    Create,
    /// Reads what must be known right before that.
    Issue,
    /// Anything that can wait: drift, early checks, whether a pass was used. Gets at most half of the pace, and one call
    /// after every third that is to create a pass.
    Read,
}

impl Priority {
    /// All priorities.
    const ALL: [Self; 4] = [Self::Revoke, Self::Create, Self::Issue, Self::Read];
    /// Their names in metric labels.
    pub const LABELS: [&str; 4] = ["revoke", "create", "issue", "read"];

    /// Its name in metric labels.
    pub fn label(self) -> &'static str {
        let [revoke, create, issue, read] = Self::LABELS;
        match self {
            Self::Revoke => revoke,
            Self::Create => create,
            Self::Issue => issue,
            Self::Read => read,
        }
    }
}

/// The calls that wait for their turn, and the pace at which they get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pacing {
    /// How many calls wait, by [`Priority::label`].
    pub waiting: [(&'static str, usize); 4],
    /// Whether Graph has asked the client to wait, and that time is not over.
    pub throttled: bool,
    /// The most calls in a second.
    pub calls_per_second: f64,
}

/// For whom a call is made. Calls of one priority are shared out between namespaces, and within one between requesters, so
/// that whoever asks for much makes nobody else wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The requester.
    pub requester: Arc<str>,
}

/// How many calls may be made in how long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many calls in one window are made from the start. 0 counts as 1.
    pub calls: u32,
    /// How many calls in one window are tried at most, while Graph refuses none. Fewer than `calls` count as `calls`.
    pub most: u32,
    /// The length of the window. The limit holds for any window of this length.
    pub window: Duration,
}

/// How many more calls than to authentication methods may be made to everything else. The directory allows at least 3,500
/// units in 10 s, and a call costs one to three (documented).
const OTHERS: u32 = 100;

impl Pace {
    /// The pace of Conditional Access: 1 call in a second, the documented limit of a tenant, and a little for the network. It is
    /// not learned, for the apps of others use up the same limit.
    pub(super) const CONDITIONAL_ACCESS: Self =
        Self { calls: 1, most: 1, window: Duration::from_millis(1_100) };

    /// The pace of calls that are not about authentication methods.
    pub(super) fn of_others(self) -> Self {
        Self { calls: self.calls.max(1).saturating_mul(OTHERS), most: 0, ..self }
    }

    fn least(self) -> usize {
        (self.calls as usize).max(1)
    }

    fn most(self) -> usize {
        (self.most as usize).max(self.least())
    }
}

impl Default for Pace {
    /// 5 calls in 10 s, the documented limit of an app in a tenant, plus half a second. The half second is for the network:
    /// two calls may take different times to arrive, so they may be closer together at Graph than they were here.
    fn default() -> Self {
        Self { calls: 5, most: 5, window: Duration::from_millis(10_500) }
    }
}

/// The call cannot be admitted in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAdmitted {
    /// How long to wait before trying again, as far as is known.
    pub(super) retry_after: Duration,
}

/// Admits the calls of one app in one tenant.
#[derive(Debug)]
pub(super) struct Pacer {
    /// `None`: calls are admitted at once unless Graph asks the client to wait.
    pace: Option<Pace>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The pace of the tenant; absent where calls are admitted at once.
    learned: Option<Learned>,
    /// The calls that were admitted in the last window, the oldest first.
    recent: VecDeque<(Instant, Priority)>,
    /// Until when Graph has asked the client to wait.
    paused_until: Option<Instant>,
    /// The calls that wait, by priority and arrival. Only the next of them watches the clock. When it leaves, it wakes the
    /// one after it.
    waiting: BTreeMap<(Priority, u64), Waiting>,
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

/// How many calls are remembered for the sharing. More never wait at once, because no more reconciles run.
const SERVED: usize = 128;
/// After so many calls to create passes, one read goes first.
const ISSUES_FOR_A_READ: usize = 3;

impl Pacer {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        let queue = Queue { learned: pace.map(Learned::new), ..Queue::default() };
        Self { pace, queue: Mutex::new(queue) }
    }

    /// Waits until the call is admitted, until `latest` at most. The future may be dropped at any time.
    pub(super) async fn admit(
        &self,
        priority: Priority,
        share: &Share,
        latest: Instant,
    ) -> Result<(), NotAdmitted> {
        let waiter = Waiter::join(self, priority, share);
        loop {
            let (woken, due) = match waiter.ask(latest)? {
                Progress::Admitted => return Ok(()),
                Progress::First { due } => (waiter.wake.notified(), due.min(latest)),
                Progress::Behind => (waiter.wake.notified(), latest),
            };
            tokio::select! {
                biased;
                () = woken => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Admits no call for a time, because Graph refused one and has asked for that.
    pub(super) fn pause(&self, for_how_long: Duration) {
        let now = Instant::now();
        let until = now + for_how_long;
        let mut queue = self.queue();
        if let Some(learned) = &mut queue.learned {
            learned.refuse(now);
        }
        queue.paused_until = queue.paused_until.max(Some(until));
    }

    /// What waits now.
    pub(super) fn state(&self) -> Pacing {
        let queue = self.queue();
        let waiting = Priority::ALL.map(|priority| {
            let all = queue.waiting.keys().filter(|(of, _)| *of == priority);
            (priority.label(), all.count())
        });
        let throttled = queue.paused_until.is_some_and(|until| Instant::now() < until);
        let calls = queue.learned.as_ref().and_then(|learned| u32::try_from(learned.calls()).ok());
        let rate = |(pace, calls): (Pace, u32)| f64::from(calls) / pace.window.as_secs_f64();
        let calls_per_second = self.pace.zip(calls).map_or(f64::INFINITY, rate);
        Pacing { waiting, throttled, calls_per_second }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change of the queue is complete before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Progress {
    Admitted,
    /// No call is before it. It can be admitted at `due` at the earliest.
    First {
        due: Instant,
    },
    Behind,
}

/// A call that waits. It leaves the queue when dropped.
struct Waiter<'a> {
    pacer: &'a Pacer,
    key: (Priority, u64),
    wake: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    fn join(pacer: &'a Pacer, priority: Priority, share: &Share) -> Self {
        let mut queue = pacer.queue();
        queue.arrivals += 1;
        let key = (priority, queue.arrivals);
        let wake = Arc::new(Notify::new());
        let waiting = Waiting { wake: Arc::clone(&wake), share: share.clone() };
        queue.waiting.insert(key, waiting);
        Self { pacer, key, wake }
    }

    fn ask(&self, latest: Instant) -> Result<Progress, NotAdmitted> {
        let now = Instant::now();
        let mut queue = self.pacer.queue();
        let due = queue.due(self.key.0, self.pacer.pace, now);
        // Even the first in the queue would not be admitted in time.
        if due > latest {
            return Err(NotAdmitted { retry_after: due - now });
        }
        let next = queue.next(self.pacer.pace, now);
        if next != Some(self.key) {
            // It may not know yet that it is the next.
            if let Some(next) = next.and_then(|key| queue.waiting.get(&key)) {
                next.wake.notify_one();
            }
            if now >= latest {
                let retry_after = self.pacer.pace.map_or(Duration::ZERO, |pace| pace.window);
                return Err(NotAdmitted { retry_after });
            }
            return Ok(Progress::Behind);
        }
        if due > now {
            return Ok(Progress::First { due });
        }
        if self.pacer.pace.is_some() {
            queue.recent.push_back((now, self.key.0));
            let in_window = queue.recent.len();
            if let Some(learned) = &mut queue.learned {
                learned.admitted(in_window, now);
            }
            queue.serve(self.key);
        }
        Ok(Progress::Admitted)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut queue = self.pacer.queue();
        queue.waiting.remove(&self.key);
        let next = queue.next(self.pacer.pace, Instant::now());
        if let Some(next) = next.and_then(|key| queue.waiting.get(&key)) {
            next.wake.notify_one();
        }
    }
}

impl Queue {
    /// The call that is admitted next: revocations, then what creates passes, then what is read for that, with another read
    /// after every third of all those.
    fn next(&mut self, pace: Option<Pace>, now: Instant) -> Option<(Priority, u64)> {
        let first =
            |queue: &Self, priority| queue.waiting.keys().find(|(of, _)| *of == priority).copied();
        let revocation = first(self, Priority::Revoke);
        let (issue, read) = (self.next_issue(), first(self, Priority::Read));
        let read_is_due = self.since_a_read >= ISSUES_FOR_A_READ
            && self.due(Priority::Read, pace, now) <= self.due(Priority::Issue, pace, now);
        let create = first(self, Priority::Create);
        revocation.or(create).or(read.filter(|_| read_is_due)).or(issue).or(read)
    }

    /// Of the reads for passes, that of the namespace, and then of the requester, whose last was longest ago.
    fn next_issue(&self) -> Option<(Priority, u64)> {
        let last = |so: &dyn Fn(&Share) -> bool| self.served.iter().rposition(so);
        let rank = |share: &Share| {
            let namespace = last(&|served| served.namespace == share.namespace);
            (namespace, last(&|served| served == share))
        };
        let issues = self.waiting.iter().filter(|((priority, _), _)| *priority == Priority::Issue);
        issues.min_by_key(|(key, waiting)| (rank(&waiting.share), key.1)).map(|(key, _)| *key)
    }

    /// Takes note of an admitted call.
    fn serve(&mut self, key: (Priority, u64)) {
        match key.0 {
            Priority::Revoke => {}
            Priority::Create => self.since_a_read += 1,
            Priority::Read => self.since_a_read = 0,
            Priority::Issue => {
                self.since_a_read += 1;
                let share = self.waiting.get(&key).map(|waiting| waiting.share.clone());
                self.served.extend(share);
                if self.served.len() > SERVED {
                    self.served.pop_front();
                }
            }
        }
    }

    /// When a call of this priority can be admitted if no other call waits.
    fn due(&mut self, priority: Priority, pace: Option<Pace>, now: Instant) -> Instant {
        let mut due = self.paused_until.unwrap_or(now).max(now);
        let Some(pace) = pace else { return due };
        while self.recent.front().is_some_and(|(at, _)| *at + pace.window <= now) {
            self.recent.pop_front();
        }
        let revocation_waits =
            self.waiting.keys().next().is_some_and(|(first, _)| *first == Priority::Revoke);
        let calls = self.learned.as_mut().map_or(pace.least(), |learned| {
            learned.settle(now);
            learned.limit(priority, revocation_waits, now)
        });
        let mut freed = |at: Option<Instant>| {
            due = due.max(at.map_or(now, |at| at + pace.window));
        };
        freed(nth_from_end(self.recent.iter().map(|(at, _)| *at), calls));
        if priority == Priority::Read {
            let reads = self.recent.iter().filter(|(_, by)| *by == Priority::Read);
            freed(nth_from_end(reads.map(|(at, _)| *at), (calls / 2).max(1)));
        }
        due
    }
}

fn nth_from_end(times: impl DoubleEndedIterator<Item = Instant>, n: usize) -> Option<Instant> {
    times.rev().nth(n - 1)
}

#[cfg(test)]
mod tests;
