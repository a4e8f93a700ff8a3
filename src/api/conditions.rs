//! Conditions: their types, and how new ones replace the old ones.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

macro_rules! condition_types {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The condition types that the operator writes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ConditionType {
            $($(#[$doc])* $name,)*
        }

        impl ConditionType {
            /// The text in `type`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

condition_types! {
    /// The object is where it should be.
    Ready,
    /// The pass and its Secret were created, and neither has ended.
    Issued,
    /// The request has ended.
    Finished,
    /// As many people have approved as the policy requires.
    Approved,
    /// The user registered a sign-in method with the pass. Absent until the tenant's audit log says so, or said nothing for an
    /// hour after the end.
    Registered,
    /// The tenant is as the policy says.
    Synced,
    /// Requests that name the policy can get a pass. Absent if the policy has no issuance section.
    Issuing,
    /// The app of the tenant connection has the permissions that the policy needs.
    Permissions,
    /// The operator can make every check of who may have a pass. Absent if the policy issues no passes.
    ChecksComplete,
    /// Conditional Access lets people sign in with the passes that the policy issues. Absent if it issues none.
    PassesUsable,
    /// The policy asks for no more than the ceilings of the operator's configuration allow. Absent without ceilings, and if
    /// the policy issues no passes.
    WithinCeilings,
    /// The operator reads the tenant's logs: how passes are used, which passes others make, who changes the method.
    LogsRead,
    /// The emergency stop is set. Absent otherwise.
    Stopped,
    /// Work is in progress and ends by itself. Absent otherwise.
    Reconciling,
    /// Nothing more happens until somebody acts. Absent otherwise.
    Stalled,
}

/// The condition of this type.
pub fn find_condition(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_explained_in_the_reference() {
        let reference = include_str!("../../docs/reference/conditions.md");
        // The cells of the first columns; the phases have a table of their own before.
        let (_, reference) = reference.split_once("| condition |").unwrap();
        let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let explained: BTreeSet<&str> =
            rows.flat_map(|cell| cell.split('`').filter(|word| word.len() > 2)).collect();
        let all: BTreeSet<&str> = ConditionType::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(explained, all);
    }
}
