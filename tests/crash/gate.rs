//! Counts the operator's effects as they pass, and lets the operator die at one of them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tap_operator::effect::Effect;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::recognize::{Asked, Change, Question};

/// By then the operator has read an answer, also where it asks for nothing afterwards.
const READ_WITHIN: Duration = Duration::from_millis(150);

/// When the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// The request never reaches the server.
    BeforeSent,
    /// The server did it; the answer does not reach the operator.
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

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// It goes nowhere, for ever.
    Hold,
    /// It is passed on; its answer goes nowhere.
    HoldAnswer,
    /// It is passed on, and the operator dies when it has read the answer.
    FireAfter,
}

/// What passed between [`Gate::begin`] and [`Gate::end`].
#[derive(Debug, Default)]
pub struct Passed {
    /// Each effect with its number, by process: the first one's, then that of the one started after the first crash.
    pub effects: Vec<Vec<(Effect, u32)>>,
    /// How many of the crashes came.
    pub crashes: usize,
    /// What breaks a promise.
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
    /// The attempts that an intent in the cluster records.
    recorded: HashSet<String>,
    /// The attempts of the POSTs.
    posted: HashSet<String>,
    last: Option<Instant>,
    /// Everything that was asked for, and when.
    seen: Vec<(Instant, Asked)>,
}

/// One for the proxies of one operator.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    fired: Notify,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from now on, and lets these crashes come one after another.
    pub fn begin(&self, crashes: &[Crash]) {
        let mut state = self.state();
        state.to_come = crashes.to_vec();
        state.counts.clear();
        state.passed.effects = vec![Vec::new()];
        state.passed.crashes = 0;
        state.counting = true;
        state.seen.clear();
    }

    /// Counts no more.
    pub fn end(&self) -> Passed {
        let mut state = self.state();
        state.counting = false;
        state.to_come.clear();
        std::mem::take(&mut state.passed)
    }

    /// A request came.
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

    /// A request was answered.
    pub fn answered(&self, change: &Change, status: StatusCode) {
        let mut state = self.state();
        if let (Effect::RecordIntent, Some(attempt)) = (change.effect, &change.attempt)
            && status.is_success()
        {
            state.recorded.insert(attempt.clone());
        }
    }

    /// The operator dies now.
    pub fn fire(&self) {
        let mut state = self.state();
        if !state.dead {
            state.dead = true;
            state.dying = false;
            self.fired.notify_one();
        }
    }

    /// The operator dies with its next request, and soon in any case.
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

    /// The operator is dead, and another may begin.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.dead, state.dying) = (false, false);
        state.counts.clear();
        if state.counting {
            state.passed.crashes += 1;
            state.passed.effects.push(Vec::new());
        }
    }

    /// Everything that was asked for since this was last asked.
    pub fn take_seen(&self) -> Vec<(Instant, Asked)> {
        std::mem::take(&mut self.state().seen)
    }

    /// How many whole lists were read since then.
    pub fn lists(&self) -> usize {
        let list = |asked: &Asked| matches!(asked, Asked::Nothing(Question::List));
        self.state().seen.iter().filter(|(_, asked)| list(asked)).count()
    }

    /// Whether the operator is between death and life.
    pub fn is_down(&self) -> bool {
        let state = self.state();
        state.dead || state.dying
    }

    /// Waits until no effect (renewals of the lease apart) came for a while.
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

    /// One POST for each attempt, whose intent was recorded before.
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
