//! In which order the checks decide.

use super::*;
use crate::api::{Check, CheckResult};

/// The order in which the checks decide: of several that do not pass, the earlier one.
#[test]
fn of_several_checks_that_do_not_pass_the_earlier_one_decides() {
    type Change = fn(&mut Life);
    let order: &[(Change, &str, &str)] = &[
        (|l| l.now = at(40 * 24 * 3600), "Deadline", "NotIssuedInTime"),
        (|l| l.policy = None, "Policy", "PolicyNotFound"),
        (|l| l.policy.as_mut().unwrap().spec.issuance = None, "Policy", "NoIssuance"),
        (|l| l.guard = Guard::Broken("gone".into()), "Admission", "AdmissionMissing"),
        (|l| l.edit_policy("{suspend: true}"), "Stop", "Suspended"),
        (|l| l.stop = Stop::On, "Stop", "Stopped"),
        (|l| l.namespace = None, "Namespace", "NamespaceUnknown"),
        (
            |l| l.namespace.as_mut().unwrap().metadata.deletion_timestamp = Some(Time(at(0))),
            "Namespace",
            "NamespaceTerminating",
        ),
        (|l| l.edit_policy("{namespaces: {names: [b]}}"), "Namespace", "NamespaceNotAllowed"),
        (|l| l.edit_policy("{reason: {}}"), "Reason", "ReasonNotAccepted"),
        (|l| l.edit_spec("{lifetime: 9h}"), "Lifetime", "LifetimeNotAllowed"),
        (|l| l.edit_policy("{requireOneTimeUse: true}"), "Lifetime", "OneTimeUseRequired"),
        (|l| l.edit_spec("{recipients: [age1x]}"), "Delivery", "RecipientInvalid"),
        (|l| l.edit_spec("{onExistingPass: Replace}"), "Replacement", "ReplaceNotAllowed"),
        (|l| l.connection = None, "Tenant", "TenantNotConfigured"),
        (
            |l| l.edit_spec(&format!("{{startTime: '{}'}}", at(31 * 24 * 3600))),
            "Start",
            "StartsLater",
        ),
        (|l| l.edit_policy("{users: {domains: [b.com]}}"), "PolicyUsers", "UserNotAllowed"),
        (|l| l.method.as_mut().unwrap().state = MethodState::Disabled, "Method", "MethodDisabled"),
        (
            |l| l.method.as_mut().unwrap().minimum_lifetime_minutes = Some(90),
            "Method",
            "LifetimeOutOfRange",
        ),
        (
            |l| {
                l.method.as_mut().unwrap().one_time_required = Some(true);
                l.edit_policy("{requireOneTimeUse: false}");
                l.edit_spec("{oneTimeUse: false}");
            },
            "Method",
            "OneTimeUseRequired",
        ),
        (
            |l| {
                let user = l.user.as_mut().unwrap();
                user.user_type = Some("Guest".into());
                user.external_user_state = Some("Accepted".into());
            },
            "User",
            "ExternalGuest",
        ),
        (|l| l.user.as_mut().unwrap().is_management_restricted = true, "User", "UserRestricted"),
        (|l| l.edit_spec("{requestedBy: alice@contoso.com}"), "NotForSelf", "SelfService"),
        (|l| l.resolved_as("somebody-else"), "Resolved", "ResolvedChanged"),
        (
            |l| {
                l.edit_policy("{directoryRoleHolders: Deny}");
                l.roles =
                    vec![DirectoryRole { id: "r".into(), display_name: None, template_id: None }];
            },
            "DirectoryRoles",
            "DirectoryRoleHolder",
        ),
        (|l| l.edit_policy("{approval: {required: 1}}"), "Approval", "AwaitingApproval"),
        // Time may heal these, so they decide only after people were asked.
        (|l| l.user.as_mut().unwrap().account_enabled = Some(false), "Approval", "UserDisabled"),
        (
            |l| l.edit_policy("{users: {groups: [{group: 22222222-0000-4000-8000-000000000001}]}}"),
            "Approval",
            "UserNotAllowed",
        ),
        (|l| l.method.as_mut().unwrap().include.clear(), "Approval", "UserNotInScope"),
        // No check of its own in the status: the phase says it.
        (|l| l.edit_spec(&format!("{{startTime: '{}'}}", at(7200))), "Approval", "Scheduled"),
        (|l| l.fill_the_quota(1), "Quota", "QuotaReached"),
        // Then everything admits the pass.
        (|l| l.beside(unresolved("first")), "OtherPasses", "AnotherRequest"),
        (|l| l.secret = SecretFound::Foreign, "Secret", "SecretNameTaken"),
        (|l| l.passes = Ok(vec![pass("x", at(0), 60, true)]), "OtherPasses", "ExistingPass"),
    ];
    for (number, (_, check, reason)) in order.iter().enumerate() {
        let mut life = Life::new();
        life.edit_spec("{requestedBy: rita@contoso.com}");
        for (change, _, _) in order[number..].iter().rev() {
            change(&mut life);
        }
        life.reconcile();
        assert_eq!(life.reason(), *reason, "before {:?}", order.get(number + 1).map(|o| o.2));
        let checks = &life.request.status.as_ref().unwrap().checks;
        assert_eq!(checks.last().unwrap().name, *check, "{reason}");
        let earlier = &checks[..checks.len() - 1];
        let heals = ["User", "PolicyUsers", "MethodTargets", "Quota"];
        let passed = |c: &Check| c.result == CheckResult::Passed || heals.contains(&&*c.name);
        assert!(earlier.iter().all(passed), "{reason}: {earlier:?}");
        assert!(!life.done.contains(&"intent".to_owned()), "{reason}");
    }
}
