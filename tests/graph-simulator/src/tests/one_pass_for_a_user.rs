//! A user has one pass at a time, and each pass ends once.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_code_is_told_once() {
    let client = Client::new().await;
    let (id, code) = client.made(ALICE, json!({"lifetimeInMinutes": 60})).await;
    assert_eq!(code.len(), 8);
    let listed = client.listed(ALICE).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], id.to_string());
    assert_eq!(listed[0]["temporaryAccessPass"], Value::Null);
    assert_eq!(listed[0].get("@odata.type"), None);
    let one = client.get(&format!("{}/{id}", passes(ALICE))).await;
    assert_eq!(one.body["temporaryAccessPass"], Value::Null);
    assert!(!one.raw.contains(&code));
    assert_eq!(client.simulator.code(id), Some(code));
}

#[tokio::test(start_paused = true)]
async fn a_post_replaces_a_live_pass_and_the_ledger_says_whose() {
    let client = Client::new().await;
    let foreign = client.simulator.portal_create_pass("alice@contoso.com", &json!({})).unwrap();
    let (own, _) = client.made(ALICE, json!({})).await;
    let (next, _) = client.made(ALICE, json!({})).await;
    assert!(matches!(client.end(foreign), End::Replaced { with, .. } if with == own));
    assert!(matches!(client.end(own), End::Replaced { with, .. } if with == next));
    assert_eq!(client.end(next), End::Live);
    assert_eq!(client.listed(ALICE).await.len(), 1);
    let balance = client.simulator.balance();
    assert_eq!(
        (balance.made, balance.made_in_portal, balance.replaced, balance.replaced_foreign),
        (3, 1, 2, 1)
    );
    let entry = &client.simulator.ledger()[1];
    assert_eq!(entry.replaced_pass, Some(foreign));
    assert_eq!(entry.made_by, Actor::App { client_id: OPERATOR, name: "tap-operator".into() });
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_refuses_takes_a_new_pass_after_use_expiry_or_deletion() {
    let client =
        Client::with(|switches| switches.post_over_live_pass = PostOverLivePass::Refuse).await;
    let (first, _) = client.made(ALICE, json!({})).await;
    assert_eq!(client.create(ALICE, json!({})).await.status, 400);
    assert_eq!(client.end(first), End::Live);
    assert_eq!(client.delete(ALICE, first).await.status, 204);
    client.made(ALICE, json!({"lifetimeInMinutes": 60})).await;
    client.step(3_600);
    let (_, code) = client.made(ALICE, json!({"isUsableOnce": true})).await;
    client.simulator.sign_in("alice@contoso.com", &code).unwrap();
    client.made(ALICE, json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn each_pass_has_one_end_the_first_that_came() {
    let client = Client::new().await;
    let (deleted, _) = client.made(ALICE, json!({"lifetimeInMinutes": 60})).await;
    client.delete(ALICE, deleted).await;
    let (expired, _) = client.made(BOB, json!({"lifetimeInMinutes": 60})).await;
    client.step(3_600);
    assert!(matches!(client.end(deleted), End::Deleted { by: Actor::App { .. }, .. }));
    // It had already expired when it was replaced, and when it was deleted.
    client.made(BOB, json!({})).await;
    assert!(matches!(client.end(expired), End::Expired { .. }));
    let (also_expired, _) = client.made(CAROL, json!({"lifetimeInMinutes": 60})).await;
    client.step(3_600);
    assert_eq!(client.delete(CAROL, also_expired).await.status, 204);
    assert!(matches!(client.end(also_expired), End::Expired { .. }));
    let balance = client.simulator.balance();
    assert_eq!(
        (balance.made, balance.live, balance.deleted, balance.replaced, balance.expired),
        (4, 0, 1, 0, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn deleting_is_final_and_only_for_the_users_own() {
    let client = Client::new().await;
    let (id, _) = client.made(ALICE, json!({})).await;
    assert_eq!(client.delete(BOB, id).await.status, 404);
    assert_eq!(client.delete(ALICE, id).await.status, 204);
    let again = client.delete(ALICE, id).await;
    assert_eq!((again.status, again.code()), (404, "resourceNotFound"));
    assert_eq!(client.get(&format!("{}/{id}", passes(ALICE))).await.status, 404);
    assert_eq!(client.get(&format!("{}/nonsense", passes(ALICE))).await.status, 400);
    assert!(client.listed(ALICE).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_user_takes_the_pass_along() {
    let client = Client::new().await;
    let (id, _) = client.made(ALICE, json!({})).await;
    client.simulator.delete_user("alice@contoso.com").unwrap();
    assert!(matches!(client.end(id), End::Deleted { by: Actor::Portal, .. }));
    assert_eq!(client.get(&passes(ALICE)).await.status, 404);
    assert_eq!(
        client.get(&format!("/v1.0/users/{ALICE}")).await.code(),
        "Request_ResourceNotFound"
    );
}
