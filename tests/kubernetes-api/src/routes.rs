//! From a request to what the server does and answers.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::discovery;
use crate::list::collection;
use crate::request::{ApiRequest, Verb};
use crate::resource::{Resource, metadata_text};
use crate::selector::Selector;
use crate::shared::Shared;
use crate::state::State;
use crate::status::{self, Refusal};
use crate::target::Target;
use crate::validation;
use crate::watch;
use crate::write::Change;

/// Does what a request asks, and answers it.
pub fn handle(shared: &Arc<Shared>, state: &mut State, request: &ApiRequest) -> Response {
    if request.resource.is_empty() {
        return about_the_server(state, request).unwrap_or_else(no_such_page);
    }
    if request.resource == "selfsubjectreviews" && request.verb == Verb::Create {
        return json_response(StatusCode::CREATED, &who_asks(request));
    }
    let resource = state.registry.at(&request.group, &request.version, &request.resource).cloned();
    let Some(resource) = resource else {
        let core = request.group.is_empty();
        return if core { refused(&status::no_such_path()) } else { no_such_page() };
    };
    if request.verb == Verb::Create && resource.namespaced && request.namespace.is_none() {
        return no_such_page();
    }
    answer(shared, state, request, &resource).unwrap_or_else(|status| refused(&status))
}

fn who_asks(request: &ApiRequest) -> Value {
    let username = request.user.as_deref().unwrap_or("system:anonymous");
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
        "status": {"userInfo": {"username": username}},
    })
}

/// The answer of a request that failed.
pub fn refused(refusal: &Refusal) -> Response {
    let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(code, &status::body(refusal));
    let seconds = refusal.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn json_response(code: StatusCode, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn no_such_page() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

fn about_the_server(state: &State, request: &ApiRequest) -> Option<Response> {
    let segments: Vec<&str> = request.path.split('/').filter(|s| !s.is_empty()).collect();
    let registry = &state.registry;
    let body = match segments.as_slice() {
        ["readyz" | "livez" | "healthz"] => return Some("ok".into_response()),
        ["version"] => discovery::version(&state.minor),
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::groups(registry),
        ["api", version] => discovery::resources(registry, "", version)?,
        ["apis", group] => discovery::group(registry, group)?,
        ["apis", group, version] => discovery::resources(registry, group, version)?,
        _ => return None,
    };
    Some(json_response(StatusCode::OK, &body))
}

fn answer(
    shared: &Arc<Shared>,
    state: &mut State,
    request: &ApiRequest,
    resource: &Resource,
) -> Result<Response, Refusal> {
    let target = target(request, resource)?;
    let named = !target.name.is_empty();
    let misplaced = match &request.namespace {
        Some(_) => !resource.namespaced,
        None => named && resource.namespaced,
    };
    if misplaced {
        return Err(status::no_such_path());
    }
    if request.method == Method::POST && request.subresource.is_some() {
        return Err(status::method_not_allowed());
    }
    let body = match request.verb {
        Verb::Get => state.read(request, resource, &target.name)?,
        Verb::List => state.list(request, resource)?,
        Verb::Watch => {
            let body = watch::start(shared, state, request, resource)?;
            return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
        }
        Verb::Create => {
            let created = state.create(&target, &request.body)?;
            return Ok(json_response(StatusCode::CREATED, &created));
        }
        Verb::Update => state.update(&target, Change::Replace(&request.body))?,
        Verb::Patch => {
            state.update(&target, Change::Patch(&request.content_type, &request.body))?
        }
        Verb::Delete if target.status => return Err(status::method_not_allowed()),
        Verb::Delete => state.delete(&target, &delete_options(request))?,
        Verb::DeleteCollection => delete_collection(state, request, &target)?,
    };
    Ok(json_response(StatusCode::OK, &body))
}

fn target(request: &ApiRequest, resource: &Resource) -> Result<Target, Refusal> {
    let status = match request.subresource.as_deref() {
        None => false,
        Some("status") if resource.status_subresource => true,
        Some(_) => return Err(status::no_such_path()),
    };
    let dry_run = if matches!(request.verb, Verb::Delete | Verb::DeleteCollection) {
        let options = delete_options(request);
        let values = options["dryRun"].as_array().cloned().unwrap_or_default();
        validation::dry_run(values.iter().filter_map(Value::as_str), "DeleteOptions")?
    } else {
        let kind = match request.verb {
            Verb::Create => "CreateOptions",
            Verb::Patch => "PatchOptions",
            _ => "UpdateOptions",
        };
        let value = request.parameter("dryRun");
        validation::dry_run((!value.is_empty()).then_some(value).into_iter(), kind)?
    };
    Ok(Target {
        resource: resource.clone(),
        namespace: request.namespace.clone().unwrap_or_default(),
        name: match request.verb {
            Verb::Create => String::new(),
            _ => request.name.clone().unwrap_or_default(),
        },
        status,
        user: request.user.clone(),
        dry_run,
    })
}

/// A deletion's options: the body's where there is one, else the query's. A body makes the server ignore the query.
fn delete_options(request: &ApiRequest) -> Value {
    if request.body.is_object() {
        return request.body.clone();
    }
    let mut options = json!({});
    if !request.parameter("dryRun").is_empty() {
        options["dryRun"] = json!([request.parameter("dryRun")]);
    }
    if !request.parameter("propagationPolicy").is_empty() {
        options["propagationPolicy"] = request.parameter("propagationPolicy").into();
    }
    options
}

fn delete_collection(
    state: &mut State,
    request: &ApiRequest,
    target: &Target,
) -> Result<Value, Refusal> {
    let resource = &target.resource;
    let selector =
        Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"))?;
    let revision = state.store.revision();
    let objects = state.store.at(&resource.storage(), request.namespace.as_deref(), revision);
    let options = delete_options(request);
    let mut deleted = Vec::new();
    for (key, object) in objects.iter().filter(|(_, object)| selector.matches(object)) {
        let one = Target {
            namespace: key.namespace.clone(),
            name: metadata_text(object, "name").to_owned(),
            ..target.clone()
        };
        state.delete(&one, &options)?;
        deleted.push(resource.serve(object));
    }
    let metadata = json!({"resourceVersion": state.store.revision().to_string()});
    Ok(collection(resource, &metadata, &deleted))
}
