//! A recorded pass: watched until it is used, expires, or is to be taken away.

use jiff::Timestamp;

use super::situation::Situation;
use super::step::{Look, Rest, Step};
use super::{
    Ending, ending, left_behind, remove_pass, remove_secret, report, rest_after, secret_stays,
};
use crate::api::{Pass, Phase};
use crate::decision::Reason;
use crate::decision::intent::Intent;
use crate::decision::report::Report;
use crate::graph::UsabilityReason;

/// The next thing to do for a request with a recorded pass.
pub(super) fn next(s: &Situation, intent: &Intent, pass: &Pass) -> Step {
    let expires = pass.expiration_time.0;
    if s.now.earliest >= expires {
        return expired(s, pass);
    }
    if let Some(ending) = ending(s) {
        return take_away(s, intent, pass, &ending);
    }
    if let Some(other) = s.superseded_by {
        return after_secret(
            s,
            pass,
            Phase::Revoked,
            Reason::Superseded,
            format!("request {other} replaced the pass"),
        );
    }
    let due = s.memory.looked_at.map_or(s.now.earliest, |t| t + s.settings.use_check);
    if s.reads.pass.is_none() && s.now.earliest < due {
        return Step::Rest(Rest::Until(due.min(expires)));
    }
    look_at(s, intent, pass, expires)
}

/// Is it still there, and was it used?
fn look_at(s: &Situation, intent: &Intent, pass: &Pass, expires: Timestamp) -> Step {
    let again = Rest::For(s.settings.use_check).or_until(expires, s.now.earliest);
    match &s.reads.pass {
        None => Step::Look(Look::Pass {
            connection: intent.connection.clone(),
            user_id: intent.user_id.clone(),
            pass_id: pass.id.clone(),
        }),
        // The pass itself is left to expire: deleting it would end the session in which the user registers a new key.
        Some(Ok(seen)) if seen.reason == Some(UsabilityReason::OneTimeUsed) => after_secret(
            s,
            pass,
            Phase::Used,
            Reason::PassUsed,
            "the pass was used, and its Secret is gone",
        ),
        Some(Ok(_)) => Step::Rest(again),
        Some(Err(error)) if error.is_not_found() => {
            // What counts is when it was looked at: this process may have stood still since.
            let memory = s.memory;
            let gone = memory
                .pass_missing_since
                .zip(memory.looked_at)
                .is_some_and(|(since, looked)| looked >= since + s.settings.settle);
            if gone {
                let message = "the pass is no longer there: somebody removed or replaced it, or the user was deleted";
                after_secret(s, pass, Phase::Revoked, Reason::PassRemoved, message)
            } else {
                Step::Rest(again)
            }
        }
        // A failed read changes nothing: the pass is as it was last seen.
        Some(Err(error)) => Step::Rest(rest_after(error).or_until(expires, s.now.earliest)),
    }
}

fn take_away(s: &Situation, intent: &Intent, pass: &Pass, ending: &Ending) -> Step {
    if let Some(step) = remove_secret(s.reads) {
        return step;
    }
    match remove_pass(s, intent, &pass.id) {
        Some(Ok(step)) => step,
        Some(Err(obstacle)) => {
            let left = left_behind(s, pass.expiration_time.0);
            let secret = left.map_or("the Secret is gone, the pass is not yet".into(), |why| {
                format!("neither the Secret ({why}) nor the pass is gone yet")
            });
            let message = format!("{}; {secret}: {}", ending.message, obstacle.sentence());
            let revoking = Report::new(s, s.request.phase(), Reason::Revoking, &message)
                .reconciling(Reason::Revoking, &message);
            let revoking = if left.is_none() { revoking.without_secret() } else { revoking };
            report(s, revoking, obstacle.rest().or_until(pass.expiration_time.0, s.now.earliest))
        }
        None => finish(s, pass, Phase::Revoked, ending.reason, ending.message.clone()),
    }
}

fn expired(s: &Situation, pass: &Pass) -> Step {
    match ending(s) {
        Some(ending) => after_secret(
            s,
            pass,
            Phase::Expired,
            Reason::ExpiredWhileRevoking,
            format!(
                "{}, but Graph could not be told before the pass expired by itself",
                ending.message
            ),
        ),
        None => after_secret(
            s,
            pass,
            Phase::Expired,
            Reason::PassExpired,
            "the pass expired, and its Secret is gone",
        ),
    }
}

fn after_secret(
    s: &Situation,
    pass: &Pass,
    phase: Phase,
    reason: Reason,
    message: impl Into<String>,
) -> Step {
    remove_secret(s.reads).unwrap_or_else(|| finish(s, pass, phase, reason, message))
}

/// The end, once the Secret is gone.
fn finish(
    s: &Situation,
    pass: &Pass,
    phase: Phase,
    reason: Reason,
    message: impl Into<String>,
) -> Step {
    match left_behind(s, pass.expiration_time.0) {
        Some(why) => secret_stays(s, why),
        None => report(s, Report::new(s, phase, reason, message), Rest::ForChange),
    }
}
