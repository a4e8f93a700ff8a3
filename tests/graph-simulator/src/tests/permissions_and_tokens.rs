//! What a token permits, and for how long.

use super::*;

async fn with_roles(roles: &[&str]) -> Client {
    let mut client = Client::new().await;
    client
        .simulator
        .edit_app(OPERATOR, |app| app.roles = roles.iter().map(ToString::to_string).collect())
        .unwrap();
    client.sign_in().await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_403_in_each_services_words() {
    let client =
        with_roles(&["UserAuthMethod-TAP.Read.All", "Policy.Read.AuthenticationMethod"]).await;
    assert_eq!(client.get(&passes(ALICE)).await.status, 200);
    assert_eq!(client.get(POLICY).await.status, 200);
    for refused in
        [client.create(ALICE, json!({})).await, client.patch(json!({"defaultLength": 9})).await]
    {
        assert_eq!((refused.status, refused.code()), (403, "accessDenied"));
        assert_eq!(refused.message(), "Request Authorization failed");
    }
    let refused = client.get(&format!("/v1.0/users/{ALICE}")).await;
    assert_eq!((refused.status, refused.code()), (403, "Authorization_RequestDenied"));
    assert_eq!(refused.message(), "Insufficient privileges to complete the operation.");
}

#[tokio::test(start_paused = true)]
async fn too_few_rights_show_limited_information() {
    let client = with_roles(&["User.Read.All"]).await;
    let member_of = client.get(&format!("/v1.0/users/{GRACE}/transitiveMemberOf")).await.body;
    let role = member_of["value"].as_array().unwrap().last().unwrap();
    assert_eq!(role["@odata.type"], "#microsoft.graph.directoryRole");
    assert!(
        role["id"].is_string() && role["roleTemplateId"].is_null() && role["displayName"].is_null()
    );
    let client = with_roles(&["User.ReadBasic.All"]).await;
    let user = client.get(&format!("/v1.0/users/{ALICE}?$select=id,accountEnabled")).await.body;
    assert!(user["id"].is_string() && user["accountEnabled"].is_null());
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_later_is_in_the_next_token() {
    let mut client = with_roles(&[]).await;
    client.simulator.edit_app(OPERATOR, |app| app.roles.push("User.Read.All".into())).unwrap();
    assert_eq!(client.get(&format!("/v1.0/users/{ALICE}")).await.status, 403);
    client.sign_in().await;
    assert_eq!(client.get(&format!("/v1.0/users/{ALICE}")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_token_expires() {
    let mut client = Client::with(|switches| switches.token_lifetime_seconds = 3_599).await;
    client.sign_in().await;
    sleep(Duration::from_secs(3_598)).await;
    assert_eq!(client.get(POLICY).await.status, 200);
    sleep(Duration::from_secs(1)).await;
    let expired = client.get(POLICY).await;
    assert_eq!((expired.status, expired.code()), (401, "InvalidAuthenticationToken"));
    assert!(expired.header("www-authenticate").starts_with("Bearer "));
    client.simulator.switch(|switches| switches.expired_token_body = ExpiredTokenBody::Empty);
    assert_eq!(client.get(POLICY).await.raw, "");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_shown() {
    let mut client = Client::new().await;
    client.token = "made.up.token".into();
    assert_eq!(client.get(POLICY).await.status, 401);
    assert_eq!(client.create(ALICE, json!({})).await.status, 401);
    assert!(client.simulator.ledger().is_empty());
}
