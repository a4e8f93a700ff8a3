//! What is known of the admission policies, for those who depend on them.

use tokio::time::Instant;

use crate::decision::admission::Guard;

/// What is known of the admission policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether passes may be issued.
    pub guard: Guard,
    /// Whether the API server tells the operator's Secrets from others'.
    pub fence: Fence,
}

impl Known {
    /// Before anything was found out.
    pub fn nothing(allow_unguarded: bool) -> Self {
        let guard = if allow_unguarded { Guard::Overridden } else { Guard::Unknown };
        Self { guard, fence: Fence::DownSince(Instant::now()) }
    }
}

/// The policy on Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It is in force.
    Up,
    /// It is not, or that is not known, since this moment.
    DownSince(Instant),
}
