//! The state machine in a small world (see [`world`]): the life of one request, step by step, and what the machine does for
//! many.

mod absence;
mod between;
mod ceilings;
mod chaos;
mod checks;
mod claims;
mod cost;
mod deletions;
mod end;
mod facts;
mod issue;
mod lifetime;
mod looks;
mod membership;
mod naive;
mod neighbours;
mod newcomers;
mod onboarding;
mod order;
mod people;
mod places;
mod queued;
mod quota;
mod reasons;
mod recovery;
mod refusals;
mod routes;
mod secrets;
mod settled;
mod shown;
mod sign_in;
mod trouble;
mod turns;
mod watch;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::json;

use self::world::Life;
use super::{Moment, Observed, PassLook, Requests, Rested, Seen};
use crate::api::names::{FINALIZER, INTENT_ANNOTATION};
use crate::api::{Phase, TapPolicy, TapRequest, yaml};
use crate::decision::admission::Guard;
use crate::decision::clock::Now;
use crate::decision::ids::Uid;
use crate::decision::intent::{Intent, Stage, has_finalizer};
use crate::decision::outcome::{Outcome, Posted, SecretCreation};
use crate::decision::quota::Bounds;
use crate::decision::situation::{
    Brakes, Cause, Connection, Eligibility, GroupState, GroupStates, Labels, PolicyFound,
    RefusedWrite, SecretDryRun, SecretFound, Setback, Settings, SignInRules, SignInSeen, Stop,
    Surroundings, Told, Written,
};
use crate::decision::step::{Action, Question, Rest, Step};
use crate::decision::terms::{PolicyVersion, Terms};
use crate::entra::{
    Behind, Cloud, DirectoryRole, EligibleRole, EntraName, ErrorKind, GraphError, GraphTarget,
    Listed, ListedRoles, MethodConfiguration, MethodState, Namesakes, RoleGap, RoleHolding,
    RoleRow, TapMethod, UsabilityReason, User, UserNameForm, UserNameRule, UserNames, folded,
    is_service_account,
};

const UID: &str = "uid-1";
const USER_ID: &str = "11111111-0000-4000-8000-000000000001";

const SETTINGS: Settings =
    Settings { settle: SignedDuration::from_secs(150), use_check: SignedDuration::from_secs(60) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn error(kind: ErrorKind) -> GraphError {
    GraphError {
        call: "test",
        kind,
        status: None,
        // Graph's refusals have a code.
        code: if kind == ErrorKind::Forbidden { "accessDenied".into() } else { String::new() },
        message: String::new(),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

fn pass(id: &str, start: Timestamp, minutes: u32, one_time: bool) -> TapMethod {
    TapMethod {
        id: id.into(),
        created: Some(start),
        start: Some(start),
        lifetime_minutes: Some(minutes),
        one_time: Some(one_time),
        usable: Some(true),
        reason: Some(UsabilityReason::EnabledByPolicy),
    }
}

fn used(pass: TapMethod) -> TapMethod {
    TapMethod { reason: Some(UsabilityReason::OneTimeUsed), ..pass }
}

/// Graph makes what was asked for.
fn made(intent: &Intent, now: Timestamp) -> Posted {
    let id = if intent.uid == UID { "ours".into() } else { format!("of {}", intent.uid) };
    let start = intent.start.unwrap_or(now);
    let pass = pass(&id, start, intent.lifetime_minutes, intent.one_time_use);
    Posted::Made(Box::new(pass), now)
}

fn lost(_: &Intent, _: Timestamp) -> Posted {
    Posted::Unknown
}

fn refused(_: &Intent, _: Timestamp) -> Posted {
    Posted::Refused(error(ErrorKind::BadRequest))
}

/// A request for a pass for Alice, as somebody made it.
fn request(name: &str, uid: &str) -> TapRequest {
    let request = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {"name": name, "namespace": "helpdesk", "uid": uid, "generation": 1},
        "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com", "lifetime": "1h"},
    });
    let mut request: TapRequest = serde_json::from_value(request).unwrap();
    request.metadata.creation_timestamp = Some(Time(at(0)));
    request
}

fn annotate(request: &mut TapRequest, intent: &Intent) {
    let annotations = request.metadata.annotations.get_or_insert_default();
    annotations.insert(INTENT_ANNOTATION.into(), intent.to_annotation());
}

/// The version of a policy without uid and generation.
const NO_VERSION: PolicyVersion = PolicyVersion { uid: None, generation: None };

/// A tenant connection that maps Kubernetes user names as they are.
fn connection(name: &str, tenant_id: &str) -> Connection {
    Connection {
        name: name.into(),
        tenant_id: tenant_id.into(),
        client_id: "app".into(),
        cloud: Cloud::Global,
        users: Some(UserNames::new([UserNameRule {
            prefix: String::new(),
            form: UserNameForm::UserPrincipalName,
        }])),
        ceilings: Arc::default(),
    }
}

/// A state machine that knows of no request.
fn machine(connections: &[Connection]) -> Requests {
    Requests::new(SETTINGS, connections.into())
}

/// The intent of a request of this name and uid, for Alice, as a process that is gone wrote it.
fn intent_of(name: &str) -> Intent {
    Intent {
        uid: name.into(),
        attempt: format!("attempt of {name}"),
        number: 1,
        holder: "gone".into(),
        tenant_id: "tenant".into(),
        cloud: Some(Cloud::Global),
        connection: "default".into(),
        user_id: USER_ID.into(),
        user_principal_name: "alice@contoso.com".into(),
        lifetime_minutes: 60,
        one_time_use: true,
        start: None,
        latest_expiry: at(3600 + 180),
        listed: vec![],
        listed_at: at(0),
        replaces: None,
        stage: Stage::Issuing,
    }
}

/// A request whose POST was sent by a process that is gone: nobody knows what became of it.
fn unresolved(name: &str) -> TapRequest {
    let mut request = request(name, name);
    annotate(&mut request, &intent_of(name));
    request.metadata.finalizers = Some(vec![FINALIZER.into()]);
    request
}

/// A request with a pass of this id, which a process that is gone recorded.
fn recording(name: &str, pass_id: &str, intent: &Intent) -> TapRequest {
    let mut request = request(name, name);
    annotate(&mut request, intent);
    request.metadata.finalizers = Some(vec![FINALIZER.into()]);
    let pass = json!({
        "id": pass_id, "clientRequestId": intent.attempt,
        "startTime": at(0), "expirationTime": at(3600),
    });
    let status = json!({"phase": "Active", "decisions": [], "pass": pass});
    request.status = Some(serde_json::from_value(status).unwrap());
    request
}

/// A request that holds a pass of another user.
fn holder(name: &str) -> TapRequest {
    let intent = Intent { user_id: format!("user of {name}"), ..intent_of(name) };
    recording(name, &format!("pass of {name}"), &intent)
}
