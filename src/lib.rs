//! tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way.

#[cfg(feature = "simulator")]
pub mod simulator;
