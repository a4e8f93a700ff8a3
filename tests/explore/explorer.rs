//! Visits every state that can be reached, each once, and tells the shortest history of what breaks a promise.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::events::successors;
use super::machine::{Core, hash};
use super::properties;
use super::scenario::Scenario;
use super::state::State;

/// A state, by its number in the order of discovery.
type Number = u32;

/// What was found.
pub struct Outcome {
    pub states: usize,
    pub transitions: usize,
    /// Passes of somebody else's that were lost within the stated limits.
    pub within_limits: usize,
    pub ends: usize,
    pub took: Duration,
    pub violation: Option<Violation>,
}

/// A promise that was broken, and how it came to that.
pub struct Violation {
    pub promise: String,
    pub history: Vec<String>,
}

struct Explorer {
    core: Core,
    start: State,
    /// Numbers of the states, by their hashes.
    known: HashMap<u128, Number>,
    /// From which state each was found first, and as which of its successors.
    found: Vec<(Number, u16)>,
    /// Where the states lead, one after the other, and where what belongs to each of them ends: to find circles.
    leads_to: Vec<Number>,
    ends_of: Vec<usize>,
}

/// Explores a scenario to its end, or to the first promise that is broken.
pub fn explore(scenario: &Scenario) -> Outcome {
    let mut core = Core::default();
    core.at_first = scenario.left;
    core.on_existing_pass = scenario.requests;
    let start = scenario.start(&mut core);
    let mut explorer = Explorer {
        core,
        start: start.clone(),
        known: HashMap::new(),
        found: Vec::new(),
        leads_to: Vec::new(),
        ends_of: Vec::new(),
    };
    explorer.run(start)
}

impl Explorer {
    fn run(&mut self, start: State) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome {
            states: 0,
            transitions: 0,
            within_limits: 0,
            ends: 0,
            took: Duration::ZERO,
            violation: None,
        };
        self.number(&start, (0, 0));
        let mut layer = vec![(0, start)];
        'all: while !layer.is_empty() {
            let mut next_layer = Vec::new();
            for (number, state) in std::mem::take(&mut layer) {
                let all = successors(&mut self.core, &state);
                let mut goes_on = false;
                for (choice, next) in (0..).zip(all) {
                    outcome.transitions += 1;
                    outcome.within_limits += usize::from(next.within_limits);
                    goes_on |= next.event.goes_by_itself();
                    if let Some(promise) = next.broken {
                        outcome.violation = Some(self.history(promise, number, Some(choice)));
                        break 'all;
                    }
                    if next.is_beyond {
                        continue;
                    }
                    let (to, is_new) = self.number(&next.state, (number, choice));
                    self.leads_to.push(to);
                    if is_new {
                        next_layer.push((to, next.state));
                    }
                }
                // They are visited in the order of their numbers.
                self.ends_of.push(self.leads_to.len());
                if !goes_on {
                    outcome.ends += 1;
                    if let Some(promise) = properties::end(&self.core, &state) {
                        outcome.violation = Some(self.history(promise, number, None));
                        break 'all;
                    }
                }
            }
            layer = next_layer;
        }
        if outcome.violation.is_none() {
            outcome.violation = self.circle();
        }
        outcome.states = self.found.len();
        outcome.took = began.elapsed();
        outcome
    }

    /// The number of a state, and whether it was not known before.
    fn number(&mut self, state: &State, from: (Number, u16)) -> (Number, bool) {
        let key = hash(state);
        let next = Number::try_from(self.found.len()).expect("not that many states");
        let number = *self.known.entry(key).or_insert(next);
        if number == next {
            self.found.push(from);
        }
        (number, number == next)
    }

    /// Whatever happens, time goes on: no state comes back. So where nothing more goes wrong, everything comes to an end.
    fn circle(&mut self) -> Option<Violation> {
        let mut ways_in = vec![0_u32; self.found.len()];
        for to in &self.leads_to {
            ways_in[*to as usize] += 1;
        }
        let mut free: Vec<usize> = (0..ways_in.len()).filter(|s| ways_in[*s] == 0).collect();
        let mut seen = 0;
        while let Some(state) = free.pop() {
            seen += 1;
            let begin = state.checked_sub(1).map_or(0, |before| self.ends_of[before]);
            for to in &self.leads_to[begin..self.ends_of[state]] {
                let left = &mut ways_in[*to as usize];
                *left -= 1;
                if *left == 0 {
                    free.push(*to as usize);
                }
            }
        }
        if seen == ways_in.len() {
            return None;
        }
        let at = ways_in.iter().position(|ways| *ways > 0)?;
        Some(self.history("it goes in circles".into(), Number::try_from(at).ok()?, None))
    }

    /// The way from the start to a state, and one step beyond.
    fn history(&mut self, promise: String, at: Number, last: Option<u16>) -> Violation {
        let mut choices: Vec<u16> = last.into_iter().collect();
        let mut at = at;
        while at != 0 {
            let (from, choice) = self.found[at as usize];
            choices.push(choice);
            at = from;
        }
        self.core.tells = true;
        let mut state = self.start.clone();
        let mut history = Vec::new();
        for choice in choices.into_iter().rev() {
            let next = successors(&mut self.core, &state).into_iter().nth(usize::from(choice));
            let next = next.expect("as it was before");
            history.push(format!("t={:<2} {next}", state.now));
            state = next.state;
        }
        Violation { promise, history }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.promise)?;
        self.history.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
