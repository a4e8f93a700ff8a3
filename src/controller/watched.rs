//! A request as the watch delivers it. The state machine keeps only a part of it; the rest is dropped at once.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::TapRequest;
use crate::api::names::INTENT_ANNOTATION;
use crate::decision::census::Standing;
use crate::decision::evidence::Ended;
use crate::decision::ids::Uid;
use crate::decision::intent::LONGEST;
use crate::decision::requests::Observed;

/// The longest part that is kept of the reason why a request cannot be read, in bytes. A parser quotes what it cannot read.
const REASON: usize = 512;

/// A request, readable by this version or not.
#[derive(Clone, Debug)]
pub struct WatchedRequest(Result<TapRequest, Unreadable>);

/// What is known of a request whose spec or status this version cannot read.
#[derive(Clone, Debug)]
struct Unreadable {
    metadata: ObjectMeta,
    why: String,
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
    intent: Option<ShortIntent>,
}

/// The annotation with the intent. One that is too long to be the operator's is read as an empty one, which is not the
/// operator's either, so that a page of them needs no memory.
struct ShortIntent(String);

impl<'de> Deserialize<'de> for ShortIntent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ShortIntent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ShortIntent, E> {
                Ok(ShortIntent(if text.len() <= LONGEST { text.to_owned() } else { String::new() }))
            }
        }
        deserializer.deserialize_str(Text)
    }
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
        let intent = intent.map(|ShortIntent(intent)| (INTENT_ANNOTATION.to_owned(), intent));
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            annotations: intent.map(|intent| [intent].into()),
            ..ObjectMeta::default()
        };
        let read = serde_json::from_value(spec)
            .and_then(|spec| Ok((spec, serde_json::from_value(status)?)));
        Ok(Self(match read {
            Ok((spec, status)) => Ok(TapRequest { metadata, spec, status }),
            Err(error) => {
                let why = error.to_string();
                let why = why[..why.floor_char_boundary(REASON)].to_owned();
                Err(Unreadable { metadata, why })
            }
        }))
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
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, |read| &read.metadata)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(read) => &mut read.metadata,
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

/// What is kept of a request.
pub struct Kept {
    /// Its uid.
    pub uid: Uid,
    /// For the state machine.
    pub observed: Observed,
    /// For the census.
    pub standing: Standing,
    /// Its pass, where the tenant's logs are to be asked about it.
    pub ended: Option<Ended>,
    /// All of it, where it can be read, for a reconcile that begins soon.
    pub whole: Option<TapRequest>,
}

impl WatchedRequest {
    /// The uid of the request.
    pub fn uid(&self) -> Uid {
        Uid::from(self.meta().uid.as_deref().unwrap_or_default())
    }

    /// The request, if this version can read it.
    pub fn read(&self) -> Option<&TapRequest> {
        self.0.as_ref().ok()
    }

    /// The same, to keep.
    pub fn readable(self) -> Option<TapRequest> {
        self.0.ok()
    }

    /// What is kept of the request.
    pub fn kept(self) -> Kept {
        let uid = self.uid();
        match self.0 {
            Ok(request) => Kept {
                uid,
                observed: Observed::of(&request),
                standing: Standing::of(&request),
                ended: Ended::of(&request),
                whole: Some(request),
            },
            Err(Unreadable { metadata, why }) => {
                let observed = Observed::unreadable(&metadata, &why);
                let standing = Standing::unreadable(observed.created);
                Kept { uid, observed, standing, ended: None, whole: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Phase;
    use crate::decision::intent;

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
        let kept = serde_json::to_string(watched.meta()).unwrap();
        for foreign in ["labels", "annotations", "managedFields"] {
            assert!(!kept.contains(foreign), "{kept}");
        }
        let Kept { uid, observed, .. } = watched.kept();
        let whole: TapRequest = serde_json::from_value(object()).unwrap();
        assert_eq!((uid.as_str(), observed), ("uid-1", Observed::of(&whole)));
    }

    /// What anybody can write into metadata, as large as Kubernetes takes it, leaves nothing behind.
    #[test]
    fn what_is_large_and_foreign_is_dropped_when_it_is_read() {
        let mut large = object();
        let text = "x".repeat(250 * 1024);
        large["metadata"]["annotations"] = json!({ INTENT_ANNOTATION: text });
        let watched: WatchedRequest = serde_json::from_value(large.clone()).unwrap();
        assert_eq!(watched.meta().annotations.clone().unwrap()[INTENT_ANNOTATION], "");
        // It is no intent of the operator's, as the whole object says, too.
        let whole: TapRequest = serde_json::from_value(large).unwrap();
        assert!(intent::is_of_another(&whole));
        assert_eq!(watched.kept().observed, Observed::of(&whole));

        let mut unreadable = object();
        unreadable["spec"]["policyRef"] = json!("ä".repeat(100 * 1024));
        let watched: WatchedRequest = serde_json::from_value(unreadable).unwrap();
        let why = watched.kept().observed.unreadable.unwrap();
        assert!(why.0.len() <= REASON && why.0.starts_with("invalid type: string"), "{why:?}");
    }

    #[test]
    fn an_object_that_cannot_be_read_hides_no_other() {
        let mut object = object();
        object["spec"]["user"] = json!(["not", "a", "name"]);
        let watched: WatchedRequest = serde_json::from_value(object).unwrap();
        let observed = watched.kept().observed;
        assert!(observed.unreadable.is_some() && observed.finalizer);
        assert_eq!(observed.phase, Phase::Pending);
    }
}
