//! All Conditional Access policies together, for whomever they concern: what can be told of the passes of a `TapPolicy`
//! without a request.

use std::collections::BTreeSet;

use super::blocking::{Place, Who, admits, blocks};
use super::{Answer, words};
use crate::api::{DirectoryRoleHolders, Issuance};
use crate::entra::{
    AccessPolicy, AccessPolicyState, AccessTargets, AuthenticationStrength, Circumstance,
    MethodConfiguration, PassKind,
};

/// What would become of the passes that a `TapPolicy` issues. Each policy is told in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// They block passes where security info is registered.
    pub blocking: Vec<String>,
    /// They block passes at everything else, and not where security info is registered.
    pub elsewhere: Vec<String>,
    /// They would block passes where security info is registered, once they are enforced.
    pub once_enforced: Vec<String>,
    /// They block passes in some circumstances, and on what that depends.
    pub perhaps: Vec<String>,
}

/// The kinds of passes that a `TapPolicy` issues in a tenant.
pub fn kinds_issued(issuance: &Issuance, method: Option<&MethodConfiguration>) -> Vec<PassKind> {
    let only_one_time = issuance.requires_one_time_use()
        || method.is_some_and(|method| method.one_time_required == Some(true));
    if only_one_time {
        vec![PassKind::OneTime]
    } else {
        vec![PassKind::OneTime, PassKind::MultiUse]
    }
}

/// Judges all policies for passes of these kinds.
pub fn overview(policies: &[AccessPolicy], issuance: &Issuance, kinds: &[PassKind]) -> Overview {
    let mut found = Overview::default();
    let role_holders = issuance.directory_role_holders == Some(DirectoryRoleHolders::Allow);
    for policy in policies.iter().filter(|policy| may_concern(&policy.include, role_holders)) {
        let mut perhaps: BTreeSet<Circumstance> = BTreeSet::new();
        let mut certain: Vec<(PassKind, Vec<Place>)> = Vec::new();
        for kind in kinds {
            let mut places = Vec::new();
            for place in [Place::Page, Place::Elsewhere] {
                match blocks(policy, *kind, place, Who::Concerned, &Answer::No) {
                    Answer::Yes => places.push(place),
                    Answer::DependsOn(on) if place == Place::Page => perhaps.extend(on),
                    Answer::DependsOn(_) | Answer::No => {}
                }
            }
            if !places.is_empty() {
                certain.push((*kind, places));
            }
        }
        let Some((kind, places)) = certain.first() else {
            if !perhaps.is_empty() && policy.state == AccessPolicyState::Enforced {
                let on = perhaps.into_iter().map(|one| one.name().to_owned()).collect();
                let sentence = format!(
                    "{} may block passes of {}, which depends on {}",
                    words::named(policy),
                    words::whom(policy),
                    words::and(on)
                );
                found.perhaps.push(sentence);
            }
            continue;
        };
        let which = if certain.len() == kinds.len() { "" } else { kind_in_words(*kind) };
        let sentence = format!(
            "{}, so it blocks {which}passes of {} {}",
            words::why(policy, *kind),
            words::whom(policy),
            words::at(places, policy)
        );
        let list = match policy.state {
            AccessPolicyState::Enforced if places.contains(&Place::Page) => &mut found.blocking,
            AccessPolicyState::Enforced => &mut found.elsewhere,
            AccessPolicyState::ReportOnly if places.contains(&Place::Page) => {
                &mut found.once_enforced
            }
            AccessPolicyState::Other => &mut found.perhaps,
            AccessPolicyState::ReportOnly | AccessPolicyState::Disabled => continue,
        };
        list.push(sentence);
    }
    found
}

fn kind_in_words(kind: PassKind) -> &'static str {
    match kind {
        PassKind::OneTime => "one-time ",
        PassKind::MultiUse => "multi-use ",
    }
}

/// Whether it can name anybody who gets a pass.
fn may_concern(include: &AccessTargets, role_holders: bool) -> bool {
    let besides_roles = AccessTargets { roles: BTreeSet::new(), ..include.clone() };
    !besides_roles.is_empty() || (role_holders && !include.roles.is_empty())
}

/// The authentication strengths that do not admit a pass of one of these kinds, in words.
pub fn unfit_strengths(strengths: &[AuthenticationStrength], kinds: &[PassKind]) -> Vec<String> {
    let is_unfit = |strength: &&AuthenticationStrength| {
        kinds.iter().any(|kind| admits(strength, *kind) == Answer::No)
    };
    strengths.iter().filter(is_unfit).map(|one| words::quoted(&one.display_name)).collect()
}
