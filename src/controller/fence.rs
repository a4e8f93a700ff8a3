//! The state of the admission policies, for the tasks that depend on it.

use tokio::time::Instant;

use crate::decision::admission::Guard;

/// What this process knows about the admission policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionState {
    /// Whether passes may be issued.
    pub guard: Guard,
    /// Whether the policy on Secrets is in force.
    pub fence: Fence,
}

impl AdmissionState {
    /// The state at the start of the process.
    pub fn unknown(allow_unguarded: bool) -> Self {
        let guard = if allow_unguarded { Guard::Overridden } else { Guard::Unknown };
        Self { guard, fence: Fence::DownSince(Instant::now()) }
    }
}

/// Whether the admission policy on Secrets is in force. Only then do the API server's answers show whether a Secret is the
/// operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It is in force.
    Up,
    /// It is not, or it is not known whether it is, since this moment.
    DownSince(Instant),
}
