//! Users, groups and roles as Graph writes them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::{lenient, lenient_name, list, name};
use crate::entra::{DirectoryRole, Group, Identity, RoleRow, User};

/// The fields of [`UserAnswer`]. Graph returns some of them only if they are selected.
pub(in crate::graph) const USER_FIELDS: &str = "id,userPrincipalName,displayName,accountEnabled,userType,identities,mail,proxyAddresses,createdDateTime,externalUserState,isManagementRestricted";

/// The fields of [`NamesakeAnswer`].
pub(in crate::graph) const NAMESAKE_FIELDS: &str = "id,userPrincipalName";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct UserAnswer {
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(deserialize_with = "name")]
    user_principal_name: String,
    #[serde(default, deserialize_with = "lenient")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    account_enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    user_type: Option<String>,
    #[serde(default, deserialize_with = "list")]
    identities: Vec<IdentityAnswer>,
    #[serde(default, deserialize_with = "lenient")]
    created_date_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient_name")]
    mail: Option<String>,
    #[serde(default, deserialize_with = "list")]
    proxy_addresses: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    external_user_state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    is_management_restricted: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityAnswer {
    #[serde(default)]
    sign_in_type: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    issuer_assigned_id: Option<String>,
}

impl From<UserAnswer> for User {
    fn from(answer: UserAnswer) -> Self {
        // Addresses of other kinds than mail (`x500:`, `sip:`) are nobody's name.
        let is_mail = |address: &String| {
            address.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("smtp:"))
        };
        let proxies = answer.proxy_addresses.into_iter().filter(is_mail);
        let proxies = proxies.map(|address| address[5..].to_owned());
        Self {
            id: answer.id,
            user_principal_name: answer.user_principal_name,
            display_name: answer.display_name,
            account_enabled: answer.account_enabled,
            user_type: answer.user_type,
            identities: (answer.identities.into_iter())
                .map(|identity| Identity {
                    sign_in_type: identity.sign_in_type,
                    issuer: identity.issuer,
                    issuer_assigned_id: identity.issuer_assigned_id,
                })
                .collect(),
            mail_addresses: answer.mail.into_iter().chain(proxies).collect(),
            created: answer.created_date_time,
            external_user_state: answer.external_user_state,
            is_management_restricted: answer.is_management_restricted == Some(true),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct NamesakeAnswer {
    #[serde(deserialize_with = "name")]
    pub(in crate::graph) id: String,
    #[serde(deserialize_with = "name")]
    pub(in crate::graph) user_principal_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct MemberGroupsBody<'a> {
    pub(in crate::graph) group_ids: &'a [String],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct RoleAnswer {
    // Without sufficient permissions Graph returns objects without their fields. They still are roles, so they are kept.
    #[serde(default, deserialize_with = "lenient_name")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    role_template_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    display_name: Option<String>,
}

impl From<RoleAnswer> for DirectoryRole {
    fn from(answer: RoleAnswer) -> Self {
        Self {
            id: answer.id.unwrap_or_default(),
            template_id: answer.role_template_id,
            display_name: answer.display_name,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct RoleGroupAnswer {
    #[serde(deserialize_with = "name")]
    pub(in crate::graph) id: String,
    // Null if the app may not read groups. Such a group may hold a role.
    #[serde(default, deserialize_with = "lenient")]
    pub(in crate::graph) is_assignable_to_role: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct EligibleRoleAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    pub(in crate::graph) role_definition_id: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::graph) struct RoleRowAnswer {
    // A row without it would be nobody's, so it is not accepted.
    #[serde(rename = "principalId", deserialize_with = "name")]
    principal: String,
    #[serde(rename = "roleDefinitionId", default, deserialize_with = "lenient_name")]
    definition: Option<String>,
    #[serde(rename = "directoryScopeId", default, deserialize_with = "lenient_name")]
    scope: Option<String>,
}

impl From<RoleRowAnswer> for RoleRow {
    fn from(answer: RoleRowAnswer) -> Self {
        Self {
            principal_id: answer.principal,
            definition_id: answer.definition,
            scope: answer.scope,
        }
    }
}

/// A method of any kind.
#[derive(Deserialize)]
pub(in crate::graph) struct SignInMethodAnswer {
    #[serde(rename = "@odata.type", default, deserialize_with = "lenient_name")]
    kind: Option<String>,
}

impl SignInMethodAnswer {
    /// Its kind, such as `fido2` or `phone`; `unknown` if Graph did not say.
    pub(in crate::graph) fn into_kind(self) -> String {
        let Some(kind) = self.kind else { return "unknown".into() };
        let short = kind.rsplit('.').next().unwrap_or_default();
        short.strip_suffix("AuthenticationMethod").unwrap_or(short).to_owned()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct GroupEligibilityAnswer {
    #[serde(deserialize_with = "name")]
    pub(in crate::graph) principal_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct GroupAnswer {
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(deserialize_with = "name")]
    display_name: String,
    // Null for most groups.
    #[serde(default, deserialize_with = "lenient_name")]
    visibility: Option<String>,
}

impl From<GroupAnswer> for Group {
    fn from(answer: GroupAnswer) -> Self {
        // Graph writes it in several ways.
        let is_hidden = |text: String| text.eq_ignore_ascii_case("HiddenMembership");
        Self {
            id: answer.id,
            display_name: answer.display_name,
            hides_members: answer.visibility.is_some_and(is_hidden),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Page, read};
    use super::*;

    #[test]
    fn roles_without_their_fields_are_kept() {
        let body = br##"{"value": [{"@odata.type": "#microsoft.graph.directoryRole", "id": "1",
            "displayName": null, "roleTemplateId": null}, {}]}"##;
        let page: Page<RoleAnswer> = read(body).unwrap();
        let roles: Vec<DirectoryRole> = page.value.into_iter().map(Into::into).collect();
        let unknown =
            |id: &str| DirectoryRole { id: id.into(), template_id: None, display_name: None };
        assert_eq!(roles, [unknown("1"), unknown("")]);
    }
}
