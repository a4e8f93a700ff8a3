//! End-to-end tests: a real control plane, the operator as it is shipped, and a tenant.

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod phases;
mod refusals;
mod scene;
mod tenants;
mod watchdog;
mod thin_path;
mod world;
