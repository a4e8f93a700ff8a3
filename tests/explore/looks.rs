//! What a process looks at, in the tenant and in the cluster, and what it may see.

use super::events::{Event, Next};
use super::machine::{Core, Machine};
use super::process::Work;
use super::shell::{Asked, Input, Learned, Looks, Move, Secret};
use super::state::{Answer, State};
use super::steps::{Step, reads};
use super::tenant::Seen;
use super::world::Failure;

impl Step<'_> {
    /// All that is asked for is looked at side by side: any of it may be answered first.
    pub fn looks(&mut self, machine: &Machine, asked: Looks, out: &mut Vec<Next>) {
        for look in asked.iter() {
            let first = out.len();
            match look {
                Asked::Passes => self.ask_for_passes(machine, out),
                Asked::Place => self.ask_for_place(machine, out),
                Asked::Secret => self.ask_for_secret(machine, out),
                Asked::Brakes => self.ask_for_brakes(machine, out),
            }
            let left = asked.without(look);
            if left.is_empty() {
                continue;
            }
            for next in &mut out[first..] {
                // Where a look failed, the reconcile has ended.
                if next.state.has(self.who)
                    && *next.state.process(self.who).work(self.request) == Work::Going
                {
                    *next.state.process_mut(self.who).work_mut(self.request) = Work::Looking(left);
                }
            }
        }
    }

    /// The list may come from a server that lags.
    fn ask_for_passes(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        let (tenant, now) = (&self.s.tenant, self.s.now);
        let listed = tenant.current();
        let lagging = tenant.current_with_lag(now);
        for (pass, stale) in [(listed, false), (lagging, true)] {
            if stale && (self.s.left.stale == 0 || lagging == listed) {
                continue;
            }
            let lag = if stale { ", and the answer lags" } else { "" };
            let found = pass.map_or("none".into(), |pass| format!("pass {pass}"));
            let what = format_args!("lists the passes{lag}: {found}");
            let mut next = self.next(machine, what, Answer::Fine);
            next.state.spend_stale(stale);
            let seen = pass.map(|pass| tenant.seen(pass, now));
            self.learns(&mut next, Learned::Passes(Ok(seen)));
            out.push(next);
        }
        if self.s.left.lost > 0 {
            let mut next = self.next(machine, "lists the passes", Answer::Void);
            self.learns(&mut next, Learned::Passes(Err(Failure::NoAnswer)));
            out.push(next);
        }
    }

    fn ask_for_place(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        let free = self.s.request(self.request).secret.is_none();
        let found = if free { "it is free" } else { "it is taken" };
        for answer in reads(self.s) {
            let what = format_args!("asks for a place for the Secret: {found}");
            let mut next = self.next(machine, what, *answer);
            if *answer == Answer::Fine {
                self.learns(&mut next, Learned::PlaceIsFree(free));
            } else {
                self.fails(&mut next);
            }
            out.push(next);
        }
    }

    fn ask_for_secret(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        for answer in reads(self.s) {
            let found = match (answer, self.s.request(self.request).secret) {
                (Answer::Fine, None) => Secret::Absent,
                (Answer::Fine, Some(secret)) => Secret::Ours(secret.pass),
                _ => Secret::Unclear,
            };
            let what = format_args!("looks for the Secret: {found:?}");
            let mut next = self.next(machine, what, *answer);
            self.learns(&mut next, Learned::Secret(found));
            out.push(next);
        }
    }

    fn ask_for_brakes(&mut self, machine: &Machine, out: &mut Vec<Next>) {
        for answer in reads(self.s) {
            let mut next = self.next(machine, "looks for a stop", *answer);
            self.learns(&mut next, Learned::Brakes(*answer == Answer::Fine));
            out.push(next);
        }
    }
}

/// The leader looks at a pass that a request records, if that is due: apart from reconciles.
pub fn look_at_a_pass(core: &mut Core, s: &State, out: &mut Vec<Next>) {
    let (machine, wanted) = core.run(&s.leader.machine, s.now, Input::ClaimLook);
    let Move::LookAtPass(request, number) = wanted else { return };
    let pass = s.tenant.pass(number);
    let seen = s.tenant.seen(number, s.now);
    let lags = s.left.stale > 0
        && (pass.created == s.now || pass.end.is_some_and(|(_, ended)| ended == s.now));
    let mut sees = |what: &str, answer: Answer, stale: bool, seen: Result<Seen, Failure>| {
        let lag = if stale { ", and the answer lags" } else { "" };
        let what = core.said(format_args!("looks at pass {number}{lag}{what}"));
        let event = Event::Step { process: s.leader.number, request, what, answer };
        let mut next = Next::new(event, s.clone());
        next.state.left.lost -= u8::from(answer != Answer::Fine);
        next.state.spend_stale(stale);
        next.state.leader.machine = core.run(&machine, s.now, Input::LearnLook(request, seen)).0;
        out.push(next);
    };
    for stale in [false, true] {
        if stale && !lags {
            continue;
        }
        if pass.is_there() == stale {
            sees(": it is not there", Answer::Fine, stale, Err(Failure::NotFound));
        } else {
            let what = if seen.used { ": it was used" } else { ": it is there" };
            sees(what, Answer::Fine, stale, Ok(seen));
        }
    }
    if s.left.lost > 0 {
        sees("", Answer::Void, false, Err(Failure::NoAnswer));
    }
}
