//! The looks at recorded passes: which is next, when, and what follows.

use super::*;
use crate::decision::ids::{RequestName, UserKey};

/// A world with others that hold passes, which are valid from these seconds on.
fn holding(starts: &[(&str, i64)]) -> Life {
    let mut life = Life::alone();
    for (name, start) in starts {
        let mut holder = holder(name);
        holder.status.as_mut().unwrap().pass.as_mut().unwrap().start_time = Time(at(*start));
        life.beside(holder);
    }
    life.show();
    life
}

fn claim(life: &mut Life, tenant_id: &str) -> Option<String> {
    let look = life.with_moment(|requests, moment| requests.claim_look(tenant_id, moment));
    look.map(|look| look.uid.to_string())
}

fn learn(life: &mut Life, name: &str, seen: Result<TapMethod, GraphError>) {
    life.with_moment(|requests, moment| requests.learn_look(&name.into(), seen, moment));
}

fn usable() -> TapMethod {
    pass("p", at(0), 60, true)
}

fn not_found() -> Result<TapMethod, GraphError> {
    Err(error(ErrorKind::NotFound))
}

/// In how many seconds the next look is due.
fn due_in(life: &Life) -> Option<u64> {
    Some((life.requests.next_look()?.checked_sub(life.moment_at())?).as_secs())
}

#[test]
fn the_newest_pass_is_looked_at_first_and_each_once() {
    let mut life = holding(&[("old", 1), ("new", 3), ("middle", 2)]);
    let looks =
        |life: &mut Life| -> Vec<String> { std::iter::from_fn(|| claim(life, "tenant")).collect() };
    assert_eq!(looks(&mut life), ["new", "middle", "old"]);
    assert_eq!(looks(&mut life), <[String; 0]>::default());
    for name in ["old", "new", "middle"] {
        learn(&mut life, name, Ok(usable()));
    }
    assert_eq!((looks(&mut life), due_in(&life)), (vec![], Some(60)));
    life.now += SignedDuration::from_secs(60);
    assert_eq!(looks(&mut life), ["new", "middle", "old"]);
}

#[test]
fn a_pass_that_was_just_made_is_not_looked_at_even_if_the_watch_shows_it_before_the_answer_comes() {
    let mut life = Life::new();
    life.meanwhile = ("status Active", |life| {
        life.show();
        assert_eq!((claim(life, "tenant"), due_in(life)), (None, Some(60)));
    });
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert_eq!(due_in(&life), Some(60));
}

#[test]
fn no_pass_is_passed_over_however_many_newer_ones_there_are() {
    let names: Vec<String> = (0..60).map(|number| format!("{number:02}")).collect();
    let starts: Vec<(&str, i64)> =
        names.iter().zip(0..).map(|(name, age)| (name.as_str(), -60 * age)).collect();
    let mut life = holding(&starts);
    let mut looked_at = BTreeSet::new();
    // A pace that bears fifteen looks a minute. The oldest of them is an hour old: four minutes later than the newest.
    for _ in 0..8 {
        for _ in 0..15 {
            let name = claim(&mut life, "tenant").expect("there are more than can be looked at");
            learn(&mut life, &name, Ok(usable()));
            looked_at.insert(name);
        }
        life.now += SignedDuration::from_mins(1);
    }
    assert_eq!(looked_at.len(), 60);
}

#[test]
fn whoever_has_many_passes_makes_no_other_namespace_wait_for_looks() {
    let mut life = Life::alone();
    life.now = at(600);
    life.beside(holder("old"));
    for number in 0..20 {
        let mut holder = holder(&format!("flood-{number:02}"));
        holder.metadata.namespace = Some("flood".into());
        holder.status.as_mut().unwrap().pass.as_mut().unwrap().start_time = Time(at(600));
        life.beside(holder);
    }
    life.show();
    let first = claim(&mut life, "tenant").expect("due");
    assert!(first.starts_with("flood"), "the newest goes first: {first}");
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("old"), "one of flood is under way");
}

#[test]
fn a_look_says_whose_pass_it_is_and_each_tenant_has_its_own() {
    let mut life = holding(&[("a", 1)]);
    let elsewhere =
        Intent { tenant_id: "elsewhere".into(), connection: "second".into(), ..intent_of("b") };
    life.beside(recording("b", "pass of b", &elsewhere));
    life.connections.extend([connection("first", "elsewhere"), connection("second", "elsewhere")]);
    life.crash();
    assert_eq!(claim(&mut life, "nowhere"), None);
    let look = life.with_moment(|requests, moment| requests.claim_look("elsewhere", moment));
    let expected = PassLook {
        uid: "b".into(),
        connections: vec!["second".into(), "first".into()],
        tenant_id: "elsewhere".into(),
        user_id: USER_ID.into(),
        pass_id: "pass of b".into(),
        secret_of: None,
    };
    assert_eq!(look, Some(expected));
    assert_eq!(claim(&mut life, "elsewhere"), None);
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
}

#[test]
fn what_changes_nothing_wakes_nobody_and_says_when_the_next_look_is_due() {
    let throttled = |seconds: Option<u64>| GraphError {
        retry_after: seconds.map(Duration::from_secs),
        ..error(ErrorKind::Throttled)
    };
    for (seen, again) in [
        (Ok(usable()), 60),
        (not_found(), 60),
        (Err(error(ErrorKind::Unavailable)), 30),
        (Err(throttled(None)), 30),
        (Err(throttled(Some(7))), 7),
        (Err(error(ErrorKind::Forbidden)), 60),
    ] {
        let mut life = holding(&[("a", 1)]);
        let due = life.requests.due(&"a".into());
        assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
        learn(&mut life, "a", seen.clone());
        assert_eq!(due_in(&life), Some(again), "{seen:?}");
        assert_eq!(life.requests.due(&"a".into()), due, "{seen:?}");
        assert_eq!(life.claim(), None, "{seen:?}");
    }
}

#[test]
fn a_used_pass_wakes_its_request_and_a_missing_one_when_it_is_missed_again() {
    let mut life = holding(&[("a", 1)]);
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
    learn(&mut life, "a", Ok(used(usable())));
    assert_eq!((life.requests.next_look(), life.claim()), (None, Some("a".into())));

    let mut life = holding(&[("a", 1)]);
    for (second, wakes) in [(100, false), (200, false), (260, true)] {
        life.now = at(second);
        assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"), "{second}");
        learn(&mut life, "a", not_found());
        assert_eq!(life.claim().is_some(), wakes, "{second}");
    }
}

#[test]
fn a_pass_that_is_there_again_was_not_missing() {
    let mut life = holding(&[("a", 1)]);
    for (second, seen) in [(100, not_found()), (200, Ok(usable())), (300, not_found())] {
        life.now = at(second);
        assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
        learn(&mut life, "a", seen);
        assert_eq!(life.claim(), None, "{second}");
    }
}

/// How long the answer took does not count.
#[test]
fn a_look_counts_from_when_it_was_asked_for() {
    let mut life = holding(&[("a", 1)]);
    for (asked, answered, wakes) in [(100, 130, false), (279, 400, false), (460, 461, true)] {
        life.now = at(asked);
        assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"), "{asked}");
        life.now = at(answered);
        learn(&mut life, "a", not_found());
        assert_eq!(life.claim().is_some(), wakes, "{asked}");
    }
}

#[test]
fn what_was_seen_is_acted_on_even_if_the_reconcile_that_goes_on_does_not_know_it() {
    let mut life = holding(&[("a", 1)]);
    let uid = Uid::from("a");
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
    life.requests.begin(&uid);
    life.step(&uid);
    let Step::Rest(rest) = life.next(&uid) else { panic!() };
    learn(&mut life, "a", Ok(used(usable())));
    life.rest(&uid, rest);
    assert_eq!(life.go_on(), std::slice::from_ref(&uid));
    assert_eq!(life.others[&uid].phase(), Phase::Used);
}

#[test]
fn where_the_secret_does_not_go_what_was_seen_is_kept() {
    let mut life = Life::active();
    let uid = life.uid();
    life.stuck_secret = Some("a webhook says no");
    life.seen = Ok(used(pass("ours", at(10), 60, true)));
    life.now = at(70);
    life.go_on();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "SecretStays"));
    assert_eq!(life.requests.next_look(), None);
    // Somebody takes it away.
    life.stuck_secret = None;
    life.now = at(90);
    assert_eq!(life.go_on(), [uid]);
    assert_eq!((life.request.phase(), life.reason()), (Phase::Used, "PassUsed"));
}

#[test]
fn nobody_looks_at_the_pass_of_a_request_that_is_to_end_has_ended_or_is_gone() {
    type Change = fn(&mut Life);
    let changes: [Change; 4] = [
        |life| life.others.get_mut("a").unwrap().status.as_mut().unwrap().phase = Phase::Used,
        |life| life.revoke("a"),
        |life| {
            life.others.get_mut("a").unwrap().metadata.deletion_timestamp = Some(Time(at(10)));
        },
        |life| {
            life.gone.insert("a".into());
        },
    ];
    for change in changes {
        // Before it was due, while it was wanted, and while somebody looked.
        for asked in 0..3 {
            let mut life = holding(&[("a", 1), ("b", 2)]);
            (0..asked).for_each(|_| drop(claim(&mut life, "tenant")));
            change(&mut life);
            life.show();
            if asked == 2 {
                learn(&mut life, "a", Ok(used(usable())));
            }
            let expected = (asked == 0).then_some("b");
            assert_eq!(claim(&mut life, "tenant").as_deref(), expected);
            assert_eq!(claim(&mut life, "tenant"), None);
        }
    }
}

/// The watch shows that a request is gone, and its reconcile has not come to its end yet.
#[test]
fn a_request_that_is_gone_keeps_nobody_from_looking_at_others() {
    let mut life = holding(&[("a", 3), ("b", 2), ("c", 1)]);
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("a"));
    life.requests.begin(&"b".into());
    life.gone.insert("b".into());
    life.show();
    assert_eq!(claim(&mut life, "tenant").as_deref(), Some("c"));
}

#[test]
fn a_process_that_begins_looks_at_each_pass_soon_and_one_that_issued_it_later() {
    let mut life = Life::active();
    assert_eq!(due_in(&life), Some(60));
    life.show();
    assert_eq!(due_in(&life), Some(60), "the watch says nothing new");
    life.crash();
    assert_eq!(due_in(&life), Some(0));
}

#[test]
fn what_is_looked_at_is_what_is_recorded() {
    let mut life = Life::active();
    life.now = at(70);
    let look = life.with_moment(|requests, moment| requests.claim_look("tenant", moment));
    let (uid, user) = (life.uid(), UserKey::new("tenant", USER_ID));
    let (tenant_id, user_id) = (user.tenant_id, user.user_id);
    let connections = vec!["default".into()];
    assert_eq!(
        look,
        Some(PassLook {
            uid,
            connections,
            tenant_id,
            user_id,
            pass_id: "ours".into(),
            secret_of: Some(RequestName::new("helpdesk", "lost-phone")),
        })
    );
}

/// The pass may be gone at the next look, and nobody would know that it was used.
#[test]
fn a_use_that_may_not_be_told_is_not_forgotten() {
    let mut life = Life::active();
    life.now = at(70);
    life.seen = Ok(used(pass("ours", at(10), 60, true)));
    life.refused = Some(Written::Status);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    life.refused = None;
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(400);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Used, "PassUsed"));
}

#[test]
fn a_secret_that_somebody_deleted_is_told() {
    let mut life = Life::active();
    life.secret = SecretFound::Absent;
    life.now += SignedDuration::from_secs(60);
    life.done.clear();
    assert_eq!(life.reconcile(), Rest::Until(at(10 + 3600)));
    life.expect(Phase::Active, "SecretGone", &["status Active"]);
    assert!(life.ready().message.contains("revoke this request"), "{}", life.ready().message);
    let status = life.request.status.clone().unwrap();
    assert_eq!((status.secret_name, life.ready().status.as_str()), (None, "True"));

    // It is told once, also by the next process, and the pass can still be revoked.
    life.now += SignedDuration::from_secs(60);
    life.reconcile();
    assert_eq!(life.done, ["status Active"]);
    life.crash();
    life.now += SignedDuration::from_secs(60);
    life.reconcile();
    assert_eq!(life.done, <[String; 0]>::default());
    life.decide("helen", "Revoke");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Revoked);
}
