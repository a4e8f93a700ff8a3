//! From the first look to the delivered pass, and what stops it on the way.

use super::*;

#[test]
fn a_pass_is_issued_in_three_writes_and_one_post() {
    let mut life = Life::new();
    let rest = life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert_eq!(rest, Rest::Until(at(10 + 3600)));
    assert_eq!(life.requests.next_look(), Some(life.moment_at() + Duration::from_secs(60)));
    assert_eq!(life.reconcile(), rest, "and then nothing is written");
    assert_eq!(life.done.len(), 4);
}

#[test]
fn before_the_post_graph_is_waited_for_twice() {
    // For the user, by name; then for all that is asked about the user, by object id.
    for policy in [
        "{}",
        "{directoryRoleHolders: null}",
        "{users: {domains: null, groups: [{group: c2a7}]}}",
        "{directoryRoleHolders: null, approval: {required: 1}}",
    ] {
        let mut life = Life::new();
        life.edit_policy(policy);
        life.groups = vec!["c2a7".into()];
        if policy.contains("approval") {
            life.reconcile();
            assert_eq!((life.request.phase(), life.lists), (Phase::AwaitingApproval, 0));
            life.decide("ann", "Approve");
            life.waits = 0;
        }
        life.reconcile();
        assert_eq!(
            (life.request.phase(), life.waits, life.lists),
            (Phase::Active, 2, 1),
            "{policy}"
        );
    }
}

#[test]
fn what_is_learned_beside_the_list_still_decides() {
    let mut life = Life::new();
    life.edit_policy("{directoryRoleHolders: null}");
    life.roles = vec![DirectoryRole { id: "r".into(), display_name: None, template_id: None }];
    life.reconcile();
    life.expect(Phase::Failed, "DirectoryRoleHolder", &["status Failed"]);
    // The turn is another's at once.
    life.beside(request("other", "other"));
    life.show();
    life.roles = vec![];
    life.reconcile_only(&"other".into());
    assert_eq!(life.others["other"].phase(), Phase::Active);
}

#[test]
fn a_secret_that_an_attempt_left_behind_makes_room() {
    let mut life = Life::new();
    life.secret = SecretFound::Ours("late".into());
    life.reconcile();
    let done = ["delete secret", "intent", "post", "secret", "status Active"];
    life.expect(Phase::Active, "Issued", &done);
}

#[test]
fn who_waits_for_a_moment_says_nothing_and_who_waits_longer_says_for_whom() {
    let mut life = Life::new();
    let first = Uid::from("first");
    life.beside(request("first", "first"));
    life.post = lost;
    life.reconcile_up_to_the_list(&first);
    assert_eq!(life.reconcile(), Rest::For(SignedDuration::from_secs(60)));
    assert_eq!(life.done, Vec::<String>::new());
    // Its answer is lost, and nobody knows yet whether it has a pass.
    life.reconcile_only(&first);
    assert_eq!(life.done, ["intent", "post", "raise", "status Pending"]);
    life.done.clear();
    life.reconcile();
    life.expect(Phase::Pending, "AnotherRequest", &["status Pending"]);
    assert!(life.ready().message.contains("request first"), "{}", life.ready().message);

    // So it is where a process that is gone sent it.
    let mut life = Life::new();
    life.beside(unresolved("first"));
    life.reconcile();
    life.expect(Phase::Pending, "AnotherRequest", &["status Pending"]);
}

#[test]
fn a_pass_that_was_just_made_counts_though_it_is_not_listed() {
    for (wish, done) in [("Wait", vec!["status Pending"]), ("Refuse", vec!["status Pending"])] {
        let mut life = Life::new();
        life.edit_spec(&format!("{{onExistingPass: {wish}}}"));
        life.beside(request("other", "other"));
        life.show();
        life.reconcile_only(&"other".into());
        assert_eq!(life.others["other"].phase(), Phase::Active);
        (life.done, life.secret) = (Vec::new(), SecretFound::Absent);
        life.reconcile();
        life.expect(Phase::Pending, "ExistingPass", &done);
        assert!(life.ready().message.contains("request other"), "{}", life.ready().message);
        // One that waits, waits for what becomes of the other request.
        if wish == "Wait" {
            life.now = at(10 + 30 + 150);
            life.reconcile();
            life.expect(Phase::Pending, "ExistingPass", &done);
            continue;
        }
        // Lists that still do not show it tell that somebody removed it.
        life.now = at(10 + 30 + 149);
        life.reconcile();
        life.expect(Phase::Pending, "ExistingPass", &done);
        life.now = at(10 + 30 + 150);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::Active, "{wish}");
    }
}

/// Whoever made it: this process, or the one before.
#[test]
fn a_pass_that_was_just_made_is_told_by_a_list_that_shows_it() {
    for crashed in [false, true] {
        let mut life = Life::new();
        life.beside(request("other", "other"));
        life.show();
        life.reconcile_only(&"other".into());
        life.secret = SecretFound::Absent;
        if crashed {
            life.crash();
        }
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "ExistingPass"));
        // It was used, so it is in nobody's way.
        life.passes = Ok(vec![used(pass("of other", at(10), 60, true))]);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"), "{crashed}");
    }
}

#[test]
fn a_replacement_names_what_it_replaces() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(Intent::of(&life.request).unwrap().replaces.unwrap().pass_id, "theirs");
}

#[test]
fn a_start_time_schedules_the_issue() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(7200)));
    assert_eq!(life.reconcile(), Rest::Until(at(7200 - 300)));
    life.expect(Phase::Scheduled, "Scheduled", &["status Scheduled"]);
    life.now = at(7200 - 300);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(
        life.request.status.as_ref().unwrap().pass.as_ref().unwrap().expiration_time.0,
        at(7200 + 3600)
    );
}

#[test]
fn a_pass_that_is_issued_late_starts_when_it_is_made() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(0)));
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(Intent::of(&life.request).unwrap().start, None);
}

#[test]
fn an_expiry_is_never_cut_to_an_earlier_second() {
    let mut life = Life::new();
    life.now = at(10) + SignedDuration::from_millis(1);
    life.reconcile();
    let pass = life.request.status.as_ref().unwrap().pass.as_ref().unwrap();
    assert_eq!(pass.expiration_time.0, at(10 + 3600 + 1));
}

#[test]
fn the_longer_attempts_fail_the_longer_the_pauses() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Refused("no".into());
    let mut posts = Vec::new();
    for second in 0..600 {
        life.now = at(second);
        life.done.clear();
        life.reconcile();
        if life.done.contains(&"post".to_owned()) {
            posts.push(second);
        }
    }
    assert_eq!(posts, [0, 10, 20, 40, 80, 160, 280, 400, 520]);
    life.create_secret = SecretCreation::Yes("s1".into());
    life.now = at(640);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
}

#[test]
fn when_the_secret_fails_the_pass_is_taken_back_and_asked_for_again_later() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Refused("no".into());
    life.reconcile();
    life.expect(
        Phase::Pending,
        "SecretRefused",
        &["intent", "post", "secret", "delete pass ours", "release", "status Pending"],
    );
    let failed = Intent::of(&life.request).unwrap().attempt;
    life.create_secret = SecretCreation::Yes("s1".into());
    life.done.clear();
    life.now = at(21);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert_ne!(Intent::of(&life.request).unwrap().attempt, failed, "each has an id of its own");
}

fn conflict(_: &Intent, _: Timestamp) -> Posted {
    let code = "conflict".into();
    Posted::Refused(GraphError { status: Some(409), code, ..error(ErrorKind::Unexpected) })
}

#[test]
fn a_refused_pass_fails_only_when_it_keeps_being_refused() {
    let refusals: [fn(&Intent, Timestamp) -> Posted; 2] = [refused, conflict];
    for refusal in refusals {
        let mut life = Life::new();
        life.post = refusal;
        for second in (10..170).step_by(10) {
            life.now = at(second);
            life.reconcile();
            assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "RefusedByTenant"));
        }
        life.now = at(170);
        life.done.clear();
        life.reconcile();
        let done = ["intent", "post", "release", "status Failed"];
        life.expect(Phase::Failed, "RefusedByTenant", &done);
    }
}

#[test]
fn a_refusal_after_a_conflict_that_passes_counts_anew() {
    let mut life = Life::new();
    life.post =
        |_, _| Posted::Refused(GraphError { status: Some(400), ..error(ErrorKind::Unexpected) });
    for second in (10..200).step_by(10) {
        life.now = at(second);
        life.reconcile();
    }
    life.post = conflict;
    life.now = at(320);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "RefusedByTenant"));
}

#[test]
fn what_a_proxy_refuses_is_no_refusal_of_the_tenant() {
    let mut life = Life::new();
    life.post =
        |_, _| Posted::Refused(GraphError { status: Some(405), ..error(ErrorKind::Unexpected) });
    for second in (10..1000).step_by(10) {
        life.now = at(second);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::Pending);
    }
}

#[test]
fn a_refusal_long_after_another_failure_counts_anew() {
    let mut life = Life::new();
    life.brakes.stop = Stop::On;
    life.reconcile();
    life.brakes.stop = Stop::Off;
    life.post = refused;
    life.now = at(3600);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "RefusedByTenant"));
}

#[test]
fn a_pass_of_another_kind_than_asked_for_is_deleted() {
    let mut life = Life::new();
    life.edit_policy("{requireOneTimeUse: false}");
    life.edit_spec("{oneTimeUse: false}");
    life.post = |i, now| Posted::Made(Box::new(pass("ours", now, i.lifetime_minutes, true)), now);
    life.reconcile();
    life.expect(
        Phase::Failed,
        "FlagCoerced",
        &["intent", "post", "delete pass ours", "status Failed", "release"],
    );
}

#[test]
fn who_lost_the_lease_posts_nothing() {
    let mut life = Life::new();
    life.lease_is_fresh = false;
    life.reconcile();
    assert_eq!(life.done, Vec::<String>::new());
}

#[test]
fn who_lost_the_lease_deletes_its_pass_and_no_secret_that_it_did_not_create() {
    let mut life = Life::new();
    life.create_secret = SecretCreation::Refused("no".into());
    life.lease_lost_with_the_secret = true;
    life.meanwhile =
        ("secret", |life| life.secret = SecretFound::Ours("of the next attempt".into()));
    life.reconcile();
    assert_eq!(life.done, ["intent", "post", "secret", "delete pass ours"]);
    assert_eq!(life.secret, SecretFound::Ours("of the next attempt".into()));
}

#[test]
fn a_stop_between_intent_and_post_closes_the_intent() {
    let mut life = Life::new();
    life.brakes.stop = Stop::On;
    life.reconcile();
    assert_eq!(life.done, ["intent", "release", "status Pending"]);
    assert_eq!(life.reason(), "HeldBack");
}

#[test]
fn nothing_is_issued_while_the_admission_policies_are_not_known_to_be_in_force() {
    for (guard, word) in [
        (Guard::Unknown, "not known yet"),
        (Guard::Broken("the policy x is missing".into()), "the policy x is missing"),
    ] {
        let mut life = Life::new();
        life.guard = guard.clone();
        life.reconcile();
        life.expect(Phase::Pending, "AdmissionMissing", &["status Pending"]);
        assert!(life.ready().message.contains(word), "{}", life.ready().message);

        // Nor is what was about to be.
        let mut life = Life::new();
        life.guard_at_post = Some(guard);
        life.reconcile();
        life.expect(Phase::Pending, "AdmissionMissing", &["intent", "release", "status Pending"]);
        life.guard = Guard::InForce(at(0));
        life.now = at(30);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::Active, "it goes on by itself");
    }
}

#[test]
fn a_request_older_than_the_admission_policies_fails_unless_it_has_a_pass() {
    for (since, phase) in [(0, Phase::Active), (1, Phase::Failed)] {
        let mut life = Life::new();
        life.guard = Guard::InForce(at(since));
        life.reconcile();
        assert_eq!(life.request.phase(), phase);
    }
    let mut life = Life::new();
    life.guard = Guard::InForce(at(1));
    life.reconcile();
    life.expect(Phase::Failed, "CreatedUnguarded", &["status Failed"]);

    let mut life = Life::new();
    life.reconcile();
    life.done.clear();
    life.guard = Guard::InForce(at(20));
    life.now = at(90);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &[]);

    let mut life = Life::new();
    life.guard = Guard::Overridden;
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn what_was_decided_before_the_issue_ends_the_request_without_a_pass() {
    for (decision, phase, reason) in
        [("Deny", Phase::Denied, "Denied"), ("Revoke", Phase::Revoked, "Revoked")]
    {
        let mut life = Life::new();
        life.decide("helen", decision);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (phase, reason));
        assert_eq!(life.done.len(), 1);
    }
}
