//! A notice: what happened to what.

use jiff::Timestamp;
use serde::Serialize;

use super::{Kind, Shown};
use crate::api::names::STOP_CONFIG_MAP;
use crate::api::{ConditionType, Drift, TapRequest};
use crate::decision::Reason;
use crate::decision::audit::{About, Change, DecisionLine, PassLine};
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;
use crate::text::cut;

/// The longest explanation that is kept, in characters.
const LONGEST_EXPLANATION: usize = 1000;
/// How many decisions of people are told: the last ones.
const DECISIONS: usize = 5;
/// The reason of the notice that the emergency stop is over.
const OVER: &str = "StopOver";
/// What stands where a receiver is not told for whom a pass is.
const OMITTED: &str = "(user)";

/// A notice. It has no code, because nothing of which it is made has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Its id. It is the same when the notice is sent again, also by another process.
    pub id: String,
    /// What it tells.
    pub kind: Kind,
    /// When that happened.
    pub at: Timestamp,
    /// The machine-readable reason.
    pub reason: String,
    /// What happened, and what to do about it, for people.
    pub explanation: Option<String>,
    /// What it is about.
    pub subject: Subject,
    /// Whether another process may have told it before.
    pub again: bool,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// A request.
    Request(Box<OfRequest>),
    /// The method of a tenant that a policy manages.
    Policy(OfPolicy),
    /// A pass that no request records.
    ForeignPass(ForeignPass),
    /// The emergency stop.
    Stop(OfStop),
}

/// What is told of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfRequest {
    /// What the audit trail says of it, too.
    #[serde(flatten)]
    pub about: About,
    /// Its pass.
    #[serde(flatten)]
    pub pass: PassLine,
    /// Its phase.
    pub phase: &'static str,
    /// How many of the approvals that are needed have been given, such as `1/2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// The people whose approvals counted when the pass was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Vec<String>>,
    /// What people decided last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionLine>,
    /// When it ends if its pass has not been issued by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Whom to ask about an approval, as its policy says: `spec.issuance.approval.contact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

/// What is told of a tenant's method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfPolicy {
    /// The `TapPolicy`.
    pub policy: String,
    /// Its generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_generation: Option<i64>,
    /// The tenant connection.
    pub connection: String,
    /// Id of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The fields in which the tenant differs, or differed: what it has, or had, and what the policy says.
    pub differences: Vec<Change>,
    /// Who last changed the tenant's authentication methods, as far as Entra's audit log said by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<String>,
}

/// A pass that no request records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForeignPass {
    /// Id of the row of Entra's audit log.
    pub row: String,
    /// Id of the pass in Entra, if the row names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_id: Option<String>,
    /// Id of the tenant.
    pub tenant_id: String,
    /// The policies of the tenant.
    pub policies: Vec<String>,
    /// User principal name or object id of the user for whom it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who made it, as Entra's audit log says: a user or an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

/// What is told of the emergency stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfStop {
    /// Whether all issuing is stopped.
    pub stopped: bool,
    /// Whether active passes are revoked, too.
    pub revokes_active: bool,
    /// How many passes are active.
    pub active_passes: usize,
}

impl Notice {
    /// The notice that a request shows.
    pub fn of_request(request: &TapRequest, shown: Shown) -> Self {
        let Shown { kind, id, at } = shown;
        let says = match kind {
            Kind::Approved => request.condition(ConditionType::Approved),
            _ => request.ready(),
        };
        let status = request.status.clone().unwrap_or_default();
        let decisions = status.decisions.iter().rev().take(DECISIONS).rev();
        let of_request = OfRequest {
            about: About::of(request, None),
            pass: PassLine::of(request),
            phase: request.phase().name(),
            decisions: decisions.map(|decision| DecisionLine::of(request, decision)).collect(),
            approvals: status.approvals,
            approved_by: status.basis.map(|basis| basis.approved_by),
            deadline: status.deadline.map(|deadline| deadline.0.to_string()),
            contact: None,
        };
        Self {
            id,
            kind,
            at,
            reason: says.map(|says| says.reason.clone()).unwrap_or_default(),
            explanation: says.map(|says| bounded(&says.message)),
            subject: Subject::Request(Box::new(of_request)),
            again: false,
        }
    }

    /// A tenant differs from the policy with this uid, or was corrected: `reason` says which.
    pub fn of_drift(uid: &str, of_policy: OfPolicy, reason: Reason, at: Timestamp) -> Self {
        let kind = Kind::Drift;
        Self {
            id: format!("{uid}.{}.{}.{}", kind.name(), reason.as_str(), at.as_second()),
            kind,
            at,
            reason: reason.as_str().into(),
            explanation: None,
            subject: Subject::Policy(of_policy),
            again: false,
        }
    }

    /// A pass that no request records was found. `explanation` says how, and what to do about it.
    pub fn of_foreign_pass(pass: ForeignPass, explanation: &str, at: Timestamp) -> Self {
        let kind = Kind::ForeignPass;
        Self {
            id: format!("{}.{}", pass.pass_id.as_ref().unwrap_or(&pass.row), kind.name()),
            kind,
            at,
            reason: kind.name().into(),
            explanation: Some(bounded(explanation)),
            subject: Subject::ForeignPass(pass),
            again: false,
        }
    }

    /// The emergency stop came, changed or went. `version` is that of the `ConfigMap`, or of the one that is gone.
    pub fn of_stop(version: &str, order: &StopOrder, active_passes: usize, at: Timestamp) -> Self {
        let (kind, stopped) = (Kind::Stop, order.stop != Stop::Off);
        let reason = match (stopped, &order.not_understood) {
            (false, _) => OVER,
            (true, None) => Reason::Stopped.as_str(),
            (true, Some(_)) => Reason::StopNotUnderstood.as_str(),
        };
        let revokes_active = order.stop == Stop::RevokeActive;
        Self {
            id: format!("{version}.{}.{reason}", kind.name()),
            kind,
            at,
            reason: reason.into(),
            explanation: order.sentence().as_deref().map(bounded),
            subject: Subject::Stop(OfStop { stopped, revokes_active, active_passes }),
            again: false,
        }
    }

    /// The same for a receiver that is not told for whom passes are. What the operator explains is left out, for it may name
    /// the user; what people wrote is kept without the user's names.
    #[must_use]
    pub fn without_user(&self) -> Self {
        let mut notice = self.clone();
        match &mut notice.subject {
            Subject::Request(of_request) => {
                notice.explanation = None;
                of_request.forget_user();
            }
            Subject::ForeignPass(pass) => {
                notice.explanation = None;
                pass.user = None;
            }
            Subject::Policy(_) | Subject::Stop(_) => {}
        }
        notice
    }
}

impl OfRequest {
    fn forget_user(&mut self) {
        let about = &mut self.about;
        let names = [about.user.take(), about.user_principal_name.take(), about.user_id.take()];
        let mut names: Vec<String> = names.into_iter().flatten().collect();
        // Longest first: what is before the @ is a part of the whole name.
        let local = names.iter().filter_map(|name| Some(name.split_once('@')?.0.to_owned()));
        names.extend(local.collect::<Vec<_>>());
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let comments = self.decisions.iter_mut().filter_map(|decision| decision.comment.as_mut());
        for text in about.ticket.iter_mut().chain(comments) {
            for name in &names {
                *text = without(text, name);
            }
        }
    }
}

impl OfPolicy {
    /// These differences, as they are told.
    pub fn differences(drift: &[Drift]) -> Vec<Change> {
        drift.iter().map(Change::of).collect()
    }
}

impl Subject {
    /// The namespace of the request.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Request(of_request) => Some(&of_request.about.namespace),
            Self::Policy(_) | Self::ForeignPass(_) | Self::Stop(_) => None,
        }
    }

    /// The names of the policies that it concerns.
    pub fn policies(&self) -> &[String] {
        match self {
            Self::Request(of_request) => std::slice::from_ref(&of_request.about.policy),
            Self::Policy(of_policy) => std::slice::from_ref(&of_policy.policy),
            Self::ForeignPass(pass) => &pass.policies,
            Self::Stop(_) => &[],
        }
    }

    /// Its name, the `subject` of a `CloudEvent`.
    pub fn name(&self) -> String {
        match self {
            Self::Request(of) => format!("{}/{}", of.about.namespace, of.about.request),
            Self::Policy(of_policy) => of_policy.policy.clone(),
            Self::ForeignPass(pass) => pass.pass_id.as_ref().unwrap_or(&pass.row).clone(),
            Self::Stop(_) => STOP_CONFIG_MAP.into(),
        }
    }
}

/// A text without a name, however its ASCII letters are written. A part of a word is no name.
fn without(text: &str, name: &str) -> String {
    let (folded, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    if name.is_empty() {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in folded.match_indices(&name) {
        let end = at + found.len();
        let beside = [text[..at].chars().next_back(), text[end..].chars().next()];
        if !beside.into_iter().flatten().any(char::is_alphanumeric) {
            kept.push_str(&text[from..at]);
            kept.push_str(OMITTED);
            from = end;
        }
    }
    kept.push_str(&text[from..]);
    kept
}

fn bounded(explanation: &str) -> String {
    cut(explanation.chars(), LONGEST_EXPLANATION)
}
