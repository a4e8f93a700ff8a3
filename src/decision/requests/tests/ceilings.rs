//! The ceilings above all policies.

use super::*;

#[test]
fn no_policy_lifts_a_ceiling() {
    type Change = fn(&mut Life);
    let nothing: Change = |_| {};
    let excluded = "91aa0000-0000-4000-8000-000000000103";
    let cases: &[(&str, Change, &str)] = &[
        (
            "{excludeUsers: [11111111-0000-4000-8000-000000000001]}",
            |life| life.user.as_mut().unwrap().id = USER_ID.to_uppercase(),
            "excludeUsers",
        ),
        (
            "{excludeGroups: [91aa0000-0000-4000-8000-000000000103]}",
            |life| life.groups = vec!["91aa0000-0000-4000-8000-000000000103".into()],
            "excludeGroups",
        ),
        ("{domains: [fabrikam.com]}", nothing, "domains"),
        ("{domains: []}", nothing, "domains"),
        ("{namespaces: [other]}", nothing, "namespaces"),
        ("{lifetime: 59m}", nothing, "lifetime"),
        ("{delivery: Sealed}", nothing, "delivery"),
        (
            "{replaceExistingPass: Forbidden}",
            |life| {
                life.edit_policy("{replaceExistingPass: Allowed}");
                life.edit_spec("{onExistingPass: Replace}");
            },
            "replaceExistingPass",
        ),
        (
            "{directoryRoleHolders: Deny}",
            |life| life.roles = vec![global_administrator()],
            "directoryRoleHolders",
        ),
        (
            "{directoryRoleHolders: Deny}",
            |life| life.eligibility = Ok(could_activate()),
            "directoryRoleHolders",
        ),
    ];
    for (ceilings, change, field) in cases {
        let mut life = Life::new();
        change(&mut life);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::Active, "without the ceiling {ceilings}");

        let mut life = Life::new();
        change(&mut life);
        life.set_ceilings(ceilings);
        life.reconcile();
        life.expect(Phase::Failed, "CeilingExceeded", &["status Failed"]);
        let message = &life.ready().message;
        assert!(
            message.ends_with(&format!("(ceilings.{field} of the operator's configuration)")),
            "{message}"
        );
    }
    let mut life = Life::new();
    life.set_ceilings(&format!(
        "{{excludeGroups: [{excluded}], domains: [contoso.com], namespaces: [helpdesk], lifetime: 1h, \
         directoryRoleHolders: Deny, replaceExistingPass: Forbidden}}"
    ));
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active, "within all of them");
    let checks = life.request.status.clone().unwrap().checks;
    assert!(checks.iter().any(|check| check.name == "Ceilings"));
}

#[test]
fn a_ceiling_asks_for_more_approvals_than_the_policy() {
    for (ceilings, role, needed) in [
        ("{approvals: 1}", false, 1),
        ("{approvals: 1}", true, 1),
        ("{directoryRoleHolderApprovals: 2}", false, 0),
        ("{directoryRoleHolderApprovals: 2}", true, 2),
        ("{approvals: 3, directoryRoleHolderApprovals: 2}", true, 3),
    ] {
        let mut life = Life::new();
        life.set_ceilings(ceilings);
        life.roles = if role { vec![global_administrator()] } else { vec![] };
        life.reconcile();
        let expected = if needed == 0 { Phase::Active } else { Phase::AwaitingApproval };
        assert_eq!(life.request.phase(), expected, "{ceilings}, role: {role}");
        for number in 0..needed {
            assert_eq!(life.request.phase(), Phase::AwaitingApproval, "{ceilings}, role: {role}");
            life.decide(&format!("approver-{number}@contoso.com"), "Approve");
            life.reconcile();
        }
        assert_eq!(life.request.phase(), Phase::Active, "{ceilings}, role: {role}");
    }
}

fn global_administrator() -> DirectoryRole {
    DirectoryRole {
        id: "r".into(),
        template_id: None,
        display_name: Some("Global Administrator".into()),
    }
}

fn could_activate() -> Eligibility {
    Eligibility::Of(EligibleRole { definition_id: None, through_group: None })
}
