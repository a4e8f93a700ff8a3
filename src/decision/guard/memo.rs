//! Verdicts that are costly to reach, and that each step of a decision asks for again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The last verdicts about what is in `K`, which says all that they depend on: whether one is kept or reached anew makes no
/// difference but in time.
pub(super) struct Memo<K, V> {
    most: usize,
    kept: Mutex<VecDeque<(K, V)>>,
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    /// Keeps so many verdicts.
    pub(super) const fn of(most: usize) -> Self {
        Self { most, kept: Mutex::new(VecDeque::new()) }
    }

    /// The verdict about this, reached now if it is not among those that are kept.
    pub(super) fn verdict(&self, about: K, reach: impl FnOnce(&K) -> V) -> V {
        if let Some((_, verdict)) = self.kept().iter().find(|(known, _)| *known == about) {
            return verdict.clone();
        }
        // Nobody waits meanwhile. Who asks for the same reaches the same.
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
