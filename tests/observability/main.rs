//! The operator under a real Prometheus: each alert fires and resolves, each query of the dashboard has an answer, and so has
//! each question that somebody on call asks. And kube-state-metrics with the shipped configuration.
//!
//! `make observability` runs it.

#[path = "../e2e/scene.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod scene;
#[path = "../support/mod.rs"]
mod support;
#[path = "../e2e/tenants.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod tenants;

mod alerts;
mod prometheus;
mod state;
