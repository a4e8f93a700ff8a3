//! JSON patches and merge patches.

use serde_json::Value;

use crate::status::{self, Refusal};

/// The object that a patch makes of `object`. Strategic merge patches and server-side apply are refused.
pub fn apply(content_type: &str, patch: &Value, object: &Value) -> Result<Value, Refusal> {
    let mut patched = object.clone();
    match content_type {
        "application/merge-patch+json" => {
            if !patch.is_object() {
                return Err(status::bad_request("a merge patch is a JSON object"));
            }
            json_patch::merge(&mut patched, patch);
        }
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| status::bad_request(&format!("no JSON patch: {error}")))?;
            json_patch::patch(&mut patched, &patch).map_err(|_| status::unprocessable())?;
        }
        other => {
            let message = format!(
                "{other}: this server takes application/json-patch+json and application/merge-patch+json only"
            );
            return Err(status::unsupported_media_type(&message));
        }
    }
    Ok(patched)
}
