//! The real controllers against an API server and a tenant in the same process, under paused time: days pass in
//! milliseconds, and every call can be made to fail at its worst moment.

#[path = "../support/kubernetes/mod.rs"]
mod kubernetes;

mod admission;
mod clock;
mod crashes;
mod graph;
mod issue;
mod leadership;
mod membership;
mod neighbours;
mod permissions;
mod process;
mod quota;
mod sealed;
mod switches;
mod unreadable;
#[path = "../support/in_process.rs"]
mod world;
mod writes;
