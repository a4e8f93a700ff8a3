//! Whether people agreed, and whether it is time.

use jiff::SignedDuration;

use super::user::is_person;
use super::{Checked, Run, Verdict};
use crate::api::{CheckResult, DecisionKind, Issuance};
use crate::decision::life::situation::{Approvals, Situation};
use crate::graph::User;

impl<'a> Run<'a> {
    pub(super) fn approval(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        let required = issuance.approval.as_ref().and_then(|a| a.required).unwrap_or(1);
        let required = usize::try_from(required).unwrap_or(1);
        let by = approvers(&self.s, user);
        let (given, names) = (by.len(), by.join(", "));
        self.approvals = Some(Approvals { by, required });
        if given >= required {
            return self.pass(
                "Approval",
                if required == 0 { "none is needed".into() } else { format!("by {names}") },
            );
        }
        let so_far = if given == 0 { String::new() } else { format!(" (by {names})") };
        let message = format!(
            "{given} of {required} approvals{so_far}: somebody with the verb approve on TapPolicy {}, but neither the requester nor the user, appends a decision to status.decisions",
            self.s.request.spec.policy_ref.name
        );
        self.note("Approval", CheckResult::Waiting, message.clone());
        Err(Verdict::AwaitApproval(message))
    }

    pub(super) fn start_is_near(&mut self, issuance: &Issuance) -> Checked<'a> {
        let Some(start) = self.s.request.spec.start_time.as_ref().map(|t| t.0) else {
            return Ok(());
        };
        let lead = issuance.lead_time.as_ref().and_then(|l| l.duration().ok());
        let from = start - lead.unwrap_or(SignedDuration::from_mins(5));
        if self.s.now.earliest >= from {
            return Ok(());
        }
        Err(Verdict::Schedule(from))
    }
}

/// The different people who approved, without requester and user.
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
