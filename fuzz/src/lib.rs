//! Hostile input from outside, with one function for each kind, which takes any bytes: answers of Graph and Entra,
//! custom resources, annotations, keys, patterns, durations, configuration, manifests, what people type.
//!
//! Each function calls what the programs themselves call, and panics at what must not happen: a panic in the operator, a
//! decision that never ends, a text that is too long, a code where none belongs. The fuzzer calls them, and so does an
//! ordinary test with the inputs in `seeds` and `findings`.

mod access;
mod cluster;
mod configuration;
mod cost;
mod decide;
mod logs;
mod people;
mod tenant;

pub use cluster::{intent, lifetime, policy, reason_pattern, recipients, request};
pub use configuration::{connections, receivers};
pub use cost::{Cost, costs};
pub use people::{plan, typed};
pub use tenant::{access_answer, graph_answer, log_answer, token_answer};

/// A kind of input: its name, and the function for it.
type Target = (&'static str, fn(&[u8]));

/// Every kind of input.
pub const TARGETS: [Target; 14] = [
    ("graph_answer", graph_answer),
    ("token_answer", token_answer),
    ("log_answer", log_answer),
    ("access_answer", access_answer),
    ("policy", policy),
    ("request", request),
    ("intent", intent),
    ("recipients", recipients),
    ("reason_pattern", reason_pattern),
    ("lifetime", lifetime),
    ("connections", connections),
    ("receivers", receivers),
    ("plan", plan),
    ("typed", typed),
];

/// Checks that a message for people is short and printable, whatever it quotes.
fn is_a_message(text: &str, longest: usize) {
    assert!(text.len() <= longest, "a message of {} bytes: {text:.200}...", text.len());
    assert!(!text.contains(char::is_control), "control characters in {text:?}");
}
