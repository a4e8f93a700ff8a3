//! What happens around the processes: the POSTs that are under way, people, deaths and lost leases, and the clock.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tap_operator::api::{Decision, DecisionKind};

use super::clock::{LATE, SETTLE, Tick, time};
use super::events::{Event, Next};
use super::machine::Core;
use super::objects::{Object, ObjectId};
use super::process::{Process, Work};
use super::shell::{Input, Learned, Move};
use super::state::{Secret, State, Who};
use super::steps::Step;
use super::tenant::{Call, Maker, Pass, PassNo, ProcessNo, RequestNo, Seen};
use super::world::Failure;

/// An account is enabled before this: four ticks before the request ends without a pass.
const ENABLED_BEFORE: Tick = 5;

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
        self.watches();
        for request in self.s.numbers() {
            if let Some(id) = self.s.request(request).object {
                let object = self.core.objects.object(id);
                self.revocation(request, id, &object);
                self.deletion(request, id, &object);
            }
        }
        self.use_of_the_pass();
        self.twin();
        self.enabling();
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
            self.answer(&mut next, who, request, Err(Failure::NoAnswer));
            self.out.push(next);
        }
        if self.s.left.lost > 0 {
            let mut next = self.wrong(format_args!("Graph refuses the POST of request {request}"));
            next.state.left.lost -= 1;
            next.state.tenant.calls.remove(at);
            self.answer(&mut next, who, request, Err(Failure::Refused));
            self.out.push(next);
        }
    }

    fn is_answered(&mut self, at: usize, request: RequestNo, who: Who, made: PassNo) {
        let mut next = self.goes(format_args!("request {request} is told of pass {made}"));
        next.state.tenant.calls.remove(at);
        // As Graph answered when it made it.
        let seen = self.s.tenant.seen(made, self.s.tenant.pass(made).created);
        self.answer(&mut next, who, request, Ok(Seen { used: false, ..seen }));
        self.out.push(next);
        if self.s.left.lost > 0 {
            let mut next =
                self.wrong(format_args!("the answer to the POST of request {request} is lost"));
            next.state.left.lost -= 1;
            next.state.tenant.calls.remove(at);
            self.answer(&mut next, who, request, Err(Failure::NoAnswer));
            self.out.push(next);
        }
    }

    /// A process learns how its POST came out.
    fn answer(
        &mut self,
        next: &mut Next,
        who: Who,
        request: RequestNo,
        posted: Result<Seen, Failure>,
    ) {
        let process = next.state.process_mut(who);
        let learned = Input::Learn(request, Learned::Posted(posted));
        process.machine = self.core.run(&process.machine, self.s.now, learned).0;
        *process.work_mut(request) = Work::Going;
    }

    /// Watches that lag show at last what is there.
    fn watches(&mut self) {
        for who in self.s.processes() {
            for request in self.s.numbers() {
                let process = self.s.process(who);
                if process.lags.contains(request) {
                    let number = process.number;
                    let mut next = self.goes(format_args!(
                        "the watch of process {number} shows request {request}"
                    ));
                    self.core.show_one(&mut next.state, who, request);
                    self.out.push(next);
                }
            }
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
        let revoked = self.core.objects.changed(id, |request| {
            request.status.get_or_insert_default().decisions.push(Decision {
                by: "somebody".into(),
                decision: DecisionKind::Revoke,
                comment: None,
            });
        });
        let mut next = self.people(format_args!("request {request} is revoked"));
        next.state.left.revocations -= 1;
        next.state.replace(&self.core.objects, request, id, revoked);
        self.out.push(next);
    }

    fn deletion(&mut self, request: RequestNo, id: ObjectId, object: &Object) {
        if self.s.left.deletions == 0 || object.being_deleted {
            return;
        }
        let marked = self.core.objects.changed(id, |request| {
            request.metadata.deletion_timestamp = Some(Time(time(0)));
        });
        let mut next = self.people(format_args!("request {request} is deleted"));
        next.state.left.deletions -= 1;
        next.state.request_mut(request).deleted = true;
        next.state.replace(&self.core.objects, request, id, marked);
        self.out.push(next);
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

    /// In time for the request to be issued: a request that waits looks again within a minute.
    fn enabling(&mut self) {
        if self.s.left.enablings > 0 && self.s.now < ENABLED_BEFORE {
            let mut next = self.people("somebody enables the account");
            next.state.left.enablings -= 1;
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
        // There are two at most: the one that lost it before must have ended.
        let loses = self.s.left.leases > 0 && self.s.zombie.is_none() && !self.s.leader.is_idle();
        if self.s.left.deaths == 0 && !loses {
            return;
        }
        for (lags, new) in self.core.may_lead(self.s) {
            if self.s.left.deaths > 0 {
                self.the_leader_dies(lags, &new);
            }
            if loses {
                self.the_lease_goes(lags, &new);
            }
        }
    }

    fn the_leader_dies(&mut self, lags: Option<RequestNo>, new: &Process) {
        let leader = &self.s.leader;
        // Who has nothing to lose is like a new one.
        if leader.is_idle() && leader.machine == new.machine {
            return;
        }
        let mut next = self.wrong(format_args!("process {} dies", leader.number));
        next.state.left.deaths -= 1;
        another_leads(&mut next, lags, new);
        abandon(&mut next.state, leader.number);
        self.out.push(next);
    }

    fn the_lease_goes(&mut self, lags: Option<RequestNo>, new: &Process) {
        let leader = &self.s.leader;
        let mut next = self.wrong(format_args!("process {} loses the lease", leader.number));
        next.state.left.leases -= 1;
        another_leads(&mut next, lags, new);
        let now = self.s.now;
        let zombie = Process { lost_the_lease: Some(now), ..leader.clone() };
        next.state.zombie = Some(zombie.clone());
        self.out.push(next);
        // One of its calls may be on its way at that moment.
        for request in self.s.numbers() {
            if *leader.work(request) != Work::Going {
                continue;
            }
            let mut step = Step { core: self.core, s: self.s, who: Who::Leader, request };
            let (machine, wanted) = step.wanted(&leader.machine);
            if !wanted.may_be_late() {
                continue;
            }
            let mut next = self.wrong(format_args!(
                "process {} loses the lease, and its call for request {request} is on its way",
                leader.number
            ));
            next.state.left.leases -= 1;
            another_leads(&mut next, lags, new);
            if let Move::Record { attempt, .. } = wanted {
                next.state.next_attempt = attempt + 1;
            }
            let mut zombie = Process { machine, ..zombie.clone() };
            *zombie.work_mut(request) = Work::OnItsWay(wanted, now);
            next.state.zombie = Some(zombie);
            self.out.push(next);
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
                next.check_in_time(&self.core.objects, s);
            }
            self.out.push(next);
        }
    }
}

/// Another process leads. It begins with what the API server has then, or lags for one request.
fn another_leads(next: &mut Next, lags: Option<RequestNo>, new: &Process) {
    next.state.spend_stale(lags.is_some());
    next.lags = lags.map(|request| (new.number, request));
    next.state.leader = new.clone();
    next.state.started += 1;
    next.state.requests.iter_mut().for_each(|request| request.before = None);
}

/// Nobody waits for the answers of a process any more.
fn abandon(state: &mut State, process: ProcessNo) {
    for call in &mut state.tenant.calls {
        call.sender.take_if(|sender| *sender == process);
    }
    state.tenant.calls.retain(|call| call.sender.is_some() || call.made.is_none());
}
