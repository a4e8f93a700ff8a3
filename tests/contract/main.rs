//! The simulator and the client, checked against Microsoft's description of Graph.
//!
//! Every operation that the simulator serves is called once. Each request that it accepts and each of its answers is
//! checked against the description in `graph.yaml`, or in the file that `GRAPH_OPENAPI` names; so is everything that
//! the operator's own client sends.

mod openapi;
#[path = "../support/transport.rs"]
mod transport;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graph_simulator::{
    Fault, FaultKind, Operation, Recorder, Simulator, Tenant,
    switches::{AuditNames, OneTimeEnforced, PolicyWriteAnswer, UsabilityFields},
    tenant::{
        ALICE, BOB, CAROL, CONTOSO, ERIN, GLOBAL_ADMINISTRATOR_TEMPLATE, GRACE, GroupAccess,
        GroupEligibility, HELPDESK_ADMINS_GROUP, OPERATOR, OPERATOR_SECRET, PILOT_GROUP,
        RoleEligibility, STAFF_GROUP,
    },
};
use http::Request;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tap_operator::entra::{EntraName, GraphTarget, MethodPatch, MethodState, NewPass, WhatIf};
use tap_operator::graph::{self, Priority};

use tokio::time::Instant;
use uuid::Uuid;

use crate::openapi::{OpenApi, check};
use crate::transport::InProcess;

const POLICY: &str = "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";
const POLICY_TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration";

/// The operations of Graph that the simulator serves.
const SERVED: [Operation; 26] = [
    Operation::PolicyGet,
    Operation::PolicyPatch,
    Operation::PolicyReset,
    Operation::ParentPolicyGet,
    Operation::UserGet,
    Operation::UserList,
    Operation::SignInMethods,
    Operation::PassList,
    Operation::PassCreate,
    Operation::PassGet,
    Operation::PassDelete,
    Operation::CheckMemberGroups,
    Operation::TransitiveMemberOf,
    Operation::GroupList,
    Operation::GroupGet,
    Operation::RoleAssignments,
    Operation::RoleEligibilities,
    Operation::RoleEligibilitySchedules,
    Operation::GroupEligibilitySchedules,
    Operation::AccessPolicies,
    Operation::AuthenticationStrengths,
    Operation::Evaluate,
    Operation::Organization,
    Operation::DirectoryAudits,
    Operation::SignIns,
    Operation::Batch,
];

/// A plain HTTP client.
struct Client {
    simulator: Simulator,
    token: String,
}

impl Client {
    async fn new() -> (Self, Recorder) {
        let mut tenant = Tenant::contoso();
        tenant.apps[0].roles.push("AuditLog.Read.All".into());
        tenant.apps[0].roles.push("Policy.Read.All".into());
        (tenant.conditional_access_policies, tenant.authentication_strengths) = access();
        tenant.apps[0].roles.push("UserAuthenticationMethod.Read.All".into());
        tenant.users[1].methods = vec!["fido2".into(), "phone".into(), "email".into()];
        tenant.users[1].mail = Some("bob@fabrikam.com".into());
        tenant.role_eligibilities.push(RoleEligibility::of(BOB, GLOBAL_ADMINISTRATOR_TEMPLATE));
        tenant.group_eligibilities.push(GroupEligibility {
            group_id: HELPDESK_ADMINS_GROUP,
            principal_id: CAROL,
            access_id: GroupAccess::Owner,
        });
        let simulator = Simulator::new(tenant);
        simulator.switch(|switches| {
            switches.authentication_method_limit = None;
            switches.log_limit = None;
            switches.audit_lag_seconds = 0;
            switches.sign_in_lag_seconds = 0;
            switches.conditional_access_limit = None;
        });
        let recorder = simulator.record();
        let form = format!(
            "grant_type=client_credentials&client_id={OPERATOR}&client_secret={OPERATOR_SECRET}\
             &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
        );
        let request =
            Request::post(format!("/{CONTOSO}/oauth2/v2.0/token")).body(form.into()).unwrap();
        let response = simulator.call(request).await.unwrap();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let token = body["access_token"].as_str().unwrap().to_owned();
        (Self { simulator, token }, recorder)
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("consistencylevel", "eventual")
            .header("content-type", "application/json");
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let response = self.simulator.call(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(response.body()).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, Value::Null).await
    }

    async fn patch_policy(&self, mut fields: Value) -> u16 {
        fields["@odata.type"] = POLICY_TYPE.into();
        self.send("PATCH", POLICY, fields).await.0
    }

    async fn create(&self, user: impl std::fmt::Display, body: Value) -> (u16, Value) {
        self.send("POST", &passes(user), body).await
    }
}

/// Conditional Access policies of each state, and a strength of the tenant's own.
fn access() -> (Vec<Value>, Vec<Value>) {
    let strength = "57000000-0000-4000-8000-000000000001";
    let policy = |number: u8, state: &str, grant: Value| {
        json!({
            "id": format!("ca000000-0000-4000-8000-00000000000{number}"),
            "displayName": format!("Policy {number}"),
            "state": state,
            "conditions": {
                "users": {"includeGroups": [STAFF_GROUP], "includeGuestsOrExternalUsers":
                    {"guestOrExternalUserTypes": "internalGuest", "externalTenants": null}},
                "applications": {"includeApplications": ["All"]},
                "locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]},
            },
            "grantControls": grant,
        })
    };
    let policies = vec![
        policy(1, "enabled", json!({"authenticationStrength": {"id": strength}})),
        policy(2, "disabled", json!({"builtInControls": ["block"]})),
        policy(3, "enabledForReportingButNotEnforced", Value::Null),
    ];
    let strengths = vec![json!({
        "id": strength, "displayName": "Bootstrap",
        "allowedCombinations": ["temporaryAccessPassOneTime", "password,sms"],
    })];
    (policies, strengths)
}

fn passes(user: impl std::fmt::Display) -> String {
    format!("/v1.0/users/{user}/authentication/temporaryAccessPassMethods")
}

fn assert_described(openapi: &OpenApi, recorder: &Recorder) {
    let violations: Vec<String> = (recorder.exchanges().iter())
        .flat_map(|exchange| {
            let what = format!("{} {} -> {:?}", exchange.method, exchange.path, exchange.status);
            check(openapi, exchange)
                .into_iter()
                .map(move |violation| format!("{what}: {violation}"))
        })
        .collect();
    assert!(violations.is_empty(), "not as described:\n{}", violations.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_served_is_as_described() {
    let openapi = OpenApi::of_graph();
    let (client, recorder) = Client::new().await;
    drive(&client).await;
    let succeeded: HashSet<Operation> = (recorder.exchanges().iter())
        .filter(|exchange| exchange.status.is_some_and(|status| status < 300))
        .map(|exchange| exchange.operation)
        .collect();
    let missing: Vec<_> =
        SERVED.into_iter().filter(|operation| !succeeded.contains(operation)).collect();
    assert!(missing.is_empty(), "never succeeded: {missing:?}");
    assert_described(&openapi, &recorder);
}

#[tokio::test(start_paused = true)]
async fn other_switch_positions_are_as_described() {
    let openapi = OpenApi::of_graph();
    let (client, recorder) = Client::new().await;
    client.simulator.switch(|switches| {
        switches.policy_write_answer = PolicyWriteAnswer::Ok;
        switches.usability_fields = UsabilityFields::Neither;
        switches.context_in_post_answer = false;
        switches.audit_names = AuditNames::CreateMethod;
        switches.one_time_enforced = OneTimeEnforced::Coerce;
        switches.page_size = 1;
    });
    drive(&client).await;
    assert_described(&openapi, &recorder);
}

/// The operator's own client; its secret is in a file of this directory.
fn operators_client(simulator: &Simulator, files: &Path) -> graph::Client {
    let secret = files.join("secret");
    std::fs::write(&secret, OPERATOR_SECRET).unwrap();
    let connections = format!(
        "tenants: [{{name: default, tenantId: {CONTOSO}, clientId: {OPERATOR},
          credential: {{clientSecret: {{file: '{}'}}}}}}]",
        secret.display()
    );
    let connections = graph::connections_from_text(&connections, "test").unwrap();
    let options = graph::Options::new(Arc::new(InProcess(simulator.clone())));
    graph::Client::connect(connections, &options).remove(0)
}

/// What it sends to read the logs.
#[tokio::test(start_paused = true)]
async fn what_the_client_asks_of_logs_is_as_described() {
    let openapi = OpenApi::of_graph();
    let mut tenant = Tenant::contoso();
    tenant.apps[0].roles.push("AuditLog.Read.All".into());
    let simulator = Simulator::new(tenant);
    simulator.switch(|switches| {
        switches.audit_lag_seconds = 0;
        switches.sign_in_lag_seconds = 0;
    });
    let recorder = simulator.record();
    let files = tempfile::tempdir().unwrap();
    let client = operators_client(&simulator, files.path());
    let (from, alice) = (simulator.now(), ALICE.to_string());
    simulator.portal_create_pass(&alice, &json!({})).unwrap();
    simulator.sign_in("alice@contoso.com", "not the code").unwrap_err();
    assert_eq!(client.sign_ins(&alice, from, simulator.now()).await.unwrap().len(), 1);
    assert_eq!(client.method_audits(from).await.unwrap().rows.len(), 1);
    let rows = client.audits_of_user(&alice, from).await.unwrap();
    assert!(rows.len() == 1 && rows[0].pass_id.is_some(), "{rows:?}");
    assert!(client.audits_of_user(&BOB.to_string(), from).await.unwrap().is_empty());
    assert_described(&openapi, &recorder);
}

/// What the operator's own client sends: every other call that it can make, with all its fields.
#[tokio::test(start_paused = true)]
async fn what_the_client_sends_is_as_described() {
    let openapi = OpenApi::of_graph();
    let mut tenant = Tenant::contoso();
    tenant.apps[0].roles.push("UserAuthenticationMethod.Read.All".into());
    tenant.apps[0].roles.push("Policy.Read.All".into());
    (tenant.conditional_access_policies, tenant.authentication_strengths) = access();
    let simulator = Simulator::new(tenant);
    simulator.switch(|switches| switches.authentication_method_limit = None);
    let recorder = simulator.record();
    let files = tempfile::tempdir().unwrap();
    let client = operators_client(&simulator, files.path());

    let target = |id: Uuid| GraphTarget {
        id: id.to_string(),
        target_type: "group".into(),
        is_registration_required: Some(false),
    };
    let everything = MethodPatch {
        state: Some(MethodState::Enabled),
        default_lifetime_minutes: Some(60),
        minimum_lifetime_minutes: Some(30),
        maximum_lifetime_minutes: Some(240),
        default_length: Some(12),
        one_time_required: Some(true),
        include: Some(vec![target(STAFF_GROUP)]),
        exclude: Some(vec![target(PILOT_GROUP)]),
    };
    client.patch_method(&everything).await.unwrap();
    let method = client.method(Priority::Read).await.unwrap();
    assert_eq!((method.default_length, method.include.len()), (Some(12), 1));

    for user in ["alice@contoso.com", &ERIN.to_string()] {
        let user = client.user(user, Priority::Issue).await.unwrap();
        assert!(user.account_enabled.is_some() && user.user_type.is_some(), "{user:?}");
    }
    let grace = GRACE.to_string();
    let groups = [PILOT_GROUP, STAFF_GROUP].map(|id| id.to_string());
    client.member_groups(&grace, &groups, Priority::Issue).await.unwrap();
    assert_eq!(client.directory_roles(&grace, Priority::Issue).await.unwrap().len(), 1);
    assert_eq!(client.groups(&groups, Priority::Read).await.unwrap().len(), 2);
    let bob = EntraName::UserPrincipalName("bob@contoso.com".into());
    assert!(client.namesakes(&bob, Priority::Issue).await.unwrap().user_id.is_some());
    let methods = client.sign_in_methods(&grace, Priority::Issue).await.unwrap();
    assert!(methods.is_empty(), "a password does not count: {methods:?}");
    let listed = client.role_holders(BTreeSet::new(), Priority::Issue).await.unwrap();
    assert_eq!((listed.holders.len(), listed.groups.len()), (2, 1));
    assert_eq!(client.access_policies(Priority::Read).await.unwrap().len(), 3);
    let strengths = client.authentication_strengths(Priority::Read).await.unwrap();
    let admitting =
        strengths.iter().filter(|one| one.admits.as_ref().is_some_and(|k| !k.is_empty()));
    assert_eq!((strengths.len(), admitting.count()), (4, 2));
    let WhatIf::Meets(met) = client.what_if(&grace, Priority::Read).await.unwrap() else {
        panic!("it is offered")
    };
    assert_eq!(met.len(), 2, "those in force and in report-only mode: {met:?}");

    let carol = CAROL.to_string();
    for (start, id) in [(None, "1"), (Some(simulator.now() + SignedDuration::from_hours(9)), "2")] {
        let new = NewPass { start, lifetime_minutes: 60, one_time: true };
        let id = format!("c0ffee00-0000-4000-8000-00000000000{id}");
        let latest = Instant::now() + Duration::from_secs(30);
        let created = client.create_pass(&carol, &new, &id, latest).await.unwrap().method;
        client.pass(&carol, &created.id, Priority::Read).await.unwrap();
        assert_eq!(client.passes(&carol, Priority::Read).await.unwrap().passes.len(), 1);
        client.delete_pass(&carol, &created.id).await.unwrap();
    }

    let sent: HashSet<Operation> = (recorder.exchanges().iter())
        .filter(|exchange| exchange.status.is_some_and(|status| status < 300))
        .map(|exchange| exchange.operation)
        .collect();
    let calls = [
        Operation::Token,
        Operation::PolicyPatch,
        Operation::PolicyGet,
        Operation::UserGet,
        Operation::CheckMemberGroups,
        Operation::TransitiveMemberOf,
        Operation::GroupList,
        Operation::UserList,
        Operation::RoleAssignments,
        Operation::RoleEligibilitySchedules,
        Operation::GroupEligibilitySchedules,
        Operation::SignInMethods,
        Operation::AccessPolicies,
        Operation::AuthenticationStrengths,
        Operation::Evaluate,
        Operation::PassCreate,
        Operation::PassGet,
        Operation::PassList,
        Operation::PassDelete,
    ];
    assert_eq!(sent, calls.into());
    assert_described(&openapi, &recorder);
}

/// Calls the lists that say who holds a role, or has a name, anywhere in the tenant.
async fn drive_lists_of_the_tenant(client: &Client) {
    let ok = |(status, body): (u16, Value)| {
        assert!(status < 300, "{status} {body}");
        body
    };
    for list in ["roleEligibilityScheduleInstances", "roleEligibilitySchedules"] {
        let list = format!("/v1.0/roleManagement/directory/{list}");
        ok(client.get(&format!("{list}?$filter=principalId%20eq%20'{BOB}'")).await);
        assert_eq!(ok(client.get(&list).await)["value"].as_array().unwrap().len(), 1);
    }
    let could_join = "/v1.0/identityGovernance/privilegedAccess/group/eligibilitySchedules";
    let of_group = format!("{could_join}?$filter=groupId%20eq%20'{HELPDESK_ADMINS_GROUP}'");
    assert_eq!(ok(client.get(&of_group).await)["value"].as_array().unwrap().len(), 1);
    assert_eq!(client.get(could_join).await.0, 400);
    ok(client.get("/v1.0/users?$filter=mail%20eq%20'bob@fabrikam.com'&$top=2").await);
    ok(client.get(&format!("/v1.0/users/{BOB}/authentication/methods")).await);
    client.simulator.switch(|switches| switches.privileged_identity_management = false);
    assert_eq!(client.get(&of_group).await.0, 400);
    client.simulator.switch(|switches| switches.privileged_identity_management = true);
    drive_conditional_access(client).await;
}

/// Calls the logs about one user.
async fn drive_logs_of_a_user(client: &Client) {
    let ok = |(status, body): (u16, Value)| {
        assert!(status < 300, "{status} {body}");
        body
    };
    client.simulator.register_method(&ALICE.to_string(), "fido2").unwrap();
    client.simulator.sign_in("alice@contoso.com", "not the code").unwrap_err();
    let of_user = format!("targetResources/any(t:t/id%20eq%20'{ALICE}')");
    ok(client.get(&format!("/v1.0/auditLogs/directoryAudits?$filter={of_user}")).await);
    let sign_ins = format!("/v1.0/auditLogs/signIns?$filter=userId%20eq%20'{ALICE}'");
    assert_eq!(ok(client.get(&sign_ins).await)["value"][0]["status"]["errorCode"], 130_503);
    client.simulator.switch(|switches| switches.premium_licence = false);
    assert_eq!(client.get(&sign_ins).await.0, 403);
    client.simulator.switch(|switches| switches.premium_licence = true);
}

/// Calls everything about Conditional Access.
async fn drive_conditional_access(client: &Client) {
    // Its lists are asked for in pages that hold them whole.
    client.simulator.switch(|switches| switches.page_size = 100);
    let ok = |(status, body): (u16, Value)| {
        assert!(status < 300, "{status} {body}");
        body["value"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(ok(client.get("/v1.0/identity/conditionalAccess/policies?$top=3").await), 3);
    assert_eq!(ok(client.get("/v1.0/policies/authenticationStrengthPolicies?$top=4").await), 4);
    let question = |context: Value| {
        json!({
            "signInIdentity": {"@odata.type": "#microsoft.graph.userSignIn", "userId": GRACE},
            "signInContext": context, "signInConditions": {}, "appliedPoliciesOnly": false,
        })
    };
    let evaluate = "/v1.0/identity/conditionalAccess/evaluate";
    let registers = json!({"@odata.type": "#microsoft.graph.userActionContext",
        "userAction": "registerSecurityInformation"});
    assert_eq!(ok(client.send("POST", evaluate, question(registers)).await), 3);
    assert_eq!(client.send("POST", evaluate, question(json!({}))).await.0, 400);
}

/// Calls each operation so that it succeeds, and so that it fails in the ways that Graph is known for.
async fn drive(client: &Client) {
    let ok = |(status, body): (u16, Value)| {
        assert!(status < 300, "{status} {body}");
        body
    };
    ok(client.get(POLICY).await);
    ok(client.get("/v1.0/policies/authenticationMethodsPolicy").await);
    let targets = json!({
        "includeTargets": [{"targetType": "group", "id": STAFF_GROUP}],
        "excludeTargets": [{"targetType": "group", "id": HELPDESK_ADMINS_GROUP}],
        "minimumLifetimeInMinutes": 30, "defaultLifetimeInMinutes": 60, "maximumLifetimeInMinutes": 240,
        "defaultLength": 12, "isUsableOnce": true, "state": "enabled",
    });
    assert!(client.patch_policy(targets).await < 300);
    assert_eq!(client.patch_policy(json!({"defaultLength": 7})).await, 400);
    ok(client.get(POLICY).await);

    let user = "/v1.0/users/alice%40contoso.com";
    let selected = "id,userPrincipalName,displayName,accountEnabled,userType,identities,externalUserState,onPremisesSyncEnabled";
    ok(client.get(user).await);
    ok(client.get(&format!("{user}?$select={selected}")).await);
    ok(client.get(&format!("/v1.0/users/{ERIN}?$select={selected}")).await);
    assert_eq!(client.get("/v1.0/users/nobody%40contoso.com").await.0, 404);

    let made =
        ok(client.create(ALICE, json!({"lifetimeInMinutes": 60, "isUsableOnce": true})).await);
    ok(client.create(BOB, json!({})).await);
    let typed = json!({
        "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
        "startDateTime": "2036-11-23T17:10:07.314468+00:00",
    });
    ok(client.create(CAROL, typed).await);
    assert_eq!(client.create(ALICE, json!({"lifetimeInMinutes": 10})).await.0, 400);
    assert_eq!(client.create(ERIN, json!({})).await.0, 400);
    assert_eq!(client.create("nobody%40contoso.com", json!({})).await.0, 404);
    ok(client.get(&passes(ALICE)).await);
    ok(client.get(&passes(GRACE)).await);
    let one = format!("{}/{}", passes(ALICE), made["id"].as_str().unwrap());
    ok(client.get(&one).await);
    ok(client.send("DELETE", &one, Value::Null).await);
    assert_eq!(client.send("DELETE", &one, Value::Null).await.0, 404);
    assert_eq!(client.get(&one).await.0, 404);

    ok(client
        .send(
            "POST",
            &format!("{user}/checkMemberGroups"),
            json!({"groupIds": [PILOT_GROUP, STAFF_GROUP]}),
        )
        .await);
    let member_of = format!("/v1.0/users/{GRACE}/transitiveMemberOf");
    ok(client.get(&member_of).await);
    ok(client
        .get(&format!(
            "{member_of}/microsoft.graph.group?$count=true&$select=id,isAssignableToRole&$top=1"
        ))
        .await);
    ok(client.get(&format!("{member_of}/microsoft.graph.directoryRole?$count=true&$select=id,displayName,roleTemplateId")).await);
    assert_eq!(client.get(&format!("{member_of}/microsoft.graph.group")).await.0, 400);
    ok(client.get("/v1.0/groups?$filter=displayName%20eq%20'All%20staff'&$select=id,displayName&$count=true").await);
    ok(client.get(&format!("/v1.0/groups/{STAFF_GROUP}?$select=id,displayName")).await);
    ok(client
        .get(&format!(
            "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{GRACE}'"
        ))
        .await);
    drive_lists_of_the_tenant(client).await;
    ok(client.get("/v1.0/organization").await);

    let portal = client
        .simulator
        .portal_create_pass(&CAROL.to_string(), &json!({"isUsableOnce": true}))
        .unwrap();
    client.simulator.portal_delete_pass(&CAROL.to_string(), portal).unwrap();
    let audits = ok(client
        .get("/v1.0/auditLogs/directoryAudits?$top=50&$orderby=activityDateTime%20desc")
        .await);
    assert!(audits["value"].as_array().unwrap().len() >= 6, "{audits}");
    drive_logs_of_a_user(client).await;

    let batch = json!({"requests": [
        {"id": "1", "method": "GET", "url": format!("/users/{ALICE}")},
        {"id": "2", "method": "POST", "url": &passes(ALICE)["/v1.0".len()..], "headers": {"Content-Type": "application/json"}, "body": {}},
        {"id": "3", "method": "GET", "url": "/users/nobody"},
        {"id": "4", "method": "GET", "url": "/organization", "dependsOn": ["3"]},
    ]});
    let answers = ok(client.send("POST", "/v1.0/$batch", batch).await);
    let statuses: Vec<_> =
        answers["responses"].as_array().unwrap().iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, [200, 201, 404, 424]);

    let throttled = FaultKind::Throttled { retry_after_seconds: Some(2.128), form: None };
    let broken =
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
    for kind in
        [throttled, broken, FaultKind::ExpiredToken, FaultKind::Html { status: 502, effect: false }]
    {
        client.simulator.inject(Fault::on_any(kind));
        assert!(client.get(POLICY).await.0 >= 400);
    }
    client.simulator.edit_app(OPERATOR, |app| app.enabled = false).unwrap();
    client.simulator.edit_app(OPERATOR, |app| app.enabled = true).unwrap();
    ok(client.send("DELETE", POLICY, Value::Null).await);
    client.simulator.expire_tokens();
    assert_eq!(client.get(POLICY).await.0, 401);
}

/// The simulator refuses bodies that the description does not allow.
#[tokio::test(start_paused = true)]
async fn what_is_not_described_is_not_accepted() {
    let (client, _) = Client::new().await;
    for body in [
        json!({"lifetime": 60}),
        json!({"lifetimeInMinutes": "60"}),
        json!({"lifetimeInMinutes": 60.5}),
        json!({"isUsableOnce": "true"}),
        json!({"startDateTime": "tomorrow"}),
        json!({"startDateTime": 1_700_000_000}),
        json!({"@odata.type": "#microsoft.graph.fido2AuthenticationMethod"}),
        json!([]),
    ] {
        assert_eq!(client.create(ALICE, body.clone()).await.0, 400, "{body}");
    }
    for fields in [
        json!({"state": "on"}),
        json!({"defaultLength": "8"}),
        json!({"lifetime": 60}),
        json!({"includeTargets": {}}),
        json!({"includeTargets": [{"targetType": "role", "id": PILOT_GROUP}]}),
        json!({"excludeTargets": [{"targetType": "group", "id": PILOT_GROUP, "isRegistrationRequired": true}]}),
    ] {
        assert_eq!(client.patch_policy(fields.clone()).await, 400, "{fields}");
    }
    assert_eq!(client.send("PATCH", POLICY, json!({"state": "enabled"})).await.0, 400);
    assert_eq!(client.get(&format!("{}?$top=1", passes(ALICE))).await.0, 400);
    assert_eq!(client.get(&format!("/v1.0/users/{ALICE}?$select=id,shoeSize")).await.0, 400);
    assert!(client.simulator.ledger().is_empty());
}
