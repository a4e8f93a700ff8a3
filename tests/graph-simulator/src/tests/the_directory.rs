//! Users, groups, roles, the audit log, batches.

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
