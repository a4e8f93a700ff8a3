//! How many passes may be live at once through one policy, and for whom a pass counts.

use std::fmt;
use std::sync::Arc;

use kube::ResourceExt as _;

use crate::api::{Issuance, TapRequest};

/// The policy, namespace and requester for which a pass counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    /// Name of the policy.
    pub policy: Arc<str>,
    /// The namespace of the request.
    pub namespace: Arc<str>,
    /// The requester; empty if none was stamped.
    pub requester: Arc<str>,
}

impl Party {
    /// The party for which the pass of a request counts.
    pub fn of(request: &TapRequest) -> Self {
        Self {
            policy: request.spec.policy_ref.name.as_str().into(),
            namespace: request.namespace().unwrap_or_default().into(),
            requester: request.spec.requested_by.as_deref().unwrap_or_default().into(),
        }
    }
}

/// How many passes may be live at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// For one namespace; absent if there is no bound.
    pub per_namespace: Option<usize>,
    /// For one requester; absent if there is no bound.
    pub per_requester: Option<usize>,
}

impl Bounds {
    /// The bounds of a policy. A negative number, which the schema refuses, allows no passes.
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

    /// How many passes one of the bounds allows; absent if there is no such bound.
    pub fn of_bound(&self, bound: Bound) -> Option<usize> {
        match bound {
            Bound::Namespace => self.per_namespace,
            Bound::Requester => self.per_requester,
        }
    }
}

/// A bound that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reached {
    /// The bound.
    pub bound: Bound,
    /// Number of live passes.
    pub live: usize,
    /// The largest number allowed.
    pub allowed: usize,
}

/// One of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bound {
    /// `activePerNamespace`.
    Namespace,
    /// `activePerRequester`.
    Requester,
}

impl Reached {
    /// A sentence that says what it means for a party, and when that changes.
    pub fn sentence(&self, party: &Party) -> String {
        let Self { bound, live, allowed } = self;
        let whose = match bound {
            Bound::Namespace => format!("namespace {}", party.namespace),
            Bound::Requester => format!("requester {}", party.requester),
        };
        format!(
            "{whose} has {live} passes through TapPolicy {} that are live or being issued, and {bound} allows {allowed}: the request continues when one of them ends",
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

    #[test]
    fn the_sentence_says_which_bound_how_many_and_what_comes_next() {
        let party = Party {
            policy: "contoso".into(),
            namespace: "helpdesk".into(),
            requester: "rita@contoso.com".into(),
        };
        let reached = Reached { bound: Bound::Requester, live: 7, allowed: 5 };
        assert_eq!(
            reached.sentence(&party),
            "requester rita@contoso.com has 7 passes through TapPolicy contoso that are live or being issued, \
             and issuance.quota.activePerRequester allows 5: the request continues when one of them ends"
        );
    }
}
