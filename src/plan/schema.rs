//! The schemas of the custom resource definitions, without their rules: types, required fields, bounds.
//!
//! It knows the part of `OpenAPI` that the definitions use; a test fails if they use more. Each problem begins with the words of
//! the API server, by which people search, and says the right form in plain words.

use serde_json::Value;

use super::document::join;

/// What the schema says against a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field.
    pub field: String,
    /// What is wrong, and the right form.
    pub message: String,
    /// What follows from it.
    pub kind: Kind,
}

/// What follows from a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The value has not the form that rules expect, so the API server evaluates none.
    Form,
    /// The value is out of bounds.
    Bounds,
    /// A rule of the definition refuses it.
    Rule,
    /// There is no such field. kubectl refuses that by default, and the API server would drop it.
    UnknownField,
}

/// Checks a value, and removes what the API server would remove: fields without a value.
pub fn check(schema: &Value, value: &mut Value, path: &str, found: &mut Vec<Problem>) {
    let mut note = |kind, message: String| {
        found.push(Problem { field: path.to_owned(), message, kind });
    };
    let wanted = schema["type"].as_str().unwrap_or_default();
    if !is(value, wanted) {
        let got = name_of_type(value);
        let words = right_form(schema, wanted, value).map(|words| format!(": {words}"));
        note(
            Kind::Form,
            format!("must be of type {wanted}, and is {got}{}", words.unwrap_or_default()),
        );
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let listed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        note(
            Kind::Bounds,
            format!("Unsupported value: {value}: supported values: {}", listed.join(", ")),
        );
    }
    match value {
        Value::String(text) => {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
                note(Kind::Bounds, format!("should be at least {least} chars long"));
            }
            if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
                note(
                    Kind::Form,
                    format!("Too long: may not be more than {most} characters, and is {length}"),
                );
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
                note(Kind::Bounds, format!("should be greater than or equal to {least}"));
            }
            if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
                note(Kind::Bounds, format!("should be less than or equal to {most}"));
            }
        }
        Value::Array(items) => {
            let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
            if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
                note(Kind::Bounds, format!("should have at least {least} items"));
            }
            if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
                note(
                    Kind::Form,
                    format!("Too many: must have at most {most} items, and has {length}"),
                );
            }
            for (index, item) in items.iter_mut().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(_) => fields(schema, value, path, found),
        Value::Bool(_) | Value::Null => {}
    }
}

fn fields(schema: &Value, value: &mut Value, path: &str, found: &mut Vec<Problem>) {
    let Value::Object(fields) = value else { return };
    let known = &schema["properties"];
    let others = Some(&schema["additionalProperties"]).filter(|others| others.is_object());
    // The definitions allow null nowhere, and the API server removes it.
    fields.retain(|name, value| !value.is_null() || (known[name].is_null() && others.is_none()));
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            let about = known[name]["description"].as_str().map(first_sentence);
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            found.push(Problem {
                field: join(path, name),
                message: format!("Required value{about}"),
                kind: Kind::Form,
            });
        }
    }
    for (name, value) in fields.iter_mut() {
        let path = join(path, name);
        if let Some(schema) = known.get(name).or(others) {
            check(schema, value, &path, found);
        } else {
            let message = format!("unknown field: {}", instead(name, known));
            found.push(Problem { field: path, message, kind: Kind::UnknownField });
        }
    }
}

/// What may be meant by a field that there is not.
pub fn instead(name: &str, known: &Value) -> String {
    let names: Vec<&str> =
        known.as_object().into_iter().flat_map(|all| all.keys()).map(String::as_str).collect();
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    match names.iter().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= name.len().div_ceil(3) => {
            format!("did you mean {nearest}?")
        }
        _ => format!("the fields here are {}", names.join(", ")),
    }
}

fn is(value: &Value, wanted: &str) -> bool {
    match wanted {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        // As the API server does, whatever the notation.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The right form, where it can be told from the wrong one.
fn right_form(schema: &Value, wanted: &str, value: &Value) -> Option<String> {
    Some(match (wanted, value) {
        ("string", Value::Number(number)) if is_duration(schema) => format!(
            "write the unit, such as {number}m for minutes or {number}h for hours"
        ),
        ("string", Value::Number(number)) => {
            format!("YAML reads it as a number: write it in quotes, \"{number}\"")
        }
        ("string", Value::Bool(_)) => {
            "YAML reads yes, no, on, off, true and false without quotes as booleans: write it in quotes".into()
        }
        ("boolean", Value::String(text)) => {
            match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => "write true, without quotes".into(),
                "false" | "no" | "off" | "n" | "0" => "write false, without quotes".into(),
                _ => "write true or false".into(),
            }
        }
        ("boolean", _) => "write true or false".into(),
        ("integer", Value::String(text)) if text.parse::<i64>().is_ok() => {
            format!("write {text}, without quotes")
        }
        ("integer", _) => "write a whole number".into(),
        ("array", _) => "write a list: each entry on a line of its own that begins with -".into(),
        ("object", _) => {
            let names: Vec<&str> = schema["properties"].as_object()?.keys().map(String::as_str).collect();
            format!("its fields are {}", names.join(", "))
        }
        _ => return None,
    })
}

fn is_duration(schema: &Value) -> bool {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules
        .into_iter()
        .flatten()
        .any(|rule| rule["rule"].as_str().is_some_and(|rule| rule.contains("duration(self)")))
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..end]).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::crds;

    /// What is known here, what only describes, and what `rules` evaluates.
    const KNOWN: &[&str] = &[
        "additionalProperties",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "properties",
        "required",
        "type",
        "x-kubernetes-validations",
    ];

    fn keywords<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
        found.extend(schema.as_object().unwrap().keys().map(String::as_str));
        let properties = schema["properties"].as_object();
        properties.into_iter().flat_map(|all| all.values()).for_each(|of| keywords(of, found));
        for inner in [&schema["items"], &schema["additionalProperties"]] {
            if inner.is_object() {
                keywords(inner, found);
            }
        }
    }

    #[test]
    fn the_definitions_say_nothing_that_is_not_checked() {
        for (name, crd) in crds::all() {
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let mut found = BTreeSet::new();
            keywords(&schema["properties"]["spec"], &mut found);
            let unknown: Vec<_> = found.iter().filter(|word| !KNOWN.contains(word)).collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
            assert_eq!(schema["required"], serde_json::json!(["spec"]), "{name}");
        }
    }
}
