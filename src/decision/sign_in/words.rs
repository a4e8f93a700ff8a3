//! How Conditional Access policies are told to people.

use super::blocking::admits;
use super::{Answer, Place};
use crate::entra::{AccessPolicy, AccessTargets, Control, PassKind};
use crate::text::cut;

/// The most policies that a message names.
const MOST_NAMED: usize = 5;
/// The most ids of users, groups or roles that a message names of one policy.
const MOST_IDS: usize = 3;
/// The most characters of a name.
const LONGEST: usize = 128;

/// The name of a policy.
pub(super) fn named(policy: &AccessPolicy) -> String {
    format!("Conditional Access policy {}", quoted(&policy.display_name))
}

/// Why a policy blocks such a pass.
pub(super) fn why(policy: &AccessPolicy, kind: PassKind) -> String {
    let name = named(policy);
    if policy.grant.controls.contains(&Control::Block) {
        return format!("{name} blocks the sign-in");
    }
    let strength = policy.grant.controls.iter().find_map(|control| match control {
        Control::Strength(strength) if admits(strength, kind) != Answer::Yes => Some(strength),
        _ => None,
    });
    match strength {
        Some(strength) => format!(
            "{name} demands the authentication strength {}, which admits no {} pass",
            quoted(&strength.display_name),
            kind.name()
        ),
        None => format!("{name} demands more than a pass"),
    }
}

/// Whom a policy concerns.
pub(super) fn whom(policy: &AccessPolicy) -> String {
    let whom = parts(&policy.include);
    let whom = if whom.is_empty() { "nobody".to_owned() } else { and(whom) };
    let except = parts(&policy.exclude);
    if except.is_empty() { whom } else { format!("{whom}, except {}", and(except)) }
}

fn parts(targets: &AccessTargets) -> Vec<String> {
    let mut parts = Vec::new();
    if targets.everybody {
        parts.push("everybody".to_owned());
    }
    let lists = [
        ("the members of group", "the members of", "groups", &targets.groups),
        ("the holders of directory role", "the holders of", "directory roles", &targets.roles),
        ("user", "", "users", &targets.users),
    ];
    for (each, of, many, ids) in lists {
        if ids.len() > MOST_IDS {
            parts.push(format!("{of} {} {many}", ids.len()).trim_start().to_owned());
        } else {
            let named = |id: &String| format!("{each} {}", cut(id.escape_debug(), LONGEST));
            parts.extend(ids.iter().map(named));
        }
    }
    if targets.internal_guests {
        parts.push("guests".to_owned());
    }
    parts
}

/// For what a policy blocks a pass.
pub(super) fn at(places: &[Place], policy: &AccessPolicy) -> &'static str {
    match (places.contains(&Place::Page), places.contains(&Place::Elsewhere)) {
        (true, true) => "at all resources, the page for security info included",
        (false, true) => "at all resources but the page for security info",
        (true, false) if policy.resources.registration => "when they register security info",
        (true, false) => "on the page for security info",
        (false, false) => "nowhere",
    }
}

/// All of these, up to a limit.
pub(super) fn each(policies: &[&AccessPolicy], tell: impl Fn(&AccessPolicy) -> String) -> String {
    let more = policies.len().saturating_sub(MOST_NAMED);
    let mut told: Vec<String> = policies.iter().take(MOST_NAMED).map(|one| tell(one)).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}

/// A list in a sentence.
pub(super) fn and(mut parts: Vec<String>) -> String {
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

/// A name in quotes, with its control characters escaped.
pub(super) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(LONGEST).collect();
    format!("{short:?}")
}
