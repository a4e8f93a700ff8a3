//! The issue itself: from the recorded intent through one POST to the written status.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::{
    Decided, Obstacle, ending, left_behind, refused, release, remove_pass, remove_secret, report,
    secret_stays, unfinished, write_or,
};
use crate::api::{Pass, Phase, Resolved};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::intent::{Intent, POST_WINDOW, has_finalizer};
use crate::decision::report::{Report, whole_second};
use crate::decision::situation::{
    Attempt, Held, SecretFound, SecretWritten, Situation, Stop, Written,
};
use crate::decision::step::{Action, Question, Rest, Step};

/// Added before a time is cut to whole seconds, so that it is rounded up.
const NEARLY_A_SECOND: SignedDuration = SignedDuration::from_nanos(999_999_999);

/// How long to wait before a Secret is created again if the API server is busy.
const BUSY_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// The intent is recorded and nothing was sent: the POST follows, or the intent is closed again.
pub(super) fn before_post(s: &Situation, intent: &Intent, attempt: &Attempt) -> Step {
    let too_late = s.now.latest > intent.listed_at + POST_WINDOW;
    if ending(s).is_some() || !s.guard.admits() || !s.lease_is_fresh || too_late {
        return release(intent);
    }
    if intent.route().checked(s.connections).is_none() {
        return release(intent);
    }
    match &s.reads.brakes {
        None => Step::Ask(vec![Question::Brakes]),
        Some(brakes) if brakes.stop != Stop::Off || brakes.suspended => release(intent),
        // The policy was changed since it admitted the pass. The next attempt is checked against the new one.
        Some(brakes) if brakes.policy != attempt.grounds.policy => release(intent),
        Some(_) => Step::Act(Action::Post(Box::new(intent.clone()))),
    }
}

/// Graph answered with a pass: it is delivered and recorded, or taken back.
pub(super) fn after_post(
    s: &Situation,
    intent: &Intent,
    attempt: &Attempt,
    held: &Held,
) -> Decided {
    if held.one_time != intent.one_time_use {
        return undo(s, intent, held).unwrap_or_else(|| coerced(s, intent)).into();
    }
    if is_left_to_recovery(s, held) {
        return undo(s, intent, held).map_or(Decided::Forget, Decided::Step);
    }
    if let Some(ending) = ending(s) {
        return undo(s, intent, held)
            .unwrap_or_else(|| {
                let ended = Report::new(
                    s,
                    Phase::Revoked,
                    ending.reason,
                    format!("{}; the pass was taken back before it was recorded", ending.message),
                );
                write_or(s, ended.finish(), release(intent))
            })
            .into();
    }
    match &held.secret {
        // A process that lost the lease creates nothing.
        SecretWritten::NotYet if s.lease_is_fresh => match s.reads.busy {
            Some(_) => Step::Rest(Rest::For(BUSY_AGAIN)).into(),
            None => Step::Act(Action::CreateSecret).into(),
        },
        // The status was refused for as long as the pass lasted.
        SecretWritten::Created(_) if s.now.earliest >= held.expires => {
            undo(s, intent, held).unwrap_or_else(|| unrecorded(s, intent, held)).into()
        }
        SecretWritten::Removed if s.now.earliest >= held.expires => {
            unrecorded(s, intent, held).into()
        }
        SecretWritten::Created(_) => {
            let active = active(s, intent, held).grounds(&attempt.grounds);
            report(s, active, Rest::For(s.settings.use_check)).into()
        }
        _ => undo(s, intent, held).unwrap_or_else(|| release(intent)).into(),
    }
}

/// The next step to take back what an attempt made. `None` if nothing is left. Failures are repeated with a backoff.
pub(super) fn undo(s: &Situation, intent: &Intent, held: &Held) -> Option<Step> {
    // Without a fresh lease, a Secret that exists may be that of the next attempt. It is left to the process that leads now.
    let not_known = matches!(held.secret, SecretWritten::Refused | SecretWritten::Unknown);
    let may_be_ours = not_known && is_the_last(s, intent);
    let unseen = may_be_ours && !s.lease_is_fresh;
    let secret = match (&held.secret, &s.reads.secret) {
        // No Secret exists, or it cannot be deleted now: the pass is deleted first.
        (SecretWritten::NotYet | SecretWritten::Removed | SecretWritten::Forgone, _)
        | (_, Some(SecretFound::Unclear(_))) => None,
        (SecretWritten::Created(uid), _) => Some(Step::Act(Action::DeleteSecret(uid.clone()))),
        // The Secret may exist. One of that name belongs to this attempt, as no later attempt can have created one.
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
            .map(|left| left.unwrap_or_else(|obstacle| lives_on(s, intent, held, &obstacle)))
    };
    let again = || {
        let stays = left_behind(s, held.expires).filter(|_| !is_left_to_recovery(s, held));
        match stays {
            Some(why) if tells_of(s, intent) => Some(secret_stays(s, why)),
            stays => (unseen || stays.is_some()).then_some(Step::Rest(Rest::Backoff(None))),
        }
    };
    secret.or_else(pass).or_else(again)
}

/// The pass cannot be taken back yet. The request says so, and alerts see it, as if its answer had been lost.
fn lives_on(s: &Situation, intent: &Intent, held: &Held, obstacle: &Obstacle) -> Step {
    let rest = obstacle.rest().or_until(held.expires, s.now.earliest);
    // A new pass that Graph does not know yet is no trouble.
    if matches!(obstacle, Obstacle::NotYetKnown) || !tells_of(s, intent) {
        return Step::Rest(rest);
    }
    let left = match left_behind(s, held.expires) {
        None => "a pass was issued and must be deleted, and is not yet".to_owned(),
        Some(why) => format!(
            "a pass was issued and must be deleted, and neither its Secret ({why}) nor the pass is yet"
        ),
    };
    let message = format!("{left}: {}", obstacle.sentence());
    let (reason, message) = match ending(s) {
        Some(ending) => (Reason::Revoking, format!("{}; {message}", ending.message)),
        None => (Reason::Resolving, message),
    };
    report(s, unfinished(s, reason, &message), rest)
}

/// Whether the status is to tell of what is left of this attempt. Another process, or a later attempt, tells what is so for itself.
/// A status that is refused would only slow down what must be taken back.
fn tells_of(s: &Situation, intent: &Intent) -> bool {
    s.lease_is_fresh && is_the_last(s, intent) && refused(s, Written::Status).is_none()
}

/// Whether the Secret may still appear, so that recovery must wait for it before anything ends. For a deleted request nothing
/// must wait, because garbage collection deletes the Secret, too.
fn is_left_to_recovery(s: &Situation, held: &Held) -> bool {
    held.secret == SecretWritten::Unknown && !s.request.is_being_deleted()
}

/// Whether no other attempt, and no later request of the same name, can have created a Secret since this attempt.
fn is_the_last(s: &Situation, intent: &Intent) -> bool {
    has_finalizer(s.request)
        && Intent::of(s.request).is_some_and(|now| now.attempt == intent.attempt)
}

fn active<'a>(s: &Situation<'a>, intent: &Intent, held: &Held) -> Report<'a> {
    let pass = pass(intent, held);
    let message = delivered(s, &pass);
    Report::new(s, Phase::Active, Reason::Issued, message).issued(pass, resolved(intent))
}

fn pass(intent: &Intent, held: &Held) -> Pass {
    Pass {
        id: held.pass_id.clone(),
        start_time: Time(whole_second(held.start)),
        // Rounded up, because the Secret must not be deleted early.
        expiration_time: Time(whole_second(later(held.expires, NEARLY_A_SECOND))),
        client_request_id: intent.attempt.clone(),
    }
}

/// The pass was delivered and has expired, and could not be recorded. The finalizer stays until that can be told, or the
/// request would be issued again.
fn unrecorded(s: &Situation, intent: &Intent, held: &Held) -> Step {
    let message = "the pass expired, and its Secret is gone";
    let expired = Report::new(s, Phase::Expired, Reason::PassExpired, message);
    write_or(s, expired.pass(pass(intent, held)).finish(), release(intent))
}

/// Where the code is, for people.
pub(super) fn delivered(s: &Situation, pass: &Pass) -> String {
    let name = s.request.name_any();
    let sealed =
        s.request.spec.recipients.as_ref().map_or("", |_| ", encrypted to spec.recipients,");
    let until = pass.expiration_time.0;
    format!("the code{sealed} is in Secret {name} until {until:.0}")
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
    let message = "the tenant created a different kind of pass (one-time or not) than the request asked for, and the operator deleted it: make another request with the oneTimeUse that the tenant allows";
    write_or(
        s,
        Report::new(s, Phase::Failed, Reason::FlagCoerced, message).finish(),
        release(intent),
    )
}
