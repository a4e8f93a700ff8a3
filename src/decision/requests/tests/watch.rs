//! What the watches show: of requests, also late and in lists, of policies, of the stop; and who is woken by it.

use super::*;
use crate::decision::ids::RequestName;
use crate::decision::intent::Replaced;
use crate::decision::requests::Version;
use crate::decision::requests::ordered::Map;

fn observed(mut request: TapRequest, version: &str) -> Observed {
    request.metadata.resource_version = Some(version.into());
    Observed::of(&request)
}

fn phase(life: &Life, uid: &str) -> Option<Phase> {
    life.requests.observed(&uid.into()).map(|observed| observed.phase)
}

fn is_due(life: &Life, uid: &str) -> bool {
    life.requests.due(&uid.into()).is_some_and(|due| due <= life.moment_at())
}

/// Waits for a pass, and rests until something changes.
fn resting(life: &mut Life, name: &str) {
    life.beside(request(name, name));
    life.show();
    life.requests.begin(&name.into());
    life.rest(&name.into(), Rest::ForChange);
    assert!(!is_due(life, name));
}

#[test]
fn what_was_written_is_known_at_once_and_a_watch_that_lags_changes_nothing() {
    let mut life = Life::new();
    life.show();
    let before = life.requests.observed(&life.uid()).unwrap().clone();
    life.reconcile_only(&life.uid());
    assert_eq!(phase(&life, UID), Some(Phase::Active));
    // The watch shows the request as it was, and as it was in between.
    let machine = life.requests.clone();
    let mut between = life.request.clone();
    between.status = None;
    for seen in [before, observed(between, "2")] {
        life.apply(Seen::Applied(UID.into(), seen));
        assert_eq!(life.requests, machine);
    }
    // And then as it is.
    life.show();
    assert_eq!(life.requests, machine);
}

#[test]
fn the_later_of_two_versions_counts_and_versions_that_are_no_numbers_count_as_they_come() {
    for (first, then, expected) in [
        ("9", "10", Phase::Active),
        ("10", "9", Phase::Pending),
        ("10", "10", Phase::Active),
        ("b", "a", Phase::Active),
        ("9", "a", Phase::Active),
        ("a", "9", Phase::Active),
    ] {
        let mut life = Life::alone();
        let uid = || Uid::from("a");
        life.apply(Seen::Applied(uid(), observed(request("a", "a"), first)));
        life.apply(Seen::Applied(uid(), observed(holder("a"), then)));
        assert_eq!(phase(&life, "a"), Some(expected), "{first} {then}");
    }
}

#[test]
fn a_version_was_seen_if_a_later_one_was_and_not_if_the_request_is_gone() {
    let mut life = Life::alone();
    let seen = |life: &Life, version| life.requests.has_seen("a", &Version::Number(version));
    life.apply(Seen::Applied("a".into(), observed(request("a", "a"), "9")));
    assert_eq!([8, 9, 10].map(|version| seen(&life, version)), [true, true, false]);
    assert!(!life.requests.has_seen("b", &Version::Number(1)));
    life.requests.begin(&"a".into());
    life.apply(Seen::Deleted("a".into()));
    assert!(!seen(&life, 9));
}

#[test]
fn what_is_in_no_list_is_gone_and_what_was_known_of_it_is_told() {
    let mut life = Life::alone();
    for name in ["a", "b", "c"] {
        life.beside(holder(name));
    }
    life.list();
    let listed = life.requests.observed(&"b".into()).unwrap().clone();
    assert!(life.apply(Seen::ListBegins).is_empty());
    life.apply(Seen::Listed("b".into(), listed));
    assert_eq!(phase(&life, "a"), Some(Phase::Active), "the list is not complete");
    let gone: Vec<RequestName> =
        life.apply(Seen::ListEnds).into_iter().map(|(_, seen)| seen.name).collect();
    assert_eq!(gone, ["a", "c"].map(|name| RequestName::new("helpdesk", name)));
    assert_eq!(["a", "b", "c"].map(|uid| phase(&life, uid)), [None, Some(Phase::Active), None]);
    assert!(life.apply(Seen::ListEnds).is_empty(), "none has begun");
    assert_eq!(phase(&life, "b"), Some(Phase::Active));
}

/// It fails at a later page, and begins again.
#[test]
fn what_a_list_showed_that_was_broken_off_does_not_count() {
    let mut life = Life::alone();
    for name in ["a", "b"] {
        life.beside(holder(name));
    }
    life.list();
    let [a, b] = ["a", "b"].map(|uid| life.requests.observed(&uid.into()).unwrap().clone());
    life.apply(Seen::ListBegins);
    life.apply(Seen::Listed("a".into(), a));
    life.apply(Seen::ListBegins);
    life.apply(Seen::Listed("b".into(), b));
    let gone: Vec<Uid> = life.apply(Seen::ListEnds).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(gone, [Uid::from("a")]);
    assert!(!life.requests.is_there(&"a".into()) && life.requests.is_there(&"b".into()));
}

/// Its reconcile finds it gone before the watch shows it.
#[test]
fn that_a_request_is_gone_is_answered_once() {
    let mut life = Life::new();
    let uid = life.uid();
    life.show();
    assert_eq!(life.claim(), Some(uid.clone()));
    let known = life.with_moment(|requests, moment| requests.gone(&uid, moment));
    assert_eq!(known.map(|known| known.name), Some(RequestName::new("helpdesk", "lost-phone")));
    assert!(life.apply(Seen::Deleted(uid.clone())).is_empty());

    let mut life = Life::new();
    life.show();
    assert_eq!(life.claim(), Some(uid.clone()));
    assert_eq!(life.apply(Seen::Deleted(uid.clone())).len(), 1);
    assert_eq!(life.with_moment(|requests, moment| requests.gone(&uid, moment)), None);
}

/// An etcd that was restored from a backup counts its versions anew.
#[test]
fn a_list_is_believed_whatever_was_known_before_it_but_not_over_what_was_written_since() {
    let listed = || Seen::Listed("a".into(), observed(request("a", "a"), "3"));
    let mut life = Life::alone();
    life.apply(Seen::Applied("a".into(), observed(holder("a"), "900")));
    life.apply(Seen::ListBegins);
    life.apply(listed());
    life.apply(Seen::ListEnds);
    assert_eq!(phase(&life, "a"), Some(Phase::Pending));
    life.apply(Seen::Applied("a".into(), observed(holder("a"), "2")));
    assert_eq!(phase(&life, "a"), Some(Phase::Pending), "and from then on versions count again");

    let mut life = Life::new();
    life.show();
    let before = life.requests.observed(&life.uid()).unwrap().clone();
    life.apply(Seen::ListBegins);
    life.reconcile_only(&life.uid());
    life.apply(Seen::Listed(UID.into(), before));
    life.apply(Seen::ListEnds);
    assert_eq!(phase(&life, UID), Some(Phase::Active));
}

/// What its reconcile holds is its own to take back.
#[test]
fn a_request_that_is_gone_is_kept_as_long_as_its_reconcile_goes_on() {
    let mut life = Life::new();
    let uid = life.uid();
    life.show();
    assert_eq!(life.claim(), Some(uid.clone()));
    life.reconcile_up_to_the_list(&uid);
    life.gone.insert(uid.clone());
    let told = life.apply(Seen::Deleted(uid.clone()));
    assert_eq!(told.len(), 1);
    assert!(life.apply(Seen::Deleted(uid.clone())).is_empty(), "it is told once");
    life.reconcile_only(&uid);
    assert_eq!((life.left, life.done.len()), (Some(false), 0), "{:?}", life.done);
    life.requests.methods = Map::new();
    assert_eq!(life.requests, life.fresh());
}

#[test]
fn the_pass_of_a_request_that_is_gone_while_its_answer_is_held_is_taken_back() {
    let mut life = Life::new();
    life.meanwhile = ("post", |life| {
        life.gone.insert(life.uid());
        life.show();
    });
    life.reconcile();
    let done = ["intent", "post", "secret", "delete secret", "delete pass ours"];
    assert_eq!((&life.done[..], life.left), (&done.map(String::from)[..], Some(false)));
    assert_eq!(life.requests.observed(&life.uid()), None);
}

#[test]
fn a_request_that_is_gone_while_its_pass_is_asked_for_is_told_of() {
    let mut life = Life::new();
    life.post = lost;
    life.meanwhile = ("post", |life| {
        life.gone.insert(life.uid());
    });
    life.reconcile();
    assert_eq!((life.done.len(), life.left), (2, Some(true)), "{:?}", life.done);
}

#[test]
fn a_change_of_a_policy_wakes_those_who_wait_for_it_and_nobody_else() {
    let mut life = Life::alone();
    life.edit_policy("{approval: {required: 1}}");
    resting(&mut life, "waits");
    let mut other = request("other", "other");
    other.spec.policy_ref.name = "other".into();
    life.beside(other);
    life.beside(holder("holds"));
    let mut ended = request("ended", "ended");
    ended.status =
        Some(serde_json::from_value(json!({"phase": "Denied", "decisions": []})).unwrap());
    life.beside(ended);
    life.show();
    life.requests.begin(&"other".into());
    life.rest(&"other".into(), Rest::ForChange);
    for (name, bounds) in
        [("contoso", Some(Bounds::default())), ("contoso", None), ("nobody names it", None)]
    {
        life.with_moment(|requests, moment| requests.set_policy(name, bounds, moment));
        let due = ["waits", "other", "holds", "ended"].map(|uid| is_due(&life, uid));
        assert_eq!(due, [name == "contoso", false, false, false]);
        life.go_on();
    }
}

#[test]
fn a_stop_wakes_who_waits_and_one_that_revokes_wakes_who_holds_a_pass() {
    for (stop, wakes_holders) in [(Stop::On, false), (Stop::Off, false), (Stop::RevokeActive, true)]
    {
        let mut life = Life::alone();
        resting(&mut life, "waits");
        life.beside(holder("holds"));
        life.show();
        life.stop = stop;
        life.with_moment(|requests, moment| requests.set_stop(stop, moment));
        assert_eq!((is_due(&life, "waits"), is_due(&life, "holds")), (true, wakes_holders));
        // Nor is one that is shown afterwards left out.
        life.beside(holder("comes later"));
        life.show();
        assert_eq!(is_due(&life, "comes later"), wakes_holders);
    }
}

#[test]
fn nothing_is_issued_before_the_attempts_of_the_process_before_are_known() {
    let mut life = Life::new();
    life.requests = machine(&[connection("default", "tenant")]);
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(2)));
    assert_eq!((life.done.len(), is_due(&life, UID)), (0, false));
    life.with_moment(Requests::catch_up);
    assert_eq!(life.go_on(), [life.uid()]);
    assert_eq!(life.request.phase(), Phase::Active);
}

/// A request that names the pass of another one as the one that it replaced.
fn replacing(name: &str, replaced: &str) -> TapRequest {
    let replaces = Some(Replaced { pass_id: replaced.into(), request: None });
    recording(name, &format!("pass of {name}"), &Intent { replaces, ..intent_of(name) })
}

#[test]
fn whose_pass_was_replaced_is_woken_whatever_is_seen_first() {
    for replaced_first in [true, false] {
        let mut life = Life::alone();
        let mut both = [holder("old"), replacing("new", "pass of old")];
        if !replaced_first {
            both.reverse();
        }
        for request in both {
            life.beside(request);
            life.show();
        }
        assert_eq!([is_due(&life, "old"), is_due(&life, "new")], [true, false]);
        assert_eq!(life.go_on(), ["old".into()]);
        let status = life.others["old"].status.as_ref().unwrap();
        assert_eq!(status.phase, Phase::Revoked);
        let ready = &status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
        assert_eq!(ready.reason, "Superseded");
        assert!(ready.message.contains("request new"), "{}", ready.message);
    }
}

#[test]
fn a_pass_counts_as_replaced_once_the_one_that_replaced_it_is_recorded() {
    let mut life = Life::new();
    life.beside(holder("other"));
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("pass of other", at(0), 60, true)]);
    life.create_secret = SecretCreation::Refused("no".into());
    life.reconcile();
    assert!(!is_due(&life, "other"), "it was made, and taken back: {:?}", life.done);
    life.create_secret = SecretCreation::Yes("s1".into());
    life.now = at(60);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    assert!(is_due(&life, "other"));
}

#[test]
fn who_has_ended_is_not_woken_by_who_replaced_its_pass() {
    let mut life = Life::alone();
    let mut ended = holder("old");
    ended.status.as_mut().unwrap().phase = Phase::Used;
    ended.metadata.finalizers = None;
    life.beside(ended);
    life.beside(replacing("new", "pass of old"));
    life.show();
    assert_eq!(life.go_on(), <[Uid; 0]>::default());
}

#[test]
fn what_another_process_brought_to_its_end_keeps_nothing() {
    let mut life = Life::new();
    life.edit_policy("{quota: {activePerNamespace: 1}}");
    life.post = lost;
    life.answer_lost = Some("raise");
    life.reconcile();
    life.beside(request("other", "other"));
    life.show();
    assert!(life.requests.due(&life.uid()).is_some());
    // Its turn and its place are free.
    life.request.status.get_or_insert_default().phase = Phase::Failed;
    life.request.metadata.finalizers = None;
    life.post = made;
    life.show();
    assert_eq!(life.requests.due(&life.uid()), None);
    life.reconcile_only(&"other".into());
    assert_eq!(life.others["other"].phase(), Phase::Active, "{:?}", life.done);
}

#[test]
fn a_decision_is_told_once_and_by_a_process_that_begins_again() {
    let mut life = Life::new();
    let told = |life: &mut Life| -> Vec<String> {
        let uid = life.uid();
        life.requests.untold(&uid).into_iter().map(|decision| decision.by).collect()
    };
    life.edit_policy("{approval: {required: 5}}");
    life.decide("paul", "Approve");
    life.reconcile();
    assert_eq!(told(&mut life), <[&str; 0]>::default(), "no reconcile goes on");
    let began = |life: &mut Life| {
        life.show();
        life.requests.begin(&life.uid());
        life.step(&life.uid());
    };
    began(&mut life);
    assert_eq!(told(&mut life), ["paul"]);
    assert_eq!(told(&mut life), <[&str; 0]>::default());
    life.rest(&life.uid(), Rest::ForChange);
    life.decide("quinn", "Approve");
    began(&mut life);
    assert_eq!(told(&mut life), ["quinn"]);
    life.rest(&life.uid(), Rest::ForChange);
    life.crash();
    began(&mut life);
    assert_eq!(told(&mut life), ["paul", "quinn"]);
    // But not of what has ended.
    life.rest(&life.uid(), Rest::ForChange);
    life.decide("helen", "Deny");
    life.reconcile();
    life.crash();
    began(&mut life);
    assert_eq!(told(&mut life), <[&str; 0]>::default());
}

#[test]
fn a_request_that_cannot_be_read_waits_and_has_no_part_in_anything() {
    let mut life = Life::alone();
    let seen = Observed::unreadable(&unresolved("a").metadata, "unknown field");
    assert_eq!((seen.settled(), seen.unresolved.as_ref(), seen.is_over()), (None, None, false));
    life.apply(Seen::Applied("a".into(), seen));
    assert_eq!(life.claim(), Some("a".into()), "it is for the shell to see when it may go");
}

#[test]
fn those_who_wait_for_a_policy_are_looked_at_one_after_another_the_oldest_first() {
    let mut life = Life::alone();
    for (name, created) in [("young", 3), ("old", 1), ("middle", 2)] {
        let mut waits = request(name, name);
        waits.metadata.creation_timestamp = Some(Time(at(created)));
        life.beside(waits);
    }
    life.show();
    for name in ["young", "old", "middle"] {
        life.begin(&name.into());
        life.rest(&name.into(), Rest::For(SignedDuration::from_hours(1)));
    }
    life.with_moment(|requests, moment| requests.wake_waiting("contoso", moment));
    let due = |name: &str| {
        let due = life.requests.due(&name.into())?;
        Some(due.checked_sub(life.moment_at())?.as_millis())
    };
    assert_eq!(["old", "middle", "young"].map(due), [Some(0), Some(50), Some(100)]);
}
