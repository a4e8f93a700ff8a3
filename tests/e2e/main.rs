//! End-to-end tests: a real control plane, the operator as it is shipped, and a tenant.

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod crashes;
mod deletion;
mod faults;
mod phases;
mod policies;
mod printing;
mod process;
mod quota;
mod refusals;
mod scene;
mod stop;
mod tenants;
mod thin_path;
mod watchdog;
mod world;
