//! Whether enough people approved, and whether the start is near.

use super::people::{Doubt, Person, Same, denies_unmapped_people};
use super::{Checked, Obstacle, Run};
use crate::api::{CheckResult, DecisionKind, Issuance};
use crate::decision::situation::{Approvals, Situation};
use crate::entra::{User, is_service_account};

impl<'a> Run<'a> {
    pub(super) fn approval(
        &mut self,
        issuance: &Issuance,
        required: usize,
        user: &User,
    ) -> Checked<'a> {
        let denies = denies_unmapped_people(issuance, self.s.connection);
        let (by, doubtful) = approvers(&self.s, user, denies);
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
        let not_counted = if doubtful.is_empty() {
            String::new()
        } else {
            let who = doubtful.iter().map(|(name, doubt)| format!("{name} ({doubt})"));
            let who = who.collect::<Vec<_>>().join(", ");
            format!(
                "; not counted, because it is not certain who they are in the tenant (issuance.unmappedPeople): {who}"
            )
        };
        let contact = issuance.approval.as_ref().and_then(|approval| approval.contact.as_ref());
        let contact = contact.map_or(String::new(), |contact| format!("; whom to ask: {contact}"));
        let message = format!(
            "waiting for {missing} {more}{approvals} ({given} of {required}{so_far}): anyone with the verb approve on TapPolicy {policy}, except the requester and the user, can approve{contact}{not_counted}"
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

/// The different people who approved, except the requester and the user, each by one of their names; and those who do not
/// count, where it must be certain who they are and is not.
fn approvers(s: &Situation, user: &User, certain: bool) -> (Vec<String>, Vec<(String, Doubt)>) {
    let requester = s.request.spec.requested_by.as_deref().unwrap_or_default();
    let mut people = vec![Person::user(user, s.request), Person::named(requester, s)];
    let approved = s.request.decisions().iter().filter(|d| d.decision == DecisionKind::Approve);
    // Admission lets no ServiceAccount approve, either.
    let by_people = approved.map(|approved| &approved.by).filter(|by| !is_service_account(by));
    let mut names: Vec<String> = by_people.cloned().collect();
    names.sort_unstable();
    let (mut counted, mut doubtful) = (Vec::new(), Vec::new());
    for name in names {
        let person = Person::named(&name, s);
        let is_new = people.iter().all(|other| other.is(&person) != Same::Yes);
        match person.doubt().filter(|_| certain) {
            Some(doubt) if is_new => doubtful.push((name, doubt)),
            Some(_) => {}
            None => {
                if is_new {
                    counted.push(name);
                }
                people.push(person);
            }
        }
    }
    (counted, doubtful)
}
