//! The TAP method as Graph writes it.

use serde::{Deserialize, Serialize};

use super::json::{lenient, list, name};
use crate::entra::{GraphTarget, MethodConfiguration, MethodPatch, MethodState};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct MethodAnswer {
    #[serde(deserialize_with = "name")]
    state: String,
    #[serde(default, deserialize_with = "lenient")]
    default_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    minimum_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    maximum_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    default_length: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    is_usable_once: Option<bool>,
    // These lists decide whether a pass is refused, so a list that cannot be parsed must not count as empty.
    include_targets: Vec<TargetObject>,
    #[serde(default, deserialize_with = "list")]
    exclude_targets: Vec<TargetObject>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetObject {
    #[serde(deserialize_with = "name")]
    target_type: String,
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_registration_required: Option<bool>,
}

impl From<TargetObject> for GraphTarget {
    fn from(target: TargetObject) -> Self {
        let TargetObject { target_type, id, is_registration_required } = target;
        Self { id, target_type, is_registration_required }
    }
}

impl From<MethodAnswer> for MethodConfiguration {
    fn from(answer: MethodAnswer) -> Self {
        Self {
            state: match answer.state.to_ascii_lowercase().as_str() {
                "enabled" => MethodState::Enabled,
                "disabled" => MethodState::Disabled,
                _ => MethodState::Other(answer.state),
            },
            default_lifetime_minutes: answer.default_lifetime_in_minutes,
            minimum_lifetime_minutes: answer.minimum_lifetime_in_minutes,
            maximum_lifetime_minutes: answer.maximum_lifetime_in_minutes,
            default_length: answer.default_length,
            one_time_required: answer.is_usable_once,
            include: answer.include_targets.into_iter().map(Into::into).collect(),
            exclude: answer.exclude_targets.into_iter().map(Into::into).collect(),
        }
    }
}

/// The body of the PATCH. Graph requires the name of the type in it (documented).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct MethodPatchBody {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_usable_once: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_targets: Option<Vec<TargetObject>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_targets: Option<Vec<TargetObject>>,
}

impl From<&MethodPatch> for MethodPatchBody {
    fn from(patch: &MethodPatch) -> Self {
        let targets = |targets: &Option<Vec<GraphTarget>>, included: bool| {
            targets.as_ref().map(|targets| {
                (targets.iter())
                    .map(|target| TargetObject {
                        target_type: target.target_type.clone(),
                        id: target.id.clone(),
                        // An excludeTarget does not have this property.
                        is_registration_required: target
                            .is_registration_required
                            .filter(|_| included),
                    })
                    .collect()
            })
        };
        Self {
            odata_type: "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            state: patch.state.as_ref().map(|state| match state {
                MethodState::Enabled => "enabled".into(),
                MethodState::Disabled => "disabled".into(),
                MethodState::Other(other) => other.clone(),
            }),
            default_lifetime_in_minutes: patch.default_lifetime_minutes,
            minimum_lifetime_in_minutes: patch.minimum_lifetime_minutes,
            maximum_lifetime_in_minutes: patch.maximum_lifetime_minutes,
            default_length: patch.default_length,
            is_usable_once: patch.one_time_required,
            include_targets: targets(&patch.include, true),
            exclude_targets: targets(&patch.exclude, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::read;
    use super::*;

    fn written(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn the_documented_method_is_read() {
        let body = br##"{
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#authenticationMethodConfigurations/$entity",
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            "id": "TemporaryAccessPass", "state": "enabled",
            "defaultLifetimeInMinutes": 60, "defaultLength": 8,
            "minimumLifetimeInMinutes": 60, "maximumLifetimeInMinutes": 480, "isUsableOnce": false,
            "includeTargets@odata.context": "https://graph.microsoft.com/...",
            "includeTargets": [{"targetType": "group", "id": "all_users", "isRegistrationRequired": false}],
            "excludeTargets": [{"targetType": "group", "id": "91aa"}],
            "somethingNew": {"deep": [1]}}"##;
        let method: MethodConfiguration = read::<MethodAnswer>(body).unwrap().into();
        let target = |id: &str, required| GraphTarget {
            id: id.into(),
            target_type: "group".into(),
            is_registration_required: required,
        };
        assert_eq!(
            method,
            MethodConfiguration {
                state: MethodState::Enabled,
                default_lifetime_minutes: Some(60),
                minimum_lifetime_minutes: Some(60),
                maximum_lifetime_minutes: Some(480),
                default_length: Some(8),
                one_time_required: Some(false),
                include: vec![target("all_users", Some(false))],
                exclude: vec![target("91aa", None)],
            }
        );
    }

    #[test]
    fn a_method_without_its_numbers_is_read_but_not_one_without_its_targets() {
        let body = br#"{"state": "paused", "defaultLifetimeInMinutes": null, "defaultLength": "8",
            "includeTargets": []}"#;
        let method: MethodConfiguration = read::<MethodAnswer>(body).unwrap().into();
        assert_eq!(method.state, MethodState::Other("paused".into()));
        assert_eq!((method.default_lifetime_minutes, method.default_length), (None, None));
        assert!(read::<MethodAnswer>(br#"{"state": "enabled"}"#).is_err());
    }

    #[test]
    fn a_patch_sends_what_is_set_and_nothing_else() {
        let odata_type = "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration";
        let patch = MethodPatch { default_length: Some(14), ..MethodPatch::default() };
        assert_eq!(
            written(&MethodPatchBody::from(&patch)),
            json!({"@odata.type": odata_type, "defaultLength": 14})
        );
        let target = GraphTarget {
            id: "6c1f".into(),
            target_type: "group".into(),
            is_registration_required: Some(true),
        };
        let patch = MethodPatch {
            state: Some(MethodState::Disabled),
            minimum_lifetime_minutes: Some(10),
            default_lifetime_minutes: Some(20),
            maximum_lifetime_minutes: Some(30),
            default_length: Some(8),
            one_time_required: Some(true),
            include: Some(vec![target.clone()]),
            exclude: Some(vec![target]),
        };
        assert_eq!(
            written(&MethodPatchBody::from(&patch)),
            json!({
                "@odata.type": odata_type, "state": "disabled", "minimumLifetimeInMinutes": 10,
                "defaultLifetimeInMinutes": 20, "maximumLifetimeInMinutes": 30, "defaultLength": 8,
                "isUsableOnce": true,
                "includeTargets": [{"targetType": "group", "id": "6c1f", "isRegistrationRequired": true}],
                "excludeTargets": [{"targetType": "group", "id": "6c1f"}],
            })
        );
        let cleared = MethodPatch { exclude: Some(vec![]), ..MethodPatch::default() };
        assert_eq!(written(&MethodPatchBody::from(&cleared))["excludeTargets"], json!([]));
    }
}
