//! Whether a pass can be used, in one situation after the other: what the operator foretells, and what becomes of the sign-in
//! with that pass in the tenant, which judges by rules of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph_simulator::tenant::{
    ALICE, BREAK_GLASS_GROUP, CAROL, FRANK, GLOBAL_ADMINISTRATOR_TEMPLATE, GRACE, HEIDI,
    HELPDESK_ADMINISTRATOR_TEMPLATE, OPERATOR, PILOT_GROUP, STAFF_GROUP,
};
use graph_simulator::{Destination, SignInError, Simulator, Tenant, Way};
use serde_json::{Value, json};
use tap_operator::decision::sign_in::{self, Person, Who};
use tap_operator::decision::situation::SignInTargets;
use tap_operator::entra::{AccessPolicy, PassKind, UserKind, WhatIf};
use tap_operator::graph::{self, Client, Priority};
use uuid::Uuid;

use crate::transport::InProcess;
use crate::world::connections_to_contoso;

const MULTIFACTOR: &str = "00000000-0000-0000-0000-000000000002";
const PASSWORDLESS: &str = "00000000-0000-0000-0000-000000000003";
const RESISTANT: &str = "00000000-0000-0000-0000-000000000004";
/// A strength of the tenant's own: one-time passes, and keys.
const BOOTSTRAP: &str = "57000000-0000-4000-8000-000000000001";
/// All applications behind the page for security info.
const PAGE: [&str; 6] = [
    "1b912ec3-a9dd-4c4d-a53e-76aa7adb28d7",
    "ea890292-c8c8-4433-b5ea-b09d0668e1a6",
    "0000000c-0000-0000-c000-000000000000",
    "8c59ead7-d703-4a27-9e55-c96a0054c8d2",
    "00000002-0000-0000-c000-000000000000",
    "19db86c3-b2b9-44cc-b339-36da233a3be2",
];

/// A policy that is enforced for everybody and all resources, with these fields besides.
fn policy(grant: &Value, fields: &Value) -> Value {
    let mut policy = json!({
        "id": Uuid::new_v4(),
        "displayName": "A policy",
        "conditions": {
            "users": {"includeUsers": ["All"]},
            "applications": {"includeApplications": ["All"]},
        },
        "grantControls": grant,
    });
    merge(&mut policy, fields);
    policy
}

fn merge(whole: &mut Value, fields: &Value) {
    match (whole, fields) {
        (Value::Object(whole), Value::Object(fields)) => {
            for (name, value) in fields {
                merge(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, fields) => *whole = fields.clone(),
    }
}

fn users(users: &Value) -> Value {
    json!({ "conditions": { "users": users } })
}

fn when(conditions: &Value) -> Value {
    json!({ "conditions": conditions })
}

fn block() -> Value {
    json!({"operator": "OR", "builtInControls": ["block"]})
}

fn controls(operator: &str, controls: &[&str]) -> Value {
    json!({"operator": operator, "builtInControls": controls})
}

fn strength(id: &str) -> Value {
    json!({"operator": "OR", "authenticationStrength": {"id": id}})
}

/// What is demanded of registering security info alone.
fn of_registering() -> Value {
    json!({"conditions": {"applications": {
        "includeApplications": [], "includeUserActions": ["urn:user:registersecurityinfo"],
    }}})
}

fn without(applications: &[&str]) -> Value {
    json!({"conditions": {"applications": {"excludeApplications": applications}}})
}

/// A situation: who has which kind of pass under which policies, and whether they can open the page for security info,
/// register where a sign-in is interrupted, and sign in to another application: `+` yes, `-` no, `?` that depends.
type Situation = (&'static str, Uuid, PassKind, &'static str, Vec<Value>);

fn of_grants() -> Vec<Situation> {
    use PassKind::{MultiUse, OneTime};
    let any = json!({});
    let with_device = |operator: &str, id: &str| {
        json!({"operator": operator, "builtInControls": ["compliantDevice"],
            "authenticationStrength": {"id": id}})
    };
    let terms = json!({"operator": "AND", "builtInControls": ["mfa"], "termsOfUse": ["t"]});
    vec![
        ("no policy", ALICE, OneTime, "+++", vec![]),
        ("a block", ALICE, OneTime, "---", vec![policy(&block(), &any)]),
        (
            "a disabled block",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&block(), &json!({"state": "disabled"}))],
        ),
        (
            "a block that only reports",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&block(), &json!({"state": "enabledForReportingButNotEnforced"}))],
        ),
        ("two factors", ALICE, OneTime, "+++", vec![policy(&controls("OR", &["mfa"]), &any)]),
        (
            "two factors of registering",
            ALICE,
            MultiUse,
            "+++",
            vec![policy(&controls("OR", &["mfa"]), &of_registering())],
        ),
        ("only a session", ALICE, OneTime, "+++", vec![policy(&Value::Null, &any)]),
        (
            "two factors or a device",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&controls("OR", &["mfa", "compliantDevice"]), &any)],
        ),
        (
            "two factors and a device",
            ALICE,
            OneTime,
            "???",
            vec![policy(&controls("AND", &["mfa", "compliantDevice"]), &any)],
        ),
        (
            "a device",
            ALICE,
            OneTime,
            "???",
            vec![policy(&controls("OR", &["domainJoinedDevice"]), &any)],
        ),
        (
            "keys or a device",
            ALICE,
            OneTime,
            "???",
            vec![policy(&with_device("OR", RESISTANT), &any)],
        ),
        (
            "keys and a device",
            ALICE,
            OneTime,
            "---",
            vec![policy(&with_device("AND", RESISTANT), &any)],
        ),
        ("terms of use", ALICE, OneTime, "+++", vec![policy(&terms, &any)]),
        (
            "all policies count",
            ALICE,
            MultiUse,
            "---",
            vec![policy(&controls("OR", &["mfa"]), &any), policy(&strength(BOOTSTRAP), &any)],
        ),
    ]
}

fn of_strengths() -> Vec<Situation> {
    use PassKind::{MultiUse, OneTime};
    let any = json!({});
    vec![
        (
            "the strength of two factors, once",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&strength(MULTIFACTOR), &any)],
        ),
        (
            "the strength of two factors, often",
            ALICE,
            MultiUse,
            "+++",
            vec![policy(&strength(MULTIFACTOR), &any)],
        ),
        ("no password", ALICE, OneTime, "---", vec![policy(&strength(PASSWORDLESS), &any)]),
        ("keys", ALICE, OneTime, "---", vec![policy(&strength(RESISTANT), &any)]),
        (
            "keys, only reported",
            ALICE,
            OneTime,
            "+++",
            vec![policy(
                &strength(RESISTANT),
                &json!({"state": "enabledForReportingButNotEnforced"}),
            )],
        ),
        ("one-time passes, once", ALICE, OneTime, "+++", vec![policy(&strength(BOOTSTRAP), &any)]),
        (
            "one-time passes, often",
            ALICE,
            MultiUse,
            "---",
            vec![policy(&strength(BOOTSTRAP), &any)],
        ),
    ]
}

fn of_resources() -> Vec<Situation> {
    use PassKind::{MultiUse, OneTime};
    let keys = |fields: &Value| policy(&strength(RESISTANT), fields);
    let bootstrap = || policy(&strength(BOOTSTRAP), &of_registering());
    let device = json!({"operator": "AND", "builtInControls": ["compliantDevice"],
        "authenticationStrength": {"id": RESISTANT}});
    let only = |app: &str| json!({"conditions": {"applications": {"includeApplications": [app]}}});
    vec![
        ("keys of registering", ALICE, OneTime, "--+", vec![keys(&of_registering())]),
        (
            "passes register, keys do all else",
            ALICE,
            OneTime,
            "-+-",
            vec![keys(&json!({})), bootstrap()],
        ),
        (
            "the same for a pass of the other kind",
            ALICE,
            MultiUse,
            "---",
            vec![keys(&json!({})), bootstrap()],
        ),
        (
            "the same without the page",
            ALICE,
            OneTime,
            "++-",
            vec![keys(&without(&PAGE)), bootstrap()],
        ),
        (
            "the same without most of the page",
            ALICE,
            OneTime,
            "-+-",
            vec![keys(&without(&PAGE[..5])), bootstrap()],
        ),
        ("keys without the page", ALICE, OneTime, "+--", vec![keys(&without(&PAGE))]),
        (
            "a strength lifts no block",
            ALICE,
            OneTime,
            "---",
            vec![policy(&block(), &json!({})), bootstrap()],
        ),
        (
            "nor a demand on the device",
            ALICE,
            OneTime,
            "-?-",
            vec![policy(&device, &json!({})), bootstrap()],
        ),
        (
            "a bootstrap that only reports",
            ALICE,
            OneTime,
            "---",
            vec![keys(&json!({})), {
                let mut reports = bootstrap();
                reports["state"] = "enabledForReportingButNotEnforced".into();
                reports
            }],
        ),
        (
            "another application",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&block(), &only("5e2f0000-0000-4000-8000-000000000009"))],
        ),
        ("the page alone", ALICE, OneTime, "-++", vec![policy(&block(), &only(PAGE[5]))]),
    ]
}

fn of_users() -> Vec<Situation> {
    use PassKind::OneTime;
    let blocks = |who: &Value| vec![policy(&block(), &users(who))];
    let nobody_but = |list: &str, id: Uuid| {
        let mut who = json!({"includeUsers": []});
        who[list] = json!([id]);
        blocks(&who)
    };
    let guests = |kinds: &str| {
        blocks(&json!({"includeUsers": [],
            "includeGuestsOrExternalUsers": {"guestOrExternalUserTypes": kinds}}))
    };
    vec![
        ("a user", ALICE, OneTime, "---", nobody_but("includeUsers", ALICE)),
        ("another user", CAROL, OneTime, "+++", nobody_but("includeUsers", ALICE)),
        ("everybody but a user", ALICE, OneTime, "+++", blocks(&json!({"excludeUsers": [ALICE]}))),
        ("a group", ALICE, OneTime, "---", nobody_but("includeGroups", PILOT_GROUP)),
        ("another group", CAROL, OneTime, "+++", nobody_but("includeGroups", PILOT_GROUP)),
        ("a group of groups", ALICE, OneTime, "---", nobody_but("includeGroups", STAFF_GROUP)),
        (
            "everybody but a group",
            ALICE,
            OneTime,
            "+++",
            blocks(&json!({"excludeGroups": [PILOT_GROUP]})),
        ),
        (
            "everybody but another group",
            ALICE,
            OneTime,
            "---",
            blocks(&json!({"excludeGroups": [BREAK_GLASS_GROUP]})),
        ),
        (
            "a group, and one of it",
            ALICE,
            OneTime,
            "+++",
            blocks(
                &json!({"includeUsers": [], "includeGroups": [STAFF_GROUP], "excludeUsers": [ALICE]}),
            ),
        ),
        (
            "a role",
            GRACE,
            OneTime,
            "---",
            nobody_but("includeRoles", GLOBAL_ADMINISTRATOR_TEMPLATE),
        ),
        (
            "a role of others",
            ALICE,
            OneTime,
            "+++",
            nobody_but("includeRoles", GLOBAL_ADMINISTRATOR_TEMPLATE),
        ),
        (
            "a role through a group",
            HEIDI,
            OneTime,
            "---",
            nobody_but("includeRoles", HELPDESK_ADMINISTRATOR_TEMPLATE),
        ),
        (
            "everybody but a role",
            GRACE,
            OneTime,
            "+++",
            blocks(&json!({"excludeRoles": [GLOBAL_ADMINISTRATOR_TEMPLATE]})),
        ),
        (
            "guests",
            FRANK,
            OneTime,
            "---",
            blocks(&json!({"includeUsers": ["GuestsOrExternalUsers"]})),
        ),
        ("internal guests", FRANK, OneTime, "---", guests("internalGuest,serviceProvider")),
        ("external guests", FRANK, OneTime, "+++", guests("b2bCollaborationGuest")),
        ("guests are no members", ALICE, OneTime, "+++", guests("internalGuest")),
        ("nobody", ALICE, OneTime, "+++", blocks(&json!({"includeUsers": ["None"]}))),
    ]
}

fn of_conditions() -> Vec<Situation> {
    use PassKind::OneTime;
    let blocks = |conditions: &Value| vec![policy(&block(), &when(conditions))];
    let places = |include: &[&str], exclude: &[&str]| json!({"locations": {"includeLocations": include, "excludeLocations": exclude}});
    let risky = json!({"signInRiskLevels": ["high"]});
    vec![
        ("outside the office", ALICE, OneTime, "???", blocks(&places(&["All"], &["office"]))),
        ("in the office", ALICE, OneTime, "???", blocks(&places(&["office"], &[]))),
        ("anywhere", ALICE, OneTime, "---", blocks(&places(&["All"], &[]))),
        (
            "a platform",
            ALICE,
            OneTime,
            "???",
            blocks(&json!({"platforms": {"includePlatforms": ["iOS"], "excludePlatforms": []}})),
        ),
        ("at risk", ALICE, OneTime, "???", blocks(&risky)),
        (
            "two factors at risk",
            ALICE,
            OneTime,
            "+++",
            vec![policy(&controls("OR", &["mfa"]), &when(&risky))],
        ),
        (
            "a new password at risk",
            ALICE,
            OneTime,
            "???",
            vec![policy(
                &controls("AND", &["mfa", "passwordChange"]),
                &when(&json!({"userRiskLevels": ["high"]})),
            )],
        ),
        (
            "old protocols",
            ALICE,
            OneTime,
            "+++",
            blocks(&json!({"clientAppTypes": ["exchangeActiveSync", "other"]})),
        ),
        (
            "device codes",
            ALICE,
            OneTime,
            "+++",
            blocks(
                &json!({"authenticationFlows": {"transferMethods": "deviceCodeFlow,authenticationTransfer"}}),
            ),
        ),
        (
            "a place that does not concern the user",
            CAROL,
            OneTime,
            "+++",
            vec![policy(
                &block(),
                &json!({"conditions": {
                    "users": {"includeUsers": [], "includeGroups": [PILOT_GROUP]},
                    "locations": {"includeLocations": ["All"], "excludeLocations": ["office"]},
                }}),
            )],
        ),
    ]
}

/// A client whose app may see everything.
fn client(tenant: &Simulator) -> Client {
    tenant.edit_app(OPERATOR, |app| app.roles.push("Policy.Read.All".into())).expect("known");
    let options = graph::Options::new(Arc::new(InProcess(tenant.clone())));
    Client::connect(connections_to_contoso(), &options).remove(0)
}

/// What is known of a user, as requests ask for it.
async fn person(client: &Client, policies: &[AccessPolicy], kind: PassKind, user: Uuid) -> Person {
    let found = client.user(&user.to_string(), Priority::Read).await.expect("a user");
    let (groups, asks_roles) = sign_in::asks(policies, kind);
    let groups: Vec<String> = groups.into_iter().collect();
    let mut targets = SignInTargets::default();
    if !groups.is_empty() {
        let member_of = client.member_groups(&found.id, &groups, Priority::Read).await;
        targets.member_of = member_of.expect("groups").into_iter().collect();
    }
    if asks_roles {
        let roles = client.directory_roles(&found.id, Priority::Read).await.expect("roles");
        let templates: BTreeSet<String> =
            roles.into_iter().filter_map(|role| role.template_id).collect();
        targets.roles = Some(templates);
    }
    let is_guest = found.kind() == UserKind::InternalGuest;
    Person { id: found.id, is_guest, targets }
}

/// What the operator says of each destination.
fn foretold(policies: &[AccessPolicy], kind: PassKind, who: Who) -> [char; 3] {
    let verdict = sign_in::verdict(policies, kind, who);
    [&verdict.page, &verdict.interruption, &verdict.elsewhere].map(|blocked| {
        if !blocked.by.is_empty() {
            '-'
        } else if blocked.perhaps.is_empty() {
            '+'
        } else {
            '?'
        }
    })
}

/// What comes of signing in with such a pass, in every way: it always succeeds, it never does, or that depends.
fn outcome(tenant: &Simulator, user: Uuid, kind: PassKind, to: Destination) -> char {
    let usual = Way { to, ..Way::default() };
    let ways = [
        usual.clone(),
        Way { managed: true, ..usual.clone() },
        Way { location: Some("office".into()), ..usual.clone() },
        Way { platform: "iOS".into(), ..usual.clone() },
        Way { risk: "high".into(), ..usual },
    ];
    let user = user.to_string();
    let signs_in = |way: &Way| {
        let body = json!({"isUsableOnce": kind == PassKind::OneTime});
        let pass = tenant.portal_create_pass(&user, &body).expect("a pass");
        let code = tenant.code(pass).expect("a code");
        match tenant.sign_in_by(&user, &code, way) {
            Ok(_) => true,
            Err(SignInError::BlockedByConditionalAccess) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let outcomes: BTreeSet<bool> = ways.iter().map(signs_in).collect();
    match (outcomes.contains(&true), outcomes.contains(&false)) {
        (true, false) => '+',
        (false, true) => '-',
        _ => '?',
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_foretold_of_a_pass_is_what_becomes_of_it() {
    let all = [of_grants(), of_strengths(), of_resources(), of_users(), of_conditions()].concat();
    assert!(all.len() >= 30, "{}", all.len());
    for (situation, user, kind, expected, policies) in all {
        let tenant = Simulator::new(Tenant::contoso());
        tenant.add_strength(json!({"id": BOOTSTRAP, "displayName": "Bootstrap",
            "allowedCombinations": ["temporaryAccessPassOneTime", "fido2"]}));
        tenant.set_access_policies(policies);
        let client = client(&tenant);
        let policies = client.access_policies(Priority::Read).await.expect("policies");
        let person = person(&client, &policies, kind, user).await;
        let foretold: String = foretold(&policies, kind, Who::User(&person)).into_iter().collect();
        let destinations =
            [Destination::SecurityInfoPage, Destination::Interruption, Destination::Application];
        let happens: String =
            destinations.map(|to| outcome(&tenant, user, kind, to)).into_iter().collect();
        assert_eq!((foretold.as_str(), happens.as_str()), (expected, expected), "{situation}");

        // Who may see only what applies to the user comes to the same conclusion about the page.
        let applying = client.what_if(&user.to_string(), Priority::Read).await.expect("policies");
        let WhatIf::Meets(applying) = applying else { panic!("it is offered") };
        let [page, ..] = self::foretold(&applying, kind, Who::Concerned);
        assert_eq!(page, expected.chars().next().expect("a page"), "What If: {situation}");
    }
}
