//! Which of the notices that requests show are news.
//!
//! Nothing is written down about what was told: that would be a write for each notice. A process tells each notice once. One
//! that takes over tells again what happened shortly before, with the same ids, because nobody knows whether its
//! predecessor still did.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Notice, Shown};
use crate::decision::clock::earlier;

/// How long ago may be what is told. A process that begins later than that after the last one tells less than happened.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// How many notices of the window are remembered. With more, the oldest are forgotten, and may be told again.
const MOST: usize = 2000;

/// The notices of the window.
#[derive(Debug, Default)]
pub struct Recent {
    /// Whether this process tells. Before, it keeps what it would have told.
    tells: bool,
    known: BTreeMap<(Timestamp, String), Option<Notice>>,
}

impl Recent {
    /// A request shows a notice. Returns the notice if it is to be told now. `now` is Graph's time in the tenant of the
    /// request.
    pub fn see(
        &mut self,
        shown: Shown,
        now: Timestamp,
        notice: impl FnOnce(Shown) -> Notice,
    ) -> Option<Notice> {
        let key = (shown.at, shown.id.clone());
        if shown.at < begin(now) || self.known.contains_key(&key) {
            return None;
        }
        self.forget_before(begin(now));
        if self.known.len() >= MOST {
            self.known.pop_first();
        }
        let notice = notice(shown);
        if self.tells {
            self.known.insert(key, None);
            return Some(notice);
        }
        self.known.insert(key, Some(notice));
        None
    }

    /// This process tells from now on. Returns what it has kept of the window, in the order in which it happened. Another
    /// process may have told it before.
    pub fn begin(&mut self, now: Timestamp) -> Vec<Notice> {
        self.tells = true;
        self.forget_before(begin(now));
        let kept = self.known.values_mut().filter_map(Option::take);
        kept.map(|notice| Notice { again: true, ..notice }).collect()
    }

    fn forget_before(&mut self, begin: Timestamp) {
        while self.known.first_key_value().is_some_and(|((at, _), _)| *at < begin) {
            self.known.pop_first();
        }
    }
}

/// When the window begins that ends now.
fn begin(now: Timestamp) -> Timestamp {
    earlier(now, WINDOW)
}
