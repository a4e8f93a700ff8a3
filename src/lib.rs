//! tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way.

pub mod api;
pub mod graph;
#[cfg(feature = "simulator")]
pub mod simulator;
