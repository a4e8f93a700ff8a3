//! A reconcile begins with the request as the watch showed it, where that is safe, and reads it where it is not.

use super::*;
use crate::decision::requests::schedule::AT_ONCE;

/// The watch shows a request, whole.
fn show(life: &mut Life, uid: &Uid) {
    life.show();
    let whole = Arc::new(life.object_mut(uid).clone());
    life.requests.shown(uid, whole);
}

/// Whether a reconcile that begins now reads the request first.
fn reads_first(life: &mut Life, uid: &Uid) -> bool {
    life.begin(uid);
    let step = life.next(uid);
    life.waiting.insert(uid.clone(), step.clone());
    step == Step::Read
}

#[test]
fn a_new_request_is_not_read_again() {
    let mut life = Life::new();
    let uid = life.uid();
    show(&mut life, &uid);
    assert!(!reads_first(&mut life, &uid));
    life.reconcile_only(&uid);
    assert_eq!(life.request.phase(), Phase::Active);
}

/// The write of the intent is conditional on what was shown; the conflict is answered by a read, and what was decided since
/// counts.
#[test]
fn what_was_shown_late_costs_a_conflict_and_nothing_else() {
    let mut life = Life::new();
    let uid = life.uid();
    show(&mut life, &uid);
    let decision = serde_json::from_value(json!({"by": "helen", "decision": "Revoke"})).unwrap();
    life.request.status.get_or_insert_default().decisions.push(decision);
    assert!(!reads_first(&mut life, &uid));
    life.reconcile_only(&uid);
    assert_eq!(life.request.phase(), Phase::Revoked);
    assert!(!life.done.iter().any(|done| done == "post"), "{:?}", life.done);
}

#[test]
fn a_request_that_may_hold_something_is_read_first() {
    type Change = fn(&mut TapRequest);
    fn carry(request: &mut TapRequest, intent: &str) {
        let annotations = request.metadata.annotations.get_or_insert_default();
        annotations.insert(INTENT_ANNOTATION.into(), intent.into());
    }
    let cases: [(&str, Change); 4] = [
        ("a finalizer", |r| r.metadata.finalizers = Some(vec![FINALIZER.into()])),
        ("an intent", |r| carry(r, "{}")),
        ("one that was dropped as too long", |r| carry(r, "")),
        ("an end", |r| r.status.get_or_insert_default().phase = Phase::Expired),
    ];
    for (what, change) in cases {
        let mut life = Life::new();
        let uid = life.uid();
        change(&mut life.request);
        show(&mut life, &uid);
        assert!(reads_first(&mut life, &uid), "{what}");
    }
}

#[test]
fn a_version_that_is_not_the_newest_known_is_not_begun_with() {
    let mut life = Life::new();
    let uid = life.uid();
    show(&mut life, &uid);
    let shown = Arc::new(life.request.clone());
    life.request.spec.reason = Some("INC-1".into());
    life.show();
    assert!(reads_first(&mut life, &uid));
    life.reconcile_only(&uid);
    // Nor where the watch shows it after that.
    life.requests.shown(&uid, shown);
    assert!(reads_first(&mut life, &uid));
}

#[test]
fn one_version_is_begun_with_once_and_few_are_kept() {
    let mut life = Life::new();
    let uid = life.uid();
    life.policy = None;
    show(&mut life, &uid);
    assert!(!reads_first(&mut life, &uid));
    life.reconcile_only(&uid);
    assert!(reads_first(&mut life, &uid));

    let mut life = Life::alone();
    let uids: Vec<Uid> = (0..=AT_ONCE).map(|n| Uid::from(format!("of-{n}").as_str())).collect();
    for uid in &uids {
        life.beside(request(uid.as_str(), uid.as_str()));
        show(&mut life, uid);
    }
    let (last, first) = uids.split_last().unwrap();
    assert!(first.iter().all(|uid| !reads_first(&mut life, uid)));
    assert!(reads_first(&mut life, last));
}
