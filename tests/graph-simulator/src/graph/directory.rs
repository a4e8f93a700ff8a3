//! Users, groups, roles, the organization and the audit log.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    call::Call,
    permissions::{HIDDEN_READ, MEMBERS_READ, ROLES_READ, USER_READ},
};
use crate::{
    clock::{graph_time, seconds},
    directory::Directory,
    odata::{Filter, Paging, narrowed, page},
    operation::Cast,
    state::State,
    tenant::{DirectoryRole, Group, User},
    wire::{Answer, Refusal},
};

/// What comes of a user without `$select` (documented).
const USER_DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];
const USER_PROPERTIES: [&str; 23] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
    "accountEnabled",
    "createdDateTime",
    "creationType",
    "deletedDateTime",
    "externalUserState",
    "identities",
    "isManagementRestricted",
    "onPremisesImmutableId",
    "onPremisesSyncEnabled",
    "otherMails",
    "proxyAddresses",
    "userType",
];
/// What `User.ReadBasic.All` shows; all else is null to it.
const USER_BASIC: [&str; 8] = [
    "displayName",
    "givenName",
    "id",
    "mail",
    "surname",
    "userPrincipalName",
    "businessPhones",
    "otherMails",
];
const GROUP_PROPERTIES: [&str; 11] = [
    "id",
    "deletedDateTime",
    "createdDateTime",
    "description",
    "displayName",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "securityEnabled",
    "visibility",
];
const ROLE_PROPERTIES: [&str; 5] =
    ["id", "deletedDateTime", "description", "displayName", "roleTemplateId"];
const ORGANIZATION_PROPERTIES: [&str; 3] = ["id", "displayName", "verifiedDomains"];
const SIGN_IN_PROPERTIES: [&str; 16] = [
    "id",
    "createdDateTime",
    "userDisplayName",
    "userPrincipalName",
    "userId",
    "appId",
    "appDisplayName",
    "ipAddress",
    "clientAppUsed",
    "correlationId",
    "conditionalAccessStatus",
    "isInteractive",
    "resourceDisplayName",
    "resourceId",
    "status",
    "location",
];
const AUDIT_PROPERTIES: [&str; 12] = [
    "id",
    "category",
    "correlationId",
    "result",
    "resultReason",
    "activityDisplayName",
    "activityDateTime",
    "loggedByService",
    "operationType",
    "initiatedBy",
    "targetResources",
    "additionalDetails",
];
/// At most so many ids in one `checkMemberGroups` (documented).
const MOST_GROUPS_CHECKED: usize = 20;

impl State {
    pub(super) fn get_user(&self, call: &Call, key: &str) -> Result<Answer, Refusal> {
        let selected = call.query.selected("microsoft.graph.user", &USER_PROPERTIES)?;
        let user = self.user(call, key)?;
        let mut fields = self.user_fields(user);
        if !call.caller.has_any(USER_READ) {
            for (name, value) in &mut fields {
                if !USER_BASIC.contains(&name.as_str()) {
                    *value = Value::Null;
                }
            }
        }
        let mut fields = narrowed(fields, Some(selected.as_deref().unwrap_or(&USER_DEFAULT)));
        let context = match selected {
            None => "users/$entity".to_owned(),
            Some(names) => format!("users({})/$entity", names.join(",")),
        };
        fields.insert("@odata.context".into(), metadata(call, &context).into());
        Ok(Answer::json(200, Value::Object(fields)).with("x-ms-resource-unit", "1"))
    }

    pub(super) fn list_users(&self, call: &Call) -> Result<Answer, Refusal> {
        let users = self.read(call).users.iter();
        let items = users.map(|user| Value::Object(self.user_fields(user))).collect();
        let default = Some(&USER_DEFAULT[..]).filter(|_| call.query.get("$select").is_none());
        self.collection_of(call, items, "microsoft.graph.user", &USER_PROPERTIES, "users", default)
            .map(|answer| answer.with("x-ms-resource-unit", "2"))
    }

    pub(super) fn check_member_groups(&self, call: &Call, key: &str) -> Result<Answer, Refusal> {
        let body = call.incoming.json()?;
        let invalid = |message: &str| Refusal::new(400, "Request_BadRequest", message.to_owned());
        let ids = body.get("groupIds").and_then(Value::as_array);
        let ids = ids.ok_or_else(|| invalid("The parameter 'groupIds' is missing."))?;
        if ids.len() > MOST_GROUPS_CHECKED {
            return Err(invalid("The number of values exceeds the maximum allowed count of 20."));
        }
        let ids: Option<Vec<Uuid>> =
            ids.iter().map(|id| Uuid::parse_str(id.as_str()?).ok()).collect();
        let ids = ids.ok_or_else(|| invalid("Invalid object identifier."))?;
        let directory = self.read(call);
        let mut groups = directory.groups_of(self.user(call, key)?.id);
        groups.retain(|group| may_see_members(call, group));
        let groups: Vec<Uuid> = groups.into_iter().map(|group| group.id).collect();
        let found: Vec<_> = ids.into_iter().filter(|id| groups.contains(id)).collect();
        let body =
            json!({"@odata.context": metadata(call, "Collection(Edm.String)"), "value": found});
        Ok(Answer::json(200, body).with("x-ms-resource-unit", "4"))
    }

    pub(super) fn transitive_member_of(
        &self,
        call: &Call,
        key: &str,
        cast: Cast,
    ) -> Result<Answer, Refusal> {
        call.query.demand_index(cast != Cast::Any)?;
        let user = self.user(call, key)?.id;
        let directory = self.read(call);
        let mut items = Vec::new();
        if cast != Cast::DirectoryRole {
            let readable = call.caller.has_any(MEMBERS_READ);
            let groups = directory.groups_of(user);
            for group in groups.into_iter().filter(|group| may_see_members(call, group)) {
                items.push(member(group_fields(group), "#microsoft.graph.group", readable, cast));
            }
        }
        if cast != Cast::Group {
            let readable = call.caller.has_any(ROLES_READ);
            for role in directory.roles_of(user, self.switches.roles_follow_groups) {
                items.push(member(
                    role_fields(role),
                    "#microsoft.graph.directoryRole",
                    readable,
                    cast,
                ));
            }
        }
        let (kind, context, properties) = match cast {
            Cast::Group => ("microsoft.graph.group", "groups", GROUP_PROPERTIES.to_vec()),
            Cast::DirectoryRole => {
                ("microsoft.graph.directoryRole", "directoryRoles", ROLE_PROPERTIES.to_vec())
            }
            Cast::Any => {
                let both = [&GROUP_PROPERTIES[..], &ROLE_PROPERTIES[..]].concat();
                ("microsoft.graph.directoryObject", "directoryObjects", both)
            }
        };
        self.collection(call, items, kind, &properties, context)
            .map(|answer| answer.with("x-ms-resource-unit", "2"))
    }

    pub(super) fn list_groups(&self, call: &Call) -> Result<Answer, Refusal> {
        let items =
            self.read(call).groups.iter().map(|group| Value::Object(group_fields(group))).collect();
        self.collection(call, items, "microsoft.graph.group", &GROUP_PROPERTIES, "groups")
    }

    pub(super) fn get_group(&self, call: &Call, key: &str) -> Result<Answer, Refusal> {
        let selected = call.query.selected("microsoft.graph.group", &GROUP_PROPERTIES)?;
        let group = Uuid::parse_str(key).ok().and_then(|id| self.read(call).group(id));
        let fields = group_fields(group.ok_or_else(|| no_such_resource(key))?);
        let mut fields = narrowed(fields, selected.as_deref());
        fields.insert("@odata.context".into(), metadata(call, "groups/$entity").into());
        Ok(Answer::json(200, Value::Object(fields)))
    }

    pub(super) fn organization(&self, call: &Call) -> Result<Answer, Refusal> {
        let domains: Vec<Value> = (self.domains.iter().enumerate())
            .map(|(index, name)| {
                json!({
                    "capabilities": "Email, OfficeCommunicationsOnline",
                    "isDefault": index == 0,
                    "isInitial": name.ends_with(".onmicrosoft.com"),
                    "name": name,
                    "type": "Managed",
                })
            })
            .collect();
        let item =
            json!({"id": self.id, "displayName": self.display_name, "verifiedDomains": domains});
        self.collection(
            call,
            vec![item],
            "microsoft.graph.organization",
            &ORGANIZATION_PROPERTIES,
            "organization",
        )
    }

    pub(super) fn directory_audits(&self, call: &Call) -> Result<Answer, Refusal> {
        let domain = self.domains.first().map_or("", String::as_str);
        let mut rows = self.audit.arrived(self.now(), &self.switches, &self.apps, domain);
        match call.query.get("$orderby") {
            None | Some("activityDateTime desc") => {}
            Some("activityDateTime" | "activityDateTime asc") => rows.reverse(),
            Some(other) => {
                return Err(Refusal::new(
                    400,
                    "BadRequest",
                    format!("Ordering by '{other}' is not supported."),
                ));
            }
        }
        self.collection(
            call,
            rows,
            "microsoft.graph.directoryAudit",
            &AUDIT_PROPERTIES,
            "auditLogs/directoryAudits",
        )
    }

    /// Newest first (documented).
    pub(super) fn sign_in_rows(&self, call: &Call) -> Result<Answer, Refusal> {
        if !self.switches.premium_licence {
            return Err(Refusal::new(
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
            ));
        }
        let rows = self.sign_ins.arrived(self.now(), &self.switches);
        let kind = "microsoft.graph.signIn";
        self.collection(call, rows, kind, &SIGN_IN_PROPERTIES, "auditLogs/signIns")
    }

    /// Filters, narrows and pages.
    pub(super) fn collection(
        &self,
        call: &Call,
        items: Vec<Value>,
        kind: &str,
        properties: &[&str],
        context: &str,
    ) -> Result<Answer, Refusal> {
        self.collection_of(call, items, kind, properties, context, None)
    }

    /// The same, with what comes of each without `$select`; all of it if that is absent.
    fn collection_of(
        &self,
        call: &Call,
        mut items: Vec<Value>,
        kind: &str,
        properties: &[&str],
        context: &str,
        default: Option<&[&str]>,
    ) -> Result<Answer, Refusal> {
        let selected = call.query.selected(kind, properties)?;
        if let Some(filter) = call.query.get("$filter") {
            let mut filter = Filter::parse(filter)?;
            if !self.switches.addresses_any_case {
                filter.compare_exactly("proxyAddresses");
            }
            if let Some(unknown) = filter.names().find(|name| !properties.contains(name)) {
                let message =
                    format!("Could not find a property named '{unknown}' on type '{kind}'.");
                return Err(Refusal::new(400, "BadRequest", message));
            }
            items.retain(|item| filter.matches(item));
        }
        let selected = selected.as_deref().or(default);
        let items = items.into_iter().map(|item| match item {
            Value::Object(fields) => Value::Object(narrowed(fields, selected)),
            other => other,
        });
        let link_base = if self.switches.foreign_next_link {
            "https://graph.elsewhere.example".to_owned()
        } else {
            call.incoming.base()
        };
        let paging = Paging {
            context: metadata(call, context),
            link_base,
            default_size: usize::try_from(self.switches.page_size).unwrap_or(usize::MAX),
            largest_size: 999,
        };
        page(items.collect(), &call.query, call.incoming, &paging)
            .map(|body| Answer::json(200, body))
    }

    /// The directory as this request sees it: the index lags.
    pub(super) fn read(&self, call: &Call) -> &Directory {
        if call.query.is_eventual() {
            self.directory.seen(self.now(), seconds(self.switches.directory_lag_seconds))
        } else {
            self.directory.current()
        }
    }

    pub(super) fn user(&self, call: &Call, key: &str) -> Result<&User, Refusal> {
        self.read(call).user(key).ok_or_else(|| no_such_resource(key))
    }

    fn user_fields(&self, user: &User) -> Map<String, Value> {
        let domain = self.domains.first().map_or("", String::as_str);
        let identities = match &user.identities {
            Some(identities) => json!(identities),
            None => json!([{
                "signInType": "userPrincipalName",
                "issuer": domain,
                "issuerAssignedId": user.user_principal_name,
            }]),
        };
        let fields = json!({
            "id": user.id,
            "userPrincipalName": user.user_principal_name,
            "displayName": user.display_name,
            "givenName": user.display_name.split(' ').next(),
            "surname": user.display_name.split(' ').nth(1),
            "businessPhones": [],
            "jobTitle": null,
            "mail": user.mail,
            "mobilePhone": null,
            "officeLocation": null,
            "preferredLanguage": null,
            "accountEnabled": user.account_enabled,
            "createdDateTime": user.created_date_time.map_or("2024-01-01T00:00:00Z".into(), graph_time),
            "creationType": user.is_external().then_some("Invitation"),
            "deletedDateTime": null,
            "externalUserState": user.external_user_state,
            "identities": identities,
            "isManagementRestricted": user.is_management_restricted.then_some(true),
            "onPremisesImmutableId": null,
            "onPremisesSyncEnabled": user.on_premises_sync_enabled,
            "otherMails": [],
            "proxyAddresses": user.proxy_addresses,
            "userType": user.user_type,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// A group that the caller may not evaluate is left out of the answer without an error (documented).
fn may_see_members(call: &Call, group: &Group) -> bool {
    !is_hidden(group) || call.caller.has_any(HIDDEN_READ)
}

/// Whether a group hides who its members are (documented: Microsoft 365 groups only).
fn is_hidden(group: &Group) -> bool {
    group
        .visibility
        .as_deref()
        .is_some_and(|visibility| visibility.eq_ignore_ascii_case("HiddenMembership"))
}

fn group_fields(group: &Group) -> Map<String, Value> {
    let fields = json!({
        "id": group.id,
        "deletedDateTime": null,
        "createdDateTime": "2024-01-01T00:00:00Z",
        "description": null,
        "displayName": group.display_name,
        "groupTypes": if is_hidden(group) { vec!["Unified"] } else { Vec::new() },
        "isAssignableToRole": group.is_assignable_to_role,
        "mail": null,
        "mailEnabled": false,
        "securityEnabled": true,
        "visibility": group.visibility,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn role_fields(role: &DirectoryRole) -> Map<String, Value> {
    let fields = json!({
        "id": role.id,
        "deletedDateTime": null,
        "description": null,
        "displayName": role.display_name,
        "roleTemplateId": role.role_template_id,
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// An object in a list of memberships: all but type and id are null to a caller who may not read it.
fn member(mut fields: Map<String, Value>, kind: &str, readable: bool, cast: Cast) -> Value {
    if !readable {
        for (name, value) in &mut fields {
            if name != "id" {
                *value = Value::Null;
            }
        }
    }
    if cast == Cast::Any || !readable {
        fields.insert("@odata.type".into(), kind.into());
    }
    Value::Object(fields)
}

pub(super) fn metadata(call: &Call, what: &str) -> String {
    format!("{}/v1.0/$metadata#{what}", call.incoming.base())
}

fn no_such_resource(key: &str) -> Refusal {
    Refusal::new(
        404,
        "Request_ResourceNotFound",
        format!(
            "Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        ),
    )
}
