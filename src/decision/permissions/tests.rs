use super::*;
use crate::api::yaml;

const ISSUES: &str =
    "{tenant: default, issuance: {users: {domains: [contoso.com]}, approval: {required: 0}}}";
const ENFORCES: &str = "{tenant: default, enforcement: Enforce, method: {codeLength: 14}}";

fn spec(text: &str) -> TapPolicySpec {
    yaml::read(text).unwrap()
}

fn held(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn missing(text: &str, names: &[&str]) -> Vec<&'static str> {
    let needs = needs(&spec(text), None);
    let found =
        compare(&needs, &held(names), Cloud::Global, Uses { corrects: true, ..Uses::default() });
    found.missing.into_keys().collect()
}

fn excessive(names: &[&str], cloud: Cloud, corrects: bool) -> Vec<String> {
    let uses = Uses { corrects, ..Uses::default() };
    compare(&BTreeSet::new(), &held(names), cloud, uses).excessive.into_keys().collect()
}

#[test]
fn each_policy_needs_what_it_does() {
    assert_eq!(
        missing(ISSUES, &[]),
        ["Policy.Read.AuthenticationMethod", "User.Read.All", "UserAuthMethod-TAP.ReadWrite.All"]
    );
    assert_eq!(missing(ENFORCES, &[]), ["Policy.ReadWrite.AuthenticationMethod"]);
    assert_eq!(
        missing("{tenant: default, method: {codeLength: 14}}", &[]),
        ["Policy.Read.AuthenticationMethod"]
    );
    assert_eq!(missing("{tenant: default}", &[]), ["Policy.Read.AuthenticationMethod"]);
    // A policy that only corrects needs no passes, and one that only issues need not write.
    assert!(missing(ENFORCES, &["Policy.ReadWrite.AuthenticationMethod"]).is_empty());
    let issuing =
        ["Policy.Read.AuthenticationMethod", "User.Read.All", "UserAuthMethod-TAP.ReadWrite.All"];
    assert!(missing(ISSUES, &issuing).is_empty());
    assert_eq!(
        missing(ENFORCES, &["Policy.Read.AuthenticationMethod"]),
        ["Policy.ReadWrite.AuthenticationMethod"]
    );
}

#[test]
fn groups_are_asked_about_only_where_they_are_named() {
    let with = |groups: &str| {
        needs(&spec(&format!("{{tenant: default, issuance: {{users: {groups}}}}}")), None)
            .contains(&Need::Members)
    };
    assert!(with("{groups: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
    assert!(with("{excludeGroups: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
    assert!(!with("{domains: [contoso.com], groups: []}"));

    // The groups of the tenant's method count, too.
    let method = |text: &str| yaml::read::<ObservedMethod>(text).unwrap();
    let live = |text: &str| needs(&spec(ISSUES), Some(&method(text))).contains(&Need::Members);
    assert!(!live("{include: [{allUsers: true}], exclude: []}"));
    assert!(live("{include: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"));
    assert!(live(
        "{include: [{allUsers: true}], exclude: [{group: 6c1f0000-0000-4000-8000-000000000101}]}"
    ));
    let observing = spec("{tenant: default, method: {codeLength: 14}}");
    let live = method("{include: [{group: 6c1f0000-0000-4000-8000-000000000101}]}");
    assert!(!needs(&observing, Some(&live)).contains(&Need::Members));
}

#[test]
fn the_names_of_groups_are_read_where_the_policy_gives_them() {
    let with = |group: &str| {
        needs(&spec(&format!("{{tenant: default, method: {{exclude: [{group}]}}}}")), None)
            .contains(&Need::GroupNames)
    };
    assert!(with("{group: 6c1f0000-0000-4000-8000-000000000101, displayName: Pilot}"));
    assert!(!with("{group: 6c1f0000-0000-4000-8000-000000000101}"));
}

#[test]
fn a_broader_permission_covers_a_narrower_need() {
    for (need, names) in [
        (
            Need::ReadMethod,
            &[
                "Policy.Read.AuthenticationMethod",
                "Policy.ReadWrite.AuthenticationMethod",
                "Policy.Read.All",
            ][..],
        ),
        (
            Need::Passes,
            &["UserAuthMethod-TAP.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"],
        ),
        (Need::Users, &["User.Read.All", "Directory.Read.All"]),
        (Need::Members, &["GroupMember.Read.All", "Group.Read.All"]),
        (Need::GroupNames, &["GroupMember.Read.All", "Group.ReadBasic.All"]),
        (Need::AccessPolicies, &["Policy.Read.All"]),
        (Need::WhatIf, &["Policy.Read.ConditionalAccess", "Policy.Read.All"]),
        (Need::Strengths, &["Policy.Read.AuthenticationMethod", "Policy.Read.All"]),
        (
            Need::EligibleRoles,
            &["RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory"],
        ),
    ] {
        for name in names {
            assert!(need.is_covered_by(&held(&[name])), "{need:?} by {name}");
        }
    }
    for (need, name) in [
        (Need::Passes, "UserAuthMethod-TAP.Read.All"),
        (Need::WriteMethod, "Policy.Read.All"),
        (Need::AccessPolicies, "Policy.Read.ConditionalAccess"),
        (Need::Strengths, "Policy.ReadWrite.AuthenticationMethod"),
        (Need::Members, "Group.ReadBasic.All"),
        (Need::Users, "User.ReadBasic.All"),
    ] {
        assert!(!need.is_covered_by(&held(&[name])), "{need:?} by {name}");
    }
}

#[test]
fn what_nothing_needs_is_too_much() {
    let global = |names: &[&str]| excessive(names, Cloud::Global, true);
    for name in [
        "UserAuthenticationMethod.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
        "Directory.ReadWrite.All",
        "Directory.Read.All",
        "User.ReadWrite.All",
        "Policy.ReadWrite.ConditionalAccess",
        "Group.Read.All",
        "AppRoleAssignment.ReadWrite.All",
        "Mail.ReadWrite",
    ] {
        assert_eq!(global(&[name]), [name]);
    }
    assert!(global(FITTING).is_empty());
    assert!(global(&["Policy.ReadWrite.AuthenticationMethod"]).is_empty());
    assert_eq!(
        excessive(&["Policy.ReadWrite.AuthenticationMethod"], Cloud::Global, false),
        ["Policy.ReadWrite.AuthenticationMethod"]
    );
}

#[test]
fn sign_in_methods_are_read_only_where_a_policy_asks_for_that() {
    let wants =
        "{tenant: default, issuance: {users: {domains: [c.com], onlyWithoutSignInMethods: true}}}";
    let name = "UserAuthenticationMethod.Read.All";
    assert!(missing(wants, &[]).contains(&name));
    assert!(!missing(ISSUES, &[]).contains(&name));
    let uses = Uses { reads_sign_in_methods: true, ..Uses::default() };
    let found = |uses| compare(&BTreeSet::new(), &held(&[name]), Cloud::Global, uses);
    assert!(found(uses).fit() && !found(Uses::default()).fit());
}

#[test]
fn where_the_narrow_permissions_may_not_exist_the_broad_ones_stand_in() {
    let broad = ["UserAuthenticationMethod.ReadWrite.All", "Policy.Read.All"];
    assert!(excessive(&broad, Cloud::UsGov, false).is_empty());
    let narrow = ["UserAuthMethod-TAP.ReadWrite.All", "Policy.Read.AuthenticationMethod"];
    assert_eq!(excessive(&[&broad[..], &narrow].concat(), Cloud::UsGovDod, false), [broad[0]]);
}

#[test]
fn the_sentence_names_the_app_the_permission_its_id_and_what_for() {
    let connection = Connection {
        name: "default".into(),
        tenant_id: "tenant".into(),
        client_id: "the-app".into(),
        cloud: Cloud::Global,
        users: None,
        ceilings: std::sync::Arc::default(),
    };
    let needs = needs(&spec(ISSUES), None);
    let roles =
        held(&["User.Read.All", "Directory.ReadWrite.All", "Group.Read.All", "Policy.Read.All"]);
    let found = compare(&needs, &roles, Cloud::Global, Uses::default());
    assert_eq!(
        found.sentence(&connection).unwrap(),
        "the app the-app lacks UserAuthMethod-TAP.ReadWrite.All [627169a8-8c15-451c-861a-5b80e383de5c] to create, read \
         and delete passes: grant it as an application permission of Microsoft Graph, with admin consent, then wait some \
         minutes; the app the-app holds more than it needs: grant what is enough, then remove \
         Directory.ReadWrite.All (User.Read.All and GroupMember.Read.All are enough), Group.Read.All \
         [5b567255-7703-4780-807c-7be8301ae99b] (GroupMember.Read.All is enough)"
    );
    let many: Vec<String> = (0..13).map(|n| format!("Some.{n:02}")).collect();
    let found = compare(&BTreeSet::new(), &many, Cloud::Global, Uses::default());
    let sentence = found.sentence(&connection).unwrap();
    assert!(sentence.contains("Some.09 (the operator does not need it), and 3 more"), "{sentence}");
    assert_eq!(Comparison::default().sentence(&connection), None);
}
