//! The pure core: it is told what happened and what time it is, remembers what must be remembered, and says what to do
//! next.
//!
//! No client, no clock, no randomness: what a decision needs is in its arguments or in the state machine. [`requests`] is
//! the state machine of all requests: it is fed with what the watches show and with the outcome of every step, and says
//! the next [`step`] for one request. [`checks`] says who may have a pass and [`quota`] how many at once, [`method`] how a
//! tenant differs from its policy and [`policy`] what to do about it, [`permissions`] whether the app may do what is
//! needed, [`admission`] whether the cluster's admission policies are as shipped, [`report`] how the findings read in a
//! status, [`clock`] what time it is at Graph, [`stop`] what the emergency stop orders, [`intent`] what is recorded before
//! a pass is asked for, [`route`] through which connections its tenant is reached, [`audit`] what the audit trail says,
//! [`evidence`] what the tenant's logs tell of the use of passes and of others, [`sightings`] when decisions were first seen,
//! [`census`] how many requests are in which state, [`rights`] what the operator must be allowed to do in the cluster,
//! [`sign_in`] whether Conditional Access lets people use a pass, [`posture`] which published recommendations the tenant follows.

pub mod admission;
pub mod audit;
pub mod census;
pub mod checks;
pub mod clock;
pub mod corrections;
pub mod evidence;
pub mod ids;
pub mod intent;
pub mod known_groups;
pub mod method;
pub mod outcome;
pub mod permissions;
pub mod policy;
pub mod posture;
pub mod quota;
mod reason;
pub mod report;
pub mod requests;
pub mod rights;
pub mod route;
pub mod sightings;
pub mod sign_in;
pub mod situation;
pub mod step;
pub mod stop;
pub mod terms;

pub use reason::Reason;
