//! The rights that the operator needs in the cluster, as its shipped roles grant them.

use serde::Deserialize;

use crate::api::yaml;

/// The shipped roles of the operator.
const ROLES: &str = include_str!("../../deploy/base/rbac.yaml");

/// One right.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, in the plural.
    pub resource: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// The name of the object; empty for all objects.
    pub name: String,
    /// The verb.
    pub verb: String,
    /// Whether it is needed in the operator's own namespace only.
    pub own_namespace: bool,
}

impl Right {
    /// Every right.
    ///
    /// # Panics
    /// Never: the file is compiled into the program, and its tests read it.
    pub fn all() -> Vec<Self> {
        let roles: Vec<Role> = yaml::read_all(ROLES).expect("the shipped roles are YAML");
        roles.iter().flat_map(Role::rights).collect()
    }

    /// The right as a sentence has it: `patch taprequests/status`.
    pub fn title(&self) -> String {
        let Self { resource, subresource, name, verb, .. } = self;
        let of = if subresource.is_empty() { "" } else { "/" };
        let named = if name.is_empty() { "" } else { " " };
        format!("{verb} {resource}{of}{subresource}{named}{name}")
    }
}

#[derive(Deserialize)]
struct Role {
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

impl Role {
    fn rights(&self) -> Vec<Right> {
        let all_objects = [String::new()];
        let mut rights = Vec::new();
        for Rule { api_groups, resources, resource_names, verbs } in &self.rules {
            let names = if resource_names.is_empty() { &all_objects[..] } else { resource_names };
            for group in api_groups {
                for resource in resources {
                    let (resource, subresource) =
                        resource.split_once('/').unwrap_or((resource, ""));
                    for name in names {
                        rights.extend(verbs.iter().map(|verb| Right {
                            group: group.clone(),
                            resource: resource.into(),
                            subresource: subresource.into(),
                            name: name.clone(),
                            verb: verb.clone(),
                            own_namespace: self.kind == "Role",
                        }));
                    }
                }
            }
        }
        rights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_of_the_shipped_roles_is_known() {
        let titles: Vec<String> = Right::all().iter().map(Right::title).collect();
        for title in [
            "patch taprequests",
            "patch taprequests/status",
            "create secrets",
            "watch validatingadmissionpolicies tap-operator-secrets",
            "update leases tap-operator",
        ] {
            assert!(titles.contains(&title.to_owned()), "no {title} in {titles:?}");
        }
        for right in Right::all() {
            let own = ["leases", "configmaps"].contains(&right.resource.as_str());
            assert_eq!(right.own_namespace, own, "{right:?}");
        }
        assert!(!titles.contains(&"get secrets".to_owned()), "it may read no Secret");
    }
}
