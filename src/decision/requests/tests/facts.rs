//! How old what was read of the tenant and the user may be, and what is shared between requests.

use super::*;

const OTHER_USER: &str = "22222222-0000-4000-8000-000000000002";

/// A list of passes waits for the pace, longer than a pass may rest on what was read before it.
fn after_a_long_wait(meanwhile: fn(&mut Life)) -> Life {
    let mut life = Life::new();
    life.list_takes = SignedDuration::from_secs(40);
    life.before_a_list = meanwhile;
    life.reconcile();
    life
}

#[test]
fn a_user_who_is_disabled_while_the_list_waits_gets_no_pass() {
    let life = after_a_long_wait(|life| life.user.as_mut().unwrap().account_enabled = Some(false));
    life.expect(Phase::Pending, "UserDisabled", &["status Pending"]);
}

#[test]
fn what_is_too_old_is_read_again_and_the_list_is_not() {
    let life = after_a_long_wait(|_| {});
    assert_eq!((life.request.phase(), life.lists, life.method_reads), (Phase::Active, 1, 2));
}

/// A name may be given to another person, before anybody was asked about the one who had it.
#[test]
fn the_list_of_one_user_is_not_taken_for_that_of_another() {
    let life = after_a_long_wait(|life| {
        life.user.as_mut().unwrap().id = OTHER_USER.into();
        if life.lists > 0 {
            life.list_takes = SignedDuration::ZERO;
        }
    });
    assert_eq!((life.request.phase(), life.lists), (Phase::Active, 2));
    assert_eq!(life.request.status.unwrap().resolved.unwrap().user_id, OTHER_USER);
}

/// Two requests for different users. The first is issued, then so many seconds pass, then something happens, then the second
/// is reconciled. How often the method was read.
fn method_reads(seconds: i64, happens: fn(&mut Life)) -> usize {
    let mut life = Life::alone();
    life.beside(request("first", "first"));
    life.beside(request("second", "second"));
    life.show();
    life.reconcile_only(&"first".into());
    life.now += SignedDuration::from_secs(seconds);
    life.user.as_mut().unwrap().id = OTHER_USER.into();
    happens(&mut life);
    life.show();
    life.reconcile_only(&"second".into());
    assert_eq!(life.others["second"].phase(), Phase::Active);
    life.method_reads
}

#[test]
fn the_method_is_shared_while_it_is_fresh_and_nothing_happened_since() {
    assert_eq!(method_reads(15, |_| {}), 1);
    assert_eq!(method_reads(16, |_| {}), 2);
    let approved = |life: &mut Life| {
        let second = life.others.get_mut("second").unwrap();
        let status =
            json!({"phase": "Pending", "decisions": [{"by": "paul", "decision": "Approve"}]});
        second.status = Some(serde_json::from_value(status).unwrap());
    };
    assert_eq!(method_reads(15, approved), 2);
    let changed = |life: &mut Life| {
        life.with_moment(|requests, moment| requests.wake_waiting("contoso", moment));
    };
    assert_eq!(method_reads(15, changed), 2);
}

#[test]
fn a_method_that_could_not_be_read_is_not_shared() {
    let mut life = Life::alone();
    life.beside(request("first", "first"));
    life.beside(request("second", "second"));
    life.show();
    let method = std::mem::replace(&mut life.method, Err(error(ErrorKind::Unavailable)));
    life.reconcile_only(&"first".into());
    life.method = method;
    life.reconcile_only(&"second".into());
    assert_eq!((life.method_reads, life.others["second"].phase()), (2, Phase::Active));
}
