//! The calls that were admitted lately, and when there is room for another.
//!
//! No window holds more calls than the tenant takes. If one namespace took all of them, another that asks for a single pass
//! would wait for the rest of the window. So what creates passes leaves room for other namespaces: a little always, and as
//! much as they had in the window before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Priority;

/// One in so many calls of a window is left to namespaces that had fewer than that in it. It is not used where there are
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
        let due = match priority {
            Priority::Revoke => self.freed(calls, |_| true),
            Priority::Create | Priority::Issue => {
                return self.due_to_issue(priority, namespace, calls, now);
            }
            Priority::Read => {
                let half = self.freed((calls / 2).max(1), |call| call.priority == Priority::Read);
                half.max(self.freed(calls - calls / LEFT, |_| true))
            }
        };
        due.map_or(now, |due| due.max(now))
    }

    fn due_to_issue(
        &self,
        priority: Priority,
        namespace: &str,
        calls: usize,
        now: Instant,
    ) -> Instant {
        let is_in_window = |call: &&Admitted| call.at + self.window > now;
        let of_others = |call: &&Admitted| call.is_to_issue() && *call.namespace != *namespace;
        let own = |call: &&Admitted| call.is_to_issue() && *call.namespace == *namespace;
        let left = calls / LEFT;
        if self.calls.iter().filter(is_in_window).filter(own).count() < left {
            return self.freed(calls, |_| true).map_or(now, |due| due.max(now));
        }
        let (others_now, others_before): (Vec<_>, Vec<_>) =
            self.calls.iter().filter(of_others).partition(is_in_window);
        let expected = others_before.len().saturating_sub(others_now.len()).min(calls / 2);
        let mut due =
            self.freed(calls - left.max(expected), |_| true).map_or(now, |due| due.max(now));
        // They may not come again, and then the room is free sooner.
        if let Some(oldest) = others_before.first().filter(|_| expected > left) {
            due = due.min(oldest.at + 2 * self.window);
        }
        // While others issue, too, a place gets free every moment rather than all of them once in a window.
        let shared = !(others_now.is_empty() && others_before.is_empty());
        if priority == Priority::Issue && shared && 2 * self.in_window(now) >= calls {
            due = due.max(self.evenly.unwrap_or(now));
        }
        due
    }

    /// When fewer than so many of these calls are in the window; `None` where that is so from the start.
    fn freed(&self, calls: usize, such: impl Fn(&Admitted) -> bool) -> Option<Instant> {
        let last = self.calls.iter().rev().filter(|call| such(call)).nth(calls - 1);
        last.map(|call| call.at + self.window)
    }
}
