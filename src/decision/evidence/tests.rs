//! What rows of logs mean, when they are asked for, and what they add to a status.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::meaning::{Meaning, meaning};
use super::*;
use crate::api::{ConditionType, Phase, TapRequest, find_condition};
use crate::decision::Reason;
use crate::decision::ids::{RequestName, Uid};
use crate::decision::requests::Whose;
use crate::entra::{AuditRow, AuditRows, Call, ErrorKind, GraphError, Initiator, Rest, SignInRow};

const OWN: &str = "00000000-0000-4000-8000-00000000000a";
const SETTLE: SignedDuration = SignedDuration::from_secs(150);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn app(id: Option<&str>) -> Initiator {
    Initiator::App { id: id.map(Into::into), name: Some("an app".into()) }
}

fn admin() -> Initiator {
    Initiator::Person { id: Some("a".into()), name: Some("admin@contoso.com".into()) }
}

fn row(activity: &str, reason: &str) -> AuditRow {
    AuditRow {
        id: "1".into(),
        at: at(0),
        activity: activity.into(),
        reason: reason.into(),
        succeeded: true,
        user_id: Some("u".into()),
        user_name: Some("alice@contoso.com".into()),
        pass_id: None,
        by: admin(),
    }
}

fn whole(rows: Vec<AuditRow>) -> AuditRows {
    AuditRows { rows, rest: Rest::None }
}

fn made(second: i64, by: Initiator) -> AuditRow {
    let made = "Admin registered temporary access pass method for user";
    AuditRow {
        id: second.to_string(),
        at: at(second),
        pass_id: Some("p".into()),
        by,
        ..row("Admin registered security info", made)
    }
}

#[test]
fn rows_mean_the_same_in_all_wordings() {
    for (activity, reason, expected) in [
        (
            "Admin registered security info",
            "Admin registered temporary access pass method for user",
            Some(Meaning::PassMade),
        ),
        (
            "User registered security info",
            "User registered temporary access pass method",
            Some(Meaning::PassMade),
        ),
        ("Create Temporary Access Pass method for user", "", Some(Meaning::PassMade)),
        (
            "Admin deleted security info",
            "Admin deleted temporary access pass method for user",
            Some(Meaning::PassDeleted),
        ),
        (
            "User deleted security info",
            "User deleted Temporary Access Pass",
            Some(Meaning::PassDeleted),
        ),
        ("Delete Temporary Access Pass method for user", "", Some(Meaning::PassDeleted)),
        (
            "User registered security info",
            "User registered Fido2 Authentication Method",
            Some(Meaning::Registered("fido2")),
        ),
        (
            "User registered security info",
            "User registered Authenticator App with Notification and Code",
            Some(Meaning::Registered("microsoftAuthenticator")),
        ),
        (
            "User registered security info",
            "User registered Authenticator App with Code",
            Some(Meaning::Registered("softwareOath")),
        ),
        (
            "User registered security info",
            "User registered Mobile Phone SMS",
            Some(Meaning::Registered("phone")),
        ),
        (
            "User registered security info",
            "User registered a novelty",
            Some(Meaning::Registered("other")),
        ),
        (
            "Add Windows Hello for Business credential",
            "",
            Some(Meaning::Registered("windowsHelloForBusiness")),
        ),
        ("Add Passkey (device-bound)", "", Some(Meaning::Registered("fido2"))),
        ("Authentication Methods Policy Update", "", Some(Meaning::MethodChanged)),
        ("Authentication Methods Policy Reset", "", Some(Meaning::MethodChanged)),
        ("User deleted security info", "User deleted Mobile Phone SMS", None),
        ("Admin registered security info", "Admin registered phone method for user", None),
        ("Get passkey creation options", "", None),
        ("Add member to group", "", None),
        ("Update user", "", None),
    ] {
        assert_eq!(meaning(&row(activity, reason)), expected, "{activity}: {reason}");
    }
    let failed = AuditRow { succeeded: false, ..made(0, admin()) };
    assert_eq!(meaning(&failed), None);
    // A row whose words say nothing is told by the id in it.
    let by_id = AuditRow { pass_id: Some("p".into()), ..row("User registered security info", "") };
    assert_eq!(meaning(&by_id), Some(Meaning::PassMade));
}

/// What is told of one row that comes `now`, to a process that began at 0.
fn judged(row: AuditRow, now: i64, whose: &Whose) -> Option<What> {
    let own = OwnApps::from([OWN.to_owned()]);
    let mut readings = Readings::since(at(0));
    let mut found = readings.judge(whole(vec![row]), at(now), SETTLE, &own, |_| whose.clone());
    assert!(found.len() <= 1);
    found.pop().map(|finding| finding.what)
}

#[test]
fn whose_a_pass_is_follows_from_its_id_and_from_who_made_it() {
    let recorded = Whose::Recorded(Uid::from("uid"), RequestName::new("ns", "a"));
    let foreign = |own_app| Some(What::ForeignPass { own_app });
    let (own, other) = (app(Some(OWN)), app(Some("another")));
    let late = 200;
    for (what, row, now, whose, expected) in [
        ("recorded", made(10, admin()), late, &recorded, None),
        ("made and deleted here", made(10, own.clone()), late, &Whose::Own, None),
        ("in the portal", made(10, admin()), late, &Whose::Unknown, foreign(false)),
        ("by another app", made(10, other), late, &Whose::Unknown, foreign(false)),
        ("perhaps not recorded yet", made(10, admin()), 159, &Whose::Unknown, None),
        ("the settle time is over", made(10, admin()), 160, &Whose::Unknown, foreign(false)),
        ("beside an unresolved POST", made(10, own.clone()), late, &Whose::Unresolved, None),
        ("a person beside it", made(10, admin()), late, &Whose::Unresolved, foreign(false)),
        ("another installation", made(10, own.clone()), late, &Whose::Unknown, foreign(true)),
        ("before this process", made(-10, own.clone()), late, &Whose::Unknown, None),
        ("a person before it", made(-10, admin()), late, &Whose::Unknown, foreign(false)),
        ("an app without its id", made(10, app(None)), late, &Whose::Unknown, foreign(false)),
        ("the same, before this process", made(-10, app(None)), late, &Whose::Unknown, None),
        (
            "neither pass nor app have an id",
            AuditRow { pass_id: None, ..made(10, app(None)) },
            late,
            &Whose::Unknown,
            None,
        ),
        (
            "a person's pass without an id",
            AuditRow { pass_id: None, ..made(10, admin()) },
            late,
            &Whose::Unknown,
            foreign(false),
        ),
    ] {
        assert_eq!(judged(row, now, whose), expected, "{what}");
    }
}

#[test]
fn only_what_others_delete_and_change_is_told() {
    let recorded = Whose::Recorded(Uid::from("uid"), RequestName::new("ns", "a"));
    let deleted = |by| AuditRow {
        pass_id: Some("p".into()),
        by,
        ..row("User deleted security info", "User deleted temporary access pass method")
    };
    let expected = What::PassDeleted(Uid::from("uid"), RequestName::new("ns", "a"));
    assert_eq!(judged(deleted(admin()), 0, &recorded), Some(expected));
    assert_eq!(judged(deleted(app(Some(OWN))), 0, &recorded), None);
    assert_eq!(judged(deleted(admin()), 0, &Whose::Unknown), None, "it was not ours");
    let changed = |by| AuditRow { by, ..row("Authentication Methods Policy Update", "") };
    assert_eq!(judged(changed(admin()), 0, &Whose::Unknown), Some(What::MethodChanged));
    assert_eq!(judged(changed(app(Some(OWN))), 0, &Whose::Unknown), None);
}

#[test]
fn a_row_is_told_once_and_read_until_it_is() {
    let own = OwnApps::new();
    let mut readings = Readings::since(at(0));
    let hour = SignedDuration::from_hours(1);
    assert_eq!(readings.from(at(0)), at(0) - hour, "a process that begins looks back");
    let rows = || vec![made(130, admin()), made(-5, admin())];
    let told = |readings: &mut Readings, now| {
        let found = readings.judge(whole(rows()), at(now), SETTLE, &own, |_| Whose::Unknown);
        found.into_iter().map(|found| (found.row.id, found.again)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut readings, 150), [("-5".to_owned(), true)]);
    assert_eq!(readings.from(at(210)), at(150 - 1200), "rows come late");
    assert_eq!(told(&mut readings, 290), [("130".to_owned(), false)]);
    assert!(told(&mut readings, 350).is_empty());
    assert_eq!(
        readings.from(at(9000)),
        at(9000 - 3600),
        "after an outage it looks back no further"
    );
    told(&mut readings, 20_000);
    let later = readings.judge(whole(Vec::new()), at(30_000), SETTLE, &own, |_| Whose::Unknown);
    assert_eq!((later, readings.remembered()), (Vec::new(), 0), "nothing is kept for ever");
}

#[test]
fn what_a_page_that_failed_hid_is_read_again() {
    let mut readings = Readings::since(at(0));
    let own = OwnApps::new();
    let failed = GraphError::new(Call::DirectoryAudits, ErrorKind::Throttled, "");
    let partly = AuditRows { rows: vec![made(5000, admin())], rest: Rest::Failed(failed) };
    let from = readings.from(at(6000));
    let found = readings.judge(partly, at(6000), SETTLE, &own, |_| Whose::Unknown);
    assert_eq!(found.len(), 1, "what was read is told");
    assert_eq!(readings.from(at(6000)), from);
    let read = whole(vec![made(5000, admin()), made(3000, admin())]);
    let found = readings.judge(read, at(6060), SETTLE, &own, |_| Whose::Unknown);
    assert_eq!(found.iter().map(|found| found.row.at).collect::<Vec<_>>(), [at(3000)]);
    assert!(readings.from(at(6060)) > from);
}

fn request(phase: Phase) -> TapRequest {
    serde_json::from_value(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {"name": "lost-phone", "namespace": "helpdesk", "uid": "uid"},
        "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"},
        "status": {
            "phase": phase, "finishedAt": at(600).to_string(),
            "conditions": [{"type": "Ready", "status": "True", "reason": "PassUsed", "message": "", "lastTransitionTime": at(600).to_string()}],
            "resolved": {"tenantId": "t", "userId": "u", "userPrincipalName": "alice@contoso.com", "lifetime": "1h", "oneTimeUse": true},
            "pass": {"id": "p", "clientRequestId": "c", "startTime": at(0).to_string(), "expirationTime": at(3600).to_string()},
        },
    }))
    .unwrap()
}

#[test]
fn only_passes_that_ended_and_are_let_go_are_asked_about() {
    for phase in Phase::ALL {
        let asked = matches!(phase, Phase::Used | Phase::Expired | Phase::Revoked);
        assert_eq!(Ended::of(&request(phase)).is_some(), asked, "{phase}");
    }
    let ended = Ended::of(&request(Phase::Used)).unwrap();
    assert_eq!((ended.start, ended.expires, ended.at), (at(0), at(3600), at(600)));
    let mut held = request(Phase::Used);
    held.metadata.finalizers = Some(vec![crate::api::names::FINALIZER.into()]);
    assert_eq!(Ended::of(&held), None);
    let mut without = request(Phase::Expired);
    without.status.as_mut().unwrap().pass = None;
    assert_eq!(Ended::of(&without), None);
    let last = Found { registered: Some(BTreeSet::new()), is_last: true, ..Found::default() };
    let mut told = request(Phase::Used);
    told.status = Some(last.added_to(&told, at(9000)).0);
    assert_eq!(Ended::of(&told), None, "the last word is said");
}

#[test]
fn the_logs_are_asked_at_once_and_after_5_15_and_60_minutes() {
    let uid = Uid::from("uid");
    let ended = Ended::of(&request(Phase::Used)).unwrap();
    let mut inquiries = Inquiries::default();
    inquiries.see(&uid, &ended, at(601));
    assert_eq!(inquiries.claim("another", at(601)), None);
    let mut rounds = Vec::new();
    for second in (600..9000).step_by(20) {
        // The status is written, and the watch shows it again.
        inquiries.see(&uid, &ended, at(second));
        if let Some(inquiry) = inquiries.claim("t", at(second)) {
            assert_eq!(inquiries.claim("t", at(second)), None, "it is asked once");
            rounds.push((second - 600, inquiry.is_last));
            inquiries.answered(&inquiry, 0, at(second));
        }
    }
    assert_eq!(rounds, [(20, false), (300, false), (900, false), (3600, true)]);
    assert_eq!(inquiries.next_due("t"), None);
    assert_eq!(inquiries.kept(), 0, "it is forgotten");
}

#[test]
fn a_process_that_begins_takes_up_what_ended_lately() {
    let uid = Uid::from("uid");
    let ended = Ended::of(&request(Phase::Used)).unwrap();
    let mut inquiries = Inquiries::default();
    inquiries.see(&uid, &ended, at(600 + 5400));
    assert_eq!(inquiries.kept(), 0, "it ended too long ago");
    inquiries.see(&uid, &ended, at(600 + 1000));
    let inquiry = inquiries.claim("t", at(600 + 1000)).unwrap();
    inquiries.answered(&inquiry, 0, at(600 + 1000));
    assert_eq!(inquiries.next_due("t"), Some(at(600 + 3600)));
    // Without an answer it is asked again, also after the last time.
    let last = inquiries.claim("t", at(600 + 3600)).unwrap();
    assert!(last.is_last);
    inquiries.failed(&last, None, at(600 + 3600));
    assert_eq!(inquiries.next_due("t"), Some(at(600 + 3720)));
    inquiries.forget(&uid);
    assert_eq!((inquiries.next_due("t"), inquiries.kept()), (None, 0));
    // An answer about a request that is gone meanwhile.
    assert!(!inquiries.answered(&last, 3, at(600 + 3720)));
    assert_eq!(inquiries.next_due("t"), None);
}

/// Passes that were waiting went first, for minutes.
#[test]
fn the_last_round_comes_even_if_an_earlier_one_takes_until_then() {
    let uid = Uid::from("uid");
    let ended = Ended::of(&request(Phase::Used)).unwrap();
    let mut inquiries = Inquiries::default();
    inquiries.see(&uid, &ended, at(600 + 3590));
    let inquiry = inquiries.claim("t", at(600 + 3590)).unwrap();
    assert!(!inquiry.is_last);
    inquiries.answered(&inquiry, 0, at(600 + 3610));
    let last = inquiries.claim("t", at(600 + 3610)).unwrap();
    assert!(last.is_last);
    inquiries.answered(&last, 0, at(600 + 3620));
    assert_eq!(inquiries.next_due("t"), None);
}

#[test]
fn what_ended_is_forgotten_in_tenants_whose_logs_nobody_reads() {
    let mut inquiries = Inquiries::default();
    let ended = Ended::of(&request(Phase::Used)).unwrap();
    inquiries.see(&Uid::from("one"), &ended, at(601));
    let elsewhere = Ended { tenant_id: "another".into(), at: at(6000), ..ended };
    inquiries.see(&Uid::from("other"), &elsewhere, at(6001));
    assert_eq!(inquiries.kept(), 1);
    assert_eq!(
        inquiries.claim("another", at(6002)).map(|inquiry| inquiry.uid),
        Some("other".into())
    );
}

#[test]
fn sign_ins_are_told_when_there_are_more() {
    let mut inquiries = Inquiries::default();
    inquiries.see(&Uid::from("uid"), &Ended::of(&request(Phase::Used)).unwrap(), at(600));
    let inquiry = inquiries.claim("t", at(600)).unwrap();
    for (rows, more) in [(0, false), (2, true), (2, false), (1, false), (3, true)] {
        assert_eq!(inquiries.answered(&inquiry, rows, at(700)), more, "{rows}");
    }
}

fn sign_in(second: i64, error_code: i32) -> SignInRow {
    SignInRow {
        at: at(second),
        application: Some("My Signins".into()),
        resource: None,
        ip_address: Some("203.0.113.7".into()),
        error_code,
    }
}

#[test]
fn the_status_says_the_first_use_and_the_failed_tries_once() {
    let mut request = request(Phase::Used);
    let rows = vec![
        sign_in(500, 130_505),
        sign_in(400, 0),
        sign_in(300, 0),
        sign_in(200, 130_503),
        sign_in(100, 130_503),
        sign_in(50, 50_126),
    ];
    let found = Found { sign_ins: Some(rows), ..Found::default() };
    let (status, news) = found.added_to(&request, at(700));
    let expected = json!({
        "firstSignIn": at(300).to_string(),
        "failedSignIns": [{"code": 130_503, "count": 2}, {"code": 130_505, "count": 1}],
    });
    assert_eq!(serde_json::to_value(&status.evidence).unwrap(), expected);
    assert_eq!((news.failed, news.used), (BTreeMap::from([(130_503, 2), (130_505, 1)]), true));
    request.status = Some(status.clone());
    let again = found.added_to(&request, at(900));
    assert_eq!(again, (status.clone(), News::default()), "what is said is not said again");
    // A log that shows less takes nothing back, and one that lags adds.
    let more = Found { sign_ins: Some(vec![sign_in(90, 130_503); 3]), ..Found::default() };
    let (status, news) = more.added_to(&request, at(900));
    assert_eq!((news.failed, news.used), (BTreeMap::from([(130_503, 1)]), false));
    assert_eq!(status.evidence.unwrap().first_sign_in.unwrap().0, at(300));
    let nothing = Found { sign_ins: Some(Vec::new()), ..Found::default() };
    assert_eq!(nothing.added_to(&self::request(Phase::Used), at(900)).0.evidence, None);
}

#[test]
fn registered_turns_true_at_once_and_false_only_at_the_end() {
    let found = |kinds: &[&'static str], is_last| Found {
        registered: Some(kinds.iter().copied().collect()),
        is_last,
        ..Found::default()
    };
    let says = |request: &TapRequest, found: &Found| {
        let (status, news) = found.added_to(request, at(900));
        let condition = find_condition(&status.conditions, ConditionType::Registered);
        let said = condition.map(|c| format!("{} {}", c.status, c.reason)).unwrap_or_default();
        assert_eq!(status.conditions.len(), if said.is_empty() { 1 } else { 2 });
        (said, status.registered, news.registered.map(|(_, reason, _)| reason))
    };
    let (yes, no) = (Reason::MethodRegistered, Reason::NothingRegistered);
    for (phase, found, said, kinds, news) in [
        (Phase::Used, found(&[], false), "", vec![], None),
        (Phase::Used, found(&["fido2"], false), "True MethodRegistered", vec!["fido2"], Some(yes)),
        (Phase::Used, found(&[], true), "False NothingRegistered", vec![], Some(no)),
        (Phase::Expired, found(&[], true), "False NothingRegistered", vec![], Some(no)),
        (Phase::Revoked, found(&[], true), "", vec![], None),
        (Phase::Used, Found { is_last: true, ..Found::default() }, "", vec![], None),
    ] {
        let kinds: Vec<String> = kinds.into_iter().map(Into::into).collect();
        assert_eq!(says(&request(phase), &found), (said.into(), kinds, news), "{phase} {found:?}");
    }
    let mut request = request(Phase::Used);
    request.status = Some(found(&["fido2"], false).added_to(&request, at(900)).0);
    let again = found(&["fido2"], true).added_to(&request, at(4000));
    assert_eq!(again, (request.status.clone().unwrap(), News::default()));
}

#[test]
fn what_was_registered_before_the_pass_does_not_count() {
    let registered = |second| AuditRow {
        at: at(second),
        ..row("User registered security info", "User registered Fido2 Authentication Method")
    };
    assert_eq!(registered_since(&[registered(-1)], at(0)), BTreeSet::new());
    assert_eq!(registered_since(&[registered(0), made(0, admin())], at(0)), ["fido2"].into());
}
