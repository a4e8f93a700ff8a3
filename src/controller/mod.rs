//! The shell: it performs the steps that the core decides, and reports their outcomes to it.
//!
//! [`watches`] feeds the state machine. [`dispatch`] starts the reconciles that are due. [`request`] reconciles one request,
//! and [`policy`] one policy. [`run`] assembles the process.

mod admission;
mod announce;
mod chance;
mod clocks;
mod dispatch;
mod fence;
mod health;
mod leading;
mod metrics;
mod operator;
mod permissions;
mod policy;
mod preflight;
mod probe;
mod request;
pub mod run;
mod stop;
mod terms;
mod wake;
mod watched;
mod watches;

pub use chance::Chance;
pub use clocks::{Clocks, LocalClock};
pub use health::Health;
pub use metrics::Metrics;
pub use run::{Options, RunError, run};
