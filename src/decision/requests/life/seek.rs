//! A request without a pass: from its checks to the recorded intent, or to an end without a pass.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::existing::{FOREIGN, existing, waits_for_its_end};
use super::setback::after_setback;
use super::{
    Decided, Ending, ending, left_behind, needs_a_human, refused, remove_secret, report, said_by,
    secret_stays, unrecordable,
};
use crate::api::{DecisionKind, OnExistingPass, Phase, Resolved};
use crate::decision::Reason;
use crate::decision::checks::{self, Findings, Obstacle, Verdict};
use crate::decision::clock::later;
use crate::decision::ids::UserKey;
use crate::decision::intent::{self, Intent, Replaced, Stage};
use crate::decision::report::Report;
use crate::decision::requests::observed::leaves_at;
use crate::decision::situation::{
    Connection, Grounds, Listing, Neighbours, PAUSE, SecretDryRun, SecretFound, Secrets, Situation,
    Turn, Written,
};
use crate::decision::step::{Action, Question, Rest, Step};
use crate::entra::GraphError;

/// How long to wait before listing the passes of a user again.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// How long to wait after a start until all attempts of earlier processes are known.
const START_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How long to wait while the lease is not fresh.
const LEASE_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// A start that is not further ahead than this is not sent: the pass starts when it is created.
const START_SENT: SignedDuration = SignedDuration::from_secs(60);

/// Decides what is next for a request that has no pass.
pub(super) fn next(s: &Situation) -> Decided {
    if s.request.phase().is_final() {
        return finished(s).into();
    }
    if let Some(step) = without_checks(s) {
        return step.into();
    }
    let findings = checks::check(s);
    match &findings.verdict {
        Verdict::Ask(questions) => Step::Ask(questions.clone()).into(),
        Verdict::AskOnTheWay(questions) => ask_on_the_way(s, &findings, questions),
        Verdict::Slot(bounds) => Decided::Slot(*bounds),
        Verdict::Secrets => Decided::Secrets,
        Verdict::Foreseen(user, bounds) => Decided::Foreseen(user.clone(), *bounds),
        Verdict::Neighbours(user) => Decided::Neighbours(user.clone()),
        Verdict::Issue => to_the_post(s, &findings),
        Verdict::Not(obstacle) => not_now(s, &findings, obstacle).into(),
    }
}

/// The next step if it does not depend on the checks.
fn without_checks(s: &Situation) -> Option<Step> {
    if s.request.is_being_deleted() {
        // It does not have our finalizer, so the API server removes it once the finalizers of others are gone.
        return Some(Step::Rest(Rest::ForChange));
    }
    if intent::is_of_another(s.request) {
        let message =
            "this is a copy restored from a backup: make another request if a pass is needed";
        return Some(end(s, Phase::Failed, Reason::Restored, message));
    }
    if let Some(step) = ended_untold(s) {
        return Some(step);
    }
    if was_released(s) {
        if let Some(step) = remove_secret(s.reads) {
            return Some(step);
        }
        if let Some(why) = left_behind(s, Timestamp::MAX) {
            return Some(secret_stays(s, why));
        }
        let message = "somebody removed the finalizer while a pass may have been usable: make sure that the pass is deleted in Entra, and make another request if one is needed";
        return Some(end(s, Phase::Failed, Reason::Released, message));
    }
    if let Some(Ending { reason, message }) =
        ending(s).filter(|e| e.reason != Reason::StopRevokesActive)
    {
        return Some(
            match s
                .request
                .decisions()
                .iter()
                .find(|d| d.decision != DecisionKind::Approve && d.decision != DecisionKind::Revoke)
            {
                Some(denied) => {
                    let message = format!(
                        "{}: if that can be settled, make another request under another name",
                        said_by("denied", denied)
                    );
                    end(s, Phase::Denied, Reason::Denied, message)
                }
                None => {
                    end(s, Phase::Revoked, reason, format!("{message} before a pass was issued"))
                }
            },
        );
    }
    None
}

/// The next step if the pass may not be issued, or not yet.
fn not_now(s: &Situation, findings: &Findings, obstacle: &Obstacle) -> Step {
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    match obstacle {
        Obstacle::TooLate => {
            let message = format!(
                "no pass was issued by {:.0}: make another request if one is still needed",
                findings.deadline
            );
            report(
                s,
                Report::new(s, Phase::Expired, Reason::NotIssuedInTime, message).findings(findings),
                Rest::ForChange,
            )
        }
        Obstacle::Fail(reason, message) => match &s.reads.brakes {
            // It is final, and the policy as it is known may be older than the request: both may be of one commit.
            None if s.policy.version().is_some() => Step::Ask(vec![Question::Brakes]),
            Some(brakes) if brakes.policy != s.policy.version() => {
                Step::Rest(until(Rest::Backoff(None)))
            }
            _ => report(
                s,
                Report::new(s, Phase::Failed, *reason, message).findings(findings),
                Rest::ForChange,
            ),
        },
        Obstacle::Wait(reason, message, again) => {
            pending(s, findings, *reason, message, until(again.map_or(Rest::ForChange, Rest::For)))
        }
        Obstacle::Later(reason, message, at) => {
            pending(s, findings, *reason, message, until(Rest::Until(*at)))
        }
        // The reason already shown is kept, or contending requests would rewrite each other's status for ever.
        Obstacle::Contested(_) if shows_what_it_waits_for(s) => {
            Step::Rest(until(Rest::For(checks::QUOTA_AGAIN)))
        }
        Obstacle::Contested(message) => {
            let rest = until(Rest::For(checks::QUOTA_AGAIN));
            pending(s, findings, Reason::QuotaReached, message, rest)
        }
        Obstacle::StillSo(again) => Step::Rest(until(Rest::Until(*again))),
        Obstacle::Unknown(error) => unanswered(s, findings, error, until(Rest::after(error))),
        Obstacle::AwaitApproval(message) => {
            let waiting =
                Report::new(s, Phase::AwaitingApproval, Reason::AwaitingApproval, message)
                    .findings(findings);
            report(s, waiting, until(Rest::ForChange))
        }
        Obstacle::Schedule(from) => {
            let message = format!("the pass will be issued at {from:.0}");
            let waiting =
                Report::new(s, Phase::Scheduled, Reason::Scheduled, message).findings(findings);
            report(s, waiting, until(Rest::Until(*from)))
        }
    }
}

/// The checks wait for these answers alone. What is read after them is read at the same time, if it may be read already: each
/// wait for Graph is one that a person sees.
fn ask_on_the_way(s: &Situation, findings: &Findings, questions: &[Question]) -> Decided {
    let mut questions = questions.to_vec();
    if let (Some(resolved), Some(connection)) = (&findings.resolved, s.connection) {
        match up_to_the_list(s, findings, resolved) {
            Ok(user) => questions.extend(questions_before_the_post(s, connection, user)),
            // The answers come first: they may end the request.
            Err(Decided::Step(_)) => {}
            Err(not_known_yet) => return not_known_yet,
        }
    }
    Step::Ask(questions).into()
}

/// The checks admit the pass. It must also be this request's turn, the API server must accept the Secret, and the user must
/// have no other live pass.
fn to_the_post(s: &Situation, findings: &Findings) -> Decided {
    let (Some(resolved), Some(connection)) = (&findings.resolved, s.connection) else {
        return Step::Rest(Rest::ForChange).into();
    };
    let user = match up_to_the_list(s, findings, resolved) {
        Ok(user) => user,
        Err(decided) => return decided,
    };
    let (Some(dry_run), Some(passes)) = (&s.reads.secret_dry_run, passes_of(s, &user)) else {
        return Step::Ask(questions_before_the_post(s, connection, user)).into();
    };
    if s.reads.facts.are_old(s.now) {
        return Decided::Facts;
    }
    match dry_run {
        SecretDryRun::Accepted => with_the_list(s, findings, resolved, connection, passes).into(),
        SecretDryRun::NameTaken => taken(s, findings).into(),
        SecretDryRun::Refused(why) => {
            let name = s.request.name_any();
            let message = format!("the API server refuses to create Secret {name}: {why}");
            let rest = Rest::Backoff(None).or_until(findings.deadline, s.now.earliest);
            pending(s, findings, Reason::SecretRefused, &message, rest).into()
        }
    }
}

/// The list of the user's passes, if it was read.
fn passes_of<'a>(s: &Situation<'a>, user: &UserKey) -> Option<&'a Result<Listing, GraphError>> {
    let passes = s.reads.passes.as_ref();
    passes.filter(|passes| passes.as_ref().map_or(true, |list| list.user == *user))
}

/// What is still to be read of the user's passes and of the Secret.
fn questions_before_the_post(
    s: &Situation,
    connection: &Connection,
    user: UserKey,
) -> Vec<Question> {
    let is_listed = passes_of(s, &user).is_some();
    let list = Question::Passes { connections: vec![connection.name.clone()], user };
    let dry_run = s.reads.secret_dry_run.is_none().then_some(Question::SecretDryRun);
    dry_run.into_iter().chain((!is_listed).then_some(list)).collect()
}

/// What the state machine knows must not stand in the way, and it must be the request's turn, before the user's passes are
/// listed: the list must show the passes of other requests. Returns the user, or else what is next.
fn up_to_the_list(
    s: &Situation,
    findings: &Findings,
    resolved: &Resolved,
) -> Result<UserKey, Decided> {
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    if let Some(step) = after_setback(s, findings) {
        return Err(step.into());
    }
    if !s.lease_is_fresh {
        return Err(Step::Rest(Rest::For(LEASE_AGAIN)).into());
    }
    match &s.reads.secrets {
        None => return Err(Decided::Secrets),
        Some(Secrets::Unwritable { again }) => {
            let message = "the API server does not create Secrets at the moment; the operator finds out with one request at a time when it does again";
            let rest = until(Rest::Until(*again));
            return Err(pending(s, findings, Reason::SecretRefused, message, rest).into());
        }
        Some(Secrets::Writable) => {}
    }
    let user = UserKey::new(&resolved.tenant_id, &resolved.user_id);
    let waits = s.request.spec.on_existing_pass == Some(OnExistingPass::Wait);
    match &s.reads.facts.neighbours {
        None => return Err(Decided::Neighbours(user)),
        Some(Neighbours::Live(request, time)) if waits => {
            let whose = format!("of {}", s.tell_of(request));
            return Err(waits_for_its_end(s, findings, &whose, until(Rest::Until(*time))).into());
        }
        Some(Neighbours::Listed(time)) if waits => {
            return Err(waits_for_its_end(s, findings, FOREIGN, until(Rest::Until(*time))).into());
        }
        Some(
            Neighbours::InTurn | Neighbours::Live(..) | Neighbours::Listed(_) | Neighbours::None,
        ) => {}
    }
    match &s.reads.facts.turn {
        None => Err(Decided::Turn(user)),
        Some(Turn::NotKnown) => Err(Step::Rest(Rest::For(START_AGAIN)).into()),
        // The status does not mention it, or requests for the same user would rewrite each other's status for ever.
        Some(Turn::Busy) => Err(Step::Rest(until(Rest::For(checks::TURN_AGAIN))).into()),
        Some(Turn::Of(other)) => {
            let message = format!("{} for the same user is being issued first", s.tell_of(other));
            let rest = until(Rest::For(checks::TURN_AGAIN));
            Err(pending(s, findings, Reason::AnotherRequest, &message, rest).into())
        }
        Some(Turn::Ours) => Ok(user),
    }
}

/// Begins the attempt if the user has no other live pass.
fn with_the_list(
    s: &Situation,
    findings: &Findings,
    resolved: &Resolved,
    connection: &Connection,
    passes: &Result<Listing, GraphError>,
) -> Step {
    let until = |rest: Rest| rest.or_until(findings.deadline, s.now.earliest);
    let listing = match passes {
        // A new user may exist before they can have passes (reported).
        Err(error) if error.is_not_found() => {
            let name = &resolved.user_principal_name;
            let message = format!(
                "Graph knows the user {name}, but not their authentication methods yet; the operator looks again: new users take a while to appear everywhere"
            );
            let rest = until(Rest::For(AGAIN));
            return pending(s, findings, Reason::UserNotFound, &message, rest);
        }
        Err(error) => return unanswered(s, findings, error, until(Rest::after(error))),
        Ok(listing) => listing,
    };
    let replaces = match existing(s, findings, listing) {
        Ok(replaces) => replaces,
        Err(step) => return step,
    };
    if let Some(why) = refused(s, Written::Intent) {
        let message = unrecordable(why);
        return pending(s, findings, Reason::WriteRefused, &message, until(Rest::Backoff(None)));
    }
    let intent = attempt(s, connection, resolved, listing, replaces);
    let grounds = Grounds {
        checks: findings.checks.clone(),
        approvals: findings.approvals.clone(),
        people: findings.people.clone(),
        policy: s.policy.version(),
    };
    Step::Act(Action::RecordIntent(Box::new(intent), Box::new(grounds)))
}

/// A Secret of the request's name exists. If it is ours, its code is worthless: it belongs to an attempt that was taken
/// back, or to an earlier request of the same name.
fn taken(s: &Situation, findings: &Findings) -> Step {
    let name = s.request.name_any();
    match &s.reads.secret {
        None => Step::Ask(vec![Question::Secret]),
        Some(SecretFound::Ours(uid)) => Step::Act(Action::DeleteSecret(uid.clone())),
        Some(SecretFound::Absent | SecretFound::Deleted) => Step::Rest(Rest::For(PAUSE)),
        Some(SecretFound::Unclear(why)) => {
            let message = format!(
                "a Secret named {name} exists, and the operator cannot tell whose it is: {why}"
            );
            let rest = Rest::Backoff(None).or_until(findings.deadline, s.now.earliest);
            pending(s, findings, Reason::SecretRefused, &message, rest)
        }
        Some(SecretFound::Foreign) => {
            let message = format!(
                "a Secret named {name} exists already and does not belong to this request: delete it or choose another name, then make another request"
            );
            let findings = findings.failed_for(Reason::SecretNameTaken, &message);
            let failed = Report::new(s, Phase::Failed, Reason::SecretNameTaken, message);
            report(s, failed.findings(&findings), Rest::ForChange)
        }
    }
}

fn attempt(
    s: &Situation,
    connection: &Connection,
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
    // The pass that a lost attempt of ours replaced is not listed any more, but its request must still learn what replaced
    // it.
    let replaces = replaces.or_else(|| before.as_ref()?.replaces.clone());
    Intent {
        uid: s.request.metadata.uid.clone().unwrap_or_default(),
        attempt: s.new_attempt.into(),
        number: before.map_or(1, |i| i.number.saturating_add(1)),
        holder: s.holder.into(),
        tenant_id: resolved.tenant_id.clone(),
        cloud: Some(connection.cloud),
        connection: connection.name.clone(),
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

/// The end of a request that was released without its last status, which the API server refused. See [`super::tend`].
fn ended_untold(s: &Situation) -> Option<Step> {
    let pass = s.request.status.as_ref()?.pass.as_ref()?;
    let is_closed = Intent::of(s.request).is_some_and(|intent| !intent.is_open());
    let is_over = s.request.phase() == Phase::Active && s.now.earliest >= pass.expiration_time.0;
    (is_closed && is_over).then(|| {
        end(s, Phase::Expired, Reason::PassExpired, "the pass expired, and its Secret is gone")
    })
}

/// Whether somebody removed the finalizer while a pass may have existed.
fn was_released(s: &Situation) -> bool {
    s.request.phase() == Phase::Active || Intent::of(s.request).is_some_and(|i| i.is_open())
}

/// Whether the status already shows a reason for waiting that still holds: one that is found together with the quota, or
/// after it.
fn shows_what_it_waits_for(s: &Situation) -> bool {
    const STILL_HOLDS: [Reason; 6] = [
        Reason::QuotaReached,
        Reason::AnotherRequest,
        Reason::ExistingPass,
        Reason::SecretRefused,
        Reason::HeldBack,
        Reason::RefusedByTenant,
    ];
    let shown = s.request.ready().map(|ready| ready.reason.as_str());
    s.request.phase() == Phase::Pending
        && shown.is_some_and(|shown| STILL_HOLDS.iter().any(|reason| reason.as_str() == shown))
}

pub(super) fn pending(
    s: &Situation,
    findings: &Findings,
    reason: Reason,
    message: &str,
    rest: Rest,
) -> Step {
    let waiting = Report::new(s, Phase::Pending, reason, message)
        .findings(&findings.but_for(reason, message))
        .reconciling(reason, message);
    report(s, waiting, rest)
}

/// A call to the tenant failed: somebody must act, or it is repeated.
pub(super) fn unanswered(
    s: &Situation,
    findings: &Findings,
    error: &GraphError,
    rest: Rest,
) -> Step {
    let (reason, message) = (Reason::of(error), error.to_string());
    let waiting = Report::new(s, Phase::Pending, reason, &message).findings(findings);
    let waiting =
        if needs_a_human(error) { waiting.stalled() } else { waiting.reconciling(reason, message) };
    report(s, waiting, rest)
}

fn end(s: &Situation, phase: Phase, reason: Reason, message: impl Into<String>) -> Step {
    report(s, Report::new(s, phase, reason, message), Rest::ForChange)
}

/// A finished request stays as a record, or is deleted when its time to live is over.
fn finished(s: &Situation) -> Step {
    let Some(due) = leaves_at(s.request) else { return Step::Rest(Rest::ForChange) };
    if s.request.is_being_deleted() {
        Step::Rest(Rest::ForChange)
    } else if s.now.earliest >= due {
        Step::Act(Action::DeleteRequest)
    } else {
        Step::Rest(Rest::Until(due))
    }
}
