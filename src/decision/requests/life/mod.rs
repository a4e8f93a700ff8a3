//! The life of a request: from what is known about it to its next step.
//!
//! A request without the finalizer has no pass; [`seek`] leads it towards one. With the finalizer a live pass may exist.
//! There are three cases: this process just armed or sent the attempt, and knows its progress ([`issue`]); the pass is
//! recorded in the status ([`tend`]); or the outcome is unknown, because a process died or an answer was lost
//! ([`recover`]).

mod existing;
mod issue;
mod recover;
mod seek;
mod setback;
mod tend;
mod unreadable;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

pub use self::existing::existing_pass;
pub use self::unreadable::latest_expiry;
use crate::api::{Decision, DecisionKind, Pass, Phase, TapRequest, TapRequestStatus};
use crate::decision::Reason;
use crate::decision::ids::UserKey;
use crate::decision::intent::{self, Intent, POST_WINDOW, has_ended, has_finalizer};
use crate::decision::quota::Bounds;
use crate::decision::report::Report;
use crate::decision::situation::{Progress, Reads, SecretFound, Situation, Stop, Written};
use crate::decision::step::{Action, Question, Rest, Step};
use crate::entra::{Advice, GraphError};

/// What is decided for a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decided {
    /// The state machine must say first what is known that would prevent a pass for this user, within these bounds.
    Foreseen(UserKey, Bounds),
    /// The state machine must say first what is known of other passes for this user.
    Neighbours(UserKey),
    /// The state machine must say first whether it is the request's turn to issue for this user.
    Turn(UserKey),
    /// The state machine must say first whether one more pass is within these bounds of the policy's quota.
    Slot(Bounds),
    /// The state machine must say first whether the API server writes Secrets.
    Secrets,
    /// The state machine must forget first what was read of the tenant and the user, because it is too old.
    Facts,
    /// The state machine must say first whether the recorded pass may be deleted now in the tenant with this id.
    Deletion(String),
    /// Forget Graph's answer that this process holds, because its pass is gone or recorded.
    Forget,
    /// The next step.
    Step(Step),
}

impl From<Step> for Decided {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

/// Decides what is next for a request.
pub(super) fn next(s: &Situation) -> Decided {
    let intent = Intent::of(s.request);
    let ours = intent.filter(|i| s.request.metadata.uid.as_deref() == Some(&i.uid));
    if let Some(step) = drop_what_was_superseded(s, ours.as_ref()) {
        return step;
    }
    if refused(s, Written::Release).is_some() {
        // The shell tells of it. A status would outlive it, for nothing is written after the release.
        return Step::Rest(Rest::Backoff(None)).into();
    }
    if intent::is_unreadable(s.request) && !s.request.phase().is_final() {
        return unreadable::next(s).into();
    }
    if !has_finalizer(s.request) {
        return seek::next(s);
    }
    match ours {
        // A finalizer without an intent of this object protects no pass: it came with a restored copy, or from outside.
        None => Step::Act(Action::Release(None)).into(),
        Some(intent) if !intent.is_open() || has_ended(s.request) => release(&intent).into(),
        Some(intent) => in_custody(s, &intent),
    }
}

fn in_custody(s: &Situation, intent: &Intent) -> Decided {
    if let Some(pass) = recorded(s, intent) {
        // The answer to the write that recorded it was lost.
        if s.memory.attempt.is_some() {
            return Decided::Forget;
        }
        return tend::next(s, intent, pass);
    }
    match s.memory.attempt.as_ref().filter(|a| a.intent.attempt == intent.attempt) {
        Some(attempt) => match &attempt.progress {
            Progress::Armed => issue::before_post(s, intent, attempt).into(),
            Progress::Held(held) => issue::after_post(s, intent, attempt, held),
            Progress::Void => release(intent).into(),
            Progress::Sent => recover::next(s, intent, true).into(),
        },
        None => recover::next(s, intent, false).into(),
    }
}

/// The pass of an attempt, if the status records it.
fn recorded<'a>(s: &Situation<'a>, intent: &Intent) -> Option<&'a Pass> {
    let pass = s.request.status.as_ref()?.pass.as_ref()?;
    (pass.client_request_id == intent.attempt).then_some(pass)
}

/// Takes back what an attempt made whose answer this process holds, if the request has moved on to another attempt or does
/// not exist any more.
fn drop_what_was_superseded(s: &Situation, ours: Option<&Intent>) -> Option<Decided> {
    let attempt = s.memory.attempt.as_ref()?;
    let Progress::Held(held) = &attempt.progress else { return None };
    let current = ours
        .filter(|i| i.is_open() && has_finalizer(s.request))
        .is_some_and(|i| i.attempt == attempt.intent.attempt);
    if current {
        return None;
    }
    // The pass was delivered and recorded, and has ended since.
    if recorded(s, &attempt.intent).is_some() && s.request.phase() != Phase::Active {
        return Some(Decided::Forget);
    }
    Some(issue::undo(s, &attempt.intent, held).map_or(Decided::Forget, Decided::Step))
}

fn release(intent: &Intent) -> Step {
    Step::Act(Action::Release(Some(Box::new(intent.closed()))))
}

/// Writes the status if it differs, else rests.
fn report(s: &Situation, report: Report, rest: Rest) -> Step {
    write_or(s, report.finish(), Step::Rest(rest))
}

fn write_or(s: &Situation, status: TapRequestStatus, otherwise: Step) -> Step {
    if s.request.status.as_ref() == Some(&status) {
        otherwise
    } else if refused(s, Written::Status).is_none() {
        Step::Act(Action::WriteStatus(Box::new(status)))
    } else if s.request.is_being_deleted() {
        otherwise
    } else {
        // The shell tells of it, for the status cannot.
        let expires = expiry(s).filter(|at| s.now.earliest < *at);
        let again = Rest::Backoff(None);
        Step::Rest(expires.map_or(again, |expires| again.or_until(expires, s.now.earliest)))
    }
}

/// When the pass expires that is recorded, or that this process holds.
fn expiry(s: &Situation) -> Option<Timestamp> {
    let recorded = s.request.status.as_ref().and_then(|status| status.pass.as_ref());
    recorded.map(|pass| pass.expiration_time.0).or_else(|| {
        let Progress::Held(held) = &s.memory.attempt.as_ref()?.progress else { return None };
        Some(held.expires)
    })
}

/// Why a write of this kind was refused; the API server's message.
fn refused<'a>(s: &Situation<'a>, what: Written) -> Option<&'a str> {
    let refused = s.reads.refused.as_ref().filter(|refused| refused.what == what)?;
    Some(&refused.why)
}

/// What a request says for which no attempt may be recorded.
fn unrecordable(why: &str) -> String {
    format!(
        "the API server refuses to record the attempt: {why}; it is recorded before anything is done in the tenant"
    )
}

/// Why a pass must be taken away, or must not be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    reason: Reason,
    message: String,
}

/// Why the pass must be taken away or not issued; `None` if it need not.
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
            message: format!("{} after the pass was issued", said_by("denied", denied)),
        });
    }
    if let Some(revoked) = said(DecisionKind::Revoke) {
        return Some(Ending { reason: Reason::Revoked, message: said_by("revoked", revoked) });
    }
    // A revocation that has begun is completed even if the stop is lifted meanwhile: the Secret with the code is gone.
    if s.stop == Stop::RevokeActive || is_being_revoked(s.request) {
        let message = "the ConfigMap tap-operator-stop revokes all active passes".into();
        return Some(Ending { reason: Reason::StopRevokesActive, message });
    }
    None
}

/// Who made a decision, and why, as far as they say.
fn said_by(what: &str, decision: &Decision) -> String {
    let by = &decision.by;
    match decision.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{what} by {by}: {comment:?}"),
        None => format!("{what} by {by}"),
    }
}

/// Whether a revocation has deleted the Secret, but not yet the pass.
pub(super) fn is_being_revoked(request: &TapRequest) -> bool {
    request.phase() == Phase::Active
        && request.ready().is_some_and(|ready| ready.reason == Reason::Revoking.as_str())
}

/// The next step to take the Secret away. `None` if it is gone, or if the API server does not let the operator delete it:
/// then the caller goes on with the rest (see [`left_behind`]).
fn remove_secret(reads: &Reads) -> Option<Step> {
    match &reads.secret {
        None => Some(Step::Ask(vec![Question::Secret])),
        Some(SecretFound::Ours(uid)) => Some(Step::Act(Action::DeleteSecret(uid.clone()))),
        // Foreign Secrets stay.
        Some(
            SecretFound::Absent
            | SecretFound::Deleted
            | SecretFound::Foreign
            | SecretFound::Unclear(_),
        ) => None,
    }
}

/// Why the Secret may still exist, although everything was done to take it away. From `expires` on its code is worthless, so a
/// deleted request does not wait for its Secret: garbage collection deletes that, too.
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

/// What was begun is not finished yet, for this reason: the request stays in its phase, and is not ready.
fn unfinished<'a>(s: &Situation<'a>, reason: Reason, message: &str) -> Report<'a> {
    Report::new(s, s.request.phase(), reason, message).not_ready().reconciling(reason, message)
}

/// Reports that the Secret may still exist, and tries again.
fn secret_stays(s: &Situation, why: &str) -> Step {
    let name = s.request.name_any();
    let message = format!("Secret {name} could not be deleted: {why}; the operator tries again");
    let stays = Report::new(s, s.request.phase(), Reason::SecretStays, &message)
        .reconciling(Reason::SecretStays, &message);
    report(s, stays, Rest::Backoff(None))
}

/// The next step to delete a pass, or what prevents that for now. `None` if it is gone.
fn remove_pass<'a>(
    s: &Situation<'a>,
    intent: &Intent,
    pass_id: &str,
) -> Option<Result<Step, Obstacle<'a>>> {
    let connections = intent.route().connections(s.connections);
    if connections.is_empty() {
        return Some(Err(Obstacle::Unreached(intent.route().unreached())));
    }
    match &s.reads.deleted {
        None => Some(Ok(Step::Act(Action::DeletePass {
            connections,
            user_id: intent.user_id.clone(),
            pass_id: pass_id.into(),
        }))),
        Some(Ok(())) => None,
        // Graph may answer 404 for a pass that was just created. An older one is gone.
        Some(Err(error)) if error.is_not_found() => {
            let settled = s.now.earliest >= intent.listed_at + POST_WINDOW + s.settings.settle;
            (!settled).then_some(Err(Obstacle::NotYetKnown))
        }
        Some(Err(error)) => Some(Err(Obstacle::Graph(error))),
    }
}

/// How long to wait before a pass is deleted again that Graph could not delete. Few of a tenant are deleted at once.
const GRAPH_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Why a pass could not be deleted yet.
enum Obstacle<'a> {
    /// Passes of other requests of its tenant are being deleted first.
    InTurn,
    /// Graph does not know the new pass yet.
    NotYetKnown,
    /// The call failed.
    Graph(&'a GraphError),
    /// No connection leads to its tenant; the text says so.
    Unreached(String),
}

impl Obstacle<'_> {
    fn sentence(&self) -> String {
        match self {
            Self::InTurn => "passes of other requests are being deleted first".into(),
            Self::NotYetKnown => {
                "Graph does not know the new pass yet; the operator deletes it again soon".into()
            }
            Self::Graph(error) => error.to_string(),
            Self::Unreached(sentence) => sentence.clone(),
        }
    }

    fn rest(&self) -> Rest {
        match self {
            Self::NotYetKnown => Rest::For(SignedDuration::from_secs(10)),
            // Graph that is back is noticed soon: what must be revoked does not wait for a backoff that has grown.
            Self::Graph(error) => match Rest::after(error) {
                Rest::Backoff(least) => Rest::For(least.unwrap_or(GRAPH_AGAIN).max(GRAPH_AGAIN)),
                rest => rest,
            },
            // The state machine calls when it is its turn. Only another configuration leads to a tenant that none reaches, and
            // the process reads it when it starts.
            Self::InTurn | Self::Unreached(_) => Rest::ForChange,
        }
    }
}

/// Whether a failed call needs somebody to act before it can succeed.
fn needs_a_human(error: &GraphError) -> bool {
    !matches!(error.advice(), Advice::Retry { .. })
}
