//! One state of the whole: the tenant, the cluster, the processes, and what may still happen.
//!
//! Two states are one if they are equal in every field, so a field is here only if something that is still to come, or a
//! promise, depends on it.

use super::clock::Tick;
use super::objects::{Object, ObjectId, Objects};
use super::replica::{Own, Pass, Process, Progress, Reads, Sent, Work, Written};
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
    pub processes: ProcessNo,
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
    /// What a cache that lags shows of it; only as long as a stale read may still happen.
    pub before: Option<ObjectId>,
    pub secret: Option<Secret>,
    /// A create of its Secret that was given up, or whose process ended, and when it was sent: it may still take effect.
    pub coming: Option<(Secret, Tick)>,
    /// Whether somebody deleted it.
    pub deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Secret {
    /// The number of the attempt that created it: each creates one at most.
    pub uid: u8,
    /// The pass whose code it holds.
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
    /// A read shows what was before.
    pub stale: u8,
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
}

impl Left {
    /// Whether something went wrong, of all that might at first. What people do is nothing that goes wrong.
    pub fn is_strained(&self, at_first: &Self) -> bool {
        let people = |left: &Self| Self {
            twins: at_first.twins,
            revocations: at_first.revocations,
            deletions: at_first.deletions,
            uses: at_first.uses,
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
    pub fn new(requests: &[ObjectId], left: Left) -> Self {
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
            leader: Process::new(0, requests.len()),
            requests,
            zombie: None,
            processes: 1,
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

    pub fn work_mut(&mut self, who: Who, request: RequestNo) -> &mut Work {
        &mut self.process_mut(who).works[usize::from(request)]
    }

    /// The pass over a request that is under way.
    pub fn pass_mut(&mut self, who: Who, request: RequestNo) -> &mut Pass {
        self.work_mut(who, request).pass.as_mut().expect("it is under way")
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

    /// The numbers of the other requests.
    pub fn others(&self, request: RequestNo) -> impl Iterator<Item = RequestNo> + use<> {
        self.numbers().filter(move |other| *other != request)
    }

    /// A request as a process's cache has it.
    pub fn cached(
        &self,
        objects: &Objects,
        request: RequestNo,
        stale: bool,
    ) -> Option<std::rc::Rc<Object>> {
        let request = self.request(request);
        let id = if stale { request.before.or(request.object) } else { request.object };
        id.map(|id| objects.object(id))
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
        let keeps_old = self.left.stale > 0;
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

    /// The leader's watch shows a change of a request that is not its own. A pass that is under way meets it as a conflict, or
    /// looks again when it ends.
    pub fn show_to_leader(&mut self, objects: &Objects, request: RequestNo) {
        let work_is_due = match self.request(request).object {
            Some(id) => !objects.object(id).is_over(),
            None => false,
        };
        let work = self.work_mut(Who::Leader, request);
        if work.pass.is_none() {
            work.dirty = work_is_due;
            if !work_is_due {
                *work = Work::default();
            }
        }
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

impl Process {
    pub fn new(number: ProcessNo, requests: usize) -> Self {
        let work = Work { dirty: true, ..Work::default() };
        Self {
            number,
            lost_the_lease: None,
            works: vec![work; requests],
            turn: None,
            own: Vec::new(),
        }
    }

    /// Notes what it did with a pass.
    pub fn remember(&mut self, pass: PassNo, own: Own) {
        self.own.retain(|(other, _)| *other != pass);
        self.own.push((pass, own));
        self.own.sort_unstable_by_key(|(pass, _)| *pass);
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.works.iter().all(|work| work.pass.is_none())
    }
}

impl Pass {
    /// Nothing more is decided before the request was read again.
    pub fn outdate(&mut self) {
        self.reads = Reads::default();
        self.state = Progress::Outdated;
    }
}

impl Work {
    /// Begins a pass with what was read.
    pub fn begin(&mut self, request: ObjectId) {
        self.pass = Some(Pass { request, reads: Reads::default(), state: Progress::Going });
        self.wake = None;
        self.dirty = false;
    }

    pub fn holds_an_answer(&self) -> bool {
        matches!(self.memory.attempt.as_ref().map(|a| &a.progress), Some(Sent::Held { .. }))
    }

    pub fn holds_an_answer_with(&self, written: Written) -> bool {
        matches!(self.memory.attempt.as_ref().map(|a| &a.progress), Some(Sent::Held { secret, .. }) if *secret == written)
    }

    /// Forgets an attempt that the request, as it was just read, does not carry, but not an answer.
    pub fn drop_unrecorded(&mut self, object: &Object) {
        let carried = object.attempt.as_ref().filter(|a| a.open && object.finalizer);
        let holds = self.holds_an_answer();
        self.memory.attempt.take_if(|attempt| {
            !holds && carried.is_none_or(|carried| carried.number != attempt.number)
        });
    }
}
