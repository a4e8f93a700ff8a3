//! Who has a place within the quota of a policy, and who waits for one: what this process knows before its cache does.
//!
//! A place is taken before the attempt is recorded, and held for as long as the newest version of the request that this
//! process knows may hold a pass. So a cache that lags lets nobody in beside those whom it does not show yet; and what
//! the cache does not show any more holds nothing, whatever became of the request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::reflector::{ObjectRef, Store};

use super::watches::GuardedRequest;
use crate::api::TapRequest;
use crate::decision::intent::has_ended;
use crate::decision::life::situation::Slot;
use crate::decision::quota::{Bounds, Party, holds};

/// The claims of requests, by uid.
#[derive(Default)]
pub struct Quotas(Mutex<BTreeMap<String, Claim>>);

struct Claim {
    at: ObjectRef<GuardedRequest>,
    party: Party,
    stand: Stand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// A pass over the request goes on, and may record an attempt.
    Taken,
    /// When the last pass over it ended, it held a place.
    Kept,
    /// There was no place for it. It was made at this time.
    Waiting(Timestamp),
    /// Now there is one, and it was told to come.
    Called,
}

/// Those who have a place within one quota, or are about to.
#[derive(Default)]
struct Holders {
    certain: Vec<Party>,
    /// They may yet not take it.
    coming: Vec<Party>,
    /// They were told to come.
    called: Vec<Party>,
}

impl Quotas {
    /// Takes a place for a request, if there is one; else the request waits for one.
    pub fn take(
        &self,
        request: &TapRequest,
        bounds: &Bounds,
        cache: &Store<GuardedRequest>,
    ) -> Slot {
        let uid = request.metadata.uid.clone().unwrap_or_default();
        let party = Party::of(request);
        let mut claims = self.claims();
        let slot = if bounds.is_empty() {
            Slot::Ours
        } else {
            forget_the_gone(&mut claims, cache);
            let Holders { certain, mut coming, .. } =
                holders(&claims, cache, &party.policy, Some(&uid));
            let taken = bounds.reached(&party, &certain);
            coming.extend(certain);
            let contested = bounds.reached(&party, &coming);
            taken.map(Slot::Taken).or(contested.map(Slot::Contested)).unwrap_or(Slot::Ours)
        };
        let stand = match slot {
            Slot::Ours => Stand::Taken,
            Slot::Contested(_) | Slot::Taken(_) => Stand::Waiting(request.created()),
        };
        let at = ObjectRef::new(request.metadata.name.as_deref().unwrap_or_default())
            .within(&party.namespace);
        claims.insert(uid, Claim { at, party, stand });
        slot
    }

    /// The place of a request is kept beyond a pass over it.
    pub fn keep(&self, uid: &str) {
        if let Some(claim) = self.claims().get_mut(uid)
            && claim.stand == Stand::Taken
        {
            claim.stand = Stand::Kept;
        }
    }

    /// A request has no place, and waits for none.
    pub fn give_back(&self, uid: &str) {
        self.claims().remove(uid);
    }

    /// Those who wait for a place and find one now, the oldest first. They are told once.
    pub fn call(
        &self,
        policy: &str,
        bounds: &Bounds,
        cache: &Store<GuardedRequest>,
    ) -> Vec<ObjectRef<GuardedRequest>> {
        let mut claims = self.claims();
        forget_the_gone(&mut claims, cache);
        let Holders { certain, coming, called } = holders(&claims, cache, policy, None);
        let mut line: Vec<(Timestamp, String, Party)> = claims
            .iter()
            .filter(|(_, claim)| claim.party.policy == policy)
            .filter_map(|(uid, claim)| match claim.stand {
                Stand::Waiting(since) => Some((since, uid.clone(), claim.party.clone())),
                Stand::Taken | Stand::Kept | Stand::Called => None,
            })
            .collect();
        line.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let line = line.into_iter().map(|(_, uid, party)| (uid, party));
        let next = bounds.next_in_line([certain, coming, called].concat(), line);
        let call = |uid: String| {
            let claim = claims.get_mut(&uid)?;
            claim.stand = Stand::Called;
            Some(claim.at.clone())
        };
        next.into_iter().filter_map(call).collect()
    }

    /// Whether somebody waits for a place within the quota of a policy.
    pub fn is_waited_for(&self, policy: &str) -> bool {
        let waits = |claim: &Claim| {
            claim.party.policy == policy && matches!(claim.stand, Stand::Waiting(_))
        };
        self.claims().values().any(waits)
    }

    fn claims(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request was in the cache when it claimed anything. Where it is not any more it was deleted, and nobody will look at
/// it again; but for the pass over it that goes on.
fn forget_the_gone(claims: &mut BTreeMap<String, Claim>, cache: &Store<GuardedRequest>) {
    claims.retain(|uid, claim| claim.stand == Stand::Taken || cached(cache, uid, claim).is_some());
}

fn cached(
    cache: &Store<GuardedRequest>,
    uid: &str,
    claim: &Claim,
) -> Option<std::sync::Arc<GuardedRequest>> {
    cache.get(&claim.at).filter(|found| found.meta().uid.as_deref() == Some(uid))
}

/// Those who hold a place by the cache, and those who do by their claims and not by the cache.
fn holders(
    claims: &BTreeMap<String, Claim>,
    cache: &Store<GuardedRequest>,
    policy: &str,
    but: Option<&str>,
) -> Holders {
    let mut found = Holders::default();
    for request in cache.state() {
        if let Ok(request) = &request.0
            && request.spec.policy_ref.name == policy
            && request.metadata.uid.as_deref() != but
            && holds(request)
        {
            found.certain.push(Party::of(request));
        }
    }
    for (uid, claim) in claims {
        if claim.party.policy != policy || Some(uid.as_str()) == but {
            continue;
        }
        let seen = cached(cache, uid, claim);
        let counted_or_over = seen
            .as_deref()
            .and_then(|request| request.0.as_ref().ok())
            .is_some_and(|request| holds(request) || has_ended(request));
        match claim.stand {
            _ if counted_or_over => {}
            Stand::Taken => found.coming.push(claim.party.clone()),
            Stand::Kept => found.certain.push(claim.party.clone()),
            Stand::Called => found.called.push(claim.party.clone()),
            Stand::Waiting(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use kube::runtime::reflector::store::{Writer, store};
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::decision::quota::{Bound, Reached};

    const ONE: Bounds = Bounds { per_namespace: Some(1), per_requester: None };
    const FULL: Reached = Reached { bound: Bound::Namespace, live: 1, allowed: 1 };

    /// A request that was made in this second, in this phase, with or without the finalizer.
    fn request(name: &str, second: i64, phase: &str, finalizer: bool) -> TapRequest {
        let finalizers = if finalizer { json!(["tap-operator.io/pass"]) } else { json!([]) };
        serde_json::from_value(json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {
                "name": name, "namespace": "helpdesk", "uid": format!("uid-{name}"), "finalizers": finalizers,
                "creationTimestamp": Timestamp::from_second(1_800_000_000 + second).unwrap().to_string(),
            },
            "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn see(cache: &mut Writer<GuardedRequest>, request: TapRequest) {
        cache.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(request))));
    }

    fn names(called: &[ObjectRef<GuardedRequest>]) -> Vec<&str> {
        called.iter().map(|at| at.name.as_str()).collect()
    }

    #[test]
    fn a_cache_that_lags_lets_nobody_in_beside_who_is_in() {
        let (cache, mut seen) = store();
        let (a, b) = (request("a", 0, "Pending", false), request("b", 1, "Pending", false));
        see(&mut seen, a.clone());
        see(&mut seen, b.clone());
        let quotas = Quotas::default();
        assert_eq!(quotas.take(&a, &ONE, &cache), Slot::Ours);
        assert_eq!(quotas.take(&a, &ONE, &cache), Slot::Ours, "taking it again is no harm");
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Contested(FULL));
        // The attempt was recorded; the cache shows it later.
        quotas.keep("uid-a");
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Taken(FULL));
        see(&mut seen, request("a", 0, "Active", true));
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Taken(FULL), "it is counted once");
        quotas.give_back("uid-a");
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Taken(FULL), "the cache still shows it");
        see(&mut seen, request("a", 0, "Expired", true));
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Ours);
    }

    #[test]
    fn after_a_restart_the_cache_alone_tells() {
        let (cache, mut seen) = store();
        let b = request("b", 1, "Pending", false);
        see(&mut seen, request("a", 0, "Pending", true));
        see(&mut seen, b.clone());
        assert_eq!(Quotas::default().take(&b, &ONE, &cache), Slot::Taken(FULL));
    }

    #[test]
    fn what_was_deleted_leaks_no_place() {
        let (cache, mut seen) = store();
        let (a, b) = (request("a", 0, "Active", true), request("b", 1, "Pending", false));
        see(&mut seen, a.clone());
        see(&mut seen, b.clone());
        let quotas = Quotas::default();
        quotas.take(&a, &ONE, &cache);
        quotas.keep("uid-a");
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Taken(FULL));
        // The finalizer was taken off by hand, and the request is gone: nobody looks at it again.
        seen.apply_watcher_event(&Event::Delete(DeserializeGuard(Ok(a))));
        assert_eq!(names(&quotas.call("contoso", &ONE, &cache)), ["b"]);
        // Another one of the same name is another one.
        let again = TapRequest {
            metadata: kube::core::ObjectMeta {
                uid: Some("another".into()),
                ..request("a", 2, "Pending", false).metadata
            },
            ..request("a", 2, "Pending", false)
        };
        see(&mut seen, again);
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Ours);
    }

    #[test]
    fn who_waits_is_called_once_and_the_oldest_first() {
        let (cache, mut seen) = store();
        let quotas = Quotas::default();
        let requests = ["late", "old", "holder"].map(|name| {
            let second = ["holder", "old", "late"].iter().position(|n| *n == name).unwrap();
            request(name, i64::try_from(second).unwrap(), "Pending", false)
        });
        let [late, old, holder] = &requests;
        for request in &requests {
            see(&mut seen, request.clone());
        }
        quotas.take(holder, &ONE, &cache);
        quotas.take(late, &ONE, &cache);
        quotas.take(old, &ONE, &cache);
        assert!(quotas.is_waited_for("contoso") && !quotas.is_waited_for("other"));
        assert_eq!(names(&quotas.call("contoso", &ONE, &cache)), <[&str; 0]>::default());
        quotas.give_back("uid-holder");
        assert_eq!(names(&quotas.call("contoso", &ONE, &cache)), ["old"]);
        assert_eq!(names(&quotas.call("contoso", &ONE, &cache)), <[&str; 0]>::default());
        // It does not want the place any more.
        quotas.give_back("uid-old");
        assert_eq!(names(&quotas.call("contoso", &ONE, &cache)), ["late"]);
        assert_eq!(quotas.take(late, &ONE, &cache), Slot::Ours);
        assert!(!quotas.is_waited_for("contoso"));
    }

    #[test]
    fn without_a_quota_a_place_counts_for_one_that_is_set_later() {
        let (cache, mut seen) = store();
        let (a, b) = (request("a", 0, "Pending", false), request("b", 1, "Pending", false));
        see(&mut seen, a.clone());
        see(&mut seen, b.clone());
        let quotas = Quotas::default();
        assert_eq!(quotas.take(&a, &Bounds::default(), &cache), Slot::Ours);
        quotas.keep("uid-a");
        assert_eq!(quotas.take(&b, &ONE, &cache), Slot::Taken(FULL));
    }
}
