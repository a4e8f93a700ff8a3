//! A request as the watch delivers it. The state machine keeps only a part of it; the rest is dropped at once.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::names::INTENT_ANNOTATION;
use crate::api::{TapRequest, TapRequestSpec, TapRequestStatus};
use crate::decision::ids::Uid;
use crate::decision::requests::Observed;

/// A request, readable by this version or not.
#[derive(Clone, Debug)]
pub struct WatchedRequest {
    metadata: ObjectMeta,
    /// The spec and status, or why this version cannot read them.
    read: Result<(TapRequestSpec, Option<TapRequestStatus>), String>,
}

/// The metadata that decisions need. The rest may be a hundred times as long: managed fields, the last applied configuration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "tap-operator.io/intent")]
    intent: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl<'de> Deserialize<'de> for WatchedRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object { metadata, spec, status } = Object::deserialize(deserializer)?;
        let intent = metadata.annotations.and_then(|annotations| annotations.intent);
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            annotations: intent.map(|intent| [(INTENT_ANNOTATION.to_owned(), intent)].into()),
            ..ObjectMeta::default()
        };
        let read = serde_json::from_value(spec)
            .and_then(|spec| Ok((spec, serde_json::from_value(status)?)))
            .map_err(|error| error.to_string());
        Ok(Self { metadata, read })
    }
}

impl Resource for WatchedRequest {
    type DynamicType = ();
    type Scope = <TapRequest as Resource>::Scope;

    fn kind(dynamic: &()) -> Cow<'_, str> {
        TapRequest::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        TapRequest::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        TapRequest::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        TapRequest::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl WatchedRequest {
    /// The uid of the request, and what the state machine keeps of it.
    pub fn observed(self) -> (Uid, Observed) {
        let uid = Uid::from(self.metadata.uid.as_deref().unwrap_or_default());
        let observed = match self.read {
            Ok((spec, status)) => {
                Observed::of(&TapRequest { metadata: self.metadata, spec, status })
            }
            Err(why) => Observed::unreadable(&self.metadata, &why),
        };
        (uid, observed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Phase;

    fn object() -> Value {
        json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {
                "name": "lost-phone", "namespace": "helpdesk", "uid": "uid-1", "resourceVersion": "7",
                "creationTimestamp": "2026-11-23T08:00:00Z", "finalizers": ["tap-operator.io/pass"],
                "labels": { "a": "b" }, "annotations": { "other": "text" },
                "managedFields": [{ "manager": "kubectl", "fieldsV1": { "f:spec": {} } }],
            },
            "spec": { "policyRef": { "name": "contoso" }, "user": "alice@contoso.com" },
            "status": { "phase": "Active" },
        })
    }

    #[test]
    fn what_decisions_need_is_read_and_nothing_else_is_kept() {
        let watched: WatchedRequest = serde_json::from_value(object()).unwrap();
        assert!(
            watched.metadata.managed_fields.is_none() && watched.metadata.annotations.is_none()
        );
        let (uid, observed) = watched.observed();
        let whole: TapRequest = serde_json::from_value(object()).unwrap();
        assert_eq!((uid.as_str(), observed), ("uid-1", Observed::of(&whole)));
    }

    #[test]
    fn an_object_that_cannot_be_read_hides_no_other() {
        let mut object = object();
        object["spec"]["user"] = json!(["not", "a", "name"]);
        let watched: WatchedRequest = serde_json::from_value(object).unwrap();
        let (_, observed) = watched.observed();
        assert!(observed.unreadable.is_some() && observed.finalizer);
        assert_eq!(observed.phase, Phase::Pending);
    }
}
