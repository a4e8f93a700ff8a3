//! Who may have a pass: the checks of a request, in their order, each with its own reason.
//!
//! A check passes, waits (it may pass later), fails for good, or needs something to be read first. The first check that
//! does not pass decides; its message says what would make it pass.

mod approval;
mod ceilings;
mod foreseen;
mod membership;
mod memo;
mod newcomer;
mod patience;
mod people;
mod quota;
mod request;
mod roles;
mod sign_in;
mod tenant;
mod user;

use jiff::{SignedDuration, Timestamp};

pub use self::ceilings::{asks_beyond, completeness_is_required};
pub use self::membership::{groups_to_ask, is_of_one_of};
pub use self::newcomer::asks_for_methods;
pub use self::people::denies_unmapped_people;
pub use self::quota::QUOTA_AGAIN;
pub use self::request::is_empty as is_empty_selector;
pub use self::roles::reads_roles;
pub use self::sign_in::refuses_unusable;
use super::Reason;
use super::clock::later;
use super::ids::UserKey;
use super::quota::Bounds;
use super::situation::{Approvals, Neighbours, Secrets, Situation};
use super::step::Question;
use super::terms::{DEFAULT_TIMEOUT, Terms};
use crate::api::{
    Check, CheckResult, DecisionKind, Issuance, OnExistingPass, PersonFound, Phase, Resolved,
    TapRequest,
};
use crate::entra::{GraphError, PassKind, User};

/// How long to wait before reading the tenant again if its state made the request wait.
const TENANT_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How soon after its creation a request is usually seen. Up to this, clocks need no allowance.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(1);
/// How far the API server's clock may be behind Graph's: as far as Entra lets the clock of a machine be that signs in.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// The results of the checks.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
    /// When the request ends if its pass is not issued by then.
    pub deadline: Timestamp,
    /// Until when the request waits for what time may heal.
    pub patient_until: Timestamp,
    /// The tenant, user, lifetime and kind of pass for which the request asks; absent until the user was found. The
    /// sign-in name is the one that the user has now.
    pub resolved: Option<Resolved>,
    /// The approvals that count; absent until that check was made.
    pub approvals: Option<Approvals>,
    /// Whom of the tenant requester and approvers are.
    pub people: Vec<PersonFound>,
    /// The conclusion from all checks.
    pub verdict: Verdict<'a>,
}

impl Findings<'_> {
    /// The same, where the request waits for something that no check is about: a check of its own says so.
    #[must_use]
    pub fn but_for(&self, reason: Reason, message: &str) -> Self {
        self.with(CheckResult::Waiting, reason, message)
    }

    /// The same, where the request fails because of that.
    #[must_use]
    pub fn failed_for(&self, reason: Reason, message: &str) -> Self {
        self.with(CheckResult::Failed, reason, message)
    }

    fn with(&self, result: CheckResult, reason: Reason, message: &str) -> Self {
        let mut findings = self.clone();
        if matches!(self.verdict, Verdict::Issue) {
            let name = match reason {
                Reason::ExistingPass | Reason::AnotherRequest => "OtherPasses",
                Reason::SecretRefused | Reason::SecretNameTaken => "Secret",
                _ => "Issue",
            };
            let message = Some(message.into());
            findings.checks.retain(|check| check.name != name);
            findings.checks.push(Check { name: name.into(), result, message });
        }
        findings
    }
}

/// The conclusion from all checks.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// The pass may be issued.
    Issue,
    /// All of this must be read first.
    Ask(Vec<Question>),
    /// All of this must be read first, and nothing else stands in the way: the user's passes may be listed meanwhile.
    AskOnTheWay(Vec<Question>),
    /// The state machine must say first whether one more pass is within these bounds of the policy's quota.
    Slot(Bounds),
    /// The state machine must say first what is known that would prevent a pass for this user, within these bounds.
    Foreseen(UserKey, Bounds),
    /// The state machine must say first what is known of other passes for this user.
    Neighbours(UserKey),
    /// The state machine must say first whether the API server writes Secrets.
    Secrets,
    /// The pass may not be issued, or not yet.
    Not(Obstacle<'a>),
}

/// Why a pass may not be issued, or not yet.
#[derive(Clone, Debug)]
pub enum Obstacle<'a> {
    /// Approvals are missing.
    AwaitApproval(String),
    /// The start is not near. The pass may be issued from this time on.
    Schedule(Timestamp),
    /// The pass may be issued later. The checks are made again after this time, if any, and when something changes.
    Wait(Reason, String, Option<SignedDuration>),
    /// The checks are made again at this time, and when something changes.
    Later(Reason, String, Timestamp),
    /// Other requests may be about to use up the policy's quota. The message is shown unless the status already says what
    /// the request waits for.
    Contested(String),
    /// What the status says that the request waits for is still so, as is known without asking Graph. The checks are made
    /// again at this time, and when something changes.
    StillSo(Timestamp),
    /// A call to the tenant failed.
    Unknown(&'a GraphError),
    /// The pass may never be issued for this request.
    Fail(Reason, String),
    /// The deadline has passed.
    TooLate,
}

impl<'a> From<Obstacle<'a>> for Verdict<'a> {
    fn from(obstacle: Obstacle<'a>) -> Self {
        Self::Not(obstacle)
    }
}

/// Runs the checks.
pub fn check<'a>(s: &Situation<'a>) -> Findings<'a> {
    let mut run = Run {
        s: *s,
        checks: Vec::new(),
        deadline: deadline(s),
        resolved: None,
        approvals: None,
        people: Vec::new(),
        not_yet: None,
    };
    let verdict = run.all().unwrap_or_else(|verdict| verdict);
    Findings {
        patient_until: run.patient_until(),
        checks: run.checks,
        deadline: run.deadline,
        resolved: run.resolved,
        approvals: run.approvals,
        people: run.people,
        verdict,
    }
}

/// When a request ends if its pass is not issued by then: the deadline in its status, or else the one that follows from its
/// policy now.
fn deadline(s: &Situation) -> Timestamp {
    if let Some(fixed) = s.request.status.as_ref().and_then(|status| status.deadline.as_ref()) {
        return fixed.0;
    }
    if let Some(start) = &s.request.spec.start_time {
        let asked = s.request.spec.lifetime.as_ref().and_then(|l| l.minutes().ok());
        let minutes = asked.or_else(|| Some(s.terms?.lifetime?.0));
        later(start.0, SignedDuration::from_mins(i64::from(minutes.unwrap_or(60))))
    } else {
        later(first_seen(s), s.terms.map_or(DEFAULT_TIMEOUT, |terms| terms.timeout))
    }
}

/// From when the time of a new request counts: its creation, which the API server's clock says, with an allowance for how far
/// that clock may be behind Graph's. No request ends because of that difference alone.
fn first_seen(s: &Situation) -> Timestamp {
    let (created, now) = (s.request.created(), s.now.earliest);
    if now <= later(created, AT_ONCE) { created } else { now.min(later(created, CLOCKS_APART)) }
}

/// How long to wait for another request for the same user. It wakes those who wait when it ends.
pub const TURN_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// The object id of the user, for a request that passed all checks and waits for another pass for its user.
pub fn contends(request: &TapRequest) -> Option<&str> {
    let ready = request.ready().filter(|_| request.phase() == Phase::Pending)?;
    let waits_for = [Reason::ExistingPass, Reason::AnotherRequest].map(Reason::as_str);
    let resolved = request.status.as_ref()?.resolved.as_ref()?;
    waits_for.contains(&ready.reason.as_str()).then_some(&resolved.user_id)
}

/// Whether a pass may follow from what is read next, as far as the request itself tells: people approved, and it does not wait
/// for the tenant.
pub fn may_be_issued_next(request: &TapRequest, terms: &Terms) -> bool {
    let approved = request.decisions().iter().filter(|d| d.decision == DecisionKind::Approve);
    let waits = request.phase() == Phase::Pending && request.ready().is_some();
    approved.count() >= terms.approvals && !waits && !request.phase().is_final()
}

struct Run<'a> {
    s: Situation<'a>,
    checks: Vec<Check>,
    deadline: Timestamp,
    resolved: Option<Resolved>,
    approvals: Option<Approvals>,
    people: Vec<PersonFound>,
    /// The first thing that prevents the pass and that time may heal.
    not_yet: Option<Obstacle<'a>>,
}

type Checked<'a, T = ()> = Result<T, Verdict<'a>>;

impl<'a> Run<'a> {
    fn all(&mut self) -> Checked<'a, Verdict<'a>> {
        if self.s.now.earliest >= self.deadline {
            let message = format!("the deadline was {:.0}", self.deadline);
            self.note("Deadline", CheckResult::Failed, message);
            return Err(Obstacle::TooLate.into());
        }
        let message = format!("the pass must be issued by {:.0}", self.deadline);
        self.note("Deadline", CheckResult::Passed, message);
        let (policy, issuance, terms) = self.policy()?;
        self.admission()?;
        self.brakes(issuance)?;
        self.namespace(issuance)?;
        self.reason(issuance, terms)?;
        self.start_time(issuance)?;
        let (lifetime, one_time) = self.lifetime(issuance, terms)?;
        self.delivery(issuance)?;
        self.replacement(issuance)?;
        let connection = self.connection(policy)?;
        let tenant_id = &connection.tenant_id;
        self.ceilings_on_request(connection, lifetime)?;
        self.start_is_not_far()?;
        self.neighbours(tenant_id)?;
        self.secrets()?;
        self.domain(issuance)?;
        // Before people are asked to approve. Each reconcile reads anew, so the same checks also bind just before the issue.
        Self::ask([
            self.s.reads.facts.method.is_none().then_some(Question::Method),
            self.s.reads.facts.user.is_none().then(|| self.ask_for_user(tenant_id)),
            self.ask_for_people(),
            self.ask_for_sign_in_rules(issuance),
        ])?;
        self.note_people();
        let method = self.method(lifetime, one_time)?;
        let user = self.user(tenant_id)?;
        self.requester(issuance, user)?;
        self.resolve(tenant_id, user, lifetime, one_time)?;
        let ceiling = connection.ceilings.approvals.unwrap_or(0);
        let approvals = terms.approvals.max(ceiling);
        let kind = PassKind::of(one_time);
        let mut questions = self.questions_about(issuance, connection, method, user);
        questions.extend(self.ask_for_sign_in(issuance, user, kind));
        if !questions.is_empty() {
            let else_admitted = self.ahead(tenant_id, issuance, terms, approvals, user);
            return Err(match else_admitted {
                Ok(()) => Verdict::AskOnTheWay(questions),
                Err(Verdict::Not(_)) => Verdict::Ask(questions),
                Err(not_known_yet) => not_known_yet,
            });
        }
        let groups = self.memberships(issuance, connection, method, user)?;
        self.admitted(issuance, user, groups)?;
        self.newcomer(issuance, user)?;
        self.ceilings_on_user(connection, user, groups)?;
        self.in_scope(method, user, groups)?;
        let for_the_role = self.roles(issuance, connection, user)?;
        self.sign_in(issuance, connection, user, kind)?;
        self.foreseen(tenant_id, user, terms)?;
        self.approval(issuance, approvals.max(for_the_role), user)?;
        if let Some(obstacle) = self.not_yet.take() {
            return Err(obstacle.into());
        }
        self.start_is_near()?;
        // Last, because a request that passes this check takes part of the quota.
        self.quota(terms)?;
        Ok(Verdict::Issue)
    }

    /// The checks that follow those of groups, roles and sign-in methods, before these are known. Nothing is noted: they are made
    /// again in their order.
    fn ahead(
        &self,
        tenant_id: &str,
        issuance: &Issuance,
        terms: &Terms,
        approvals: usize,
        user: &User,
    ) -> Checked<'a> {
        let mut ahead = Run {
            s: self.s,
            checks: Vec::new(),
            deadline: self.deadline,
            resolved: None,
            approvals: None,
            people: Vec::new(),
            not_yet: None,
        };
        if let Some(obstacle) = &self.not_yet {
            return Err(obstacle.clone().into());
        }
        ahead.foreseen(tenant_id, user, terms)?;
        ahead.approval(issuance, approvals, user)?;
        ahead.start_is_near()?;
        ahead.quota(terms)
    }

    /// A request that passed all checks, and waits for another pass for its user, need not ask Graph whether it still must.
    fn neighbours(&self, tenant_id: &str) -> Checked<'a> {
        let s = &self.s;
        let Some(user_id) = contends(s.request) else { return Ok(()) };
        let says = s.request.ready().map(|ready| ready.reason.as_str());
        // One that does not say yet that it waits for that pass makes all checks once more, and says so.
        let waits = s.request.spec.on_existing_pass == Some(OnExistingPass::Wait)
            && says == Some(Reason::ExistingPass.as_str());
        let again = match &s.reads.facts.neighbours {
            None => return Err(Verdict::Neighbours(UserKey::new(tenant_id, user_id))),
            Some(Neighbours::InTurn) => later(s.now.earliest, TURN_AGAIN),
            Some(Neighbours::Live(_, until) | Neighbours::Listed(until)) if waits => *until,
            Some(Neighbours::None | Neighbours::Live(..) | Neighbours::Listed(_)) => return Ok(()),
        };
        Err(Obstacle::StillSo(again).into())
    }

    /// Nor need one that waits until the API server writes Secrets.
    fn secrets(&self) -> Checked<'a> {
        let s = &self.s;
        let ready = s.request.ready().filter(|_| s.request.phase() == Phase::Pending);
        match &s.reads.secrets {
            _ if ready.is_none_or(|r| r.reason != Reason::SecretRefused.as_str()) => Ok(()),
            None => Err(Verdict::Secrets),
            Some(Secrets::Unwritable { again }) => Err(Obstacle::StillSo(*again).into()),
            Some(Secrets::Writable) => Ok(()),
        }
    }

    /// Asks for all of this at once, if there is anything left to read.
    fn ask<const N: usize>(questions: [Option<Question>; N]) -> Checked<'a> {
        let questions: Vec<Question> = questions.into_iter().flatten().collect();
        if questions.is_empty() { Ok(()) } else { Err(Verdict::Ask(questions)) }
    }

    fn note(&mut self, name: &str, result: CheckResult, message: impl Into<String>) {
        self.checks.push(Check { name: name.into(), result, message: Some(message.into()) });
    }

    // Returns a Result like `wait`, `fail` and `unknown`, so that a check can end with any of them.
    #[allow(clippy::unnecessary_wraps)]
    fn pass(&mut self, name: &str, message: impl Into<String>) -> Checked<'a> {
        self.note(name, CheckResult::Passed, message);
        Ok(())
    }

    fn wait<T>(
        &mut self,
        name: &str,
        reason: Reason,
        message: impl Into<String>,
        again: Option<SignedDuration>,
    ) -> Checked<'a, T> {
        let message = message.into();
        self.note(name, CheckResult::Waiting, message.clone());
        Err(Obstacle::Wait(reason, message, again).into())
    }

    fn fail<T>(
        &mut self,
        name: &str,
        reason: Reason,
        message: impl Into<String>,
    ) -> Checked<'a, T> {
        let message = message.into();
        self.note(name, CheckResult::Failed, message.clone());
        Err(Obstacle::Fail(reason, message).into())
    }

    fn unknown<T>(&mut self, name: &str, error: &'a GraphError) -> Checked<'a, T> {
        self.note(
            name,
            CheckResult::Unknown,
            "a call to the tenant failed: see the condition Ready",
        );
        Err(Obstacle::Unknown(error).into())
    }
}
