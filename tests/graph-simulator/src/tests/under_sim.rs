//! Everything under `/_sim`.

use super::*;

async fn control(simulator: &Simulator, method: &str, path: &str, body: Value) -> Reply {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
    reply(simulator.call(request).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn everything_works_over_http_too() {
    let simulator = Client::new().await.simulator;
    let send =
        async |method: &str, path: &str, body: Value| control(&simulator, method, path, body).await;
    let made =
        send("POST", "/_sim/users/alice@contoso.com/passes", json!({"isUsableOnce": true})).await;
    let (id, code) = (&made.body["id"], &made.body["temporaryAccessPass"]);
    assert_eq!(&send("GET", "/_sim/codes", Value::Null).await.body[id.as_str().unwrap()], code);
    let sign_in = json!({"userPrincipalName": "alice@contoso.com", "temporaryAccessPass": code});
    let signed_in = send("POST", "/_sim/sign-in", sign_in.clone()).await;
    assert_eq!(signed_in.status, 200);
    let refused = send("POST", "/_sim/sign-in", sign_in).await;
    assert_eq!((refused.status, &refused.body["reason"]), (401, &json!("oneTimeUsed")));
    let session = format!("/_sim/sessions/{}", signed_in.body["session"].as_str().unwrap());
    assert_eq!(send("GET", &session, Value::Null).await.body["alive"], true);
    assert_eq!(
        send("POST", "/_sim/switches", json!({"pastStart": "refuse"})).await.body["pastStart"],
        "refuse"
    );
    assert_eq!(simulator.switches().past_start, PastStart::Refuse);
    assert_eq!(send("POST", "/_sim/switches", json!({"nonsense": 1})).await.status, 400);
    send(
        "POST",
        "/_sim/faults",
        json!([{"kind": "answerLost"}, {"kind": {"hang": {"seconds": 3}}}]),
    )
    .await;
    assert_eq!(simulator.faults().len(), 2);
    send("DELETE", "/_sim/faults", Value::Null).await;
    assert_eq!(simulator.faults().len(), 0);
    let clock = send("POST", "/_sim/clock", json!({"stepSeconds": 3_600})).await;
    assert_eq!(clock.body["now"], "2026-11-24T09:00:00Z");
    assert_eq!(send("POST", "/_sim/policy", json!({"defaultLength": 7})).await.status, 400);
    assert_eq!(
        send("POST", "/_sim/policy", json!({"defaultLength": 9})).await.body["defaultLength"],
        9
    );
    send("POST", "/_sim/users/bob%40contoso.com", json!({"accountEnabled": false})).await;
    assert!(!simulator.users()[1].account_enabled);
    send("DELETE", &format!("/_sim/members/{PILOT_GROUP}/{ALICE}"), Value::Null).await;
    assert!(!simulator.groups()[0].members.contains(&ALICE));
    send("DELETE", "/_sim/users/carol@contoso.com", Value::Null).await;
    assert_eq!(simulator.users().len(), 7);
    assert!(!send("GET", "/_sim/apps", Value::Null).await.raw.contains(OPERATOR_SECRET));
    assert!(!send("GET", "/_sim/ledger", Value::Null).await.raw.contains(code.as_str().unwrap()));
    assert_eq!(send("GET", "/_sim/ledger/balance", Value::Null).await.body["used"], 1);
    assert_eq!(send("GET", "/_sim/nothing", Value::Null).await.status, 404);
    send("POST", "/_sim/unreachable", json!({"unreachable": true})).await;
    assert!(simulator.call(Request::get(POLICY).body(Bytes::new()).unwrap()).await.is_err());
    let log = send("GET", "/_sim/requests?operation=policyGet", Value::Null).await.body;
    assert_eq!(log[0]["fault"], "unreachable");
}
