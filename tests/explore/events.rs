//! What may happen next in a state, whoever does it.

use std::fmt;

use super::environment::Environment;
use super::looks::look_at_a_pass;
use super::machine::Core;
use super::state::{Answer, State, Who};
use super::steps::Step;
use super::tenant::{ProcessNo, RequestNo};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process does one thing about a request.
    Step { process: ProcessNo, request: RequestNo, what: String, answer: Answer },
    /// Anything else that goes on by itself.
    Goes(String),
    /// People do something.
    People(String),
    /// Something goes wrong.
    Wrong(String),
}

impl Event {
    /// Whether it happens by itself where nothing more goes wrong and people do nothing more.
    pub fn goes_by_itself(&self) -> bool {
        match self {
            Self::Step { answer, .. } => *answer == Answer::Fine,
            Self::Goes(_) => true,
            Self::People(_) | Self::Wrong(_) => false,
        }
    }

    /// There is more to tell of what a process does.
    pub fn adds(&mut self, more: &str) {
        if let Self::Step { what, .. } = self
            && !what.is_empty()
        {
            what.push_str(more);
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { process, request, what, answer } => {
                write!(f, "process {process}, request {request}: {what}")?;
                match answer {
                    Answer::Fine => Ok(()),
                    Answer::Lost => write!(f, " [FAULT: done, and the answer is lost]"),
                    Answer::Void => write!(f, " [FAULT: no answer, and no effect]"),
                }
            }
            Self::Goes(what) => write!(f, "{what}"),
            Self::People(what) => write!(f, "PEOPLE: {what}"),
            Self::Wrong(what) => write!(f, "FAULT: {what}"),
        }
    }
}

/// Something that may happen, and what comes of it.
#[derive(Clone)]
pub struct Next {
    pub event: Event,
    /// The process whose watch does not show it yet, and of which request.
    pub lags: Option<(ProcessNo, RequestNo)>,
    pub state: State,
    /// The promise that it breaks.
    pub broken: Option<String>,
    /// Whether a pass of somebody else's is lost within the stated limits.
    pub within_limits: bool,
    /// Whether a twin was taken for the pass of a lost attempt, whose own POST may still take effect: nothing is promised of
    /// what follows.
    pub is_beyond: bool,
}

impl Next {
    pub fn new(event: Event, state: State) -> Self {
        Self { event, lags: None, state, broken: None, within_limits: false, is_beyond: false }
    }

    pub fn breaks(&mut self, promise: impl Into<String>) {
        self.broken.get_or_insert(promise.into());
    }

    /// A process that has lost its lease ends when nothing is under way.
    pub fn bury(&mut self) {
        self.state.zombie.take_if(|zombie| zombie.is_idle());
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        match self.lags {
            None => Ok(()),
            Some((process, request)) => {
                write!(f, " [FAULT: the watch of process {process} lags for request {request}]")
            }
        }
    }
}

/// Everything that may happen next, in an order that is always the same.
pub fn successors(core: &mut Core, s: &State) -> Vec<Next> {
    let mut happens = Vec::new();
    let mut leader_is_busy = false;
    for who in s.processes() {
        for request in s.numbers() {
            Step { core, s, who, request }.successors(&mut happens);
        }
        if who == Who::Leader {
            look_at_a_pass(core, s, &mut happens);
            leader_is_busy = !happens.is_empty();
        }
    }
    Environment { core, s, out: &mut happens }.successors(leader_is_busy);
    let mut out = Vec::with_capacity(happens.len());
    for next in happens {
        core.show(next, &mut out);
    }
    for next in &mut out {
        next.check(&core.objects, s);
    }
    out
}
