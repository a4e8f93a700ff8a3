//! The tenant connections change between two processes: what a request was issued through may lead elsewhere, or nowhere.

use super::*;

/// One whose pass was issued through the connection `default` of tenant `tenant`, and whose process ended. The next one has
/// these connections.
fn restarted(mut life: Life, connections: &[Connection]) -> Life {
    life.connections = connections.to_vec();
    life.connection = connections.first().cloned();
    life.crash();
    life
}

#[test]
fn a_pass_in_a_tenant_that_is_not_reached_says_so_and_stays_until_it_expires() {
    let other_cloud = Connection { cloud: Cloud::UsGov, ..connection("default", "tenant") };
    for connections in [vec![], vec![connection("default", "other")], vec![other_cloud]] {
        let mut life = restarted(Life::active(), &connections);
        life.reconcile();
        life.expect(Phase::Active, "TenantNotConfigured", &["status Active"]);
        let message = life.ready().message.clone();
        assert!(message.contains("issued in tenant tenant (global)"), "{message}");
        // A look would ask the wrong tenant.
        assert_eq!(life.requests.next_look(), None);
        life.done.clear();
        assert_eq!(life.reconcile(), Rest::Until(at(10 + 3600)));

        life.decide("helen", "Revoke");
        assert_eq!(life.reconcile(), Rest::Until(at(10 + 3600)));
        life.expect(Phase::Active, "Revoking", &["delete secret", "status Active"]);
        assert!(life.ready().message.contains("none of the operator's tenant connections"));
        life.now = at(10 + 3600);
        life.done.clear();
        life.reconcile();
        life.expect(Phase::Expired, "ExpiredWhileRevoking", &["status Expired", "release"]);
    }
}

#[test]
fn a_pass_is_reached_through_another_connection_of_its_tenant() {
    let mut life = restarted(Life::active(), &[connection("default", "other")]);
    life.reconcile();
    let renamed = [connection("default", "other"), connection("contoso", "tenant")];
    let mut life = restarted(life, &renamed);
    assert_eq!(life.requests.due(&life.uid()), Some(life.moment_at()), "it is to say so at once");
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["status Active"]);
    assert!(life.ready().message.contains("the code is in Secret lost-phone until"));
    life.done.clear();
    life.decide("helen", "Revoke");
    life.reconcile();
    let done = ["delete secret", "delete pass ours through contoso", "status Revoked", "release"];
    life.expect(Phase::Revoked, "Revoked", &done);
}

#[test]
fn a_pass_that_is_reached_again_says_that_its_secret_is_gone() {
    let mut life = Life::active();
    life.secret = SecretFound::Absent;
    life.now += SignedDuration::from_secs(60);
    life.reconcile();
    assert_eq!(life.reason(), "SecretGone", "{:?}", life.done);
    let mut life = restarted(life, &[connection("default", "other")]);
    life.reconcile();
    assert_eq!(life.reason(), "TenantNotConfigured");
    let mut life = restarted(life, &[connection("default", "tenant")]);
    life.reconcile();
    assert_eq!(life.reason(), "SecretGone", "{}", life.ready().message);
}

#[test]
fn an_unknown_outcome_is_not_looked_for_in_another_tenant() {
    let mut life = Life::new();
    life.request = unresolved("lost-phone");
    let mut life = restarted(life, &[connection("default", "other")]);
    assert_eq!(life.reconcile(), Rest::Until(at(3600 + 180)));
    life.expect(Phase::Pending, "Resolving", &["raise", "status Pending"]);
    assert!(life.ready().message.contains("cannot be found out"), "{}", life.ready().message);
    life.now = at(3600 + 180);
    life.done.clear();
    life.reconcile();
    assert_eq!(life.done[0], "release");
}

#[test]
fn a_post_goes_only_through_the_connection_that_was_checked() {
    let mut life = Life::new();
    life.connections = vec![connection("default", "other"), connection("contoso", "tenant")];
    life.requests = machine(&life.connections);
    life.with_moment(Requests::catch_up);
    life.reconcile();
    assert_eq!(life.done[..2], ["intent", "release"]);
}
