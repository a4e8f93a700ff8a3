//! Counts the operator's effects on their way to the servers, and lets the operator die at one of them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tap_operator::effect::Effect;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::recognize::{Asked, Change, Question};

/// Within this time the operator has read an answer, even if it sends no request afterwards.
const READ_WITHIN: Duration = Duration::from_millis(150);

/// When the operator dies, relative to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// The request never reaches the server.
    BeforeSent,
    /// The server did it, and the answer does not reach the operator.
    AnswerLost,
    /// The operator read the answer, and did nothing more.
    AnswerRead,
}

impl Position {
    pub const ALL: [Self; 3] = [Self::BeforeSent, Self::AnswerLost, Self::AnswerRead];
}

/// One crash: at the n-th occurrence (from 1) of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crash {
    pub effect: Effect,
    pub nth: u32,
    pub position: Position,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = match self.position {
            Position::BeforeSent => "before",
            Position::AnswerLost => "answer lost",
            Position::AnswerRead => "answer read",
        };
        write!(f, "{} #{} {position}", self.effect.name(), self.nth)
    }
}

/// What the proxy does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// It is never passed on.
    Hold,
    /// It is passed on, but its answer is not.
    HoldAnswer,
    /// It is passed on, and the operator dies once it has read the answer.
    FireAfter,
}

/// What happened between [`Gate::begin`] and [`Gate::end`].
#[derive(Debug, Default)]
pub struct Passed {
    /// Each effect with its number, for each process: the first one, then the one that was started after the first
    /// crash.
    pub effects: Vec<Vec<(Effect, u32)>>,
    /// How many of the crashes happened.
    pub crashes: usize,
    /// Broken promises.
    pub violations: Vec<String>,
}

#[derive(Default)]
struct State {
    /// Crashes that are still to come.
    to_come: Vec<Crash>,
    counts: HashMap<Effect, u32>,
    passed: Passed,
    counting: bool,
    dying: bool,
    dead: bool,
    /// The attempts that are recorded in the cluster by an intent.
    recorded: HashSet<String>,
    /// The attempts of the POSTs.
    posted: HashSet<String>,
    last: Option<Instant>,
    /// All requests, and when they came.
    seen: Vec<(Instant, Asked)>,
}

/// The gate of all proxies of one operator.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    fired: Notify,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count, and makes these crashes happen one after another.
    pub fn begin(&self, crashes: &[Crash]) {
        let mut state = self.state();
        state.to_come = crashes.to_vec();
        state.counts.clear();
        state.passed.effects = vec![Vec::new()];
        state.passed.crashes = 0;
        state.counting = true;
        state.seen.clear();
    }

    /// Stops counting.
    pub fn end(&self) -> Passed {
        let mut state = self.state();
        state.counting = false;
        state.to_come.clear();
        std::mem::take(&mut state.passed)
    }

    /// Called when a request has come.
    pub fn arrive(&self, asked: &Asked) -> Verdict {
        let mut state = self.state();
        state.seen.push((Instant::now(), asked.clone()));
        if state.dead {
            return Verdict::Hold;
        }
        if state.dying {
            let lease = match asked {
                Asked::Nothing(question) => *question == Question::Lease,
                Asked::Effect(change) => change.effect == Effect::RenewLease,
                Asked::Unnamed(_) => false,
            };
            if !lease {
                drop(state);
                self.fire();
            }
            return Verdict::Hold;
        }
        let verdict = match asked {
            Asked::Nothing(_) => Verdict::Pass,
            Asked::Unnamed(what) => {
                state.passed.violations.push(format!("a write that is no effect: {what}"));
                Verdict::Pass
            }
            Asked::Effect(change) => state.arrive(change),
        };
        if verdict == Verdict::Hold {
            state.dead = true;
            self.fired.notify_one();
        }
        verdict
    }

    /// Called when a request was answered.
    pub fn answered(&self, change: &Change, status: StatusCode) {
        let mut state = self.state();
        if let (Effect::RecordIntent, Some(attempt)) = (change.effect, &change.attempt)
            && status.is_success()
        {
            state.recorded.insert(attempt.clone());
        }
    }

    /// Lets the operator die now.
    pub fn fire(&self) {
        let mut state = self.state();
        if !state.dead {
            state.dead = true;
            state.dying = false;
            self.fired.notify_one();
        }
    }

    /// Lets the operator die with its next request, or soon if there is none.
    pub fn fire_soon(self: &Arc<Self>) {
        self.state().dying = true;
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            sleep(READ_WITHIN).await;
            if gate.state().dying {
                gate.fire();
            }
        });
    }

    /// Waits until the operator is to die.
    pub async fn fired(&self) {
        self.fired.notified().await;
    }

    /// Called when the operator is dead: another process may begin.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.dead, state.dying) = (false, false);
        state.counts.clear();
        if state.counting {
            state.passed.crashes += 1;
            state.passed.effects.push(Vec::new());
        }
    }

    /// All requests since the last call.
    pub fn take_seen(&self) -> Vec<(Instant, Asked)> {
        std::mem::take(&mut self.state().seen)
    }

    /// How many of the requests since the last [`Gate::take_seen`] were lists.
    pub fn lists(&self) -> usize {
        let list = |asked: &Asked| matches!(asked, Asked::Nothing(Question::List));
        self.state().seen.iter().filter(|(_, asked)| list(asked)).count()
    }

    /// Whether the operator is dying or dead.
    pub fn is_down(&self) -> bool {
        let state = self.state();
        state.dead || state.dying
    }

    /// Waits until there was no effect, except renewals of the lease, for a while.
    pub async fn quiet(&self, length: Duration) {
        loop {
            let last = self.state().last;
            match last.map(|last| length.saturating_sub(last.elapsed())) {
                None | Some(Duration::ZERO) => return,
                Some(left) => sleep(left).await,
            }
        }
    }
}

impl State {
    fn arrive(&mut self, change: &Change) -> Verdict {
        let effect = change.effect;
        if effect != Effect::RenewLease {
            self.last = Some(Instant::now());
        }
        if !self.counting {
            self.note_post(change);
            return Verdict::Pass;
        }
        let count = self.counts.entry(effect).or_default();
        *count += 1;
        let nth = *count;
        if let Some(process) = self.passed.effects.last_mut() {
            process.push((effect, nth));
        }
        let comes = self
            .to_come
            .first()
            .copied()
            .filter(|crash| crash.effect == effect && crash.nth == nth);
        let Some(crash) = comes else {
            self.note_post(change);
            return Verdict::Pass;
        };
        self.to_come.remove(0);
        match crash.position {
            Position::BeforeSent => Verdict::Hold,
            Position::AnswerLost => {
                self.note_post(change);
                Verdict::HoldAnswer
            }
            Position::AnswerRead => {
                self.note_post(change);
                Verdict::FireAfter
            }
        }
    }

    /// Checks that there is one POST for each attempt, and that its intent was recorded before.
    fn note_post(&mut self, change: &Change) {
        if change.effect != Effect::CreatePass {
            return;
        }
        match &change.attempt {
            None => self.passed.violations.push("a POST without an attempt".into()),
            Some(attempt) => {
                if !self.recorded.contains(attempt) {
                    let violation = format!("a POST whose intent was not recorded: {attempt}");
                    self.passed.violations.push(violation);
                }
                if !self.posted.insert(attempt.clone()) {
                    self.passed.violations.push(format!("a second POST of one attempt: {attempt}"));
                }
            }
        }
    }
}
