//! When decisions of people were first seen. This process remembers it until a status is written anyway, for a sighting alone
//! is no reason to write.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::clock::later;
use super::ids::Uid;
use super::report::whole_second;
use crate::api::{Decision, DecisionKind, SeenDecision, TapRequest, TapRequestStatus};

/// What this process has seen, and no status says yet.
#[derive(Debug, Default)]
pub struct Sightings(HashMap<Uid, Vec<SeenDecision>>);

impl Sightings {
    /// These decisions about a request were seen now.
    pub fn see(&mut self, uid: &Uid, decisions: &[Decision], now: Timestamp) {
        // The schema knows no other kinds.
        let known = decisions.iter().filter(|decision| decision.decision != DecisionKind::Unknown);
        for Decision { by, decision, .. } in known {
            let seen = self.0.entry(uid.clone()).or_default();
            if !seen.iter().any(|seen| seen.is_of(by, *decision)) {
                let (by, at) = (by.clone(), Time(whole_second(now)));
                seen.push(SeenDecision { by, decision: *decision, at });
            }
        }
    }

    /// The status with what was seen of its decisions.
    pub fn added_to(&self, uid: &Uid, mut status: TapRequestStatus) -> TapRequestStatus {
        for seen in self.0.get(uid).into_iter().flatten() {
            let is_there = status.decisions.iter().any(|d| seen.is_of(&d.by, d.decision));
            if is_there && first_seen(&status, &seen.by, seen.decision).is_none() {
                status.seen.push(seen.clone());
            }
        }
        status
    }

    /// A status says it, or the request is gone.
    pub fn forget(&mut self, uid: &Uid) {
        self.0.remove(uid);
    }
}

impl SeenDecision {
    fn is_of(&self, by: &str, decision: DecisionKind) -> bool {
        self.by == by && self.decision == decision
    }
}

/// When a status says that a decision was first seen.
pub fn first_seen(
    status: &TapRequestStatus,
    by: &str,
    decision: DecisionKind,
) -> Option<Timestamp> {
    status.seen.iter().find(|seen| seen.is_of(by, decision)).map(|seen| seen.at.0)
}

/// When the last approval of a request was seen.
pub fn approved_at(request: &TapRequest) -> Option<Timestamp> {
    let seen = request.status.iter().flat_map(|status| &status.seen);
    seen.filter(|seen| seen.decision == DecisionKind::Approve).map(|seen| seen.at.0).max()
}

/// From when on nothing had to be waited for any more to issue the pass of a request: it was there, the last approval was
/// seen, and its start was near.
pub fn could_be_issued(request: &TapRequest, lead_time: SignedDuration) -> Timestamp {
    let near = request.spec.start_time.as_ref().map(|start| later(start.0, -lead_time));
    let all = [Some(request.created()), approved_at(request), near];
    all.into_iter().flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn decision(by: &str, decision: DecisionKind) -> Decision {
        Decision { by: by.into(), decision, comment: None }
    }

    #[test]
    fn the_first_sighting_stays_and_only_that_of_a_decision_that_is_there() {
        let uid = Uid::from("u");
        let [ada, bob] = ["ada", "bob"].map(|by| decision(by, DecisionKind::Approve));
        let mut sightings = Sightings::default();
        sightings.see(&uid, std::slice::from_ref(&ada), at(1));
        sightings.see(&uid, &[ada.clone(), bob.clone()], at(2));
        sightings.see(&uid, &[decision("eve", DecisionKind::Unknown)], at(3));
        let status =
            TapRequestStatus { decisions: vec![ada.clone()], ..TapRequestStatus::default() };
        let status = sightings.added_to(&uid, status);
        assert_eq!(first_seen(&status, "ada", DecisionKind::Approve), Some(at(1)));
        assert_eq!(status.seen.len(), 1, "bob's decision is not in it");

        // Another process saw it later.
        let mut others = Sightings::default();
        others.see(&uid, &[ada.clone(), bob.clone()], at(9));
        let status = TapRequestStatus { decisions: vec![ada, bob], ..status };
        let status = others.added_to(&uid, status);
        assert_eq!(first_seen(&status, "ada", DecisionKind::Approve), Some(at(1)));
        assert_eq!(first_seen(&status, "bob", DecisionKind::Approve), Some(at(9)));
        others.forget(&uid);
        assert_eq!(others.added_to(&uid, TapRequestStatus::default()).seen, []);
    }

    #[test]
    fn a_pass_could_be_issued_once_the_last_thing_had_happened() {
        let mut request = TapRequest::new("a", crate::api::TapRequestSpec::default());
        request.metadata.creation_timestamp = Some(Time(at(10)));
        let five = SignedDuration::from_secs(5);
        assert_eq!(could_be_issued(&request, five), at(10));
        let seen = |by: &str, decision, second| SeenDecision {
            by: by.into(),
            decision,
            at: Time(at(second)),
        };
        let approve = DecisionKind::Approve;
        let seen = vec![
            seen("a", approve, 20),
            seen("b", approve, 30),
            seen("c", DecisionKind::Revoke, 40),
        ];
        request.status = Some(TapRequestStatus { seen, ..TapRequestStatus::default() });
        assert_eq!(could_be_issued(&request, five), at(30));
        request.spec.start_time = Some(Time(at(100)));
        assert_eq!(could_be_issued(&request, five), at(95));
    }
}
