//! The conditions Permissions and `ChecksComplete`, the display names of groups, and when a correction is sent again.

mod issuing;
mod usable;
mod writing;

use std::sync::Arc;

use super::*;
use crate::api::{ObservedMethod, yaml};
use crate::decision::situation::Stop;
use crate::entra::{
    Cloud, ErrorKind, GraphTarget, Group, MethodState, UserNameForm, UserNameRule, UserNames,
};

const ISSUES: &str = "{tenant: default, issuance: {namespaces: {names: [helpdesk]}, users: {domains: [contoso.com]}}}";
const FITTING: [&str; 6] = [
    "UserAuthMethod-TAP.ReadWrite.All",
    "Policy.Read.AuthenticationMethod",
    "User.Read.All",
    "GroupMember.Read.All",
    "RoleManagement.Read.Directory",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
];

/// A policy, its connection, and what a reconcile of it finds.
struct Reconcile {
    policy: TapPolicy,
    connection: Connection,
    uses: Uses,
    now: Timestamp,
    correction: Option<Correction>,
    rivals: Vec<String>,
    stop: StopOrder,
    what_if_offered: bool,
    logs_refused: Option<String>,
    reads: PolicyReads,
}

impl Reconcile {
    fn new(spec: &str, held: &[&str]) -> Self {
        let everybody = GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        };
        let method = MethodConfiguration {
            state: MethodState::Enabled,
            default_lifetime_minutes: Some(60),
            minimum_lifetime_minutes: Some(60),
            maximum_lifetime_minutes: Some(480),
            default_length: Some(8),
            one_time_required: Some(false),
            include: vec![everybody],
            exclude: vec![],
        };
        let form = UserNameForm::UserPrincipalName;
        let users = UserNames::new([UserNameRule { prefix: String::new(), form }]);
        Self {
            policy: TapPolicy::new("contoso", yaml::read(spec).unwrap()),
            connection: Connection {
                name: "default".into(),
                tenant_id: "tenant".into(),
                client_id: "the-app".into(),
                cloud: Cloud::Global,
                users: Some(users),
                ceilings: Arc::default(),
            },
            uses: Uses::default(),
            now: Timestamp::UNIX_EPOCH,
            correction: None,
            rivals: Vec::new(),
            stop: StopOrder::OFF,
            what_if_offered: true,
            logs_refused: None,
            reads: PolicyReads {
                permissions: Some(Ok(held.iter().map(ToString::to_string).collect())),
                method: Some(Ok(method)),
                access_policies: Some(Ok([].into())),
                strengths: Some(Ok(Vec::new())),
                ..PolicyReads::default()
            },
        }
    }

    fn next(&self) -> PolicyStep {
        let terms = self.policy.spec.issuance.as_ref().map(Terms::of);
        next(&PolicySituation {
            policy: &self.policy,
            terms: terms.as_ref(),
            now: self.now,
            connection: Some(&self.connection),
            rivals: &self.rivals,
            uses: self.uses,
            stop: &self.stop,
            settle: SignedDuration::from_secs(150),
            correction: self.correction.as_ref(),
            sign_ins_given: true,
            logs_refused: self.logs_refused.as_deref(),
            what_if_offered: self.what_if_offered,
            reads: &self.reads,
        })
    }

    /// Status and reason of a condition, and its message.
    fn says(&self, type_: &str) -> Option<(String, String)> {
        let PolicyStep::WriteStatus(status) = self.next() else { panic!("no status") };
        let found = status.conditions.into_iter().find(|c| c.type_ == type_)?;
        Some((format!("{} {}", found.status, found.reason), found.message))
    }

    fn words(&self, type_: &str) -> Option<String> {
        Some(self.says(type_)?.0)
    }
}

#[test]
fn permissions_are_read_even_if_the_tenant_refuses() {
    let mut reconcile = Reconcile::new(ISSUES, &[]);
    (reconcile.reads.permissions, reconcile.reads.method) = (None, None);
    assert_eq!(reconcile.next(), PolicyStep::Ask(PolicyQuestion::Method));
    reconcile.reads.method = Some(Err(refused()));
    assert_eq!(reconcile.next(), PolicyStep::Ask(PolicyQuestion::Permissions));
}

#[test]
fn a_status_that_does_not_change_is_not_written_again() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING);
    assert_eq!(reconcile.words("Permissions").unwrap(), "True PermissionsGranted");
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    let PolicyStep::WriteStatus(status) = reconcile.next() else { panic!("no status") };
    reconcile.policy.status = Some(*status);
    assert!(matches!(reconcile.next(), PolicyStep::Rest(_)), "it is written again");
}

#[test]
fn missing_and_excessive_permissions_do_not_change_ready() {
    let mut reconcile =
        Reconcile::new(ISSUES, &["Policy.Read.AuthenticationMethod", "User.Read.All"]);
    let (words, message) = reconcile.says("Permissions").unwrap();
    assert_eq!(words, "False PermissionMissing");
    assert!(message.contains("UserAuthMethod-TAP.ReadWrite.All ["), "{message}");
    assert_eq!(reconcile.words("Ready").unwrap(), "True AdmitsRequests");

    let too_much = [&FITTING[..], &["Directory.ReadWrite.All"]].concat();
    reconcile = Reconcile::new(ISSUES, &too_much);
    let (words, message) = reconcile.says("Permissions").unwrap();
    assert_eq!(words, "True PermissionExcessive");
    assert!(message.contains("Directory.ReadWrite.All (User.Read.All"), "{message}");
    assert_eq!(reconcile.words("Ready").unwrap(), "True AdmitsRequests");
    assert_eq!(reconcile.words("Stalled"), None);
}

#[test]
fn the_groups_of_the_tenants_method_count_even_while_it_cannot_be_read() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING[..3]);
    let Some(Ok(method)) = &mut reconcile.reads.method else { unreachable!() };
    method.exclude = vec![GraphTarget {
        id: "91aa0000-0000-4000-8000-000000000103".into(),
        target_type: "group".into(),
        is_registration_required: None,
    }];
    reconcile.reads.groups = Some(Err(refused()));
    let (words, message) = reconcile.says("Permissions").unwrap();
    assert_eq!(words, "False PermissionMissing");
    assert!(message.contains("GroupMember.Read.All ["), "{message}");

    let PolicyStep::WriteStatus(status) = reconcile.next() else { panic!("no status") };
    reconcile.policy.status = Some(*status);
    reconcile.reads.method = Some(Err(refused()));
    assert_eq!(reconcile.words("Permissions").unwrap(), "False PermissionMissing");
    assert_eq!(reconcile.words("Ready").unwrap(), "False PermissionMissing");
}

#[test]
fn the_permission_to_write_is_not_excessive_if_another_policy_enforces_through_the_same_app() {
    let held = [&FITTING[..], &["Policy.ReadWrite.AuthenticationMethod"]].concat();
    let mut reconcile = Reconcile::new(ISSUES, &held);
    assert_eq!(reconcile.words("Permissions").unwrap(), "True PermissionExcessive");
    reconcile.uses.corrects = true;
    assert_eq!(reconcile.words("Permissions").unwrap(), "True PermissionsGranted");
}

#[test]
fn permissions_that_cannot_be_read_are_unknown() {
    let mut reconcile = Reconcile::new(ISSUES, &[]);
    reconcile.reads.permissions = Some(Err(refused()));
    assert_eq!(reconcile.words("Permissions").unwrap(), "Unknown PermissionsUnknown");
    // Whether the app may see the roles that users could activate is not known either.
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "Unknown PermissionsUnknown");
    assert!(message.contains("the permissions of the app cannot be read"), "{message}");
}

#[test]
fn checks_are_not_called_complete_by_what_could_not_be_read() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING);
    reconcile.reads.groups = Some(Err(refused()));
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "Unknown PermissionMissing");
    assert!(message.contains("the groups on which they depend cannot be read"), "{message}");
    reconcile.reads.groups = Some(Ok(Vec::new()));
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    reconcile.reads.method = Some(Err(refused()));
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "Unknown PermissionMissing");
    assert!(message.contains("the tenant's method cannot be read"), "{message}");
    // A gap that is known is told in any case.
    reconcile.connection.users = None;
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "False UserNamesNotMapped");
}

#[test]
fn checks_that_cannot_be_made_are_reported_by_policies_that_issue() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING[..4]);
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "False ScopedRolesNotSeen");
    for word in [
        "scoped to a part",
        "grant RoleManagement.Read.Directory [",
        "users could activate",
        "RoleEligibilitySchedule.Read.Directory [",
        "membership of a group",
        "PrivilegedEligibilitySchedule.Read.AzureADGroup [",
        "nobody is refused for that",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    for (held, words) in [
        (&FITTING[..5], "False EligibleMembersNotSeen"),
        (&[&FITTING[..3], &FITTING[4..]].concat()[..], "False ScopedRolesNotSeen"),
        (&FITTING, "True AllChecksPossible"),
    ] {
        assert_eq!(Reconcile::new(ISSUES, held).words("ChecksComplete").unwrap(), words);
    }

    reconcile.connection.users = None;
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "False UserNamesNotMapped");
    for word in ["\"default\"", "TAP_OPERATOR_USER_NAME", "RoleEligibilitySchedule"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert_eq!(reconcile.words("Ready").unwrap(), "True AdmitsRequests");

    let required = "{tenant: default, issuance: {completeChecks: Required}}";
    let (_, message) = Reconcile::new(required, &FITTING[..4]).says("ChecksComplete").unwrap();
    let waits = "requests wait, because the policy or a ceiling demands complete checks";
    assert!(message.ends_with(waits), "{message}");

    let mut by_ceiling = Reconcile::new(ISSUES, &FITTING[..4]);
    by_ceiling.connection.ceilings = Arc::new(yaml::read("{completeChecks: Required}").unwrap());
    let (_, message) = by_ceiling.says("ChecksComplete").unwrap();
    assert!(message.ends_with(waits), "{message}");

    let allowed = "{tenant: default, issuance: {directoryRoleHolders: Allow}}";
    let mut allowed = Reconcile::new(allowed, &FITTING[..4]);
    assert_eq!(allowed.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    allowed.connection.ceilings =
        Arc::new(yaml::read("{directoryRoleHolderApprovals: 2}").unwrap());
    assert_eq!(allowed.words("ChecksComplete").unwrap(), "False ScopedRolesNotSeen");
    let observing = Reconcile::new("{tenant: default, method: {codeLength: 8}}", &FITTING[..3]);
    assert_eq!(observing.words("ChecksComplete"), None);
}

#[test]
fn people_who_are_not_mapped_are_told_of_where_the_policy_admits_them() {
    let allows =
        "{tenant: default, issuance: {unmappedPeople: Allow, directoryRoleHolders: Allow}}";
    let mut reconcile = Reconcile::new(allows, &FITTING);
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "False UnmappedPeopleAllowed");
    reconcile.connection.ceilings = Arc::new(yaml::read("{unmappedPeople: Deny}").unwrap());
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    assert_eq!(reconcile.words("WithinCeilings").unwrap(), "False CeilingExceeded");
}

#[test]
fn a_policy_that_asks_for_more_than_the_ceilings_is_told_so() {
    let mut reconcile = Reconcile::new(ISSUES, &FITTING);
    assert_eq!(reconcile.words("WithinCeilings"), None);
    let ceilings = "{domains: [contoso.com], namespaces: [helpdesk], lifetime: 2h, approvals: 1, delivery: Sealed, \
                    directoryRoleHolders: Deny, replaceExistingPass: Forbidden, unmappedPeople: Deny}";
    reconcile.connection.ceilings = Arc::new(yaml::read(ceilings).unwrap());
    for (issuance, field) in [
        ("{users: {domains: [Contoso.com]}, namespaces: {names: [helpdesk]}}", None),
        (
            "{users: {domains: [contoso.com, fabrikam.com]}}",
            Some("users.domains (the ceiling is contoso.com)"),
        ),
        (
            "{namespaces: {names: [helpdesk, dev]}}",
            Some("namespaces.names (the ceiling is helpdesk)"),
        ),
        ("{lifetime: {maximum: 3h}}", Some("lifetime.maximum (the ceiling is 2h)")),
        ("{approval: {required: 0}}", Some("approval.required (the ceiling is at least 1)")),
        ("{directoryRoleHolders: Allow}", Some("directoryRoleHolders (the ceiling is Deny)")),
        ("{delivery: Any}", Some("delivery (the ceiling is Sealed)")),
        ("{replaceExistingPass: Allowed}", Some("replaceExistingPass (the ceiling is Forbidden)")),
        ("{unmappedPeople: Allow}", Some("unmappedPeople (the ceiling is Deny)")),
    ] {
        let sealed = if field.is_some_and(|field| field.contains("Sealed")) {
            ""
        } else {
            "delivery: Sealed, "
        };
        let spec =
            issuance.replacen('{', &format!("{{tenant: default, issuance: {{{sealed}"), 1) + "}";
        reconcile.policy.spec = yaml::read(&spec).unwrap();
        let (words, message) = reconcile.says("WithinCeilings").unwrap();
        match field {
            None => assert_eq!(words, "True WithinCeilings"),
            Some(field) => {
                assert_eq!(words, "False CeilingExceeded", "{issuance}");
                assert!(message.ends_with(&format!("apply: issuance.{field}")), "{message}");
            }
        }
    }
    reconcile.policy.spec = yaml::read("{tenant: default, method: {codeLength: 14}}").unwrap();
    assert_eq!(reconcile.words("WithinCeilings"), None);
}

fn refused() -> GraphError {
    GraphError {
        call: "read the tenant's TAP method",
        kind: ErrorKind::Forbidden,
        status: Some(403),
        code: "accessDenied".into(),
        message: "Request Authorization failed".into(),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

fn group(id: &str, name: &str) -> Group {
    Group { id: id.into(), display_name: name.into(), hides_members: false }
}

#[test]
fn the_groups_on_which_passes_depend_are_read() {
    let spec = "{tenant: default, method: {include: [{group: named, displayName: Named}, {group: left-out}]}, issuance: \
                {users: {groups: [{group: Admits}], excludeGroups: [{group: excludes}]}}}";
    let mut reconcile = Reconcile::new(spec, &FITTING);
    reconcile.connection.ceilings = Arc::new(yaml::read("{excludeGroups: [ceiling]}").unwrap());
    let target = |id: &str| GraphTarget {
        id: id.into(),
        target_type: "group".into(),
        is_registration_required: None,
    };
    if let Some(Ok(method)) = &mut reconcile.reads.method {
        method.exclude = vec![target("Live")];
    }
    let ids = ["admits", "ceiling", "excludes", "live", "named"].map(str::to_owned).to_vec();
    assert_eq!(reconcile.next(), PolicyStep::Ask(PolicyQuestion::Groups(ids)));
    reconcile.policy.spec.issuance = None;
    assert_eq!(reconcile.next(), PolicyStep::Ask(PolicyQuestion::Groups(vec!["named".into()])));
}

#[test]
fn an_exclusion_of_a_group_that_is_gone_makes_the_policy_not_ready() {
    let spec = "{tenant: default, issuance: {namespaces: {names: [helpdesk]}, users: {groups: [{group: gone-too}, {group: a}], excludeGroups: [{group: Pilots}]}}}";
    let mut reconcile = Reconcile::new(spec, &FITTING);
    reconcile.reads.groups = Some(Ok(vec![group("pilots", "Pilots"), group("a", "A")]));
    assert_eq!(reconcile.words("Ready").unwrap(), "True AdmitsRequests");
    assert_eq!(reconcile.words("Stalled"), None);
    reconcile.reads.groups = Some(Ok(vec![group("a", "A")]));
    let (words, message) = reconcile.says("Ready").unwrap();
    assert_eq!(words, "False GroupNotFound");
    assert!(message.ends_with(": pilots"), "{message}");
    assert_eq!(reconcile.words("Stalled").unwrap(), "True GroupNotFound");
    reconcile.connection.ceilings = Arc::new(yaml::read("{excludeGroups: [staff]}").unwrap());
    reconcile.reads.groups = Some(Ok(vec![group("pilots", "Pilots"), group("a", "A")]));
    assert!(reconcile.says("Ready").unwrap().1.ends_with(": staff"));
    // A failed read is not absence.
    reconcile.reads.groups = Some(Err(refused()));
    assert_eq!(reconcile.words("Ready").unwrap(), "True AdmitsRequests");
}

#[test]
fn groups_that_hide_their_members_are_told_of_unless_the_app_sees_them() {
    let spec = "{tenant: default, issuance: {users: {groups: [{group: a}]}}}";
    let mut reconcile = Reconcile::new(spec, &FITTING);
    reconcile.reads.groups = Some(Ok(vec![Group { hides_members: true, ..group("a", "Choir") }]));
    let (words, message) = reconcile.says("ChecksComplete").unwrap();
    assert_eq!(words, "False GroupHidden");
    assert!(message.contains("Choir (a)") && message.contains("Member.Read.Hidden ["), "{message}");
    let held = [&FITTING[..], &["Member.Read.Hidden"]].concat();
    reconcile.reads.permissions = Some(Ok(held.iter().map(ToString::to_string).collect()));
    assert_eq!(reconcile.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    assert_eq!(reconcile.words("Permissions").unwrap(), "True PermissionsGranted");
}

#[test]
fn display_names_are_compared_for_the_groups_of_users_and_of_the_method() {
    let policy: TapPolicy = yaml::read(
        "{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {name: a}, spec: {tenant: default, \
         method: {include: [{group: A, displayName: Pilot}, {group: b}], exclude: [{group: c, displayName: C}]}, \
         issuance: {users: {groups: [{group: a, displayName: Pilot}, {group: d, displayName: Staff}], \
         excludeGroups: [{group: e, displayName: Break glass}]}}}}",
    )
    .unwrap();
    let named = groups::of(&policy);
    let named: Vec<_> = named.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    assert_eq!(named, [("a", "Pilot"), ("c", "C"), ("d", "Staff"), ("e", "Break glass")]);
    let found = [group("d", "All staff"), group("a", "Pilot"), group("c", "C")];
    let drift: Vec<_> = groups::renamed(&groups::of(&policy), &found)
        .into_iter()
        .map(|d| (d.field, d.observed))
        .collect();
    let field = |id: &str, observed: &str| (format!("displayName of {id}"), observed.to_owned());
    assert_eq!(drift, [field("d", "All staff"), field("e", "no such group")]);
}

#[test]
fn a_correction_that_does_not_show_is_reported_after_the_settle_time_and_then_sent_again() {
    let spec = "{tenant: default, enforcement: Enforce, method: {codeLength: 20}}";
    let mut reconcile = Reconcile::new(spec, &FITTING);
    reconcile.policy.status = Some(TapPolicyStatus {
        adopted: Some(ObservedMethod::default()),
        ..TapPolicyStatus::default()
    });
    let PolicyStep::Correct { difference, .. } = reconcile.next() else {
        panic!("{:?}", reconcile.next())
    };
    let at = reconcile.now;
    reconcile.correction =
        Some(Correction { generation: None, patch: difference.patch.clone(), at, refused: false });
    for (seconds, reason) in
        [(0, "Drifted"), (149, "Drifted"), (150, "NotTaken"), (749, "NotTaken")]
    {
        reconcile.now = at + SignedDuration::from_secs(seconds);
        let (ready, _) = reconcile.says("Ready").expect("a condition");
        assert_eq!(ready, format!("False {reason}"), "{seconds}");
        assert_eq!(reconcile.says("Reconciling").is_some(), reason == "Drifted", "{seconds}");
    }
    reconcile.now = at + SignedDuration::from_secs(750);
    assert!(matches!(reconcile.next(), PolicyStep::Correct { .. }));

    // Another difference is corrected at once, and so is a difference from another generation.
    reconcile.now = at;
    let other = MethodPatch { default_length: Some(9), ..MethodPatch::default() };
    for (generation, patch) in [(None, other), (Some(7), difference.patch)] {
        reconcile.correction = Some(Correction { generation, patch, at, refused: false });
        assert!(matches!(reconcile.next(), PolicyStep::Correct { .. }), "{generation:?}");
    }
}
