//! Conditions: their types, and how a new set replaces an old one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The condition types that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// The object is where it should be.
    Ready,
    /// Pass and Secret were made and have not ended.
    Issued,
    /// The request came to its end.
    Finished,
    /// As many people approved as the policy asks for.
    Approved,
    /// The tenant is as the policy says.
    Synced,
    /// The app of the tenant connection may do what the policy needs.
    Permissions,
    /// Every check of who may have a pass can be made. Absent where no pass is issued.
    ChecksComplete,
    /// Work is going on that will end by itself. Absent when it is not.
    Reconciling,
    /// Nothing more happens until somebody acts. Absent when it is not so.
    Stalled,
}

impl ConditionType {
    /// The text in `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Issued => "Issued",
            Self::Finished => "Finished",
            Self::Approved => "Approved",
            Self::Synced => "Synced",
            Self::Permissions => "Permissions",
            Self::ChecksComplete => "ChecksComplete",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Gives the wanted conditions the transition times of the old ones.
///
/// `lastTransitionTime` moves only when `status` changes, so that the same findings written again are the same bytes.
pub fn merge_conditions(
    old: &[Condition],
    mut wanted: Vec<Condition>,
    now: Timestamp,
) -> Vec<Condition> {
    for condition in &mut wanted {
        let same = old.iter().find(|o| o.type_ == condition.type_ && o.status == condition.status);
        condition.last_transition_time = same.map_or(Time(now), |o| o.last_transition_time.clone());
    }
    wanted
}
