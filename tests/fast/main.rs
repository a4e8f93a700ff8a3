//! The real controllers with an API server and a tenant in the same process, under paused time: days pass in
//! milliseconds, and every call can fail at its worst moment.

mod admission;
mod beside;
mod clock;
mod crashes;
mod evidence;
mod floods;
mod graph;
mod issue;
mod leadership;
mod log;
mod membership;
mod neighbours;
mod notices;
mod permissions;
mod process;
mod quota;
mod roles;
mod sealed;
mod sign_in;
mod situations;
mod stop;
mod switches;
mod telling;
#[path = "../support/transport.rs"]
mod transport;
mod unreadable;
#[path = "../support/in_process.rs"]
mod world;
mod writes;
