//! The outcome of a POST, or of the creation of the Secret after it, is unknown: it is found out without another POST.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    left_behind, refused, release, remove_pass, remove_secret, report, secret_stays, unfinished,
    unrecordable, write_or,
};
use crate::api::{Pass, Phase};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::ids::UserKey;
use crate::decision::intent::{Intent, Stage};
use crate::decision::report::{Report, whole_second};
use crate::decision::situation::{SecretFound, Situation, Written};
use crate::decision::step::{Action, Question, Rest, Step};
use crate::entra::{TapMethod, UsabilityReason};

/// How long to wait before listing the user's passes again.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// How long to wait while the lease is not fresh.
const LEASE_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// The next step for an attempt whose outcome is unknown. `by_its_sender`: this process sent the POST and got no answer.
pub(super) fn next(s: &Situation, intent: &Intent, by_its_sender: bool) -> Step {
    // A process that lost the lease takes nothing back: the pass and the Secret may be those of the next attempt, made by
    // another process.
    if !s.lease_is_fresh {
        return Step::Rest(Rest::For(LEASE_AGAIN));
    }
    // Before this write nothing is deleted: it shows every other process that this one resolves the attempt.
    let (since, no_secret) = match intent.stage {
        Stage::Resolving { since, no_secret }
            if intent.holder == s.holder && since <= s.now.latest =>
        {
            (since, no_secret)
        }
        Stage::Resolving { .. } | Stage::Issuing | Stage::Closed => {
            let (attempt, holder) = (s.new_attempt.into(), s.holder.into());
            let now = whole_second(s.now.latest);
            if let Some(why) = refused(s, Written::Intent) {
                // Whatever it made has expired by itself: nothing is owed but to take the Secret and the finalizer away.
                if s.now.earliest >= intent.latest_expiry {
                    return remove_secret(s.reads).unwrap_or_else(|| close(s, intent));
                }
                let rest = Rest::Backoff(None).or_until(intent.latest_expiry, s.now.earliest);
                return report(s, resolving(s, &unrecordable(why)), rest);
            }
            let raised = intent.raised(attempt, holder, now, by_its_sender);
            return Step::Act(Action::RecordIntent(Box::new(raised), Box::default()));
        }
    };
    if let Some(step) = remove_secret(s.reads) {
        return step;
    }
    if s.now.earliest >= intent.latest_expiry {
        return close(s, intent);
    }
    let listing = match &s.reads.passes {
        None => {
            let connections = intent.route().connections(s.connections);
            if connections.is_empty() {
                let message = format!(
                    "the outcome of the last attempt cannot be found out: {}",
                    intent.route().unreached()
                );
                return report(s, resolving(s, &message), Rest::Until(intent.latest_expiry));
            }
            return Step::Ask(vec![Question::Passes {
                connections,
                user: UserKey::new(&intent.tenant_id, &intent.user_id),
            }]);
        }
        // The user was deleted, and with them all their passes.
        Some(Err(error)) if error.is_not_found() => {
            return once_settled(s, since, || close(s, intent));
        }
        Some(Err(error)) => {
            let message = format!("the outcome of the last attempt is not known yet: {error}");
            return report(
                s,
                resolving(s, &message),
                Rest::after(error).or_until(intent.latest_expiry, s.now.earliest),
            );
        }
        Some(Ok(listing)) => listing,
    };
    let ours =
        |p: &&TapMethod| intent.made(p, s.settings.settle) && !listing.known.contains_key(&p.id);
    match listing.passes.iter().find(ours) {
        None => once_settled(s, since, || close(s, intent)),
        // Whoever used it had the code from the Secret, so the Secret was created before the list.
        Some(pass) if pass.reason == Some(UsabilityReason::OneTimeUsed) => {
            once_looked_for_again(s, || used(s, intent, pass))
        }
        Some(pass) => match remove_pass(s, intent, &pass.id) {
            None => once_no_secret_can_come(s, since, no_secret, || close(s, intent)),
            Some(Ok(step)) => step,
            Some(Err(obstacle)) => {
                let rest = obstacle.rest().or_until(intent.latest_expiry, s.now.earliest);
                report(s, resolving(s, &obstacle.sentence()), rest)
            }
        },
    }
}

/// The creation of the Secret may have been sent, too. If the Secret appeared after its request has ended, it would stay. But
/// it does not appear twice, and garbage collection deletes that of a deleted request.
fn once_no_secret_can_come(
    s: &Situation,
    since: Timestamp,
    no_secret: bool,
    then: impl FnOnce() -> Step,
) -> Step {
    // At most one creation under one name is under way at a time.
    let appeared = s.reads.secret == Some(SecretFound::Deleted);
    if no_secret || appeared || s.request.is_being_deleted() {
        return then();
    }
    once_settled(s, since, then)
}

/// Until the settle time has passed, a pass or a Secret that was requested may still appear.
fn once_settled(s: &Situation, since: Timestamp, then: impl FnOnce() -> Step) -> Step {
    let settled = since + s.settings.settle;
    if s.reads.passes_asked_at.is_some_and(|asked| asked >= settled) {
        return once_looked_for_again(s, then);
    }
    let message = format!(
        "an answer was lost, or a process ended, so a pass or its Secret may still appear: the operator looks for them until {settled:.0} and deletes what it finds"
    );
    report(s, resolving(s, &message), Rest::For(AGAIN).or_until(settled, s.now.earliest))
}

/// Looks for the Secret again if the passes were listed since, because a list can take long and the Secret may have appeared
/// meanwhile.
fn once_looked_for_again(s: &Situation, then: impl FnOnce() -> Step) -> Step {
    if s.reads.listed_since { Step::Ask(vec![Question::Secret]) } else { then() }
}

/// Closes the intent, unless the Secret must still be deleted.
fn close(s: &Situation, intent: &Intent) -> Step {
    match left_behind(s, intent.latest_expiry) {
        Some(why) => secret_stays(s, why),
        None => release(intent),
    }
}

fn resolving<'a>(s: &Situation<'a>, message: &str) -> Report<'a> {
    unfinished(s, Reason::Resolving, message)
}

/// The pass of the unknown outcome was used: somebody had the code and signed in with it.
fn used(s: &Situation, intent: &Intent, pass: &TapMethod) -> Step {
    let start = pass.start.unwrap_or(intent.listed_at);
    let recorded = Pass {
        id: pass.id.clone(),
        start_time: Time(whole_second(start)),
        expiration_time: Time(whole_second(later(start, intent.lifetime()))),
        client_request_id: intent.attempt.clone(),
    };
    if let Some(why) = left_behind(s, intent.latest_expiry) {
        return secret_stays(s, why);
    }
    let ended = Report::new(s, Phase::Used, Reason::PassUsed, "the pass was used").pass(recorded);
    write_or(s, ended.finish(), release(intent))
}
