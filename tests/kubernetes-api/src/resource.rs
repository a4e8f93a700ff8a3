//! The kinds of objects that the server knows.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value};

/// One resource: a kind of objects, served at one path.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version it is served at.
    pub version: String,
    /// The name in paths.
    pub plural: String,
    /// The kind in objects.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` has a subresource of its own, and is ignored everywhere else.
    pub status_subresource: bool,
    /// The schema's default for a missing `status`.
    pub default_status: Option<Value>,
    /// Whether `metadata.generation` counts the changes of the specification.
    generation: bool,
    /// Whether a PUT may leave out `metadata.resourceVersion`.
    pub unconditional_update: bool,
    /// The group whose resource of the same name stores the objects.
    storage_group: String,
    /// Field names: as stored, as served.
    renamed: &'static [(&'static str, &'static str)],
}

/// Events are stored as `events.k8s.io` has them; the core group has other names for some fields.
const CORE_EVENT_FIELDS: &[(&str, &str)] = &[
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

impl Resource {
    /// A cluster-scoped custom resource without a status subresource.
    pub fn custom(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            kind: kind.into(),
            namespaced: false,
            status_subresource: false,
            default_status: None,
            generation: true,
            unconditional_update: false,
            storage_group: group.into(),
            renamed: &[],
        }
    }

    /// The same, in namespaces.
    #[must_use]
    pub fn namespaced(mut self) -> Self {
        self.namespaced = true;
        self
    }

    /// The same, with a status subresource.
    #[must_use]
    pub fn with_status_subresource(mut self) -> Self {
        self.status_subresource = true;
        self
    }

    /// The same, with a default for a missing `status`.
    #[must_use]
    pub fn with_default_status(mut self, status: Value) -> Self {
        self.default_status = Some(status);
        self
    }

    /// What a definition defines, at its storage version: scope, status subresource and the schema's default for `status`.
    /// The schema is not enforced, its other defaults are not filled in.
    ///
    /// # Panics
    /// If the definition has no storage version.
    pub fn from_crd(crd: &CustomResourceDefinition) -> Self {
        let spec = &crd.spec;
        let version = spec.versions.iter().find(|v| v.storage).expect("one version is stored");
        let default_status = version
            .schema
            .as_ref()
            .and_then(|schema| {
                schema.open_api_v3_schema.as_ref()?.properties.as_ref()?.get("status")
            })
            .and_then(|status| status.default.as_ref())
            .map(|default| default.0.clone());
        Self {
            namespaced: spec.scope == "Namespaced",
            status_subresource: version.subresources.as_ref().is_some_and(|s| s.status.is_some()),
            default_status,
            ..Self::custom(&spec.group, &version.name, &spec.names.plural, &spec.names.kind)
        }
    }

    fn built_in(group: &str, plural: &str, kind: &str) -> Self {
        Self {
            generation: false,
            unconditional_update: true,
            ..Self::custom(group, "v1", plural, kind)
        }
    }

    /// `plural` or `plural.group`, as messages name it.
    pub fn group_resource(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Kind` or `Kind.group`, as messages name it.
    pub fn group_kind(&self) -> String {
        match self.group.as_str() {
            "" => self.kind.clone(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether `name` means this resource: its plural, alone or with the group.
    pub fn is(&self, name: &str) -> bool {
        name == self.plural || name == self.group_resource()
    }

    /// The name under which objects are stored.
    pub fn storage(&self) -> String {
        format!("{}.{}", self.plural, self.storage_group)
    }

    /// Whether objects count their generations.
    pub fn counts_generations(&self) -> bool {
        self.generation
    }

    /// A stored object as this resource shows it.
    pub fn serve(&self, stored: &Value) -> Value {
        let mut object = stored.clone();
        object["apiVersion"] = self.api_version().into();
        rename(&mut object, self.renamed.iter().copied());
        object
    }

    /// An object that a client sent, as it is stored.
    pub fn store(&self, mut served: Value) -> Value {
        rename(&mut served, self.renamed.iter().map(|(stored, served)| (*served, *stored)));
        served["apiVersion"] = api_version(&self.storage_group, &self.version).into();
        served["kind"] = self.kind.clone().into();
        served
    }
}

fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Value::Object(fields) = object else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

/// All resources that are served.
#[derive(Debug)]
pub struct Registry {
    resources: Vec<Resource>,
}

impl Default for Registry {
    fn default() -> Self {
        let namespaces = Resource {
            status_subresource: true,
            ..Resource::built_in("", "namespaces", "Namespace")
        };
        let core_events = Resource {
            storage_group: "events.k8s.io".into(),
            renamed: CORE_EVENT_FIELDS,
            ..Resource::built_in("", "events", "Event").namespaced()
        };
        let leases = Resource {
            unconditional_update: false,
            ..Resource::built_in("coordination.k8s.io", "leases", "Lease").namespaced()
        };
        let definitions = Resource::custom(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
        )
        .with_status_subresource();
        let counted = |plural: &str, kind: &str| {
            Resource::custom("admissionregistration.k8s.io", "v1", plural, kind)
        };
        let policies = counted("validatingadmissionpolicies", "ValidatingAdmissionPolicy")
            .with_status_subresource();
        let bindings =
            counted("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding");
        Self {
            resources: vec![
                namespaces,
                Resource::built_in("", "secrets", "Secret").namespaced(),
                Resource::built_in("", "configmaps", "ConfigMap").namespaced(),
                Resource::built_in("", "serviceaccounts", "ServiceAccount").namespaced(),
                Resource::built_in("events.k8s.io", "events", "Event").namespaced(),
                core_events,
                leases,
                definitions,
                policies,
                bindings,
            ],
        }
    }
}

impl Registry {
    /// Serves one more resource, or serves it differently from now on.
    pub fn register(&mut self, resource: Resource) {
        self.resources.retain(|known| {
            (&known.group, &known.version, &known.plural)
                != (&resource.group, &resource.version, &resource.plural)
        });
        self.resources.push(resource);
    }

    /// The resource at a path.
    pub fn at(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The resource that a test names: by its plural, alone or with the group.
    pub fn named(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.is(name))
    }

    /// The resource of an object or an owner reference.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.api_version() == api_version && r.kind == kind)
    }

    /// The resource, at any version, of an owner reference's group and kind.
    pub fn of_group_kind(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.group == group && r.kind == kind)
    }

    /// All of them, each stored kind once.
    pub fn stored(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(|r| r.storage_group == r.group)
    }

    /// All of them, as served.
    pub fn all(&self) -> &[Resource] {
        &self.resources
    }
}

/// The fields of `metadata`, created where there are none.
///
/// # Panics
/// If the object is not a JSON object.
pub fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    object["metadata"].as_object_mut().expect("metadata was made an object")
}

/// A text field of `metadata`; empty where there is none.
pub fn metadata_text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Whether the object waits for its finalizers.
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}
