//! What a process does about one request: each step is one thing that its state machine wants, with every way in which that
//! can come out.

use std::fmt;

use super::events::{Event, Next};
use super::machine::{Core, Machine};
use super::process::Work;
use super::shell::{Input, Learned, Looks, Move};
use super::state::{Answer, State, Who};
use super::tenant::RequestNo;

/// The ways in which a call that changes something may come out. Where nothing more can get lost, only one.
pub fn answers(s: &State) -> &'static [Answer] {
    if s.left.lost > 0 { &[Answer::Fine, Answer::Lost, Answer::Void] } else { &[Answer::Fine] }
}

/// The ways in which a read may come out: whether one without an answer arrived makes no difference.
pub fn reads(s: &State) -> &'static [Answer] {
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
        let (s, now) = (self.s, self.s.now);
        let process = s.process(self.who);
        match process.work(self.request) {
            // Of all that are due any may be the next: so every order is explored.
            Work::Idle => {
                let due = process.machine.due(self.request).is_some_and(|due| due <= now);
                if due && process.has_the_lease() {
                    let begun = self.after(&process.machine, Input::Begin(self.request));
                    self.goes_on(&begun, out);
                }
            }
            Work::Going => self.goes_on(&process.machine, out),
            Work::Looking(asked) => self.looks(&process.machine, *asked, out),
            Work::OnItsWay(wanted, _) => self.does(&process.machine, *wanted, out),
            Work::Posting => {}
            Work::Resting(until) => {
                if *until <= now {
                    let rested = Input::Learn(self.request, Learned::Rested);
                    let rested = self.after(&process.machine, rested);
                    self.goes_on(&rested, out);
                }
            }
        }
    }

    /// What is wanted next, and the state machine that knows it. That there is no stop is answered at once where no answer can
    /// get lost.
    pub fn wanted(&mut self, machine: &Machine) -> (Machine, Move) {
        let process = self.s.process(self.who);
        let next = Input::Next {
            request: self.request,
            process: process.number,
            lease_is_fresh: process.has_the_lease(),
            attempt: self.s.next_attempt,
            is_enabled: self.s.left.enablings == 0,
        };
        let (machine, wanted) = self.core.run(machine, self.s.now, next.clone());
        if self.s.left.lost > 0 || wanted != Move::Ask(Looks::BRAKES) {
            return (machine, wanted);
        }
        let answered = self.after(&machine, Input::Learn(self.request, Learned::Brakes(true)));
        self.core.run(&answered, self.s.now, next)
    }

    fn goes_on(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        let (machine, wanted) = self.wanted(machine);
        self.does(&machine, wanted, out);
    }

    fn does(&mut self, machine: &Machine, wanted: Move, out: &mut Vec<Next>) {
        match wanted {
            Move::Nothing | Move::LookAtPass(..) => unreachable!("it was asked for a request"),
            Move::Read => self.read(machine, out),
            Move::Ask(asked) => self.looks(machine, asked, out),
            Move::Write(version) => self.write(machine, version, out),
            Move::Record { version, attempt, issuing } => {
                self.record(machine, version, attempt, issuing, out);
            }
            Move::Release(version) => self.release(machine, version, out),
            Move::Post(intent) => self.post(machine, intent, out),
            Move::CreateSecret(pass) => self.create_secret(machine, pass, out),
            Move::DeleteSecret(pass) => self.delete_secret(machine, pass, out),
            Move::DeletePass(pass) => self.delete_pass(machine, pass, out),
            Move::Ended | Move::HoldsAnAnswer(_) => {
                let what = match machine.due(self.request) {
                    None => "rests".into(),
                    Some(until) => format!("rests until {until}"),
                };
                let mut next = self.next(machine, what, Answer::Fine);
                self.ends(&mut next, wanted);
                out.push(next);
            }
            Move::Gone => {
                let mut next = self.next(machine, "sees that the request is gone", Answer::Fine);
                self.ends(&mut next, wanted);
                out.push(next);
            }
        }
    }

    fn read(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        for answer in reads(self.s) {
            let mut next = self.next(machine, "reads the request", *answer);
            if *answer == Answer::Fine {
                let found = self.s.request(self.request).object;
                self.learns(&mut next, Learned::Request(found));
            } else {
                self.fails(&mut next);
            }
            out.push(next);
        }
    }

    /// The process does something, and goes on.
    pub fn next(&self, machine: &Machine, what: impl fmt::Display, answer: Answer) -> Next {
        let process = self.s.process(self.who).number;
        let what = self.core.said(what);
        let event = Event::Step { process, request: self.request, what, answer };
        let mut next = Next::new(event, self.s.clone());
        if answer != Answer::Fine {
            next.state.left.lost -= 1;
        }
        let process = next.state.process_mut(self.who);
        process.machine = machine.clone();
        *process.work_mut(self.request) = Work::Going;
        next
    }

    fn after(&mut self, machine: &Machine, input: Input) -> Machine {
        self.core.run(machine, self.s.now, input).0
    }

    /// The process learns what came of it.
    pub fn learns(&mut self, next: &mut Next, learned: Learned) {
        let process = next.state.process_mut(self.who);
        process.machine = self.after(&process.machine, Input::Learn(self.request, learned));
    }

    /// The process does not learn what came of it.
    pub fn fails(&mut self, next: &mut Next) {
        let process = next.state.process_mut(self.who);
        let (machine, ended) =
            self.core.run(&process.machine, self.s.now, Input::Fail(self.request));
        process.machine = machine;
        self.ends(next, ended);
    }

    fn ends(&mut self, next: &mut Next, how: Move) {
        *next.state.process_mut(self.who).work_mut(self.request) = match how {
            Move::HoldsAnAnswer(until) => Work::Resting(until),
            _ => Work::Idle,
        };
        next.bury();
    }
}
