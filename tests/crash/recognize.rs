//! Finds out which effect a request is, from the request alone.

use axum::http::Method;
use axum::http::request::Parts;
use serde_json::Value;
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION, OPERATOR, STOP_CONFIG_MAP};
use tap_operator::effect::Effect;

/// A request to a server.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A change.
    Effect(Change),
    /// A request that changes nothing.
    Nothing(Question),
    /// A request that looks like a change, but is none of the effects.
    Unnamed(String),
}

/// A request that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A read of the lease, which happens all the time.
    Lease,
    /// A whole list, as at the beginning of a watch.
    List,
    Other,
}

/// A request for a change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which change.
    pub effect: Effect,
    /// The attempt that an intent records, or that a POST belongs to.
    pub attempt: Option<String>,
}

/// Finds out what this request is.
pub fn recognize(request: &Parts, body: &[u8]) -> Asked {
    let (method, path) = (&request.method, request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let dry_run = query.contains("dryRun=All") || json["dryRun"] == serde_json::json!(["All"]);
    if method.is_safe() || dry_run || only_asks(method, path) {
        // Which attempts are open is asked of the metadata alone: that is no list of the objects.
        let metadata =
            header(request, "accept").is_some_and(|a| a.contains("PartialObjectMetadata"));
        let list = query.contains("limit=") && !query.contains("watch=true") && !metadata;
        return Asked::Nothing(match () {
            () if path.contains("/leases/") => Question::Lease,
            () if list => Question::List,
            () => Question::Other,
        });
    }
    let by_operator = query.contains(&format!("fieldManager={OPERATOR}"));
    match effect(method, path, &json, by_operator) {
        Some(effect) => {
            let attempt = match effect {
                Effect::CreatePass => header(request, "client-request-id"),
                Effect::RecordIntent => attempt_of(&json),
                _ => None,
            };
            Asked::Effect(Change { effect, attempt })
        }
        None => Asked::Unnamed(format!("{method} {path}")),
    }
}

/// Requests that are sent by POST but change nothing.
fn only_asks(method: &Method, path: &str) -> bool {
    *method == Method::POST
        && (path.ends_with("/selfsubjectreviews")
            || path.ends_with("/checkMemberGroups")
            || path.ends_with("/oauth2/v2.0/token"))
}

fn effect(method: &Method, path: &str, body: &Value, by_operator: bool) -> Option<Effect> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = method.as_str();
    match segments.as_slice() {
        ["v1.0", "users", _, "authentication", "temporaryAccessPassMethods"] => {
            (method == "POST").then_some(Effect::CreatePass)
        }
        ["v1.0", "users", _, "authentication", "temporaryAccessPassMethods", _] => {
            (method == "DELETE").then_some(Effect::DeletePass)
        }
        ["v1.0", "policies", "authenticationMethodsPolicy", ..] => {
            (method == "PATCH").then_some(Effect::PatchMethod)
        }
        ["apis", "coordination.k8s.io", "v1", "namespaces", _, "leases", rest @ ..] => {
            match (method, rest) {
                ("POST", []) => Some(Effect::CreateLease),
                ("PUT", [_]) => Some(lease(&body["spec"])),
                _ => None,
            }
        }
        ["apis", "events.k8s.io", "v1", "namespaces", _, "events", ..] => {
            matches!(method, "POST" | "PATCH").then_some(Effect::PublishEvent)
        }
        ["apis", "tap-operator.io", "v1alpha1", "tappolicies", _, "status"] => {
            (method == "PATCH").then_some(Effect::WritePolicyStatus)
        }
        ["apis", "tap-operator.io", "v1alpha1", "namespaces", _, "taprequests", _, rest @ ..] => {
            match (method, rest) {
                ("PATCH", ["status"]) => Some(Effect::WriteRequestStatus),
                ("PATCH", []) => metadata(&body["metadata"], by_operator),
                ("DELETE", []) => Some(Effect::DeleteRequest),
                _ => None,
            }
        }
        ["api", "v1", "namespaces", _, "secrets"] => {
            (method == "POST").then_some(Effect::CreateSecret)
        }
        ["api", "v1", "namespaces", _, "secrets", _] => {
            (method == "DELETE").then_some(Effect::DeleteSecret)
        }
        ["api", "v1", "namespaces", _, "configmaps", name] => {
            (method == "PATCH" && *name == STOP_CONFIG_MAP).then_some(Effect::StopAndRevoke)
        }
        _ => None,
    }
}

fn lease(spec: &Value) -> Effect {
    if spec["holderIdentity"].as_str().unwrap_or_default().is_empty() {
        Effect::ReleaseLease
    } else if spec["acquireTime"] == spec["renewTime"] {
        Effect::TakeLease
    } else {
        Effect::RenewLease
    }
}

/// A patch of a request's metadata. Only finalizers and the intent may be in it.
fn metadata(metadata: &Value, by_operator: bool) -> Option<Effect> {
    let finalizers = metadata["finalizers"].as_array()?;
    let holds = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    let intent = metadata["annotations"][INTENT_ANNOTATION].is_string();
    match (by_operator, holds) {
        (true, true) => intent.then_some(Effect::RecordIntent),
        (true, false) => Some(Effect::ReleaseFinalizer),
        (false, false) => Some(Effect::FreeRequest),
        (false, true) => None,
    }
}

fn attempt_of(body: &Value) -> Option<String> {
    let intent = body["metadata"]["annotations"][INTENT_ANNOTATION].as_str()?;
    let intent: Value = serde_json::from_str(intent).ok()?;
    Some(intent["attempt"].as_str()?.to_owned())
}

fn header(request: &Parts, name: &str) -> Option<String> {
    Some(request.headers.get(name)?.to_str().ok()?.to_owned())
}

/// A write that is not in the list of effects is reported, whatever it looks like.
#[test]
fn a_write_that_is_no_effect_is_not_taken_for_one() -> anyhow::Result<()> {
    let requests = "/apis/tap-operator.io/v1alpha1/namespaces/helpdesk/taprequests";
    let cases = [
        ("POST", "/api/v1/namespaces/helpdesk/configmaps".to_owned(), "{}"),
        ("PUT", "/api/v1/namespaces/helpdesk/secrets/alice".to_owned(), "{}"),
        ("DELETE", "/api/v1/namespaces/helpdesk/secrets".to_owned(), "{}"),
        ("PATCH", format!("{requests}/alice?fieldManager=tap-operator"), r#"{"metadata": {}}"#),
        ("POST", "/v1.0/users".to_owned(), "{}"),
        ("PATCH", "/v1.0/users/alice".to_owned(), "{}"),
    ];
    for (method, path, body) in cases {
        let (parts, ()) =
            axum::http::Request::builder().method(method).uri(&path).body(())?.into_parts();
        let asked = recognize(&parts, body.as_bytes());
        anyhow::ensure!(matches!(asked, Asked::Unnamed(_)), "{method} {path}: {asked:?}");
    }
    let (parts, ()) = axum::http::Request::builder()
        .method("DELETE")
        .uri("/api/v1/namespaces/helpdesk/secrets/alice")
        .body(())?
        .into_parts();
    let tried = recognize(&parts, br#"{"dryRun": ["All"]}"#);
    anyhow::ensure!(matches!(tried, Asked::Nothing(_)), "a dry run: {tried:?}");
    let asked = recognize(&parts, b"{}");
    let deletes = matches!(&asked, Asked::Effect(change) if change.effect == Effect::DeleteSecret);
    anyhow::ensure!(deletes, "{asked:?}");
    Ok(())
}
