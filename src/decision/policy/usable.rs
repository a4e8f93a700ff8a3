//! The condition `PassesUsable`: whether Conditional Access lets people sign in with the passes that the policy issues. Its
//! reads depend on what the app may see, and nothing is read without a permission.

use std::fmt::Write as _;

use super::advice::Finding;
use super::{PolicyQuestion, PolicySituation, PolicyStep};
use crate::api::Issuance;
use crate::decision::Reason;
use crate::decision::checks::refuses_unusable;
use crate::decision::permissions::{Need, with_id};
use crate::decision::sign_in::{Overview, kinds_issued, overview, unfit_strengths};
use crate::entra::PassKind;

/// The most policies of one kind that the message tells.
const MOST_TOLD: usize = 4;

/// What is still to be read of Conditional Access.
pub(super) fn to_read(s: &PolicySituation) -> Option<PolicyStep> {
    let held = s.reads.permissions.as_ref()?.as_ref().ok()?;
    if Need::AccessPolicies.is_covered_by(held) {
        return s
            .reads
            .access_policies
            .is_none()
            .then_some(PolicyStep::Ask(PolicyQuestion::AccessPolicies));
    }
    let told = s.policy.spec.issuance.is_some() && Need::Strengths.is_covered_by(held);
    (told && s.reads.strengths.is_none()).then_some(PolicyStep::Ask(PolicyQuestion::Strengths))
}

/// Whether the passes can be used; `None` if the policy issues none, or too little is known.
pub(super) fn passes_usable(s: &PolicySituation) -> Option<Finding> {
    let issuance = s.policy.spec.issuance.as_ref()?;
    let held = s.reads.permissions.as_ref()?.as_ref().ok()?;
    let method = s.reads.method.as_ref().and_then(|method| method.as_ref().ok());
    let kinds = kinds_issued(issuance, method);
    if !Need::AccessPolicies.is_covered_by(held) {
        let message = not_seen(s, &kinds, held);
        return Some(("Unknown", Reason::ConditionalAccessNotSeen, message));
    }
    match s.reads.access_policies.as_ref()? {
        Err(error) => {
            let message =
                format!("the tenant's Conditional Access policies cannot be read: {error}");
            Some(("Unknown", Reason::of(error), message))
        }
        Ok(policies) => Some(judged(&overview(policies, issuance, &kinds), issuance)),
    }
}

fn judged(found: &Overview, issuance: &Issuance) -> Finding {
    let parts = [
        ("", &found.blocking),
        ("in some circumstances: ", &found.perhaps),
        ("once it is enforced (now it only reports): ", &found.once_enforced),
        ("besides, the passes open little else: ", &found.elsewhere),
    ];
    let told = |(what, sentences): (&str, &Vec<String>)| {
        let more = sentences.len().saturating_sub(MOST_TOLD);
        let mut told: Vec<String> = sentences.iter().take(MOST_TOLD).cloned().collect();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        (!told.is_empty()).then(|| format!("{what}{}", told.join(", ")))
    };
    let told: Vec<String> = parts.into_iter().filter_map(told).collect();
    let message = told.join("; ");
    let effect = if refuses_unusable(issuance) {
        "requests of people whom that concerns wait (issuance.unusablePass: Refuse)"
    } else {
        "passes are issued nevertheless, and the check SignIn of each request says whom it concerns"
    };
    if !found.blocking.is_empty() {
        let remedy = "admit passes to the strength that is demanded, or exclude those who get one";
        return ("False", Reason::PassesBlocked, format!("{message}; {remedy}; {effect}"));
    }
    if !found.perhaps.is_empty() {
        return ("Unknown", Reason::DependsOnSignIn, message);
    }
    if !found.once_enforced.is_empty() {
        return ("True", Reason::PassesBlockedOnceEnforced, message);
    }
    let can =
        "no Conditional Access policy keeps people with a pass from registering security info";
    let message = if message.is_empty() { can.to_owned() } else { format!("{can}; {message}") };
    ("True", Reason::PassesUsable, message)
}

/// What is not seen, and what can be told without.
fn not_seen(s: &PolicySituation, kinds: &[PassKind], held: &[String]) -> String {
    let grant = with_id(Need::AccessPolicies.least());
    let mut message = if !Need::WhatIf.is_covered_by(held) {
        format!(
            "the operator cannot see Conditional Access, so it is not known whether people can sign in with their passes: grant {grant} to see it"
        )
    } else if s.what_if_offered {
        format!(
            "the operator asks for each user which Conditional Access policies apply, and cannot see all of them: grant {grant} to see them here"
        )
    } else {
        format!(
            "this cloud does not tell which Conditional Access policies a user meets, or the tenant has no Microsoft Entra ID P1, so it is not known whether people can sign in with their passes: grant {grant} to see all policies"
        )
    };
    let strengths = s.reads.strengths.as_ref().and_then(|strengths| strengths.as_ref().ok());
    let unfit = unfit_strengths(strengths.map_or(&[][..], Vec::as_slice), kinds);
    if !unfit.is_empty() {
        let more = unfit.len().saturating_sub(MOST_TOLD);
        let named: Vec<String> = unfit.into_iter().take(MOST_TOLD).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(
            message,
            "; wherever one of these authentication strengths is demanded, passes of this policy are not enough: {}{more}",
            named.join(", ")
        );
    }
    message
}
