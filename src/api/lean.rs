//! Objects of which anyone who may write them cannot keep others from reading them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An object without the fields in its `managedFields`: who wrote it, and when, but not what.
///
/// The API server keeps what anyone says there of fields that do not exist, as deep as 10,000 levels. A JSON parser follows 128,
/// so one such object would make each list unreadable that has it, and each answer to a write of it.
#[derive(Clone, Debug)]
pub struct Lean<K>(pub K);

impl<'de, K: DeserializeOwned> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Without(object, _) = Without::<InMetadata>::deserialize(deserializer)?;
        K::deserialize(Value::Object(object)).map(Self).map_err(D::Error::custom)
    }
}

impl<K: Resource> Resource for Lean<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

/// A place in an object, on the way to what is left out.
trait Place {
    /// Reads the value of a field, or leaves it out.
    fn value<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Value>, A::Error>;
}

struct InMetadata;
struct InManagedFields;
struct InFields;

impl Place for InMetadata {
    fn value<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Value>, A::Error> {
        match name {
            "metadata" => map
                .next_value::<Option<Without<InManagedFields>>>()
                .map(|metadata| metadata.map(|Without(metadata, _)| Value::Object(metadata))),
            _ => map.next_value().map(Some),
        }
    }
}

impl Place for InManagedFields {
    fn value<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Value>, A::Error> {
        match name {
            "managedFields" => {
                let writes = map.next_value::<Option<Vec<Without<InFields>>>>()?;
                let writes = writes.into_iter().flatten();
                Ok(Some(writes.map(|Without(write, _)| Value::Object(write)).collect()))
            }
            _ => map.next_value().map(Some),
        }
    }
}

impl Place for InFields {
    fn value<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Value>, A::Error> {
        match name {
            // The parser steps over it without going down into it.
            "fieldsV1" => map.next_value::<IgnoredAny>().map(|_| None),
            _ => map.next_value().map(Some),
        }
    }
}

/// A JSON object without what is left out in this place.
struct Without<P>(Map<String, Value>, PhantomData<P>);

impl<'de, P: Place> Deserialize<'de> for Without<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<P>(PhantomData<P>);
        impl<'de, P: Place> Visitor<'de> for Fields<P> {
            type Value = Without<P>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Without<P>, A::Error> {
                let mut object = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if let Some(value) = P::value(&name, &mut map)? {
                        object.insert(name, value);
                    }
                }
                Ok(Without(object, PhantomData))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{DynamicObject, ObjectList, PartialObjectMeta};

    use super::*;
    use crate::api::TapRequest;

    fn list(depth: usize) -> String {
        let fields = ["{\"f:x\":".repeat(depth), "{}".to_owned(), "}".repeat(depth)].concat();
        format!(
            "{{\"apiVersion\": \"tap-operator.io/v1alpha1\", \"kind\": \"TapRequestList\", \"metadata\": {{}}, \"items\": [{{\
             \"apiVersion\": \"tap-operator.io/v1alpha1\", \"kind\": \"TapRequest\", \
             \"metadata\": {{\"name\": \"lost-phone\", \"labels\": {{\"a\": \"b\"}}, \"managedFields\": [{{\"manager\": \"tap-operator\", \
             \"operation\": \"Update\", \"time\": \"2026-11-24T08:00:00Z\", \"fieldsType\": \"FieldsV1\", \"fieldsV1\": {fields}}}]}}, \
             \"spec\": {{\"policyRef\": {{\"name\": \"contoso\"}}, \"user\": \"alice@contoso.com\"}}}}]}}"
        )
    }

    #[test]
    fn an_object_is_as_it_is_but_for_the_fields_that_were_written() {
        let whole: ObjectList<TapRequest> = serde_json::from_str(&list(3)).unwrap();
        let lean: ObjectList<Lean<TapRequest>> = serde_json::from_str(&list(3)).unwrap();
        let mut expected = whole.items[0].clone();
        for write in expected.metadata.managed_fields.iter_mut().flatten() {
            assert!(write.fields_v1.take().is_some());
        }
        let Lean(lean) = &lean.items[0];
        assert_eq!((&lean.metadata, &lean.spec), (&expected.metadata, &expected.spec));
    }

    /// Anyone who may create a request can write this.
    #[test]
    fn however_deep_the_fields_are_nested_that_were_written_the_object_is_read() {
        let text = list(5000);
        assert!(serde_json::from_str::<ObjectList<TapRequest>>(&text).is_err());
        let requests: ObjectList<Lean<TapRequest>> = serde_json::from_str(&text).unwrap();
        assert_eq!(requests.items[0].0.spec.user, "alice@contoso.com");
        let metadata: ObjectList<Lean<PartialObjectMeta<TapRequest>>> =
            serde_json::from_str(&text).unwrap();
        assert_eq!(metadata.items[0].0.metadata.name.as_deref(), Some("lost-phone"));
        let objects: ObjectList<Lean<DynamicObject>> = serde_json::from_str(&text).unwrap();
        assert_eq!(objects.items[0].0.data["spec"]["user"], "alice@contoso.com");
    }
}
