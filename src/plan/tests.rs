//! Whole plans of manifests, without a tenant and with one that was read.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use serde_json::json;

use super::finding::Severity::{Error, Note, Warning};
use super::manifests::File;
use super::rules::Rules;
use super::tenant::Tenant;
use super::*;
use crate::api::Ceilings;
use crate::decision::situation::Connection;
use crate::entra::{
    ALL_USERS, Call, Cloud, ErrorKind, GraphError, GraphTarget, Group, MethodConfiguration,
    MethodState,
};

const GROUP: &str = "6c1f0000-0000-4000-8000-000000000101";

/// A policy that admits the namespace helpdesk, with more of its issuance and its method.
fn policy(method: &str, issuance: &str) -> String {
    format!(
        "apiVersion: tap-operator.io/v1alpha1\nkind: TapPolicy\nmetadata: {{name: contoso}}\nspec:\n  tenant: default\n  method: {method}\n  enforcement: Enforce\n  issuance:\n    namespaces: {{names: [helpdesk]}}\n    users: {{domains: [contoso.com]}}\n{issuance}"
    )
}

fn request(spec: &str) -> String {
    format!(
        "---\napiVersion: tap-operator.io/v1alpha1\nkind: TapRequest\nmetadata: {{name: alice, namespace: helpdesk}}\nspec:\n  policyRef: {{name: contoso}}\n  user: alice@contoso.com\n{spec}"
    )
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn read(text: &str) -> Manifests {
    let file = File { name: "a.yaml".into(), text: text.into() };
    Manifests::read(&[file], &Rules::shipped().unwrap(), now())
}

fn offline(text: &str) -> Plan {
    Plan::of(read(text), None, now())
}

fn method() -> MethodConfiguration {
    MethodConfiguration {
        state: MethodState::Enabled,
        default_lifetime_minutes: Some(60),
        minimum_lifetime_minutes: Some(60),
        maximum_lifetime_minutes: Some(480),
        default_length: Some(8),
        one_time_required: Some(false),
        include: vec![GraphTarget {
            id: ALL_USERS.into(),
            target_type: "group".into(),
            is_registration_required: Some(false),
        }],
        exclude: vec![],
    }
}

fn tenant() -> Tenant {
    Tenant {
        connection: Connection {
            name: "default".into(),
            tenant_id: "7f2d".into(),
            client_id: "app".into(),
            cloud: Cloud::Global,
            users: None,
            ceilings: Arc::default(),
        },
        permissions: vec!["Policy.Read.AuthenticationMethod".into()],
        method: method(),
        access_policies: None,
        groups: Ok(Vec::new()),
    }
}

fn online(text: &str, tenant: Tenant) -> Plan {
    let tenants = Tenants::from([("default".to_owned(), Ok(tenant))]);
    Plan::of(read(text), Some(&tenants), now())
}

/// The findings, each as severity, line, and what it says.
fn said(plan: &Plan) -> Vec<(Severity, usize, String)> {
    let of = |finding: &Finding| (finding.severity, finding.line.unwrap_or(0), finding.sentence());
    plan.findings.iter().map(of).collect()
}

/// Expects one finding, with these words.
fn says_only(plan: &Plan, severity: Severity, line: usize, words: &str) {
    let all = said(plan);
    let [(is, at, sentence)] = &all[..] else { panic!("{words:?}: {all:#?}") };
    assert_eq!((*is, *at), (severity, line), "{sentence}");
    assert!(sentence.contains(words), "no {words:?} in {sentence}");
}

#[test]
fn a_good_policy_and_its_request_are_nothing_to_speak_of() {
    let plan = offline(&(policy("{codeLength: 8}", "") + &request("")));
    assert_eq!(said(&plan), vec![]);
    assert_eq!((plan.outcome(), plan.policies.len(), plan.requests), (Outcome::NoChange, 1, 1));
}

#[test]
fn wrong_types_are_told_with_the_right_form() {
    for (issuance, words) in [
        ("    lifetime: {maximum: 60}\n", "60m for minutes or 60h for hours"),
        ("    requireOneTimeUse: \"true\"\n", "write true, without quotes"),
        ("    suspend: 0\n", "write true or false"),
        ("    approval: {required: \"2\"}\n", "write 2, without quotes"),
        ("    approval: {required: 1.5}\n", "a whole number"),
        ("    reason: {pattern: yes}\n", "write it in quotes"),
        ("    reason: {pattern: 12}\n", "in quotes, \"12\""),
        ("    reason: INC\n", "its fields are hint, pattern"),
        ("    quota: []\n", "activePerNamespace"),
        ("    delivery: sealed\n", "supported values: \"Any\", \"Sealed\""),
        (
            "    approvals: {required: 1}\n",
            "spec.issuance.approvals: unknown field: did you mean approval?",
        ),
        ("    leadTime: 1d\n", "a day is 24h"),
        ("    somethingElse: 1\n", "the fields here are approval, completeChecks,"),
    ] {
        says_only(&offline(&policy("{}", issuance)), Error, 11, words);
    }
    let wrong = policy("{}", "").replace("domains: [contoso.com]", "domains: contoso.com");
    says_only(&offline(&wrong), Error, 10, "write a list");
    let nothing = policy("{}", "").replace("  tenant: default\n", "");
    says_only(&offline(&nothing), Error, 4, "spec.tenant: Required value");
}

#[test]
fn a_private_key_is_not_repeated() {
    let secret = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
    for recipients in [format!("[{secret}]"), secret.clone(), format!("{{a: {secret}}}")] {
        let text = policy("{}", "") + &request(&format!("  recipients: {recipients}\n"));
        let plan = offline(&text);
        assert_eq!(plan.outcome(), Outcome::Error);
        let shown = [render::text(&plan), render::json(&plan).to_string(), render::markdown(&plan)];
        assert!(shown.iter().all(|shown| !shown.contains(&secret)), "{shown:#?}");
    }
}

#[test]
fn what_is_not_read_is_an_error_and_not_overlooked() {
    for (text, line, words) in [
        ("a: [", 1, "YAML"),
        ("kind: Deployment\napiVersion: apps/v1\n", 0, "no TapPolicy and no TapRequest"),
        ("", 0, "no TapPolicy and no TapRequest"),
        ("apiVersion: tap-operator.io/v1alpha1\nkind: TapPolcy\n", 2, "has no kind \"TapPolcy\""),
        ("apiVersion: tap-operator.io/v1\nkind: TapPolicy\n", 1, "tap-operator.io/v1alpha1"),
        ("apiVersion: v1\nkind: TapRequest\n", 1, "tap-operator.io/v1alpha1"),
        ("just words\n", 1, "no object"),
        ("- a\n", 1, "no object"),
        (
            "apiVersion: tap-operator.io/v1alpha1\nkind: TapPolicyList\nitems:\n- a\n",
            4,
            "no object",
        ),
        ("apiVersion: v1\nkind: List\nitems:\n- [kind]\n", 4, "no object"),
    ] {
        let plan = offline(text);
        let all = said(&plan);
        assert_eq!(all.len(), 1, "{text}: {all:#?}");
        assert_eq!((all[0].0, all[0].1), (Error, line), "{text}: {all:#?}");
        assert!(all[0].2.contains(words), "{text}: {all:#?}");
    }
    let twice = policy("{}", "") + "---\n" + &policy("{}", "");
    says_only(&offline(&twice), Error, 12, "a.yaml:1");
}

#[test]
fn metadata_that_the_api_server_refuses_is_an_error() {
    let named = policy("{}", "");
    for (metadata, words) in [
        ("{name: contoso, label: {a: b}}", "unknown field: did you mean labels?"),
        ("{name: contoso, labels: {a b: c}}", "is no key"),
        ("{name: contoso, labels: {a: 1}}", "must be a text: write 1 in quotes"),
        ("{name: contoso, annotations: {a b: c}}", "is no key"),
    ] {
        let text = named.replace("{name: contoso}", metadata);
        says_only(&offline(&text), Error, 3, words);
    }
    let text = named.replace("{name: contoso}", "{generateName: contoso-}");
    says_only(&offline(&text), Warning, 3, "kubectl apply refuses generateName");
    let text = request("").replace("namespace: helpdesk", "namespace: Help_Desk");
    let plan = offline(&text);
    assert!(
        said(&plan)
            .iter()
            .any(|(severity, _, words)| *severity == Error
                && words.contains("at most 63 lower case"))
    );
}

#[test]
fn the_items_of_a_list_are_objects() {
    let item = "metadata: {name: a}\n  spec: {tenant: default, interval: 30s}";
    let list =
        format!("apiVersion: tap-operator.io/v1alpha1\nkind: TapPolicyList\nitems:\n- {item}\n");
    says_only(&offline(&list), Error, 5, "must be between 1m and 24h");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: tap-operator.io/v1alpha1\n  kind: TapPolicy\n  {item}\n"
    );
    says_only(&offline(&list), Error, 7, "must be between 1m and 24h");
}

#[test]
fn requests_are_checked_against_their_policies() {
    for (issuance, spec, severity, words) in [
        ("    lifetime: {maximum: 2h}\n", "  lifetime: 4h\n", Error, "longer than the 2h"),
        ("    reason: {pattern: '^INC'}\n", "  reason: CHG1\n", Error, "does not match ^INC"),
        ("    reason: {}\n", "", Error, "requires a reason"),
        ("    reason: {pattern: '\\w{60}'}\n", "  reason: x\n", Error, "correct the policy"),
        ("    startTime: Required\n", "", Error, "requires a start time"),
        ("", "  oneTimeUse: false\n", Error, "only one-time passes"),
        ("    delivery: Sealed\n", "", Error, "requires encrypted delivery"),
        ("", "  onExistingPass: Replace\n", Error, "does not allow replacing"),
        ("    suspend: true\n", "", Warning, "is suspended"),
        ("", "  startTime: 2027-11-22T12:00:00Z\n  oneTimeUse: false\n", Error, "one-time"),
    ] {
        let plan = offline(&(policy("{}", issuance) + &request(spec)));
        let all = said(&plan);
        assert_eq!(all.len(), 1, "{words}: {all:#?}");
        assert!(all[0].0 == severity && all[0].2.contains(words), "{words}: {all:#?}");
    }
    let elsewhere = request("").replace("namespace: helpdesk", "namespace: sales");
    let line = policy("{}", "").lines().count() + 2;
    says_only(
        &offline(&(policy("{}", "") + &elsewhere)),
        Error,
        line,
        "does not admit namespace sales",
    );
    let other_domain = request("").replace("alice@contoso.com", "alice@fabrikam.com");
    says_only(
        &offline(&(policy("{}", "") + &other_domain)),
        Error,
        line,
        "admits only users of contoso.com",
    );
    // However far its start is.
    let far = "  startTime: 2027-11-22T12:00:00Z\n";
    assert_eq!(said(&offline(&(policy("{}", "") + &request(far)))), vec![]);
    let other_domain = request(far).replace("alice@contoso.com", "alice@fabrikam.com");
    let plan = offline(&(policy("{}", "") + &other_domain));
    says_only(&plan, Error, line, "admits only users of contoso.com");
    let other_policy = request("").replace("name: contoso", "name: fabrikam");
    says_only(&offline(&(policy("{}", "") + &other_policy)), Note, line + 4, "is not in the files");
}

#[test]
fn all_faults_of_a_request_are_told_at_once() {
    let issuance = "    suspend: true\n    reason: {}\n    lifetime: {maximum: 2h}\n    startTime: Required\n    delivery: Sealed\n";
    let spec = "  lifetime: 4h\n  oneTimeUse: false\n  onExistingPass: Replace\n";
    let request = request(spec).replace("namespace: helpdesk", "namespace: sales");
    let request = request.replace("alice@contoso.com", "alice@fabrikam.com");
    let plan = offline(&(policy("{}", issuance) + &request));
    let all = said(&plan);
    for words in [
        "is suspended",
        "does not admit namespace sales",
        "requires a reason: correct the manifest to a request with spec.reason",
        "requires a start time",
        "longer than the 2h",
        "only one-time passes",
        "requires encrypted delivery",
        "does not allow replacing",
        "admits only users of contoso.com",
    ] {
        let found = all.iter().filter(|(_, _, sentence)| sentence.contains(words)).count();
        assert_eq!(found, 1, "{words}: {all:#?}");
    }
    assert_eq!(all.len(), 9, "{all:#?}");
    let unwanted = |(_, _, sentence): &(_, _, String)| sentence.contains("make another request");
    assert!(!all.iter().any(unwanted), "{all:#?}");
}

#[test]
fn a_request_whose_policy_would_be_refused_is_not_passed_over() {
    let refused = policy("{}", "    lifetime: {maximum: 60}\n");
    let plan = offline(&(refused + &request("")));
    let is_note = |(is, _, words): &(Severity, usize, String)| {
        *is == Note && words.contains("TapPolicy contoso would be refused, so only the form")
    };
    assert!(said(&plan).iter().any(is_note), "{plan:#?}");
}

#[test]
fn a_request_whose_time_is_over_is_a_record() {
    let old = request("  startTime: 2026-01-05T08:00:00Z\n");
    let plan = offline(&(policy("{}", "") + &old));
    assert!(
        said(&plan).iter().any(|(is, _, words)| *is == Note && words.contains("its time is over")),
        "{plan:#?}"
    );
    assert_eq!(plan.outcome(), Outcome::NoChange);
}

#[test]
fn labels_of_a_namespace_are_read_from_the_files() {
    let selects =
        policy("{}", "").replace("{names: [helpdesk]}", "{selector: {matchLabels: {desk: a}}}");
    let note = offline(&(selects.clone() + &request("")));
    assert!(
        matches!(&said(&note)[..], [(Note, _, words)] if words.contains("put the Namespace")),
        "{note:#?}"
    );
    for (label, refused) in [("a", false), ("b", true)] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "helpdesk", "labels": {"desk": label}}});
        let _: Namespace = serde_json::from_value(namespace.clone()).unwrap();
        let plan = offline(&format!("{selects}{}---\n{namespace}\n", request("")));
        assert_eq!(plan.outcome() == Outcome::Error, refused, "{plan:#?}");
    }
}

#[test]
fn differences_are_those_of_the_operator() {
    let plan =
        online(&policy("{codeLength: 14, state: Enabled, lifetime: {maximum: 12h}}", ""), tenant());
    let changes: Vec<_> = plan.policies[0]
        .changes
        .iter()
        .map(|c| (c.field.as_str(), c.from.as_str(), c.to.as_str()))
        .collect();
    assert_eq!(changes, [("lifetime.maximum", "8h", "12h"), ("codeLength", "8", "14")]);
    assert_eq!(plan.outcome(), Outcome::Changes);
    let same =
        online(&policy("{codeLength: 8, include: [{allUsers: true}], exclude: []}", ""), tenant());
    assert_eq!((same.outcome(), same.changes(), said(&same)), (Outcome::NoChange, 0, vec![]));
}

#[test]
fn warnings_are_about_the_tenant_as_it_will_be() {
    let mut disabled = tenant();
    disabled.method.state = MethodState::Disabled;
    let plan = online(&policy("{state: Enabled}", ""), disabled.clone());
    assert_eq!(said(&plan), vec![], "the policy enables the method");
    let observes = policy("{state: Enabled}", "").replace("Enforce", "Observe");
    says_only(&online(&observes, disabled), Warning, 8, "is disabled in the tenant");

    let longer = "    lifetime: {maximum: 12h}\n";
    says_only(&online(&policy("{}", longer), tenant()), Warning, 11, "the tenant up to 8h");
    assert_eq!(said(&online(&policy("{lifetime: {maximum: 12h}}", longer), tenant())), vec![]);
    let short = "    lifetime: {default: 20m, maximum: 20m}\n";
    says_only(&online(&policy("{}", short), tenant()), Warning, 8, "the tenant from 1h to 8h");
    let default = "    lifetime: {default: 20m, maximum: 1h}\n";
    says_only(&online(&policy("{}", default), tenant()), Warning, 11, "the default of 20m");
}

#[test]
fn nobody_and_groups_that_are_gone_are_warned_of() {
    let nobody = policy("{}", "").replace("    users: {domains: [contoso.com]}\n", "");
    let plan = online(&nobody, tenant());
    assert!(said(&plan).iter().all(|(is, ..)| *is == Warning), "{plan:#?}");
    assert!(said(&plan).iter().any(|(_, _, words)| words.contains("admits no user")), "{plan:#?}");

    let group = format!("{{exclude: [{{group: {GROUP}, displayName: Pilot}}]}}");
    let gone = online(&policy(&group, ""), tenant());
    says_only(&gone, Warning, 6, "the tenant has no group");
    assert_eq!(gone.findings[0].field.as_deref(), Some("spec.method.exclude[0].group"));
    let mut there = tenant();
    there.groups =
        Ok(vec![Group { id: GROUP.into(), display_name: "Pilots".into(), hides_members: false }]);
    says_only(
        &online(&policy(&group, ""), there),
        Warning,
        1,
        "is \"Pilots\" in the tenant, not \"Pilot\"",
    );
    let mut unreadable = tenant();
    unreadable.groups = Err(GraphError::new(Call::Groups, ErrorKind::Forbidden, "no"));
    says_only(
        &online(&policy(&group, ""), unreadable),
        Warning,
        1,
        "it is not known whether its groups exist",
    );
}

#[test]
fn two_policies_for_one_method_are_an_error() {
    let both = policy("{codeLength: 8}", "")
        + "---\n"
        + &policy("{codeLength: 9}", "").replace("name: contoso", "name: other");
    let plan = online(&both, tenant());
    let conflicts = said(&plan)
        .into_iter()
        .filter(|(is, _, words)| *is == Error && words.contains("also manages"));
    assert_eq!(conflicts.count(), 2, "{plan:#?}");
    assert_eq!(plan.outcome(), Outcome::Error, "an error counts more than a change");
}

#[test]
fn a_tenant_that_is_not_known_or_not_readable_is_an_error() {
    let tenants = Tenants::from([("other".to_owned(), Ok(tenant()))]);
    let plan = Plan::of(read(&policy("{}", "")), Some(&tenants), now());
    says_only(&plan, Error, 5, "no tenant connection is named \"default\"");
    let tenants = Tenants::from([("default".to_owned(), Err("no sign-in".to_owned()))]);
    let plan = Plan::of(read(&policy("{}", "")), Some(&tenants), now());
    says_only(&plan, Error, 5, "no sign-in");
}

#[test]
fn ceilings_of_the_configuration_count() {
    let mut bounded = tenant();
    let ceilings: Ceilings = crate::api::yaml::read("{lifetime: 1h, delivery: Sealed}").unwrap();
    bounded.connection.ceilings = Arc::new(ceilings);
    let text = policy("{}", "    lifetime: {maximum: 4h}\n    delivery: Sealed\n");
    says_only(
        &online(&text, bounded.clone()),
        Warning,
        8,
        "issuance.lifetime.maximum (the ceiling is 1h)",
    );
    let request = request(
        "  lifetime: 2h\n  recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]\n",
    );
    let plan = online(&(text + &request), bounded);
    assert!(
        said(&plan)
            .iter()
            .any(|(is, _, words)| *is == Error && words.contains("is longer than 1h")),
        "{plan:#?}"
    );
}

#[test]
fn requests_beyond_the_tenants_range_are_warned_of() {
    let text = policy("{}", "    lifetime: {maximum: 4h}\n    requireOneTimeUse: false\n");
    let mut once = tenant();
    once.method.one_time_required = Some(true);
    let plan = online(&(text.clone() + &request("  oneTimeUse: false\n")), once);
    assert!(said(&plan)[0].2.contains("only one-time passes"), "{plan:#?}");
    let plan = online(&(text + &request("  lifetime: 20m\n")), tenant());
    assert!(said(&plan)[0].2.contains("from 1h to 8h, not 20m"), "{plan:#?}");
}

#[test]
fn a_plan_reads_well() {
    let text = policy("{codeLength: 14}", "    users: {}\n")
        .replace("    users: {domains: [contoso.com]}\n", "");
    let plan = online(&text, tenant());
    let expected = "\
TapPolicy contoso (a.yaml:1)
  tenant 7f2d: 1 change; the operator corrects the tenant
    codeLength: 8 -> 14
  misses EIDSCA.AT02, ZeroTrust.21846: passes may work more than once: set method.requireOneTimeUse to true

a.yaml:8: warning: TapPolicy contoso: spec.issuance: the policy admits no user: name domains or groups in issuance.users (AdmitsNobody)

1 policy, 0 requests, 1 change, 0 errors, 1 warning
";
    let hint =
        plan.findings.iter().position(|f| f.sentence().contains("admits nobody: list")).unwrap();
    let mut without = plan.clone();
    without.findings.remove(hint);
    assert_eq!(render::text(&without), expected);
    let json = render::json(&plan);
    assert_eq!(json["outcome"], "changes");
    assert_eq!(json["exitCode"], 2);
    assert_eq!(
        json["policies"][0]["changes"],
        json!([{"field": "codeLength", "from": "8", "to": "14"}])
    );
    assert_eq!(json["findings"][0]["severity"], "warning");
}

#[test]
fn markdown_neither_formats_nor_notifies() {
    let mut changed = tenant();
    changed.method.state = MethodState::Other("a`b|c\n@team <img src=x>\u{202e}".into());
    let plan = online(&policy("{state: Enabled}", ""), changed);
    let text = render::markdown(&plan);
    assert!(
        text.contains("| `state` | ``a`b\\|c @team <img src=x>\u{fffd}`` | `Enabled` |"),
        "{text}"
    );
    assert!(!text.contains('\u{202e}'), "{text}");
    assert!(text.contains("**TapPolicy `contoso`** (`a.yaml:1`): tenant 7f2d: 1 change"), "{text}");
}
