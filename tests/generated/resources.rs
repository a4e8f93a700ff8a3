//! The reference of the resources, from their schemas.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Files, cell, made_from};

pub fn files(definitions: &Files) -> Files {
    let mut page = format!(
        "{}\n# Resources\n\n`kubectl explain tpol.spec` and `kubectl explain tap.spec` tell the same at a command line. Lengths of time \
         are written in hours and minutes, such as `90m` or `2h`.\n",
        made_from("the types in src/api")
    );
    for definition in definitions.values() {
        let definition: Value = serde_yaml::from_str(definition).unwrap();
        let names = &definition["spec"]["names"];
        let kind = names["kind"].as_str().unwrap();
        let version = &definition["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let scope = match definition["spec"]["scope"].as_str() {
            Some("Cluster") => "It is in no namespace.",
            _ => "It is in a namespace.",
        };
        let _ = write!(
            page,
            "\n## {kind}\n\n{} {scope} `apiVersion: {}/{}`, short name `{}`.\n",
            schema["description"].as_str().unwrap_or_default(),
            definition["spec"]["group"].as_str().unwrap(),
            version["name"].as_str().unwrap(),
            names["shortNames"][0].as_str().unwrap(),
        );
        for part in ["spec", "status"] {
            object(&mut page, kind, part, &schema["properties"][part]);
        }
    }
    Files::from([("docs/reference/resources.md".into(), page)])
}

/// The section of an object, then those of the objects in it.
fn object(page: &mut String, kind: &str, path: &str, schema: &Value) {
    let _ = write!(page, "\n### {kind} {path}\n\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = write!(page, "{description}\n\n");
    }
    for message in messages(schema) {
        let _ = writeln!(page, "- Rule: {message}.");
    }
    if !messages(schema).is_empty() {
        page.push('\n');
    }
    page.push_str("| field | type | bounds and default | meaning |\n|---|---|---|---|\n");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut inner = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let (mut kind_of, mut element, mut many) = (type_of(field), field, "");
        if let Some(items) = field.get("items") {
            (kind_of, element, many) = (format!("list of {}", type_of(items)), items, "[]");
        }
        if element["properties"].is_object() {
            let anchor = format!("{kind} {path}{many}").to_lowercase();
            let anchor = anchor.replace(' ', "-").replace(['.', '[', ']'], "");
            kind_of = format!("[{kind_of}](#{anchor})");
            inner.push((format!("{path}{many}"), element));
        }
        let mut bounds = Vec::new();
        if required.contains(&Value::from(name.as_str())) {
            bounds.push("required".to_owned());
        }
        bounds.extend(limits(field));
        if element != field {
            bounds.extend(limits(element).into_iter().map(|limit| format!("each: {limit}")));
        }
        let _ = writeln!(
            page,
            "| `{name}` | {kind_of} | {} | {} |",
            cell(&bounds.join("; ")),
            cell(field["description"].as_str().unwrap_or_default()),
        );
    }
    for (path, schema) in inner {
        object(page, kind, &path, schema);
    }
}

fn type_of(schema: &Value) -> String {
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("date-time")) => "time".into(),
        (Some("string"), _) => "text".into(),
        (Some("array"), _) => "list".into(),
        (Some("object"), _) if schema["additionalProperties"].is_object() => "map".into(),
        (Some(other), _) => other.into(),
        (None, _) => "any".into(),
    }
}

fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> =
            values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        limits.push(values.join(", "));
    }
    for (keyword, words) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "entries at least"),
        ("maxItems", "entries at most"),
    ] {
        if let Some(limit) = schema[keyword].as_f64() {
            limits.push(format!("{words} {limit}"));
        }
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        limits.push(format!("matches `{pattern}`"));
    }
    // The rules of objects are told in their own section.
    if !schema["properties"].is_object() {
        limits.extend(messages(schema));
    }
    if let Some(default) = schema.get("default") {
        limits.push(format!("default `{default}`"));
    }
    limits
}

/// What the API server says where a rule is broken.
fn messages(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["message"].as_str().map(str::to_owned)).collect()
}
