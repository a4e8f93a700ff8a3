//! Users, groups, roles, the audit log, batches.

use super::super::tenant::{
    App, Group, GroupAccess, GroupEligibility, RoleAssignment, RoleEligibility,
};
use super::*;

#[tokio::test(start_paused = true)]
async fn some_properties_come_only_when_selected() {
    let client = Client::new().await;
    let plain = client.get(&format!("/v1.0/users/{ERIN}")).await.body;
    assert_eq!(
        (plain.get("accountEnabled"), plain.get("identities"), plain.get("userType")),
        (None, None, None)
    );
    let path = "/v1.0/users/erin_fabrikam.com%23EXT%23%40contoso.com?$select=accountEnabled,identities,userType";
    let selected = client.get(path).await.body;
    assert_eq!(
        (&selected["accountEnabled"], &selected["userType"]),
        (&json!(true), &json!("Guest"))
    );
    assert_eq!(selected["identities"][0]["issuer"], "ExternalAzureAD");
    assert_eq!(selected.get("id"), None);
}

#[tokio::test(start_paused = true)]
async fn memberships_are_checked_twenty_at_a_time() {
    let client = Client::new().await;
    let check = async |ids: Vec<Uuid>| {
        client
            .send(
                "POST",
                &format!("/v1.0/users/{ALICE}/checkMemberGroups"),
                json!({"groupIds": ids}),
            )
            .await
    };
    let mut ids = vec![STAFF_GROUP, super::super::tenant::GLOBAL_ADMINISTRATORS];
    ids.extend((2..20).map(|_| Uuid::new_v4()));
    assert_eq!(check(ids.clone()).await.body["value"], json!([STAFF_GROUP]));
    ids.push(Uuid::new_v4());
    assert_eq!(check(ids).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_by_their_links() {
    let client = Client::with(|switches| switches.page_size = 3).await;
    let first = client.get("/v1.0/groups?$select=id").await.body;
    assert_eq!(first["value"].as_array().unwrap().len(), 3);
    let link = first["@odata.nextLink"].as_str().unwrap();
    let path = link.strip_prefix("https://graph.microsoft.com").unwrap();
    let second = client.get(path).await.body;
    assert_eq!(second["value"].as_array().unwrap().len(), 1);
    assert_eq!(second.get("@odata.nextLink"), None);
    assert_eq!(second["value"][0].get("displayName"), None);
    client.simulator.switch(|switches| switches.foreign_next_link = true);
    let lured = client.get("/v1.0/groups").await.body;
    assert!(
        lured["@odata.nextLink"].as_str().unwrap().starts_with("https://graph.elsewhere.example/")
    );
}

#[tokio::test(start_paused = true)]
async fn role_assignments_are_direct_ones() {
    let client = Client::new().await;
    let of = async |principal: Uuid| {
        let path = format!(
            "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{principal}'"
        );
        client.get(&path).await.body["value"].as_array().unwrap().len()
    };
    assert_eq!(of(GRACE).await, 1);
    assert_eq!(of(HEIDI).await, 0);
    assert_eq!(of(super::super::tenant::HELPDESK_ADMINS_GROUP).await, 1);
}

#[tokio::test(start_paused = true)]
async fn audit_rows_arrive_late_and_name_the_app() {
    let mut client = Client::new().await;
    client.simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into())).unwrap();
    client.sign_in().await;
    client.made(ALICE, json!({})).await;
    let rows = async || client.get("/v1.0/auditLogs/directoryAudits").await.body["value"].clone();
    assert_eq!(rows().await, json!([]));
    sleep(Duration::from_mins(2)).await;
    let rows = rows().await;
    assert_eq!(rows[0]["resultReason"], "Admin registered temporary access pass method for user");
    assert_eq!(rows[0]["initiatedBy"]["app"]["appId"], OPERATOR.to_string());
    assert_eq!(rows[0]["targetResources"][0]["id"], ALICE.to_string());
}

#[tokio::test(start_paused = true)]
async fn audit_rows_tell_passes_methods_and_changes_of_the_policy() {
    let mut client = Client::new().await;
    client.simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into())).unwrap();
    client.sign_in().await;
    let pass = client.simulator.portal_create_pass("alice@contoso.com", &json!({})).unwrap();
    client.simulator.portal_delete_pass("alice@contoso.com", pass).unwrap();
    client.simulator.register_method("alice@contoso.com", "fido2").unwrap();
    client.simulator.portal_patch_policy(&json!({"defaultLength": 12})).unwrap();
    sleep(Duration::from_mins(2)).await;
    let rows = client.get("/v1.0/auditLogs/directoryAudits").await.body["value"].clone();
    let [changed, registered, deleted, made] = [0, 1, 2, 3].map(|row| rows[row].clone());
    assert_eq!(changed["activityDisplayName"], "Authentication Methods Policy Update");
    assert_eq!(registered["resultReason"], "User registered Fido2 Authentication Method");
    assert_eq!(registered["initiatedBy"]["user"]["id"], ALICE.to_string());
    let id = |row: &Value, value: &str| {
        let property = &row["targetResources"][0]["modifiedProperties"][0];
        assert_eq!(property["displayName"], "TemporaryAccessPass.TemporaryAccessPass.Id");
        property[value].clone()
    };
    assert_eq!(id(&made, "newValue"), format!("\"{pass}\""), "the text is JSON");
    assert_eq!(id(&deleted, "oldValue"), format!("\"{pass}\""));
    client.simulator.switch(|switches| switches.audit_pass_ids = false);
    let rows = client.get("/v1.0/auditLogs/directoryAudits").await.body["value"].clone();
    assert_eq!(rows[3]["targetResources"][0]["modifiedProperties"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn sign_ins_are_told_late_with_their_codes_and_only_with_the_licence() {
    let mut client = Client::new().await;
    let path = format!("/v1.0/auditLogs/signIns?$filter=userId%20eq%20'{ALICE}'");
    let refused = client.get(&path).await;
    assert_eq!(refused.body["error"]["code"], "Authentication_MSGraphPermissionMissing");
    client.simulator.edit_app(OPERATOR, |app| app.roles.push("AuditLog.Read.All".into())).unwrap();
    client.simulator.expire_tokens();
    client.sign_in().await;
    let (_, code) = client.made(ALICE, json!({"isUsableOnce": true})).await;
    let sign_in = |code: &str| client.simulator.sign_in("alice@contoso.com", code).is_ok();
    assert!(!sign_in("wrong") && sign_in(&code) && !sign_in(&code));
    assert_eq!(client.get(&path).await.body["value"], json!([]));
    sleep(Duration::from_mins(2)).await;
    let rows = client.get(&path).await.body["value"].clone();
    let codes: Vec<_> =
        rows.as_array().unwrap().iter().map(|r| &r["status"]["errorCode"]).collect();
    assert_eq!(codes, [130_505, 0, 130_503], "newest first");
    assert_eq!(rows[0].get("authenticationDetails"), None, "v1.0 does not say the method");
    client.simulator.switch(|switches| switches.premium_licence = false);
    let code = &client.get(&path).await.body["error"]["code"];
    assert_eq!(code, "Authentication_RequestFromNonPremiumTenantOrB2CTenant");
}

#[tokio::test(start_paused = true)]
async fn batches_throttle_log_and_answer_each_item() {
    let client = Client::with(|switches| switches.authentication_method_limit = Some(2)).await;
    let post = |id: &str, user: Uuid| {
        json!({
            "id": id, "method": "POST", "url": &passes(user)["/v1.0".len()..],
            "headers": {"Content-Type": "application/json"}, "body": {},
        })
    };
    let batch = json!({"requests": [post("a", ALICE), post("b", BOB), post("c", CAROL)]});
    let answers = client.send("POST", "/v1.0/$batch", batch.clone()).await;
    assert_eq!(answers.status, 200);
    let statuses: Vec<_> =
        answers.body["responses"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, [201, 201, 429]);
    assert_eq!(answers.body["responses"][2]["headers"]["retry-after"], "10");
    assert!(client.simulator.ledger().iter().all(super::super::LedgerEntry::is_told));
    assert_eq!(client.simulator.requests_for(Operation::PassCreate).len(), 3);
    let twice = json!({"requests": [post("a", ALICE), post("a", BOB)]});
    assert_eq!(client.send("POST", "/v1.0/$batch", twice).await.status, 400);
    sleep(Duration::from_secs(10)).await;
    client.simulator.inject(Fault::on(Operation::Batch, FaultKind::AnswerLost));
    assert!(client.try_send("POST", "/v1.0/$batch", batch).await.is_err());
    assert_eq!(client.simulator.balance().untold, 2);
}

#[tokio::test(start_paused = true)]
async fn role_assignments_have_any_scope_and_are_not_all_shown_by_directory_roles() {
    let client = Client::with(|switches| switches.page_size = 2).await;
    let (custom, unit) = (Uuid::new_v4(), Uuid::new_v4());
    let scope = format!("/administrativeUnits/{unit}");
    client.simulator.assign_role(RoleAssignment {
        principal_id: ALICE,
        role_definition_id: custom,
        directory_scope_id: scope.clone(),
    });
    let mut path = "/v1.0/roleManagement/directory/roleAssignments".to_owned();
    let mut all = Vec::new();
    loop {
        let page = client.get(&path).await.body;
        all.extend(page["value"].as_array().unwrap().clone());
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        path = next.strip_prefix("https://graph.microsoft.com").unwrap().to_owned();
    }
    assert_eq!(all.len(), 3);
    let scoped = all.iter().find(|row| row["principalId"] == ALICE.to_string()).unwrap();
    assert_eq!(scoped["directoryScopeId"], scope);
    client.simulator.switch(|switches| switches.page_size = 100);
    let of = async |user: Uuid| {
        let path = format!("/v1.0/users/{user}/transitiveMemberOf");
        client.get(&path).await.body.to_string().contains("directoryRole\"")
    };
    assert!(!of(ALICE).await && of(GRACE).await && of(HEIDI).await);
    client.simulator.switch(|switches| switches.roles_follow_groups = false);
    assert!(of(GRACE).await && !of(HEIDI).await);
}

#[tokio::test(start_paused = true)]
async fn eligibilities_are_licensed_and_those_of_groups_need_a_filter_and_a_permission() {
    let mut client = Client::new().await;
    let later = client.simulator.now() + SignedDuration::from_hours(24);
    let role = super::super::tenant::GLOBAL_ADMINISTRATOR_TEMPLATE;
    client.simulator.make_eligible(RoleEligibility {
        start_date_time: Some(later),
        ..RoleEligibility::of(ALICE, role)
    });
    let rows = async |client: &Client, path: &str| {
        let answer = client.get(path).await;
        (answer.status, answer.body["value"].as_array().map_or(0, Vec::len))
    };
    let (instances, schedules) = (
        "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances",
        "/v1.0/roleManagement/directory/roleEligibilitySchedules",
    );
    assert_eq!(rows(&client, instances).await, (200, 0), "it has not begun");
    assert_eq!(rows(&client, schedules).await, (200, 1));
    let listed = format!("{schedules}?$filter=principalId%20in%20('{ALICE}')");
    assert_eq!(rows(&client, &listed).await.0, 400);
    client.simulator.make_eligible(RoleEligibility::of(PILOT_GROUP, role));
    client.simulator.switch(|switches| switches.eligibility_of_members = true);
    let of_bob = format!("{schedules}?$filter=principalId%20eq%20'{BOB}'");
    assert_eq!(rows(&client, &of_bob).await, (200, 1));

    client.simulator.make_eligible_for_group(GroupEligibility {
        group_id: super::super::tenant::HELPDESK_ADMINS_GROUP,
        principal_id: CAROL,
        access_id: GroupAccess::Member,
    });
    let groups = "/v1.0/identityGovernance/privilegedAccess/group/eligibilitySchedules";
    let of_group = format!(
        "{groups}?$filter=groupId%20eq%20'{}'",
        super::super::tenant::HELPDESK_ADMINS_GROUP
    );
    assert_eq!(rows(&client, &of_group).await, (200, 1));
    assert_eq!(rows(&client, groups).await.0, 400);
    let permission = "PrivilegedEligibilitySchedule.Read.AzureADGroup";
    let without = |app: &mut App| app.roles.retain(|role| role != permission);
    client.simulator.edit_app(OPERATOR, without).unwrap();
    let token = client.token.clone();
    client.sign_in().await;
    assert_eq!(rows(&client, &of_group).await.0, 403, "no directory permission covers it");
    client.token = token;
    client.simulator.switch(|switches| switches.privileged_identity_management = false);
    for path in [schedules, &of_group] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.to_string().contains("AadPremiumLicenseRequired"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hides_its_members_is_left_out_without_an_error() {
    let mut client = Client::new().await;
    let hidden = Uuid::new_v4();
    client.simulator.add_group(Group {
        id: hidden,
        display_name: "Hidden".into(),
        visibility: Some("Hiddenmembership".into()),
        members: vec![ALICE],
        ..Group::default()
    });
    let groups = format!("/v1.0/users/{ALICE}/checkMemberGroups");
    let asked = json!({"groupIds": [hidden, STAFF_GROUP]});
    let answer = client.send("POST", &groups, asked.clone()).await;
    assert_eq!((answer.status, &answer.body["value"]), (200, &json!([STAFF_GROUP])));
    let shown = client.get(&format!("/v1.0/groups/{hidden}?$select=visibility")).await.body;
    assert_eq!(shown["visibility"], "Hiddenmembership");
    client.simulator.edit_app(OPERATOR, |app| app.roles.push("Member.Read.Hidden".into())).unwrap();
    client.sign_in().await;
    let answer = client.send("POST", &groups, asked).await;
    assert_eq!(answer.body["value"], json!([hidden, STAFF_GROUP]));
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_any_of_their_addresses() {
    let client = Client::new().await;
    client
        .simulator
        .edit_user("bob@contoso.com", |bob| {
            bob.mail = Some("Bob.Brown@contoso.com".into());
            bob.proxy_addresses =
                vec!["SMTP:Bob.Brown@contoso.com".into(), "smtp:bb@contoso.com".into()];
        })
        .unwrap();
    let found = async |filter: &str| {
        let path = format!("/v1.0/users?$select=id&$top=5&$filter={}", filter.replace(' ', "%20"));
        client.get(&path).await.body["value"].clone()
    };
    let bob = json!([{"id": BOB}]);
    assert_eq!(found("mail eq 'bob.brown@contoso.com'").await, bob);
    assert_eq!(found("proxyAddresses/any(p:p eq 'smtp:bb@contoso.com')").await, bob);
    assert_eq!(
        found("mail eq 'x@c.com' or proxyAddresses/any(p:p eq 'SMTP:BB@contoso.com')").await,
        bob
    );
    assert_eq!(found("mail eq 'bb@contoso.com'").await, json!([]));
    client.simulator.switch(|switches| switches.addresses_any_case = false);
    assert_eq!(found("proxyAddresses/any(p:p eq 'smtp:BB@contoso.com')").await, json!([]));
    assert_eq!(found("proxyAddresses/any(p:p eq 'smtp:bb@contoso.com')").await, bob);
}

#[tokio::test(start_paused = true)]
async fn all_methods_of_a_user_are_listed_with_password_and_pass() {
    let mut client = Client::new().await;
    client
        .simulator
        .edit_user("bob@contoso.com", |bob| bob.methods = vec!["fido2".into()])
        .unwrap();
    let path = format!("/v1.0/users/{BOB}/authentication/methods");
    assert_eq!(client.get(&path).await.status, 403);
    let permission = "UserAuthenticationMethod.Read.All";
    client.simulator.edit_app(OPERATOR, |app| app.roles.push(permission.into())).unwrap();
    client.sign_in().await;
    client.made(BOB, json!({})).await;
    let methods = client.get(&path).await.body["value"].clone();
    let kinds: Vec<_> = methods
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["@odata.type"].as_str().unwrap())
        .collect();
    let kind = |name: &str| format!("#microsoft.graph.{name}AuthenticationMethod");
    assert_eq!(kinds, [kind("password"), kind("fido2"), kind("temporaryAccessPass")]);
}
