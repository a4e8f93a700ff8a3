//! What people are told of requests that are due, and for which there is no room yet.

use std::time::Duration;

use super::entry::Due;
use super::observed::Observed;
use super::{Moment, Requests};
use crate::api::Phase;
use crate::decision::ids::{RequestName, Uid};

/// Nobody is told of a request that has waited for less.
const AT_FIRST: Duration = Duration::from_secs(10);
/// Nobody is told again sooner; it takes as long as the request has waited already, if that is longer.
const AGAIN: Duration = Duration::from_secs(30);

/// A request that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its uid.
    pub uid: Uid,
    /// Where it is.
    pub name: RequestName,
    /// How many requests go first, as far as is known now.
    pub before: usize,
}

impl Due {
    /// When people are to be told how many requests are before it.
    pub(super) fn to_tell(&self) -> Duration {
        self.told.map_or(self.at + AT_FIRST, |told| told + told.saturating_sub(self.at).max(AGAIN))
    }
}

impl Requests {
    /// The next request of which people are to be told how many are before it, if there is one.
    pub fn claim_queued(&mut self, moment: Moment) -> Option<Queued> {
        self.make_ready(moment);
        loop {
            let uid = self.schedule.to_tell.first().filter(|(at, _)| *at <= moment.at)?.1.clone();
            self.schedule.to_tell.pop_first();
            let Some(entry) = self.entries.get_mut(&uid) else { continue };
            let (Some(observed), Some(due)) = (&entry.observed, &mut entry.due) else { continue };
            due.told = Some(moment.at);
            self.schedule.to_tell.insert((due.to_tell(), uid.clone()));
            // A process that has just begun to lead finds requests that were due for long, and begins them.
            let waits = !self.schedule.has_room_for(&due.party);
            if waits && says_nothing_better(observed) {
                let item = (due.at, due.created, uid.clone());
                let before = self.schedule.ready.before(&due.party, &item);
                return Some(Queued { uid, name: observed.name.clone(), before });
            }
        }
    }

    /// When people are to be told of a request that waits, in local time.
    pub fn next_queued(&self) -> Option<Duration> {
        self.schedule.to_tell.first().map(|(at, _)| *at)
    }
}

/// Whether a request says nothing that matters more than its place in the queue.
fn says_nothing_better(observed: &Observed) -> bool {
    observed.phase == Phase::Pending && !observed.is_to_end && observed.unreadable.is_none()
}
