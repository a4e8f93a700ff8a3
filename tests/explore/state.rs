//! One state of the whole: the tenant, the cluster, the processes, and what may still happen.
//!
//! Two states are one if they are equal in every field, so a field is here only if something that is still to come, or a
//! promise, depends on it.

use super::clock::Tick;
use super::objects::{ObjectId, Objects};
use super::process::Process;
use super::tenant::{PassNo, ProcessNo, RequestNo, Tenant};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: Tick,
    pub tenant: Tenant,
    pub requests: Vec<Request>,
    /// The process that has the lease.
    pub leader: Process,
    /// One that had it, and has not ended yet.
    pub zombie: Option<Process>,
    /// How many processes there have been.
    pub started: ProcessNo,
    /// The number of the next attempt or recovery.
    pub next_attempt: u8,
    /// The attempts that were recorded, and those whose POST was sent: a bit for each.
    pub recorded: u32,
    pub posted: u32,
    pub left: Left,
}

/// A request in the cluster, and its Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Absent once it is gone.
    pub object: Option<ObjectId>,
    /// What was there before: a first list that lags shows it; kept only as long as there may be such a list.
    pub before: Option<ObjectId>,
    pub secret: Option<Secret>,
    /// A create of its Secret that was given up, or whose process ended, and when it was sent: it may still take effect.
    pub coming: Option<(Secret, Tick)>,
    /// Whether somebody deleted it.
    pub deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Secret {
    /// The pass whose code it holds: for each, one at most is created.
    pub pass: PassNo,
}

/// What may still happen. All that may go wrong, and all that people may do, is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// The process with the lease dies.
    pub deaths: u8,
    /// It loses the lease to another process while it is at work, and goes on with what it has begun.
    pub leases: u8,
    /// An answer is lost, of a call that took effect or did not.
    pub lost: u8,
    /// A POST, or the create of a Secret, takes effect after it was given up.
    pub late: u8,
    /// A look at Graph shows what was before, or a watch lags.
    pub stale: u8,
    /// Somebody else's admission refuses a write of a request, or the API server is too busy for a Secret. Nothing was done.
    pub refused: u8,
    /// A process stands still for a tick in the middle of its work.
    pub slow: u8,
    /// Somebody makes a pass in the portal.
    pub twins: u8,
    /// Somebody revokes a request.
    pub revocations: u8,
    /// Somebody deletes a request.
    pub deletions: u8,
    /// The user signs in with a pass.
    pub uses: u8,
    /// Somebody enables the account of the user, which is disabled until then.
    pub enablings: u8,
}

impl Left {
    /// Whether something went wrong, of all that might at first. What people do is nothing that goes wrong.
    pub fn is_strained(&self, at_first: &Self) -> bool {
        let people = |left: &Self| Self {
            twins: at_first.twins,
            revocations: at_first.revocations,
            deletions: at_first.deletions,
            uses: at_first.uses,
            enablings: at_first.enablings,
            ..*left
        };
        people(self) != *at_first
    }
}

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Leader,
    Zombie,
}

/// How a call to the API server or to Graph comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Fine,
    /// It took effect, and the answer is lost.
    Lost,
    /// It took no effect, and nobody knows.
    Void,
}

impl State {
    /// Nothing has happened yet.
    pub fn new(requests: &[ObjectId], leader: Process, left: Left) -> Self {
        let requests: Vec<Request> = requests
            .iter()
            .map(|id| Request {
                object: Some(*id),
                before: None,
                secret: None,
                coming: None,
                deleted: false,
            })
            .collect();
        Self {
            now: 0,
            tenant: Tenant::default(),
            leader,
            requests,
            zombie: None,
            started: 1,
            next_attempt: 0,
            recorded: 0,
            posted: 0,
            left,
        }
    }

    pub fn process(&self, who: Who) -> &Process {
        match who {
            Who::Leader => &self.leader,
            Who::Zombie => self.zombie.as_ref().expect("it is there"),
        }
    }

    pub fn process_mut(&mut self, who: Who) -> &mut Process {
        match who {
            Who::Leader => &mut self.leader,
            Who::Zombie => self.zombie.as_mut().expect("it is there"),
        }
    }

    /// Whether that process is there.
    pub fn has(&self, who: Who) -> bool {
        matches!(who, Who::Leader) || self.zombie.is_some()
    }

    /// The processes that there are.
    pub fn processes(&self) -> impl Iterator<Item = Who> + use<> {
        let zombie = self.zombie.as_ref().map(|_| Who::Zombie);
        std::iter::once(Who::Leader).chain(zombie)
    }

    /// Whether a process sees of a request what is there.
    pub fn sees_what_is_there(&self, who: Who, request: RequestNo) -> bool {
        self.process(who).machine.sees(request) == self.request(request).object
    }

    /// Whether a process is to be shown a request at once.
    pub fn is_to_be_shown(&self, who: Who, request: RequestNo) -> bool {
        let process = self.process(who);
        let later = process.lags.contains(request) || process.shown_gone.contains(request);
        !later && !self.sees_what_is_there(who, request)
    }

    pub fn request(&self, request: RequestNo) -> &Request {
        &self.requests[usize::from(request)]
    }

    pub fn request_mut(&mut self, request: RequestNo) -> &mut Request {
        &mut self.requests[usize::from(request)]
    }

    /// The numbers of the requests.
    pub fn numbers(&self) -> std::ops::Range<RequestNo> {
        0..RequestNo::try_from(self.requests.len()).expect("few")
    }

    /// Puts another version of a request in the place of what was read; answers whether that was still there.
    pub fn replace(
        &mut self,
        objects: &Objects,
        request: RequestNo,
        old: ObjectId,
        new: ObjectId,
    ) -> bool {
        if self.request(request).object != Some(old) {
            return false;
        }
        let changed = objects.object(new);
        let keeps_old = self.left.stale > 0 && self.left.deaths + self.left.leases > 0;
        let entry = self.request_mut(request);
        entry.before = keeps_old.then_some(old);
        // The last finalizer is gone, and the request and its Secret with it.
        if changed.being_deleted && !changed.finalizer {
            entry.object = None;
            (entry.secret, entry.coming) = (None, None);
        } else {
            entry.object = Some(new);
        }
        if let Some(attempt) = &changed.attempt {
            self.recorded |= 1 << attempt.number;
        }
        if let (Some(pass), true) = (changed.pass, changed.issued) {
            self.tenant.pass_mut(pass).recorded = true;
        }
        true
    }

    /// A stale read was made, if it was one.
    pub fn spend_stale(&mut self, stale: bool) {
        if stale {
            self.left.stale -= 1;
            if self.left.stale == 0 {
                self.requests.iter_mut().for_each(|request| request.before = None);
            }
        }
    }
}
