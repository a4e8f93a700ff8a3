//! The display names that a policy gives to groups. They are for readers; a group that has another name is reported.

use super::GroupName;
use crate::api::{Drift, TapPolicy};

/// The groups for which the policy gives a display name, with that name: those of the method, and those of who may get a
/// pass. The latter are reported, too, because a group that does not exist neither allows nor excludes anybody.
pub(super) fn of(policy: &TapPolicy) -> Vec<(String, String)> {
    let method = policy.spec.method.as_ref();
    let users = policy.spec.issuance.as_ref().and_then(|issuance| issuance.users.as_ref());
    let include = method
        .into_iter()
        .flat_map(|m| m.include.iter().flatten())
        .filter_map(|t| Some((t.group.clone()?, t.display_name.clone()?)));
    let exclude = method.into_iter().flat_map(|m| m.exclude.iter().flatten());
    let admitted = users.into_iter().flat_map(|u| u.groups.iter().flatten());
    let refused = users.into_iter().flat_map(|u| u.exclude_groups.iter().flatten());
    let others = exclude
        .chain(admitted)
        .chain(refused)
        .filter_map(|g| Some((g.group.clone(), g.display_name.clone()?)));
    let mut named: Vec<_> =
        include.chain(others).map(|(id, name)| (id.to_lowercase(), name)).collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// Whether it was asked for the name of a group that does not exist.
pub(super) fn is_gone(id: &str, found: &[GroupName]) -> bool {
    found.iter().any(|(other, name)| other.eq_ignore_ascii_case(id) && name.is_none())
}

/// The groups that have another name than the policy says, or do not exist.
pub(super) fn renamed(named: &[(String, String)], found: &[GroupName]) -> Vec<Drift> {
    let has = |id: &str| {
        found.iter().find(|(other, _)| other.eq_ignore_ascii_case(id)).map(|(_, name)| name.clone())
    };
    let differs = |(id, wanted): &(String, String)| match has(id)? {
        Some(name) if name == *wanted => None,
        other => Some(Drift {
            field: format!("displayName of {id}"),
            desired: wanted.clone(),
            observed: other.unwrap_or_else(|| "no such group".into()),
        }),
    };
    named.iter().filter_map(differs).collect()
}
