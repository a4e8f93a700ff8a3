//! What happens around the processes: the POSTs that are under way, people, deaths and lost leases, and the clock.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tap_operator::api::{Decision, DecisionKind};

use super::clock::{LATE, SETTLE, Tick, time};
use super::events::{Event, Next};
use super::objects::{Object, ObjectId};
use super::replica::{Cause, Core, Memory, Own, Process, Progress, Sent, Work, Written};
use super::state::{Secret, State, Who};
use super::steps::{Step, set_back};
use super::tenant::{Call, Maker, Pass, PassNo, ProcessNo, RequestNo};

/// What is around the processes, in one state.
pub struct Environment<'a> {
    pub core: &'a mut Core,
    pub s: &'a State,
    pub out: &'a mut Vec<Next>,
}

impl Environment<'_> {
    pub fn successors(&mut self, leader_is_busy: bool) {
        for (at, call) in self.s.tenant.calls.iter().enumerate() {
            match (call.made, call.sender) {
                (None, sender) => {
                    self.takes_effect(at, call);
                    match sender {
                        None => self.takes_none(at, call.request),
                        Some(sender) => self.no_effect_yet(at, call.request, self.who(sender)),
                    }
                }
                (Some(made), sender) => {
                    let sender = sender.expect("the call is over where nobody waits");
                    self.is_answered(at, call.request, self.who(sender), made);
                }
            }
        }
        for request in self.s.numbers() {
            if let Some((secret, _)) = self.s.request(request).coming {
                self.secret_comes(request, secret);
            }
        }
        if let Some(zombie) = &self.s.zombie {
            let mut next = self.goes(format_args!("process {} ends", zombie.number));
            next.state.zombie = None;
            abandon(&mut next.state, zombie.number);
            self.out.push(next);
        }
        for request in self.s.numbers() {
            if let Some(id) = self.s.request(request).object {
                let object = self.core.mind.objects.object(id);
                self.revocation(request, id, &object);
                self.deletion(request, id, &object);
            }
        }
        self.use_of_the_pass();
        self.twin();
        self.crashes();
        self.time(leader_is_busy);
    }

    fn goes(&self, what: impl fmt::Display) -> Next {
        Next::new(Event::Goes(self.core.said(what)), self.s.clone())
    }

    fn people(&self, what: impl fmt::Display) -> Next {
        Next::new(Event::People(self.core.said(what)), self.s.clone())
    }

    fn wrong(&self, what: impl fmt::Display) -> Next {
        Next::new(Event::Wrong(self.core.said(what)), self.s.clone())
    }

    fn who(&self, process: ProcessNo) -> Who {
        if self.s.leader.number == process { Who::Leader } else { Who::Zombie }
    }

    fn takes_effect(&mut self, at: usize, call: &Call) {
        let request = call.request;
        let mut next = self.goes(format_args!("the POST of request {request} takes effect"));
        let (made, replaced) = next.state.tenant.make(Maker::Operator(request), self.s.now);
        if let Some(replaced) = replaced {
            next.check_replacement(self.core, request, call.intent, replaced, self.s);
        }
        if call.sender.is_none() {
            next.state.tenant.calls.remove(at);
        } else {
            next.state.tenant.calls[at].made = Some(made);
        }
        self.out.push(next);
    }

    /// Nobody waits for it any more, and it never takes effect.
    fn takes_none(&mut self, at: usize, request: RequestNo) {
        let mut next = self.goes(format_args!("the POST of request {request} never takes effect"));
        next.state.tenant.calls.remove(at);
        self.out.push(next);
    }

    fn no_effect_yet(&mut self, at: usize, request: RequestNo, who: Who) {
        if self.s.left.late > 0 {
            let mut next = self.wrong(format_args!(
                "the POST of request {request} is given up, and may take effect later"
            ));
            next.state.left.late -= 1;
            next.state.tenant.calls[at].sender = None;
            next.state.pass_mut(who, request).state = Progress::Going;
            self.out.push(next);
        }
        if self.s.left.lost > 0 {
            let mut next = self.wrong(format_args!("Graph refuses the POST of request {request}"));
            next.state.left.lost -= 1;
            next.state.tenant.calls.remove(at);
            let work = next.state.work_mut(who, request);
            set_back(work, self.s.now, Cause::Refused);
            answer(work, Sent::Void);
            self.out.push(next);
        }
    }

    fn is_answered(&mut self, at: usize, request: RequestNo, who: Who, made: PassNo) {
        let mut next = self.goes(format_args!("request {request} is told of pass {made}"));
        next.state.tenant.calls.remove(at);
        let created = self.s.tenant.pass(made).created;
        let held = Sent::Held { pass: made, created, secret: Written::NotYet };
        answer(next.state.work_mut(who, request), held);
        let process = next.state.process_mut(who);
        // Graph keeps one for the user.
        process.own.iter_mut().for_each(|(_, own)| *own = Own::Gone);
        process.remember(made, Own::Made(request));
        self.out.push(next);
        if self.s.left.lost > 0 {
            let mut next =
                self.wrong(format_args!("the answer to the POST of request {request} is lost"));
            next.state.left.lost -= 1;
            next.state.tenant.calls.remove(at);
            next.state.pass_mut(who, request).state = Progress::Going;
            self.out.push(next);
        }
    }

    /// The create of a Secret for which nobody waits any more takes effect, or never does.
    fn secret_comes(&mut self, request: RequestNo, secret: Secret) {
        let mut next = self.goes(format_args!("the Secret of request {request} never comes"));
        next.state.request_mut(request).coming = None;
        self.out.push(next);
        if self.s.request(request).secret.is_none() {
            let mut next = self.goes(format_args!("the Secret of request {request} comes late"));
            let entry = next.state.request_mut(request);
            (entry.secret, entry.coming) = (Some(secret), None);
            next.state.tenant.pass_mut(secret.pass).told = true;
            self.out.push(next);
        }
    }

    fn revocation(&mut self, request: RequestNo, id: ObjectId, object: &Object) {
        if self.s.left.revocations == 0 || object.revoked || object.phase.is_final() {
            return;
        }
        let revoked = self.core.mind.objects.changed(id, |request| {
            request.status.get_or_insert_default().decisions.push(Decision {
                by: "somebody".into(),
                decision: DecisionKind::Revoke,
                comment: None,
            });
        });
        let mut next = self.people(format_args!("request {request} is revoked"));
        next.state.left.revocations -= 1;
        self.changes(&mut next, request, id, revoked);
        self.out.push(next);
    }

    fn deletion(&mut self, request: RequestNo, id: ObjectId, object: &Object) {
        if self.s.left.deletions == 0 || object.being_deleted {
            return;
        }
        let marked = self.core.mind.objects.changed(id, |request| {
            request.metadata.deletion_timestamp = Some(Time(time(0)));
        });
        let mut next = self.people(format_args!("request {request} is deleted"));
        next.state.left.deletions -= 1;
        next.state.request_mut(request).deleted = true;
        self.changes(&mut next, request, id, marked);
        self.out.push(next);
    }

    fn changes(&self, next: &mut Next, request: RequestNo, old: ObjectId, new: ObjectId) {
        let objects = &self.core.mind.objects;
        next.state.replace(objects, request, old, new);
        next.state.show_to_leader(objects, request);
    }

    /// Whoever has the code of a pass of ours signs in with it.
    fn use_of_the_pass(&mut self) {
        let Some(current) = self.s.tenant.current() else { return };
        let pass = self.s.tenant.pass(current);
        let ours = matches!(pass.maker, Maker::Operator(_));
        if self.s.left.uses > 0 && ours && pass.told && pass.is_usable(self.s.now) {
            let mut next = self.people(format_args!("somebody signs in with pass {current}"));
            next.state.left.uses -= 1;
            next.state.tenant.pass_mut(current).used = true;
            self.out.push(next);
        }
    }

    fn twin(&mut self) {
        if self.s.left.twins > 0 {
            let mut next = self.people("somebody makes a pass in the portal");
            next.state.left.twins -= 1;
            next.state.tenant.make(Maker::Portal, self.s.now);
            self.out.push(next);
        }
    }

    fn crashes(&mut self) {
        // Who has nothing to lose is like a new one.
        let leader = &self.s.leader;
        let is_trivial = |work: &Work| work.pass.is_none() && work.memory == Memory::default();
        if self.s.left.deaths > 0 && !leader.works.iter().all(is_trivial) {
            let mut next = self.wrong(format_args!("process {} dies", leader.number));
            next.state.left.deaths -= 1;
            self.another_leads(&mut next.state);
            abandon(&mut next.state, leader.number);
            self.out.push(next);
        }
        // There are two at most: the one that lost it before must have ended.
        if self.s.left.leases > 0 && self.s.zombie.is_none() && !leader.is_idle() {
            self.the_lease_goes();
        }
    }

    fn the_lease_goes(&mut self) {
        let leader = &self.s.leader;
        let mut next = self.wrong(format_args!("process {} loses the lease", leader.number));
        next.state.left.leases -= 1;
        self.another_leads(&mut next.state);
        next.state.zombie = Some(leader.without_the_lease(self.s.now, None));
        self.out.push(next);
        // One of its calls may be on its way at that moment.
        for request in self.s.numbers() {
            let mut step = Step { core: self.core, s: self.s, who: Who::Leader, request };
            if !step.next_move().is_some_and(|(_, decided)| decided.may_be_late()) {
                continue;
            }
            let mut next = self.wrong(format_args!(
                "process {} loses the lease, and its call for request {request} is on its way",
                leader.number
            ));
            next.state.left.leases -= 1;
            self.another_leads(&mut next.state);
            next.state.zombie = Some(leader.without_the_lease(self.s.now, Some(request)));
            self.out.push(next);
        }
    }

    fn another_leads(&self, state: &mut State) {
        state.leader = Process::new(state.processes, state.requests.len());
        state.processes += 1;
        for request in self.s.numbers() {
            // It begins with what the API server has then.
            state.request_mut(request).before = None;
            state.show_to_leader(&self.core.mind.objects, request);
        }
    }

    /// Time goes on to the next moment at which anything may change. It stands still while the leader has something to do:
    /// what takes long is a fault of its own.
    fn time(&mut self, leader_is_busy: bool) {
        let s = self.s;
        let calls = &s.tenant.calls;
        let lost = s.zombie.as_ref().and_then(|zombie| zombie.lost_the_lease);
        // Nothing takes effect later than this, and no process without the lease lives longer.
        let effects = calls.iter().filter(|call| call.made.is_none()).map(|call| call.sent + LATE);
        let secrets = s.requests.iter().filter_map(|request| Some(request.coming?.1 + LATE));
        let calls_of_the_zombie = s.zombie.iter().flat_map(Process::calls_are_due);
        let end = lost.map(|lost| lost + SETTLE);
        let due = effects.chain(secrets).chain(calls_of_the_zombie).chain(end);
        if due.clone().any(|due| s.now >= due) {
            return;
        }
        let waits = calls.iter().any(|call| call.sender == Some(s.leader.number));
        if leader_is_busy || waits {
            if s.left.slow > 0 {
                let mut next =
                    self.wrong(format_args!("process {} stands still for a tick", s.leader.number));
                next.state.left.slow -= 1;
                next.state.now += 1;
                self.out.push(next);
            }
            return;
        }
        let expiries = s.tenant.passes.iter().filter(|pass| pass.is_there()).map(Pass::expires);
        let processes = std::iter::once(&s.leader).chain(&s.zombie);
        let moment = processes
            .flat_map(Process::wakes)
            .chain(due)
            .chain(expiries)
            .filter(|moment| *moment > s.now)
            .min();
        if let Some(moment) = moment {
            let mut next = self.goes(format_args!("it is {moment}"));
            next.state.now = moment;
            if !s.left.is_strained(&self.core.at_first) {
                next.check_in_time(&self.core.mind.objects, s);
            }
            self.out.push(next);
        }
    }
}

impl Process {
    /// The same process, which has lost the lease, perhaps while its call for a request was on its way.
    fn without_the_lease(&self, now: Tick, on_its_way: Option<RequestNo>) -> Self {
        let mut process = self.clone();
        process.lost_the_lease = Some(now);
        for (request, work) in (0..).zip(&mut process.works) {
            match &mut work.pass {
                // It begins nothing any more.
                None => *work = Work::default(),
                Some(pass) if on_its_way == Some(request) => pass.state = Progress::Decided(now),
                Some(_) => {}
            }
        }
        process
    }

    /// When the calls that were on their way as it lost the lease take effect at the latest. That it is stopped just then, and
    /// its call leaves when it goes on, is left out: the liveness probe ends it within 75 seconds.
    fn calls_are_due(&self) -> impl Iterator<Item = Tick> + Clone {
        self.works.iter().filter_map(|work| match work.pass.as_ref()?.state {
            Progress::Decided(at) => Some(at + LATE),
            Progress::Going | Progress::Outdated | Progress::Asking | Progress::Asleep(_) => None,
        })
    }

    /// When it has something to do by itself.
    fn wakes(&self) -> impl Iterator<Item = Tick> {
        self.works.iter().filter_map(|work| match &work.pass {
            None => work.wake,
            Some(pass) => match pass.state {
                Progress::Asleep(until) => Some(until),
                Progress::Going | Progress::Decided(_) | Progress::Outdated | Progress::Asking => {
                    None
                }
            },
        })
    }
}

/// Nobody waits for the answers of a process any more.
fn abandon(state: &mut State, process: ProcessNo) {
    for call in &mut state.tenant.calls {
        call.sender.take_if(|sender| *sender == process);
    }
    state.tenant.calls.retain(|call| call.sender.is_some() || call.made.is_none());
}

/// A process learns how its POST came out.
fn answer(work: &mut Work, progress: Sent) {
    if let Some(attempt) = &mut work.memory.attempt {
        attempt.progress = progress;
    }
    work.pass.as_mut().expect("it waits for the answer").state = Progress::Going;
}
