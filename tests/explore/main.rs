//! Every state that the life of a request can come to, with two replicas, crashes, lost and late answers, stale reads, and
//! people who interfere: all interleavings, each state once.
//!
//! The pure core decides; what the shell does with a decision, and what the API server and Graph make of it, is modelled.
//! Time stands in whole ticks, and what may go wrong is counted: within that, nothing is left out. In each state the
//! promises are checked; no state comes back, and where nothing happens any more by itself, every request has the end that
//! it should have. So whatever went wrong before, everything ends well once nothing goes wrong any more.
//!
//! | file | what is in it |
//! |---|---|
//! | `clock`, `tenant`, `objects`, `state` | what a state is made of |
//! | `replica`, `mind` | a process, and how its view becomes the situation that the core decides on |
//! | `events`, `steps`, `environment` | what may happen next |
//! | `properties` | the promises |
//! | `scenario`, `explorer` | what is explored, and how |

// The table is for people.
#![allow(clippy::print_stdout)]

mod clock;
mod environment;
mod events;
mod explorer;
mod mind;
mod objects;
mod properties;
mod replica;
mod scenario;
mod state;
mod steps;
mod tenant;

use explorer::{Outcome, explore};
use scenario::{SLICE, Scenario, WHOLE};

/// Explores scenarios one by one, and tells of each how it came out.
fn all_hold(scenarios: &[Scenario]) {
    println!(
        "{:48}{:>10}{:>12}{:>10}{:>12}{:>10}{:>9}",
        "scenario", "states", "transitions", "ends", "violations", "limits", "seconds"
    );
    let mut broken = Vec::new();
    for scenario in scenarios {
        let Outcome { states, transitions, ends, within_limits, took, violation } =
            explore(scenario);
        let violations = usize::from(violation.is_some());
        let seconds = took.as_secs_f64();
        println!(
            "{:48}{states:>10}{transitions:>12}{ends:>10}{violations:>12}{within_limits:>10}{seconds:>9.1}",
            scenario.name
        );
        if let Some(violation) = violation {
            println!("  {violation}");
            broken.push(scenario.name);
        }
    }
    assert!(broken.is_empty(), "a promise is broken: {}", broken.join("; "));
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
