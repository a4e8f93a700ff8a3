//! Whether the cluster serves the resources of this version, with its fields.

use std::collections::BTreeSet;

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::cluster::unseen;
use super::{Finding, Verdict};
use crate::api::crds;
use crate::api::names::GROUP;
use crate::plugin::call_error::CallError;
use crate::plugin::failure::OTHER_VERSION;
use crate::plugin::session::Session;
use crate::version::VERSION;

const CHECK: &str = "definitions";

pub async fn check(session: &Session) -> Finding {
    // Anybody who is signed in may ask what is served.
    if let Err(error) = session.cluster.path(&format!("/apis/{GROUP}/v1alpha1")).await {
        return match error {
            CallError::NotFound(_) => {
                let absent = CallError::NoSuchKind(session.cluster.name().full());
                Finding::new(CHECK, Verdict::Failed, absent.to_string()).remedy(concat!(
                    "if this is the right cluster, an administrator installs them: ",
                    page!("install.md")
                ))
            }
            error => unseen(CHECK, &error),
        };
    }
    match itself(session).await {
        Err(CallError::Right(_)) => {}
        Err(error) => return unseen(CHECK, &error),
        Ok(other) if other.is_empty() => {
            let detail = format!("v1alpha1 is served, as version {VERSION} ships it");
            return Finding::new(CHECK, Verdict::Ok, detail);
        }
        Ok(other) => return different(&other),
    }
    match published(session).await {
        Ok(other) if other.is_empty() => {
            let detail = format!(
                "v1alpha1 is served, with the fields of version {VERSION} (you may not see its rules)"
            );
            Finding::new(CHECK, Verdict::Ok, detail)
        }
        Ok(other) => different(&other),
        Err(_) => Finding::new(
            CHECK,
            Verdict::Ok,
            "v1alpha1 is served (you may not see of which version)",
        ),
    }
}

fn different(other: &[String]) -> Finding {
    let detail = format!("not those of version {VERSION}: {}", other.join("; "));
    Finding::new(CHECK, Verdict::Warning, detail).remedy(OTHER_VERSION)
}

/// Which definitions differ from those of this version, and how.
async fn itself(session: &Session) -> Result<Vec<String>, CallError> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let mut other = Vec::new();
    for (_, ours) in crds::all() {
        let name = ours["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let found = session.cluster.get_any(&ApiResource::from_gvk(&kind), &name).await?;
        let found = serde_json::to_value(found).unwrap_or_default();
        let (ours, found) = (schema(&ours), schema(&found));
        if ours != found {
            other.push(match differences(&ours, &found) {
                fields if fields.is_empty() => format!("{name} has other rules or texts"),
                fields => format!("{name} {fields}"),
            });
        }
    }
    Ok(other)
}

/// The same of the fields alone, from what the API server publishes for everybody.
async fn published(session: &Session) -> Result<Vec<String>, CallError> {
    let path = format!("/openapi/v3/apis/{GROUP}/v1alpha1");
    let document = session.cluster.path(&path).await?.value;
    let mut other = Vec::new();
    for (_, ours) in crds::all() {
        let kind = ours["spec"]["names"]["kind"].as_str().unwrap_or_default();
        let found = of_kind(&document, kind).unwrap_or_default();
        let fields = differences(&schema(&ours), &found);
        if !fields.is_empty() {
            other.push(format!("{kind} {fields}"));
        }
    }
    Ok(other)
}

/// The properties of a kind in an `OpenAPI` document.
fn of_kind(document: &Value, kind: &str) -> Option<Value> {
    let schemas = document["components"]["schemas"].as_object()?;
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|k| k["kind"] == kind && k["group"] == GROUP)
    };
    Some(schemas.values().find(is_it)?["properties"].clone())
}

/// The schema of the first version, with numbers as they are compared: the API server writes 8 where 8.0 was sent.
fn schema(definition: &Value) -> Value {
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    level(&mut schema);
    schema["properties"].take()
}

fn level(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().into(),
        Value::Array(items) => items.iter_mut().for_each(level),
        Value::Object(fields) => fields.values_mut().for_each(level),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Which fields of ours theirs does not have, and which only theirs has.
fn differences(ours: &Value, theirs: &Value) -> String {
    let (ours, theirs) = (fields(ours), fields(theirs));
    let told = |verb: &str, fields: Vec<&String>| {
        // Whatever is below a field that is missing is missing, too.
        let tops: Vec<&str> = fields
            .iter()
            .map(|field| field.as_str())
            .filter(|field| !fields.iter().any(|top| field.starts_with(&format!("{top}."))))
            .collect();
        (!tops.is_empty()).then(|| format!("{verb} {}", tops.join(", ")))
    };
    let missing = told("lacks", ours.difference(&theirs).collect());
    let novel = told("also has", theirs.difference(&ours).collect());
    missing.into_iter().chain(novel).collect::<Vec<_>>().join(", and ")
}

/// The paths of all fields of spec and status.
fn fields(properties: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for top in ["spec", "status"] {
        collect(&properties[top], top, &mut found);
    }
    found
}

fn collect(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        collect(schema, &path, found);
        found.insert(path);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], path, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours() -> Value {
        schema(
            &crds::all()
                .into_iter()
                .find(|(_, crd)| crd["spec"]["names"]["kind"] == "TapRequest")
                .unwrap()
                .1,
        )
    }

    #[test]
    fn fields_of_another_version_are_named() {
        let ours = ours();
        assert_eq!(differences(&ours, &ours), "");
        let mut older = ours.clone();
        older["spec"]["properties"].as_object_mut().unwrap().remove("recipients");
        older["status"]["properties"].as_object_mut().unwrap().remove("resolved");
        older["status"]["properties"]["decisions"]["items"]["properties"]
            .as_object_mut()
            .unwrap()
            .remove("comment");
        let lacks = "lacks spec.recipients, status.decisions.comment, status.resolved";
        assert_eq!(differences(&ours, &older), lacks);
        older["spec"]["properties"]["novel"] = json!({ "type": "string" });
        assert_eq!(differences(&ours, &older), format!("{lacks}, and also has spec.novel"));
    }

    #[test]
    fn a_kind_is_found_in_what_the_server_publishes() {
        let kind = json!({ "group": GROUP, "kind": "TapRequest", "version": "v1alpha1" });
        let document = json!({ "components": { "schemas": {
            "a": { "properties": {} },
            "b": { "properties": ours(), "x-kubernetes-group-version-kind": [kind] },
        } } });
        assert_eq!(of_kind(&document, "TapRequest"), Some(ours()));
        assert_eq!(of_kind(&document, "TapPolicy"), None);
    }
}
