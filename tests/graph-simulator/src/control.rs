//! Everything under `/_sim`: what a tenant's people do and see, and the levers of the simulator.
//!
//! Requests and answers are JSON; no token is needed. An error has a status and `{"error": "..."}`.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /_sim` | the tenant: id, clock, counts |
//! | `POST /_sim/sign-in` `{"userPrincipalName", "temporaryAccessPass"}` | signs in: 200 with the session, or 401; `"by"` is a [`Way`] |
//! | `GET /_sim/sessions/{id}` | whether a session still lasts, and whether a key can be registered in it |
//! | `GET /_sim/ledger`, `GET /_sim/ledger/balance` | every pass; the same in numbers |
//! | `GET /_sim/codes` | pass id to code, for a search for places where no code must be |
//! | `GET /_sim/requests`, `DELETE` | the log of requests, `?operation=` and `?method=` narrow it; empties it |
//! | `GET /_sim/faults`, `POST` a [`Fault`] or a list, `DELETE` | what is still to go wrong |
//! | `POST /_sim/unreachable` `{"unreachable": true}` | cuts every connection until lifted |
//! | `GET /_sim/switches`, `POST` | [`Switches`]; only the fields that are sent change |
//! | `GET /_sim/clock`, `POST` `{"stepSeconds": 3600}` | the tenant's clock |
//! | `GET /_sim/policy`, `POST` | the TAP policy; a change has the fields of Graph's PATCH |
//! | `GET /_sim/users`, `POST` a user of the seed's form | |
//! | `POST /_sim/users/{id or name}` | changes the fields that are sent |
//! | `DELETE /_sim/users/{id or name}` | deletes the user |
//! | `POST /_sim/users/{id or name}/methods` `{"kind": "fido2"}` | the user registers a method |
//! | `POST /_sim/users/{id or name}/passes` | a pass made in the portal; body as in Graph's POST. Answers with its code |
//! | `DELETE /_sim/users/{id or name}/passes/{pass id}` | deleted in the portal |
//! | `GET /_sim/groups`, `POST`, `DELETE /_sim/groups/{id}` | |
//! | `POST`, `DELETE /_sim/members/{group or role id}/{member id}` | memberships |
//! | `POST /_sim/assignments` `{"principalId", "roleDefinitionId", "directoryScopeId"}` | assigns a role of any scope |
//! | `POST /_sim/eligibilities` `{"principalId", "roleDefinitionId"}` | lets a user or group activate a directory role |
//! | `POST /_sim/group-eligibilities` `{"groupId", "principalId", "accessId"}` | lets a user or group activate the membership of a group |
//! | `GET /_sim/access-policies`, `POST` a list | the Conditional Access policies in Graph's form; sets them |
//! | `POST /_sim/strengths` | adds an authentication strength in Graph's form |
//! | `GET /_sim/apps` | the apps, without their secrets |
//! | `POST /_sim/apps` | adds an app of the seed's form |
//! | `POST /_sim/apps/{client id}` `{"roles": [...], "enabled": true}` | changes permissions or whether the app may sign in |
//! | `POST /_sim/apps/{client id}/federated-credentials` | adds one |
//! | `POST /_sim/issuers` `{"issuer", "jwks"}` | registers the keys of a token issuer |
//! | `DELETE /_sim/tokens` | makes every token so far invalid |

use std::fmt;

use http::Method;
use jiff::SignedDuration;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    faults::Fault,
    rules::{conditional_access::Way, sign_in::SignInError},
    simulator::{ControlError, Simulator},
    switches::Switches,
    tenant::{App, FederatedCredential, Group, Issuer, User},
    wire::{Answer, Incoming, pairs},
};

/// Answers a request under `/_sim`.
pub(crate) fn answer(simulator: &Simulator, incoming: &Incoming) -> Answer {
    let outcome = act(simulator, incoming).unwrap_or_else(|problem| match problem {
        Problem::Control(ControlError::NotFound(what)) => {
            complaint(404, format!("there is no such {what}"))
        }
        Problem::Control(ControlError::Refused { status, message }) => complaint(status, message),
        Problem::Body(message) => complaint(400, message),
        Problem::SignIn(error) => {
            let body = json!({"error": error.to_string(), "reason": error});
            Answer::json(401, body)
        }
    });
    outcome.with("content-type", "application/json")
}

enum Problem {
    Control(ControlError),
    SignIn(SignInError),
    Body(String),
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInBody {
    user_principal_name: String,
    temporary_access_pass: String,
    #[serde(default)]
    by: Way,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockBody {
    step_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodBody {
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnreachableBody {
    unreachable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AppBody {
    roles: Option<Vec<String>>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FaultsBody {
    Several(Vec<Fault>),
    One(Box<Fault>),
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

fn act(simulator: &Simulator, incoming: &Incoming) -> Result<Answer, Problem> {
    let path = percent_decode_str(&incoming.path).decode_utf8_lossy().into_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let ok = |body: Value| Ok(Answer::json(200, body));
    let done = || Ok(Answer::empty(204));
    let method = incoming.method.clone();
    match (method, segments.as_slice()) {
        (GET, []) => ok(overview(simulator)),
        (POST, ["sign-in"]) => {
            let SignInBody { user_principal_name, temporary_access_pass, by } = body(incoming)?;
            let signed_in = simulator.sign_in_by(&user_principal_name, &temporary_access_pass, &by);
            ok(json!(signed_in.map_err(Problem::SignIn)?))
        }
        (GET, ["sessions", id]) => {
            let session = id.parse().ok().and_then(|id| simulator.session(id));
            ok(json!(session.ok_or(ControlError::NotFound("session"))?))
        }
        (GET, ["ledger"]) => ok(json!(simulator.ledger())),
        (GET, ["ledger", "balance"]) => ok(json!(simulator.balance())),
        (GET, ["codes"]) => {
            let codes = simulator
                .ledger()
                .into_iter()
                .map(|entry| (entry.id.to_string(), json!(simulator.code(entry.id))));
            ok(Value::Object(codes.collect()))
        }
        (GET, ["requests"]) => ok(requests(simulator, incoming)),
        (DELETE, ["requests"]) => {
            simulator.clear_requests();
            done()
        }
        (GET, ["faults"]) => ok(json!(simulator.faults())),
        (POST, ["faults"]) => {
            match body(incoming)? {
                FaultsBody::One(fault) => simulator.inject(*fault),
                FaultsBody::Several(faults) => {
                    for fault in faults {
                        simulator.inject(fault);
                    }
                }
            }
            ok(json!(simulator.faults()))
        }
        (DELETE, ["faults"]) => {
            simulator.clear_faults();
            done()
        }
        (POST, ["unreachable"]) => {
            let UnreachableBody { unreachable } = body(incoming)?;
            simulator.set_unreachable(unreachable);
            done()
        }
        (GET, ["switches"]) => ok(json!(simulator.switches())),
        (POST, ["switches"]) => {
            let next: Switches = merged(&json!(simulator.switches()), incoming)?;
            simulator.switch(|switches| *switches = next);
            ok(json!(simulator.switches()))
        }
        (GET, ["clock"]) => ok(json!({"now": simulator.now()})),
        (POST, ["clock"]) => {
            let ClockBody { step_seconds } = body(incoming)?;
            simulator.step_clock(SignedDuration::from_secs(step_seconds));
            ok(json!({"now": simulator.now()}))
        }
        (GET, ["policy"]) => ok(json!(simulator.policy())),
        (POST, ["policy"]) => {
            simulator.portal_patch_policy(&body(incoming)?)?;
            ok(json!(simulator.policy()))
        }
        (DELETE, ["tokens"]) => {
            simulator.expire_tokens();
            done()
        }
        (POST, ["issuers"]) => {
            let Issuer { issuer, jwks } = body(incoming)?;
            simulator.register_issuer(&issuer, jwks);
            done()
        }
        (
            method,
            [
                "users"
                | "groups"
                | "members"
                | "assignments"
                | "eligibilities"
                | "group-eligibilities"
                | "access-policies"
                | "strengths",
                ..,
            ],
        ) => directory(simulator, incoming, &method, &segments),
        (method, ["apps", ..]) => apps(simulator, incoming, &method, &segments),
        _ => Err(ControlError::NotFound("path under /_sim").into()),
    }
}

fn directory(
    simulator: &Simulator,
    incoming: &Incoming,
    method: &Method,
    segments: &[&str],
) -> Result<Answer, Problem> {
    let ok = |body: Value| Ok(Answer::json(200, body));
    let done = || Ok(Answer::empty(204));
    match (method.clone(), segments) {
        (GET, ["users"]) => ok(json!(simulator.users())),
        (POST, ["users"]) => {
            let user: User = body(incoming)?;
            simulator.add_user(user.clone());
            Ok(Answer::json(201, json!(user)))
        }
        (POST, ["users", key]) => {
            let known = simulator.lock().directory.current().user(key).cloned();
            let known = known.ok_or(ControlError::NotFound("user"))?;
            let next: User = merged(&json!(known), incoming)?;
            simulator.edit_user(key, |user| *user = next.clone())?;
            ok(json!(next))
        }
        (DELETE, ["users", key]) => {
            simulator.delete_user(key)?;
            done()
        }
        (POST, ["users", key, "methods"]) => {
            let MethodBody { kind } = body(incoming)?;
            simulator.register_method(key, &kind)?;
            done()
        }
        (POST, ["users", key, "passes"]) => {
            let id = simulator.portal_create_pass(key, &body(incoming)?)?;
            Ok(Answer::json(201, json!({"id": id, "temporaryAccessPass": simulator.code(id)})))
        }
        (DELETE, ["users", key, "passes", pass]) => {
            simulator.portal_delete_pass(key, id_of(pass, "pass")?)?;
            done()
        }
        (GET, ["groups"]) => ok(json!(simulator.groups())),
        (POST, ["groups"]) => {
            let group: Group = body(incoming)?;
            simulator.add_group(group.clone());
            Ok(Answer::json(201, json!(group)))
        }
        (DELETE, ["groups", id]) => {
            simulator.delete_group(id_of(id, "group")?);
            done()
        }
        (POST, ["assignments"]) => {
            simulator.assign_role(body(incoming)?);
            done()
        }
        (POST, ["group-eligibilities"]) => {
            simulator.make_eligible_for_group(body(incoming)?);
            done()
        }
        (POST, ["eligibilities"]) => {
            simulator.make_eligible(body(incoming)?);
            done()
        }
        (GET, ["access-policies"]) => ok(json!(simulator.access_policies())),
        (POST, ["access-policies"]) => {
            simulator.set_access_policies(body(incoming)?);
            done()
        }
        (POST, ["strengths"]) => {
            simulator.add_strength(body(incoming)?);
            done()
        }
        (POST, ["members", of, member]) => {
            simulator.add_member(id_of(of, "group or role")?, id_of(member, "member")?)?;
            done()
        }
        (DELETE, ["members", of, member]) => {
            simulator.remove_member(id_of(of, "group or role")?, id_of(member, "member")?)?;
            done()
        }
        _ => Err(ControlError::NotFound("path under /_sim").into()),
    }
}

fn apps(
    simulator: &Simulator,
    incoming: &Incoming,
    method: &Method,
    segments: &[&str],
) -> Result<Answer, Problem> {
    let shown = || {
        let apps = simulator.apps();
        let shown = apps.iter().map(|app| {
            json!({
                "clientId": app.client_id,
                "servicePrincipalId": app.service_principal_id,
                "name": app.name,
                "enabled": app.enabled,
                "roles": app.roles,
                "federatedCredentials": app.federated_credentials,
            })
        });
        Value::Array(shown.collect())
    };
    match (method.clone(), segments) {
        (GET, ["apps"]) => Ok(Answer::json(200, shown())),
        (POST, ["apps"]) => {
            let app: App = body(incoming)?;
            simulator.add_app(app);
            Ok(Answer::json(201, shown()))
        }
        (POST, ["apps", id]) => {
            let AppBody { roles, enabled } = body(incoming)?;
            simulator.edit_app(id_of(id, "app")?, |app| {
                app.roles = roles.unwrap_or(app.roles.clone());
                app.enabled = enabled.unwrap_or(app.enabled);
            })?;
            Ok(Answer::json(200, shown()))
        }
        (POST, ["apps", id, "federated-credentials"]) => {
            let credential: FederatedCredential = body(incoming)?;
            simulator.add_federated_credential(id_of(id, "app")?, credential)?;
            Ok(Answer::json(201, shown()))
        }
        _ => Err(ControlError::NotFound("path under /_sim").into()),
    }
}

fn overview(simulator: &Simulator) -> Value {
    let state = simulator.lock();
    json!({
        "tenantId": state.id,
        "displayName": state.display_name,
        "domains": state.domains,
        "now": state.now(),
        "unreachable": state.unreachable,
        "users": state.directory.current().users.len(),
        "groups": state.directory.current().groups.len(),
        "passes": state.passes.all().len(),
    })
}

fn requests(simulator: &Simulator, incoming: &Incoming) -> Value {
    let mut log: Vec<Value> =
        simulator.requests().into_iter().map(|record| json!(record)).collect();
    for (name, wanted) in pairs(&incoming.query) {
        log.retain(|record| {
            record[&name].as_str().is_some_and(|value| value.eq_ignore_ascii_case(&wanted))
        });
    }
    Value::Array(log)
}

fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Problem> {
    serde_json::from_slice(&incoming.body).map_err(|error| Problem::Body(error.to_string()))
}

/// What is there, with the fields that were sent.
fn merged<T: DeserializeOwned>(known: &Value, incoming: &Incoming) -> Result<T, Problem> {
    let sent: serde_json::Map<String, Value> = body(incoming)?;
    let mut known = known.as_object().cloned().unwrap_or_default();
    known.extend(sent);
    serde_json::from_value(Value::Object(known)).map_err(|error| Problem::Body(error.to_string()))
}

fn id_of(text: &str, what: &'static str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| ControlError::NotFound(what).into())
}

/// The error body of `/_sim`.
fn complaint(status: u16, message: impl fmt::Display) -> Answer {
    Answer::json(status, json!({"error": message.to_string()}))
        .with("content-type", "application/json")
}
