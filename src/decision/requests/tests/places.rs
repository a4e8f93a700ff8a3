//! Places within the quota of a policy: who holds one, who waits for one, and who is called.

use super::super::holders::Holders;
use super::*;
use crate::decision::quota::{Bound, Party, Reached};
use crate::decision::situation::Slot;

const ONE: Bounds = Bounds { per_namespace: Some(1), per_requester: None };
const FULL: Reached = Reached { bound: Bound::Namespace, live: 1, allowed: 1 };

fn party(namespace: &str, requester: &str) -> Arc<Party> {
    let (policy, namespace) = ("contoso".into(), namespace.into());
    Arc::new(Party { policy, namespace, requester: requester.into() })
}

/// Requests of one namespace and one requester, made in this order.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn created(name: &str) -> Timestamp {
    at(NAMES.iter().position(|other| *other == name).unwrap_or_default().try_into().unwrap())
}

fn take(holders: &mut Holders, name: &str, bounds: Bounds) -> Slot {
    let (slot, called) =
        holders.take(&name.into(), &party("helpdesk", "rita"), created(name), false, bounds);
    assert!(called.is_empty());
    slot
}

/// A version of a request is known: whether it may hold a pass, and whether it has ended. Answers with who is called.
fn see(holders: &mut Holders, name: &str, holds: bool, ended: bool) -> Vec<String> {
    let party = party("helpdesk", "rita");
    names(holders.observe(&name.into(), &party, created(name), holds, ended))
}

fn names(called: Vec<Uid>) -> Vec<String> {
    called.into_iter().map(|uid| uid.to_string()).collect()
}

const NOBODY: [&str; 0] = [];

#[test]
fn what_the_watch_does_not_show_yet_lets_nobody_in_beside_who_is_in() {
    let mut holders = Holders::default();
    assert_eq!(take(&mut holders, "a", ONE), Slot::Ours);
    assert_eq!(take(&mut holders, "a", ONE), Slot::Ours, "taking it again is no harm");
    assert_eq!(take(&mut holders, "b", ONE), Slot::Contested(FULL));
    // The attempt was recorded, and nobody knows whether it came through.
    holders.keep(&"a".into());
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL));
    see(&mut holders, "a", true, false);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL), "it is counted once");
    holders.give_back(&"a".into(), true);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL), "it holds a pass all the same");
    see(&mut holders, "a", false, true);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Ours);
}

#[test]
fn who_has_ended_holds_no_place_whatever_was_kept_for_it() {
    let mut holders = Holders::default();
    take(&mut holders, "a", ONE);
    holders.keep(&"a".into());
    see(&mut holders, "a", false, true);
    assert_eq!(holders, Holders::default());
}

#[test]
fn after_a_restart_what_is_seen_alone_tells() {
    let mut holders = Holders::default();
    see(&mut holders, "a", true, false);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL));
}

#[test]
fn what_was_deleted_leaks_no_place() {
    let mut holders = Holders::default();
    holders.set_bounds("contoso", Some(ONE));
    see(&mut holders, "a", true, false);
    take(&mut holders, "a", ONE);
    holders.keep(&"a".into());
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL));
    // The finalizer was taken off by hand, and the request is gone: nobody reconciles it again.
    assert_eq!(names(holders.forget(&"a".into())), ["b"]);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Ours);
}

#[test]
fn who_waits_is_called_once_and_the_oldest_first() {
    let mut holders = Holders::default();
    holders.set_bounds("contoso", Some(ONE));
    for name in ["a", "c", "b"] {
        take(&mut holders, name, ONE);
    }
    let waits = |holders: &Holders| ["a", "b", "c"].map(|name| holders.waits(&name.into()));
    assert_eq!(waits(&holders), [false, true, true]);
    assert_eq!(names(holders.give_back(&"a".into(), false)), ["b"]);
    assert_eq!(waits(&holders), [false, false, true]);
    // It does not want the place any more.
    assert_eq!(names(holders.give_back(&"b".into(), false)), ["c"]);
    assert_eq!(take(&mut holders, "c", ONE), Slot::Ours);
    assert_eq!(names(holders.give_back(&"c".into(), false)), NOBODY);
    holders.set_bounds("contoso", None);
    assert_eq!(holders, Holders::default());
}

#[test]
fn as_many_are_called_as_find_a_place() {
    let bounds = Bounds { per_namespace: Some(2), per_requester: None };
    let mut holders = Holders::default();
    holders.set_bounds("contoso", Some(bounds));
    for name in NAMES {
        take(&mut holders, name, bounds);
    }
    assert_eq!(names(holders.give_back(&"a".into(), false)), ["c"]);
    assert_eq!(names(holders.give_back(&"b".into(), false)), ["d"]);
    // What is said for others holds no place of them: whoever comes first takes it.
    assert_eq!(take(&mut holders, "d", bounds), Slot::Ours);
    assert_eq!(take(&mut holders, "a", bounds), Slot::Ours);
    let two = Reached { bound: Bound::Namespace, live: 2, allowed: 2 };
    assert_eq!(take(&mut holders, "c", bounds), Slot::Contested(two));
}

#[test]
fn where_the_bounds_are_not_known_nobody_is_called() {
    let mut holders = Holders::default();
    take(&mut holders, "a", ONE);
    take(&mut holders, "b", ONE);
    assert_eq!(names(holders.give_back(&"a".into(), false)), NOBODY);
    assert_eq!(take(&mut holders, "b", ONE), Slot::Ours);
}

#[test]
fn without_a_quota_a_place_counts_for_one_that_is_set_later() {
    let mut holders = Holders::default();
    assert_eq!(take(&mut holders, "a", Bounds::default()), Slot::Ours);
    holders.keep(&"a".into());
    assert_eq!(take(&mut holders, "b", ONE), Slot::Taken(FULL));
}

const BOTH: Bounds = Bounds { per_namespace: Some(3), per_requester: Some(2) };

#[test]
fn each_bound_counts_its_own_and_the_namespace_comes_first() {
    let mut holders = Holders::default();
    let holds = |holders: &mut Holders, uid: &str, party: &Arc<Party>| {
        holders.observe(&uid.into(), party, at(0), true, false);
    };
    let reached = |holders: &Holders, party: &Arc<Party>, bounds| {
        let (slot, _) = holders.clone().take(&"new".into(), party, at(9), false, bounds);
        match slot {
            Slot::Taken(reached) => Some((reached.bound, reached.live)),
            Slot::Ours => None,
            Slot::Contested(_) => panic!("nobody is coming"),
        }
    };
    holds(&mut holders, "1", &party("a", "rita"));
    holds(&mut holders, "2", &party("b", "rita"));
    // Requesters count over namespaces.
    assert_eq!(reached(&holders, &party("a", "rita"), BOTH), Some((Bound::Requester, 2)));
    assert_eq!(reached(&holders, &party("a", "sam"), BOTH), None);
    holds(&mut holders, "3", &party("a", "sam"));
    holds(&mut holders, "4", &party("a", "tom"));
    assert_eq!(reached(&holders, &party("a", "uma"), BOTH), Some((Bound::Namespace, 3)));
    assert_eq!(reached(&holders, &party("a", "rita"), BOTH), Some((Bound::Namespace, 3)));
    assert_eq!(reached(&holders, &party("b", "uma"), BOTH), None);
    let other = Arc::new(Party { policy: "other".into(), ..(*party("a", "rita")).clone() });
    assert_eq!(reached(&holders, &other, BOTH), None, "each policy has its own count");
    assert_eq!(reached(&holders, &party("a", "rita"), Bounds::default()), None);
}

#[test]
fn a_line_is_served_in_its_order_and_nobody_blocks_it() {
    let mut holders = Holders::default();
    holders.set_bounds("contoso", Some(BOTH));
    let mut take = |uid: &str, party: &Arc<Party>, second| {
        holders.take(&uid.into(), party, at(second), false, BOTH).0
    };
    for (uid, party) in
        [("gone soon", party("a", "uma")), ("1", party("a", "rita")), ("2", party("a", "rita"))]
    {
        assert_eq!(take(uid, &party, 0), Slot::Ours);
    }
    let line = [
        ("blocked", party("a", "rita")),
        ("first", party("a", "sam")),
        ("second", party("a", "sam")),
        ("and so on", party("a", "tom")),
    ];
    for (second, (uid, party)) in (1..).zip(&line) {
        assert!(matches!(take(uid, party, second), Slot::Contested(_)), "{uid}");
    }
    assert_eq!(take("elsewhere", &party("b", "sam"), 9), Slot::Ours);
    // Rita's own bound keeps the first of the line out: she waits for that, and keeps out nobody.
    assert_eq!(names(holders.forget(&"gone soon".into())), ["first"]);
    // Sam has two now, or is about to.
    assert_eq!(names(holders.forget(&"1".into())), ["blocked"]);
    assert_eq!(names(holders.forget(&"2".into())), ["and so on"]);
    assert_eq!(names(holders.forget(&"elsewhere".into())), NOBODY, "the namespace is full");
    assert_eq!(names(holders.forget(&"blocked".into())), ["second"]);
}

#[test]
fn who_may_have_a_live_pass_holds_one() {
    for (finalizer, phase, expected) in [
        (false, "Pending", false),
        (false, "AwaitingApproval", false),
        (false, "Scheduled", false),
        (true, "Pending", true),
        (true, "Scheduled", true),
        (true, "Active", true),
        (false, "Active", true),
        // A newer version's phase: nobody knows.
        (true, "Frozen", true),
        (false, "Frozen", false),
        (true, "Used", false),
        (true, "Expired", false),
        (true, "Revoked", false),
        (true, "Failed", false),
    ] {
        let mut request = request("a", "a");
        request.metadata.finalizers = finalizer.then(|| vec![FINALIZER.into()]);
        let status = json!({"phase": phase, "decisions": []});
        request.status = Some(serde_json::from_value(status).unwrap());
        assert_eq!(Observed::of(&request).holds(), expected, "{finalizer} {phase}");
    }
}

// ---- and what the machine makes of it ----

/// A world with a quota of one pass: these requests, the first of which takes the place, and the others wait for it.
fn line(names: &[&str]) -> Life {
    let mut life = Life::alone();
    life.edit_policy("{quota: {activePerNamespace: 1}}");
    for (second, name) in (0..).zip(names) {
        let mut request = request(name, name);
        request.metadata.creation_timestamp = Some(Time(at(second)));
        life.beside(request);
    }
    life.show();
    life.reconcile_only(&names[0].into());
    for name in &names[1..] {
        life.reconcile_only(&(*name).into());
        assert_eq!(life.others[*name].ready().unwrap().reason, "QuotaReached");
    }
    life
}

fn due_now(life: &Life) -> Vec<&str> {
    let is_due = |uid: &&Uid| life.requests.due(uid).is_some_and(|due| due <= life.moment_at());
    life.others.keys().filter(is_due).map(Uid::as_str).collect()
}

#[test]
fn when_a_pass_ends_the_first_in_line_is_reconciled_and_the_others_sleep_on() {
    let mut life = line(&["holds", "second", "third"]);
    assert_eq!(due_now(&life), NOBODY);
    life.revoke("holds");
    life.show();
    life.reconcile_only(&"holds".into());
    assert_eq!(life.others["holds"].phase(), Phase::Revoked);
    assert_eq!(due_now(&life), ["second"]);
    // It gets it, and the third waits on.
    assert_eq!(life.go_on(), ["second".into()]);
    assert_eq!(life.others["second"].phase(), Phase::Active);
    assert_eq!(due_now(&life), NOBODY);
}

#[test]
fn who_is_called_while_its_reconcile_goes_on_keeps_its_place_in_the_line() {
    let mut life = line(&["holds", "second", "third"]);
    // It has just found that there is none.
    life.requests.begin(&"second".into());
    life.reconcile_up_to(&"second".into(), |step| matches!(step, Step::Rest(_)));
    life.revoke("holds");
    life.show();
    life.reconcile_only(&"holds".into());
    life.reconcile_only(&"second".into());
    assert_eq!(due_now(&life), ["second"]);
}

#[test]
fn a_place_is_kept_where_nobody_knows_what_became_of_the_attempt() {
    let mut life = Life::alone();
    life.edit_policy("{quota: {activePerNamespace: 1}}");
    life.beside(request("first", "first"));
    life.beside(request("second", "second"));
    life.show();
    life.answer_lost = Some("intent");
    life.reconcile_only(&"first".into());
    life.reconcile_only(&"second".into());
    assert_eq!(life.others["second"].ready().unwrap().reason, "QuotaReached");
    let message = &life.others["second"].ready().unwrap().message;
    assert!(message.contains("namespace helpdesk has 1 passes"), "{message}");
}
