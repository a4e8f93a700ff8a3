//! What is shown, and what of it is news.

use jiff::SignedDuration;

use super::*;

fn ids(request: &TapRequest) -> Vec<String> {
    shown(request).into_iter().map(|shown| shown.id).collect()
}

#[test]
fn a_state_shows_the_same_ids_whoever_looks() {
    for (request, expected) in [
        (request("{}"), vec![]),
        (request(AWAITING), vec!["u1.AwaitingApproval.1795507205"]),
        (request(ACTIVE), vec!["u1.Approved.1795507801", "u1.Issued"]),
        (ended("Used", "PassUsed", ""), vec!["u1.Used"]),
        (ended("Expired", "PassExpired", ""), vec!["u1.Expired"]),
        (ended("Revoked", "Revoked", ""), vec!["u1.Revoked"]),
        (ended("Denied", "Denied", ""), vec!["u1.Denied"]),
        (ended("Failed", "SelfService", ""), vec!["u1.Failed"]),
        (ended("Later", "Later", ""), vec![]),
    ] {
        assert_eq!(ids(&request), expected);
    }
    let ids: std::collections::BTreeSet<String> = every().into_iter().map(|n| n.id).collect();
    // Those that end a request are alternatives, and so are the orders of one version of the stop.
    assert_eq!(ids.len(), 13);
}

#[test]
fn who_is_asked_again_for_an_approval_gets_another_notice_and_only_while_it_can_be_given() {
    let change = |field: &str, from: &str, to: &str| {
        let mut request = request(AWAITING);
        for condition in &mut request.status.as_mut().unwrap().conditions {
            if condition.type_ == field && condition.status == from {
                condition.status = to.into();
            }
            if condition.type_ == field {
                condition.last_transition_time.0 = at("2026-11-24T09:00:00Z");
            }
        }
        request
    };
    assert_eq!(ids(&change("Ready", "True", "False")), [""; 0], "a stop, say");
    for again in [change("Ready", "", ""), change("Approved", "", "")] {
        assert_eq!(ids(&again), ["u1.AwaitingApproval.1795510800"]);
    }
    let mut without_approval = request(ACTIVE);
    without_approval.status.as_mut().unwrap().conditions[2].reason = "NoApprovalNeeded".into();
    assert_eq!(ids(&without_approval), ["u1.Issued"]);
    let mut secret_gone = request(ACTIVE);
    secret_gone.status.as_mut().unwrap().conditions[1].status = "False".into();
    assert_eq!(ids(&secret_gone), ["u1.Approved.1795507801"]);
}

/// What a process tells of these requests at a time.
fn see(recent: &mut Recent, request: &TapRequest, now: &str) -> Vec<String> {
    let news = |shown| recent.see(shown, at(now), |shown| Notice::of_request(request, shown));
    shown(request).into_iter().filter_map(news).map(|notice| notice.id).collect()
}

#[test]
fn a_process_tells_each_once_and_nothing_old() {
    let mut recent = Recent::default();
    assert!(recent.begin(at("2026-11-24T08:00:00Z")).is_empty());
    let active = request(ACTIVE);
    let both = ["u1.Approved.1795507801", "u1.Issued"];
    assert_eq!(see(&mut recent, &active, "2026-11-24T08:10:02Z"), both);
    assert_eq!(see(&mut recent, &active, "2026-11-24T08:10:03Z"), [""; 0]);
    // Its id is forgotten, and it is old.
    let used = ended("Used", "PassUsed", "");
    assert_eq!(see(&mut recent, &used, "2026-11-24T09:00:01Z"), ["u1.Used"]);
    assert_eq!(see(&mut recent, &active, "2026-11-24T09:00:01Z"), [""; 0]);
    // A clock that is behind that of the tenant.
    assert_eq!(see(&mut Recent::default(), &active, "2026-11-24T08:00:00Z"), [""; 0]);
}

#[test]
fn who_takes_over_tells_what_happened_shortly_before_and_marks_it() {
    let mut recent = Recent::default();
    let active = request(ACTIVE);
    assert_eq!(see(&mut recent, &active, "2026-11-24T08:10:02Z"), [""; 0], "it does not lead");
    let kept = recent.begin(at("2026-11-24T08:20:00Z"));
    let told: Vec<(&str, bool)> = kept.iter().map(|n| (n.id.as_str(), n.again)).collect();
    assert_eq!(told, [("u1.Approved.1795507801", true), ("u1.Issued", true)]);
    assert_eq!(see(&mut recent, &active, "2026-11-24T08:20:00Z"), [""; 0]);

    let mut later = Recent::default();
    assert_eq!(see(&mut later, &active, "2026-11-24T08:10:02Z"), [""; 0]);
    assert!(later.begin(at("2026-11-24T08:30:00Z")).is_empty());
}

#[test]
fn what_a_standby_remembers_is_bounded() {
    let mut recent = Recent::default();
    let active = request(ACTIVE);
    let now = at("2026-11-24T08:10:02Z");
    for number in 0..3000 {
        let at = now + SignedDuration::from_millis(number);
        let shown = Shown { kind: Kind::Issued, id: format!("{number}.Issued"), at };
        assert_eq!(recent.see(shown, now, |shown| Notice::of_request(&active, shown)), None);
    }
    let kept = recent.begin(now);
    assert_eq!((kept.len(), kept[0].id.as_str()), (2000, "1000.Issued"));
}

#[test]
fn a_queue_is_bounded_and_drops_what_waits_longest() {
    let mut queue = Queue::default();
    for number in 0..300 {
        let notice = Notice { id: number.to_string(), ..last(&request(ACTIVE)) };
        let dropped = queue.push(notice.into(), number).map(|notice| notice.id.clone());
        assert_eq!(dropped, (number >= 256).then(|| (number - 256).to_string()));
    }
    let (next, mark) = queue.pop().unwrap();
    assert_eq!((next.id.as_str(), mark, queue.len()), ("44", 44, 255));
}
