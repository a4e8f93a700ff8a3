//! The tenant's policy in requests and answers.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_patch_changes_what_it_names() {
    let client = Client::new().await;
    let targets = json!([{"targetType": "group", "id": PILOT_GROUP}]);
    let patched = client.patch(json!({"defaultLength": 14, "includeTargets": targets})).await;
    assert_eq!((patched.status, patched.raw.as_str()), (204, ""));
    let policy = client.get(&POLICY.replace("Temporary", "temporary")).await.body;
    assert_eq!(policy["id"], "TemporaryAccessPass");
    assert_eq!(
        (&policy["defaultLength"], &policy["maximumLifetimeInMinutes"]),
        (&json!(14), &json!(480))
    );
    let expected =
        json!([{"targetType": "group", "id": PILOT_GROUP, "isRegistrationRequired": false}]);
    assert_eq!(policy["includeTargets"], expected);
    // A client may send the whole answer back.
    assert_eq!(client.patch(policy).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let client = Client::new().await;
    let before = client.simulator.policy();
    for fields in [
        json!({"minimumLifetimeInMinutes": 9}),
        json!({"maximumLifetimeInMinutes": 43_201}),
        json!({"minimumLifetimeInMinutes": 500}),
        json!({"defaultLifetimeInMinutes": 30}),
        json!({"defaultLength": 49}),
        json!({"defaultLength": null}),
        json!({"includeTargets": [{"targetType": "group", "id": "pilots"}]}),
        json!({"includeTargets": [{"targetType": "user", "id": "all_users"}]}),
        json!({"nonsense": 1}),
    ] {
        let refused = client.patch(fields.clone()).await;
        assert_eq!((refused.status, refused.code()), (400, "badRequest"), "{fields}");
    }
    let untyped = client.send("PATCH", POLICY, json!({"defaultLength": 14})).await;
    assert_eq!(untyped.status, 400);
    let other = json!({"@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration"});
    assert_eq!(client.send("PATCH", POLICY, other).await.status, 400);
    assert_eq!(client.simulator.policy(), before);
}

#[tokio::test(start_paused = true)]
async fn a_default_left_out_is_recalculated_or_the_patch_refused() {
    let client = Client::new().await;
    let raise = || json!({"minimumLifetimeInMinutes": 120});
    client.simulator.switch(|switches| switches.recalculate_default_lifetime = false);
    assert_eq!(client.patch(raise()).await.status, 400);
    client.simulator.switch(|switches| switches.recalculate_default_lifetime = true);
    assert_eq!(client.patch(raise()).await.status, 204);
    assert_eq!(client.simulator.policy().default_lifetime_in_minutes, 120);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_in_the_scope_of_an_empty_list() {
    let client = Client::new().await;
    client.made(ALICE, json!({})).await;
    assert_eq!(client.patch(json!({"includeTargets": []})).await.status, 204);
    assert_eq!(client.reason(ALICE).await, "DisabledByPolicy");
    client.simulator.switch(|switches| switches.empty_include_targets = EmptyTargets::Refuse);
    assert_eq!(client.patch(json!({"includeTargets": []})).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn delete_resets() {
    let client = Client::new().await;
    client.patch(json!({"defaultLength": 14, "includeTargets": []})).await;
    assert_eq!(client.send("DELETE", POLICY, Value::Null).await.status, 204);
    let policy = client.get(POLICY).await.body;
    assert_eq!((&policy["state"], &policy["defaultLength"]), (&json!("disabled"), &json!(8)));
    assert_eq!(policy["includeTargets"][0]["id"], "all_users");
}

#[tokio::test(start_paused = true)]
async fn a_read_may_be_behind_a_write() {
    let client = Client::with(|switches| switches.policy_read_lag_seconds = 10).await;
    client.patch(json!({"defaultLength": 14})).await;
    assert_eq!(client.get(POLICY).await.body["defaultLength"], 8);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(client.get(POLICY).await.body["defaultLength"], 14);
}
