//! Which notices a request shows, by the state that it is in.
//!
//! They are read from what is stored, and never from what this process did. So the same state shows the same notices, with
//! the same ids, to the process that wrote it and to the one after a restart.

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Kind;
use crate::api::{ConditionType, Phase, TapRequest};
use crate::decision::Reason;

/// A notice that a request shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its kind.
    pub kind: Kind,
    /// The id of the notice. No other event has it.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
}

/// The notices that the state of a request shows, in the order in which they happened.
pub fn shown(request: &TapRequest) -> Vec<Shown> {
    let uid = request.uid().unwrap_or_default();
    let once = |kind: Kind, at| Shown { kind, id: format!("{uid}.{}", kind.name()), at };
    // What may happen to a request more than once is told apart by its second.
    let repeatable = |kind: Kind, at: Timestamp| {
        let id = format!("{uid}.{}.{}", kind.name(), at.as_second());
        Shown { kind, id, at }
    };
    let approved = approved(request).map(|at| repeatable(Kind::Approved, at));
    let state = match request.phase() {
        Phase::AwaitingApproval => {
            // While something holds it up, approvers are not asked; afterwards they are asked again.
            let ready = since(request, ConditionType::Ready, "True");
            let asked = since(request, ConditionType::Approved, "False");
            ready.map(|ready| repeatable(Kind::AwaitingApproval, asked.unwrap_or(ready).max(ready)))
        }
        Phase::Active => {
            since(request, ConditionType::Issued, "True").map(|at| once(Kind::Issued, at))
        }
        Phase::Used => ended(request).map(|at| once(Kind::Used, at)),
        Phase::Expired => ended(request).map(|at| once(Kind::Expired, at)),
        Phase::Revoked => ended(request).map(|at| once(Kind::Revoked, at)),
        Phase::Denied => ended(request).map(|at| once(Kind::Denied, at)),
        Phase::Failed => ended(request).map(|at| once(Kind::Failed, at)),
        Phase::Pending | Phase::Scheduled | Phase::Unknown => None,
    };
    approved.into_iter().chain(state).collect()
}

/// Since when a condition has this status; `None` if it has another.
fn since(request: &TapRequest, type_: ConditionType, status: &str) -> Option<Timestamp> {
    let condition = request.condition(type_)?;
    (condition.status == status).then_some(condition.last_transition_time.0)
}

/// When enough people had approved a request that has not ended.
fn approved(request: &TapRequest) -> Option<Timestamp> {
    let by_people = request.condition(ConditionType::Approved)?.reason == Reason::Approved.as_str();
    let counts = by_people && !request.phase().is_final();
    since(request, ConditionType::Approved, "True").filter(|_| counts)
}

fn ended(request: &TapRequest) -> Option<Timestamp> {
    Some(request.status.as_ref()?.finished_at.as_ref()?.0)
}
