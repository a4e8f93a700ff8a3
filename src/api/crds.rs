//! The custom resource definitions, in the form that `kubectl apply` accepts.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{TapPolicy, TapRequest, yaml};

/// The definitions, each with the name of its file.
pub fn all() -> Vec<(&'static str, Value)> {
    // With this default, a JSON patch can append to status.decisions before the operator has written a status.
    let new = json!({ "phase": "Pending", "decisions": [] });
    vec![
        ("tappolicies.yaml", finish(&TapPolicy::crd(), None)),
        ("taprequests.yaml", finish(&TapRequest::crd(), Some(&new))),
    ]
}

/// One YAML file with all definitions.
pub fn to_yaml() -> Result<String, yaml::YamlError> {
    let documents: Result<Vec<_>, _> = all().iter().map(|(_, crd)| yaml::write(crd)).collect();
    Ok(documents?.into_iter().flat_map(|document| ["---\n".to_owned(), document]).collect())
}

fn finish(crd: &CustomResourceDefinition, status_default: Option<&Value>) -> Value {
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    for version in
        crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") else { continue };
        tidy(schema);
        if let (Some(default), Some(status)) =
            (status_default, schema.pointer_mut("/properties/status"))
        {
            status["default"] = default.clone();
        }
    }
    crd
}

/// Removes what makes a definition longer or stricter than intended.
///
/// `nullable`: the API server prunes an optional field that is null if the schema does not allow null, which is what
/// users expect.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            if fields.get("enum").is_some_and(Value::is_array)
                && let Some(Value::Array(values)) = fields.get_mut("enum")
            {
                values.retain(|v| !v.is_null());
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
