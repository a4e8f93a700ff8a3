//! The pace that a tenant takes, learned from what it refuses.
//!
//! The documented limit may be far below what a tenant takes (reported), and nobody says what it is. So a little more is tried
//! from time to time, by reads alone: a call that is refused closes the way for revocations, too, until Graph takes calls
//! again. What was refused is not tried again for a while, and for longer each time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Pace, Priority};

/// How long what was refused is not tried again, at first. A tenant with the documented limit refuses one call in a hundred,
/// at most.
const NOT_AGAIN: Duration = Duration::from_mins(10);
/// The same, at most.
const NOT_AGAIN_AT_MOST: Duration = Duration::from_hours(1);

/// For so many windows calls follow each other evenly after one was refused.
const CAREFUL: u32 = 3;

/// How many calls a tenant takes in a window, as far as is known.
#[derive(Debug)]
pub(super) struct Learned {
    pace: Pace,
    /// So many it took.
    taken: usize,
    /// More were admitted from then on: so many in one window.
    trying: Option<(Instant, usize)>,
    /// So many it refused, and until when they are not tried again.
    refused: Option<(usize, Instant)>,
    /// When it refused a call last.
    refused_at: Option<Instant>,
    /// How long what it refused is not tried again.
    not_again: Duration,
    /// So many it is taken to take after refusals in a row.
    resume_with: usize,
}

impl Learned {
    pub(super) fn new(pace: Pace) -> Self {
        let least = pace.least();
        Self {
            pace,
            taken: least,
            trying: None,
            refused: None,
            refused_at: None,
            not_again: NOT_AGAIN,
            resume_with: least,
        }
    }

    /// How many calls it takes.
    pub(super) fn calls(&self) -> usize {
        self.taken
    }

    /// How many calls may be admitted in a window, the next one of this priority included. More than it is known to take only
    /// if that is a read, and no revocation waits.
    pub(super) fn limit(&self, priority: Priority, revocation_waits: bool, now: Instant) -> usize {
        match priority {
            Priority::Issue | Priority::Read if !revocation_waits => self.tried(now),
            Priority::Revoke | Priority::Create | Priority::Issue | Priority::Read => self.taken,
        }
    }

    /// A quarter more than it took, but not what it refused lately.
    fn tried(&self, now: Instant) -> usize {
        let more = self.taken + (self.taken / 4).max(1);
        let refused = self.refused.filter(|(_, until)| now < *until);
        let most = refused.map_or(usize::MAX, |(calls, _)| calls - 1).min(self.pace.most());
        more.min(most).max(self.taken)
    }

    /// Whether it refused a call lately, and may refuse more at half the pace, too.
    pub(super) fn is_careful(&self, now: Instant) -> bool {
        self.refused_at.is_some_and(|refused| now < refused + CAREFUL * self.pace.window)
    }

    /// A call was admitted; so many were, in the window that ends with it.
    pub(super) fn admitted(&mut self, calls: usize, now: Instant) {
        if calls > self.taken {
            let (_, most) = self.trying.get_or_insert((now, calls));
            *most = calls.max(*most);
        }
    }

    /// What was tried is taken, if nothing was refused for a whole window.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some((_, calls)) = self.trying.take_if(|(since, _)| now >= *since + self.pace.window)
        else {
            return;
        };
        self.taken = calls;
        self.refused.take_if(|(refused, _)| calls >= *refused);
    }

    /// Graph refused a call because there were too many, and if in doubt, none was taken since it refused another.
    pub(super) fn refuse(&mut self, in_doubt: bool, now: Instant) {
        self.refused_at = Some(now);
        let half = (self.taken / 2).max(self.pace.least());
        if !in_doubt {
            let refused = self.trying.take().map_or(self.taken, |(_, calls)| calls);
            let refused = refused.max(self.pace.least() + 1);
            self.not_again = self.not_again(refused);
            self.refused = Some((refused, now + self.not_again));
            self.resume_with = half;
        }
        self.taken = half;
    }

    /// How long as many calls are not tried again. It is longer each time that a tenant refuses about as many. One that refuses
    /// far fewer has changed its mind, and may again.
    fn not_again(&self, refused: usize) -> Duration {
        let as_before = self.refused.is_some_and(|(before, _)| 4 * refused >= 3 * before);
        if as_before { (2 * self.not_again).min(NOT_AGAIN_AT_MOST) } else { NOT_AGAIN }
    }

    /// Graph takes calls again. Refusals in a row say no more about the pace than the first of them.
    pub(super) fn resume(&mut self) {
        self.taken = self.taken.max(self.resume_with);
    }
}
