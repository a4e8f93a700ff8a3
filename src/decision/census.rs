//! How many requests are in which state, and since when: what metrics tell of them.
//!
//! The watch shows it requests, and the state machine says which are gone. It keeps a few bytes of each, so that a scrape need
//! not go through them. No decision depends on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::Reason;
use super::ids::Uid;
use crate::api::{ConditionType, Phase, TapRequest};

/// The reason of a request of which no status was written yet.
const NEW: &str = "New";
/// A reason that this version does not know.
const OTHER: &str = "Other";

/// A state of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The policy that they name.
    pub policy: Arc<str>,
    /// Their phase.
    pub phase: Phase,
    /// The reason for it.
    pub reason: &'static str,
}

/// The state of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    state: State,
    /// Since when, for one that has not ended.
    since: Option<Timestamp>,
}

/// The requests of one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub number: usize,
    /// Since when those wait that have not ended, and how many since then.
    since: BTreeMap<Timestamp, usize>,
}

/// All requests, by their states.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// All requests of one state have its text in common.
    states: BTreeMap<Uid, Arc<State>>,
    /// Since when those have theirs that have not ended: they are few.
    since: BTreeMap<Uid, Timestamp>,
    tallies: HashMap<Arc<State>, Tally>,
}

impl Standing {
    /// The state of a request.
    pub fn of(request: &TapRequest) -> Self {
        let says = request.condition(ConditionType::Reconciling).or_else(|| request.ready());
        let reason = says.map_or(NEW, |condition| {
            Reason::named(&condition.reason).map_or(OTHER, Reason::as_str)
        });
        let since = says.map_or_else(|| request.created(), |says| says.last_transition_time.0);
        Self::new(&request.spec.policy_ref.name, request.phase(), reason, since)
    }

    /// The state of a request of which this version can read only when it was created.
    pub fn unreadable(created: Timestamp) -> Self {
        Self::new("", Phase::Unknown, Reason::Unreadable.as_str(), created)
    }

    fn new(policy: &str, phase: Phase, reason: &'static str, since: Timestamp) -> Self {
        let state = State { policy: policy.into(), phase, reason };
        Self { state, since: (!phase.is_final()).then_some(since) }
    }
}

impl Tally {
    /// Since when the first of them waits, if any has not ended.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.since.keys().next().copied()
    }
}

impl Census {
    /// A request is there, or changed.
    pub fn enter(&mut self, uid: &Uid, standing: Standing) {
        let Standing { state, since } = standing;
        let is_counted = self.states.get(uid).is_some_and(|counted| **counted == state);
        if is_counted && self.since.get(uid) == since.as_ref() {
            return;
        }
        self.remove(uid);
        let known = self.tallies.get_key_value(&state).map(|(known, _)| Arc::clone(known));
        let state = known.unwrap_or_else(|| Arc::new(state));
        let tally = self.tallies.entry(Arc::clone(&state)).or_default();
        tally.number += 1;
        if let Some(since) = since {
            *tally.since.entry(since).or_default() += 1;
            self.since.insert(uid.clone(), since);
        }
        self.states.insert(uid.clone(), state);
    }

    /// A request is gone.
    pub fn remove(&mut self, uid: &Uid) {
        let Some(state) = self.states.remove(uid) else { return };
        let since = self.since.remove(uid);
        let Some(tally) = self.tallies.get_mut(&state) else { return };
        tally.number = tally.number.saturating_sub(1);
        if let Some(since) = since
            && let Some(number) = tally.since.get_mut(&since)
        {
            *number -= 1;
            if *number == 0 {
                tally.since.remove(&since);
            }
        }
        if tally.number == 0 {
            self.tallies.remove(&state);
        }
    }

    /// The states in which there are requests.
    pub fn states(&self) -> impl Iterator<Item = (&State, &Tally)> {
        self.tallies.iter().map(|(state, tally)| (&**state, tally))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn standing(phase: &str, conditions: &Value) -> Standing {
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": "lost-phone", "namespace": "helpdesk", "uid": "u", "creationTimestamp": "2026-11-24T08:00:00Z"},
            "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"},
            "status": {"phase": phase, "decisions": [], "conditions": conditions},
        });
        Standing::of(&serde_json::from_value(request).unwrap())
    }

    fn condition(type_: &str, reason: &str, minute: u32) -> Value {
        json!({
            "type": type_, "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": format!("2026-11-24T09:{minute:02}:00Z"),
        })
    }

    fn told(census: &Census) -> Vec<String> {
        let tell = |(state, tally): (&State, &Tally)| {
            let oldest = tally.oldest().map(|at| format!(" since {at}")).unwrap_or_default();
            let State { policy, phase, reason } = state;
            format!("{} {policy} {phase} {reason}{oldest}", tally.number)
        };
        let mut told: Vec<String> = census.states().map(tell).collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn a_request_is_counted_in_its_state_and_nowhere_else() {
        let mut census = Census::default();
        let [a, b] = ["a", "b"].map(Uid::from);
        census.enter(&a, standing("Pending", &json!([])));
        census.enter(&b, standing("Pending", &json!([condition("Ready", "Throttled", 5)])));
        assert_eq!(
            told(&census),
            [
                "1 contoso Pending New since 2026-11-24T08:00:00Z",
                "1 contoso Pending Throttled since 2026-11-24T09:05:00Z",
            ]
        );
        census.enter(&a, standing("Pending", &json!([condition("Ready", "Throttled", 3)])));
        assert_eq!(told(&census), ["2 contoso Pending Throttled since 2026-11-24T09:03:00Z"]);
        census.enter(&a, standing("Failed", &json!([condition("Ready", "SelfService", 7)])));
        assert_eq!(
            told(&census),
            [
                "1 contoso Failed SelfService",
                "1 contoso Pending Throttled since 2026-11-24T09:05:00Z"
            ]
        );
        census.remove(&b);
        census.remove(&b);
        assert_eq!(told(&census), ["1 contoso Failed SelfService"]);
    }

    #[test]
    fn what_is_being_done_tells_the_state_and_since_when() {
        let conditions =
            json!([condition("Ready", "Issued", 1), condition("Reconciling", "Revoking", 40)]);
        let mut census = Census::default();
        census.enter(&Uid::from("a"), standing("Active", &conditions));
        assert_eq!(told(&census), ["1 contoso Active Revoking since 2026-11-24T09:40:00Z"]);
    }

    #[test]
    fn a_reason_that_nobody_knows_makes_no_state_of_its_own() {
        let mut census = Census::default();
        for reason in ["Made", "Up"] {
            let conditions = json!([condition("Ready", reason, 0)]);
            census.enter(&Uid::from(reason), standing("Denied", &conditions));
        }
        assert_eq!(told(&census), ["2 contoso Denied Other"]);
    }
}
