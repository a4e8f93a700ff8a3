//! How many passes may be live at once through one policy: who holds one, and who may have the next.

use std::fmt;

use super::intent::{has_ended, has_finalizer};
use crate::api::{Issuance, Phase, TapRequest};

/// For whom a pass counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Name of the policy.
    pub policy: String,
    /// The request's namespace.
    pub namespace: String,
    /// Who asked for it; empty where nobody was stamped.
    pub requester: String,
}

impl Party {
    /// For whom the pass of a request counts.
    pub fn of(request: &TapRequest) -> Self {
        Self {
            policy: request.spec.policy_ref.name.clone(),
            namespace: request.metadata.namespace.clone().unwrap_or_default(),
            requester: request.spec.requested_by.clone().unwrap_or_default(),
        }
    }
}

/// Whether a request holds a live pass, or may hold one. A pass that was used is none.
pub fn holds(request: &TapRequest) -> bool {
    !has_ended(request) && (has_finalizer(request) || request.phase() == Phase::Active)
}

/// How many passes may be live at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of one namespace; absent where there is no bound.
    pub per_namespace: Option<usize>,
    /// Of one requester; absent where there is no bound.
    pub per_requester: Option<usize>,
}

impl Bounds {
    /// The bounds of a policy. One that is no number of passes admits none.
    pub fn of(issuance: &Issuance) -> Self {
        let quota = issuance.quota.clone().unwrap_or_default();
        let bound = |number: Option<i32>| number.map(|n| usize::try_from(n).unwrap_or(0));
        Self {
            per_namespace: bound(quota.active_per_namespace),
            per_requester: bound(quota.active_per_requester),
        }
    }

    /// Whether there is no bound.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The bound that leaves this party no place beside those who hold one, if there is such a bound.
    pub fn reached(&self, party: &Party, holders: &[Party]) -> Option<Reached> {
        let reached = |bound, allowed: Option<usize>, counts: fn(&Party, &Party) -> bool| {
            let allowed = allowed?;
            let same = |other: &&Party| other.policy == party.policy && counts(other, party);
            let live = holders.iter().filter(same).count();
            (live >= allowed).then_some(Reached { bound, live, allowed })
        };
        reached(Bound::Namespace, self.per_namespace, |a, b| a.namespace == b.namespace).or_else(
            || reached(Bound::Requester, self.per_requester, |a, b| a.requester == b.requester),
        )
    }

    /// Those of a line who find a place, beside those who hold one and those before them.
    pub fn next_in_line<T>(
        &self,
        mut holders: Vec<Party>,
        line: impl IntoIterator<Item = (T, Party)>,
    ) -> Vec<T> {
        let mut next = Vec::new();
        for (who, party) in line {
            if self.reached(&party, &holders).is_none() {
                holders.push(party);
                next.push(who);
            }
        }
        next
    }
}

/// A bound that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which one.
    pub bound: Bound,
    /// How many passes there are.
    pub live: usize,
    /// How many there may be.
    pub allowed: usize,
}

/// One of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `activePerNamespace`.
    Namespace,
    /// `activePerRequester`.
    Requester,
}

impl Reached {
    /// What it means for a party, and when that changes.
    pub fn sentence(&self, party: &Party) -> String {
        let Self { bound, live, allowed } = self;
        let whose = match bound {
            Bound::Namespace => format!("namespace {}", party.namespace),
            Bound::Requester => format!("requester {}", party.requester),
        };
        format!(
            "{whose} has {live} passes through TapPolicy {} that are live or being issued, and {allowed} may be ({bound}): it goes on when one of them ends",
            party.policy
        )
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "issuance.quota.activePerNamespace",
            Self::Requester => "issuance.quota.activePerRequester",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::yaml;

    fn party(namespace: &str, requester: &str) -> Party {
        Party { policy: "contoso".into(), namespace: namespace.into(), requester: requester.into() }
    }

    const BOUNDS: Bounds = Bounds { per_namespace: Some(3), per_requester: Some(2) };

    #[test]
    fn each_bound_counts_its_own_and_the_namespace_comes_first() {
        let mut holders = vec![party("a", "rita"), party("b", "rita")];
        let reached = |holders: &[Party], namespace, requester| {
            BOUNDS.reached(&party(namespace, requester), holders).map(|r| (r.bound, r.live))
        };
        // Requesters count over namespaces.
        assert_eq!(reached(&holders, "a", "rita"), Some((Bound::Requester, 2)));
        assert_eq!(reached(&holders, "a", "sam"), None);
        holders.extend([party("a", "sam"), party("a", "tom")]);
        assert_eq!(reached(&holders, "a", "uma"), Some((Bound::Namespace, 3)));
        assert_eq!(reached(&holders, "a", "rita"), Some((Bound::Namespace, 3)));
        assert_eq!(reached(&holders, "b", "uma"), None);
        let other = Party { policy: "other".into(), ..party("a", "rita") };
        assert_eq!(BOUNDS.reached(&other, &holders), None, "each policy has its own count");
        assert_eq!(Bounds::default().reached(&party("a", "rita"), &holders), None);
    }

    #[test]
    fn a_line_is_served_in_its_order_and_nobody_blocks_it() {
        let holders = vec![party("a", "rita"), party("a", "rita")];
        let line = [
            ("blocked", party("a", "rita")),
            ("first", party("a", "sam")),
            ("second", party("a", "sam")),
            ("elsewhere", party("b", "sam")),
            ("and so on", party("b", "tom")),
        ];
        assert_eq!(BOUNDS.next_in_line(holders, line), ["first", "elsewhere", "and so on"]);
    }

    #[test]
    fn who_may_have_a_live_pass_holds_one() {
        let request = |finalizer: bool, phase: &str| {
            let finalizers = if finalizer { "[tap-operator.io/pass]" } else { "[]" };
            let text = format!(
                "{{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {{name: a, finalizers: {finalizers}}}, \
                 spec: {{policyRef: {{name: contoso}}, user: alice@contoso.com}}, status: {{phase: {phase}}}}}"
            );
            yaml::read(&text).unwrap()
        };
        for (finalizer, phase, expected) in [
            (false, "Pending", false),
            (false, "AwaitingApproval", false),
            (false, "Scheduled", false),
            (true, "Pending", true),
            (true, "Scheduled", true),
            (true, "Active", true),
            (false, "Active", true),
            // A newer version's phase: nobody knows.
            (true, "Frozen", true),
            (false, "Frozen", false),
            (true, "Used", false),
            (true, "Expired", false),
            (true, "Revoked", false),
            (true, "Failed", false),
        ] {
            assert_eq!(holds(&request(finalizer, phase)), expected, "{finalizer} {phase}");
        }
    }

    #[test]
    fn the_sentence_says_which_bound_how_many_and_what_comes_next() {
        let reached = Reached { bound: Bound::Requester, live: 7, allowed: 5 };
        assert_eq!(
            reached.sentence(&party("helpdesk", "rita@contoso.com")),
            "requester rita@contoso.com has 7 passes through TapPolicy contoso that are live or being issued, \
             and 5 may be (issuance.quota.activePerRequester): it goes on when one of them ends"
        );
    }
}
