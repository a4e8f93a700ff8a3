//! Which requests are settled, and which are not resolved, however they look.

use proptest::prelude::*;
use proptest::sample::select;

use super::chaos::config;
use super::chaos::event::shape;
use super::*;
use crate::decision::intent::is_unresolved_for;

proptest! {
    #![proptest_config(config())]

    /// Whether a request is settled is what its life decides of it: it is not read without a cause, and each other one is.
    #[test]
    fn a_settled_request_is_one_that_rests_until_its_expiry(
        shape in shape(),
        decided in prop::option::weighted(0.2, select(vec!["Approve", "Deny", "Revoke"])),
        deleted in prop::bool::weighted(0.1),
        said in select(vec!["Issued", "Issued", "Revoking", "SecretStays"]),
    ) {
        let mut life = Life::new();
        life.request = shape.request(UID, life.now);
        let status = life.request.status.get_or_insert_default();
        status.conditions = vec![Condition {
            last_transition_time: Time(life.now),
            message: String::new(),
            observed_generation: None,
            reason: said.into(),
            status: "True".into(),
            type_: "Ready".into(),
        }];
        if let Some(decision) = decided {
            life.decide("helen", decision);
        }
        life.request.metadata.deletion_timestamp = deleted.then_some(Time(life.now));
        let expires = life.now + SignedDuration::from_secs(3600);
        life.show();
        let uid = life.uid();
        let is_settled = life.requests.observed(&uid).is_some_and(|o| o.settled().is_some());
        let observed = life.requests.observed(&uid).and_then(|o| o.unresolved.clone());
        for user in ["user-0", "user-1"] {
            let is_unresolved = observed.as_ref().is_some_and(|unresolved| {
                unresolved.tenant_id.as_ref().is_none_or(|id| **id == *"tenant")
                    && unresolved.user_id.as_ref().is_none_or(|id| **id == *user)
            });
            prop_assert_eq!(is_unresolved, is_unresolved_for(&life.request, "tenant", user));
        }
        let due = life.requests.due(&uid);
        let in_an_hour = life.moment_at() + Duration::from_secs(3600);
        prop_assert_eq!(due == Some(in_an_hour), is_settled, "{:?}", due);
        let rests = life.reconcile_only(&uid) == Rest::Until(expires) && life.done.is_empty();
        // In another phase nobody records a pass, and one that does is read: that costs little.
        let is_active = shape.phase == Phase::Active;
        prop_assert!(rests == is_settled || rests && !is_active);
    }
}
