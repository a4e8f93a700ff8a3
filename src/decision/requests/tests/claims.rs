//! Which request is reconciled next, and when.

use super::*;
use crate::decision::requests::Claimed;

/// A request that waits for a pass, made at this second.
fn waiting(name: &str, second: i64) -> TapRequest {
    let mut request = request(name, name);
    request.metadata.creation_timestamp = Some(Time(at(second)));
    request
}

fn claims(life: &mut Life) -> Vec<String> {
    std::iter::from_fn(|| life.claim()).map(|uid| uid.to_string()).collect()
}

/// A world with so many others that wait for a pass, and so many that hold something.
fn crowd(wait: usize, hold: usize) -> Life {
    let mut life = Life::alone();
    (0..wait).for_each(|n| life.beside(waiting(&format!("waits-{n:02}"), 0)));
    (0..hold).for_each(|n| life.beside(unresolved(&format!("holds-{n:02}"))));
    life.show();
    life
}

#[test]
fn what_holds_something_goes_first_then_what_is_due_longer_then_the_older() {
    let mut life = Life::alone();
    life.beside(waiting("older", 1));
    life.beside(waiting("younger", 2));
    life.show();
    life.now += SignedDuration::from_secs(1);
    life.beside(waiting("comes later", 0));
    life.beside(unresolved("holds"));
    life.show();
    assert_eq!(claims(&mut life), ["holds", "older", "younger", "comes later"]);
}

#[test]
fn nothing_is_claimed_twice_or_before_its_time() {
    let mut life = Life::alone();
    let uid = Uid::from("a");
    life.beside(waiting("a", 0));
    life.show();
    assert_eq!(life.requests.next_due(), Some(life.moment_at()));
    assert_eq!(claims(&mut life), ["a"]);
    assert_eq!((life.requests.next_due(), life.requests.due(&uid)), (None, None));
    life.rest(&uid, Rest::For(SignedDuration::from_secs(20)));
    let due = life.moment_at() + Duration::from_secs(20);
    assert_eq!((life.requests.next_due(), life.requests.due(&uid)), (Some(due), Some(due)));
    life.now += SignedDuration::from_secs(19);
    assert_eq!(life.claim(), None);
    life.now += SignedDuration::from_secs(4);
    let claimed = life.with_moment(Requests::claim);
    assert_eq!(claimed, Some(Claimed { uid, waited: Duration::from_secs(3) }));
}

#[test]
fn what_happens_meanwhile_has_a_request_reconciled_once_more() {
    let mut life = Life::alone();
    let uid = Uid::from("a");
    life.beside(waiting("a", 0));
    life.show();
    assert_eq!(life.claim(), Some(uid.clone()));
    life.others.get_mut(&uid).unwrap().metadata.labels = Some([("x".into(), "y".into())].into());
    life.show();
    assert_eq!(life.claim(), None, "one reconcile of a request at a time");
    life.rest(&uid, Rest::ForChange);
    assert_eq!(life.claim(), Some(uid.clone()));
    life.rest(&uid, Rest::ForChange);
    assert_eq!(life.claim(), None);
}

#[test]
fn those_that_want_a_pass_leave_room_for_those_that_take_something_away() {
    let mut life = crowd(40, 0);
    assert_eq!(claims(&mut life).len(), 32);
    assert_eq!(life.requests.next_due(), None, "a reconcile that ends makes room");

    let mut life = crowd(40, 40);
    let claimed = claims(&mut life);
    assert_eq!(claimed.len(), 64);
    assert!(claimed[..40].iter().all(|uid| uid.starts_with("holds")), "{claimed:?}");
    assert_eq!(life.requests.next_due(), None);
    // One ends, and makes room for one of either kind.
    life.rest(&"holds-00".into(), Rest::For(SignedDuration::from_secs(60)));
    assert_eq!(life.requests.next_due(), Some(life.moment_at()));
    assert_eq!(claims(&mut life), ["waits-24"]);

    let mut life = crowd(0, 70);
    assert_eq!(claims(&mut life).len(), 64);
}

#[test]
fn a_request_that_gets_its_pass_counts_among_those_that_want_one_to_the_end_of_its_reconcile() {
    let mut life = crowd(33, 0);
    let uid = Uid::from("waits-00");
    assert_eq!(claims(&mut life).len(), 32);
    life.reconcile_only(&uid);
    assert_eq!(life.others[&uid].phase(), Phase::Active);
    assert_eq!(claims(&mut life), ["waits-32"], "it has ended");
}

/// While it waits for Graph, others have its room.
#[test]
fn a_reconcile_that_rests_with_an_answer_gives_way() {
    let mut life = crowd(33, 0);
    let uid = Uid::from("waits-00");
    assert_eq!(claims(&mut life).len(), 32);
    life.create_secret = SecretCreation::Refused("no".into());
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.reconcile_only(&uid);
    assert!(life.requests.holds_an_answer(&uid), "{:?}", life.done);
    assert_eq!(claims(&mut life), ["waits-32"]);
    // It goes on all the same, and is claimed by nobody else meanwhile.
    life.now += SignedDuration::from_secs(3600);
    assert_eq!(life.requests.due(&uid), None);
    life.delete_pass = Ok(());
    life.reconcile_only(&uid);
    assert!(!life.requests.holds_an_answer(&uid), "{:?}", life.done);
    assert_eq!(life.requests.schedule.going_on_now(), (32, 32));
}

#[test]
fn failures_in_a_row_are_counted_and_a_quiet_rest_ends_the_row() {
    let mut life = crowd(1, 0);
    let uid = Uid::from("waits-00");
    let mut after = |rest: Option<Rest>| {
        life.requests.begin(&uid);
        let mut failures_in_a_row = 0;
        let mut length = |failures| {
            failures_in_a_row = failures;
            Duration::from_secs(1)
        };
        life.with_moment(|requests, moment| match rest {
            Some(rest) => requests.rest(&uid, rest, moment, |_, failures| length(failures)),
            None => requests.fail(&uid, moment, length),
        });
        failures_in_a_row
    };
    assert_eq!(after(None), 1);
    assert_eq!(after(Some(Rest::Backoff(None))), 2);
    assert_eq!(after(Some(Rest::BackoffUntil(None, at(100)))), 3);
    assert_eq!(after(Some(Rest::For(SignedDuration::from_secs(5)))), 0);
    assert_eq!(after(None), 1);
}

#[test]
fn a_finished_request_is_never_due_but_when_its_time_to_live_is_over() {
    let mut life = Life::alone();
    let mut ended = recording("ended", "p", &intent_of("ended").closed());
    ended.status.as_mut().unwrap().phase = Phase::Expired;
    ended.metadata.finalizers = None;
    let mut leaves = ended.clone();
    (leaves.metadata.name, leaves.metadata.uid) = (Some("leaves".into()), Some("leaves".into()));
    leaves.spec.start_time = Some(Time(at(0)));
    leaves.spec.ttl_after_finished = serde_json::from_value(json!("2h")).unwrap();
    leaves.status.as_mut().unwrap().finished_at = Some(Time(at(3600)));
    life.beside(ended);
    life.beside(leaves);
    life.show();
    let in_three_hours = life.moment_at() + Duration::from_secs(3 * 3600 - 10);
    assert_eq!(life.requests.due(&"ended".into()), None);
    assert_eq!(life.requests.due(&"leaves".into()), Some(in_three_hours));
    life.with_moment(Requests::wake_all);
    assert_eq!(life.requests.due(&"ended".into()), None);
    assert_eq!(claims(&mut life), Vec::<String>::new());
    life.now = at(3 * 3600);
    assert_eq!(life.go_on(), ["leaves".into()]);
    assert_eq!(life.done, ["delete request"]);
}

/// A machine may have slept: nothing is waited for longer than a day.
#[test]
fn a_settled_request_is_due_at_its_expiry_and_within_a_day() {
    let mut life = Life::active();
    let uid = life.uid();
    assert_eq!(life.requests.due(&uid), Some(life.moment_at() + Duration::from_secs(3600)));
    let mut long = holder("long");
    long.status.as_mut().unwrap().pass.as_mut().unwrap().expiration_time = Time(at(30 * 3600));
    life.beside(long);
    life.show();
    assert_eq!(
        life.requests.due(&"long".into()),
        Some(life.moment_at() + Duration::from_hours(24))
    );
}

/// Others that wait for a pass, of a namespace and a requester.
fn flood(life: &mut Life, names: &str, of: (&str, &str), count: usize) {
    for n in 0..count {
        let mut waits = waiting(&format!("{names}-{n:03}"), 0);
        waits.metadata.namespace = Some(of.0.into());
        waits.spec.requested_by = Some(of.1.into());
        life.beside(waits);
    }
}

#[test]
fn a_flood_of_one_namespace_makes_no_other_wait() {
    let mut life = Life::alone();
    flood(&mut life, "flood", ("a", "mallory"), 500);
    life.show();
    assert_eq!(claims(&mut life).len(), 32, "room is left for others");
    life.now += SignedDuration::from_secs(100);
    flood(&mut life, "one", ("b", "bob"), 1);
    flood(&mut life, "another", ("c", "carol"), 9);
    life.show();
    let claimed = claims(&mut life);
    assert_eq!(claimed.len(), 8);
    assert!(claimed[..2].contains(&"one-000".to_owned()), "{claimed:?}");
    assert!(claimed[2..].iter().all(|name| name.starts_with("another")), "{claimed:?}");
    // Each namespace has the next that ends, before the flood.
    life.rest(&"flood-000".into(), Rest::For(SignedDuration::from_secs(60)));
    assert_eq!(claims(&mut life), ["another-007"]);
}

#[test]
fn a_flood_of_one_requester_makes_no_other_of_the_namespace_wait() {
    let mut life = Life::alone();
    flood(&mut life, "flood", ("a", "mallory"), 500);
    life.show();
    assert_eq!(claims(&mut life).len(), 32);
    life.now += SignedDuration::from_secs(100);
    flood(&mut life, "one", ("a", "bob"), 1);
    life.show();
    life.rest(&"flood-000".into(), Rest::For(SignedDuration::from_secs(60)));
    assert_eq!(claims(&mut life), ["one-000"]);
}
