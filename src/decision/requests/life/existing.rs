//! The user has a live pass already: it is replaced, waited for, or the end of the request.

use jiff::Timestamp;

use super::report;
use super::seek::{AGAIN, pending};
use crate::api::{OnExistingPass, Phase, ReplaceExistingPass};
use crate::decision::Reason;
use crate::decision::checks::Findings;
use crate::decision::intent::Replaced;
use crate::decision::report::Report;
use crate::decision::situation::{Known, Listing, PolicyFound, Situation, Unlisted};
use crate::decision::step::{Rest, Step};
use crate::entra::{TapMethod, UsabilityReason};

/// The live pass that this request replaces, if any. `Err` is the next step if a live pass that was not issued for this
/// request prevents the issue.
pub(super) fn existing(
    s: &Situation,
    findings: &Findings,
    listing: &Listing,
) -> Result<Option<Replaced>, Step> {
    let Some(pass) = existing_pass(listing) else { return unlisted(s, findings, listing) };
    let owner = match listing.known.get(&pass.id) {
        Some(Known::Recorded(request)) => Some(request.clone()),
        Some(Known::Gone) | None => None,
    };
    let whose =
        owner.as_ref().map_or(FOREIGN.to_owned(), |request| format!("of {}", s.tell_of(request)));
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    match s.request.spec.on_existing_pass.unwrap_or_default() {
        OnExistingPass::Replace => Ok(Some(Replaced { pass_id: pass.id.clone(), request: owner })),
        OnExistingPass::Wait => {
            let rest = pass.expires().map_or(Rest::For(AGAIN), |expires| {
                Rest::For(AGAIN).or_until(expires, s.now.earliest)
            });
            Err(waits_for_its_end(s, findings, &whose, until(rest)))
        }
        OnExistingPass::Refuse | OnExistingPass::Unknown => {
            // A list may lag behind a deletion, so a pass that no request records must be seen twice.
            let seen = s.memory.existing.as_ref().filter(|(id, _)| *id == pass.id);
            let certain =
                owner.is_some() || seen.is_some_and(|(_, told)| told.is_certain(s.settings.settle));
            if certain {
                let message = format!(
                    "the user has a live pass {whose}{}: make another request once it has ended, or one with onExistingPass {}",
                    until_when(pass.expires()),
                    if may_replace(s) { "Wait or Replace" } else { "Wait" },
                );
                return Err(report(
                    s,
                    Report::new(s, Phase::Failed, Reason::ExistingPass, &message)
                        .findings(&findings.failed_for(Reason::ExistingPass, &message)),
                    Rest::ForChange,
                ));
            }
            let message = format!(
                "the user has a live pass {whose}; the operator looks once more before the request fails"
            );
            Err(pending(s, findings, Reason::ExistingPass, &message, until(Rest::For(AGAIN))))
        }
    }
}

/// Until when a pass is live.
fn until_when(expires: Option<Timestamp>) -> String {
    expires.map_or_else(String::new, |expires| format!(" until {expires:.0}"))
}

/// Whether the policy lets a request replace a pass.
fn may_replace(s: &Situation) -> bool {
    let PolicyFound::Found(policy) = s.policy else { return false };
    let issuance = policy.spec.issuance.as_ref();
    issuance.is_some_and(|i| i.replace_existing_pass == Some(ReplaceExistingPass::Allowed))
}

/// Whose a pass is that no request records.
pub(super) const FOREIGN: &str = "that somebody else created";

/// The user has a live pass, and the request waits for its end.
pub(super) fn waits_for_its_end(
    s: &Situation,
    findings: &Findings,
    whose: &str,
    rest: Rest,
) -> Step {
    let message = format!(
        "the user has a live pass {whose}; the pass of this request will be issued once that one has ended"
    );
    pending(s, findings, Reason::ExistingPass, &message, rest)
}

/// The list shows no live pass. A pass that was just created for another request may be missing from it and still be live:
/// only a later list shows whether somebody removed it.
fn unlisted(
    s: &Situation,
    findings: &Findings,
    listing: &Listing,
) -> Result<Option<Replaced>, Step> {
    let Some(Unlisted { request, pass_id }) = &listing.unlisted else { return Ok(None) };
    if s.request.spec.on_existing_pass == Some(OnExistingPass::Replace) {
        let request = Some(request.clone());
        return Ok(Some(Replaced { pass_id: pass_id.clone(), request }));
    }
    let message = format!(
        "{} just got a pass for the same user, and Graph does not list it yet; the operator looks once more",
        s.tell_of(request)
    );
    let rest = Rest::For(AGAIN).or_until(findings.deadline, s.now.earliest);
    Err(pending(s, findings, Reason::ExistingPass, &message, rest))
}

/// The first live pass in a list, except passes that are known to be gone.
pub fn existing_pass(listing: &Listing) -> Option<&TapMethod> {
    listing
        .passes
        .iter()
        .find(|p| is_live(p, listing.date) && listing.known.get(&p.id) != Some(&Known::Gone))
}

/// Whether a pass may still sign somebody in, whatever `isUsable` says.
fn is_live(pass: &TapMethod, now: Timestamp) -> bool {
    if matches!(pass.reason, Some(UsabilityReason::Expired | UsabilityReason::OneTimeUsed)) {
        return false;
    }
    pass.expires().is_none_or(|expires| now < expires)
}
