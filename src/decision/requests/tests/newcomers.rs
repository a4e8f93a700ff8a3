//! Policies for new colleagues.

use super::*;

#[test]
fn a_policy_for_new_colleagues_serves_nobody_else() {
    let issued = (Phase::Active, "Issued");
    for (created, now, expected) in [
        (Some(0), 10, issued),
        (Some(0), 72 * 3600, issued),
        (Some(-1), 72 * 3600, (Phase::Failed, "UserNotAllowed")),
        (None, 10, (Phase::Pending, "PermissionMissing")),
    ] {
        let mut life = Life::new();
        life.edit_policy("{users: {createdWithin: 72h}, approval: {timeout: 100h}}");
        life.user.as_mut().unwrap().created = created.map(at);
        life.now = at(now);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), expected, "{created:?} {now}");
    }
    for (methods, expected) in [
        (Ok(vec![]), issued),
        (Ok(vec!["fido2".to_owned()]), (Phase::Failed, "UserHasMethods")),
        (Err(error(ErrorKind::NotFound)), (Phase::Pending, "UserNotFound")),
        (Err(error(ErrorKind::Forbidden)), (Phase::Pending, "PermissionMissing")),
        (Err(error(ErrorKind::Unavailable)), (Phase::Pending, "TenantUnreachable")),
    ] {
        let mut life = Life::new();
        life.edit_policy("{users: {onlyWithoutSignInMethods: true}}");
        life.sign_in_methods = methods;
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), expected);
    }
}

#[test]
fn to_be_new_admits_nobody_by_itself() {
    let mut life = Life::new();
    life.edit_policy(
        "{users: {domains: null, createdWithin: 72h, onlyWithoutSignInMethods: true}}",
    );
    life.user.as_mut().unwrap().created = Some(at(0));
    life.reconcile();
    life.expect(Phase::Failed, "UserNotAllowed", &["status Failed"]);
}

/// What changes between the approval and the issue decides.
#[test]
fn a_method_that_is_registered_while_people_approve_ends_the_request() {
    let mut life = Life::new();
    life.edit_policy("{users: {onlyWithoutSignInMethods: true}, approval: {required: 1}}");
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::AwaitingApproval);
    life.sign_in_methods = Ok(vec!["microsoftAuthenticator".into()]);
    life.decide("bob@contoso.com", "Approve");
    life.reconcile();
    life.expect(Phase::Failed, "UserHasMethods", &["status AwaitingApproval", "status Failed"]);
}
