//! The pure core: it takes what was observed and the time, and says what to do next.
//!
//! No client, no clock, no randomness: what a decision needs is in its arguments. [`life`] carries one request from the
//! asking to the end, [`guard`] says who may have a pass and [`quota`] how many at once, [`method`] how a tenant differs from
//! its policy and [`policy`] what to do about it, [`permissions`] whether the app may do what is needed, [`admission`]
//! whether the cluster's admission policies are as shipped, [`report`] how the findings read in a status, [`clock`] what
//! time it is at Graph, [`intent`] what is recorded before a pass is asked for.

pub mod admission;
pub mod clock;
pub mod guard;
pub mod intent;
pub mod life;
pub mod method;
pub mod permissions;
pub mod policy;
pub mod quota;
mod reason;
pub mod report;

pub use reason::Reason;
