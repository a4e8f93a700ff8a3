//! The `Status` bodies that an API server answers with.

use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails, reason};
use serde_json::{Value, json};

use crate::resource::Resource;

/// What went wrong with a request, as the client is told.
pub type Refusal = Box<Status>;

fn details(resource: &Resource, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.to_owned(),
        group: resource.group.clone(),
        kind: resource.plural.clone(),
        ..empty_details()
    }
}

fn empty_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

fn failure(code: u16, reason: &str, message: &str) -> Status {
    Status::failure(message, reason).with_code(code)
}

/// 404: there is no such object.
pub fn not_found(resource: &Resource, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" not found", resource.group_resource());
    failure(404, reason::NOT_FOUND, &message).with_details(details(resource, name)).boxed()
}

/// 404: the server has no such path.
pub fn no_such_path() -> Refusal {
    failure(404, reason::NOT_FOUND, "the server could not find the requested resource")
        .with_details(empty_details())
        .boxed()
}

/// 409: an object of that name is there already.
pub fn already_exists(resource: &Resource, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" already exists", resource.group_resource());
    failure(409, reason::ALREADY_EXISTS, &message).with_details(details(resource, name)).boxed()
}

/// 409: the object is not the one, or not in the version, that the request was made for.
pub fn conflict(resource: &Resource, name: &str, why: &str) -> Refusal {
    let message =
        format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.group_resource());
    failure(409, reason::CONFLICT, &message).with_details(details(resource, name)).boxed()
}

/// 409: the object was written since the version that the request names.
pub fn modified(resource: &Resource, name: &str) -> Refusal {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(resource, name, why)
}

/// 409: a deletion's precondition does not hold. Here the server names the kind, not the resource.
pub fn precondition_failed(resource: &Resource, name: &str, why: &str) -> Refusal {
    let message =
        format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.group_kind());
    let details = StatusDetails { kind: resource.kind.clone(), ..details(resource, name) };
    failure(409, reason::CONFLICT, &message).with_details(details).boxed()
}

/// 403: refused, as missing rights and some admission plugins answer.
pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Refusal {
    let message = format!("{} \"{name}\" is forbidden: {why}", resource.group_resource());
    failure(403, reason::FORBIDDEN, &message).with_details(details(resource, name)).boxed()
}

/// 403: nothing can be created in a namespace that is going away.
pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Refusal {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut status = forbidden(resource, name, &why);
    if let Some(details) = &mut status.details {
        let message = format!("namespace {namespace} is being terminated");
        details.causes = vec![field_cause("metadata.namespace", "NamespaceTerminating", &message)];
    }
    status
}

/// 422: one field of the object is not as it must be.
pub fn invalid(
    resource: &Resource,
    name: &str,
    field: &str,
    cause: &str,
    message: &str,
) -> Refusal {
    let text = format!("{} \"{name}\" is invalid: {field}: {message}", resource.group_kind());
    let causes = vec![field_cause(field, cause, message)];
    let details = StatusDetails { kind: resource.kind.clone(), causes, ..details(resource, name) };
    failure(422, reason::INVALID, &text).with_details(details).boxed()
}

fn field_cause(field: &str, cause: &str, message: &str) -> StatusCause {
    StatusCause { reason: cause.into(), message: message.into(), field: field.into() }
}

/// 422: the write must say which version it is for. Here the server names the resource, not the kind.
pub fn version_required(resource: &Resource, name: &str) -> Refusal {
    let (field, message) =
        ("metadata.resourceVersion", "Invalid value: 0: must be specified for an update");
    let text = format!("{} \"{name}\" is invalid: {field}: {message}", resource.group_resource());
    let causes = vec![field_cause(field, "FieldValueInvalid", message)];
    let details = StatusDetails { causes, ..details(resource, name) };
    failure(422, reason::INVALID, &text).with_details(details).boxed()
}

/// 422: a validating admission policy says no, for the reason `Invalid`, which it has if it gives none.
pub fn denied_by_policy(resource: &Resource, name: &str, policy: &str, message: &str) -> Refusal {
    let cause = format!(
        "ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {message}"
    );
    let text = format!("{} \"{name}\" is forbidden: {cause}", resource.group_resource());
    let causes = vec![field_cause("", "", &cause)];
    let details = StatusDetails { causes, ..details(resource, name) };
    failure(422, reason::INVALID, &text).with_details(details).boxed()
}

/// 422: a patch that cannot be applied to the object as it is, a failed `test` included.
pub fn unprocessable() -> Refusal {
    let message = "the server rejected our request due to an error in our request";
    failure(422, reason::INVALID, message).with_details(empty_details()).boxed()
}

/// 422: the options of the request contradict themselves or are unknown.
pub fn invalid_options(kind: &str, message: &str) -> Refusal {
    let message = format!("{kind}.meta.k8s.io \"\" is invalid: {message}");
    let details =
        StatusDetails { group: "meta.k8s.io".into(), kind: kind.into(), ..empty_details() };
    failure(422, reason::INVALID, &message).with_details(details).boxed()
}

/// 400: the request makes no sense.
pub fn bad_request(message: &str) -> Refusal {
    failure(400, reason::BAD_REQUEST, message).boxed()
}

/// 405: not on this path.
pub fn method_not_allowed() -> Refusal {
    let message = "the server does not allow this method on the requested resource";
    failure(405, reason::METHOD_NOT_ALLOWED, message).with_details(empty_details()).boxed()
}

/// 415: a body that the server does not take.
pub fn unsupported_media_type(message: &str) -> Refusal {
    failure(415, reason::UNSUPPORTED_MEDIA_TYPE, message).boxed()
}

/// 410: the history that the request needs was compacted.
pub fn expired(message: &str) -> Refusal {
    failure(410, reason::EXPIRED, message).boxed()
}

/// 500: an object that is to be created must not name a resource version.
pub fn resource_version_on_create() -> Refusal {
    failure(500, reason::UNKNOWN, "resourceVersion should not be set on objects to be created")
        .boxed()
}

/// 504: the request wants a version that the server has not reached.
pub fn resource_version_too_large(wanted: u64, current: u64) -> Refusal {
    let message = format!("Too large resource version: {wanted}, current: {current}");
    let details = StatusDetails {
        causes: vec![field_cause("", "ResourceVersionTooLarge", "Too large resource version")],
        retry_after_seconds: 1,
        ..empty_details()
    };
    failure(504, reason::TIMEOUT, &format!("Timeout: {message}")).with_details(details).boxed()
}

/// 429 with `Retry-After`, in seconds, as priority and fairness answers.
pub fn too_many_requests(retry_after_seconds: u32) -> Refusal {
    let message = "the server has received too many requests and has asked us to try again later";
    let details = StatusDetails { retry_after_seconds, ..empty_details() };
    failure(429, reason::TOO_MANY_REQUESTS, message).with_details(details).boxed()
}

/// A 5xx with the reason that belongs to it.
pub fn server_error(code: u16) -> Refusal {
    let reason = match code {
        503 => reason::SERVICE_UNAVAILABLE,
        504 => reason::TIMEOUT,
        _ => reason::INTERNAL_ERROR,
    };
    failure(code, reason, "the server is unable to handle the request").boxed()
}

/// The answer to a deletion that removed (or, in a dry run, would have removed) the object.
pub fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let details = StatusDetails { uid: uid.to_owned(), ..details(resource, name) };
    body(&Status::success().with_details(details))
}

/// A status as it goes over the wire.
pub fn body(status: &Status) -> Value {
    let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}});
    if let (Value::Object(body), Ok(Value::Object(fields))) =
        (&mut body, serde_json::to_value(status))
    {
        body.extend(fields);
    }
    body
}
