//! What the server tells about itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::resource::{Registry, Resource};

/// `/version`.
pub fn version(minor: &str) -> Value {
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    json!({
        "major": "1",
        "minor": minor,
        "gitVersion": format!("v1.{digits}.0"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub fn groups(registry: &Registry) -> Value {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for resource in registry.all().iter().filter(|resource| !resource.group.is_empty()) {
        groups.entry(&resource.group).or_default().insert(&resource.version);
    }
    let groups: Vec<Value> =
        groups.iter().map(|(name, versions)| group_body(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_body(name: &str, versions: &BTreeSet<&str>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .rev()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
}

/// `/apis/GROUP`; none where nothing of the group is served.
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let versions: BTreeSet<&str> = registry
        .all()
        .iter()
        .filter(|resource| resource.group == name)
        .map(|resource| resource.version.as_str())
        .collect();
    if versions.is_empty() || name.is_empty() {
        return None;
    }
    let mut body = group_body(name, &versions);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    Some(body)
}

/// `/api/v1` and `/apis/GROUP/VERSION`; none where nothing of it is served.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let served: Vec<&Resource> = registry
        .all()
        .iter()
        .filter(|resource| resource.group == group && resource.version == version)
        .collect();
    let api_version = served.first()?.api_version();
    let mut entries = Vec::new();
    for resource in served {
        entries.push(json!({
            "name": resource.plural,
            "singularName": resource.kind.to_lowercase(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }));
        if resource.status_subresource {
            entries.push(json!({
                "name": format!("{}/status", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": ["get", "patch", "update"],
            }));
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": entries,
    }))
}
