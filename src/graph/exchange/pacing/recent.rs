//! The calls that were admitted lately, and when there is room for another.
//!
//! No window holds more calls than the tenant takes. If one namespace took all of them, another that asks for a single pass
//! would wait for the rest of the window. So what creates passes leaves room for other namespaces: a little always, and as
//! much as those had in the window before that had less than the one that asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Priority;

/// So many calls of a window are left to namespaces that had little of it: a list and a POST. They are not used where there
/// are none, so a single namespace takes up to a twentieth longer for many passes.
const LEFT: usize = 2;
/// They are one in so many calls, at most; if fewer are taken, none is left.
const ONE_IN: usize = 20;
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

/// How many calls a namespace had in the window before this one, and in this one.
#[derive(Default)]
struct Had {
    before: usize,
    lately: usize,
}

/// How many calls there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// So many calls may be admitted in a window.
    pub(super) calls: usize,
    /// So many were taken in one before.
    pub(super) taken: usize,
    /// Whether calls follow each other evenly from the first, because one was refused lately.
    pub(super) is_careful: bool,
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

    /// Takes note of a call.
    pub(super) fn add(
        &mut self,
        priority: Priority,
        namespace: Arc<str>,
        room: Room,
        now: Instant,
    ) {
        self.calls.push_back(Admitted { at: now, priority, namespace });
        let apart = self.window / u32::try_from(room.calls).unwrap_or(u32::MAX).max(1);
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

    /// When a call can be admitted. It may take longer, and is asked again then.
    pub(super) fn due(
        &self,
        priority: Priority,
        namespace: &str,
        Room { calls, taken, is_careful }: Room,
        now: Instant,
    ) -> Instant {
        if priority == Priority::Revoke {
            return self.freed(calls, now, |_| true);
        }
        let mut others = self.had(now);
        let most = others.iter().max_by_key(|(_, had)| had.before).map(|(name, _)| *name);
        // A read leaves as much as the namespace that had most.
        let own = if priority == Priority::Read { most.unwrap_or_default() } else { namespace };
        let own = others.remove(own).unwrap_or_default();
        // Less than it would have if all that issue had as many, and one more came.
        let issuing = others.values().filter(|had| had.lately > 0).count();
        let had_little = own.lately < (calls / (issuing + 2)).max(calls / ONE_IN);
        let evenly = self.evenly.filter(|_| priority != Priority::Create).unwrap_or(now);
        if had_little && priority != Priority::Read {
            let due = self.freed(calls, now, |_| true);
            return if is_careful { due.max(evenly) } else { due };
        }
        let smaller = others.values().filter(|had| had.before < own.before);
        let expected: usize = smaller.map(|had| had.before.saturating_sub(had.lately)).sum();
        let expected = expected.min(calls / 2);
        // What was never taken is nobody's: otherwise so much would not be tried either.
        let left = if calls > taken || calls < LEFT * ONE_IN { 0 } else { LEFT };
        let mut due = self.freed(calls - left - expected, now, |_| true);
        // They may not come again, and then the room is free sooner.
        if let Some(oldest) = self.calls.front().filter(|_| expected > 0) {
            due = due.min(oldest.at + 2 * self.window);
        }
        // While several namespaces issue, or many calls are taken, a place gets free every moment rather than all of them once
        // in a window. Few calls are under way then when the tenant begins to refuse them.
        let are_many = !others.is_empty() || calls >= ONE_IN;
        let is_even = is_careful || are_many && 2 * self.in_window(now) >= calls;
        if is_even {
            due = due.max(evenly);
        }
        if priority == Priority::Read {
            let is_read = |call: &Admitted| call.priority == Priority::Read;
            due = due.max(self.freed((calls / 2).max(1), now, is_read));
        }
        due
    }

    /// How many calls to issue passes each namespace had.
    fn had(&self, now: Instant) -> BTreeMap<&str, Had> {
        let mut all: BTreeMap<&str, Had> = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.is_to_issue()) {
            let had = all.entry(&call.namespace).or_default();
            *(if call.at + self.window > now { &mut had.lately } else { &mut had.before }) += 1;
        }
        all
    }

    /// When fewer than so many of these calls are in the window.
    fn freed(&self, calls: usize, now: Instant, such: impl Fn(&Admitted) -> bool) -> Instant {
        let last = self.calls.iter().rev().filter(|call| such(call)).nth(calls - 1);
        last.map_or(now, |call| now.max(call.at + self.window))
    }
}
