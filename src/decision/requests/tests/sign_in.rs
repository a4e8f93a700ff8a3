//! Conditional Access: what a request says of it, and when it waits.

use super::*;
use crate::api::{Check, CheckResult};
use crate::decision::situation::SignInTargets;
use crate::entra::{
    AccessPolicy, AccessPolicyState, AccessResources, AccessTargets, Circumstance, Control,
    ErrorKind, Grant,
};

const GROUP: &str = "6c1f0000-0000-4000-8000-000000000101";

/// A policy that blocks the members of a group everywhere.
fn blocks() -> AccessPolicy {
    AccessPolicy {
        id: "p".into(),
        display_name: "No pilots".into(),
        state: AccessPolicyState::Enforced,
        include: AccessTargets {
            groups: BTreeSet::from([GROUP.to_owned()]),
            ..AccessTargets::default()
        },
        exclude: AccessTargets::default(),
        resources: AccessResources { all: true, ..AccessResources::default() },
        in_browsers: true,
        conditions: BTreeSet::new(),
        grant: Grant { one_is_enough: true, controls: vec![Control::Block] },
    }
}

/// The tenant has this policy, and the user is in these groups.
fn life(policy: AccessPolicy, groups: &[&str]) -> Life {
    let mut life = Life::new();
    life.sign_in_rules = Ok(SignInRules::Policies([policy].into()));
    let member_of = groups.iter().map(ToString::to_string).collect();
    life.sign_in = Ok(SignInSeen::Targets(SignInTargets { member_of, ..SignInTargets::default() }));
    life
}

fn check(life: &Life) -> Option<Check> {
    let checks = &life.request.status.as_ref().unwrap().checks;
    checks.iter().find(|check| check.name == "SignIn").cloned()
}

fn result(life: &Life) -> Option<CheckResult> {
    check(life).map(|check| check.result)
}

#[test]
fn a_pass_is_issued_with_a_warning() {
    let mut warned = life(blocks(), &[GROUP]);
    warned.reconcile();
    assert_eq!(warned.request.phase(), Phase::Active);
    assert_eq!(result(&warned), Some(CheckResult::Warned));
    assert!(check(&warned).unwrap().message.unwrap().contains("\"No pilots\" blocks"));

    let mut passed = life(blocks(), &[]);
    passed.reconcile();
    assert_eq!(result(&passed), Some(CheckResult::Passed));
}

#[test]
fn a_refused_pass_waits_and_then_fails() {
    let mut life = life(blocks(), &[GROUP]);
    life.edit_policy("{unusablePass: Refuse}");
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "PassUnusable"));
    life.now += SignedDuration::from_hours(2);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "PassUnusable"));
}

#[test]
fn what_is_not_known_holds_up_only_passes_that_depend_on_it() {
    type Change = fn(&mut Life, GraphError);
    let error = GraphError::new(crate::entra::Call::AccessPolicies, ErrorKind::Unavailable, "no");
    let changes: [Change; 3] = [
        |life, error| life.sign_in_rules = Err(error),
        |life, error| life.sign_in = Err(error),
        |life, _| life.sign_in_rules = Ok(SignInRules::NotYet),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut warns = life(blocks(), &[GROUP]);
        change(&mut warns, error.clone());
        warns.reconcile();
        assert_eq!(warns.request.phase(), Phase::Active, "{number}");
        assert_eq!(result(&warns), Some(CheckResult::Unknown), "{number}");
    }
    let mut refuses = life(blocks(), &[GROUP]);
    refuses.edit_policy("{unusablePass: Refuse}");
    refuses.sign_in_rules = Err(error);
    refuses.reconcile();
    assert_eq!((refuses.request.phase(), refuses.reason()), (Phase::Pending, "TenantUnreachable"));
}

#[test]
fn what_cannot_be_judged_is_said() {
    let outside = AccessPolicy { conditions: BTreeSet::from([Circumstance::Location]), ..blocks() };
    let mut life = life(outside, &[GROUP]);
    life.edit_policy("{unusablePass: Refuse}");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    let check = check(&life).unwrap();
    assert_eq!(check.result, CheckResult::Unknown);
    assert!(check.message.unwrap().contains("depends on the location"));
}

#[test]
fn nothing_is_said_where_nothing_is_seen_unless_the_policy_refuses_for_it() {
    let mut life = Life::new();
    life.reconcile();
    assert_eq!(check(&life), None);

    let mut life = Life::new();
    life.edit_policy("{unusablePass: Refuse}");
    life.reconcile();
    assert_eq!((life.request.phase(), result(&life)), (Phase::Active, Some(CheckResult::Unknown)));

    let mut life = Life::new();
    life.edit_policy("{unusablePass: Refuse, completeChecks: Required}");
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "ChecksIncomplete"));
}

#[test]
fn groups_are_asked_for_only_where_they_matter() {
    let mut meets = life(AccessPolicy { grant: Grant::default(), ..blocks() }, &[]);
    meets.sign_in = Err(GraphError::unreached("nobody asks"));
    meets.reconcile();
    assert_eq!(result(&meets), Some(CheckResult::Passed));
}
