//! What the server checks in the objects and options that clients send.

use serde_json::Value;

use crate::resource::{Resource, is_deleting, metadata, metadata_text};
use crate::status::{self, Refusal};
use crate::target::Target;

/// The object in a body, if it is one that the path can take. Its namespace is filled in.
pub fn body(target: &Target, body: &Value) -> Result<Value, Refusal> {
    let resource = &target.resource;
    if !body.is_object() {
        return Err(status::bad_request("the body is no JSON object"));
    }
    for (field, expected) in
        [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())]
    {
        if let Some(sent) = body[field].as_str().filter(|sent| *sent != expected) {
            let message = format!(
                "{field} in the data ({sent}) does not match the expected one ({expected})"
            );
            return Err(status::bad_request(&message));
        }
    }
    let mut object = body.clone();
    let name = metadata_text(&object, "name");
    if !target.name.is_empty() && name != target.name {
        let message = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        );
        return Err(status::bad_request(&message));
    }
    let namespace = metadata_text(&object, "namespace");
    if !namespace.is_empty() && namespace != target.namespace {
        let message =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(status::bad_request(message));
    }
    if resource.namespaced {
        metadata(&mut object).insert("namespace".into(), target.namespace.clone().into());
    }
    Ok(object)
}

/// The name of a new object.
pub fn name(resource: &Resource, name: &str) -> Result<(), Refusal> {
    let refuse = |cause, message: &str| {
        Err(status::invalid(resource, name, "metadata.name", cause, message))
    };
    if name.is_empty() {
        return refuse("FieldValueRequired", "Required value: name or generateName is required");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.chars().all(|c| allowed(c) || c == '-')
            && label.starts_with(allowed)
            && label.ends_with(allowed)
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return refuse(
            "FieldValueInvalid",
            &format!("Invalid value: \"{name}\": no RFC 1123 subdomain"),
        );
    }
    Ok(())
}

/// What an update must leave alone; both objects are in their stored form.
pub fn update(resource: &Resource, name: &str, old: &Value, new: &Value) -> Result<(), Refusal> {
    let invalid = |field: &str, message: &str| {
        Err(status::invalid(resource, name, field, "FieldValueInvalid", message))
    };
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if old["metadata"][field] != new["metadata"][field] {
            return invalid(&format!("metadata.{field}"), "Invalid value: field is immutable");
        }
    }
    let finalizers = |object: &Value| -> Vec<Value> {
        object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default()
    };
    let known = finalizers(old);
    if is_deleting(old) && finalizers(new).iter().any(|finalizer| !known.contains(finalizer)) {
        let message = "Forbidden: no new finalizers can be added if the object is being deleted";
        let field = "metadata.finalizers";
        return Err(status::invalid(resource, name, field, "FieldValueForbidden", message));
    }
    if resource.is("secrets") {
        return secret_update(resource, name, old, new);
    }
    Ok(())
}

fn secret_update(resource: &Resource, name: &str, old: &Value, new: &Value) -> Result<(), Refusal> {
    if old["type"] != new["type"] {
        let message = "Invalid value: field is immutable";
        return Err(status::invalid(resource, name, "type", "FieldValueInvalid", message));
    }
    if old["immutable"] != true {
        return Ok(());
    }
    for field in ["immutable", "data"] {
        if old[field] != new[field] {
            let message = "Forbidden: field is immutable when `immutable` is set";
            return Err(status::invalid(resource, name, field, "FieldValueForbidden", message));
        }
    }
    Ok(())
}

/// Whether a dry run is asked for; nothing but `All` can be.
pub fn dry_run<'a>(mut values: impl Iterator<Item = &'a str>, kind: &str) -> Result<bool, Refusal> {
    values.try_fold(false, |_, value| match value {
        "All" => Ok(true),
        other => Err(status::invalid_options(
            kind,
            &format!("dryRun: Unsupported value: \"{other}\": supported values: \"All\""),
        )),
    })
}

/// A deletion's options.
pub fn delete_options(options: &Value) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(status::invalid_options("DeleteOptions", message));
    let policy = options["propagationPolicy"].as_str();
    if policy.is_some() && options["orphanDependents"].is_boolean() {
        return refuse(
            "propagationPolicy: Invalid value: orphanDependents and propagationPolicy cannot be both set",
        );
    }
    match policy {
        None | Some("Foreground" | "Background" | "Orphan") => Ok(()),
        Some(other) => refuse(&format!("propagationPolicy: Unsupported value: \"{other}\"")),
    }
}
