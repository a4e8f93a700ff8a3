//! Who may have a pass: the checks of a request, in their order, each with its own reason.
//!
//! A check passes, waits (not now, perhaps later), fails for good, or needs something to be read first. The first that
//! does not pass decides; its sentence says what would make it pass.

mod approval;
mod memo;
mod quota;
mod request;
mod tenant;
mod user;

use jiff::{SignedDuration, Timestamp};

pub use self::quota::QUOTA_AGAIN;
use super::Reason;
use super::clock::later;
use super::life::situation::{Approvals, PolicyFound, Situation};
use super::life::step::Look;
use crate::api::{Check, CheckResult, Resolved};
use crate::graph::GraphError;

/// The deadline of a request without a start time where no policy says another.
const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);
/// How long to wait before a tenant that stood in the way is read again.
const TENANT_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How the checks came out.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
    /// When the request ends if it is not issued by then; absent until a policy was seen and none was fixed.
    pub deadline: Timestamp,
    /// What the request means; absent until the user was found.
    pub resolved: Option<Resolved>,
    /// The approvals that count; absent until a policy was seen.
    pub approvals: Option<Approvals>,
    /// What decides.
    pub verdict: Verdict<'a>,
}

/// What the checks decide.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// Nothing stands against the pass.
    Issue,
    /// Something must be known first.
    Look(Look),
    /// Approvals are missing.
    AwaitApproval(String),
    /// The start is not near; it is at this time.
    Schedule(Timestamp),
    /// Not now; look again after so long, or when something changes.
    Wait(Reason, String, Option<SignedDuration>),
    /// Others may be about to use up the policy's quota: this is to be said, unless something else was.
    Contested(String),
    /// The tenant could not be asked.
    Unknown(&'a GraphError),
    /// Never.
    Fail(Reason, String),
    /// The deadline is over.
    TooLate,
}

/// Runs the checks.
pub fn check<'a>(s: &Situation<'a>) -> Findings<'a> {
    let mut run =
        Run { s: *s, checks: Vec::new(), deadline: deadline(s), resolved: None, approvals: None };
    let verdict = run.all().unwrap_or_else(|verdict| verdict);
    Findings {
        checks: run.checks,
        deadline: run.deadline,
        resolved: run.resolved,
        approvals: run.approvals,
        verdict,
    }
}

/// When a request ends if it is not issued by then: as it was fixed, or as its policy has it now.
fn deadline(s: &Situation) -> Timestamp {
    if let Some(fixed) = s.request.status.as_ref().and_then(|status| status.deadline.as_ref()) {
        return fixed.0;
    }
    let issuance = match s.policy {
        PolicyFound::Found(policy) => policy.spec.issuance.as_ref(),
        PolicyFound::Missing | PolicyFound::Unreadable(_) => None,
    };
    let created = s.request.created();
    if let Some(start) = &s.request.spec.start_time {
        let asked = s.request.spec.lifetime.as_ref().and_then(|l| l.minutes().ok());
        let minutes = asked.or_else(|| {
            issuance.and_then(|i| request::lifetime_bounds(i).ok()).map(|(default, _)| default)
        });
        later(start.0, SignedDuration::from_mins(i64::from(minutes.unwrap_or(60))))
    } else {
        let timeout = issuance.and_then(|i| i.approval.as_ref()).and_then(|a| a.timeout.as_ref());
        later(created, timeout.and_then(|t| t.duration().ok()).unwrap_or(DEFAULT_TIMEOUT))
    }
}

struct Run<'a> {
    s: Situation<'a>,
    checks: Vec<Check>,
    deadline: Timestamp,
    resolved: Option<Resolved>,
    approvals: Option<Approvals>,
}

type Checked<'a, T = ()> = Result<T, Verdict<'a>>;

impl<'a> Run<'a> {
    fn all(&mut self) -> Checked<'a, Verdict<'a>> {
        if self.s.now.earliest >= self.deadline {
            self.note("Deadline", CheckResult::Failed, format!("it ended at {:.0}", self.deadline));
            return Err(Verdict::TooLate);
        }
        self.note("Deadline", CheckResult::Passed, format!("to be issued by {:.0}", self.deadline));
        let (policy, issuance) = self.policy()?;
        self.admission()?;
        self.brakes(issuance)?;
        self.namespace(issuance)?;
        self.reason(issuance)?;
        self.start_time(issuance)?;
        let (lifetime, one_time) = self.lifetime(issuance)?;
        self.delivery(issuance)?;
        self.replacement(issuance)?;
        let tenant_id = self.connection(policy)?;
        // Early, before people are asked; and, as every pass over a request reads anew, binding before the issue.
        let method = self.method(lifetime, one_time)?;
        let user = self.user()?;
        self.resolve(tenant_id, user, lifetime, one_time)?;
        self.membership(issuance, method, user)?;
        self.roles(issuance, user)?;
        self.approval(issuance, user)?;
        self.start_is_near(issuance)?;
        // Last, for who passes it has taken a place.
        self.quota(issuance)?;
        Ok(Verdict::Issue)
    }

    fn note(&mut self, name: &str, result: CheckResult, message: impl Into<String>) {
        self.checks.push(Check { name: name.into(), result, message: Some(message.into()) });
    }

    // Like the other outcomes, so that a check ends in one of them.
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
        Err(Verdict::Wait(reason, message, again))
    }

    fn fail<T>(
        &mut self,
        name: &str,
        reason: Reason,
        message: impl Into<String>,
    ) -> Checked<'a, T> {
        let message = message.into();
        self.note(name, CheckResult::Failed, message.clone());
        Err(Verdict::Fail(reason, message))
    }

    fn unknown<T>(&mut self, name: &str, error: &'a GraphError) -> Checked<'a, T> {
        self.note(name, CheckResult::Unknown, "the tenant could not be asked");
        Err(Verdict::Unknown(error))
    }
}
