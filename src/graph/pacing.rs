//! Whose turn it is: calls wait here so that Graph need not refuse them, the urgent ones first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Priority;

/// How many calls may be made within how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// At most so many calls, at least 1.
    pub calls: u32,
    /// In any stretch of time of this length.
    pub window: Duration,
}

impl Default for Pace {
    /// 5 calls in 10 s, the documented limit of an app in a tenant, and half a second more for the way to Graph: two
    /// calls may take different times to arrive, which brings them closer together there than they were here.
    fn default() -> Self {
        Self { calls: 5, window: Duration::from_millis(10_500) }
    }
}

/// The longest that one `Retry-After` is believed. A slip of a proxy must not stop revocation for a day.
const LONGEST_CLOSURE: Duration = Duration::from_secs(600);

/// The turn will not come within the time that the call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoTurn {
    /// When it makes sense to ask again, as far as is known.
    pub(super) retry_after: Duration,
}

/// The waiting room of the calls of one app in one tenant.
#[derive(Debug)]
pub(super) struct Pacer {
    /// `None`: as many as there are, unless Graph asks to wait.
    pace: Option<Pace>,
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// The turns of the last window, oldest first.
    recent: VecDeque<(Instant, Priority)>,
    /// Graph has asked to wait until then.
    closed_until: Option<Instant>,
    /// Who waits, the next one first. Only the first looks at the clock; it wakes the one after it when it leaves.
    waiting: BTreeMap<(Priority, u64), Arc<Notify>>,
    arrivals: u64,
}

impl Pacer {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self { pace, room: Mutex::default() }
    }

    /// Waits for a turn, and takes it. May be dropped at any time.
    pub(super) async fn turn(&self, priority: Priority, patience: Duration) -> Result<(), NoTurn> {
        let latest = Instant::now() + patience;
        let place = Place::take(self, priority);
        loop {
            let (woken, due) = match place.ask(latest)? {
                Turn::Taken => return Ok(()),
                Turn::First { due } => (place.wake.notified(), due.min(latest)),
                Turn::Behind => (place.wake.notified(), latest),
            };
            tokio::select! {
                () = woken => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Nobody has a turn for that long: Graph has said so.
    pub(super) fn close(&self, for_how_long: Duration) {
        let until = Instant::now() + for_how_long.min(LONGEST_CLOSURE);
        let mut room = self.room();
        room.closed_until = room.closed_until.max(Some(until));
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Every change of the room is complete before anything can panic.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Turn {
    Taken,
    /// Nobody is before it; it can be taken at `due` at the earliest.
    First {
        due: Instant,
    },
    Behind,
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    pacer: &'a Pacer,
    key: (Priority, u64),
    wake: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(pacer: &'a Pacer, priority: Priority) -> Self {
        let mut room = pacer.room();
        room.arrivals += 1;
        let key = (priority, room.arrivals);
        let wake = Arc::new(Notify::new());
        room.waiting.insert(key, Arc::clone(&wake));
        Self { pacer, key, wake }
    }

    fn ask(&self, latest: Instant) -> Result<Turn, NoTurn> {
        let now = Instant::now();
        let mut room = self.pacer.room();
        let due = room.due(self.key.0, self.pacer.pace, now);
        // Even the first in the queue would not get it in time.
        if due > latest {
            return Err(NoTurn { retry_after: due - now });
        }
        if room.waiting.keys().next() != Some(&self.key) {
            if now >= latest {
                let retry_after = self.pacer.pace.map_or(Duration::ZERO, |pace| pace.window);
                return Err(NoTurn { retry_after });
            }
            return Ok(Turn::Behind);
        }
        if due > now {
            return Ok(Turn::First { due });
        }
        if self.pacer.pace.is_some() {
            room.recent.push_back((now, self.key.0));
        }
        Ok(Turn::Taken)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut room = self.pacer.room();
        room.waiting.remove(&self.key);
        if let Some(next) = room.waiting.values().next() {
            next.notify_one();
        }
    }
}

impl Room {
    /// When the next turn of this priority can be had, nobody else waiting.
    fn due(&mut self, priority: Priority, pace: Option<Pace>, now: Instant) -> Instant {
        let mut due = self.closed_until.unwrap_or(now).max(now);
        let Some(pace) = pace else { return due };
        while self.recent.front().is_some_and(|(at, _)| *at + pace.window <= now) {
            self.recent.pop_front();
        }
        let calls = (pace.calls as usize).max(1);
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
