//! The charts: copies of what the kustomizations use, `values.yaml` from the schema of the values, and the page about
//! them.

use std::fmt::Write as _;

use serde_yaml::{Mapping, Value};

use super::{Files, cell, made_from, read, repository};

const CHART: &str = "deploy/helm/tap-operator";
const DEFINITIONS: &str = "deploy/helm/tap-operator-crds";
/// The folders whose manifests the chart renders, as they are in `deploy` and in its `files`.
const SHIPPED: [(&str, &[&str]); 4] = [
    ("admission", &["decisions.yaml", "hints.yaml", "requests.yaml", "secrets.yaml"]),
    ("mutating", &["stamp.yaml"]),
    ("base", &["rbac.yaml", "roles.yaml"]),
    ("monitoring", &["dashboard.json", "rules.yaml"]),
];

pub fn files(definitions: &Files) -> Files {
    let mut files = Files::new();
    for (path, content) in definitions {
        let name = path.trim_start_matches("crds/");
        files.insert(format!("{DEFINITIONS}/files/{name}"), content.clone());
    }
    for (folder, names) in SHIPPED {
        for name in names {
            let path = format!("{CHART}/files/{folder}/{name}");
            files.insert(path, read(&format!("deploy/{folder}/{name}")));
        }
    }
    let mut page = format!(
        "{}\n# Values of the charts\n\nA value that no chart knows is refused by `helm install` and `helm upgrade`, at every level. Only what \
         Kubernetes defines inside of a pod or a peer (such as `affinity.nodeAffinity`) is left to the API server, and \
         labels, annotations and what is below `global` may have any name.\n",
        made_from("deploy/helm/*/values.schema.json")
    );
    for chart in [CHART, DEFINITIONS] {
        let schema = schema(chart);
        let properties = properties(&schema).unwrap();
        let name = chart.rsplit('/').next().unwrap();
        let mut values = format!(
            "# Values of the chart {name}, made from values.schema.json by `make generate`.\n"
        );
        write_values(&mut values, properties, 0);
        files.insert(format!("{chart}/values.yaml"), values);
        let _ = write!(page, "\n## {name}\n\n| value | default | meaning |\n|---|---|---|\n");
        write_table(&mut page, properties, "");
    }
    files.insert("docs/reference/chart.md".into(), page);
    files
}

/// The copies that are there, whether they should be or not.
pub fn copies() -> Vec<String> {
    let mut found = Vec::new();
    for directory in SHIPPED.map(|(folder, _)| format!("{CHART}/files/{folder}")) {
        for entry in std::fs::read_dir(repository(&directory)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            found.push(format!("{directory}/{name}"));
        }
    }
    found
}

fn schema(chart: &str) -> Value {
    serde_yaml::from_str(&read(&format!("{chart}/values.schema.json"))).unwrap()
}

fn properties(schema: &Value) -> Option<&Mapping> {
    schema.get("properties").and_then(Value::as_mapping)
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn write_values(out: &mut String, properties: &Mapping, depth: usize) {
    let indent = "  ".repeat(depth);
    for (name, schema) in properties {
        let name = name.as_str().unwrap();
        let description = text(schema, "description");
        assert!(!description.is_empty(), "the value {name} has no description");
        if depth == 0 {
            out.push('\n');
        }
        for line in wrap(description, 116 - indent.len()) {
            let _ = writeln!(out, "{indent}# {line}");
        }
        if let Some(inner) = self::properties(schema) {
            let _ = writeln!(out, "{indent}{name}:");
            write_values(out, inner, depth + 1);
            continue;
        }
        let default = schema.get("default").unwrap_or_else(|| panic!("{name} has no default"));
        let _ = writeln!(out, "{indent}{name}: {}", json(default));
    }
}

fn write_table(out: &mut String, properties: &Mapping, above: &str) {
    for (name, schema) in properties {
        let path = format!("{above}{}", name.as_str().unwrap());
        let description = cell(text(schema, "description"));
        if let Some(inner) = self::properties(schema) {
            let _ = writeln!(out, "| `{path}` | | {description} |");
            write_table(out, inner, &format!("{path}."));
        } else {
            let default = cell(&json(&schema["default"]));
            let _ = writeln!(out, "| `{path}` | `{default}` | {description} |");
        }
    }
}

/// A default in the one form that YAML and people read on one line.
fn json(value: &Value) -> String {
    match value {
        Value::Mapping(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", name.as_str().unwrap(), json(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(word) if plain(word) => word.clone(),
        other => serde_json::to_string(other).unwrap(),
    }
}

/// Whether YAML reads the word as a text without quotes.
fn plain(word: &str) -> bool {
    let letters = word.chars().all(|c| c.is_ascii_alphanumeric() || "-./".contains(c));
    letters
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["true", "false"].contains(&word)
}

/// Breaks a text into lines of at most so many characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Where a schema takes an object with fields that it does not name.
fn open_objects(at: &str, schema: &Value, out: &mut Vec<String>) {
    match schema {
        Value::Mapping(fields) => {
            let is_object = schema.get("type").is_some_and(|kind| *kind == "object");
            if is_object && !fields.contains_key("additionalProperties") {
                out.push(at.to_owned());
            }
            for (name, inner) in fields {
                if !["default", "enum"].contains(&name.as_str().unwrap()) {
                    open_objects(&format!("{at}/{}", name.as_str().unwrap()), inner, out);
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| open_objects(at, item, out)),
        _ => {}
    }
}

#[test]
fn the_values_are_closed_but_for_what_kubernetes_defines() {
    let kubernetes = ["affinity", "peer", "podSecurityContext", "resources", "variable", "volume"];
    for chart in [CHART, DEFINITIONS] {
        let mut open = Vec::new();
        open_objects("", &schema(chart), &mut open);
        open.retain(|at| {
            let mut parts = at.split('/').skip(1);
            let defined = parts.next() == Some("definitions");
            let known = parts.next().is_some_and(|name| kubernetes.contains(&name));
            at != "/properties/global" && !(defined && known && parts.next().is_some())
        });
        assert!(open.is_empty(), "{chart} takes any field at {open:#?}");
    }
}

#[test]
fn the_values_name_what_the_operator_and_the_rules_know() {
    use tap_operator::api::Ceilings;
    use tap_operator::notice::Kind;
    let schema = schema(CHART);
    let words = |value: &Value| -> Vec<String> {
        value.as_sequence().unwrap().iter().map(|word| word.as_str().unwrap().into()).collect()
    };
    let rules: Value = serde_yaml::from_str(&read("deploy/monitoring/rules.yaml")).unwrap();
    let rules = rules["groups"][0]["rules"].as_sequence().unwrap();
    let alerts: Vec<&str> = rules.iter().map(|rule| text(rule, "alert")).collect();
    assert_eq!(words(&schema["definitions"]["alert"]["enum"]), alerts);
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(words(&schema["definitions"]["kind"]["enum"]), kinds);
    let known = serde_yaml::to_value(Ceilings::default()).unwrap();
    let there = properties(&schema["definitions"]["ceilings"]).unwrap();
    assert!(there.keys().eq(known.as_mapping().unwrap().keys()), "{there:?}");
}
