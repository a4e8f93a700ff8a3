//! Pacing: calls wait here so that Graph does not have to refuse them, and the urgent ones are admitted first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How urgent a call is when calls must wait. The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Takes a pass away.
    Revoke,
    /// Creates a pass, or reads what must be known right before that.
    Issue,
    /// Anything that can wait: drift, early checks, whether a pass was used. Gets at most half of the pace.
    Read,
}

/// How many calls may be made in how long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The most calls in one window. 0 counts as 1.
    pub calls: u32,
    /// The length of the window. The limit holds for any window of this length.
    pub window: Duration,
}

impl Default for Pace {
    /// 5 calls in 10 s, the documented limit of an app in a tenant, plus half a second. The half second is for the network:
    /// two calls may take different times to arrive, so they may be closer together at Graph than they were here.
    fn default() -> Self {
        Self { calls: 5, window: Duration::from_millis(10_500) }
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
    /// The calls that were admitted in the last window, the oldest first.
    recent: VecDeque<(Instant, Priority)>,
    /// Until when Graph has asked the client to wait.
    paused_until: Option<Instant>,
    /// The calls that wait, the next one first. Only the first of them watches the clock. When it leaves, it wakes the next.
    waiting: BTreeMap<(Priority, u64), Arc<Notify>>,
    arrivals: u64,
}

impl Pacer {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self { pace, queue: Mutex::default() }
    }

    /// Waits until the call is admitted, until `latest` at most. The future may be dropped at any time.
    pub(super) async fn admit(
        &self,
        priority: Priority,
        latest: Instant,
    ) -> Result<(), NotAdmitted> {
        let waiter = Waiter::join(self, priority);
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

    /// Admits no call for a time, because Graph has asked for that.
    pub(super) fn pause(&self, for_how_long: Duration) {
        let until = Instant::now() + for_how_long;
        let mut queue = self.queue();
        queue.paused_until = queue.paused_until.max(Some(until));
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
    fn join(pacer: &'a Pacer, priority: Priority) -> Self {
        let mut queue = pacer.queue();
        queue.arrivals += 1;
        let key = (priority, queue.arrivals);
        let wake = Arc::new(Notify::new());
        queue.waiting.insert(key, Arc::clone(&wake));
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
        if queue.waiting.keys().next() != Some(&self.key) {
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
        }
        Ok(Progress::Admitted)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut queue = self.pacer.queue();
        queue.waiting.remove(&self.key);
        if let Some(next) = queue.waiting.values().next() {
            next.notify_one();
        }
    }
}

impl Queue {
    /// When a call of this priority can be admitted if no other call waits.
    fn due(&mut self, priority: Priority, pace: Option<Pace>, now: Instant) -> Instant {
        let mut due = self.paused_until.unwrap_or(now).max(now);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocation_goes_first() {
        assert!(Priority::Revoke < Priority::Issue && Priority::Issue < Priority::Read);
    }

    fn within(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn patiently() -> Instant {
        within(300)
    }

    fn pacer(calls: u32) -> Arc<Pacer> {
        Arc::new(Pacer::new(Some(Pace { calls, window: Duration::from_secs(10) })))
    }

    /// Lets all tasks that are ready run, without letting time pass.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets these calls wait in this order, and returns in which order and second they were admitted.
    async fn order(
        pacer: &Arc<Pacer>,
        arrivals: &[(&'static str, Priority)],
    ) -> Vec<(&'static str, u64)> {
        let began = Instant::now();
        let (done, mut admitted) = tokio::sync::mpsc::unbounded_channel();
        for (name, priority) in arrivals.iter().copied() {
            let (pacer, done) = (Arc::clone(pacer), done.clone());
            tokio::spawn(async move {
                pacer.admit(priority, patiently()).await.unwrap();
                done.send((name, began.elapsed().as_secs())).unwrap();
            });
            settle().await;
        }
        drop(done);
        let mut order = Vec::new();
        while let Some(call) = admitted.recv().await {
            order.push(call);
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_calls_than_the_pace() {
        let (pacer, began) = (pacer(5), Instant::now());
        let mut admitted = Vec::new();
        for _ in 0..23 {
            pacer.admit(Priority::Revoke, patiently()).await.unwrap();
            admitted.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        for (index, call) in admitted.iter().enumerate() {
            let later = admitted.get(index + 5).copied();
            assert!(
                later.is_none_or(|later| later >= *call + Duration::from_secs(10)),
                "{admitted:?}"
            );
        }
        // And the pacer is no slower than that.
        assert!(admitted[22] < Duration::from_secs(44), "{admitted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_calls_go_first_and_equals_by_arrival() {
        let pacer = pacer(1);
        let admitted = order(
            &pacer,
            &[
                ("first", Priority::Read),
                ("read 1", Priority::Read),
                ("issue 1", Priority::Issue),
                ("read 2", Priority::Read),
                ("revoke 1", Priority::Revoke),
                ("issue 2", Priority::Issue),
                ("revoke 2", Priority::Revoke),
            ],
        )
        .await;
        let names = ["first", "revoke 1", "revoke 2", "issue 1", "issue 2", "read 1", "read 2"];
        let expected: Vec<_> = names.into_iter().zip((0..).step_by(10)).collect();
        assert_eq!(admitted, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_leave_half_of_the_pace_to_other_calls() {
        let pacer = pacer(5);
        let admitted = order(
            &pacer,
            &[
                ("read 1", Priority::Read),
                ("read 2", Priority::Read),
                ("read 3", Priority::Read),
                ("revoke 1", Priority::Revoke),
                ("issue 1", Priority::Issue),
                ("revoke 2", Priority::Revoke),
                ("revoke 3", Priority::Revoke),
            ],
        )
        .await;
        let expected = [
            ("read 1", 0),
            ("read 2", 0),
            ("revoke 1", 0),
            ("issue 1", 0),
            ("revoke 2", 0),
            ("revoke 3", 10),
            ("read 3", 10),
        ];
        assert_eq!(admitted, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_all_calls_and_keeps_their_order() {
        let (pacer, began) = (pacer(5), Instant::now());
        pacer.pause(Duration::from_secs(30));
        pacer.pause(Duration::from_secs(3));
        let waiting =
            order(&pacer, &[("read", Priority::Read), ("revoke", Priority::Revoke)]).await;
        assert_eq!(waiting, [("revoke", 30), ("read", 30)]);
        assert_eq!(began.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_calls_that_already_wait() {
        let pacer = pacer(1);
        pacer.admit(Priority::Issue, patiently()).await.unwrap();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.admit(Priority::Revoke, patiently()).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        pacer.pause(Duration::from_secs(20));
        waiting.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_cannot_be_admitted_in_time_is_refused_at_once() {
        let (pacer, began) = (pacer(5), Instant::now());
        pacer.pause(Duration::from_mins(2));
        let refused = pacer.admit(Priority::Revoke, within(30)).await;
        assert_eq!(refused, Err(NotAdmitted { retry_after: Duration::from_mins(2) }));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_behind_others_gives_up_in_time() {
        let pacer = pacer(1);
        pacer.admit(Priority::Revoke, patiently()).await.unwrap();
        let others: Vec<_> = (0..4)
            .map(|_| {
                let pacer = Arc::clone(&pacer);
                tokio::spawn(async move { pacer.admit(Priority::Revoke, patiently()).await })
            })
            .collect();
        settle().await;
        let began = Instant::now();
        let late = pacer.admit(Priority::Read, within(30)).await;
        assert_eq!(late, Err(NotAdmitted { retry_after: Duration::from_secs(10) }));
        assert_eq!(began.elapsed().as_secs(), 30);
        for other in others {
            other.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_lets_the_next_one_go() {
        let (pacer, began) = (pacer(1), Instant::now());
        pacer.admit(Priority::Revoke, patiently()).await.unwrap();
        let first = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.admit(Priority::Revoke, patiently()).await }
        });
        settle().await;
        let second = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.admit(Priority::Read, patiently()).await }
        });
        settle().await;
        first.abort();
        second.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 10);
        assert!(pacer.queue().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pace_only_a_pause_holds_calls() {
        let (pacer, began) = (Pacer::new(None), Instant::now());
        for _ in 0..1000 {
            pacer.admit(Priority::Read, within(0)).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        pacer.pause(Duration::from_secs(7));
        pacer.admit(Priority::Read, patiently()).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 7);
    }
}
