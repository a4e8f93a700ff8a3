//! The calls that were admitted lately, and when there is room for another.
//!
//! No window holds more calls than the tenant takes. If one namespace took all of them, another that asks for a single pass
//! would wait for the rest of the window. So what creates passes leaves room for other namespaces: always a little, and for each
//! namespace that had fewer calls in the window before than the one that asks, as many as it had then.

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

/// The calls of the last two windows. What is asked of them is as old as [`Recent::advance`] has told.
#[derive(Debug)]
pub(super) struct Recent {
    window: Duration,
    /// The oldest first.
    calls: VecDeque<Admitted>,
    /// How many of them were in the window before this one.
    before: usize,
    /// When those were made that can wait.
    reads: VecDeque<Instant>,
    /// How many calls to issue passes each namespace had, of those that had any.
    had: BTreeMap<Arc<str>, Had>,
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
#[derive(Debug, Default)]
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
        Self {
            window,
            calls: VecDeque::new(),
            before: 0,
            reads: VecDeque::new(),
            had: BTreeMap::new(),
            evenly: None,
        }
    }

    /// Takes note of a call.
    pub(super) fn add(
        &mut self,
        priority: Priority,
        namespace: Arc<str>,
        room: Room,
        now: Instant,
    ) {
        let call = Admitted { at: now, priority, namespace };
        if call.is_to_issue() {
            self.had.entry(Arc::clone(&call.namespace)).or_default().lately += 1;
        }
        if priority == Priority::Read {
            self.reads.push_back(now);
        }
        self.calls.push_back(call);
        let apart = self.window / u32::try_from(room.calls).unwrap_or(u32::MAX).max(1);
        self.evenly = Some(self.evenly.map_or(now, |evenly| evenly.max(now)) + apart);
    }

    /// Time passes: calls leave the window, and are forgotten a window later.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(call) = self.calls.get(self.before)
            && call.at + self.window <= now
        {
            self.before += 1;
            if let Some(had) = self.had.get_mut(&call.namespace).filter(|_| call.is_to_issue()) {
                had.lately -= 1;
                had.before += 1;
            }
        }
        while let Some(call) = self.calls.pop_front_if(|call| call.at + 2 * self.window <= now) {
            self.before -= 1;
            if let Some(had) = self.had.get_mut(&call.namespace).filter(|_| call.is_to_issue()) {
                had.before -= 1;
                if had.before + had.lately == 0 {
                    self.had.remove(&call.namespace);
                }
            }
        }
        while self.reads.pop_front_if(|at| *at + self.window <= now).is_some() {}
    }

    /// How many calls were admitted in the window.
    pub(super) fn in_window(&self) -> usize {
        self.calls.len() - self.before
    }

    /// When a call can be admitted. It may take longer, and is asked again then.
    pub(super) fn due(
        &self,
        priority: Priority,
        namespace: &str,
        Room { calls, taken, is_careful }: Room,
        now: Instant,
    ) -> Instant {
        let freed = |calls| self.freed(calls, now);
        if priority == Priority::Revoke {
            return freed(calls);
        }
        let most = self.had.iter().max_by_key(|(_, had)| had.before).map(|(name, _)| &**name);
        // A read leaves as much as the namespace that had most.
        let of = if priority == Priority::Read { most.unwrap_or_default() } else { namespace };
        let own = self.had.get(of);
        let (own_before, own_lately) = own.map_or((0, 0), |own| (own.before, own.lately));
        let others = || self.had.iter().filter(|(name, _)| &***name != of).map(|(_, had)| had);
        // Less than it would have if all that issue had as many, and one more came.
        let issuing = others().filter(|had| had.lately > 0).count();
        let had_little = own_lately < (calls / (issuing + 2)).max(calls / ONE_IN);
        let evenly = self.evenly.filter(|_| priority != Priority::Create).unwrap_or(now);
        if had_little && priority != Priority::Read {
            let due = freed(calls);
            return if is_careful { due.max(evenly) } else { due };
        }
        let smaller = others().filter(|had| had.before < own_before);
        let expected: usize = smaller.map(|had| had.before.saturating_sub(had.lately)).sum();
        let expected = expected.min(calls / 2);
        // What was never taken is nobody's: otherwise so much would not be tried either.
        let left = if calls > taken || calls < LEFT * ONE_IN { 0 } else { LEFT };
        let mut due = freed(calls - left - expected);
        // They may not come again, and then the room is free sooner.
        if let Some(oldest) = self.calls.front().filter(|_| expected > 0) {
            due = due.min(oldest.at + 2 * self.window);
        }
        // While several namespaces issue, or many calls are taken, a place gets free every moment rather than all of them once
        // in a window. Few calls are under way then when the tenant begins to refuse them.
        let are_many = others().next().is_some() || calls >= ONE_IN;
        let is_even = is_careful || are_many && 2 * self.in_window() >= calls;
        if is_even {
            due = due.max(evenly);
        }
        if priority == Priority::Read {
            let half = self.reads.iter().nth_back((calls / 2).max(1) - 1);
            due = due.max(half.map_or(now, |at| *at + self.window));
        }
        due
    }

    /// When fewer than so many calls are in the window.
    fn freed(&self, calls: usize, now: Instant) -> Instant {
        let last = self.calls.len().checked_sub(calls).and_then(|at| self.calls.get(at));
        last.map_or(now, |call| now.max(call.at + self.window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is counted along the way is what the calls that are kept say.
    #[tokio::test(start_paused = true)]
    async fn counts_are_those_of_the_calls() {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        const PRIORITIES: [Priority; 4] =
            [Priority::Revoke, Priority::Create, Priority::Issue, Priority::Read];
        let window = Duration::from_secs(10);
        let room = Room { calls: 5, taken: 5, is_careful: false };
        let mut random = fastrand::Rng::with_seed(7);
        let mut recent = Recent::new(window);
        for _ in 0..2_000 {
            tokio::time::advance(Duration::from_millis(random.u64(0..3_000))).await;
            let now = Instant::now();
            recent.advance(now);
            let calls = || recent.calls.iter().map(|call| (call, call.at + window > now));
            assert_eq!(recent.in_window(), calls().filter(|(_, lately)| *lately).count());
            let reads = calls().filter(|(call, lately)| *lately && call.priority == Priority::Read);
            assert_eq!(recent.reads.len(), reads.count());
            for name in NAMES {
                let of = |when| {
                    let issued = calls().filter(|(call, _)| call.is_to_issue());
                    issued
                        .filter(|(call, lately)| &*call.namespace == name && *lately == when)
                        .count()
                };
                let had = recent.had.get(name).map(|had| (had.before, had.lately));
                let counted = (of(false), of(true));
                assert_eq!(had, (counted != (0, 0)).then_some(counted));
            }
            let priority = PRIORITIES[random.usize(..PRIORITIES.len())];
            recent.add(priority, NAMES[random.usize(..NAMES.len())].into(), room, now);
        }
    }
}
