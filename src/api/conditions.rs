//! Conditions: their types, and how new ones replace the old ones.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The condition types that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// The object is where it should be.
    Ready,
    /// The pass and its Secret were created, and neither has ended.
    Issued,
    /// The request has ended.
    Finished,
    /// As many people have approved as the policy requires.
    Approved,
    /// The tenant is as the policy says.
    Synced,
    /// Requests that name the policy can get a pass. Absent if the policy has no issuance section.
    Issuing,
    /// The app of the tenant connection has the permissions that the policy needs.
    Permissions,
    /// The operator can make every check of who may have a pass. Absent if the policy issues no passes.
    ChecksComplete,
    /// The emergency stop is set. Absent otherwise.
    Stopped,
    /// Work is in progress and ends by itself. Absent otherwise.
    Reconciling,
    /// Nothing more happens until somebody acts. Absent otherwise.
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
            Self::Issuing => "Issuing",
            Self::Permissions => "Permissions",
            Self::ChecksComplete => "ChecksComplete",
            Self::Stopped => "Stopped",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Gives the wanted conditions the transition times of the old ones.
///
/// `lastTransitionTime` moves only when `status` changes, so the same findings always serialize to the same bytes and
/// are not written again.
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
