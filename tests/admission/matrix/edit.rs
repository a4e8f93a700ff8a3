//! A change to an object, in all ways in which it can be requested.

use anyhow::{Context, Result};
use json_patch::Patch;
use serde_json::{Map, Value, json};

use crate::call::Call;

/// A way to change an existing object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Replace,
    MergePatch,
    JsonPatch,
    StrategicPatch,
    Apply,
}

impl Way {
    pub const ALL: [Self; 5] =
        [Self::Replace, Self::MergePatch, Self::JsonPatch, Self::StrategicPatch, Self::Apply];

    /// The verb that RBAC checks.
    pub fn verb(self) -> &'static str {
        if self == Self::Replace { "update" } else { "patch" }
    }
}

/// The call that makes the same change to `before`, at `path`, as these operations of a JSON patch. There is none if
/// this way cannot express the change.
pub fn call(way: Way, path: &str, before: &Value, operations: &Value) -> Result<Option<Call>> {
    let patch: Patch = serde_json::from_value(operations.clone())?;
    let mut after = before.clone();
    json_patch::patch(&mut after, &patch).with_context(|| operations.to_string())?;
    Ok(match way {
        Way::Replace => Some(Call::replace(path, before, after)),
        Way::MergePatch => Some(Call::merge(path, difference(before, &after))),
        Way::JsonPatch => Some(Call::json_patch(path, operations.clone())),
        Way::StrategicPatch => Some(Call::strategic(path, difference(before, &after))),
        Way::Apply => applied(before, operations).map(|object| Call::apply(path, object)),
    })
}

/// The merge patch from one object to another.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return after.clone();
    };
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut patch: Map<_, _> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in after {
        match before.get(key) {
            Some(old) if old == value => {}
            Some(old) => drop(patch.insert(key.clone(), difference(old, value))),
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(patch)
}

/// The object to be applied for the change. An apply can neither remove fields of others, nor address an item of a
/// list.
fn applied(before: &Value, operations: &Value) -> Option<Value> {
    let mut object = json!({
        "apiVersion": before["apiVersion"], "kind": before["kind"],
        "metadata": {"name": before["metadata"]["name"]},
    });
    for operation in operations.as_array()? {
        let path = operation["path"].as_str()?;
        let value = operation.get("value").filter(|value| **value != json!([]))?;
        let (path, value) = match path.strip_suffix("/-") {
            Some(list) => (list, json!([value])),
            None => (path, value.clone()),
        };
        let mut place = &mut object;
        for key in path.split('/').skip(1) {
            if key.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            place = &mut place[key.replace("~1", "/")];
        }
        *place = value;
    }
    Some(object)
}
