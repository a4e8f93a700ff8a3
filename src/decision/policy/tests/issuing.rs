//! The condition Issuing: what a policy is good for.

use super::*;

type Change = fn(&mut Reconcile);

fn issuance(reconcile: &mut Reconcile, patch: &str) {
    let mut issuance = serde_json::to_value(&reconcile.policy.spec.issuance).unwrap();
    json_patch::merge(&mut issuance, &yaml::read(patch).unwrap());
    reconcile.policy.spec.issuance = serde_json::from_value(issuance).unwrap();
}

fn method(reconcile: &mut Reconcile) -> &mut MethodConfiguration {
    let Some(Ok(method)) = &mut reconcile.reads.method else { unreachable!() };
    method
}

#[test]
fn a_policy_says_whether_it_can_issue_and_what_to_change() {
    let cases: &[(Change, &str, &str)] = &[
        (|_| {}, "True AdmitsRequests", "can get a pass"),
        (|r| issuance(r, "{namespaces: null}"), "False AdmitsNobody", "issuance.namespaces"),
        (|r| issuance(r, "{namespaces: {names: []}}"), "False AdmitsNobody", "no namespace"),
        (
            |r| issuance(r, "{namespaces: {names: null, selector: {}}}"),
            "False AdmitsNobody",
            "an empty selector selects nothing",
        ),
        (
            |r| issuance(r, "{namespaces: {names: null, selector: {matchLabels: {team: a}}}}"),
            "True AdmitsRequests",
            "can get a pass",
        ),
        (|r| issuance(r, "{users: null}"), "False AdmitsNobody", "issuance.users"),
        (|r| issuance(r, "{users: {domains: []}}"), "False AdmitsNobody", "no user"),
        (
            |r| issuance(r, "{users: {domains: ['@contoso.com']}}"),
            "False AdmitsNobody",
            "without @",
        ),
        (
            |r| issuance(r, "{users: {domains: ['*.contoso.com']}}"),
            "False AdmitsNobody",
            "contoso.com",
        ),
        (
            |r| issuance(r, "{users: {domains: ['@a.com', contoso.com]}}"),
            "True AdmitsRequests",
            "can get a pass",
        ),
        (|r| issuance(r, "{suspend: true}"), "False Suspended", "issuance.suspend"),
        (|r| r.stop.stop = Stop::On, "False Stopped", "tap-operator-stop"),
        (|r| r.reads.method = Some(Err(refused())), "False PermissionMissing", "cannot be read"),
        (|r| method(r).state = MethodState::Disabled, "False MethodDisabled", "method.state"),
        (
            |r| method(r).minimum_lifetime_minutes = Some(120),
            "False LifetimeOutOfRange",
            "lifetimes up to 1h, and the tenant from 2h to 8h",
        ),
        (
            |r| {
                issuance(r, "{lifetime: {default: 1h, maximum: 4h}}");
                method(r).minimum_lifetime_minutes = Some(120);
            },
            "True AdmitsRequests",
            "the default of 1h is not within the tenant's range from 2h to 8h",
        ),
        (
            |r| {
                issuance(r, "{users: {domains: null, groups: [{group: g1, displayName: Staff}]}}");
                r.reads.groups = Some(Ok(vec![]));
            },
            "False AdmitsNobody",
            "g1 (Staff)",
        ),
        (
            |r| {
                issuance(r, "{users: {excludeGroups: [{group: g1}]}}");
                r.reads.groups = Some(Ok(vec![]));
            },
            "False GroupNotFound",
            "g1",
        ),
        (
            |r| {
                issuance(r, "{users: {groups: [{group: g1}, {group: g2, displayName: B}]}}");
                r.reads.groups = Some(Ok(vec![group("g1", "A")]));
            },
            "True AdmitsRequests",
            "can get a pass",
        ),
    ];
    for (change, words, part) in cases {
        let mut reconcile = Reconcile::new(ISSUES, &FITTING);
        change(&mut reconcile);
        let (found, message) = reconcile.says("Issuing").unwrap();
        assert_eq!(found, *words, "{message}");
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn a_policy_without_issuance_says_nothing_of_issuing() {
    let reconcile = Reconcile::new("{tenant: default}", &FITTING);
    assert_eq!(reconcile.words("Issuing"), None);
    assert_eq!(reconcile.words("Ready").unwrap(), "True NothingManaged");
}

/// Ready is about what the policy is for. A suspension or a stop is meant, and is no failure.
#[test]
fn a_policy_that_only_issues_is_ready_if_it_can() {
    let cases: &[(Change, &str)] = &[
        (|r| issuance(r, "{users: null}"), "False AdmitsNobody"),
        (|r| method(r).state = MethodState::Disabled, "False MethodDisabled"),
        (|r| issuance(r, "{suspend: true}"), "True Suspended"),
        (|r| r.stop.stop = Stop::On, "True Stopped"),
    ];
    for (change, words) in cases {
        let mut reconcile = Reconcile::new(ISSUES, &FITTING);
        change(&mut reconcile);
        assert_eq!(reconcile.words("Ready").unwrap(), *words);
        // By that GitOps tools know that it needs somebody.
        let stalled = words.strip_prefix("False ").map(|reason| format!("True {reason}"));
        assert_eq!(reconcile.words("Stalled"), stalled);
    }
}
