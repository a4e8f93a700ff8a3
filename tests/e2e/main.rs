//! End-to-end tests: a real control plane, the operator as it is shipped, and a tenant.

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod canary;
mod check;
mod control_plane;
mod crashes;
mod deletion;
mod endings;
mod evidence;
mod faults;
mod hints;
mod joiner;
mod mutators;
mod nested;
mod notices;
mod others;
mod outside;
mod permissions;
mod phases;
mod plan;
mod plugin;
mod policies;
mod portal;
mod preflight;
mod printing;
mod process;
mod quota;
mod refusals;
mod removal;
mod restarts;
mod routes;
mod scene;
mod sealed;
mod stop;
mod tenants;
mod thin_path;
mod waiting;
mod watchdog;
mod watching;
mod world;
