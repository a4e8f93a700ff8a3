//! Merge patches with only what changed, and their field manager.

use kube::api::PatchParams;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::names::OPERATOR;

/// Patch parameters with the operator as field manager.
pub fn as_operator() -> PatchParams {
    PatchParams { field_manager: Some(OPERATOR.into()), ..PatchParams::default() }
}

/// The merge patch (RFC 7386) that turns one object into another; an empty object if they are equal.
pub fn merge_patch<T: Serialize>(from: &T, to: &T) -> Value {
    let (from, to) = (
        serde_json::to_value(from).unwrap_or_default(),
        serde_json::to_value(to).unwrap_or_default(),
    );
    difference(&from, &to).unwrap_or_else(|| json!({}))
}

fn difference(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        _ if from == to => None,
        (Value::Object(from), Value::Object(to)) => {
            let mut patch = Map::new();
            for (key, value) in to {
                if let Some(changed) = difference(from.get(key).unwrap_or(&Value::Null), value) {
                    patch.insert(key.clone(), changed);
                }
            }
            for key in from.keys().filter(|key| !to.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            Some(Value::Object(patch))
        }
        (_, to) => Some(to.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_only_what_changed() {
        let from = json!({ "a": 1, "b": { "c": 2, "d": [1] }, "gone": true, "same": { "x": 1 } });
        let to = json!({ "a": 1, "b": { "c": 3, "d": [1, 2] }, "new": {}, "same": { "x": 1 } });
        let patch = merge_patch(&from, &to);
        assert_eq!(patch, json!({ "b": { "c": 3, "d": [1, 2] }, "gone": null, "new": {} }));
        assert_eq!(merge_patch(&to, &to), json!({}));
    }
}
