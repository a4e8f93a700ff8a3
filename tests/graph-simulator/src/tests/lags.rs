//! Answers that lag behind writes.

use super::*;

#[tokio::test(start_paused = true)]
async fn lists_are_behind_posts_and_deletes() {
    let client = Client::with(|switches| {
        switches.list_lag_after_post_seconds = 5;
        switches.list_lag_after_delete_seconds = 7;
    })
    .await;
    let (first, _) = client.made(ALICE, json!({})).await;
    assert!(client.listed(ALICE).await.is_empty());
    // A single pass by its id has a lag of its own.
    assert_eq!(client.get(&format!("{}/{first}", passes(ALICE))).await.status, 200);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.listed(ALICE).await[0]["id"], first.to_string());
    let (second, _) = client.made(ALICE, json!({})).await;
    assert_eq!(client.listed(ALICE).await[0]["id"], first.to_string());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.listed(ALICE).await[0]["id"], second.to_string());
    client.delete(ALICE, second).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(client.listed(ALICE).await[0]["id"], second.to_string());
    sleep(Duration::from_secs(1)).await;
    assert!(client.listed(ALICE).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delete_right_after_a_post_and_a_post_right_after_a_delete() {
    let client = Client::with(|switches| {
        switches.delete_after_post_not_found_seconds = 5;
        switches.post_after_delete_conflict_seconds = 5;
    })
    .await;
    let (id, _) = client.made(ALICE, json!({})).await;
    assert_eq!(client.delete(ALICE, id).await.status, 404);
    assert_eq!(client.end(id), End::Live);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.delete(ALICE, id).await.status, 204);
    let refused = client.create(ALICE, json!({})).await;
    assert!(refused.status == 400 && refused.message().contains("conflicting object"));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.create(ALICE, json!({})).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn single_passes_may_be_behind_too() {
    let client = Client::with(|switches| {
        switches.get_lag_after_post_seconds = 3;
        switches.get_lag_after_delete_seconds = 3;
    })
    .await;
    let (id, _) = client.made(ALICE, json!({})).await;
    let status = async || client.get(&format!("{}/{id}", passes(ALICE))).await.status;
    assert_eq!(status().await, 404);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(status().await, 200);
    client.delete(ALICE, id).await;
    assert_eq!(status().await, 200);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(status().await, 404);
}

#[tokio::test(start_paused = true)]
async fn a_new_user_is_not_ready_at_once() {
    let client = Client::with(|switches| switches.user_ready_after_seconds = 20).await;
    let id = Uuid::new_v4();
    client.simulator.add_user(User::member(id, "new@contoso.com", "New"));
    assert_eq!(client.get("/v1.0/users/new%40contoso.com").await.status, 200);
    for (answer, status) in [
        (NotReadyAnswer::NotFound, 404),
        (NotReadyAnswer::BadRequest, 400),
        (NotReadyAnswer::Forbidden, 403),
    ] {
        client.simulator.switch(|switches| switches.user_not_ready_answer = answer);
        assert_eq!(client.create(id, json!({})).await.status, status);
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!(client.create(id, json!({})).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn expired_passes_may_vanish_by_themselves() {
    let client = Client::with(|switches| switches.expired_pass_listed_seconds = Some(60)).await;
    let (id, _) = client
        .made(ALICE, json!({"startDateTime": "2026-11-24T07:00:30Z", "lifetimeInMinutes": 60}))
        .await;
    sleep(Duration::from_secs(89)).await;
    assert_eq!(client.reason(ALICE).await, "Expired");
    sleep(Duration::from_secs(1)).await;
    assert!(client.listed(ALICE).await.is_empty());
    assert_eq!(client.delete(ALICE, id).await.status, 404);
    assert!(matches!(client.end(id), End::Expired { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_index_is_behind_the_directory() {
    let client = Client::with(|switches| switches.directory_lag_seconds = 15).await;
    client.simulator.add_member(PILOT_GROUP, CAROL).unwrap();
    let groups = async || {
        let path = format!(
            "/v1.0/users/{CAROL}/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id"
        );
        let request = Request::get(path)
            .header("authorization", format!("Bearer {}", client.token))
            .header("consistencylevel", "eventual");
        let response = client.simulator.call(request.body(Bytes::new()).unwrap()).await.unwrap();
        reply(response).body["value"].as_array().unwrap().len()
    };
    let checked = client
        .send(
            "POST",
            &format!("/v1.0/users/{CAROL}/checkMemberGroups"),
            json!({"groupIds": [PILOT_GROUP]}),
        )
        .await;
    assert_eq!(checked.body["value"], json!([PILOT_GROUP]));
    assert_eq!(groups().await, 1);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(groups().await, 2);
}
