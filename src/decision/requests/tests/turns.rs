//! One request at a time for each user of a tenant.

use super::*;

const BUSY: Rest = Rest::For(SignedDuration::from_secs(60));

/// Two requests for one user; the first is about to be issued.
fn two() -> (Life, Uid, Uid) {
    let mut life = Life::alone();
    life.beside(request("first", "first"));
    life.beside(request("second", "second"));
    let (first, second) = (Uid::from("first"), Uid::from("second"));
    life.reconcile_up_to_the_list(&first);
    (life, first, second)
}

#[test]
fn one_request_at_a_time_for_each_user() {
    let (mut life, first, second) = two();
    assert_eq!(life.reconcile_only(&second), BUSY);
    // Another user is another matter.
    life.beside(request("third", "third"));
    life.user.as_mut().unwrap().id = "22222222-0000-4000-8000-000000000002".into();
    life.show();
    life.reconcile_only(&"third".into());
    assert_eq!(life.others["third"].phase(), Phase::Active);
    life.user.as_mut().unwrap().id = USER_ID.into();
    life.reconcile_only(&first);
    assert_eq!(life.others[&first].phase(), Phase::Active);
    // And then it is the other one's, who sees the pass.
    life.reconcile_only(&second);
    assert_eq!(life.others[&second].ready().unwrap().reason, "ExistingPass");
}

#[test]
fn a_turn_is_given_back_where_the_reconcile_ends_without_an_attempt() {
    let (mut life, first, second) = two();
    life.passes = Err(error(ErrorKind::Unavailable));
    life.reconcile_only(&first);
    assert_eq!(life.others[&first].phase(), Phase::Pending);
    life.passes = Ok(vec![]);
    life.reconcile_only(&second);
    assert_eq!(life.others[&second].phase(), Phase::Active);
}

#[test]
fn a_turn_is_kept_while_nobody_knows_what_became_of_a_write_or_a_post() {
    for answer_lost in ["intent", "raise"] {
        let (mut life, first, second) = two();
        life.post = lost;
        life.answer_lost = Some(answer_lost);
        life.reconcile_only(&first);
        let rest = life.reconcile_only(&second);
        if answer_lost == "intent" {
            // The watch has not shown it.
            assert_eq!(rest, BUSY);
        }
        life.show();
        life.reconcile_only(&second);
        assert_eq!(life.others[&second].ready().unwrap().reason, "AnotherRequest");
        life.post = made;
        for second in [210, 225] {
            life.now = at(second);
            life.reconcile_only(&first);
        }
        assert_eq!(life.others[&first].phase(), Phase::Active, "{:?}", life.done);
        life.reconcile_only(&second);
        assert_eq!(life.others[&second].ready().unwrap().reason, "ExistingPass");
    }
}

#[test]
fn the_intent_of_a_process_that_died_counts_though_nobody_has_the_turn() {
    let mut life = Life::new();
    life.beside(unresolved("of the dead"));
    life.reconcile();
    assert_eq!(life.reason(), "AnotherRequest");
    // It ends, and nobody stands in the way.
    let dead = life.others.get_mut("of the dead").unwrap();
    let closed = Intent::of(dead).unwrap().closed();
    annotate(dead, &closed);
    dead.metadata.finalizers = None;
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

/// An intent that was on its way when its process lost the lease may show up so late.
#[test]
fn a_recovery_lists_nothing_while_another_request_of_the_user_is_issued() {
    let mut life = Life::alone();
    life.beside(request("first", "first"));
    life.reconcile_up_to_the_list(&"first".into());
    life.beside(unresolved("late"));
    life.show();
    assert_eq!(life.reconcile_only(&"late".into()), Rest::For(SignedDuration::from_secs(2)));
    assert_eq!(life.done, ["raise"]);
    life.reconcile_only(&"first".into());
    assert_eq!(life.others["first"].phase(), Phase::Active);
    life.reconcile_only(&"late".into());
    assert_eq!(life.others["late"].ready().unwrap().reason, "Resolving");
}

/// A user name may be given to another person.
#[test]
fn a_name_that_means_another_user_now_leaves_no_turn_behind() {
    let (mut life, first, second) = two();
    let is_intent = |step: &Step| matches!(step, Step::Act(Action::RecordIntent(..)));
    life.step(&first);
    life.reconcile_up_to(&first, is_intent);
    // Somebody changes the request, so that it is read again, and with it the user.
    let labels = Some([("x".into(), "y".into())].into());
    life.others.get_mut(&first).unwrap().metadata.labels = labels;
    life.user.as_mut().unwrap().id = "22222222-0000-4000-8000-000000000002".into();
    life.step(&first);
    life.reconcile_up_to(&first, is_intent);
    life.user.as_mut().unwrap().id = USER_ID.into();
    life.reconcile_only(&second);
    assert_eq!(life.others[&second].phase(), Phase::Active, "{:?}", life.done);
    (life.secret, life.create_secret) = (SecretFound::Absent, SecretCreation::Yes("s2".into()));
    life.reconcile_only(&first);
    assert_eq!(life.others[&first].phase(), Phase::Active, "{:?}", life.done);
}
