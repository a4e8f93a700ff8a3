//! The checks, each with its own reason.

use super::*;
use crate::api::{Check, CheckResult};

#[test]
fn approvals_are_waited_for_and_count_each_person_once_and_never_the_requester() {
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 2}}");
    life.edit_spec("{requestedBy: rita}");
    assert_eq!(life.reconcile(), Rest::Until(at(24 * 3600)));
    life.expect(Phase::AwaitingApproval, "AwaitingApproval", &["status AwaitingApproval"]);
    assert!(
        life.request.status.as_ref().unwrap().resolved.is_some(),
        "fixed before anybody is asked"
    );
    life.decide("rita", "Approve");
    life.decide("paul", "Approve");
    life.decide("paul", "Approve");
    life.reconcile();
    assert_eq!(life.request.status.as_ref().unwrap().approvals.as_deref(), Some("1/2"));
    life.decide("quinn", "Approve");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    let status = life.request.status.as_ref().unwrap();
    assert_eq!(status.approvals.as_deref(), Some("2/2"));
    let approved = status.conditions.iter().find(|c| c.type_ == "Approved").unwrap();
    assert_eq!((approved.status.as_str(), approved.reason.as_str()), ("True", "Approved"));
}

#[test]
fn nobody_asks_for_themselves_and_the_user_does_not_count_as_approver() {
    let mut life = Life::new();
    life.edit_spec("{requestedBy: Alice@contoso.com}");
    life.reconcile();
    life.expect(Phase::Failed, "SelfService", &["status Failed"]);

    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life.decide("alice@contoso.com", "Approve");
    life.reconcile();
    assert_eq!(life.request.status.as_ref().unwrap().approvals.as_deref(), Some("0/1"));
}

#[test]
fn who_could_activate_a_role_is_refused_and_what_is_not_seen_is_said() {
    let check = |life: &Life| {
        let checks = life.request.status.clone().unwrap().checks;
        checks.into_iter().find(|c| c.name == "DirectoryRoles").unwrap().message.unwrap()
    };
    let denies = |eligibility| {
        let mut life = Life::new();
        life.edit_policy("{directoryRoleHolders: Deny}");
        life.eligibility = eligibility;
        life.reconcile();
        life
    };
    let role = |definition_id: Option<&str>, group: Option<&str>| {
        Ok(Eligibility::Of(EligibleRole {
            definition_id: definition_id.map(Into::into),
            through_group: group.map(Into::into),
        }))
    };
    let issued = ["intent", "post", "secret", "status Active"];
    let failed = ["status Failed"];

    let life = denies(Ok(Eligibility::None));
    life.expect(Phase::Active, "Issued", &issued);
    assert_eq!(check(&life), "the user holds no directory role, and could activate none");

    let life = denies(Ok(Eligibility::NotSeen));
    life.expect(Phase::Active, "Issued", &issued);
    assert!(check(&life).contains("grant RoleEligibilitySchedule.Read.Directory ["));

    let life = denies(role(Some("62e90394"), Some("admins")));
    life.expect(Phase::Failed, "DirectoryRoleHolder", &failed);
    assert!(check(&life).contains("(role definition 62e90394, through group admins)"));

    let life = denies(role(None, None));
    life.expect(Phase::Failed, "DirectoryRoleHolder", &failed);
    assert!(check(&life).contains("that cannot be read"));

    let life = denies(Err(error(ErrorKind::Unavailable)));
    life.expect(Phase::Pending, "TenantUnreachable", &["status Pending"]);
}

/// What the fresh questions about the user do not show: roles of other scopes, custom ones, and groups that could be joined.
#[test]
fn who_holds_a_role_that_only_the_tenants_lists_show_is_refused() {
    let row = |scope: Option<&str>| RoleRow {
        principal_id: "p".into(),
        definition_id: Some("custom".into()),
        scope: scope.map(Into::into),
    };
    let listed = |row: RoleRow, eligible: bool, join: Option<&str>, group: Option<&str>| {
        let through_eligible_group = join.map(Into::into);
        let holding = RoleHolding { row, eligible, through_eligible_group };
        Ok(ListedRoles { found: Some((holding, group.map(Into::into))), gaps: BTreeSet::new() })
    };
    let unit = Some("/administrativeUnits/unit");
    for (listed, words) in [
        (
            listed(row(unit), false, None, None),
            "holds a directory role (role definition custom, for /administrativeUnits/unit)",
        ),
        (
            listed(row(Some("/")), false, None, Some("admins")),
            "holds a directory role (role definition custom, through group admins)",
        ),
        (
            listed(row(None), true, None, None),
            "could activate a directory role (role definition custom)",
        ),
        (
            listed(row(Some("/")), true, Some("admins"), Some("on-call")),
            "could activate a directory role (role definition custom, through group on-call, by joining group admins)",
        ),
    ] {
        let mut life = Life::new();
        life.edit_policy("{directoryRoleHolders: Deny}");
        life.listed_roles = listed;
        life.reconcile();
        life.expect(Phase::Failed, "DirectoryRoleHolder", &["status Failed"]);
        assert!(life.ready().message.contains(words), "{}", life.ready().message);
    }
}

#[test]
fn a_check_that_cannot_be_made_stops_only_where_that_is_demanded() {
    let gaps = |gap| Ok(ListedRoles { found: None, gaps: BTreeSet::from([gap]) });
    for gap in [
        RoleGap::Assignments,
        RoleGap::Eligibilities,
        RoleGap::GroupEligibilities,
        RoleGap::Members,
        RoleGap::HiddenMembers,
    ] {
        for (policy, ceilings, waits) in [
            ("{}", "{}", false),
            ("{completeChecks: Optional}", "{}", false),
            ("{completeChecks: Required}", "{}", true),
            ("{completeChecks: Always}", "{}", true),
            ("{completeChecks: Optional}", "{completeChecks: Required}", true),
        ] {
            let mut life = Life::new();
            life.edit_policy("{directoryRoleHolders: Deny}");
            life.edit_policy(policy);
            life.set_ceilings(ceilings);
            life.edit_spec("{requestedBy: rita@contoso.com}");
            life.listed_roles = gaps(gap);
            life.reconcile();
            let expected = if waits {
                (Phase::Pending, "ChecksIncomplete")
            } else {
                (Phase::Active, "Issued")
            };
            assert_eq!((life.request.phase(), life.reason()), expected, "{gap:?} {policy}");
            // Once the permission was granted, it goes on.
            life.listed_roles = Ok(ListedRoles::default());
            life.now += SignedDuration::from_secs(61);
            life.reconcile();
            assert_eq!(life.request.phase(), Phase::Active);
        }
    }
    let mut life = Life::new();
    life.edit_policy("{directoryRoleHolders: Deny}");
    life.listed_roles = Err(error(ErrorKind::Unavailable));
    life.reconcile();
    life.expect(Phase::Pending, "TenantUnreachable", &["status Pending"]);
}

#[test]
fn complete_checks_tell_people_apart() {
    let mut life = Life::new();
    life.edit_policy("{completeChecks: Required, unmappedPeople: Allow}");
    life.connection.as_mut().unwrap().users = None;
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life.reconcile();
    life.expect(Phase::Pending, "ChecksIncomplete", &["status Pending"]);
    life.connection = Some(connection("default", "tenant"));
    life.now += SignedDuration::from_secs(61);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn what_needs_a_human_stalls_and_what_ends_by_itself_reconciles() {
    type Change = fn(&mut Life, GraphError);
    let places: [Change; 2] =
        [|life, error| life.method = Err(error), |life, error| life.passes = Err(error)];
    for (kind, expected) in
        [(ErrorKind::Forbidden, "Stalled"), (ErrorKind::Unavailable, "Reconciling")]
    {
        for place in places {
            let mut life = Life::new();
            place(&mut life, error(kind));
            life.reconcile();
            let conditions = &life.request.status.as_ref().unwrap().conditions;
            let both = ["Stalled", "Reconciling"];
            let found: Vec<&str> = conditions
                .iter()
                .map(|c| c.type_.as_str())
                .filter(|type_| both.contains(type_))
                .collect();
            assert_eq!(found, [expected], "{kind:?}");
        }
    }
}

#[test]
fn a_request_that_was_not_issued_in_time_expires() {
    // One that is first seen late has five minutes more: the API server's clock may be behind Graph's.
    const ALLOWANCE: i64 = 5 * 60;
    let mut life = Life::new();
    life.policy = None;
    life.now = at(24 * 3600 + ALLOWANCE - 1);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "PolicyNotFound"));
    life.now = at(24 * 3600 + ALLOWANCE);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Expired, "NotIssuedInTime"));

    for (seen, allowance) in [(10, 0), (60, 0), (200, 200), (400, ALLOWANCE)] {
        let mut life = Life::new();
        life.edit_policy("{approval: {required: 1, timeout: 1h}}");
        life.now = at(seen);
        life.reconcile();
        let deadline = life.request.status.as_ref().unwrap().deadline.as_ref().unwrap().0;
        assert_eq!(deadline, at(3600 + allowance), "first seen after {seen} s");
    }
}

/// A part of a policy that admits namespaces by a label.
const BY_LABEL: &str = "{namespaces: {names: null, selector: {matchLabels: {team: helpdesk}}}}";

#[test]
fn labels_that_the_watch_has_not_shown_yet_are_read() {
    let mut life = Life::new();
    life.edit_policy(BY_LABEL);
    life.labels = Ok([("team".to_owned(), "helpdesk".to_owned())].into());
    // However old the request is.
    life.now = at(3600);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn each_check_fails_or_waits_with_its_own_reason_and_posts_nothing() {
    type Change = fn(&mut Life);
    let cases: &[(Change, Phase, &str)] = &[
        (|l| l.policy.as_mut().unwrap().spec.issuance = None, Phase::Failed, "NoIssuance"),
        (|l| l.stop = Stop::On, Phase::Pending, "Stopped"),
        (|l| l.edit_policy("{suspend: true}"), Phase::Pending, "Suspended"),
        (|l| l.edit_policy("{namespaces: {names: [other]}}"), Phase::Failed, "NamespaceNotAllowed"),
        (|l| l.edit_policy("{namespaces: null}"), Phase::Failed, "NamespaceNotAllowed"),
        (
            |l| l.edit_policy("{namespaces: {names: null, selector: {}}}"),
            Phase::Failed,
            "NamespaceNotAllowed",
        ),
        (|l| l.edit_policy(BY_LABEL), Phase::Failed, "NamespaceNotAllowed"),
        (
            |l| {
                l.edit_policy(BY_LABEL);
                l.labels = Err("the API server answered 500".into());
            },
            Phase::Pending,
            "NamespaceUnknown",
        ),
        (|l| l.edit_policy("{reason: {}}"), Phase::Failed, "ReasonNotAccepted"),
        (|l| l.edit_policy("{startTime: Required}"), Phase::Failed, "StartTimeRequired"),
        (|l| l.edit_spec("{lifetime: 9h}"), Phase::Failed, "LifetimeNotAllowed"),
        (|l| l.edit_spec("{lifetime: 30m}"), Phase::Pending, "LifetimeOutOfRange"),
        (|l| l.edit_spec("{oneTimeUse: false}"), Phase::Failed, "OneTimeUseRequired"),
        (|l| l.edit_spec("{recipients: [age1x]}"), Phase::Failed, "RecipientInvalid"),
        (|l| l.edit_policy("{delivery: Sealed}"), Phase::Failed, "RecipientsRequired"),
        (|l| l.edit_policy("{delivery: Folded}"), Phase::Failed, "RecipientsRequired"),
        (|l| l.edit_spec("{onExistingPass: Replace}"), Phase::Failed, "ReplaceNotAllowed"),
        (
            |l| l.method.as_mut().unwrap().state = MethodState::Disabled,
            Phase::Pending,
            "MethodDisabled",
        ),
        (|l| l.method = Err(error(ErrorKind::Throttled)), Phase::Pending, "Throttled"),
        (|l| l.method = Err(error(ErrorKind::Unavailable)), Phase::Pending, "TenantUnreachable"),
        (|l| l.method = Err(error(ErrorKind::Forbidden)), Phase::Pending, "PermissionMissing"),
        (|l| l.user = Err(error(ErrorKind::NotFound)), Phase::Pending, "UserNotFound"),
        (|l| l.user = Err(error(ErrorKind::Unavailable)), Phase::Pending, "TenantUnreachable"),
        (
            |l| l.user.as_mut().unwrap().account_enabled = Some(false),
            Phase::Pending,
            "UserDisabled",
        ),
        (|l| l.edit_policy("{users: {domains: [fabrikam.com]}}"), Phase::Failed, "UserNotAllowed"),
        (|l| l.edit_policy("{users: null}"), Phase::Failed, "UserNotAllowed"),
        (|l| l.method.as_mut().unwrap().include.clear(), Phase::Pending, "UserNotInScope"),
        (|l| l.secret = SecretFound::Foreign, Phase::Failed, "SecretNameTaken"),
        (
            |l| {
                l.edit_policy("{directoryRoleHolders: null}");
                l.roles =
                    vec![DirectoryRole { id: "r".into(), display_name: None, template_id: None }];
            },
            Phase::Failed,
            "DirectoryRoleHolder",
        ),
        (|l| l.fill_the_quota(20), Phase::Pending, "QuotaReached"),
        (|l| l.contest_the_quota(), Phase::Pending, "QuotaReached"),
        (|l| l.passes = Ok(vec![pass("x", at(0), 60, true)]), Phase::Pending, "ExistingPass"),
    ];
    for (change, phase, reason) in cases {
        let mut life = Life::new();
        change(&mut life);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (*phase, *reason));
        assert!(!life.done.contains(&"intent".to_owned()), "{reason}: {:?}", life.done);
        life.done.clear();
        life.now += SignedDuration::from_secs(1);
        life.reconcile();
        assert_eq!(life.done, Vec::<String>::new(), "{reason}: quiet when nothing changes");
    }
}

#[test]
fn a_request_with_recipients_is_issued_where_delivery_is_sealed() {
    for policy in ["{delivery: Sealed}", "{delivery: Any}", "{}"] {
        let mut life = Life::new();
        life.edit_policy(policy);
        let key = age::x25519::Identity::generate().to_public();
        life.edit_spec(&format!("{{recipients: [{key}]}}"));
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"), "{policy}");
        let status = life.request.status.as_ref().unwrap();
        let check = status.checks.iter().find(|check| check.name == "Delivery").unwrap();
        let says = check.message.as_deref().unwrap();
        assert_eq!(says, "the code is delivered encrypted to 1 recipient (age)");
        assert!(status.conditions[0].message.contains("encrypted to spec.recipients"));
    }
}

#[test]
fn a_user_who_stays_missing_fails_the_request_after_an_hour() {
    let mut life = Life::new();
    life.user = Err(error(ErrorKind::NotFound));
    life.reconcile();
    life.now = at(3599);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Pending);
    life.now = at(3601);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "UserNotFound"));
}

#[test]
fn a_foreign_pass_must_be_seen_twice_before_a_request_fails() {
    let mut life = Life::new();
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Pending);
    life.now = at(10 + 150);
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "ExistingPass"));
}

/// A pass that starts later is one, whatever `isUsable` says; one that was used or is over is none.
#[test]
fn a_pass_that_cannot_be_used_yet_is_in_the_way_and_one_that_is_over_is_not() {
    let later = pass("theirs", at(7200), 60, true);
    let not_yet = UsabilityReason::NotYetValid;
    for (usable, reason) in [(Some(false), Some(not_yet)), (Some(false), None), (None, None)] {
        let mut life = Life::new();
        life.passes = Ok(vec![TapMethod { usable, reason, ..later.clone() }]);
        life.reconcile();
        life.expect(Phase::Pending, "ExistingPass", &["status Pending"]);
    }
    let over = TapMethod { reason: None, ..pass("theirs", at(10 - 3600), 60, true) };
    let used = used(pass("theirs", at(0), 60, true));
    let deleted = pass("of other", at(0), 60, true);
    for none in [over, used, deleted] {
        let mut life = Life::new();
        life.make_and_take_back("other");
        life.passes = Ok(vec![none]);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
    }
}

/// Whoever approves reads what would prevent the pass now.
#[test]
fn what_the_operator_knows_by_itself_is_said_before_people_are_asked() {
    let asked = |change: fn(&mut Life)| {
        let mut life = Life::new();
        life.edit_policy("{approval: {required: 1}, replaceExistingPass: Allowed}");
        change(&mut life);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::AwaitingApproval);
        assert_eq!(life.lists, 0, "Graph is not asked for it");
        life.request.status.unwrap().checks
    };
    let find = |checks: Vec<Check>, name: &str| {
        let check = checks.into_iter().find(|check| check.name == name)?;
        Some((check.result, check.message.unwrap()))
    };
    let others = |checks| find(checks, "OtherPasses").unwrap();
    assert_eq!(others(asked(|_| {})).0, CheckResult::Passed);
    let beside = |life: &mut Life| life.beside(recording("other", "p", &intent_of("other")));
    let (result, message) = others(asked(beside));
    assert_eq!(result, CheckResult::Waiting);
    assert_eq!(
        message,
        "request other has a live pass for the user until 2027-01-15T09:00:00Z: this request fails if it is still \
         live when the pass is to be issued"
    );
    let (_, message) = others(asked(|life| {
        let mut elsewhere = recording("other", "p", &intent_of("other"));
        elsewhere.metadata.namespace = Some("elsewhere".into());
        life.beside(elsewhere);
    }));
    assert!(message.starts_with("a request of another namespace has a live pass"), "{message}");
    let (result, message) = others(asked(|life| {
        life.beside(recording("other", "p", &intent_of("other")));
        life.edit_spec("{onExistingPass: Replace}");
    }));
    assert!(result == CheckResult::Passed && message.ends_with("replaces it"), "{message}");
    let (result, message) = others(asked(|life| {
        // Somebody else's pass was listed for another request.
        life.beside(request("first", "first"));
        life.edit_policy("{approval: {required: 0}}");
        life.passes = Ok(vec![pass("portal", at(0), 60, true)]);
        life.show();
        life.reconcile_only(&"first".into());
        life.edit_policy("{approval: {required: 1}}");
        life.edit_spec("{onExistingPass: Wait}");
        life.lists = 0;
    }));
    assert!(result == CheckResult::Waiting && message.contains("somebody else"), "{message}");

    assert_eq!(find(asked(|_| {}), "Quota"), None, "it is decided last");
    let (result, message) = find(asked(|life| life.fill_the_quota(1)), "Quota").unwrap();
    assert!(result == CheckResult::Waiting && message.contains("allows 1"), "{message}");
}
