//! What is thrown at the operator from outside, each kind by one function that takes any bytes: answers of Graph and Entra,
//! custom resources, annotations, keys, patterns, lengths of time, configuration.
//!
//! Each calls what the operator itself calls, and panics on what must not be: a panic below it, a decision that does not come
//! to rest, a text that is out of bounds, a code where none belongs. The fuzzer feeds them, and so does an ordinary test
//! with what is in `seeds` and `findings`.

mod cluster;
mod configuration;
mod cost;
mod decide;
mod tenant;

pub use cluster::{intent, lifetime, policy, reason_pattern, recipients, request};
pub use configuration::connections;
pub use cost::costs;
pub use tenant::{graph_answer, token_answer};

/// A kind of input: its name, and what takes it.
type Target = (&'static str, fn(&[u8]));

/// Every kind of input.
pub const TARGETS: [Target; 9] = [
    ("graph_answer", graph_answer),
    ("token_answer", token_answer),
    ("policy", policy),
    ("request", request),
    ("intent", intent),
    ("recipients", recipients),
    ("reason_pattern", reason_pattern),
    ("lifetime", lifetime),
    ("connections", connections),
];

/// A message for people stays one, whatever it quotes.
fn is_a_message(text: &str, longest: usize) {
    assert!(text.len() <= longest, "a message of {} bytes: {text:.200}...", text.len());
    assert!(!text.contains(char::is_control), "control characters in {text:?}");
}
