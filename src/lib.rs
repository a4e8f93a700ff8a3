//! tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way.

pub mod api;
#[cfg(feature = "simulator")]
pub mod simulator;
