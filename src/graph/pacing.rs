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
pub(super) const LONGEST_CLOSURE: Duration = Duration::from_mins(10);

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

    /// Waits for a turn until `latest`, and takes it. May be dropped at any time.
    pub(super) async fn turn(&self, priority: Priority, latest: Instant) -> Result<(), NoTurn> {
        let place = Place::take(self, priority);
        loop {
            let (woken, due) = match place.ask(latest)? {
                Turn::Taken => return Ok(()),
                Turn::First { due } => (place.wake.notified(), due.min(latest)),
                Turn::Behind => (place.wake.notified(), latest),
            };
            tokio::select! {
                biased;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn within(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn patiently() -> Instant {
        within(300)
    }

    fn pacer(calls: u32) -> Arc<Pacer> {
        Arc::new(Pacer::new(Some(Pace { calls, window: Duration::from_secs(10) })))
    }

    /// Lets whoever is ready run, without time passing.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets these wait in this order, and tells in which order and second they got their turns.
    async fn order(
        pacer: &Arc<Pacer>,
        arrivals: &[(&'static str, Priority)],
    ) -> Vec<(&'static str, u64)> {
        let began = Instant::now();
        let (done, mut turns) = tokio::sync::mpsc::unbounded_channel();
        for (name, priority) in arrivals.iter().copied() {
            let (pacer, done) = (Arc::clone(pacer), done.clone());
            tokio::spawn(async move {
                pacer.turn(priority, patiently()).await.unwrap();
                done.send((name, began.elapsed().as_secs())).unwrap();
            });
            settle().await;
        }
        drop(done);
        let mut order = Vec::new();
        while let Some(turn) = turns.recv().await {
            order.push(turn);
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_calls_than_the_pace() {
        let (pacer, began) = (pacer(5), Instant::now());
        let mut turns = Vec::new();
        for _ in 0..23 {
            pacer.turn(Priority::Revoke, patiently()).await.unwrap();
            turns.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        for (index, turn) in turns.iter().enumerate() {
            let later = turns.get(index + 5).copied();
            assert!(
                later.is_none_or(|later| later >= *turn + Duration::from_secs(10)),
                "{turns:?}"
            );
        }
        // And no slower than that.
        assert!(turns[22] < Duration::from_secs(44), "{turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_urgent_go_first_and_equals_by_arrival() {
        let pacer = pacer(1);
        let turns = order(
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
        assert_eq!(turns, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_leave_half_of_the_pace_to_others() {
        let pacer = pacer(5);
        let turns = order(
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
        assert_eq!(turns, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_holds_all_and_keeps_their_order() {
        let (pacer, began) = (pacer(5), Instant::now());
        pacer.close(Duration::from_secs(30));
        pacer.close(Duration::from_secs(3));
        let waiting =
            order(&pacer, &[("read", Priority::Read), ("revoke", Priority::Revoke)]).await;
        assert_eq!(waiting, [("revoke", 30), ("read", 30)]);
        assert_eq!(began.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_that_closes_while_somebody_waits_holds_them_too() {
        let pacer = pacer(1);
        pacer.turn(Priority::Issue, patiently()).await.unwrap();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.turn(Priority::Revoke, patiently()).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        pacer.close(Duration::from_secs(20));
        waiting.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_have_a_turn_in_time_is_told_at_once_when_to_ask_again() {
        let (pacer, began) = (pacer(5), Instant::now());
        pacer.close(Duration::from_mins(2));
        let refused = pacer.turn(Priority::Revoke, within(30)).await;
        assert_eq!(refused, Err(NoTurn { retry_after: Duration::from_mins(2) }));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_behind_others_gives_up_in_time() {
        let pacer = pacer(1);
        pacer.turn(Priority::Revoke, patiently()).await.unwrap();
        let others: Vec<_> = (0..4)
            .map(|_| {
                let pacer = Arc::clone(&pacer);
                tokio::spawn(async move { pacer.turn(Priority::Revoke, patiently()).await })
            })
            .collect();
        settle().await;
        let began = Instant::now();
        let late = pacer.turn(Priority::Read, within(30)).await;
        assert_eq!(late, Err(NoTurn { retry_after: Duration::from_secs(10) }));
        assert_eq!(began.elapsed().as_secs(), 30);
        for other in others {
            other.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_gives_its_place_to_the_next() {
        let (pacer, began) = (pacer(1), Instant::now());
        pacer.turn(Priority::Revoke, patiently()).await.unwrap();
        let first = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.turn(Priority::Revoke, patiently()).await }
        });
        settle().await;
        let second = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { pacer.turn(Priority::Read, patiently()).await }
        });
        settle().await;
        first.abort();
        second.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 10);
        assert!(pacer.room().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pace_only_the_gate_holds_calls() {
        let (pacer, began) = (Pacer::new(None), Instant::now());
        for _ in 0..1000 {
            pacer.turn(Priority::Read, within(0)).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        pacer.close(Duration::from_secs(7));
        pacer.turn(Priority::Read, patiently()).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_wait_is_cut() {
        let pacer = pacer(5);
        pacer.close(Duration::from_hours(24));
        let refused = pacer.turn(Priority::Revoke, within(0)).await;
        assert_eq!(refused, Err(NoTurn { retry_after: LONGEST_CLOSURE }));
    }
}
