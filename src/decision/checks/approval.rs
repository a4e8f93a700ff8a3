//! Whether enough people approved, and whether the start is near.

use super::user::is_person;
use super::{Checked, Obstacle, Run};
use crate::api::{CheckResult, DecisionKind};
use crate::decision::situation::{Approvals, Situation};
use crate::decision::terms::Terms;
use crate::entra::User;

impl<'a> Run<'a> {
    pub(super) fn approval(&mut self, terms: &Terms, user: &User) -> Checked<'a> {
        let required = terms.approvals;
        let by = approvers(&self.s, user);
        let (given, names) = (by.len(), by.join(", "));
        let policy = &self.s.request.spec.policy_ref.name;
        self.approvals = Some(Approvals { by, required });
        if given >= required {
            return self.pass(
                "Approval",
                if required == 0 {
                    "the policy asks for no approval".into()
                } else {
                    format!("approved by {names}")
                },
            );
        }
        let missing = required - given;
        let more = if given == 0 { "" } else { "more " };
        let approvals = if missing == 1 { "approval" } else { "approvals" };
        let so_far = if given == 0 { String::new() } else { format!(", by {names}") };
        let message = format!(
            "waiting for {missing} {more}{approvals} ({given} of {required}{so_far}): anyone with the verb approve on TapPolicy {policy}, except the requester and the user, can approve"
        );
        self.note("Approval", CheckResult::Waiting, message.clone());
        Err(Obstacle::AwaitApproval(message).into())
    }

    pub(super) fn start_is_near(&mut self) -> Checked<'a> {
        match self.issued_from() {
            Some(from) if self.s.now.earliest < from => Err(Obstacle::Schedule(from).into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// The different people who approved, except the requester and the user.
fn approvers(s: &Situation, user: &User) -> Vec<String> {
    let requester = s.request.spec.requested_by.as_deref();
    let mut people: Vec<String> = s
        .request
        .decisions()
        .iter()
        .filter(|d| d.decision == DecisionKind::Approve && Some(d.by.as_str()) != requester)
        .filter(|d| is_person(s, &d.by, user) != Some(true))
        .map(|d| d.by.clone())
        .collect();
    people.sort_unstable();
    people.dedup();
    people
}
