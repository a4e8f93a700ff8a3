//! A request whose last attempt failed: when the next one may begin, and when there is none.

use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::report;
use super::seek::{pending, unanswered};
use crate::api::Phase;
use crate::decision::Reason;
use crate::decision::checks::Findings;
use crate::decision::clock::later;
use crate::decision::report::Report;
use crate::decision::situation::{Cause, PAUSE, Situation};
use crate::decision::step::{Question, Rest, Step};
use crate::entra::ErrorKind;

/// How long Graph may refuse a pass before the request fails. Graph refuses new users, and users whose pass was just
/// deleted, at first (reported).
const REFUSALS: SignedDuration = SignedDuration::from_mins(2);

/// The next step after a failed attempt: a pause, or the end if Graph keeps refusing.
pub(super) fn after_setback(s: &Situation, findings: &Findings) -> Option<Step> {
    let setback = s.memory.setback.as_ref()?;
    let grown = setback.pause();
    let (reason, message, pause, refused) = match &setback.cause {
        Cause::HeldBack => {
            let message = "the last attempt was given up before the pass was requested (because of a stop, a suspension, a changed policy, missing admission policies, a lost lease or a slow server); the next one follows";
            (Reason::HeldBack, message.to_owned(), PAUSE, false)
        }
        Cause::Secret(why) => {
            let name = s.request.name_any();
            let message = format!("Secret {name} could not be created: {why}");
            (Reason::SecretRefused, message, grown, false)
        }
        Cause::Graph(error) if error.kind == ErrorKind::Forbidden => match &s.reads.permitted {
            None => {
                let connection = s.connection?.name.clone();
                return Some(Step::Ask(vec![Question::Permission { connection }]));
            }
            // Every attempt would end like the last one, so none is made before the app has the permission.
            Some(Ok(false)) => {
                let rest = Rest::after(error).or_until(findings.deadline, s.now.earliest);
                return Some(unanswered(s, findings, error, rest));
            }
            // It is not known whose fault the refusal is.
            Some(Err(unknown)) => {
                let rest = Rest::after(unknown).or_until(findings.deadline, s.now.earliest);
                return Some(unanswered(s, findings, unknown, rest));
            }
            Some(Ok(true)) => {
                let name =
                    findings.resolved.as_ref().map_or("the user", |r| &r.user_principal_name);
                let message = format!(
                    "Graph refuses a pass for {name}, although the app has the permission to create passes: {}; the user may be in a restricted management administrative unit, or otherwise be out of the app's reach, so an administrator of that unit must create the pass",
                    error.message
                );
                (Reason::UserForbidden, message, grown, true)
            }
        },
        // The checks said that the method includes the user, so the change that says so is not in effect yet.
        Cause::Graph(error)
            if error.is_out_of_scope() && s.now.earliest < findings.patient_until =>
        {
            let message = format!(
                "the tenant's Temporary Access Pass method includes the user, but that is not in effect yet; the operator tries again: {}",
                error.message
            );
            (Reason::NotInEffectYet, message, grown, false)
        }
        Cause::Graph(error) => {
            let asked = error.retry_after.and_then(|d| SignedDuration::try_from(d).ok());
            let refused = error.is_refusal_of_the_tenant();
            let reason = if refused { Reason::RefusedByTenant } else { Reason::of(error) };
            (reason, error.to_string(), asked.unwrap_or(grown).max(grown), refused)
        }
    };
    if refused && setback.lasts() >= REFUSALS {
        let findings = findings.failed_for(reason, &message);
        let failed = Report::new(s, Phase::Failed, reason, message).findings(&findings);
        return Some(report(s, failed, Rest::ForChange));
    }
    let again = later(setback.last, pause);
    let rest = Rest::Until(again).or_until(findings.deadline, s.now.earliest);
    (s.now.earliest < again).then(|| pending(s, findings, reason, &message, rest))
}
