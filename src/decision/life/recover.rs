//! Nobody knows what became of a POST, or of the Secret after it: find out, without another one.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::situation::{Grounds, SecretFound, Situation};
use super::step::{Action, Look, Rest, Step};
use super::{
    left_behind, release, remove_pass, remove_secret, report, rest_after, secret_stays, write_or,
};
use crate::api::{Pass, Phase};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::intent::{Intent, Stage};
use crate::decision::report::{Report, whole_second};
use crate::graph::{TapMethod, UsabilityReason};

/// How long before the user's passes are listed again.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// How long before another look where the lease is not fresh.
const LEASE_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// The next thing to do for an attempt whose outcome nobody knows, for who sent its POST and got no answer or for another.
pub(super) fn next(s: &Situation, intent: &Intent, by_its_sender: bool) -> Step {
    // Who lost the lease takes nothing back: pass and Secret may be those of the next attempt by now, which another
    // process made.
    if !s.lease_is_fresh {
        return Step::Rest(Rest::For(LEASE_AGAIN));
    }
    // Before this write nothing is deleted: it shows every other process that the attempt is ours to clear up.
    let (since, no_secret) = match intent.stage {
        Stage::Resolving { since, no_secret }
            if intent.holder == s.holder && since <= s.now.latest =>
        {
            (since, no_secret)
        }
        Stage::Resolving { .. } | Stage::Issuing | Stage::Closed => {
            let (attempt, holder) = (s.new_attempt.into(), s.holder.into());
            let now = whole_second(s.now.latest);
            let raised = intent.raised(attempt, holder, now, by_its_sender);
            return Step::Act(Action::RecordIntent(Box::new(raised), Grounds::default()));
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
            return Step::Look(Look::Passes {
                connection: intent.connection.clone(),
                user_id: intent.user_id.clone(),
            });
        }
        // The user is gone, and with the user every pass.
        Some(Err(error)) if error.is_not_found() => {
            return once_settled(s, since, || close(s, intent));
        }
        Some(Err(error)) => {
            let message = format!("what became of the attempt cannot be found out yet: {error}");
            return report(
                s,
                resolving(s, &message),
                rest_after(error).or_until(intent.latest_expiry, s.now.earliest),
            );
        }
        Some(Ok(listing)) => listing,
    };
    let ours =
        |p: &&TapMethod| intent.made(p, s.settings.settle) && !listing.known.contains_key(&p.id);
    match listing.passes.iter().find(ours) {
        None => once_settled(s, since, || close(s, intent)),
        // Whoever used it had the code from the Secret: it came before the list.
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

/// The Secret may have been asked for as well, and one that comes after its request has ended would stay. But it does not
/// come a second time, and that of a deleted request goes with it.
fn once_no_secret_can_come(
    s: &Situation,
    since: Timestamp,
    no_secret: bool,
    then: impl FnOnce() -> Step,
) -> Step {
    // At most one is asked for under one name at a time.
    let came = s.reads.secret == Some(SecretFound::Deleted);
    if no_secret || came || s.request.is_being_deleted() {
        return then();
    }
    once_settled(s, since, then)
}

/// Until the settle time has passed, what was asked for and is not there may still appear.
fn once_settled(s: &Situation, since: Timestamp, then: impl FnOnce() -> Step) -> Step {
    let settled = since + s.settings.settle;
    if s.reads.passes_asked_at.is_some_and(|asked| asked >= settled) {
        return once_looked_for_again(s, then);
    }
    let message = format!(
        "an answer was lost, or a process ended, and a pass or its Secret may still appear: until {settled:.0} they are looked for and taken back"
    );
    report(s, resolving(s, &message), Rest::For(AGAIN).or_until(settled, s.now.earliest))
}

/// The Secret may have come since it was looked for: a list may take long.
fn once_looked_for_again(s: &Situation, then: impl FnOnce() -> Step) -> Step {
    if s.reads.listed_since { Step::Look(Look::Secret) } else { then() }
}

/// Nothing of the attempt is left, or its Secret is still to go.
fn close(s: &Situation, intent: &Intent) -> Step {
    match left_behind(s, intent.latest_expiry) {
        Some(why) => secret_stays(s, why),
        None => release(intent),
    }
}

fn resolving<'a>(s: &Situation<'a>, message: &str) -> Report<'a> {
    Report::new(s, s.request.phase(), Reason::Resolving, message)
        .reconciling(Reason::Resolving, message)
}

/// The lost pass was used: whoever had the code signed in with it.
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
