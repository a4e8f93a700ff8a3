//! A cache of costly verdicts that each step of a decision needs again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The last verdicts, by everything on which they depend (`K`). So a cached verdict is the same as a new one, only faster.
pub(super) struct Memo<K, V> {
    most: usize,
    kept: Mutex<VecDeque<(K, V)>>,
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    /// A cache of this many verdicts.
    pub(super) const fn of(most: usize) -> Self {
        Self { most, kept: Mutex::new(VecDeque::new()) }
    }

    /// The cached verdict about this, or else the one that `reach` returns now.
    pub(super) fn verdict(&self, about: K, reach: impl FnOnce(&K) -> V) -> V {
        if let Some((_, verdict)) = self.kept().iter().find(|(known, _)| *known == about) {
            return verdict.clone();
        }
        // The lock is not held meanwhile. Another thread may reach the same verdict twice, which does no harm.
        let verdict = reach(&about);
        let mut kept = self.kept();
        kept.push_front((about, verdict.clone()));
        kept.truncate(self.most);
        verdict
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<(K, V)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_verdict_is_reached_once_while_it_is_kept() {
        let (memo, reached) = (Memo::of(8), Cell::new(0));
        let ask = |about: usize| {
            let verdict = memo.verdict(about, |about| {
                reached.set(reached.get() + 1);
                about * 2
            });
            assert_eq!(verdict, about * 2);
            reached.get()
        };
        assert_eq!([ask(1), ask(1), ask(2), ask(1)], [1, 1, 2, 2]);
        for about in 0..18 {
            ask(about);
        }
        let so_far = reached.get();
        assert_eq!(ask(17), so_far, "the last one is kept");
        assert_eq!(ask(1), so_far + 1, "the first ones are not");
        assert_eq!(memo.kept().len(), 8);
    }
}
