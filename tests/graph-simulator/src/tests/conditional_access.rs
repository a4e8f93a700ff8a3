//! Conditional Access: who may read it, and what it does to a sign-in with a code.

use super::*;

const POLICIES: &str = "/v1.0/identity/conditionalAccess/policies";
const STRENGTHS: &str = "/v1.0/policies/authenticationStrengthPolicies";
const EVALUATE: &str = "/v1.0/identity/conditionalAccess/evaluate";
const RESISTANT: &str = "00000000-0000-0000-0000-000000000004";

/// A tenant that demands keys of the pilot group.
async fn client(permission: &str) -> Client {
    let mut client = Client::with(|switches| switches.conditional_access_limit = None).await;
    client.simulator.edit_app(OPERATOR, |app| app.roles.push(permission.into())).unwrap();
    client.simulator.set_access_policies(vec![json!({
        "id": "ca000000-0000-4000-8000-000000000001", "displayName": "Keys",
        "conditions": {
            "users": {"includeGroups": [PILOT_GROUP]},
            "applications": {"includeApplications": ["All"]},
        },
        "grantControls": {"authenticationStrength": {"id": RESISTANT}},
    })]);
    client.sign_in().await;
    client
}

async fn evaluate(client: &Client, user: Uuid) -> Reply {
    let question = json!({
        "signInIdentity": {"@odata.type": "#microsoft.graph.userSignIn", "userId": user},
        "signInContext": {"@odata.type": "#microsoft.graph.applicationContext",
            "includeApplications": ["19db86c3-b2b9-44cc-b339-36da233a3be2"]},
        "signInConditions": {},
        "appliedPoliciesOnly": true,
    });
    client.send("POST", EVALUATE, question).await
}

#[tokio::test(start_paused = true)]
async fn each_call_has_its_permission() {
    for (permission, expected) in [
        ("User.Read.All", [403, 403, 403]),
        ("Policy.Read.AuthenticationMethod", [403, 200, 403]),
        ("Policy.Read.ConditionalAccess", [403, 403, 200]),
        ("Policy.Read.All", [200, 200, 200]),
    ] {
        let client = client(permission).await;
        let answers = [
            client.get(POLICIES).await.status,
            client.get(STRENGTHS).await.status,
            evaluate(&client, ALICE).await.status,
        ];
        assert_eq!(answers, expected, "{permission}");
    }
}

#[tokio::test(start_paused = true)]
async fn policies_come_whole_with_their_strengths() {
    let client = client("Policy.Read.All").await;
    let policy = client.get(POLICIES).await.body["value"][0].clone();
    assert_eq!(policy["state"], "enabled");
    let strength = &policy["grantControls"]["authenticationStrength"];
    assert_eq!(strength["displayName"], "Phishing resistant MFA");
    assert!(policy["conditions"]["locations"].is_null());
    let met = async |user| evaluate(&client, user).await.body["value"].as_array().unwrap().len();
    assert_eq!((met(ALICE).await, met(CAROL).await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_one_request_in_a_second_and_names_no_time_to_wait() {
    let client = client("Policy.Read.All").await;
    client.simulator.switch(|switches| switches.conditional_access_limit = Some(1));
    assert_eq!(client.get(POLICIES).await.status, 200);
    let throttled = client.get(STRENGTHS).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, ""));
    client.step(1);
    assert_eq!(client.get(STRENGTHS).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn some_clouds_offer_no_what_if() {
    let client = client("Policy.Read.All").await;
    client.simulator.switch(|switches| switches.what_if = false);
    assert_eq!(evaluate(&client, ALICE).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_code_opens_nothing_for_whom_a_policy_concerns() {
    let client = client("Policy.Read.All").await;
    let (_, alice) = client.made(ALICE, json!({"isUsableOnce": true})).await;
    let (_, carol) = client.made(CAROL, json!({"isUsableOnce": true})).await;
    let sign_in = |name: &str, code: &str| client.simulator.sign_in(name, code).map(|_| ());
    let blocked = Err(SignInError::BlockedByConditionalAccess);
    assert_eq!(sign_in("alice@contoso.com", &alice), blocked);
    assert_eq!(sign_in("carol@contoso.com", &carol), Ok(()));
    // The pass is not used up by that.
    client.simulator.set_access_policies(Vec::new());
    assert_eq!(sign_in("alice@contoso.com", &alice), Ok(()));
}
