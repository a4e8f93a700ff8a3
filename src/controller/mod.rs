//! The shell: it gathers what a decision needs, does what was decided, and reports.
//!
//! [`request`] and [`policy`] are the two reconcilers; each is a loop that asks the core what is next and does it.
//! [`effects`] is the one place through which a request's effects pass, [`write`] the one from which the API server is
//! written to. [`run`] puts the process together.

mod admission;
mod announce;
mod chance;
mod clocks;
mod effects;
mod error;
mod fence;
mod health;
mod lease;
mod metrics;
mod operator;
mod pass;
mod patch;
mod permissions;
mod places;
mod policy;
mod probe;
mod quotas;
mod registry;
mod request;
pub mod run;
mod secret;
mod sightings;
mod watches;
pub mod write;

pub use chance::Chance;
pub use clocks::{Clocks, LocalClock};
pub use error::ApiError;
pub use health::Health;
pub use lease::{LeaderLease, LeaseLost, LeaseView};
pub use metrics::Metrics;
pub use run::{Options, RunError, run};
