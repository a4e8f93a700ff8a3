//! The calls: each method of [`Client`](super::Client) is one operation of Graph.

mod directory;
mod logs;
mod method;
mod passes;
mod path;
mod permissions;
mod roles;
