//! The tenant's rules: what it does with its policy and its passes, whoever asks.
//!
//! Each file adds methods to [`State`](crate::state::State).

pub(crate) mod conditional_access;
mod create;
mod find;
mod policy;
mod read;
mod remove;
pub(crate) mod sign_in;
mod usability;
