//! Who waits for a place within a quota, and how long.

use super::*;

#[test]
fn a_reached_quota_is_waited_for_and_says_which_bound_and_when_it_goes_on() {
    let mut life = Life::new();
    life.fill_the_quota(20);
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_mins(10)));
    life.expect(Phase::Pending, "QuotaReached", &["status Pending"]);
    let status = life.request.status.clone().unwrap();
    let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    for word in ["namespace helpdesk", "20 passes", "TapPolicy contoso", "when one of them ends"] {
        assert!(ready.message.contains(word), "no {word:?} in {}", ready.message);
    }
    assert!(status.conditions.iter().any(|c| c.type_ == "Reconciling" && c.status == "True"));
    life.a_place_is_free_again();
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    let checks = &life.request.status.as_ref().unwrap().checks;
    assert_eq!(checks.last().map(|c| c.name.as_str()), Some("Quota"));
}

#[test]
fn a_quota_is_waited_for_until_the_deadline_and_no_longer() {
    let mut life = Life::new();
    life.fill_the_quota(20);
    life.reconcile();
    life.now = at(24 * 3600 - 60);
    assert_eq!(life.reconcile(), Rest::Until(at(24 * 3600)));
    life.now = at(24 * 3600);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Expired, "NotIssuedInTime"));
}

/// Requests that are about to take the last place, and then do not, would else tell each other so for ever.
#[test]
fn of_a_place_that_others_may_take_only_who_has_said_nothing_yet_speaks() {
    let mut life = Life::new();
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.edit_spec("{onExistingPass: Wait}");
    life.reconcile();
    life.expect(Phase::Pending, "ExistingPass", &["status Pending"]);
    life.contest_the_quota();
    life.now = at(80);
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_mins(10)));
    life.expect(Phase::Pending, "ExistingPass", &["status Pending"]);

    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.reconcile();
    life.decide("paul", "Approve");
    life.contest_the_quota();
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "QuotaReached"));

    // What it said before is over.
    let mut life = Life::new();
    life.method.as_mut().unwrap().state = MethodState::Disabled;
    life.reconcile();
    assert_eq!(life.reason(), "MethodDisabled");
    life.method.as_mut().unwrap().state = MethodState::Enabled;
    life.contest_the_quota();
    life.reconcile();
    assert_eq!(life.reason(), "QuotaReached");
}

#[test]
fn the_bounds_are_those_of_the_policy_as_it_is_now() {
    let mut life = Life::new();
    let bounds =
        |life: &Life| Bounds::of(life.policy.as_ref().unwrap().spec.issuance.as_ref().unwrap());
    assert!(bounds(&life).is_empty());
    life.edit_policy("{quota: {activePerNamespace: 20, activePerRequester: 5}}");
    let both = Bounds { per_namespace: Some(20), per_requester: Some(5) };
    assert_eq!(bounds(&life), both);
    life.edit_policy("{quota: {activePerNamespace: null}}");
    assert_eq!(bounds(&life), Bounds { per_namespace: None, ..both });
    // Who has a pass keeps it, whatever becomes of the quota.
    let mut life = Life::active();
    life.fill_the_quota(1);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &[]);
}

#[test]
fn a_refusal_before_a_long_wait_is_no_reason_to_fail_after_it() {
    let mut life = Life::new();
    life.post = refused;
    life.reconcile();
    life.fill_the_quota(20);
    life.now = at(40);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "QuotaReached"));
    life.a_place_is_free_again();
    life.post = made;
    life.now = at(400);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}
