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

/// How many calls a namespace had in the window before this one, and in this one.
#[derive(Default)]
struct Had {
    before: usize,
    lately: usize,
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
        let had_little = own.lately < (calls / (issuing + 2)).max(calls / LEFT);
        if had_little && priority != Priority::Read {
            return self.freed(calls, now, |_| true);
        }
        let smaller = others.values().filter(|had| had.before < own.before);
        let expected: usize = smaller.map(|had| had.before.saturating_sub(had.lately)).sum();
        let expected = expected.min(calls / 2);
        let mut due = self.freed(calls - calls / LEFT - expected, now, |_| true);
        // They may not come again, and then the room is free sooner.
        if let Some(oldest) = self.calls.front().filter(|_| expected > 0) {
            due = due.min(oldest.at + 2 * self.window);
        }
        // While several namespaces issue, a place gets free every moment rather than all of them once in a window.
        let is_even = !others.is_empty() && 2 * self.in_window(now) >= calls;
        if let Some(evenly) = self.evenly.filter(|_| is_even && priority != Priority::Create) {
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
