//! The condition `PassesUsable`, and the posture.

use super::*;
use crate::decision::sign_in::samples;
use crate::entra::{
    AccessPolicy, AccessPolicyState, AccessTargets, AuthenticationStrength, Circumstance, PassKind,
};

const SEES: [&str; 2] = ["Policy.Read.All", "UserAuthMethod-TAP.ReadWrite.All"];
const MULTI: &str = "{tenant: default, issuance: {namespaces: {names: [helpdesk]}, users: {domains: [contoso.com]}, requireOneTimeUse: false}}";

fn demands(admits: &[PassKind]) -> AccessPolicy {
    samples::demands("Register", admits)
}

fn says(spec: &str, policies: &[AccessPolicy]) -> (String, String) {
    let mut reconcile = Reconcile::new(spec, &SEES);
    reconcile.reads.access_policies = Some(Ok(policies.into()));
    reconcile.says("PassesUsable").unwrap()
}

#[test]
fn the_kinds_that_the_policy_issues_count() {
    let once = [demands(&[PassKind::OneTime])];
    assert_eq!(says(ISSUES, &once).0, "True PassesUsable");
    let (words, message) = says(MULTI, &once);
    assert_eq!(words, "False PassesBlocked");
    assert!(message.contains("multi-use passes of everybody when they register"), "{message}");
    let (words, message) = says(ISSUES, &[demands(&[])]);
    assert_eq!(words, "False PassesBlocked");
    assert!(message.contains("\"bootstrap\""), "{message}");
}

#[test]
fn report_only_and_conditions_are_told_apart_from_blocks() {
    let reported = AccessPolicy { state: AccessPolicyState::ReportOnly, ..demands(&[]) };
    assert_eq!(says(ISSUES, std::slice::from_ref(&reported)).0, "True PassesBlockedOnceEnforced");
    let elsewhere = AccessPolicy {
        conditions: std::collections::BTreeSet::from([Circumstance::Location]),
        ..demands(&[])
    };
    let (words, message) = says(ISSUES, &[elsewhere, reported]);
    assert_eq!(words, "Unknown DependsOnSignIn");
    assert!(message.contains("depends on the location"), "{message}");
    let off = AccessPolicy { state: AccessPolicyState::Disabled, ..demands(&[]) };
    assert_eq!(says(ISSUES, &[off]).0, "True PassesUsable");
}

#[test]
fn who_gets_no_pass_does_not_count() {
    let include = AccessTargets {
        roles: std::collections::BTreeSet::from(["admin".to_owned()]),
        ..AccessTargets::default()
    };
    let admins = [AccessPolicy { include, ..demands(&[]) }];
    assert_eq!(says(ISSUES, &admins).0, "True PassesUsable");
    let admits = ISSUES.replace("users:", "directoryRoleHolders: Allow, users:");
    assert_eq!(says(&admits, &admins).0, "False PassesBlocked");
    let guests = [AccessPolicy { include: AccessTargets::default(), ..demands(&[]) }];
    assert_eq!(says(&admits, &guests).0, "True PassesUsable");
}

#[test]
fn what_is_not_seen_is_said_with_the_strengths_that_no_pass_meets() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING);
    reconcile.reads.strengths = None;
    assert_eq!(reconcile.next(), PolicyStep::Ask(PolicyQuestion::Strengths));
    let strength = |name: &str, kinds: &[PassKind]| AuthenticationStrength {
        id: name.into(),
        display_name: name.into(),
        admits: Some(kinds.iter().copied().collect()),
    };
    let strengths = vec![strength("Keys", &[]), strength("Any", &[PassKind::OneTime])];
    reconcile.reads.strengths = Some(Ok(strengths));
    let (words, message) = reconcile.says("PassesUsable").unwrap();
    assert_eq!(words, "Unknown ConditionalAccessNotSeen");
    assert!(message.contains("Policy.Read.All [246dd0d5"), "{message}");
    assert!(message.contains("\"Keys\"") && !message.contains("\"Any\""), "{message}");

    let mut sees = Reconcile::new(ISSUES, &SEES);
    sees.reads.access_policies = None;
    assert_eq!(sees.next(), PolicyStep::Ask(PolicyQuestion::AccessPolicies));
    let none = Reconcile::new(ISSUES, &["User.Read.All"]);
    assert_eq!(none.words("PassesUsable").unwrap(), "Unknown ConditionalAccessNotSeen");
}

#[test]
fn a_cloud_that_does_not_say_which_policies_a_user_meets_is_told() {
    let asks = [&FITTING[..], &["Policy.Read.ConditionalAccess"]].concat();
    let refuses = ISSUES.replace("users:", "unusablePass: Refuse, users:");
    let mut reconcile = Reconcile::new(&refuses, &asks);
    let (words, message) = reconcile.says("PassesUsable").unwrap();
    assert_eq!(words, "Unknown ConditionalAccessNotSeen");
    assert!(message.starts_with("the operator asks for each user"), "{message}");
    reconcile.what_if_offered = false;
    let (words, message) = reconcile.says("PassesUsable").unwrap();
    assert_eq!(words, "Unknown ConditionalAccessNotSeen");
    assert!(message.starts_with("this cloud does not tell"), "{message}");
    assert!(message.contains("Policy.Read.All [246dd0d5"), "{message}");
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "False ConditionalAccessNotSeen");
}

#[test]
fn refusing_what_is_not_seen_is_a_gap() {
    let refuses = ISSUES.replace("users:", "unusablePass: Refuse, users:");
    let blind = Reconcile::new(&refuses, &FITTING);
    assert_eq!(blind.words("ChecksComplete").unwrap(), "False ConditionalAccessNotSeen");
    let asks = [&FITTING[..], &["Policy.Read.ConditionalAccess"]].concat();
    let asks = Reconcile::new(&refuses, &asks);
    assert_eq!(asks.words("ChecksComplete").unwrap(), "True AllChecksPossible");
}

#[test]
fn the_status_says_which_recommendations_are_followed() {
    use crate::api::PostureResult::{Met, NotMet};
    let mut reconcile = Reconcile::new("{tenant: default, method: {codeLength: 8}}", &SEES);
    reconcile.reads.access_policies = Some(Ok([demands(&[PassKind::OneTime])].into()));
    let PolicyStep::WriteStatus(status) = reconcile.next() else { panic!("no status") };
    let results: Vec<_> = status.posture.iter().map(|one| (&*one.id, one.result)).collect();
    assert_eq!(
        results,
        [
            ("EIDSCA.AT01", Met),
            ("EIDSCA.AT02", NotMet),
            ("ZeroTrust.21845", Met),
            ("ZeroTrust.21846", NotMet),
        ]
    );
}
