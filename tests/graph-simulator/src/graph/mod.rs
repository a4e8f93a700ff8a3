//! Graph v1.0 on the wire.
//!
//! [`serve`] is where a request comes in; what it asks for is done in the files beside it, by methods of
//! [`State`](crate::state::State).

mod authentication;
mod batch;
mod call;
mod conditional_access;
mod directory;
mod permissions;
mod roles;
mod serve;
