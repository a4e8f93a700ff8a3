//! Many requests for one user: they wait for what is known to come, and one of them at a time asks Graph.

use super::*;

fn waits(name: &str, created: i64) -> TapRequest {
    let mut waits = request(name, name);
    waits.metadata.creation_timestamp = Some(Time(at(created)));
    waits.spec.on_existing_pass = Some(crate::api::OnExistingPass::Wait);
    waits
}

/// A world in which so many requests wait for a pass that somebody else made.
fn crowd(count: i64, theirs: TapMethod) -> (Life, Vec<Uid>) {
    let mut life = Life::alone();
    life.passes = Ok(vec![theirs]);
    let uids: Vec<Uid> = (0..count).map(|n| Uid::from(format!("waits-{n}").as_str())).collect();
    for (uid, n) in uids.iter().zip(0..) {
        life.beside(waits(uid.as_str(), n));
    }
    life.show();
    (life, uids)
}

#[test]
fn a_pass_of_somebody_else_is_asked_for_by_one_at_a_time_and_ever_more_rarely() {
    let (mut life, uids) = crowd(100, pass("theirs", at(0), 480, true));
    for second in 10..1800 {
        life.now = at(second);
        for uid in &uids {
            if life.requests.due(uid).is_some_and(|due| due <= life.moment_at()) {
                life.reconcile_only(uid);
            }
        }
        life.show();
    }
    let reasons = uids.iter().map(|uid| life.others[uid].ready().unwrap().reason.as_str());
    assert!(reasons.into_iter().all(|reason| reason == "ExistingPass"));
    // 30, 45, 67, 101, 120, 120 ... seconds apart.
    assert_eq!(life.lists, 17);
}

#[test]
fn when_the_pass_of_somebody_else_expires_the_oldest_goes_on_at_once() {
    let (mut life, uids) = crowd(3, pass("theirs", at(0), 1, true));
    for uid in &uids {
        life.reconcile_only(uid);
    }
    life.now = at(40);
    assert_eq!(life.reconcile_only(&uids[0]), Rest::Until(at(60)));
    life.now = at(60);
    life.passes = Ok(vec![]);
    life.reconcile_only(&uids[0]);
    assert_eq!(life.others[&uids[0]].phase(), Phase::Active);
}

#[test]
fn a_pass_of_another_request_is_waited_for_without_asking_graph_and_its_end_calls_the_oldest() {
    let (mut life, uids) = crowd(50, pass("theirs", at(0), 480, true));
    life.passes = Ok(vec![]);
    life.beside(recording("first", "pass of first", &intent_of("first")));
    life.show();
    for uid in &uids {
        life.reconcile_only(uid);
        life.reconcile_only(uid);
    }
    assert_eq!(life.lists, 0);
    let ready = life.others[&uids[7]].ready().unwrap();
    assert!(ready.message.contains("a live pass of request first"), "{}", ready.message);
    life.show();
    let is_due = |life: &Life, uid: &Uid| life.requests.due(uid) <= Some(life.moment_at());
    assert!(!uids.iter().any(|uid| is_due(&life, uid)));
    // It ends.
    let first = life.others.get_mut("first").unwrap();
    first.status.as_mut().unwrap().phase = Phase::Used;
    first.metadata.finalizers = None;
    life.show();
    let due: Vec<bool> = uids.iter().map(|uid| is_due(&life, uid)).collect();
    assert_eq!((due[0], due[1..].contains(&true)), (true, false), "one at a time");
}

#[test]
fn whoever_waits_for_its_turn_is_called_when_it_comes() {
    let mut life = Life::alone();
    for (name, created) in [("first", 0), ("third", 2), ("second", 1)] {
        life.beside(waits(name, created));
    }
    life.reconcile_up_to_the_list(&"first".into());
    for name in ["third", "second"] {
        assert_eq!(life.reconcile_only(&name.into()), Rest::For(SignedDuration::from_secs(60)));
    }
    let is_due =
        |life: &Life, name: &str| life.requests.due(&name.into()) <= Some(life.moment_at());
    assert!(!is_due(&life, "second"));
    life.reconcile_only(&"first".into());
    assert_eq!((is_due(&life, "second"), is_due(&life, "third")), (true, false));
}

#[test]
fn a_request_whose_record_is_gone_makes_nobody_wait() {
    let (mut life, uids) = crowd(1, pass("theirs", at(0), 480, true));
    life.passes = Ok(vec![]);
    life.beside(recording("first", "pass of first", &intent_of("first")));
    life.show();
    life.reconcile_only(&uids[0]);
    life.show();
    life.gone.insert("first".into());
    life.apply(Seen::Deleted("first".into()));
    assert!(life.requests.due(&uids[0]) <= Some(life.moment_at()));
}

/// Each would else call the other as soon as it has looked.
#[test]
fn two_that_wait_for_the_same_pass_do_not_call_each_other() {
    let (mut life, uids) = crowd(2, pass("theirs", at(0), 480, true));
    for uid in &uids {
        life.others.get_mut(uid).unwrap().spec.on_existing_pass = None;
    }
    life.show();
    for second in 10..100 {
        life.now = at(second);
        for uid in &uids {
            if life.requests.due(uid).is_some_and(|due| due <= life.moment_at()) {
                life.reconcile_only(uid);
                life.show();
            }
        }
    }
    // Each looks every 30 seconds.
    assert!(life.lists <= 8, "{}", life.lists);
}

#[test]
fn whoever_waits_no_more_without_a_pass_calls_the_next() {
    let (mut life, uids) = crowd(3, pass("theirs", at(0), 480, true));
    life.passes = Ok(vec![]);
    life.beside(recording("first", "pass of first", &intent_of("first")));
    life.show();
    for uid in &uids {
        life.reconcile_only(uid);
    }
    life.show();
    let is_due = |life: &Life, uid: &Uid| life.requests.due(uid) <= Some(life.moment_at());
    // The pass ends, the oldest is called, and ends without one.
    let first = life.others.get_mut("first").unwrap();
    first.status.as_mut().unwrap().phase = Phase::Used;
    first.metadata.finalizers = None;
    life.show();
    assert_eq!([is_due(&life, &uids[0]), is_due(&life, &uids[1])], [true, false]);
    life.others.get_mut(&uids[0]).unwrap().status.as_mut().unwrap().phase = Phase::Failed;
    life.show();
    assert!(is_due(&life, &uids[1]));
}
