//! The life of a request: from what is known of it to the next thing to do.
//!
//! A request without the finalizer has no pass; [`seek`] leads it towards one. With the finalizer a live pass may
//! exist, and who knows what: this process, because it just armed or sent the attempt ([`issue`]); the status, because
//! the pass is recorded there ([`tend`]); or nobody, because a process died or an answer was lost ([`recover`]).

mod issue;
mod recover;
mod seek;
pub mod situation;
pub mod step;
mod tend;
#[cfg(test)]
mod tests;
mod unreadable;

use jiff::{SignedDuration, Timestamp};

pub use self::seek::existing_pass;
use self::situation::{Progress, Reads, SecretFound, Situation, Stop};
use self::step::{Action, Look, Rest, Step};
pub use self::unreadable::latest_expiry;
use super::Reason;
use super::intent::{self, Intent, POST_WINDOW, has_ended, has_finalizer};
use super::report::Report;
use crate::api::{DecisionKind, Pass, Phase, TapRequest, TapRequestStatus};
use crate::graph::{Advice, GraphError};

/// The next thing to do for a request.
pub fn next(s: &Situation) -> Step {
    let intent = Intent::of(s.request);
    let ours = intent.filter(|i| s.request.metadata.uid.as_deref() == Some(&i.uid));
    if let Some(step) = drop_what_was_superseded(s, ours.as_ref()) {
        return step;
    }
    if intent::is_unreadable(s.request) && !s.request.phase().is_final() {
        return unreadable::next(s);
    }
    if !has_finalizer(s.request) {
        return seek::next(s);
    }
    match ours {
        // A finalizer without an intent of this object holds nothing: it came with a restored copy, or from outside.
        None => Step::Act(Action::Release(None)),
        Some(intent) if !intent.is_open() || has_ended(s.request) => release(&intent),
        Some(intent) => in_custody(s, &intent),
    }
}

fn in_custody(s: &Situation, intent: &Intent) -> Step {
    if let Some(pass) = recorded(s, intent) {
        // The write that recorded it was not known to have come through.
        if s.memory.attempt.is_some() {
            return Step::Act(Action::Forget);
        }
        return tend::next(s, intent, pass);
    }
    match s.memory.attempt.as_ref().filter(|a| a.intent.attempt == intent.attempt) {
        Some(attempt) => match &attempt.progress {
            Progress::Armed => issue::before_post(s, intent, attempt),
            Progress::Held(held) => issue::after_post(s, intent, attempt, held),
            Progress::Void => release(intent),
            Progress::Sent => recover::next(s, intent, true),
        },
        None => recover::next(s, intent, false),
    }
}

/// The pass of an attempt, if the status has it.
fn recorded<'a>(s: &Situation<'a>, intent: &Intent) -> Option<&'a Pass> {
    let pass = s.request.status.as_ref()?.pass.as_ref()?;
    (pass.client_request_id == intent.attempt).then_some(pass)
}

/// An answer that this process holds, while the request has moved on to another attempt or is gone: what it made goes.
fn drop_what_was_superseded(s: &Situation, ours: Option<&Intent>) -> Option<Step> {
    let attempt = s.memory.attempt.as_ref()?;
    let Progress::Held(held) = &attempt.progress else { return None };
    let current = ours
        .filter(|i| i.is_open() && has_finalizer(s.request))
        .is_some_and(|i| i.attempt == attempt.intent.attempt);
    if current {
        return None;
    }
    // It was delivered and recorded, and came to its end since.
    if recorded(s, &attempt.intent).is_some() && s.request.phase() != Phase::Active {
        return Some(Step::Act(Action::Forget));
    }
    Some(issue::undo(s, &attempt.intent, held).unwrap_or(Step::Act(Action::Forget)))
}

fn release(intent: &Intent) -> Step {
    Step::Act(Action::Release(Some(Box::new(intent.closed()))))
}

/// Writes a status if it says anything new, else rests.
fn report(s: &Situation, report: Report, rest: Rest) -> Step {
    write_or(s, report.finish(), Step::Rest(rest))
}

fn write_or(s: &Situation, status: TapRequestStatus, otherwise: Step) -> Step {
    if s.request.status.as_ref() == Some(&status) {
        otherwise
    } else {
        Step::Act(Action::WriteStatus(Box::new(status)))
    }
}

/// Why a pass must go, or must not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    reason: Reason,
    message: String,
}

/// Whether somebody wants the pass gone.
fn ending(s: &Situation) -> Option<Ending> {
    let said = |kind: DecisionKind| s.request.decisions().iter().find(move |d| d.decision == kind);
    if s.request.is_being_deleted() {
        return Some(Ending {
            reason: Reason::RequestDeleted,
            message: "the request was deleted".into(),
        });
    }
    if let Some(denied) = said(DecisionKind::Deny).or_else(|| said(DecisionKind::Unknown)) {
        return Some(Ending {
            reason: Reason::DeniedAfterIssue,
            message: format!("denied by {} after the issue", denied.by),
        });
    }
    if let Some(revoked) = said(DecisionKind::Revoke) {
        return Some(Ending {
            reason: Reason::Revoked,
            message: format!("revoked by {}", revoked.by),
        });
    }
    // What was begun is brought to its end, also where the stop is lifted meanwhile: nobody has the code any more.
    if s.stop == Stop::RevokeActive || is_being_revoked(s.request) {
        let message = "the ConfigMap tap-operator-stop revokes all active passes".into();
        return Some(Ending { reason: Reason::StopRevokesActive, message });
    }
    None
}

/// Whether the Secret was taken away already, and the pass was not yet.
fn is_being_revoked(request: &TapRequest) -> bool {
    request.phase() == Phase::Active
        && request.ready().is_some_and(|ready| ready.reason == Reason::Revoking.as_str())
}

/// Takes the Secret away: what is left to do before it is known to be gone, if anything. Where the API server does not
/// let it go, the rest goes on: see [`left_behind`].
fn remove_secret(reads: &Reads) -> Option<Step> {
    match &reads.secret {
        None => Some(Step::Look(Look::Secret)),
        Some(SecretFound::Ours(uid)) => Some(Step::Act(Action::DeleteSecret(uid.clone()))),
        // What is not ours stays.
        Some(
            SecretFound::Absent
            | SecretFound::Deleted
            | SecretFound::Foreign
            | SecretFound::Unclear(_),
        ) => None,
    }
}

/// Why the Secret may still be there, though all was done to take it away. Beyond `expires` its code is worth nothing, and
/// a deleted request is not held for it: its Secret goes with it.
fn left_behind<'a>(s: &Situation<'a>, expires: Timestamp) -> Option<&'a str> {
    match &s.reads.secret {
        Some(SecretFound::Unclear(_))
            if s.request.is_being_deleted() && s.now.earliest >= expires =>
        {
            None
        }
        Some(SecretFound::Unclear(why)) => Some(why),
        _ => None,
    }
}

/// Says that the Secret may still be there, and tries again.
fn secret_stays(s: &Situation, why: &str) -> Step {
    let message = format!("the Secret could not be deleted: {why}; it is tried again");
    let stays = Report::new(s, s.request.phase(), Reason::SecretStays, &message)
        .reconciling(Reason::SecretStays, &message);
    report(s, stays, Rest::Backoff(None))
}

/// Takes a pass away: what is left to do before it is known to be gone, or the error that stands in the way.
fn remove_pass<'a>(
    s: &Situation<'a>,
    intent: &Intent,
    pass_id: &str,
) -> Option<Result<Step, Obstacle<'a>>> {
    match &s.reads.deleted {
        None => Some(Ok(Step::Act(Action::DeletePass {
            connection: intent.connection.clone(),
            user_id: intent.user_id.clone(),
            pass_id: pass_id.into(),
        }))),
        Some(Ok(())) => None,
        // A pass that was just made may be unknown to the server that was asked; an old one is gone.
        Some(Err(error)) if error.is_not_found() => {
            let settled = s.now.earliest >= intent.listed_at + POST_WINDOW + s.settings.settle;
            (!settled).then_some(Err(Obstacle::NotYetKnown))
        }
        Some(Err(error)) => Some(Err(Obstacle::Graph(error))),
    }
}

/// What stands in the way of deleting a pass.
enum Obstacle<'a> {
    /// Graph does not know the pass yet.
    NotYetKnown,
    /// Graph could not be told.
    Graph(&'a GraphError),
}

impl Obstacle<'_> {
    fn sentence(&self) -> String {
        match self {
            Self::NotYetKnown => {
                "Graph does not know the pass yet; it is deleted again until it does".into()
            }
            Self::Graph(error) => error.to_string(),
        }
    }

    fn rest(&self) -> Rest {
        match self {
            Self::NotYetKnown => Rest::For(SignedDuration::from_secs(10)),
            Self::Graph(error) => rest_after(error),
        }
    }
}

/// How long to wait after a failed call to the tenant.
fn rest_after(error: &GraphError) -> Rest {
    let wait = |d: std::time::Duration| {
        SignedDuration::try_from(d).unwrap_or(SignedDuration::from_secs(60))
    };
    match error.advice() {
        Advice::Retry { after } => Rest::Backoff(after.map(wait)),
        Advice::Wait | Advice::Stop => Rest::For(SignedDuration::from_secs(60)),
    }
}

/// Whether a failed call waits for a human.
fn needs_a_human(error: &GraphError) -> bool {
    !matches!(error.advice(), Advice::Retry { .. })
}
