//! The tenant's method as a policy that changes nothing.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::rules::Rules;
use crate::api::ObservedTarget;
use crate::api::names::GROUP;
use crate::api::yaml::{self, YamlError};
use crate::decision::method::as_method;
use crate::entra::{Group, MethodConfiguration};

/// A policy, and what of the method it does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The policy.
    pub policy: Value,
    /// The fields that are left out, each with the reason.
    pub left_out: Vec<String>,
}

/// The method of a tenant as a policy for this connection. Groups that were read get their names.
///
/// A field with a value that no policy may have is left out, so that the policy can be applied.
pub fn export(
    connection: &str,
    method: &MethodConfiguration,
    groups: &[Group],
    rules: &Rules,
) -> Export {
    let observed = as_method(method);
    let mut left_out = Vec::new();
    let mut fields = serde_json::Map::new();
    let mut add = |name: &str, value: Value| {
        if value.is_null() {
            return;
        }
        // With what is there already, for some values exclude each other.
        let mut all = fields.clone();
        all.insert(name.to_owned(), value.clone());
        match rules.check(&policy(connection, &Value::Object(all.clone()))).first() {
            None => fields = all,
            Some(problem) => left_out.push(format!("{name} {value}: {}", problem.message)),
        }
    };
    add("state", text(&observed.state));
    add("lifetime", text(&observed.lifetime));
    add("codeLength", text(&observed.code_length));
    add("requireOneTimeUse", text(&observed.require_one_time_use));
    let mut of_users = Vec::new();
    // Of a group that is on both lists, the exclusion counts.
    for (name, targets) in [("exclude", &observed.exclude), ("include", &observed.include)] {
        if targets.iter().any(|target| target.user.is_some()) {
            of_users.push(format!("{name}: it names users, and a policy can only name groups"));
        } else {
            add(name, targets.iter().map(|target| with_name(target, groups)).collect());
        }
    }
    left_out.extend(of_users);
    Export { policy: policy(connection, &Value::Object(fields)), left_out }
}

impl Export {
    /// The policy as YAML, with comments that say what it is.
    pub fn to_yaml(&self, tenant_id: &str) -> Result<String, YamlError> {
        let mut text = format!(
            "# The Temporary Access Pass method of tenant {tenant_id}, as it was found. It is only observed (enforcement is left out).\n"
        );
        for field in &self.left_out {
            let _ = writeln!(text, "# Left out: {}", field.replace(['\n', '\r'], " "));
        }
        text += &yaml::write(&self.policy)?;
        Ok(text)
    }
}

fn policy(connection: &str, method: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "TapPolicy",
        "metadata": { "name": object_name(connection) },
        "spec": { "tenant": connection, "method": method },
    })
}

/// The name of the connection, as far as it can be the name of an object.
fn object_name(connection: &str) -> String {
    let name: String = connection
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "tenant".to_owned() } else { name.to_owned() }
}

fn text<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn with_name(target: &ObservedTarget, groups: &[Group]) -> Value {
    let mut value = text(target);
    let name = target.group.as_ref().and_then(|id| {
        groups.iter().find(|group| group.id.eq_ignore_ascii_case(id)).map(|g| &g.display_name)
    });
    // A longer name cannot be written into a policy.
    if let Some(name) = name.filter(|name| (1..=256).contains(&name.chars().count())) {
        value["displayName"] = json!(name);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TapPolicy;
    use crate::decision::method::compare;
    use crate::entra::{ALL_USERS, GraphTarget, MethodState};

    fn target(id: &str, kind: &str) -> GraphTarget {
        GraphTarget { id: id.into(), target_type: kind.into(), is_registration_required: None }
    }

    fn method() -> MethodConfiguration {
        MethodConfiguration {
            state: MethodState::Enabled,
            default_lifetime_minutes: Some(60),
            minimum_lifetime_minutes: Some(10),
            maximum_lifetime_minutes: Some(90),
            default_length: Some(8),
            one_time_required: Some(false),
            include: vec![target(ALL_USERS, "group")],
            exclude: vec![target("6C1F0000-0000-4000-8000-000000000101", "group")],
        }
    }

    /// Whether the method is just as the policy says.
    fn changes_nothing(export: &Export, method: &MethodConfiguration) -> bool {
        serde_json::from_value::<TapPolicy>(export.policy.clone()).is_ok_and(|policy| {
            compare(&policy.spec.method.unwrap_or_default(), method).drift.is_empty()
        })
    }

    #[test]
    fn the_policy_says_what_the_method_is() {
        let rules = Rules::shipped().unwrap();
        let groups = [Group {
            id: "6c1f0000-0000-4000-8000-000000000101".into(),
            display_name: "Yes".into(),
            hides_members: false,
        }];
        let export = export("Contoso.EU", &method(), &groups, &rules);
        assert_eq!(export.left_out, Vec::<String>::new());
        assert!(changes_nothing(&export, &method()), "{:#}", export.policy);
        let expected = json!({
            "state": "Enabled", "codeLength": 8, "requireOneTimeUse": false,
            "lifetime": {"minimum": "10m", "default": "1h", "maximum": "1h30m"},
            "include": [{"allUsers": true}],
            "exclude": [{"group": "6c1f0000-0000-4000-8000-000000000101", "displayName": "Yes"}],
        });
        assert_eq!(export.policy["spec"]["method"], expected);
        assert_eq!(export.policy["metadata"]["name"], "contoso-eu");
        let text = export.to_yaml("7f2d").unwrap();
        assert!(
            text.contains("displayName: \"Yes\"") || text.contains("displayName: 'Yes'"),
            "{text}"
        );
        let read = crate::plan::document::read_all(&text).unwrap();
        assert_eq!(read[0].value, export.policy);
    }

    #[test]
    fn what_no_policy_can_say_is_left_out_and_named() {
        let rules = Rules::shipped().unwrap();
        let mut method = method();
        method.state = MethodState::Other("preview".into());
        method.default_length = Some(6);
        method.include = vec![target("6c1f0000-0000-4000-8000-000000000101", "user")];
        let export = export("default", &method, &[], &rules);
        assert!(changes_nothing(&export, &method), "{:#}", export.policy);
        assert_eq!(export.left_out.len(), 3, "{:?}", export.left_out);
        let fields = export.policy["spec"]["method"].as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["exclude", "lifetime", "requireOneTimeUse"]);
        method.include = Vec::new();
        let export = super::export("default", &method, &[], &rules);
        assert!(export.left_out.iter().any(|field| field.starts_with("include")), "{export:?}");
    }
}
