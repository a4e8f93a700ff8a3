//! A recorded pass: watched until it is used, expires, or must be taken away.

use super::issue::delivered;
use super::{
    Decided, Ending, Obstacle, ending, left_behind, refused, release, remove_pass, remove_secret,
    report, secret_stays, unfinished,
};
use crate::api::{Pass, Phase};
use crate::decision::Reason;
use crate::decision::intent::Intent;
use crate::decision::report::Report;
use crate::decision::situation::{Deletion, Situation, Written};
use crate::decision::step::{Rest, Step};
use crate::entra::UsabilityReason;

/// The next step for a request with a recorded pass.
pub(super) fn next(s: &Situation, intent: &Intent, pass: &Pass) -> Decided {
    if s.now.earliest >= pass.expiration_time.0 {
        return expired(s, intent, pass).into();
    }
    match ending(s) {
        Some(ending) => take_away(s, intent, pass, &ending),
        None => watched(s, intent, pass).into(),
    }
}

/// The next step while nothing demands that the pass is taken away.
fn watched(s: &Situation, intent: &Intent, pass: &Pass) -> Step {
    if let Some(other) = s.superseded_by {
        return after_secret(
            s,
            intent,
            pass,
            Phase::Revoked,
            Reason::Superseded,
            format!("{} replaced the pass", s.tell_of(other)),
        );
    }
    match s.seen {
        // The pass itself is left to expire: deleting it would end the session in which the user registers a new key.
        Some(Ok(seen)) if seen.reason == Some(UsabilityReason::OneTimeUsed) => after_secret(
            s,
            intent,
            pass,
            Phase::Used,
            Reason::PassUsed,
            "the pass was used, and its Secret is gone",
        ),
        Some(Err(error)) if error.is_not_found() && is_certainly_missing(s) => {
            let message = "the pass no longer exists in the tenant: somebody removed or replaced it, or the user was deleted";
            after_secret(s, intent, pass, Phase::Revoked, Reason::PassRemoved, message)
        }
        // A failed read shows nothing about the pass.
        Some(Ok(_) | Err(_)) | None => unchanged(s, intent, pass),
    }
}

/// The pass stays as it is until it expires. The request says so if nobody could take it away before, and if nobody can read
/// its code any more.
fn unchanged(s: &Situation, intent: &Intent, pass: &Pass) -> Step {
    let rest = Rest::Until(pass.expiration_time.0);
    let says = |reason: Reason| s.request.ready().is_some_and(|r| r.reason == reason.as_str());
    if !intent.route().is_open(s.connections) {
        let message = intent.route().unreached();
        let unreached = Report::new(s, Phase::Active, Reason::TenantNotConfigured, &message)
            .reconciling(Reason::TenantNotConfigured, &message);
        return report(s, unreached, rest);
    }
    // What a process knew of the Secret before it said that the tenant is not reached, only the status says.
    let names_it = s.request.status.as_ref().is_some_and(|status| status.secret_name.is_some());
    let was_gone = says(Reason::TenantNotConfigured) && !names_it;
    if s.secret_is_gone || was_gone {
        let message = format!(
            "somebody deleted the Secret, so nobody can read the code any more; whoever has read it can use it until {:.0}; if nobody has, revoke this request and make another under another name",
            pass.expiration_time.0
        );
        let gone = Report::new(s, Phase::Active, Reason::SecretGone, message);
        return report(s, gone.without_secret(), rest);
    }
    if says(Reason::TenantNotConfigured) {
        return report(s, Report::new(s, Phase::Active, Reason::Issued, delivered(s, pass)), rest);
    }
    Step::Rest(rest)
}

fn is_certainly_missing(s: &Situation) -> bool {
    s.memory.pass_missing.is_some_and(|told| told.is_certain(s.settings.settle))
}

fn take_away(s: &Situation, intent: &Intent, pass: &Pass, ending: &Ending) -> Decided {
    if let Some(step) = remove_secret(s.reads) {
        return step.into();
    }
    let removed = match (remove_pass(s, intent, &pass.id), s.reads.deletion) {
        (Some(Ok(_)), None) => return Decided::Deletion(intent.tenant_id.clone()),
        (Some(Ok(_)), Some(Deletion::InTurn)) => Some(Err(Obstacle::InTurn)),
        (removed, _) => removed,
    };
    let step = match removed {
        Some(Ok(step)) => step,
        Some(Err(obstacle)) => {
            let left = left_behind(s, pass.expiration_time.0);
            let secret = left
                .map_or("the Secret is deleted, but the pass is not yet".into(), |why| {
                    format!("neither the Secret ({why}) nor the pass is deleted yet")
                });
            let message = format!("{}; {secret}: {}", ending.message, obstacle.sentence());
            let revoking = unfinished(s, Reason::Revoking, &message);
            let revoking = if left.is_none() { revoking.without_secret() } else { revoking };
            report(s, revoking, obstacle.rest().or_until(pass.expiration_time.0, s.now.earliest))
        }
        None => finish(s, intent, pass, Phase::Revoked, ending.reason, ending.message.clone()),
    };
    step.into()
}

fn expired(s: &Situation, intent: &Intent, pass: &Pass) -> Step {
    match ending(s) {
        Some(ending) => after_secret(
            s,
            intent,
            pass,
            Phase::Expired,
            Reason::ExpiredWhileRevoking,
            format!(
                "{}, but the pass could not be deleted before it expired by itself",
                ending.message
            ),
        ),
        None => after_secret(
            s,
            intent,
            pass,
            Phase::Expired,
            Reason::PassExpired,
            "the pass expired, and its Secret is gone",
        ),
    }
}

fn after_secret(
    s: &Situation,
    intent: &Intent,
    pass: &Pass,
    phase: Phase,
    reason: Reason,
    message: impl Into<String>,
) -> Step {
    remove_secret(s.reads).unwrap_or_else(|| finish(s, intent, pass, phase, reason, message))
}

/// Ends the request, once the Secret is gone.
fn finish(
    s: &Situation,
    intent: &Intent,
    pass: &Pass,
    phase: Phase,
    reason: Reason,
    message: impl Into<String>,
) -> Step {
    // A request that is being deleted, or whose pass is over, is not kept for the sake of its status.
    let is_over = s.request.is_being_deleted() || s.now.earliest >= pass.expiration_time.0;
    match left_behind(s, pass.expiration_time.0) {
        Some(why) => secret_stays(s, why),
        None if is_over && refused(s, Written::Status).is_some() => release(intent),
        None => report(s, Report::new(s, phase, reason, message), Rest::ForChange),
    }
}
