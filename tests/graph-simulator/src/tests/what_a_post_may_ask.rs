//! What a POST may ask for, and for whom.

use super::*;

#[tokio::test(start_paused = true)]
async fn lifetimes_outside_the_policy_are_refused_in_graphs_words() {
    let client = Client::new().await;
    for lifetime in [59, 481, 0, -1] {
        let refused = client.create(ALICE, json!({"lifetimeInMinutes": lifetime})).await;
        assert_eq!((refused.status, refused.code()), (400, "badRequest"));
        let message = "Invalid LifetimeInMinutes specified. The valid range between 60 and 480.";
        assert_eq!(refused.message(), message);
        let inner = &refused.body["error"]["innerError"];
        assert_eq!(inner["message"], message);
        assert_eq!(inner["date"], "2026-11-24T08:00:00");
        assert_eq!(inner["request-id"], refused.header("request-id"));
    }
    assert!(client.simulator.ledger().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_comes_from_the_policy() {
    let client = Client::new().await;
    client
        .patch(json!({"isUsableOnce": true, "defaultLifetimeInMinutes": 90, "defaultLength": 20}))
        .await;
    let made = client.create(ALICE, json!({})).await.body;
    assert_eq!((&made["isUsableOnce"], &made["lifetimeInMinutes"]), (&json!(true), &json!(90)));
    assert_eq!(made["startDateTime"], "2026-11-24T08:00:00Z");
    assert_eq!(made["createdDateTime"], "2026-11-24T08:00:00.0000000Z");
    assert_eq!(made["temporaryAccessPass"].as_str().unwrap().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_multi_use_pass_under_a_one_time_policy() {
    let client = Client::new().await;
    client.patch(json!({"isUsableOnce": true})).await;
    let multi_use = || json!({"isUsableOnce": false});
    assert_eq!(client.create(ALICE, multi_use()).await.status, 400);
    client.simulator.switch(|switches| switches.one_time_enforced = OneTimeEnforced::Coerce);
    assert_eq!(client.create(ALICE, multi_use()).await.body["isUsableOnce"], true);
    client.simulator.switch(|switches| switches.one_time_enforced = OneTimeEnforced::Accept);
    let made = client.create(ALICE, multi_use()).await.body;
    assert_eq!(made["isUsableOnce"], false);
    assert_eq!(made["methodUsabilityReason"], "DisabledByPolicy");
    client.simulator.switch(|switches| switches.multi_use_under_one_time_policy = MultiUse::Usable);
    assert_eq!(client.reason(ALICE).await, "EnabledByPolicy");
}

#[tokio::test(start_paused = true)]
async fn special_users() {
    let client = Client::new().await;
    let external = client.create(ERIN, json!({})).await;
    assert_eq!(external.status, 400);
    assert_eq!(
        external.message(),
        "Temporary Access Pass cannot be added to an external guest user"
    );
    for user in [FRANK, DAVE, GRACE] {
        assert_eq!(client.create(user, json!({})).await.status, 201);
    }
    client.simulator.switch(|switches| {
        switches.disabled_user_post = CreateOrRefuse::Refuse;
        switches.admin_post = CreateOrRefuse::Refuse;
        switches.guest_message_final_dot = true;
    });
    assert!(client.create(ERIN, json!({})).await.message().ends_with("user."));
    assert_eq!(client.create(DAVE, json!({})).await.status, 400);
    for admin in [GRACE, HEIDI] {
        assert_eq!(client.create(admin, json!({})).await.code(), "accessDenied");
    }
    assert_eq!(client.create(FRANK, json!({})).await.status, 201);
    assert_eq!(client.create(Uuid::nil(), json!({})).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn disabled_policies_and_users_out_of_scope() {
    let client = Client::new().await;
    client.patch(json!({"includeTargets": [{"targetType": "group", "id": PILOT_GROUP}]})).await;
    client.simulator.switch(|switches| switches.post_out_of_scope = CreateOrRefuse::Create);
    assert_eq!(
        client.create(CAROL, json!({})).await.body["methodUsabilityReason"],
        "DisabledByPolicy"
    );
    client.simulator.switch(|switches| switches.post_out_of_scope = CreateOrRefuse::Refuse);
    assert_eq!(client.create(CAROL, json!({})).await.status, 400);
    client.patch(json!({"state": "disabled"})).await;
    assert_eq!(
        client.create(ALICE, json!({})).await.body["methodUsabilityReason"],
        "DisabledByPolicy"
    );
    client.simulator.switch(|switches| switches.post_while_disabled = CreateOrRefuse::Refuse);
    assert_eq!(client.create(ALICE, json!({})).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn starts() {
    let client = Client::new().await;
    let start = |text: &str| json!({"startDateTime": text});
    let future = client.create(ALICE, start("2026-11-25T10:00:00.123456+02:00")).await.body;
    assert_eq!(future["startDateTime"], "2026-11-25T08:00:00.123456Z");
    assert_eq!(future["methodUsabilityReason"], "NotYetValid");
    let past = || start("2026-11-24T07:00:00Z");
    assert_eq!(client.create(ALICE, past()).await.body["methodUsabilityReason"], "Expired");
    client.simulator.switch(|switches| switches.past_start = PastStart::Now);
    assert_eq!(client.create(ALICE, past()).await.body["startDateTime"], "2026-11-24T08:00:00Z");
    client.simulator.switch(|switches| switches.past_start = PastStart::Refuse);
    assert_eq!(client.create(ALICE, past()).await.status, 400);
    client.simulator.switch(|switches| switches.farthest_start_days = Some(30));
    assert_eq!(client.create(ALICE, start("2026-12-24T08:00:00Z")).await.status, 201);
    assert_eq!(client.create(ALICE, start("2026-12-24T08:00:01Z")).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_content_type_is_demanded() {
    let client = Client::new().await;
    let request =
        Request::post(passes(ALICE)).header("authorization", format!("Bearer {}", client.token));
    let response = client.simulator.call(request.body("{}".into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 415);
}

#[tokio::test(start_paused = true)]
async fn usability_may_be_left_out_of_answers() {
    let client =
        Client::with(|switches| switches.usability_fields = UsabilityFields::ReasonOnly).await;
    let made = client.create(ALICE, json!({})).await.body;
    assert_eq!(made.get("isUsable"), None);
    assert_eq!(made["methodUsabilityReason"], "EnabledByPolicy");
    client.simulator.switch(|switches| switches.usability_fields = UsabilityFields::Neither);
    let listed = client.listed(ALICE).await;
    assert_eq!((listed[0].get("isUsable"), listed[0].get("methodUsabilityReason")), (None, None));
}
