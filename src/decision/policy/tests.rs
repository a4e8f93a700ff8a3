//! What a policy's status says beside the state of the tenant: what the app may do, and what cannot be checked. When a
//! correction is made again.

mod writing;

use super::*;
use crate::api::{ObservedMethod, yaml};
use crate::graph::{Cloud, GraphTarget, MethodState, UserNameForm, UserNames};

const ISSUES: &str = "{tenant: default, issuance: {users: {domains: [contoso.com]}}}";
const FITTING: [&str; 4] = [
    "UserAuthMethod-TAP.ReadWrite.All",
    "Policy.Read.AuthenticationMethod",
    "User.Read.All",
    "RoleEligibilitySchedule.Read.Directory",
];

/// A policy, its connection, and what a pass over it finds.
struct Pass {
    policy: TapPolicy,
    connection: Connection,
    enforced: bool,
    now: Timestamp,
    correction: Option<Correction>,
    rivals: Vec<String>,
    stop: Stop,
    reads: PolicyReads,
}

impl Pass {
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
        let users = UserNames { prefix: String::new(), form: UserNameForm::UserPrincipalName };
        Self {
            policy: TapPolicy::new("contoso", yaml::read(spec).unwrap()),
            connection: Connection {
                name: "default".into(),
                tenant_id: "tenant".into(),
                client_id: "the-app".into(),
                cloud: Cloud::Global,
                users: Some(users),
            },
            enforced: false,
            now: Timestamp::UNIX_EPOCH,
            correction: None,
            rivals: Vec::new(),
            stop: Stop::Off,
            reads: PolicyReads {
                permissions: Some(Ok(held.iter().map(ToString::to_string).collect())),
                method: Some(Ok(method)),
                ..PolicyReads::default()
            },
        }
    }

    fn next(&self) -> PolicyStep {
        next(&PolicySituation {
            policy: &self.policy,
            now: self.now,
            connection: Some(&self.connection),
            rivals: &self.rivals,
            enforced: self.enforced,
            stop: self.stop,
            settle: SignedDuration::from_secs(150),
            correction: self.correction.as_ref(),
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
fn permissions_are_read_also_where_the_tenant_refuses() {
    let mut pass = Pass::new(ISSUES, &[]);
    (pass.reads.permissions, pass.reads.method) = (None, None);
    assert_eq!(pass.next(), PolicyStep::ReadMethod);
    pass.reads.method = Some(Err(refused()));
    assert_eq!(pass.next(), PolicyStep::ReadPermissions);
}

#[test]
fn what_fits_is_said_once_and_not_written_again() {
    let mut pass = Pass::new(ISSUES, &FITTING);
    assert_eq!(pass.words("Permissions").unwrap(), "True PermissionsGranted");
    assert_eq!(pass.words("ChecksComplete").unwrap(), "True AllChecksPossible");
    let PolicyStep::WriteStatus(status) = pass.next() else { panic!("no status") };
    pass.policy.status = Some(*status);
    assert!(matches!(pass.next(), PolicyStep::Rest(_)), "it is written again");
}

#[test]
fn what_is_missing_or_too_much_leaves_ready_alone() {
    let mut pass = Pass::new(ISSUES, &["Policy.Read.AuthenticationMethod", "User.Read.All"]);
    let (words, message) = pass.says("Permissions").unwrap();
    assert_eq!(words, "False PermissionMissing");
    assert!(message.contains("UserAuthMethod-TAP.ReadWrite.All ["), "{message}");
    assert_eq!(pass.words("Ready").unwrap(), "True NothingManaged");

    let too_much = [&FITTING[..], &["Directory.ReadWrite.All"]].concat();
    pass = Pass::new(ISSUES, &too_much);
    let (words, message) = pass.says("Permissions").unwrap();
    assert_eq!(words, "True PermissionExcessive");
    assert!(message.contains("Directory.ReadWrite.All (User.Read.All"), "{message}");
    assert_eq!(pass.words("Ready").unwrap(), "True NothingManaged");
    assert_eq!(pass.words("Stalled"), None);
}

#[test]
fn the_groups_of_the_tenants_method_count_also_while_it_cannot_be_read() {
    let mut pass = Pass::new(ISSUES, &FITTING);
    let Some(Ok(method)) = &mut pass.reads.method else { unreachable!() };
    method.exclude = vec![GraphTarget {
        id: "91aa0000-0000-4000-8000-000000000103".into(),
        target_type: "group".into(),
        is_registration_required: None,
    }];
    let (words, message) = pass.says("Permissions").unwrap();
    assert_eq!(words, "False PermissionMissing");
    assert!(message.contains("GroupMember.Read.All ["), "{message}");

    let PolicyStep::WriteStatus(status) = pass.next() else { panic!("no status") };
    pass.policy.status = Some(*status);
    pass.reads.method = Some(Err(refused()));
    assert_eq!(pass.words("Permissions").unwrap(), "False PermissionMissing");
    assert_eq!(pass.words("Ready").unwrap(), "False PermissionMissing");
}

#[test]
fn what_another_policy_enforces_through_the_same_app_is_not_too_much() {
    let held = [&FITTING[..], &["Policy.ReadWrite.AuthenticationMethod"]].concat();
    let mut pass = Pass::new(ISSUES, &held);
    assert_eq!(pass.words("Permissions").unwrap(), "True PermissionExcessive");
    pass.enforced = true;
    assert_eq!(pass.words("Permissions").unwrap(), "True PermissionsGranted");
}

#[test]
fn permissions_that_cannot_be_read_are_unknown() {
    let mut pass = Pass::new(ISSUES, &[]);
    pass.reads.permissions = Some(Err(refused()));
    assert_eq!(pass.words("Permissions").unwrap(), "Unknown PermissionsUnknown");
    // Nothing is known of the roles that users could activate, so nothing is said about them.
    assert_eq!(pass.words("ChecksComplete").unwrap(), "True AllChecksPossible");
}

#[test]
fn what_cannot_be_checked_is_told_where_passes_are_issued() {
    let mut pass = Pass::new(ISSUES, &FITTING[..3]);
    let (words, message) = pass.says("ChecksComplete").unwrap();
    assert_eq!(words, "False EligibleRolesNotSeen");
    assert!(message.contains("RoleEligibilitySchedule.Read.Directory ["), "{message}");

    pass.connection.users = None;
    let (words, message) = pass.says("ChecksComplete").unwrap();
    assert_eq!(words, "False UserNamesNotMapped");
    for word in ["\"default\"", "TAP_OPERATOR_USER_NAME", "RoleEligibilitySchedule"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert_eq!(pass.words("Ready").unwrap(), "True NothingManaged");

    let allowed = "{tenant: default, issuance: {directoryRoleHolders: Allow}}";
    assert_eq!(
        Pass::new(allowed, &FITTING[..3]).words("ChecksComplete").unwrap(),
        "True AllChecksPossible"
    );
    let observing = Pass::new("{tenant: default, method: {codeLength: 8}}", &FITTING[..3]);
    assert_eq!(observing.words("ChecksComplete"), None);
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

#[test]
fn the_groups_of_who_may_get_a_pass_are_named_beside_those_of_the_method() {
    let policy: TapPolicy = yaml::read(
        "{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {name: a}, spec: {tenant: default, \
         method: {include: [{group: A, displayName: Pilot}, {group: b}], exclude: [{group: c, displayName: C}]}, \
         issuance: {users: {groups: [{group: a, displayName: Pilot}, {group: d, displayName: Staff}], \
         excludeGroups: [{group: e, displayName: Break glass}]}}}}",
    )
    .unwrap();
    let named = named_groups(&policy);
    let named: Vec<_> = named.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    assert_eq!(named, [("a", "Pilot"), ("c", "C"), ("d", "Staff"), ("e", "Break glass")]);
    let found = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
    let found = [found("d", Some("All staff")), found("e", None), found("a", Some("Pilot"))];
    let drift: Vec<_> = renamed(&named_groups(&policy), &found)
        .into_iter()
        .map(|d| (d.field, d.observed))
        .collect();
    let field = |id: &str, observed: &str| (format!("displayName of {id}"), observed.to_owned());
    assert_eq!(drift, [field("d", "All staff"), field("e", "no such group")]);
}

#[test]
fn a_correction_that_does_not_show_yet_is_waited_for_before_it_is_told_and_made_again() {
    let spec = "{tenant: default, enforcement: Enforce, method: {codeLength: 20}}";
    let mut pass = Pass::new(spec, &FITTING);
    pass.policy.status = Some(TapPolicyStatus {
        adopted: Some(ObservedMethod::default()),
        ..TapPolicyStatus::default()
    });
    let PolicyStep::Correct(difference) = pass.next() else { panic!("{:?}", pass.next()) };
    let at = pass.now;
    pass.correction =
        Some(Correction { generation: None, patch: difference.patch.clone(), at, refused: false });
    for (seconds, reason) in
        [(0, "Drifted"), (149, "Drifted"), (150, "NotTaken"), (749, "NotTaken")]
    {
        pass.now = at + SignedDuration::from_secs(seconds);
        let (ready, _) = pass.says("Ready").expect("a condition");
        assert_eq!(ready, format!("False {reason}"), "{seconds}");
        assert_eq!(pass.says("Reconciling").is_some(), reason == "Drifted", "{seconds}");
    }
    pass.now = at + SignedDuration::from_secs(750);
    assert!(matches!(pass.next(), PolicyStep::Correct(_)));

    // Another difference is corrected at once, and so is that of another generation.
    pass.now = at;
    let other = MethodPatch { default_length: Some(9), ..MethodPatch::default() };
    for (generation, patch) in [(None, other), (Some(7), difference.patch)] {
        pass.correction = Some(Correction { generation, patch, at, refused: false });
        assert!(matches!(pass.next(), PolicyStep::Correct(_)), "{generation:?}");
    }
}
