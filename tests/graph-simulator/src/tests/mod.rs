//! The tenant's rules as a client sees them: in one process, under paused time.

mod conditional_access;
mod faults_happen;
mod lags;
mod login;
mod one_pass_for_a_user;
mod permissions_and_tokens;
mod reasons;
mod seeds;
mod signing_in;
mod the_directory;
mod the_policy;
mod under_sim;
mod what_a_post_may_ask;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    Actor, ConnectionCut, End, Fault, FaultKind, Operation, SignInError, Simulator, Switches,
    Tenant,
    switches::{
        CreateOrRefuse, EmptyTargets, ExpiredTokenBody, MultiUse, NotReadyAnswer, OneTimeEnforced,
        PastStart, PostOverLivePass, ReasonPrecedence, RetryAfterForm, UsabilityFields,
    },
    tenant::{
        ALICE, BOB, CAROL, CONTOSO, DAVE, ERIN, FRANK, GRACE, HEIDI, OPERATOR, OPERATOR_SECRET,
        PILOT_GROUP, STAFF_GROUP, User,
    },
};

const POLICY: &str = "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";
const POLICY_TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration";

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
    raw: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap()
    }

    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap()
    }
}

/// A tenant, and an app that is signed in to it.
struct Client {
    simulator: Simulator,
    token: String,
}

impl Client {
    async fn new() -> Self {
        let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let simulator = Simulator::starting_at(Tenant::contoso(), start);
        simulator.switch(|switches| {
            // Most tests are not about these settings.
            switches.authentication_method_limit = None;
            switches.token_lifetime_seconds = 1 << 20;
        });
        let mut client = Self { simulator, token: String::new() };
        client.sign_in().await;
        client
    }

    async fn with(change: impl FnOnce(&mut Switches)) -> Self {
        let client = Self::new().await;
        client.simulator.switch(change);
        client
    }

    async fn sign_in(&mut self) {
        let reply = token(&self.simulator, &[("client_secret", OPERATOR_SECRET)]).await;
        self.token = reply.body["access_token"].as_str().unwrap().to_owned();
    }

    async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Reply, ConnectionCut> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let response = self.simulator.call(request.body(body).unwrap()).await?;
        Ok(reply(response))
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.try_send(method, path, body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, Value::Null).await
    }

    async fn create(&self, user: Uuid, body: Value) -> Reply {
        self.send("POST", &passes(user), body).await
    }

    /// Makes a pass and returns its id and code.
    async fn made(&self, user: Uuid, body: Value) -> (Uuid, String) {
        let reply = self.create(user, body).await;
        assert_eq!(reply.status, 201, "{}", reply.raw);
        let text = |name: &str| reply.body[name].as_str().unwrap().to_owned();
        (text("id").parse().unwrap(), text("temporaryAccessPass"))
    }

    async fn listed(&self, user: Uuid) -> Vec<Value> {
        self.get(&passes(user)).await.body["value"].as_array().unwrap().clone()
    }

    async fn reason(&self, user: Uuid) -> String {
        let listed = self.listed(user).await;
        let reason = listed[0]["methodUsabilityReason"].as_str().unwrap();
        assert_eq!(listed[0]["isUsable"], reason == "EnabledByPolicy");
        reason.to_owned()
    }

    async fn delete(&self, user: Uuid, pass: Uuid) -> Reply {
        self.send("DELETE", &format!("{}/{pass}", passes(user)), Value::Null).await
    }

    async fn patch(&self, mut fields: Value) -> Reply {
        fields["@odata.type"] = POLICY_TYPE.into();
        self.send("PATCH", POLICY, fields).await
    }

    fn end(&self, pass: Uuid) -> End {
        self.simulator.ledger().into_iter().find(|entry| entry.id == pass).unwrap().end
    }

    fn step(&self, seconds: i64) {
        self.simulator.step_clock(SignedDuration::from_secs(seconds));
    }
}

fn passes(user: Uuid) -> String {
    format!("/v1.0/users/{user}/authentication/temporaryAccessPassMethods")
}

fn reply(response: Response<Bytes>) -> Reply {
    let (parts, raw) = response.into_parts();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
        raw: String::from_utf8_lossy(&raw).into_owned(),
    }
}

async fn token(simulator: &Simulator, fields: &[(&str, &str)]) -> Reply {
    let operator = OPERATOR.to_string();
    let usual = [
        ("grant_type", "client_credentials"),
        ("client_id", &operator),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let usual = usual.iter().filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let form: Vec<String> =
        usual.chain(fields).map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = Request::post(format!("https://login.test/{CONTOSO}/oauth2/v2.0/token"))
        .body(form.join("&").into());
    reply(simulator.call(request.unwrap()).await.unwrap())
}
