//! A request without a pass: towards the issue, or to an end without one.

use jiff::{SignedDuration, Timestamp};

use super::situation::{
    Cause, Grounds, Known, Listing, Place, SecretFound, Situation, Turn, Unlisted,
};
use super::step::{Action, Look, Rest, Step};
use super::{
    Ending, ending, left_behind, needs_a_human, remove_secret, report, rest_after, secret_stays,
};
use crate::api::{DecisionKind, OnExistingPass, Phase, Resolved};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::guard::{self, Findings, Verdict};
use crate::decision::intent::{self, Intent, Replaced, Stage};
use crate::decision::report::Report;
use crate::graph::{ErrorKind, GraphError, TapMethod, UsabilityReason};

/// How long before another look at a user who has a pass, or whose turn is another request's.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// How long before another look while another request for the same user is being looked at.
const BUSY: SignedDuration = SignedDuration::from_secs(2);
/// A start less than this ahead is not sent: the pass starts when it is made.
const START_SENT: SignedDuration = SignedDuration::from_secs(60);
/// How long after a failed attempt the next one may be made: as long as attempts have been failing, so that it doubles
/// each time, but at least and at most so long.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(2);
/// How long Graph may refuse a pass before the request fails: new users and just deleted passes are refused at first
/// (reported).
const REFUSALS: SignedDuration = SignedDuration::from_mins(2);

/// The next thing to do for a request that has no pass.
pub(super) fn next(s: &Situation) -> Step {
    if s.request.phase().is_final() {
        return finished(s);
    }
    if s.request.is_being_deleted() {
        // No finalizer of ours: it goes by itself, or when others let it.
        return Step::Rest(Rest::ForChange);
    }
    if intent::is_of_another(s.request) {
        let message =
            "this is a copy restored from a backup: make another request if a pass is needed";
        return end(s, Phase::Failed, Reason::Restored, message);
    }
    if was_released(s) {
        if let Some(step) = remove_secret(s.reads) {
            return step;
        }
        if let Some(why) = left_behind(s, Timestamp::MAX) {
            return secret_stays(s, why);
        }
        let message = "the finalizer was taken off by hand while a pass may have been usable: see that it is deleted in Entra, and make another request if one is needed";
        return end(s, Phase::Failed, Reason::Released, message);
    }
    if let Some(Ending { reason, message }) =
        ending(s).filter(|e| e.reason != Reason::StopRevokesActive)
    {
        return match s
            .request
            .decisions()
            .iter()
            .find(|d| d.decision != DecisionKind::Approve && d.decision != DecisionKind::Revoke)
        {
            Some(denied) => {
                end(s, Phase::Denied, Reason::Denied, format!("denied by {}", denied.by))
            }
            None => end(s, Phase::Revoked, reason, format!("{message} before a pass was issued")),
        };
    }
    let findings = guard::check(s);
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    match &findings.verdict {
        Verdict::Look(look) => Step::Look(look.clone()),
        Verdict::TooLate => {
            let message = format!(
                "the request was not issued by {:.0}: make another one if a pass is still needed",
                findings.deadline
            );
            report(
                s,
                Report::new(s, Phase::Expired, Reason::NotIssuedInTime, message)
                    .findings(&findings),
                Rest::ForChange,
            )
        }
        Verdict::Fail(reason, message) => report(
            s,
            Report::new(s, Phase::Failed, *reason, message).findings(&findings),
            Rest::ForChange,
        ),
        Verdict::Wait(reason, message, again) => {
            pending(s, &findings, *reason, message, until(again.map_or(Rest::ForChange, Rest::For)))
        }
        // Who has said what it waits for says nothing of it: requests would tell each other so for ever.
        Verdict::Contested(_) if has_said_what_it_waits_for(s) => {
            Step::Rest(until(Rest::For(guard::QUOTA_AGAIN)))
        }
        Verdict::Contested(message) => {
            let rest = until(Rest::For(guard::QUOTA_AGAIN));
            pending(s, &findings, Reason::QuotaReached, message, rest)
        }
        Verdict::Unknown(error) => unanswered(s, &findings, error, until(rest_after(error))),
        Verdict::AwaitApproval(message) => {
            let waiting =
                Report::new(s, Phase::AwaitingApproval, Reason::AwaitingApproval, message)
                    .findings(&findings);
            report(s, waiting, until(Rest::ForChange))
        }
        Verdict::Schedule(from) => {
            let message = format!("the pass is issued at {from:.0}");
            let waiting =
                Report::new(s, Phase::Scheduled, Reason::Scheduled, message).findings(&findings);
            report(s, waiting, until(Rest::Until(*from)))
        }
        Verdict::Issue => to_the_post(s, &findings),
    }
}

/// Everything admits the pass: is it this request's turn, is there no other pass, and a place for the Secret?
fn to_the_post(s: &Situation, findings: &Findings) -> Step {
    let (Some(resolved), Some(connection)) = (&findings.resolved, s.connection) else {
        return Step::Rest(Rest::ForChange);
    };
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    if let Some(step) = after_setback(s, findings) {
        return step;
    }
    if !s.lease_is_fresh {
        return Step::Rest(Rest::For(SignedDuration::from_secs(2)));
    }
    match &s.reads.turn {
        None => {
            return Step::Look(Look::Turn {
                tenant_id: resolved.tenant_id.clone(),
                user_id: resolved.user_id.clone(),
            });
        }
        // Nothing is said about it: requests that wait for the same user would tell each other so for ever.
        Some(Turn::Busy) => return Step::Rest(Rest::For(BUSY)),
        Some(Turn::Of(other)) => {
            let message = format!("request {other} for the same user is being issued first");
            return pending(
                s,
                findings,
                Reason::AnotherRequest,
                &message,
                until(Rest::For(SignedDuration::from_secs(5))),
            );
        }
        Some(Turn::Ours) => {}
    }
    match &s.reads.place {
        None => return Step::Look(Look::Place),
        Some(Place::Free) => {}
        Some(Place::Taken) => return taken(s, findings),
        Some(Place::Refused(why)) => {
            let message = format!("the API server refuses the Secret: {why}");
            return pending(
                s,
                findings,
                Reason::SecretRefused,
                &message,
                until(Rest::Backoff(None)),
            );
        }
    }
    // The list comes last: the POST must follow it within seconds.
    let listing = match &s.reads.passes {
        None => {
            return Step::Look(Look::Passes {
                connection: connection.name.clone(),
                user_id: resolved.user_id.clone(),
            });
        }
        // A new user may be there before they can have passes (reported).
        Some(Err(error)) if error.is_not_found() => {
            let name = &resolved.user_principal_name;
            let message = format!(
                "Graph has the user {name}, and not yet their authentication methods; they are looked up again: new users take a while to show everywhere"
            );
            let rest = until(Rest::For(AGAIN));
            return pending(s, findings, Reason::UserNotFound, &message, rest);
        }
        Some(Err(error)) => return unanswered(s, findings, error, until(rest_after(error))),
        Some(Ok(listing)) => listing,
    };
    let replaces = match existing(s, findings, listing) {
        Ok(replaces) => replaces,
        Err(step) => return step,
    };
    let intent = attempt(s, &connection.name, resolved, listing, replaces);
    let grounds = Grounds {
        checks: findings.checks.clone(),
        approvals: findings.approvals.clone(),
        policy_generation: s.policy.generation(),
    };
    Step::Act(Action::RecordIntent(Box::new(intent), grounds))
}

/// There is a Secret of the request's name. One of ours holds nothing that is of use: it is of an attempt that was
/// taken back, or of a request that had the name before.
fn taken(s: &Situation, findings: &Findings) -> Step {
    match &s.reads.secret {
        None => Step::Look(Look::Secret),
        Some(SecretFound::Ours(uid)) => Step::Act(Action::DeleteSecret(uid.clone())),
        Some(SecretFound::Absent | SecretFound::Deleted) => Step::Rest(Rest::For(PAUSE)),
        Some(SecretFound::Unclear(why)) => {
            let message =
                format!("a Secret of that name is there, and it cannot be told whose: {why}");
            let rest = Rest::Backoff(None).or_until(findings.deadline, s.now.earliest);
            pending(s, findings, Reason::SecretRefused, &message, rest)
        }
        Some(SecretFound::Foreign) => {
            let name = s.request.metadata.name.as_deref().unwrap_or_default();
            let message = format!(
                "a Secret named {name} exists already and is not this request's: delete it or make a request of another name"
            );
            let failed = Report::new(s, Phase::Failed, Reason::SecretNameTaken, message);
            report(s, failed.findings(findings), Rest::ForChange)
        }
    }
}

/// The last attempt failed: wait a little, or give up when Graph keeps on refusing.
fn after_setback(s: &Situation, findings: &Findings) -> Option<Step> {
    let setback = s.memory.setback.as_ref()?;
    let grown = setback.last.duration_since(setback.since).clamp(PAUSE, LONGEST_PAUSE);
    let (reason, message, pause, refused) = match &setback.cause {
        Cause::HeldBack => {
            let message = "the last attempt was given up before the pass was asked for (a stop, a suspension, missing admission policies, a lost lease or a slow server); the next one follows";
            (Reason::HeldBack, message.to_owned(), PAUSE, false)
        }
        Cause::Secret(why) => {
            (Reason::SecretRefused, format!("the Secret could not be created: {why}"), grown, false)
        }
        Cause::Graph(error) => {
            let asked = error.retry_after.and_then(|d| SignedDuration::try_from(d).ok());
            let refused = matches!(error.kind, ErrorKind::BadRequest | ErrorKind::NotFound);
            let reason = if refused { Reason::RefusedByTenant } else { Reason::of(error) };
            (reason, error.to_string(), asked.unwrap_or(grown).max(grown), refused)
        }
    };
    if refused && setback.last.duration_since(setback.since) >= REFUSALS {
        return Some(report(
            s,
            Report::new(s, Phase::Failed, reason, message).findings(findings),
            Rest::ForChange,
        ));
    }
    let again = later(setback.last, pause);
    let rest = Rest::Until(again).or_until(findings.deadline, s.now.earliest);
    (s.now.earliest < again).then(|| pending(s, findings, reason, &message, rest))
}

/// What to do about a live pass that was not issued for this request: replace it, or not go on.
fn existing(
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
        owner.as_ref().map_or("that somebody else made".to_owned(), |o| format!("of request {o}"));
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    match s.request.spec.on_existing_pass.unwrap_or_default() {
        OnExistingPass::Replace => Ok(Some(Replaced { pass_id: pass.id.clone(), request: owner })),
        OnExistingPass::Wait => {
            let message =
                format!("the user has a live pass {whose}; this one is issued when that has ended");
            Err(pending(s, findings, Reason::ExistingPass, &message, until(Rest::For(AGAIN))))
        }
        OnExistingPass::Refuse | OnExistingPass::Unknown => {
            // A list may lag behind a deletion: a pass that nobody records must be seen twice.
            let seen = s.memory.existing.as_ref().filter(|(id, _)| *id == pass.id);
            let certain =
                owner.is_some() || seen.is_some_and(|(_, told)| told.is_certain(s.settings.settle));
            if certain {
                let message = format!(
                    "the user has a live pass {whose}: make another request with onExistingPass Wait or Replace, or when that has ended"
                );
                return Err(report(
                    s,
                    Report::new(s, Phase::Failed, Reason::ExistingPass, message).findings(findings),
                    Rest::ForChange,
                ));
            }
            let message = format!(
                "the user has a live pass {whose}; it is looked at once more before the request fails"
            );
            Err(pending(s, findings, Reason::ExistingPass, &message, until(Rest::For(AGAIN))))
        }
    }
}

/// The list shows no live pass. One that was just made for another request may be missing, and is no less live: only the
/// next lists can tell whether somebody removed it.
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
        "a pass of request {request} for the same user was just made, and Graph does not list it yet; it is looked at once more"
    );
    let rest = Rest::For(AGAIN).or_until(findings.deadline, s.now.earliest);
    Err(pending(s, findings, Reason::ExistingPass, &message, rest))
}

/// The live pass in a list that is not known to be gone.
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
    match (pass.start, pass.lifetime_minutes) {
        (Some(start), Some(minutes)) => {
            now < later(start, SignedDuration::from_mins(i64::from(minutes)))
        }
        _ => true,
    }
}

fn attempt(
    s: &Situation,
    connection: &str,
    resolved: &Resolved,
    listing: &Listing,
    replaces: Option<Replaced>,
) -> Intent {
    let start =
        s.request.spec.start_time.as_ref().map(|t| t.0).filter(|t| *t > s.now.latest + START_SENT);
    let lifetime_minutes = resolved.lifetime.minutes().unwrap_or(0);
    let latest_start = later(start.unwrap_or(listing.date).max(listing.date), s.settings.settle);
    let before =
        Intent::of(s.request).filter(|i| Some(i.uid.as_str()) == s.request.metadata.uid.as_deref());
    // What a lost attempt of ours replaced is not listed any more, and its request must still learn by whom.
    let replaces = replaces.or_else(|| before.as_ref()?.replaces.clone());
    Intent {
        uid: s.request.metadata.uid.clone().unwrap_or_default(),
        attempt: s.new_attempt.into(),
        number: before.map_or(1, |i| i.number.saturating_add(1)),
        holder: s.holder.into(),
        tenant_id: resolved.tenant_id.clone(),
        connection: connection.into(),
        user_id: resolved.user_id.clone(),
        user_principal_name: resolved.user_principal_name.clone(),
        lifetime_minutes,
        one_time_use: resolved.one_time_use,
        start,
        latest_expiry: later(latest_start, SignedDuration::from_mins(i64::from(lifetime_minutes))),
        listed: listing.passes.iter().map(|p| p.id.clone()).collect(),
        listed_at: listing.date,
        replaces,
        stage: Stage::Issuing,
    }
}

/// Whether somebody took the finalizer off while a pass may have existed.
fn was_released(s: &Situation) -> bool {
    s.request.phase() == Phase::Active || Intent::of(s.request).is_some_and(|i| i.is_open())
}

/// Whether what is said is not over: it comes with the quota, or after it.
fn has_said_what_it_waits_for(s: &Situation) -> bool {
    const STANDS: [Reason; 6] = [
        Reason::QuotaReached,
        Reason::AnotherRequest,
        Reason::ExistingPass,
        Reason::SecretRefused,
        Reason::HeldBack,
        Reason::RefusedByTenant,
    ];
    let said = s.request.ready().map(|ready| ready.reason.as_str());
    s.request.phase() == Phase::Pending
        && said.is_some_and(|said| STANDS.iter().any(|reason| reason.as_str() == said))
}

fn pending(s: &Situation, findings: &Findings, reason: Reason, message: &str, rest: Rest) -> Step {
    let waiting = Report::new(s, Phase::Pending, reason, message)
        .findings(findings)
        .reconciling(reason, message);
    report(s, waiting, rest)
}

/// The tenant gave no answer: somebody must act, or it is asked again.
fn unanswered(s: &Situation, findings: &Findings, error: &GraphError, rest: Rest) -> Step {
    let (reason, message) = (Reason::of(error), error.to_string());
    let waiting = Report::new(s, Phase::Pending, reason, &message).findings(findings);
    let waiting =
        if needs_a_human(error) { waiting.stalled() } else { waiting.reconciling(reason, message) };
    report(s, waiting, rest)
}

fn end(s: &Situation, phase: Phase, reason: Reason, message: impl Into<String>) -> Step {
    report(s, Report::new(s, phase, reason, message), Rest::ForChange)
}

/// A finished request stays as a record, or goes when its time to live is over.
fn finished(s: &Situation) -> Step {
    let spec = &s.request.spec;
    let status = s.request.status.as_ref();
    let (Some(ttl), Some(start), Some(finished)) = (
        &spec.ttl_after_finished,
        &spec.start_time,
        status.and_then(|status| status.finished_at.as_ref()),
    ) else {
        return Step::Rest(Rest::ForChange);
    };
    let lifetime = status
        .and_then(|status| status.resolved.as_ref())
        .map(|r| &r.lifetime)
        .or(spec.lifetime.as_ref())
        .and_then(|l| l.duration().ok())
        .unwrap_or(SignedDuration::from_hours(1));
    let Ok(ttl) = ttl.duration() else { return Step::Rest(Rest::ForChange) };
    let due = later(finished.0.max(later(start.0, lifetime)), ttl);
    if s.request.is_being_deleted() {
        Step::Rest(Rest::ForChange)
    } else if s.now.earliest >= due {
        Step::Act(Action::DeleteRequest)
    } else {
        Step::Rest(Rest::Until(due))
    }
}
