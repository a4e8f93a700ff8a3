//! The issue itself: from the written intent over one POST to the written status.

use jiff::SignedDuration;

use super::situation::{Attempt, Held, SecretFound, SecretWritten, Situation, Stop};
use super::step::{Action, Look, Rest, Step};
use super::{ending, left_behind, release, remove_pass, remove_secret, report, write_or};
use crate::api::{Pass, Phase, Resolved};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::intent::{Intent, POST_WINDOW, has_finalizer};
use crate::decision::report::{Report, whole_second};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Added before cutting a time to whole seconds, so that it never comes out earlier than it was.
const NEARLY_A_SECOND: SignedDuration = SignedDuration::from_nanos(999_999_999);

/// The intent is written and nothing was sent: the POST, or a reason to close the intent again.
pub(super) fn before_post(s: &Situation, intent: &Intent, attempt: &Attempt) -> Step {
    let too_late = s.now.latest > intent.listed_at + POST_WINDOW;
    if ending(s).is_some() || !s.guard.admits() || !s.lease_is_fresh || too_late {
        return release(intent);
    }
    match s.reads.brakes {
        None => Step::Look(Look::Brakes),
        Some(brakes) if brakes.stop != Stop::Off || brakes.suspended => release(intent),
        // What admitted the pass is not in force any more: the next attempt is checked against what is.
        Some(brakes) if brakes.policy_generation != attempt.grounds.policy_generation => {
            release(intent)
        }
        Some(_) => Step::Act(Action::Post(Box::new(intent.clone()))),
    }
}

/// Graph answered with a pass: deliver and record it, or take everything back.
pub(super) fn after_post(s: &Situation, intent: &Intent, attempt: &Attempt, held: &Held) -> Step {
    if held.one_time != intent.one_time_use {
        return undo(s, intent, held).unwrap_or_else(|| coerced(s, intent));
    }
    if is_left_to_recovery(s, held) {
        return undo(s, intent, held).unwrap_or(Step::Act(Action::Forget));
    }
    if let Some(ending) = ending(s) {
        return undo(s, intent, held).unwrap_or_else(|| {
            let ended = Report::new(
                s,
                Phase::Revoked,
                ending.reason,
                format!("{}, before the pass was delivered", ending.message),
            );
            write_or(s, ended.finish(), release(intent))
        });
    }
    match &held.secret {
        // Who lost the lease creates nothing.
        SecretWritten::NotYet if s.lease_is_fresh => Step::Act(Action::CreateSecret),
        SecretWritten::Created(_) => {
            let active = active(s, intent, held).grounds(&attempt.grounds);
            report(s, active, Rest::For(s.settings.use_check))
        }
        _ => undo(s, intent, held).unwrap_or_else(|| release(intent)),
    }
}

/// Takes back what an attempt made: what is left to do, if anything. A failure is tried again with a backoff.
pub(super) fn undo(s: &Situation, intent: &Intent, held: &Held) -> Option<Step> {
    // Without the lease what is there may be the next attempt's: it is left to the process that clears up now.
    let not_known = matches!(held.secret, SecretWritten::Refused | SecretWritten::Unknown);
    let may_be_ours = not_known && is_the_last(s, intent);
    let unseen = may_be_ours && !s.lease_is_fresh;
    let secret = match (&held.secret, &s.reads.secret) {
        // Nothing is there, or it was tried in vain: the pass goes first.
        (SecretWritten::NotYet | SecretWritten::Removed, _)
        | (_, Some(SecretFound::Unclear(_))) => None,
        (SecretWritten::Created(uid), _) => Some(Step::Act(Action::DeleteSecret(uid.clone()))),
        // Nobody knows whether it is there. One of that name is of this attempt while no other can have made one.
        (SecretWritten::Refused | SecretWritten::Unknown, _) if may_be_ours && !unseen => {
            remove_secret(s.reads)
        }
        (SecretWritten::Refused | SecretWritten::Unknown, _) => None,
    };
    let pass = || {
        if s.now.earliest >= held.expires {
            return None;
        }
        remove_pass(s, intent, &held.pass_id)
            .map(|left| left.unwrap_or_else(|obstacle| Step::Rest(obstacle.rest())))
    };
    let again = || {
        let stays = !is_left_to_recovery(s, held) && left_behind(s, held.expires).is_some();
        (unseen || stays).then_some(Step::Rest(Rest::Backoff(None)))
    };
    secret.or_else(pass).or_else(again)
}

/// Whether the Secret may still come: recovery waits for that, and nothing ends before. That of a deleted request goes with
/// it.
fn is_left_to_recovery(s: &Situation, held: &Held) -> bool {
    held.secret == SecretWritten::Unknown && !s.request.is_being_deleted()
}

/// Whether no other attempt, nor another request of the same name, can have made a Secret since this attempt.
fn is_the_last(s: &Situation, intent: &Intent) -> bool {
    has_finalizer(s.request)
        && Intent::of(s.request).is_some_and(|now| now.attempt == intent.attempt)
}

fn active<'a>(s: &Situation<'a>, intent: &Intent, held: &Held) -> Report<'a> {
    let pass = Pass {
        id: held.pass_id.clone(),
        start_time: Time(whole_second(held.start)),
        // Cut up, for a Secret must not go early.
        expiration_time: Time(whole_second(later(held.expires, NEARLY_A_SECOND))),
        client_request_id: intent.attempt.clone(),
    };
    let name = s.request.metadata.name.as_deref().unwrap_or_default();
    let sealed =
        s.request.spec.recipients.as_ref().map_or("", |_| ", encrypted to spec.recipients,");
    let until = pass.expiration_time.0;
    let message = format!("the code{sealed} is in Secret {name} until {until:.0}");
    Report::new(s, Phase::Active, Reason::Issued, message).issued(pass, resolved(intent))
}

pub(super) fn resolved(intent: &Intent) -> Resolved {
    Resolved {
        tenant_id: intent.tenant_id.clone(),
        user_id: intent.user_id.clone(),
        user_principal_name: intent.user_principal_name.clone(),
        lifetime: intent.lifetime_text(),
        one_time_use: intent.one_time_use,
    }
}

fn coerced(s: &Situation, intent: &Intent) -> Step {
    let message = "the tenant made a pass of another kind (one-time or not) than was asked for, and it was deleted: make another request that asks for what the tenant allows";
    write_or(
        s,
        Report::new(s, Phase::Failed, Reason::FlagCoerced, message).finish(),
        release(intent),
    )
}
