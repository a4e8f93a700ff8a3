//! One process of the operator: its state machine, and what its shell is doing.

use super::clock::{LATE, Tick};
use super::machine::Machine;
use super::shell::{Looks, Move};
use super::tenant::{ProcessNo, RequestNo};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub number: ProcessNo,
    /// Since when the lease is another process's; absent where it is this one's.
    pub lost_the_lease: Option<Tick>,
    pub machine: Machine,
    /// What it is doing about each request.
    pub works: Vec<Work>,
    /// The requests of which its watch does not show yet what is there.
    pub lags: Set,
    /// The requests of which its watch has shown that they are gone, before it learned of a write that made them go.
    pub shown_gone: Set,
    /// The requests that may carry an attempt of a process that led before, as long as this one has not seen them.
    pub unseen: Set,
}

/// What the shell of a process is doing about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// No reconcile goes on.
    Idle,
    /// It asks what is next.
    Going,
    /// It looks at all of these, in no order.
    Looking(Looks),
    /// This was decided while the lease was this process's, at that time, and is about to happen.
    OnItsWay(Move, Tick),
    /// It waits for the answer to its POST.
    Posting,
    /// It holds an answer, and waits until it can take back what the answer made.
    Resting(Tick),
}

/// A set of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(u8);

impl Set {
    pub fn contains(self, request: RequestNo) -> bool {
        self.0 & 1 << request != 0
    }

    pub fn insert(&mut self, request: RequestNo) {
        self.0 |= 1 << request;
    }

    pub fn remove(&mut self, request: RequestNo) {
        self.0 &= !(1 << request);
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Process {
    pub fn work(&self, request: RequestNo) -> &Work {
        &self.works[usize::from(request)]
    }

    pub fn work_mut(&mut self, request: RequestNo) -> &mut Work {
        &mut self.works[usize::from(request)]
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.works.iter().all(|work| *work == Work::Idle)
    }

    pub fn has_the_lease(&self) -> bool {
        self.lost_the_lease.is_none()
    }

    /// When it has something to do by itself. One that has lost the lease begins nothing.
    pub fn wakes(&self) -> impl Iterator<Item = Tick> {
        let begins = self.has_the_lease().then(|| self.machine.wakes());
        let rests = self.works.iter().filter_map(|work| match work {
            Work::Resting(until) => Some(*until),
            _ => None,
        });
        begins.into_iter().flatten().chain(rests)
    }

    /// When the calls that were on their way as it lost the lease take effect at the latest. That it is stopped just then, and
    /// its call leaves when it goes on, is left out: the liveness probe ends it within 75 seconds.
    pub fn calls_are_due(&self) -> impl Iterator<Item = Tick> + Clone {
        self.works.iter().filter_map(|work| match work {
            Work::OnItsWay(_, at) => Some(at + LATE),
            _ => None,
        })
    }
}
