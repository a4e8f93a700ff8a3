//! Every state that the life of a request can come to, with processes that die or lose their lease in the middle of their
//! work, lost and late answers, stale reads, and people who interfere: all interleavings, each state once.
//!
//! Each process has the product's own state machine of all requests: what is remembered, and what follows from it, is
//! written there and nowhere here. Modelled is what surrounds it: the cluster, the tenant, people, faults, and the little that
//! the shell does with what the state machine wants. Time stands in whole ticks, and what may go wrong is counted: within
//! that, nothing is left out. In each state the promises are checked; no state comes back, and where nothing happens any more
//! by itself, every request has the end that it should have. So whatever went wrong before, everything ends well once nothing
//! goes wrong any more.
//!
//! | file | what is in it |
//! |---|---|
//! | `clock`, `tenant`, `objects`, `process`, `state` | what a state is made of |
//! | `world` | what no scenario changes, and how the facts of the model read in the product's words |
//! | `machine`, `shell` | the state machine, and what the shell does with it |
//! | `events` | what may happen next |
//! | `steps`, `looks`, `writes` | what processes do: at all, with what they read, with what they change |
//! | `watches`, `environment` | what processes see of the requests, and everything else that happens around them |
//! | `properties` | the promises |
//! | `scenario`, `explorer` | what is explored, and how |

// The table is for people.
#![allow(clippy::print_stdout)]

mod clock;
mod environment;
mod events;
mod explorer;
mod looks;
mod machine;
mod objects;
mod process;
mod properties;
mod scenario;
mod shell;
mod state;
mod steps;
mod tenant;
mod watches;
mod world;
mod writes;

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use explorer::{Outcome, explore};
use scenario::{SLICE, Scenario, WHOLE};

/// Explores scenarios, as many at a time as there are processors, and tells of each how it came out. `ONLY` names those that
/// are to be explored, by a part of their names.
fn all_hold(scenarios: &[Scenario]) {
    let only = std::env::var("ONLY").unwrap_or_default();
    let waiting = scenarios.iter().filter(|scenario| scenario.name.contains(&only));
    let waiting = Mutex::new(waiting);
    let broken = Mutex::new(Vec::new());
    println!(
        "{:48}{:>10}{:>12}{:>10}{:>12}{:>10}{:>9}",
        "scenario", "states", "transitions", "ends", "violations", "limits", "seconds"
    );
    let work = || {
        let next = || waiting.lock().expect("nobody panics").next();
        while let Some(scenario) = next() {
            let outcome = explore(scenario);
            println!("{}", row(scenario, &outcome));
            if outcome.violation.is_some() {
                broken.lock().expect("nobody panics").push(scenario.name);
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..processors).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().expect("nobody panics");
    assert!(broken.is_empty(), "a promise is broken: {}", broken.join("; "));
}

/// How a scenario came out, and the history of what broke a promise.
fn row(scenario: &Scenario, outcome: &Outcome) -> String {
    let Outcome { states, transitions, ends, within_limits, took, violation } = outcome;
    let violations = usize::from(violation.is_some());
    let seconds = took.as_secs_f64();
    let history = violation.as_ref().map_or(String::new(), |violation| format!("\n  {violation}"));
    format!(
        "{:48}{states:>10}{transitions:>12}{ends:>10}{violations:>12}{within_limits:>10}{seconds:>9.1}{history}",
        scenario.name
    )
}

#[test]
fn the_promises_hold_in_every_state_of_a_slice() {
    all_hold(SLICE);
}

#[test]
#[ignore = "takes minutes, with optimizations: make explore"]
fn the_promises_hold_in_every_state() {
    all_hold(WHOLE);
}
