//! Whose a Secret of the request's name is.

use super::*;

/// What becomes of a Secret that was found where one could not be created.
fn found(secret: SecretFound, unfenced_for: Option<u64>) -> Life {
    let mut life = Life::new();
    (life.secret, life.unfenced_for) = (secret, unfenced_for.map(Duration::from_secs));
    life.reconcile();
    life
}

#[test]
fn where_the_policy_on_secrets_is_not_in_force_nobody_tells_whose_a_secret_is() {
    let ours = || SecretFound::Ours("late".into());
    let issued = ["delete secret", "intent", "post", "secret", "status Active"];
    found(ours(), None).expect(Phase::Active, "Issued", &issued);
    // It may have been out of force for a moment only.
    let life = found(ours(), Some(149));
    life.expect(Phase::Pending, "SecretRefused", &["status Pending"]);
    assert!(life.ready().message.contains("not in force"), "{}", life.ready().message);
    // Then it counts as somebody else's, and stays.
    let life = found(ours(), Some(150));
    life.expect(Phase::Failed, "SecretNameTaken", &["status Failed"]);
    assert_eq!(life.secret, ours());
    let life = found(SecretFound::Foreign, Some(0));
    life.expect(Phase::Failed, "SecretNameTaken", &["status Failed"]);
}

#[test]
fn what_this_process_created_is_its_own_wherever_it_looks() {
    for unfenced_for in [0, 1000] {
        let mut life = Life::active();
        life.unfenced_for = Some(Duration::from_secs(unfenced_for));
        life.decide("helen", "Revoke");
        life.reconcile();
        let done = ["delete secret", "delete pass ours", "status Revoked", "release"];
        life.expect(Phase::Revoked, "Revoked", &done);
    }

    // Another process does not know that.
    let mut life = Life::active();
    life.unfenced_for = Some(Duration::from_secs(1000));
    life.crash();
    life.decide("helen", "Revoke");
    life.reconcile();
    life.expect(Phase::Revoked, "Revoked", &["delete pass ours", "status Revoked", "release"]);
    assert_eq!(life.secret, SecretFound::Ours("s1".into()));
}

#[test]
fn a_secret_that_is_not_ours_stays_when_the_pass_goes() {
    let mut life = Life::active();
    life.secret = SecretFound::Foreign;
    life.decide("helen", "Revoke");
    life.reconcile();
    life.expect(Phase::Revoked, "Revoked", &["delete pass ours", "status Revoked", "release"]);
    assert_eq!(life.secret, SecretFound::Foreign);
}
