//! What people are told of requests that are due, and for which there is no room yet.

use super::*;
use crate::api::{Decision, DecisionKind, TapRequestStatus};
use crate::decision::report::Report;
use crate::decision::requests::Queued;

/// Requests of a namespace and a requester, due from now on. They are named by their order.
fn ask(life: &mut Life, namespace: &str, requester: &str, requests: usize) {
    for number in 0..requests {
        let name = format!("{namespace}-{requester}-{number:02}");
        let mut request = request(&name, &name);
        request.metadata.namespace = Some(namespace.into());
        request.spec.requested_by = Some(requester.into());
        life.beside(request);
    }
    life.show();
}

/// Lets so many seconds pass, and returns who was told meanwhile, and how many are before them.
fn told(life: &mut Life, seconds: i64) -> Vec<(String, usize)> {
    life.now += SignedDuration::from_secs(seconds);
    let next = |life: &mut Life| life.with_moment(Requests::claim_queued);
    let told = std::iter::from_fn(|| next(life));
    told.map(|Queued { uid, before, .. }| (uid.to_string(), before)).collect()
}

/// A world in which one requester asked for more than are issued at once: five wait.
fn crowd() -> Life {
    let mut life = Life::alone();
    ask(&mut life, "a", "ann", 37);
    while life.claim().is_some() {}
    life
}

#[test]
fn who_waits_for_long_is_told_how_many_go_first_and_ever_less_often() {
    let mut life = crowd();
    assert_eq!(told(&mut life, 9), []);
    let due = life.moment_at() + Duration::from_secs(1);
    assert_eq!(life.requests.next_queued(), Some(due));
    let before: Vec<_> = (0..5).map(|n| (format!("a-ann-{:02}", 32 + n), n)).collect();
    assert_eq!(told(&mut life, 1), before);
    assert_eq!(told(&mut life, 29), []);
    assert_eq!(told(&mut life, 1), before);
    // After 40 seconds it takes 40 more.
    assert_eq!(told(&mut life, 39), []);
    assert_eq!(told(&mut life, 1), before);
    // The operator's own write of the status is no news.
    life.others.values_mut().for_each(|other| {
        other.metadata.labels = Some([("shown".into(), "again".into())].into());
    });
    life.show();
    assert_eq!(told(&mut life, 79), []);
    assert_eq!(told(&mut life, 1), before);
}

#[test]
fn those_with_whom_it_takes_turns_go_first() {
    let mut life = crowd();
    ask(&mut life, "a", "bob", 2);
    ask(&mut life, "b", "carol", 60);
    while life.claim().is_some() {}
    let told: std::collections::BTreeMap<_, _> = told(&mut life, 10).into_iter().collect();
    // Eight of b are under way, so there is no room left. Of a, bob's first go with ann's.
    assert_eq!(told["a-ann-32"], 1 + 2);
    assert_eq!(told["a-bob-00"], 1 + 2);
    assert_eq!(told["a-ann-36"], 4 + 2 + 7);
    assert_eq!(told["b-carol-08"], 1);
    assert_eq!(told["b-carol-59"], 51 + 7);
}

#[test]
fn nobody_is_told_of_one_for_which_there_is_room() {
    let mut life = Life::alone();
    ask(&mut life, "a", "ann", 32);
    assert_eq!(told(&mut life, 60), []);
    while life.claim().is_some() {}
    assert_eq!(told(&mut life, 60), []);
}

#[test]
fn nobody_is_told_of_one_that_goes_on_or_says_something_that_matters_more() {
    let mut life = crowd();
    let one = Uid::from("a-ann-32");
    life.others.get_mut(&one).unwrap().status =
        Some(TapRequestStatus { phase: Phase::AwaitingApproval, ..TapRequestStatus::default() });
    life.show();
    let names = |told: Vec<(String, usize)>| told.into_iter().map(|(name, _)| name);
    assert_eq!(names(told(&mut life, 10)).next().unwrap(), "a-ann-33");
    life.rest(&"a-ann-00".into(), Rest::ForChange);
    assert_eq!(life.claim(), Some(one.clone()));
    life.others.get_mut(&one).unwrap().status = None;
    life.show();
    assert!(!names(told(&mut life, 1000)).any(|name| name == one.as_str()));

    let mut pending = request("a", "alice");
    assert!(Report::queued(&pending, 3, at(0)).is_some());
    pending.metadata.finalizers = Some(vec!["tap-operator.io/pass".into()]);
    assert!(Report::queued(&pending, 3, at(0)).is_none());
}

#[test]
fn the_status_says_how_many_go_first_and_keeps_the_rest() {
    let mut pending = request("a", "alice");
    let decision = Decision { by: "carol".into(), decision: DecisionKind::Approve, comment: None };
    pending.status =
        Some(TapRequestStatus { decisions: vec![decision], ..TapRequestStatus::default() });
    let status = Report::queued(&pending, 12, at(0)).unwrap();
    assert_eq!((status.phase, status.decisions.len()), (Phase::Pending, 1));
    pending.status = Some(status);
    let ready = pending.ready().unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "Queued"));
    assert!(ready.message.starts_with("12 requests go first, "), "{}", ready.message);
    assert_eq!(Report::queued(&pending, 12, at(60)), None, "it says so already");
    assert!(Report::queued(&pending, 11, at(60)).is_some());
}
