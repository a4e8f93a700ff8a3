//! A value that readers may see late.

use jiff::{SignedDuration, Timestamp};

use crate::clock::shifted;

/// A value and, as long as somebody may still be shown them, its earlier states.
#[derive(Debug)]
pub(crate) struct History<T> {
    /// Oldest first, never empty.
    versions: Vec<(Timestamp, T)>,
}

impl<T: Clone> History<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { versions: vec![(Timestamp::MIN, value)] }
    }

    pub(crate) fn current(&self) -> &T {
        &self.versions[self.versions.len() - 1].1
    }

    /// What a reader sees who is `lag` behind.
    pub(crate) fn seen(&self, now: Timestamp, lag: SignedDuration) -> &T {
        let horizon = shifted(now, -lag);
        let newest = self.versions.iter().rev().find(|(since, _)| *since <= horizon);
        &newest.unwrap_or(&self.versions[0]).1
    }

    /// Changes the value; readers up to `lag` behind still see the old one for that long.
    pub(crate) fn edit<R>(
        &mut self,
        now: Timestamp,
        lag: SignedDuration,
        change: impl FnOnce(&mut T) -> R,
    ) -> R {
        let horizon = shifted(now, -lag);
        let keep_from = self.versions.iter().rposition(|(since, _)| *since <= horizon).unwrap_or(0);
        self.versions.drain(..keep_from);
        if lag > SignedDuration::ZERO {
            let next = self.current().clone();
            self.versions.push((now, next));
        }
        let last = self.versions.len() - 1;
        change(&mut self.versions[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_behind_see_the_old_value_until_their_lag_has_passed() {
        let lag = SignedDuration::from_secs(10);
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut history = History::new("first");
        history.edit(at(100), lag, |value| *value = "second");
        assert_eq!(*history.current(), "second");
        assert_eq!(*history.seen(at(109), lag), "first");
        assert_eq!(*history.seen(at(110), lag), "second");
        assert_eq!(*history.seen(at(100), SignedDuration::ZERO), "second");
        history.edit(at(105), lag, |value| *value = "third");
        assert_eq!(*history.seen(at(112), lag), "second");
        assert_eq!(*history.seen(at(115), lag), "third");
    }

    #[test]
    fn without_a_lag_nothing_old_is_kept() {
        let mut history = History::new(1);
        history.edit(Timestamp::UNIX_EPOCH, SignedDuration::ZERO, |value| *value = 2);
        assert_eq!(history.versions.len(), 1);
        assert_eq!(*history.current(), 2);
    }
}
