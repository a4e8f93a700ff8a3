//! Signing in with a code.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_one_time_pass_works_once_and_its_session_ends_with_it() {
    let client = Client::new().await;
    let (id, code) =
        client.made(ALICE, json!({"isUsableOnce": true, "lifetimeInMinutes": 60})).await;
    let sign_in = |code: &str| client.simulator.sign_in("alice@contoso.com", code);
    assert_eq!(sign_in("wrong"), Err(SignInError::WrongCode));
    let session = sign_in(&code).unwrap().session;
    assert_eq!(sign_in(&code), Err(SignInError::OneTimeUsed));
    let now = || client.simulator.session(session).unwrap();
    assert!(now().alive && now().can_register);
    sleep(Duration::from_mins(10)).await;
    assert!(now().alive && !now().can_register);
    client.delete(ALICE, id).await;
    assert!(!client.simulator.session_alive(session));
    assert_eq!(sign_in(&code), Err(SignInError::WrongCode));
    assert_eq!(client.simulator.balance().used, 1);
}

#[tokio::test(start_paused = true)]
async fn a_multi_use_pass_works_until_it_ends() {
    let client = Client::new().await;
    let (_, code) = client.made(ALICE, json!({"lifetimeInMinutes": 60})).await;
    let sign_in = || client.simulator.sign_in("Alice@Contoso.com", &code);
    let first = sign_in().unwrap().session;
    sign_in().unwrap();
    client.step(3_599);
    assert!(client.simulator.session(first).unwrap().can_register);
    client.step(1);
    assert_eq!(sign_in(), Err(SignInError::Expired));
    assert!(!client.simulator.session_alive(first));
}

#[tokio::test(start_paused = true)]
async fn each_obstacle_has_its_name() {
    let client = Client::new().await;
    let sign_in = |name: &str, code: &str| client.simulator.sign_in(name, code).unwrap_err();
    let (_, dave) = client.made(DAVE, json!({})).await;
    assert_eq!(sign_in("dave@contoso.com", &dave), SignInError::AccountDisabled);
    assert_eq!(sign_in("nobody@contoso.com", &dave), SignInError::UnknownUser);
    let (_, early) = client.made(ALICE, json!({"startDateTime": "2026-11-24T09:00:00Z"})).await;
    assert_eq!(sign_in("alice@contoso.com", &early), SignInError::NotYetValid);
    let (_, bob) = client.made(BOB, json!({})).await;
    client.patch(json!({"state": "disabled"})).await;
    assert_eq!(sign_in("bob@contoso.com", &bob), SignInError::DisabledByPolicy);
    client.patch(json!({"state": "enabled"})).await;
    let session = client.simulator.sign_in("bob@contoso.com", &bob).unwrap().session;
    client.simulator.edit_user("bob@contoso.com", |user| user.account_enabled = false).unwrap();
    assert!(!client.simulator.session_alive(session));
}

#[tokio::test(start_paused = true)]
async fn a_new_pass_or_policy_may_take_effect_late() {
    let client = Client::with(|switches| {
        switches.usable_lag_seconds = 10;
        switches.policy_effect_lag_seconds = 120;
    })
    .await;
    let (_, code) = client.made(ALICE, json!({})).await;
    let sign_in = || client.simulator.sign_in("alice@contoso.com", &code).map(|_| ());
    assert_eq!(sign_in(), Err(SignInError::NotYetValid));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(sign_in(), Ok(()));
    client.patch(json!({"state": "disabled"})).await;
    assert_eq!(client.get(POLICY).await.body["state"], "disabled");
    sleep(Duration::from_secs(119)).await;
    assert_eq!(sign_in(), Ok(()));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(sign_in(), Err(SignInError::DisabledByPolicy));
}
