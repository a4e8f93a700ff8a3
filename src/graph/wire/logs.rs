//! Rows of logs as Graph writes them.

use jiff::Timestamp;
use serde::Deserialize;

use super::errors::printable;
use super::json::{instant, lenient, lenient_name, list, name};
use crate::entra::{AuditRow, Initiator, SignInRow};

/// The longest text of a row that is kept, in characters.
const LONGEST: usize = 256;

/// A property of a pass in `modifiedProperties` (reported).
const PASS_ID: &str = "TemporaryAccessPass.TemporaryAccessPass.Id";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct SignInAnswer {
    #[serde(default, deserialize_with = "instant")]
    created_date_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient_name")]
    app_display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    resource_display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    ip_address: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<StatusAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusAnswer {
    #[serde(default)]
    error_code: Option<i32>,
}

impl SignInAnswer {
    /// The row; `None` if it lacks when it was or how it ended.
    pub(in crate::graph) fn row(self) -> Option<SignInRow> {
        Some(SignInRow {
            at: self.created_date_time?,
            application: self.app_display_name.map(kept),
            resource: self.resource_display_name.map(kept),
            ip_address: self.ip_address.map(kept),
            error_code: self.status?.error_code?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct DirectoryAuditAnswer {
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(default, deserialize_with = "instant")]
    activity_date_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    activity_display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    result: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    result_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    initiated_by: Option<InitiatorAnswer>,
    #[serde(default, deserialize_with = "list")]
    target_resources: Vec<TargetAnswer>,
}

#[derive(Deserialize)]
struct InitiatorAnswer {
    #[serde(default)]
    user: Option<PersonAnswer>,
    #[serde(default)]
    app: Option<AppAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersonAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    user_principal_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    app_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    user_principal_name: Option<String>,
    #[serde(default, deserialize_with = "list")]
    modified_properties: Vec<PropertyAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PropertyAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    old_value: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    new_value: Option<String>,
}

impl DirectoryAuditAnswer {
    /// The row; `None` if it lacks when it was or what was done.
    pub(in crate::graph) fn row(self) -> Option<AuditRow> {
        let pass_id = self.target_resources.iter().find_map(TargetAnswer::pass_id);
        let target = self.target_resources.into_iter().next();
        let (user_id, user_name) =
            target.map_or((None, None), |target| (target.id, target.user_principal_name));
        Some(AuditRow {
            id: self.id,
            at: self.activity_date_time?,
            activity: kept(self.activity_display_name?),
            reason: self.result_reason.map(kept).unwrap_or_default(),
            // Other values are `failure` and `timeout`.
            succeeded: self.result.is_none_or(|result| result.eq_ignore_ascii_case("success")),
            user_id: user_id.map(kept),
            user_name: user_name.map(kept),
            pass_id,
            by: self.initiated_by.map_or(Initiator::Nobody, InitiatorAnswer::initiator),
        })
    }
}

impl InitiatorAnswer {
    fn initiator(self) -> Initiator {
        let person = self.user.map(|user| Initiator::Person {
            id: user.id.map(kept),
            name: user.user_principal_name.map(kept),
        });
        let app = |app: AppAnswer| Initiator::App {
            id: app.app_id.map(|id| kept(id.to_ascii_lowercase())),
            name: app.display_name.map(kept),
        };
        person.or_else(|| self.app.map(app)).unwrap_or(Initiator::Nobody)
    }
}

impl TargetAnswer {
    fn pass_id(&self) -> Option<String> {
        let is_id = |property: &&PropertyAnswer| {
            property.display_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(PASS_ID))
        };
        let property = self.modified_properties.iter().find(is_id)?;
        let value = |text: &Option<String>| {
            // The values of modified properties are JSON: a text in quotes.
            let text = text.as_deref()?.trim().trim_matches('"');
            Some(text.to_owned()).filter(|text| !text.is_empty() && text != "null")
        };
        value(&property.new_value).or_else(|| value(&property.old_value)).map(kept)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over options")]
fn kept(text: String) -> String {
    printable(&text, LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(more: &Value) -> Option<AuditRow> {
        let mut row = json!({
            "id": "Authentication Methods_1", "activityDateTime": "2026-11-29T08:00:00.1234567Z",
            "activityDisplayName": "Admin registered security info", "result": "success",
            "resultReason": "Admin registered temporary access pass method for user",
            "initiatedBy": {"user": {"id": "a", "userPrincipalName": "admin@contoso.com"}, "app": null},
            "targetResources": [{
                "id": "u", "userPrincipalName": "alice@contoso.com",
                "modifiedProperties": [{"displayName": PASS_ID, "oldValue": null, "newValue": "\"p\""}],
            }],
        });
        json_patch::merge(&mut row, more);
        serde_json::from_value::<DirectoryAuditAnswer>(row).unwrap().row()
    }

    #[test]
    fn a_row_names_the_pass_its_user_and_who_made_it() {
        let found = row(&json!({})).unwrap();
        let person =
            Initiator::Person { id: Some("a".into()), name: Some("admin@contoso.com".into()) };
        assert_eq!((found.pass_id.as_deref(), &found.by), (Some("p"), &person));
        assert_eq!(found.user_name.as_deref(), Some("alice@contoso.com"));
        assert!(found.succeeded);
    }

    #[test]
    fn rows_are_read_leniently() {
        for (more, pass_id, by) in [
            (json!({"targetResources": null, "initiatedBy": null}), None, Initiator::Nobody),
            (
                json!({"initiatedBy": {"user": null, "app": {"appId": "AB", "displayName": "x"}}}),
                Some("p"),
                Initiator::App { id: Some("ab".into()), name: Some("x".into()) },
            ),
            (
                json!({"initiatedBy": 7, "targetResources": [{"modifiedProperties": [
                    {"displayName": PASS_ID, "oldValue": "\"gone\"", "newValue": null}]}]}),
                Some("gone"),
                Initiator::Nobody,
            ),
        ] {
            let found = row(&more).unwrap();
            assert_eq!((found.pass_id.as_deref(), found.by), (pass_id, by), "{more}");
        }
        assert!(!row(&json!({"result": "failure"})).unwrap().succeeded);
        assert_eq!(row(&json!({"activityDateTime": "yesterday"})), None);
    }

    #[test]
    fn a_sign_in_without_a_result_is_left_out() {
        let row = |more: Value| {
            let mut row = json!({"createdDateTime": "2026-11-29T08:00:00Z", "ipAddress": "::1"});
            json_patch::merge(&mut row, &more);
            serde_json::from_value::<SignInAnswer>(row).unwrap().row()
        };
        assert_eq!(row(json!({})), None);
        let found = row(json!({"status": {"errorCode": 130_503}, "appDisplayName": "a\nb"}));
        let found = found.unwrap();
        assert_eq!(found.error_code, 130_503);
        assert_eq!(
            (found.application.as_deref(), found.ip_address.as_deref()),
            (Some("a b"), Some("::1"))
        );
    }
}
