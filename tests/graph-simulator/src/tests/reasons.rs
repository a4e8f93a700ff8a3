//! Why a pass can or cannot be used.

use super::*;

#[tokio::test(start_paused = true)]
async fn follow_the_clock() {
    let client = Client::new().await;
    client
        .made(ALICE, json!({"startDateTime": "2026-11-24T09:00:00Z", "lifetimeInMinutes": 60}))
        .await;
    assert_eq!(client.reason(ALICE).await, "NotYetValid");
    sleep(Duration::from_secs(3_599)).await;
    assert_eq!(client.reason(ALICE).await, "NotYetValid");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.reason(ALICE).await, "EnabledByPolicy");
    client.step(3_599);
    assert_eq!(client.reason(ALICE).await, "EnabledByPolicy");
    client.step(1);
    assert_eq!(client.reason(ALICE).await, "Expired");
}

#[tokio::test(start_paused = true)]
async fn used_wins_over_expired_over_disabled_over_not_yet_valid() {
    let client = Client::new().await;
    client.made(BOB, json!({"startDateTime": "2026-11-25T08:00:00Z"})).await;
    let (_, code) =
        client.made(ALICE, json!({"isUsableOnce": true, "lifetimeInMinutes": 60})).await;
    client.made(CAROL, json!({"lifetimeInMinutes": 60})).await;
    client.simulator.sign_in("alice@contoso.com", &code).unwrap();
    client.patch(json!({"state": "disabled"})).await;
    assert_eq!(client.reason(BOB).await, "DisabledByPolicy");
    assert_eq!(client.reason(CAROL).await, "DisabledByPolicy");
    client.step(3_600);
    assert_eq!(client.reason(CAROL).await, "Expired");
    assert_eq!(client.reason(ALICE).await, "OneTimeUsed");
    client.simulator.switch(|switches| switches.reason_precedence = ReasonPrecedence::ExpiredFirst);
    assert_eq!(client.reason(ALICE).await, "Expired");
    client.simulator.switch(|switches| switches.reason_precedence = ReasonPrecedence::PolicyFirst);
    assert_eq!(client.reason(ALICE).await, "DisabledByPolicy");
}

#[tokio::test(start_paused = true)]
async fn exclusion_wins_and_groups_nest() {
    let client = Client::new().await;
    for user in [ALICE, CAROL] {
        client.made(user, json!({})).await;
    }
    client
        .patch(json!({
            "includeTargets": [{"targetType": "group", "id": STAFF_GROUP}],
            "excludeTargets": [{"targetType": "group", "id": PILOT_GROUP}],
        }))
        .await;
    assert_eq!(client.reason(ALICE).await, "DisabledByPolicy");
    assert_eq!(client.reason(CAROL).await, "EnabledByPolicy");
    client.simulator.remove_member(PILOT_GROUP, ALICE).unwrap();
    client.simulator.add_member(STAFF_GROUP, ALICE).unwrap();
    assert_eq!(client.reason(ALICE).await, "EnabledByPolicy");
}

#[tokio::test(start_paused = true)]
async fn a_use_may_be_seen_late() {
    let client = Client::with(|switches| switches.use_seen_lag_seconds = 30).await;
    let (_, code) = client.made(ALICE, json!({"isUsableOnce": true})).await;
    client.simulator.sign_in("alice@contoso.com", &code).unwrap();
    assert_eq!(client.reason(ALICE).await, "EnabledByPolicy");
    assert_eq!(client.simulator.sign_in("alice@contoso.com", &code), Err(SignInError::OneTimeUsed));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(client.reason(ALICE).await, "OneTimeUsed");
}
