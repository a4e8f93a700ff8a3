//! The shell: it performs the steps that the core decides, and reports their outcomes to it.
//!
//! [`watches`] feeds the state machine. [`dispatch`] starts the reconciles that are due. [`request`] reconciles one request,
//! and [`policy`] one policy. [`evidence`] reads the tenants' logs. [`notices`] tells receivers outside of the cluster. [`vitals`]
//! keeps the lease and answers probes beside all that. [`run`] assembles the process.

mod admission;
mod announce;
mod chance;
mod clocks;
mod conditional_access;
mod connections;
mod directory;
mod dispatch;
mod evidence;
mod fence;
mod health;
mod leading;
pub mod metrics;
mod notices;
mod operator;
mod permissions;
mod policy;
pub mod preflight;
pub mod probe;
mod pulse;
mod request;
pub mod run;
mod serve;
mod shared;
mod stop;
mod tenants;
mod terms;
mod vitals;
mod wake;
mod watched;
mod watches;

pub use chance::Chance;
pub use clocks::{Clocks, LocalClock};
pub use connections::Connections;
pub use health::Health;
pub use metrics::Metrics;
pub use notices::Told;
pub use run::{Options, RunError, run};
pub use tenants::connections_of;
pub use vitals::{Vital, on_a_thread_of_its_own};
