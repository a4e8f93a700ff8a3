//! The groups that a policy names: their display names, which are for readers, and what can be told of them.

use super::PolicySituation;
use crate::api::{Drift, Issuance, TapPolicy};
use crate::decision::checks::groups_to_ask;
use crate::decision::permissions::Need;
use crate::decision::situation::Connection;
use crate::entra::{Group, MethodConfiguration};

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

/// The groups that have another name than the policy says, or do not exist.
pub(super) fn renamed(named: &[(String, String)], found: &[Group]) -> Vec<Drift> {
    let name_of = |id: &str| {
        let group = found.iter().find(|group| group.id.eq_ignore_ascii_case(id));
        group.map(|group| group.display_name.clone())
    };
    let differs = |(id, wanted): &(String, String)| match name_of(id) {
        Some(name) if name == *wanted => None,
        other => Some(Drift {
            field: format!("displayName of {id}"),
            desired: wanted.clone(),
            observed: other.unwrap_or_else(|| "no such group".into()),
        }),
    };
    named.iter().filter_map(differs).collect()
}

/// The groups to read: those with a display name in the policy, and all on which it depends who may get a pass.
pub(super) fn to_read(
    policy: &TapPolicy,
    connection: &Connection,
    observed: &MethodConfiguration,
) -> Vec<String> {
    let named = of(policy).into_iter().map(|(id, _)| id);
    let issuance = policy.spec.issuance.as_ref();
    let deciding = issuance.into_iter().flat_map(|issuance| {
        groups_to_ask(issuance.users.as_ref(), &connection.ceilings, observed)
    });
    let mut ids: Vec<String> = named.chain(deciding).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The groups whose members get no pass, by the policy or by a ceiling.
fn excluded(issuance: &Issuance, connection: &Connection) -> Vec<String> {
    let by_policy = issuance.users.iter().flat_map(|u| u.exclude_groups.iter().flatten());
    let by_ceiling = connection.ceilings.exclude_groups.iter().cloned();
    by_policy.map(|group| group.group.to_lowercase()).chain(by_ceiling).collect()
}

/// Whether a group that was to be read does not exist.
pub(super) fn is_gone(id: &str, found: &[Group]) -> bool {
    found.iter().all(|group| !group.id.eq_ignore_ascii_case(id))
}

/// An exclusion that cannot be judged, in words: it names a group that does not exist.
pub(super) fn gone(s: &PolicySituation, connection: &Connection) -> Option<String> {
    let issuance = s.policy.spec.issuance.as_ref()?;
    let found = s.reads.groups.as_ref()?.as_ref().ok()?;
    let mut gone = excluded(issuance, connection);
    gone.retain(|id| is_gone(id, found));
    (!gone.is_empty()).then(|| {
        format!(
            "the members of these groups get no pass, and they do not exist, so requests wait: correct the object ids, or take the groups out of excludeGroups: {}",
            gone.join(", ")
        )
    })
}

/// The groups whose members cannot be told, because they hide them from the app.
pub(super) fn hidden(s: &PolicySituation) -> Vec<String> {
    let held = s.reads.permissions.as_ref().and_then(|held| held.as_ref().ok());
    if s.policy.spec.issuance.is_none()
        || held.is_none_or(|held| Need::HiddenMembers.is_covered_by(held))
    {
        return Vec::new();
    }
    let found = s.reads.groups.as_ref().and_then(|found| found.as_ref().ok());
    let hidden = found.into_iter().flatten().filter(|group| group.hides_members);
    hidden.map(|group| format!("{} ({})", group.display_name, group.id)).collect()
}
