//! The admission policies as they are shipped, and how those of the cluster differ from them.

use serde_json::Value;

use crate::api::yaml;

/// The files that must be in force as they are shipped, in the order in which differences are reported.
const FILES: [&str; 3] = [
    include_str!("../../../deploy/admission/requests.yaml"),
    include_str!("../../../deploy/admission/decisions.yaml"),
    include_str!("../../../deploy/admission/secrets.yaml"),
];
/// The file that may be missing, because API servers before 1.36 do not know its kinds.
const STAMP: &str = include_str!("../../../deploy/mutating/stamp.yaml");
/// The CEL expression for the operator's user name in the shipped files; `deploy/identity` replaces it.
const SHIPPED_OPERATOR: &str =
    "'system:serviceaccount:' + 'tap-operator-system' + ':' + 'tap-operator'";
/// The policy on Secrets, and its binding.
const SECRETS: &str = "tap-operator-secrets";
/// How many differences a message names.
const TOLD: usize = 3;
/// Messages do not quote values longer than this many bytes.
const SHORT: usize = 40;

/// The service account by which the API server knows the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ServiceAccount {
    /// The service account of a user name, or `None` for the name of another user.
    pub fn of(username: &str) -> Option<Self> {
        let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Some(Self { namespace: namespace.into(), name: name.into() })
    }

    fn in_cel(&self) -> String {
        format!("'system:serviceaccount:' + '{}' + ':' + '{}'", self.namespace, self.name)
    }
}

/// A policy or binding as it is shipped, with every default of the API written out.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipped {
    /// Its kind, of `admissionregistration.k8s.io/v1`.
    pub kind: String,
    /// Its name.
    pub name: String,
    spec: Value,
}

impl Shipped {
    /// The validating policies and their bindings. Nothing is issued without them.
    ///
    /// # Panics
    /// Never: the files are compiled into the program, and its tests read them.
    pub fn required() -> Vec<Self> {
        FILES.iter().flat_map(|file| Self::read(file)).collect()
    }

    /// The mutating policy that stamps the requester, and its binding. It is a convenience: the validating policies check
    /// what it writes.
    ///
    /// # Panics
    /// Never, for the same reason.
    pub fn stamp() -> Vec<Self> {
        Self::read(STAMP)
    }

    fn read(file: &str) -> Vec<Self> {
        let objects: Vec<Value> = yaml::read_all(file).expect("the shipped files are YAML");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        objects
            .into_iter()
            .map(|mut object| Self {
                kind: text(&object["kind"]),
                name: text(&object["metadata"]["name"]),
                spec: object["spec"].take(),
            })
            .collect()
    }

    /// The same for another service account of the operator, as `deploy/identity` changes it.
    #[must_use]
    pub fn for_operator(mut self, operator: &ServiceAccount) -> Self {
        replace(&mut self.spec, &operator.in_cel());
        self
    }

    /// Its name in messages.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Whether it is about Secrets; the others are about requests and decisions.
    pub fn is_about_secrets(&self) -> bool {
        self.name == SECRETS
    }

    /// How the object in the cluster differs, one sentence for each difference. Null stands for an object that does not
    /// exist.
    ///
    /// Only the `spec` is compared. An empty value equals an absent one. An added field is a difference even if this
    /// version does not know it, because it may narrow the policy.
    pub fn differences(&self, found: &Value) -> Vec<String> {
        let title = self.title();
        if found.is_null() {
            return vec![format!("{title} is missing")];
        }
        if !found["metadata"]["deletionTimestamp"].is_null() {
            return vec![format!("{title} is being deleted")];
        }
        let mut differences = Vec::new();
        compare("spec", &self.spec, &found["spec"], &mut differences);
        differences.into_iter().map(|difference| format!("{title}: {difference}")).collect()
    }
}

fn replace(value: &mut Value, operator: &str) {
    match value {
        Value::String(text) if text.contains(SHIPPED_OPERATOR) => {
            *text = text.replace(SHIPPED_OPERATOR, operator);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, operator)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, operator)),
        _ => {}
    }
}

fn compare(path: &str, shipped: &Value, found: &Value, out: &mut Vec<String>) {
    match (shipped, found) {
        _ if shipped == found || (is_empty(shipped) && is_empty(found)) => {}
        _ if path == "spec.validationActions" => {
            // Further actions are allowed: a note in the audit log does not weaken the policy.
            if !found.as_array().is_some_and(|actions| actions.contains(&"Deny".into())) {
                out.push(format!("{path} is {found} and must contain Deny"));
            }
        }
        _ if is_empty(found) => out.push(format!("{path} is missing")),
        _ if is_empty(shipped) => out.push(format!("{path} was added")),
        (Value::Object(ours), Value::Object(theirs)) => {
            let added = theirs.keys().filter(|key| !ours.contains_key(*key));
            for key in ours.keys().chain(added) {
                compare(&format!("{path}.{key}"), &shipped[key], &found[key], out);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let name = ours["name"].as_str().map_or(index.to_string(), str::to_owned);
                compare(&format!("{path}[{name}]"), ours, theirs, out);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            out.push(format!("{path} has {} instead of {} entries", theirs.len(), ours.len()));
        }
        _ => {
            let (shipped, found) = (shipped.to_string(), found.to_string());
            out.push(if shipped.len() <= SHORT && found.len() <= SHORT {
                format!("{path} is {found} instead of {shipped}")
            } else {
                format!("{path} was changed")
            });
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A sentence with the first differences and the number of the others.
pub fn told(differences: &[String]) -> String {
    let more = differences.len().saturating_sub(TOLD);
    let first = differences.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more == 0 { first } else { format!("{first}; and {more} more") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all() -> Vec<Shipped> {
        Shipped::required().into_iter().chain(Shipped::stamp()).collect()
    }

    /// The object as the API server stores it, with the fields that it adds.
    fn stored(shipped: &Shipped) -> Value {
        json!({
            "kind": shipped.kind, "status": {"typeChecking": {}},
            "metadata": {"name": shipped.name, "labels": {"a": "b"}, "generation": 3},
            "spec": shipped.spec,
        })
    }

    /// Every place in a value, as a JSON pointer.
    fn places(value: &Value, at: &str, out: &mut Vec<String>) {
        out.push(at.to_owned());
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    places(field, &format!("{at}/{key}"), out);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    places(item, &format!("{at}/{index}"), out);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_files_hold_three_policies_with_their_bindings_and_the_stamp() {
        let titles = |all: Vec<Shipped>| all.iter().map(Shipped::title).collect::<Vec<_>>();
        let both = |kind: &str, name: &str| {
            [format!("{kind} tap-operator-{name}"), format!("{kind}Binding tap-operator-{name}")]
        };
        let required = ["requests", "decisions", "secrets"]
            .map(|name| both("ValidatingAdmissionPolicy", name))
            .concat();
        assert_eq!(titles(Shipped::required()), required);
        assert_eq!(titles(Shipped::stamp()), both("MutatingAdmissionPolicy", "stamp"));
    }

    #[test]
    fn what_is_shipped_is_no_difference_to_itself() {
        for shipped in all() {
            assert_eq!(shipped.differences(&stored(&shipped)), [""; 0]);
            assert_eq!(
                shipped.differences(&Value::Null),
                [format!("{} is missing", shipped.title())]
            );
            let mut ending = stored(&shipped);
            ending["metadata"]["deletionTimestamp"] = json!("2026-11-24T08:00:00Z");
            assert_eq!(
                shipped.differences(&ending),
                [format!("{} is being deleted", shipped.title())]
            );
        }
    }

    #[test]
    fn the_operator_is_named_in_as_many_places_as_kustomize_replaces() {
        let places =
            |shipped: &Shipped, operator: &str| shipped.spec.to_string().matches(operator).count();
        let operator = ServiceAccount::of("system:serviceaccount:passes:issuer").expect("one");
        let ours = "'system:serviceaccount:' + 'passes' + ':' + 'issuer'";
        for shipped in all() {
            let expected = match (shipped.kind.as_str(), shipped.is_about_secrets()) {
                ("ValidatingAdmissionPolicy", true) => 2,
                ("ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy", false) => 1,
                _ => 0,
            };
            assert_eq!(places(&shipped, SHIPPED_OPERATOR), expected, "{}", shipped.title());
            let for_another = shipped.clone().for_operator(&operator);
            assert_eq!(places(&for_another, ours), expected, "{}", shipped.title());
            assert!(!for_another.spec.to_string().contains("'tap-operator-system'"));
            assert_eq!(for_another.differences(&stored(&shipped)).is_empty(), expected == 0);
        }
    }

    #[test]
    fn only_a_service_account_is_one() {
        let operator = ServiceAccount { namespace: "a".into(), name: "b".into() };
        assert_eq!(ServiceAccount::of("system:serviceaccount:a:b"), Some(operator));
        for other in ["alice@contoso.com", "system:serviceaccount:a", "system:node:a:b", ""] {
            assert_eq!(ServiceAccount::of(other), None, "{other}");
        }
    }

    #[test]
    fn every_field_that_is_changed_emptied_or_taken_out_is_seen() {
        let mut tried = 0;
        for shipped in all() {
            let mut all = Vec::new();
            places(&shipped.spec, "", &mut all);
            for place in all {
                let original = shipped.spec.pointer(&place).expect("it is there");
                // A value that is empty already cannot be emptied, and of the actions only Deny must stay.
                if is_empty(original) || place.starts_with("/validationActions/") {
                    continue;
                }
                let emptied = match original {
                    Value::Object(_) => json!({}),
                    Value::Array(_) => json!([]),
                    _ => json!(""),
                };
                for other in [json!("other"), json!(7), json!(null), emptied] {
                    let mut found = stored(&shipped);
                    *found["spec"].pointer_mut(&place).expect("it is there") = other.clone();
                    let differences = shipped.differences(&found);
                    assert!(!differences.is_empty(), "{} {place}: {other}", shipped.title());
                    tried += 1;
                }
            }
        }
        assert!(tried > 1000, "{tried}");
    }

    #[test]
    fn every_field_and_entry_that_is_added_is_seen_unless_it_is_empty() {
        for shipped in all() {
            let mut all = Vec::new();
            places(&shipped.spec, "", &mut all);
            for place in all {
                let add = |value: Value| {
                    let mut found = stored(&shipped);
                    match found["spec"].pointer_mut(&place).expect("it is there") {
                        Value::Object(fields) => drop(fields.insert("new".into(), value)),
                        Value::Array(items) => items.push(value),
                        _ => return None,
                    }
                    Some(shipped.differences(&found))
                };
                if place == "/validationActions" {
                    assert_eq!(add(json!("Audit")), Some(vec![]));
                    continue;
                }
                for value in [json!("x"), json!(false), json!(0), json!(["x"]), json!({"x": 1})] {
                    let seen = add(value.clone()).is_none_or(|found| !found.is_empty());
                    assert!(seen, "{} {place}: {value}", shipped.title());
                }
                let original = shipped.spec.pointer(&place).expect("it is there");
                if original.is_object() && !is_empty(original) {
                    for empty in [json!(null), json!(""), json!([]), json!({})] {
                        assert_eq!(add(empty), Some(vec![]), "{} {place}", shipped.title());
                    }
                }
            }
        }
    }

    #[test]
    fn differences_read_well() {
        let find = |title: &str| all().into_iter().find(|s| s.title() == title).expect("shipped");
        let differences = |title: &str, change: &dyn Fn(&mut Value)| {
            let shipped = find(title);
            let mut found = stored(&shipped);
            change(&mut found["spec"]);
            shipped.differences(&found).join("; ")
        };
        let binding = "ValidatingAdmissionPolicyBinding tap-operator-requests";
        assert_eq!(
            differences(binding, &|spec| spec["validationActions"] = json!(["Audit", "Warn"])),
            format!(
                r#"{binding}: spec.validationActions is ["Audit","Warn"] and must contain Deny"#
            )
        );
        assert_eq!(
            differences(binding, &|spec| spec["paramRef"] = json!({"name": "x"})),
            format!("{binding}: spec.paramRef was added")
        );
        let policy = "ValidatingAdmissionPolicy tap-operator-requests";
        assert_eq!(
            differences(policy, &|spec| {
                spec["failurePolicy"] = json!("Ignore");
                spec["validations"] = json!([{"expression": "true"}]);
                spec["variables"][1]["expression"] = json!("true");
                spec["matchConstraints"]["namespaceSelector"] = json!({"matchLabels": {"a": "b"}});
            }),
            [
                format!(r#"{policy}: spec.failurePolicy is "Ignore" instead of "Fail""#),
                format!("{policy}: spec.matchConstraints.namespaceSelector was added"),
                format!("{policy}: spec.validations has 1 instead of 18 entries"),
                format!("{policy}: spec.variables[byOperator].expression was changed"),
            ]
            .join("; ")
        );
        let five: Vec<String> = (1..=5).map(|n| n.to_string()).collect();
        assert_eq!(told(&five), "1; 2; 3; and 2 more");
        assert_eq!(told(&five[..3]), "1; 2; 3");
    }
}
