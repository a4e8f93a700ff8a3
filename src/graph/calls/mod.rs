//! The calls: each method of [`Client`](super::Client) is one operation of Graph.

mod conditional_access;
mod directory;
mod logs;
mod method;
mod passes;
mod path;
mod permissions;
mod roles;
