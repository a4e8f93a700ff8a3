//! The calls that were admitted lately, and when there is room for another.
//!
//! No window holds more calls than the tenant takes. If one namespace took all of them, another that asks for a single pass
//! would wait for the rest of the window. So what creates passes leaves room for other namespaces: a little always, and as
//! much as those had in the window before that had less than the one that asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Priority;

/// One in so many calls of a window is left to namespaces that had little of it. It is not used where there are
/// none, so a single namespace takes a twentieth longer for many passes.
const LEFT: usize = 20;

/// The calls of the last two windows.
#[derive(Debug)]
pub(super) struct Recent {
    window: Duration,
    /// The oldest first.
    calls: VecDeque<Admitted>,
    /// When the next call would be made, if all followed each other evenly.
    evenly: Option<Instant>,
}

#[derive(Debug)]
struct Admitted {
    at: Instant,
    priority: Priority,
    namespace: Arc<str>,
}

impl Admitted {
    fn is_to_issue(&self) -> bool {
        matches!(self.priority, Priority::Issue | Priority::Create)
    }
}

impl Recent {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, calls: VecDeque::new(), evenly: None }
    }

    /// Takes note of a call, where so many are taken in a window.
    pub(super) fn add(
        &mut self,
        priority: Priority,
        namespace: Arc<str>,
        calls: usize,
        now: Instant,
    ) {
        self.calls.push_back(Admitted { at: now, priority, namespace });
        let apart = self.window / u32::try_from(calls).unwrap_or(u32::MAX).max(1);
        self.evenly = Some(self.evenly.map_or(now, |evenly| evenly.max(now)) + apart);
    }

    /// Forgets what no question is about any more.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.calls.front().is_some_and(|call| call.at + 2 * self.window <= now) {
            self.calls.pop_front();
        }
    }

    /// How many calls were admitted in the window that ends now.
    pub(super) fn in_window(&self, now: Instant) -> usize {
        self.calls.iter().rev().take_while(|call| call.at + self.window > now).count()
    }

    /// When a call can be admitted, where so many are taken in a window. It may take longer, and is asked again then.
    pub(super) fn due(
        &self,
        priority: Priority,
        namespace: &str,
        calls: usize,
        now: Instant,
    ) -> Instant {
        match priority {
            Priority::Revoke => self.freed(calls, now, |_| true),
            Priority::Create | Priority::Issue if self.had_little(namespace, calls, now) => {
                self.freed(calls, now, |_| true)
            }
            Priority::Create => self.due_beside_others(Some(namespace), calls, now).0,
            Priority::Issue => self.due_evenly(Some(namespace), calls, now),
            Priority::Read => {
                let is_read = |call: &Admitted| call.priority == Priority::Read;
                let half = self.freed((calls / 2).max(1), now, is_read);
                half.max(self.due_evenly(None, calls, now))
            }
        }
    }

    /// Whether a namespace had so few calls in the window that the others leave it room: less than it would have if all that
    /// issue had as many, and one more came.
    fn had_little(&self, namespace: &str, calls: usize, now: Instant) -> bool {
        let in_window = self.calls.iter().filter(|call| call.at + self.window > now);
        let issued = in_window.filter(|call| call.is_to_issue());
        let (own, others): (Vec<_>, Vec<_>) =
            issued.partition(|call| *call.namespace == *namespace);
        let others: BTreeSet<&str> = others.iter().map(|call| &*call.namespace).collect();
        own.len() < (calls / (others.len() + 2)).max(calls / LEFT)
    }

    /// The same as [`Self::due_beside_others`]. While several namespaces issue, a place gets free every moment rather than all
    /// of them once in a window.
    fn due_evenly(&self, namespace: Option<&str>, calls: usize, now: Instant) -> Instant {
        let (due, is_shared) = self.due_beside_others(namespace, calls, now);
        let is_even = is_shared && 2 * self.in_window(now) >= calls;
        self.evenly.filter(|_| is_even).map_or(due, |evenly| due.max(evenly))
    }

    /// When there is room for a call of a namespace beside what is left to others, and whether there were others. `None`: for a
    /// call that leaves as much as the namespace that had most.
    fn due_beside_others(
        &self,
        namespace: Option<&str>,
        calls: usize,
        now: Instant,
    ) -> (Instant, bool) {
        // How many each namespace had in the window before this one, and in this one.
        let mut had: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.is_to_issue()) {
            let (before, lately) = had.entry(&call.namespace).or_default();
            *(if call.at + self.window > now { lately } else { before }) += 1;
        }
        let most = had.iter().max_by_key(|(_, (before, _))| *before).map(|(name, _)| *name);
        let own = namespace.or(most).unwrap_or_default();
        let own_before = had.remove(own).map_or(0, |(before, _)| before);
        let smaller = had.values().filter(|(before, _)| *before < own_before);
        let expected: usize = smaller.map(|(before, lately)| before.saturating_sub(*lately)).sum();
        let expected = expected.min(calls / 2);
        let due = self.freed(calls - calls / LEFT - expected, now, |_| true);
        // They may not come again, and then the room is free sooner.
        let oldest = self.calls.front().filter(|_| expected > 0);
        let due = oldest.map_or(due, |oldest| due.min(oldest.at + 2 * self.window));
        (due, !had.is_empty())
    }

    /// When fewer than so many of these calls are in the window.
    fn freed(&self, calls: usize, now: Instant, such: impl Fn(&Admitted) -> bool) -> Instant {
        let last = self.calls.iter().rev().filter(|call| such(call)).nth(calls - 1);
        last.map_or(now, |call| now.max(call.at + self.window))
    }
}
