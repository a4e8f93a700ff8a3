//! Every call to the API server that changes or asks for something in particular: requests, Secrets, the lease.
//!
//! [`write`] is the one place from which anything is written; [`error`] says what can go wrong, and whether it was done.

pub mod connection;
pub mod error;
pub mod lease;
pub mod patch;
pub mod requests;
pub mod running;
pub mod secret;
pub mod write;

pub use error::{ApiError, call, find};
