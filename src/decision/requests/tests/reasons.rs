//! Reasons that need no walk through a life: what stands in the way, and what is said of it.

use super::*;

fn condition(life: &Life, type_: &str) -> Option<(String, String, String)> {
    let conditions = &life.request.status.as_ref()?.conditions;
    let found = conditions.iter().find(|c| c.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

/// The sentence that a person reads.
fn message(life: &Life) -> String {
    condition(life, "Ready").unwrap().2
}

// A table.
#[allow(clippy::too_many_lines)]
#[test]
fn what_stands_in_the_way_is_told_with_its_remedy() {
    type Change = fn(&mut Life);
    let cases: &[(Change, Phase, &str, &[&str])] = &[
        (
            |l| l.unreadable = Some("unknown variant `Maybe`"),
            Phase::Pending,
            "PolicyInvalid",
            &["contoso", "unknown variant `Maybe`"],
        ),
        (
            |l| {
                l.edit_policy("{reason: {pattern: '('}}");
                l.edit_spec("{reason: lost phone}");
            },
            Phase::Pending,
            "PolicyInvalid",
            &["issuance.reason.pattern", "correct the policy"],
        ),
        (
            |l| {
                l.edit_policy("{reason: {pattern: '^INC', hint: the ticket first}}");
                l.edit_spec("{reason: lost phone}");
            },
            Phase::Failed,
            "ReasonNotAccepted",
            &["does not match", "(the ticket first)"],
        ),
        (
            |l| l.edit_policy("{reason: {hint: the ticket}}"),
            Phase::Failed,
            "ReasonNotAccepted",
            &["requires a reason (the ticket)"],
        ),
        (
            |l| l.edit_policy("{approval: {required: 1, contact: '#helpdesk-leads'}}"),
            Phase::AwaitingApproval,
            "AwaitingApproval",
            &["verb approve on TapPolicy contoso", "whom to ask: #helpdesk-leads"],
        ),
        (
            |l| l.edit_policy("{lifetime: {maximum: soon}}"),
            Phase::Pending,
            "PolicyInvalid",
            &["issuance.lifetime", "correct the policy"],
        ),
        (
            |l| l.edit_spec("{lifetime: 1d}"),
            Phase::Failed,
            "InvalidSpec",
            &["spec.lifetime", "\"1d\"", "a day is 24h"],
        ),
        (
            |l| {
                l.user = Err(error(ErrorKind::NotFound));
                l.user_by_mail = Ok(Some("asmith@contoso.com".into()));
            },
            Phase::Pending,
            "UserNotFound",
            &["did you mean asmith@contoso.com, whose mail address this is?"],
        ),
        (
            |l| {
                l.user = Err(error(ErrorKind::NotFound));
                l.user_by_mail = Err(error(ErrorKind::Forbidden));
            },
            Phase::Pending,
            "UserNotFound",
            &["check the name"],
        ),
        (
            |l| l.namespace = None,
            Phase::Pending,
            "NamespaceUnknown",
            &["not seen namespace helpdesk yet"],
        ),
        (
            |l| {
                let namespace = l.namespace.as_mut().unwrap();
                namespace.metadata.deletion_timestamp = Some(Time(at(5)));
            },
            Phase::Pending,
            "NamespaceTerminating",
            &["namespace helpdesk", "is being deleted"],
        ),
        (
            |l| l.connection = None,
            Phase::Pending,
            "TenantNotConfigured",
            &["\"default\"", "configuration"],
        ),
        (
            |l| l.guard = Guard::Broken("gone".into()),
            Phase::Pending,
            "AdmissionMissing",
            &["kubectl apply -k deploy"],
        ),
        (
            |l| l.user.as_mut().unwrap().account_enabled = None,
            Phase::Pending,
            "PermissionMissing",
            &["User.Read.All"],
        ),
        (
            |l| l.user.as_mut().unwrap().user_type = None,
            Phase::Pending,
            "PermissionMissing",
            &["User.Read.All"],
        ),
        (
            |l| l.edit_policy("{delivery: Sealed}"),
            Phase::Failed,
            "RecipientsRequired",
            &["recipients"],
        ),
        (
            |l| l.edit_spec(&format!("{{startTime: '{}'}}", at(31 * 24 * 3600))),
            Phase::Pending,
            "StartsLater",
            &["30 days"],
        ),
        (
            |l| l.secret_refused = Some("exceeded quota: passes"),
            Phase::Pending,
            "SecretRefused",
            &["exceeded quota: passes"],
        ),
    ];
    for (change, phase, reason, words) in cases {
        let mut life = Life::new();
        change(&mut life);
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (*phase, *reason));
        for word in *words {
            assert!(message(&life).contains(word), "{reason}: no {word:?} in {:?}", message(&life));
        }
        let done = [format!("status {phase}")];
        assert_eq!(life.done, done, "{reason}: nothing but the status is written");
        life.reconcile();
        assert_eq!(life.done, done, "{reason}: quiet when nothing changes");
        assert_eq!(condition(&life, "Stalled").is_some(), *phase == Phase::Failed, "{reason}");
    }
}

/// What people were asked about is what is issued, or nothing.
#[test]
fn what_changed_after_people_were_asked_is_not_issued() {
    type Change = fn(&mut Life);
    let changes: &[(&str, Change)] = &[
        ("the user", |l| {
            l.user.as_mut().unwrap().id = "99999999-0000-4000-8000-000000000001".into();
        }),
        ("the tenant", |l| {
            let resolved = l.request.status.as_mut().unwrap().resolved.as_mut().unwrap();
            resolved.tenant_id = "another".into();
        }),
        ("one-time use", |l| {
            let resolved = l.request.status.as_mut().unwrap().resolved.as_mut().unwrap();
            resolved.one_time_use = false;
        }),
    ];
    for (what, change) in changes {
        let mut life = Life::new();
        life.edit_policy("{approval: {required: 1}, lifetime: {default: 1h}}");
        life.request.spec.lifetime = None;
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::AwaitingApproval);
        life.decide("paul", "Approve");
        change(&mut life);
        life.done.clear();
        life.reconcile();
        life.expect(Phase::Failed, "ResolvedChanged", &["status Failed"]);
        for words in [" was ", " and is ", "make another request"] {
            assert!(message(&life).contains(words), "{what}: {}", message(&life));
        }
    }

    // What the default was when people were asked is what they approved.
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}, lifetime: {default: 1h, maximum: 2h}}");
    life.request.spec.lifetime = None;
    life.reconcile();
    life.decide("paul", "Approve");
    life.edit_policy("{lifetime: {default: 2h}}");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active);
    let issued = Intent::of(&life.request).unwrap();
    assert_eq!(issued.lifetime_minutes, 60);

    // A new name for the same user is no other user.
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.reconcile();
    life.decide("paul", "Approve");
    life.user.as_mut().unwrap().user_principal_name = "alice.adams@contoso.com".into();
    life.reconcile();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
}

#[test]
fn where_nobody_is_asked_the_condition_says_so() {
    let mut life = Life::new();
    life.reconcile();
    let (status, reason, message) = condition(&life, "Approved").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "NoApprovalNeeded"));
    assert!(message.contains("no approval"), "{message}");
}

/// A new user may be there before the indexes of memberships and of authentication methods know of them.
#[test]
fn a_user_whom_graph_does_not_know_everywhere_is_waited_for() {
    type Change = fn(&mut Life, Result<(), GraphError>);
    let places: [Change; 3] = [
        |life, answer| {
            life.edit_policy("{directoryRoleHolders: Deny}");
            life.member_of = answer;
        },
        |life, answer| {
            life.edit_policy(
                "{users: {excludeGroups: [{group: 22222222-0000-4000-8000-000000000001}]}}",
            );
            life.member_of = answer;
        },
        |life, answer| life.passes = answer.map(|()| vec![]),
    ];
    for place in places {
        let mut life = Life::new();
        place(&mut life, Err(error(ErrorKind::NotFound)));
        for minute in [0, 9, 11, 60] {
            life.now = at(10 + 60 * minute);
            life.reconcile();
            assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "UserNotFound"));
            assert!(condition(&life, "Stalled").is_none(), "nobody has to act");
        }
        life.expect(Phase::Pending, "UserNotFound", &["status Pending"]);
        assert!(message(&life).contains("alice@contoso.com"), "{}", message(&life));
        place(&mut life, Ok(()));
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
    }
}
