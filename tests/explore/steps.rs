//! What a process does: each step is one decision of the core and the one effect of it, with every way in which that can
//! come out.

use std::fmt;

use tap_operator::api::Phase;

use super::clock::{SETTLE, Tick};
use super::events::{Event, Next};
use super::objects::{ObjectId, annotate};
use super::replica::{
    Attempt, Cause, Core, Failure, Known, Listed, Listing, Move, Own, Progress, Reads, Secret,
    Seen, Sent, Setback, Told, Turn, View, Written,
};
use super::state::{self, Answer, State, Who};
use super::tenant::{Call, End, PassNo, RequestNo};

/// The ways in which a call that changes something may come out. Where nothing more can get lost, only one.
fn answers(s: &State) -> &'static [Answer] {
    if s.left.lost > 0 { &[Answer::Fine, Answer::Lost, Answer::Void] } else { &[Answer::Fine] }
}

/// The ways in which a read may come out: whether one without an answer arrived makes no difference.
fn reads(s: &State) -> &'static [Answer] {
    if s.left.lost > 0 { &[Answer::Fine, Answer::Void] } else { &[Answer::Fine] }
}

/// One process at work on one request, in one state.
pub struct Step<'a> {
    pub core: &'a mut Core,
    pub s: &'a State,
    pub who: Who,
    pub request: RequestNo,
}

impl Step<'_> {
    /// What the process may do next about the request.
    pub fn successors(&mut self, out: &mut Vec<Next>) {
        let process = self.s.process(self.who);
        let work = &process.works[usize::from(self.request)];
        let Some(pass) = &work.pass else {
            let due = work.dirty || work.wake.is_some_and(|wake| wake <= self.s.now);
            if due && self.who == Who::Leader {
                self.begin(out);
            }
            return;
        };
        match pass.state {
            Progress::Asking => {}
            Progress::Asleep(until) if until > self.s.now => {}
            Progress::Asleep(_) => self.read_again("wakes and reads the request again", out),
            Progress::Outdated => self.read_again("reads the request again", out),
            Progress::Going | Progress::Decided(_) => self.decide(out),
        }
    }

    /// What the core decides here, and on what.
    pub fn next_move(&mut self) -> Option<(View, Move)> {
        let process = self.s.process(self.who);
        let work = &process.works[usize::from(self.request)];
        let pass = work.pass.as_ref()?;
        // What was decided before the lease was lost is decided as it was then.
        let (now, lease_is_fresh) = match pass.state {
            Progress::Going => (self.s.now, process.lost_the_lease.is_none()),
            Progress::Decided(at) => (at, true),
            Progress::Outdated | Progress::Asking | Progress::Asleep(_) => return None,
        };
        let view = View {
            process: process.number,
            now,
            lease_is_fresh,
            superseded_by: self.superseded_by(pass.request),
            next_attempt: self.s.next_attempt,
            request: pass.request,
            reads: pass.reads.clone(),
            memory: work.memory.clone(),
        };
        let next = self.core.next(&view);
        Some((view, next))
    }

    fn next(&self, what: impl fmt::Display, answer: Answer) -> Next {
        let process = self.s.process(self.who).number;
        let what = self.core.said(what);
        let event = Event::Step { process, request: self.request, what, answer };
        let mut next = Next::new(event, self.s.clone());
        if answer != Answer::Fine {
            next.state.left.lost -= 1;
        }
        next
    }

    fn begin(&mut self, out: &mut Vec<Next>) {
        for answer in reads(self.s) {
            let mut next = self.next("begins a pass and reads the request", *answer);
            let work = next.state.work_mut(self.who, self.request);
            if *answer == Answer::Fine {
                match self.s.request(self.request).object {
                    Some(id) => {
                        work.begin(id);
                        work.drop_unrecorded(&self.core.mind.objects.object(id));
                    }
                    None => *work = super::replica::Work::default(),
                }
            } else {
                work.dirty = false;
                work.wake = Some(self.s.now + 1);
            }
            out.push(next);
        }
    }

    /// Reads the request anew, in the middle of a pass: nothing that was read before counts any more.
    fn read_again(&mut self, what: &str, out: &mut Vec<Next>) {
        for answer in reads(self.s) {
            let mut next = self.next(what, *answer);
            if *answer == Answer::Fine {
                self.go_on_anew(&mut next);
            } else {
                self.fail(&mut next);
            }
            out.push(next);
        }
    }

    fn go_on_anew(&mut self, next: &mut Next) {
        let found = next.state.request(self.request).object;
        let work = next.state.work_mut(self.who, self.request);
        let pass = work.pass.as_mut().expect("it is under way");
        pass.reads = Reads::default();
        pass.state = Progress::Going;
        match found {
            Some(id) => {
                pass.request = id;
                work.drop_unrecorded(&self.core.mind.objects.object(id));
            }
            None if work.holds_an_answer() => {
                let seen = work.pass.as_mut().expect("it is under way");
                seen.request =
                    self.core.mind.objects.changed(seen.request, |r| annotate(r, None, false));
            }
            None => self.gone(next),
        }
    }

    /// The request is gone, and nothing is held for it.
    fn gone(&self, next: &mut Next) {
        *next.state.work_mut(self.who, self.request) = super::replica::Work::default();
        let process = next.state.process_mut(self.who);
        if process.turn == Some(self.request) {
            process.turn = None;
        }
        next.bury();
    }

    /// The pass over the request ends.
    fn end(&mut self, next: &mut Next, wake: Option<Tick>, failed: bool) {
        let current = next.state.request(self.request).object;
        let objects = &self.core.mind.objects;
        let work = next.state.work_mut(self.who, self.request);
        let pass = work.pass.take().expect("it is under way");
        let read = objects.object(pass.request);
        if failed || pass.reads.secret == Some(Secret::Unclear) {
            work.memory.looked_at = None;
        }
        work.wake = wake;
        let gives_back = work.memory.attempt.is_none() && !read.is_unresolved();
        match current {
            None => *work = super::replica::Work::default(),
            Some(current) => {
                let over = objects.object(current).is_over();
                work.dirty = current != pass.request && !over;
                if over && wake.is_none() && work.memory.attempt.is_none() {
                    *work = super::replica::Work::default();
                }
            }
        }
        let process = next.state.process_mut(self.who);
        if gives_back && process.turn == Some(self.request) {
            process.turn = None;
        }
        next.bury();
    }

    fn fail(&mut self, next: &mut Next) {
        self.end(next, Some(self.s.now + 1), true);
    }

    fn decide(&mut self, out: &mut Vec<Next>) {
        let Some((view, decided)) = self.next_move() else { return };
        let first = out.len();
        match decided {
            Move::LookForTurn => self.look_for_turn(out),
            Move::LookForPasses => self.look_for_passes(&view, out),
            Move::LookAtPass(pass) => self.look_at_pass(pass, out),
            Move::LookForPlace => self.look_for_place(out),
            Move::LookForSecret => self.look_for_secret(out),
            Move::Write(new) => self.write(&view, new, out),
            Move::Record { object, intent, attempt, issuing } => {
                let attempt =
                    issuing.then_some(Attempt { intent, number: attempt, progress: Sent::Armed });
                self.record(&view, object, attempt, out);
            }
            Move::Release(new) => self.release(&view, new, out),
            Move::Post => self.post(&view, out),
            Move::CreateSecret => self.create_secret(&view, out),
            Move::DeleteSecret(uid) => self.delete_secret(uid, out),
            Move::DeletePass(pass) => self.delete_pass(&view, pass, out),
            Move::Forget => {
                let mut next = self.next("forgets the answer", Answer::Fine);
                next.state.work_mut(self.who, self.request).memory.attempt = None;
                next.state.pass_mut(self.who, self.request).outdate();
                out.push(next);
            }
            Move::Rest(until) => self.rest(until, out),
        }
        // What was decided earlier has happened: from here on decisions are new.
        for next in &mut out[first..] {
            if matches!(self.who, Who::Zombie) && next.state.zombie.is_none() {
                continue;
            }
            let work = next.state.work_mut(self.who, self.request);
            if let Some(pass) = &mut work.pass
                && matches!(pass.state, Progress::Decided(_))
            {
                pass.state = Progress::Going;
            }
        }
    }

    fn rest(&mut self, until: Option<Tick>, out: &mut Vec<Next>) {
        let mut next = match until {
            None => self.next("rests", Answer::Fine),
            Some(until) => self.next(format_args!("rests until {until}"), Answer::Fine),
        };
        // Who holds an answer does not let go of the request: it may be gone before anybody looks at it again.
        let holds = next.state.work_mut(self.who, self.request).holds_an_answer();
        if holds {
            let until = until.unwrap_or(self.s.now + 1);
            next.state.pass_mut(self.who, self.request).state = Progress::Asleep(until);
        } else {
            self.end(&mut next, until, false);
        }
        out.push(next);
    }

    fn superseded_by(&self, request: ObjectId) -> Option<RequestNo> {
        let pass = self.core.mind.objects.object(request).pass?;
        self.s.others(self.request).find(|other| {
            let other = self.s.cached(&self.core.mind.objects, *other, false);
            other.is_some_and(|other| {
                other.attempt.as_ref().is_some_and(|a| a.recorded && a.replaces == Some(pass))
            })
        })
    }

    fn look_for_turn(&mut self, out: &mut Vec<Next>) {
        let mut seen = Vec::new();
        for stale in [false, true] {
            if stale && self.s.left.stale == 0 {
                continue;
            }
            let objects = &self.core.mind.objects;
            let open = self.s.others(self.request).find(|other| {
                self.s.cached(objects, *other, stale).is_some_and(|other| other.is_unresolved())
            });
            let holder = self.s.process(self.who).turn;
            let turn = match (open, holder) {
                (Some(other), _) => Turn::Of(other),
                (None, Some(other)) if other != self.request => Turn::Busy,
                (None, _) => Turn::Ours,
            };
            if seen.contains(&turn) {
                continue;
            }
            seen.push(turn);
            let lag = if stale { " in a cache that lags" } else { "" };
            let mut next =
                self.next(format_args!("asks whose turn it is{lag}: {turn:?}"), Answer::Fine);
            next.state.spend_stale(stale);
            if turn == Turn::Ours {
                next.state.process_mut(self.who).turn = Some(self.request);
            }
            next.state.pass_mut(self.who, self.request).reads.turn = Some(turn);
            out.push(next);
        }
    }

    fn look_for_passes(&mut self, view: &View, out: &mut Vec<Next>) {
        let s = self.s;
        let turn = s.process(self.who).turn;
        let recovers = self.core.mind.objects.object(view.request).finalizer;
        if recovers && turn.is_some_and(|other| other != self.request) {
            let mut next = self.next("waits for the other request of the user", Answer::Fine);
            self.end(&mut next, Some(s.now + 1), false);
            out.push(next);
            return;
        }
        let mut seen = Vec::new();
        let fresh = s.tenant.current();
        let lagging = s.tenant.current_with_lag(s.now);
        // What is up to date, a cache that lags, a server that lags: one of them at a time.
        let cases = [(fresh, false), (fresh, true), (lagging, false)];
        let possible = if s.left.stale > 0 { cases.len() } else { 1 };
        for (pass, stale_cache) in cases.into_iter().take(possible) {
            let not_yet = self.not_listed_yet(stale_cache).filter(|number| Some(*number) != pass);
            let listed = [pass, not_yet].map(|number| {
                let known = self.known(number?, stale_cache);
                Some(Listed { seen: self.seen(number?), known })
            });
            if seen.contains(&listed) {
                continue;
            }
            let stale = stale_cache || !seen.is_empty();
            seen.push(listed);
            let lag = if stale { ", and what is read lags" } else { "" };
            let what = format_args!("lists the passes{lag}: {}", listing(listed));
            let mut next = self.next(what, Answer::Fine);
            next.state.spend_stale(stale);
            let work = next.state.work_mut(self.who, self.request);
            let existing = listed[0]
                .filter(|l| !l.seen.used && !l.seen.expired && l.known != Some(Known::Gone));
            let before = work.memory.existing.take();
            work.memory.existing = existing.map(|l| {
                let before = before.filter(|(pass, _)| *pass == l.seen.pass).map(|(_, told)| told);
                (l.seen.pass, Told::again(before, s.now))
            });
            let reads = &mut work.pass.as_mut().expect("it is under way").reads;
            reads.passes = Some(Ok(listed));
            reads.passes_asked_at = Some(s.now);
            reads.listed_since = true;
            reads.passes_date = s.now;
            out.push(next);
        }
        if s.left.lost > 0 {
            let mut next = self.next("lists the passes", Answer::Void);
            let reads = &mut next.state.pass_mut(self.who, self.request).reads;
            reads.passes = Some(Err(Failure::NoAnswer));
            reads.passes_asked_at = Some(s.now);
            reads.listed_since = true;
            out.push(next);
        }
    }

    fn seen(&self, number: PassNo) -> Seen {
        let pass = self.s.tenant.pass(number);
        let expired = self.s.now >= pass.expires();
        Seen { pass: number, created: pass.created, used: pass.used, expired }
    }

    /// The pass that another request records, and that is so new that a list may not show it yet.
    fn not_listed_yet(&self, stale: bool) -> Option<PassNo> {
        self.s.others(self.request).find_map(|other| {
            let object = self.s.cached(&self.core.mind.objects, other, stale)?;
            let attempt = object.attempt.as_ref().filter(|attempt| attempt.recorded)?;
            let is_new = self.s.now <= attempt.listed_at + SETTLE;
            object.pass.filter(|_| object.phase == Phase::Active && is_new)
        })
    }

    /// What the process knows of a pass that was made for another request.
    fn known(&self, number: PassNo, stale: bool) -> Option<Known> {
        let own = self.s.process(self.who).own.iter().find(|(pass, _)| *pass == number);
        match own {
            Some((_, Own::Gone)) => return Some(Known::Gone),
            Some((_, Own::Made(other))) if *other != self.request => {
                return Some(Known::Recorded(*other));
            }
            _ => {}
        }
        self.s.others(self.request).find_map(|other| {
            let object = self.s.cached(&self.core.mind.objects, other, stale)?;
            let known = match object.phase {
                Phase::Used | Phase::Expired | Phase::Revoked => Known::Gone,
                _ => Known::Recorded(other),
            };
            (object.pass == Some(number)).then_some(known)
        })
    }

    fn look_at_pass(&mut self, number: PassNo, out: &mut Vec<Next>) {
        let s = self.s;
        let pass = s.tenant.pass(number);
        let is_there = pass.is_there();
        let lags = s.left.stale > 0
            && (pass.created == s.now || pass.end.is_some_and(|(_, ended)| ended == s.now));
        for stale in [false, true] {
            if stale && !lags {
                continue;
            }
            let seen =
                if is_there == stale { Err(Failure::NotFound) } else { Ok(self.seen(number)) };
            let lag = if stale { ", and the answer lags" } else { "" };
            let found = match &seen {
                Err(_) => "it is not there",
                Ok(seen) if seen.used => "it was used",
                Ok(_) => "it is there",
            };
            let mut next =
                self.next(format_args!("looks at pass {number}{lag}: {found}"), Answer::Fine);
            next.state.spend_stale(stale);
            let work = next.state.work_mut(self.who, self.request);
            work.memory.pass_missing = match seen {
                Ok(_) => None,
                Err(_) => Some(Told::again(work.memory.pass_missing, s.now)),
            };
            work.memory.looked_at = Some(s.now);
            work.pass.as_mut().expect("it is under way").reads.pass = Some(seen);
            out.push(next);
        }
        if s.left.lost > 0 {
            let mut next = self.next(format_args!("looks at pass {number}"), Answer::Void);
            next.state.pass_mut(self.who, self.request).reads.pass = Some(Err(Failure::NoAnswer));
            out.push(next);
        }
    }

    fn look_for_place(&mut self, out: &mut Vec<Next>) {
        let free = self.s.request(self.request).secret.is_none();
        for answer in reads(self.s) {
            let found = if free { "it is free" } else { "it is taken" };
            let mut next =
                self.next(format_args!("asks for a place for the Secret: {found}"), *answer);
            if *answer == Answer::Fine {
                next.state.pass_mut(self.who, self.request).reads.place_is_free = Some(free);
            } else {
                self.fail(&mut next);
            }
            out.push(next);
        }
    }

    fn look_for_secret(&mut self, out: &mut Vec<Next>) {
        let found = self.s.request(self.request).secret;
        for answer in reads(self.s) {
            let found = match (answer, found) {
                (Answer::Fine, None) => Secret::Absent,
                (Answer::Fine, Some(secret)) => Secret::Ours(secret.uid),
                _ => Secret::Unclear,
            };
            let mut next = self.next(format_args!("looks for the Secret: {found:?}"), *answer);
            let reads = &mut next.state.pass_mut(self.who, self.request).reads;
            reads.secret = Some(found);
            reads.listed_since = false;
            out.push(next);
        }
    }

    /// A write that rests on what was read: its outcomes in the cluster, before the process learns of them.
    fn writes(
        &mut self,
        what: &str,
        view: &View,
        new: ObjectId,
        out: &mut Vec<Next>,
        then: impl Fn(&mut Self, &mut Next),
    ) {
        for answer in answers(self.s) {
            let mut next = self.next(what, *answer);
            let objects = &self.core.mind.objects;
            let written = *answer == Answer::Void
                || next.state.replace(objects, self.request, view.request, new);
            if written && *answer != Answer::Void {
                next.check_write(objects, self.request, view.request, new);
                if self.who == Who::Zombie {
                    next.state.show_to_leader(objects, self.request);
                }
            }
            // Without an answer the pass ends with an error; the next one begins with what the API server has.
            if *answer != Answer::Fine {
                self.fail(&mut next);
            } else if written {
                next.state.pass_mut(self.who, self.request).request = new;
                then(self, &mut next);
            } else {
                next.event.conflicts();
                next.state.pass_mut(self.who, self.request).outdate();
            }
            out.push(next);
        }
    }

    fn write(&mut self, view: &View, new: ObjectId, out: &mut Vec<Next>) {
        let object = self.core.mind.objects.object(new);
        let was = self.core.mind.objects.object(view.request).phase;
        let what = format!("writes status {} {}", object.phase, object.reason);
        let becomes_active = object.phase == Phase::Active && was != object.phase;
        self.writes(&what, view, new, out, |step, next| {
            if !becomes_active {
                return;
            }
            let now = step.s.now;
            let memory = &mut next.state.work_mut(step.who, step.request).memory;
            memory.looked_at = Some(now);
            memory.setback = None;
            let Some(attempt) = memory.attempt.take() else { return };
            let replaces = step.core.mind.objects.intent(attempt.intent).0.replaces.clone();
            let replaced = replaces.and_then(|r| super::objects::number(r.request?.as_str()));
            if let (Some(other), Who::Leader) = (replaced, step.who) {
                next.state.show_to_leader(&step.core.mind.objects, other);
            }
        });
    }

    fn record(
        &mut self,
        view: &View,
        new: ObjectId,
        attempt: Option<Attempt>,
        out: &mut Vec<Next>,
    ) {
        let issuing = attempt.is_some();
        let does = if issuing { "records" } else { "takes over as" };
        let what = format!("{does} attempt {}", view.next_attempt);
        let first = out.len();
        let (who, request) = (self.who, self.request);
        let mut noted = self.s.clone();
        noted.next_attempt += 1;
        if issuing {
            // Noted before it is sent, however the write comes out.
            noted.work_mut(who, request).memory.attempt = attempt;
        }
        let mut step = Step { core: self.core, s: &noted, who, request };
        step.writes(&what, view, new, out, |step, next| {
            let work = next.state.work_mut(step.who, step.request);
            let reads = &mut work.pass.as_mut().expect("it is under way").reads;
            reads.secret = None;
            reads.deleted = None;
            if !issuing {
                reads.passes = None;
                work.memory.attempt = None;
            }
        });
        debug_assert!(out.len() > first);
    }

    fn release(&mut self, view: &View, new: ObjectId, out: &mut Vec<Next>) {
        self.writes(
            "closes the intent and takes the finalizer off",
            view,
            new,
            out,
            |step, next| {
                let now = step.s.now;
                let work = next.state.work_mut(step.who, step.request);
                let attempt = work.memory.attempt.take();
                if attempt.is_some_and(|attempt| attempt.progress == Sent::Armed) {
                    set_back(work, now, Cause::HeldBack);
                }
                work.pass.as_mut().expect("it is under way").reads = Reads::default();
            },
        );
    }

    fn post(&mut self, view: &View, out: &mut Vec<Next>) {
        let memory = &view.memory;
        let attempt = memory.attempt.as_ref().expect("there is an attempt");
        let mut next =
            self.next(format_args!("sends the POST of attempt {}", attempt.number), Answer::Fine);
        next.check_post(&self.core.mind.objects, view);
        next.state.posted |= 1 << attempt.number;
        next.state.tenant.calls.push(Call {
            request: self.request,
            intent: attempt.intent,
            sender: Some(view.process),
            sent: self.s.now,
            made: None,
        });
        let work = next.state.work_mut(self.who, self.request);
        if let Some(attempt) = &mut work.memory.attempt {
            attempt.progress = Sent::Unknown;
        }
        let pass = work.pass.as_mut().expect("it is under way");
        pass.reads.passes = None;
        pass.state = Progress::Asking;
        out.push(next);
    }

    fn create_secret(&mut self, view: &View, out: &mut Vec<Next>) {
        if self.s.left.late > 0 {
            self.give_up_creating_the_secret(view, out);
        }
        for answer in answers(self.s) {
            let taken = self.s.request(self.request).secret.is_some();
            let done = !taken && *answer != Answer::Void;
            let mut next = self.next("creates the Secret", *answer);
            if !view.lease_is_fresh {
                next.breaks("a Secret is created by a process that lost its lease");
            }
            let Some(attempt) = &view.memory.attempt else { panic!("nothing is held") };
            let Sent::Held { pass, .. } = attempt.progress else { panic!("nothing is held") };
            if done {
                next.state.tenant.pass_mut(pass).told = true;
                // Where the request is gone, the Secret goes at once.
                if self.s.request(self.request).object.is_some() {
                    let secret = state::Secret { uid: attempt.number, pass };
                    next.state.request_mut(self.request).secret = Some(secret);
                }
            }
            let number = attempt.number;
            let now = self.s.now;
            let work = next.state.work_mut(self.who, self.request);
            match answer {
                Answer::Fine if done => hold(work, Written::Created(number)),
                Answer::Fine => has_no_secret(work, now, Written::Refused),
                Answer::Lost | Answer::Void => has_no_secret(work, now, Written::Unknown),
            }
            if taken && *answer == Answer::Fine {
                next.event.conflicts();
            }
            out.push(next);
        }
    }

    /// It may take effect later, whether the process lives on or not.
    fn give_up_creating_the_secret(&mut self, view: &View, out: &mut Vec<Next>) {
        let Some(Attempt { number, progress: Sent::Held { pass, .. }, .. }) = view.memory.attempt
        else {
            panic!("nothing is held")
        };
        let event = Event::Wrong(self.core.said(format_args!(
            "the create of the Secret of request {} is given up, and may take effect later",
            self.request
        )));
        let mut next = Next::new(event, self.s.clone());
        next.state.left.late -= 1;
        if self.s.request(self.request).object.is_some() {
            let secret = state::Secret { uid: number, pass };
            next.state.request_mut(self.request).coming = Some((secret, view.now));
        }
        let work = next.state.work_mut(self.who, self.request);
        has_no_secret(work, self.s.now, Written::Unknown);
        out.push(next);
    }

    fn delete_secret(&mut self, uid: u8, out: &mut Vec<Next>) {
        for answer in answers(self.s) {
            let mut next = self.next("deletes the Secret", *answer);
            let there = self.s.request(self.request).secret;
            let ours = there.is_some_and(|secret| secret.uid == uid);
            if let (true, Some(secret)) = (ours && *answer != Answer::Void, there) {
                next.check_delete_secret(&self.core.mind.objects, self.request, secret.pass);
                next.state.request_mut(self.request).secret = None;
            }
            let work = next.state.work_mut(self.who, self.request);
            let reads = &mut work.pass.as_mut().expect("it is under way").reads;
            reads.place_is_free = None;
            if *answer == Answer::Fine {
                let gone = ours || there.is_none();
                reads.secret = gone.then_some(Secret::Deleted);
                if gone || work.holds_an_answer_with(Written::Created(uid)) {
                    hold(work, Written::Removed);
                }
            } else {
                reads.secret = Some(Secret::Unclear);
            }
            out.push(next);
        }
    }

    fn delete_pass(&mut self, view: &View, number: PassNo, out: &mut Vec<Next>) {
        let is_there = self.s.tenant.pass(number).is_there();
        for answer in answers(self.s) {
            let mut next = self.next(format_args!("deletes pass {number}"), *answer);
            next.check_delete(&self.core.mind.objects, self.request, view, number);
            if is_there && *answer != Answer::Void {
                next.state.tenant.pass_mut(number).end = Some((End::Deleted, self.s.now));
            }
            let deleted = match answer {
                Answer::Fine if is_there => {
                    next.state.process_mut(self.who).remember(number, Own::Gone);
                    Ok(())
                }
                Answer::Fine => Err(Failure::NotFound),
                Answer::Lost | Answer::Void => Err(Failure::NoAnswer),
            };
            next.state.pass_mut(self.who, self.request).reads.deleted = Some(deleted);
            out.push(next);
        }
        // A server that does not know the pass yet.
        if is_there && self.s.left.stale > 0 && self.s.tenant.pass(number).created == self.s.now {
            let mut next = self
                .next(format_args!("deletes pass {number}, which is not known yet"), Answer::Fine);
            next.state.spend_stale(true);
            next.state.pass_mut(self.who, self.request).reads.deleted =
                Some(Err(Failure::NotFound));
            out.push(next);
        }
    }
}

/// Notes what became of the Secret of an answer that is held.
fn hold(work: &mut super::replica::Work, written: Written) {
    if let Some(Attempt { progress: Sent::Held { secret, .. }, .. }) = &mut work.memory.attempt {
        *secret = written;
    }
}

/// Notes that no Secret is known to have been created.
fn has_no_secret(work: &mut super::replica::Work, now: Tick, written: Written) {
    set_back(work, now, Cause::Secret);
    // Whose a Secret of that name is depends on whether the request is still there.
    work.pass.as_mut().expect("it is under way").outdate();
    hold(work, written);
}

/// Notes that an attempt failed.
pub fn set_back(work: &mut super::replica::Work, now: Tick, cause: Cause) {
    // Ten minutes, as the core has it: longer than any of these lives.
    let earlier = work.memory.setback.filter(|earlier| earlier.cause == cause);
    let since = earlier.map_or(now, |earlier| earlier.since);
    work.memory.setback = Some(Setback { since, last: now, cause });
}

fn listing(listed: Listing) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        if listed == [None, None] {
            return write!(f, "none");
        }
        listed.iter().flatten().try_for_each(|Listed { seen, known }| {
            write!(f, "pass {}", seen.pass)?;
            match known {
                None => Ok(()),
                Some(Known::Gone) => write!(f, " (known to be gone)"),
                Some(Known::Recorded(other)) => write!(f, " (of request {other})"),
            }
        })
    })
}
