//! What the shipped admission policies and roles let people, pipelines and the operator do, on a real API server. The
//! tests make the operator's writes themselves; the operator does not run.

#[path = "../support/mod.rs"]
mod support;

mod call;
mod changes;
mod cleanup;
mod cluster;
mod creation;
mod decisions;
mod life;
mod matrix;
mod names;
mod office;
mod offline;
mod older_servers;
mod policies;
mod secrets;
mod shipped;
