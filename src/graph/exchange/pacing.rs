//! Pacing: calls wait here so that Graph does not have to refuse them, and the urgent ones are admitted first.

mod learned;
mod queue;
mod recent;
mod refusals;
mod served;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::queue::{Admitted, Key, Queue};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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

impl Pacer {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self { pace, queue: Mutex::new(Queue::new(pace)) }
    }

    /// Waits until the call is admitted, until `latest` at most. The future may be dropped at any time.
    pub(super) async fn admit(
        &self,
        priority: Priority,
        share: &Share,
        latest: Instant,
    ) -> Result<Turn<'_>, NotAdmitted> {
        let waiter = Waiter::join(self, priority, share);
        loop {
            let (woken, due) = match waiter.ask(latest)? {
                Progress::Admitted(call) => return Ok(Turn { pacer: self, call }),
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

    /// What waits now.
    pub(super) fn state(&self) -> Pacing {
        let queue = self.queue();
        let waiting = Priority::ALL.map(|priority| (priority.label(), queue.count(priority)));
        let throttled = queue.is_paused(Instant::now());
        let calls = queue.calls().and_then(|calls| u32::try_from(calls).ok());
        let rate = |(pace, calls): (Pace, u32)| f64::from(calls) / pace.window.as_secs_f64();
        let calls_per_second = self.pace.zip(calls).map_or(f64::INFINITY, rate);
        Pacing { waiting, throttled, calls_per_second }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change of the queue is complete before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was admitted. Whoever made it says what Graph said to that, if it is known. Others may wait for it.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pacer: &'a Pacer,
    call: Admitted,
}

impl Turn<'_> {
    /// Graph took the call.
    pub(super) fn taken(self) {
        self.pacer.queue().take(self.call);
    }

    /// Graph refused it because there were too many, and may have said how long to wait.
    pub(super) fn refused(self, retry_after: Option<Duration>) {
        self.pacer.queue().refuse(self.call, retry_after, Instant::now());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pacer.queue().end(self.call, Instant::now());
    }
}

enum Progress {
    Admitted(Admitted),
    /// No call is before it. It can be admitted at `due` at the earliest.
    First {
        due: Instant,
    },
    Behind,
}

/// A call that waits. It leaves the queue when dropped.
struct Waiter<'a> {
    pacer: &'a Pacer,
    key: Key,
    wake: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    fn join(pacer: &'a Pacer, priority: Priority, share: &Share) -> Self {
        let wake = Arc::new(Notify::new());
        let key = pacer.queue().join(priority, share.clone(), Arc::clone(&wake), Instant::now());
        Self { pacer, key, wake }
    }

    fn ask(&self, latest: Instant) -> Result<Progress, NotAdmitted> {
        let now = Instant::now();
        let mut queue = self.pacer.queue();
        let due = queue.due(self.key, now);
        // Even the first in the queue would not be admitted in time.
        if due > latest {
            return Err(NotAdmitted { retry_after: due - now });
        }
        if queue.next(now) != Some(self.key) {
            // It may not know yet that it is the next.
            queue.wake_next(now);
            if now >= latest {
                let retry_after = self.pacer.pace.map_or(Duration::ZERO, |pace| pace.window);
                return Err(NotAdmitted { retry_after });
            }
            return Ok(Progress::Behind);
        }
        if due > now {
            return Ok(Progress::First { due });
        }
        Ok(Progress::Admitted(queue.admit(self.key, now)))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut queue = self.pacer.queue();
        queue.leave(self.key);
        queue.wake_next(Instant::now());
    }
}

#[cfg(test)]
mod tests;
