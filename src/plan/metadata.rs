//! The metadata of objects, which the API server checks in the same way for every kind.

use serde_json::{Map, Value};

use super::schema::{Kind, Problem, instead};

/// The fields of metadata. Most of them are not for people to write, and the API server takes them all the same.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The longest part of a name, key or value.
const LONGEST_PART: usize = 63;

/// What the API server refuses about the metadata of an object.
pub fn check(object: &Value, found: &mut Vec<Problem>) {
    let metadata = &object["metadata"];
    for name in metadata.as_object().into_iter().flat_map(Map::keys) {
        if !FIELDS.contains(&name.as_str()) {
            let known = FIELDS.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
            let message = format!("unknown field: {}", instead(name, &Value::Object(known)));
            found.push(Problem {
                field: format!("metadata.{name}"),
                message,
                kind: Kind::UnknownField,
            });
        }
    }
    let mut refuse = |field: &str, kind, message: String| {
        found.push(Problem { field: format!("metadata.{field}"), message, kind });
    };
    for field in ["name", "generateName", "namespace"] {
        if !metadata[field].is_null() && !metadata[field].is_string() {
            refuse(field, Kind::Form, "must be a text: write it in quotes".into());
        }
    }
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    match metadata["name"].as_str() {
        None if metadata["name"].is_null() && prefix.is_empty() => {
            refuse("name", Kind::Bounds, "Required value: name or generateName is required".into());
        }
        Some(name) if !is_subdomain(name) => refuse("name", Kind::Bounds, SUBDOMAIN.into()),
        _ => {}
    }
    // A dash at its end is followed by letters.
    if !prefix.is_empty()
        && !is_subdomain(
            &prefix.strip_suffix('-').map_or_else(|| prefix.into(), |prefix| format!("{prefix}-a")),
        )
    {
        refuse("generateName", Kind::Bounds, SUBDOMAIN.into());
    }
    // kubectl leaves out the namespace of an object that has none.
    if object["kind"] == "TapRequest"
        && let Some(namespace) = metadata["namespace"].as_str()
        && !namespace.is_empty()
        && !(namespace.len() <= LONGEST_PART && is_label(namespace))
    {
        let message = "must be at most 63 lower case letters, digits and '-', and begin and end with a letter or digit";
        refuse("namespace", Kind::Bounds, message.into());
    }
    for field in ["labels", "annotations"] {
        let texts = &metadata[field];
        if !texts.is_null() && !texts.is_object() {
            refuse(field, Kind::Form, "must be an object of texts".into());
        }
        for (key, value) in texts.as_object().into_iter().flatten() {
            // The API server does not mind capital letters in the domains of annotations.
            let is_key = match field {
                "labels" => is_key(key),
                _ => is_key(&key.to_ascii_lowercase()),
            };
            if !is_key {
                refuse(field, Kind::Bounds, format!("{key:?} is no key: {KEY}"));
            }
            match value {
                Value::String(text) if field == "labels" && !is_label_value(text) => {
                    refuse(
                        field,
                        Kind::Bounds,
                        format!("{text:?} is no value of a label: {VALUE}"),
                    );
                }
                Value::String(_) | Value::Null => {}
                _ => refuse(
                    field,
                    Kind::Form,
                    format!("{key} must be a text: write {value} in quotes"),
                ),
            }
        }
    }
}

/// What `kubectl apply` refuses about metadata that the API server takes.
pub fn not_applied(object: &Value) -> Option<&'static str> {
    let metadata = &object["metadata"];
    let is_generated = metadata["name"].is_null() && metadata["generateName"].is_string();
    is_generated.then_some(
        "kubectl apply refuses generateName, and kubectl create makes another object each time: write a name",
    )
}

const SUBDOMAIN: &str = "must consist of lower case letters, digits, '-' and '.', and begin and end with a letter or digit";
const KEY: &str = "it is at most 63 letters, digits, '-', '_' and '.', begins and ends with a letter or digit, and may have a domain and / before it";
const VALUE: &str = "it is at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit";

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.bytes().all(inner) && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Whether this is a key of a label: a name, with a domain and a slash before it or not.
fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_part_of_key(name),
        None => is_part_of_key(text),
    }
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_part_of_key(text)
}

fn is_part_of_key(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_PART
        && bytes.iter().all(|b| inner(*b))
        && ends(bytes.first())
        && ends(bytes.last())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The fields of a request's metadata that are refused.
    fn refused(metadata: &Value) -> Vec<String> {
        let mut object = json!({ "kind": "TapRequest", "metadata": { "name": "a" } });
        for (field, value) in metadata.as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        let mut found = Vec::new();
        check(&object, &mut found);
        found.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn metadata_is_refused_as_by_the_api_server() {
        let long = "x".repeat(64);
        for (field, wrong) in [
            ("label", json!({ "a": "b" })),
            ("name", json!("A")),
            ("name", json!(1)),
            ("generateName", json!("A-")),
            ("namespace", json!("Help Desk")),
            ("namespace", json!("a.b")),
            ("namespace", json!(long)),
            ("labels", json!({ "a b": "c" })),
            ("labels", json!({ "a/b/c": "d" })),
            ("labels", json!({ "/a": "b" })),
            ("labels", json!({ "Example.com/a": "b" })),
            ("labels", json!({ "": "b" })),
            ("labels", json!({ "a": "b c" })),
            ("labels", json!({ "a": "-b" })),
            ("labels", json!({ "a": long })),
            ("labels", json!({ "a": 1 })),
            ("labels", json!(["a"])),
            ("annotations", json!({ "a b": "c" })),
            ("annotations", json!({ "a": true })),
        ] {
            assert_eq!(refused(&json!({ field: wrong })), [format!("metadata.{field}")], "{wrong}");
        }
        for (field, right) in [
            ("uid", json!("a")),
            ("namespace", json!("helpdesk-1")),
            ("generateName", json!("a-")),
            (
                "labels",
                json!({ "app.kubernetes.io/name": "A_b.c", "a": "", "b": null, "B-c_d.e": "f" }),
            ),
            ("annotations", json!({ "Example.com/A": "any text, of any length", "a": "" })),
            ("labels", json!(null)),
        ] {
            assert!(refused(&json!({ field: right })).is_empty(), "{right}");
        }
    }
}
