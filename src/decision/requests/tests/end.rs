//! How a pass ends: expired, used, revoked, missing, deleted.

use super::*;

#[test]
fn a_pass_expires_never_early() {
    let mut life = Life::active();
    life.uncertain_by = SignedDuration::from_secs(30);
    life.now = at(10 + 3600 - 1);
    assert_eq!(life.reconcile(), Rest::Until(at(10 + 3600)));
    life.now = at(10 + 3600);
    life.reconcile();
    life.expect(Phase::Expired, "PassExpired", &["delete secret", "status Expired", "release"]);
}

#[test]
fn a_used_pass_loses_its_secret_and_is_left_to_expire() {
    let mut life = Life::active();
    life.now = at(70);
    life.seen = Ok(used(pass("ours", at(10), 60, true)));
    life.reconcile();
    life.expect(Phase::Used, "PassUsed", &["delete secret", "status Used", "release"]);
}

#[test]
fn a_revoked_pass_goes_secret_first_then_pass_then_status_then_finalizer() {
    for decision in ["Revoke", "Deny"] {
        let mut life = Life::active();
        life.decide("helen", decision);
        life.reconcile();
        let reason = if decision == "Deny" { "DeniedAfterIssue" } else { "Revoked" };
        life.expect(
            Phase::Revoked,
            reason,
            &["delete secret", "delete pass ours", "status Revoked", "release"],
        );
    }
}

#[test]
fn the_stop_revokes_what_is_active_only_when_it_says_so() {
    let mut life = Life::active();
    life.stop = Stop::On;
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    life.stop = Stop::RevokeActive;
    life.reconcile();
    life.expect(
        Phase::Revoked,
        "StopRevokesActive",
        &["delete secret", "delete pass ours", "status Revoked", "release"],
    );
}

#[test]
fn while_graph_is_down_a_revocation_waits_and_ends_when_the_pass_expires() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    let rest = life.reconcile();
    assert_eq!(rest, Rest::For(SignedDuration::from_secs(10)), "Graph may be back at any time");
    assert_eq!(life.ready().status, "False", "it is not where it should be");
    life.expect(Phase::Active, "Revoking", &["delete secret", "delete pass ours", "status Active"]);
    assert_eq!(life.request.status.as_ref().unwrap().secret_name, None);
    life.now = at(3610);
    life.done.clear();
    life.reconcile();
    life.expect(Phase::Expired, "ExpiredWhileRevoking", &["status Expired", "release"]);
}

#[test]
fn a_404_to_a_delete_counts_only_for_a_settled_pass() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.delete_pass = Err(error(ErrorKind::NotFound));
    life.now = at(20);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    life.now = at(10 + 30 + 150);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Revoked);
}

#[test]
fn a_pass_that_is_missing_is_removed_only_when_it_stays_missing() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(100);
    life.reconcile();
    life.expect(Phase::Active, "Issued", &[]);
    life.now = at(100 + 150);
    life.reconcile();
    life.expect(Phase::Revoked, "PassRemoved", &["delete secret", "status Revoked", "release"]);
}

#[test]
fn a_failed_read_is_not_absence() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::Unavailable));
    for minute in 1..50 {
        life.now = at(60 * minute + 30);
        life.reconcile();
    }
    life.expect(Phase::Active, "Issued", &[]);
}

#[test]
fn a_final_phase_is_final_and_only_the_finalizer_is_left_to_take_off() {
    for phase in [Phase::Used, Phase::Expired, Phase::Revoked, Phase::Denied, Phase::Failed] {
        let mut life = Life::active();
        life.request.status.as_mut().unwrap().phase = phase;
        life.reconcile();
        assert_eq!(life.done, ["release"]);
        life.done.clear();
        assert_eq!(life.reconcile(), Rest::ForChange);
        assert_eq!(life.done, Vec::<String>::new());
    }
}

#[test]
fn a_restored_copy_issues_nothing() {
    let mut life = Life::active();
    life.request.metadata.uid = Some("uid-2".into());
    life.request.status = None;
    life.crash();
    life.reconcile();
    life.expect(Phase::Failed, "Restored", &["release", "status Failed"]);
}

#[test]
fn a_request_released_by_hand_issues_nothing_more() {
    let mut life = Life::active();
    life.request.metadata.finalizers = None;
    life.reconcile();
    life.expect(Phase::Failed, "Released", &["delete secret", "status Failed"]);
}

#[test]
fn deletion_ends_even_when_the_tenant_is_gone() {
    let mut life = Life::active();
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.policy = None;
    life.reconcile();
    assert!(life.request.metadata.finalizers.is_some(), "a live pass may exist");
    life.now = at(3610);
    life.reconcile();
    assert_eq!(life.request.metadata.finalizers, None);
}

#[test]
fn a_finished_request_goes_when_its_time_to_live_is_over() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}', ttlAfterFinished: 24h}}", at(0)));
    life.reconcile();
    life.decide("helen", "Revoke");
    life.reconcile();
    life.done.clear();
    assert_eq!(
        life.reconcile(),
        Rest::Until(at(3600 + 24 * 3600)),
        "counted from the later of its end and startTime + lifetime"
    );
    life.now = at(3600 + 24 * 3600);
    life.done.clear();
    life.reconcile();
    assert_eq!(life.done, ["delete request"]);
}
