//! The directory audit log, as far as passes, other sign-in methods and the policy write to it.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::{graph_time, seconds, shifted},
    passes::{Actor, Pass},
    switches::{AuditNames, Switches},
    tenant::{App, User},
};

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum AuditEvent {
    /// A pass was made.
    PassRegistered(PassFacts),
    /// A pass was deleted, by its id.
    PassDeleted(Uuid),
    /// The user registered a method, by the type that Graph gives it.
    MethodRegistered(String),
    /// The authentication methods policy was changed.
    PolicyChanged,
}

/// What the row about a new pass says of it.
#[derive(Debug, Clone)]
pub(crate) struct PassFacts {
    id: Uuid,
    start: Timestamp,
    end: Timestamp,
    one_time: bool,
}

impl PassFacts {
    pub(crate) fn of(pass: &Pass) -> Self {
        Self { id: pass.id, start: pass.start, end: pass.expires(), one_time: pass.one_time }
    }
}

/// Who did it.
#[derive(Debug)]
pub(crate) enum By {
    /// An app, or an administrator in the portal.
    Actor(Actor),
    /// The user whom the row is about.
    TheUser,
}

/// One row of the log.
#[derive(Debug)]
struct AuditRow {
    id: Uuid,
    at: Timestamp,
    event: AuditEvent,
    by: By,
    /// The user whom it is about: object id and name.
    user: Option<(Uuid, String)>,
    correlation_id: String,
}

/// The log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct AuditLog {
    rows: Vec<AuditRow>,
}

impl AuditLog {
    pub(crate) fn record(
        &mut self,
        at: Timestamp,
        event: AuditEvent,
        by: By,
        user: Option<&User>,
        client_request_id: Option<&str>,
    ) {
        self.rows.push(AuditRow {
            id: Uuid::new_v4(),
            at,
            event,
            by,
            user: user.map(|user| (user.id, user.user_principal_name.clone())),
            correlation_id: client_request_id
                .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
        });
    }

    /// The rows that have arrived, newest first.
    ///
    /// `apps` and `domain` are the tenant's: rows name who did it.
    pub(crate) fn arrived(
        &self,
        now: Timestamp,
        switches: &Switches,
        apps: &[App],
        domain: &str,
    ) -> Vec<Value> {
        let lag = seconds(switches.audit_lag_seconds);
        let arrived = self.rows.iter().rev().filter(|row| shifted(row.at, lag) <= now);
        arrived.map(|row| row.wire(switches, apps, domain)).collect()
    }
}

impl AuditRow {
    fn wire(&self, switches: &Switches, apps: &[App], domain: &str) -> Value {
        let Wording { activity, reason, service, category } =
            self.event.wording(switches.audit_names);
        let properties =
            if switches.audit_pass_ids { self.event.modified_properties() } else { Vec::new() };
        let target = match &self.user {
            Some((id, name)) => json!({
                "id": id, "displayName": null, "type": "User", "userPrincipalName": name,
                "modifiedProperties": properties,
            }),
            None => json!({
                "id": null, "displayName": null, "type": "Other", "modifiedProperties": properties,
            }),
        };
        json!({
            "id": format!("Authentication Methods_{}", self.id),
            "category": category,
            "correlationId": self.correlation_id,
            "result": "success",
            "resultReason": reason,
            "activityDisplayName": activity,
            "activityDateTime": graph_time(self.at),
            "loggedByService": service,
            "operationType": self.event.operation(),
            "initiatedBy": self.initiator(switches, apps, domain),
            "targetResources": [target],
            "additionalDetails": [],
        })
    }

    fn initiator(&self, switches: &Switches, apps: &[App], domain: &str) -> Value {
        let user = |id: Uuid, name: Option<&str>, upn: &str| json!({"user": {"id": id, "displayName": name, "userPrincipalName": upn, "ipAddress": null}});
        match (&self.by, &self.user) {
            (By::Actor(Actor::App { client_id, name }), _) => {
                let app = apps.iter().find(|app| app.client_id == *client_id);
                json!({
                    "app": {
                        "appId": switches.audit_app_ids.then_some(client_id),
                        "displayName": name,
                        "servicePrincipalId": app.map(|app| app.service_principal_id),
                        "servicePrincipalName": null,
                    },
                })
            }
            (By::TheUser, Some((id, upn))) => user(*id, None, upn),
            (By::TheUser, None) | (By::Actor(Actor::Portal), _) => {
                user(Uuid::nil(), Some("Administrator"), &format!("admin@{domain}"))
            }
        }
    }
}

/// The words of a row.
struct Wording {
    activity: &'static str,
    reason: String,
    service: &'static str,
    category: &'static str,
}

impl AuditEvent {
    fn operation(&self) -> &'static str {
        match self {
            Self::PassRegistered(_) | Self::MethodRegistered(_) => "Add",
            Self::PassDeleted(_) => "Delete",
            Self::PolicyChanged => "Update",
        }
    }

    /// The strings in them are JSON (known).
    fn modified_properties(&self) -> Vec<Value> {
        let of_pass = |name: &str, old: Option<String>, new: Option<String>| {
            let json = |text: String| Value::String(text).to_string();
            json!({
                "displayName": format!("TemporaryAccessPass.TemporaryAccessPass.{name}"),
                "oldValue": old.map(json), "newValue": new.map(json),
            })
        };
        match self {
            Self::PassRegistered(PassFacts { id, start, end, one_time }) => {
                let usage = if *one_time { "Once" } else { "Multiple" };
                let new = |name, text| of_pass(name, None, Some(text));
                vec![
                    new("Id", id.to_string()),
                    new("StartDateTime", graph_time(*start)),
                    new("EndTime", graph_time(*end)),
                    new("AccessPassUsage", usage.to_owned()),
                ]
            }
            Self::PassDeleted(id) => vec![of_pass("Id", Some(id.to_string()), None)],
            Self::MethodRegistered(_) | Self::PolicyChanged => Vec::new(),
        }
    }

    /// What the third variant says about a deletion is inferred from what it says about a creation.
    fn wording(&self, names: AuditNames) -> Wording {
        let (activity, reason) = match (names, self) {
            (_, Self::PolicyChanged) => {
                return Wording {
                    activity: "Authentication Methods Policy Update",
                    reason: String::new(),
                    service: "Authentication Methods",
                    category: "ApplicationManagement",
                };
            }
            (_, Self::MethodRegistered(kind)) => return registered(kind),
            (AuditNames::AdminSecurityInfo, Self::PassRegistered(_)) => (
                "Admin registered security info",
                "Admin registered temporary access pass method for user",
            ),
            (AuditNames::AdminSecurityInfo, Self::PassDeleted(_)) => (
                "Admin deleted security info",
                "Admin deleted temporary access pass method for user",
            ),
            (AuditNames::UserSecurityInfo, Self::PassRegistered(_)) => {
                ("User registered security info", "User registered temporary access pass method")
            }
            (AuditNames::UserSecurityInfo, Self::PassDeleted(_)) => {
                ("User deleted security info", "User deleted temporary access pass method")
            }
            (AuditNames::CreateMethod, Self::PassRegistered(_)) => {
                ("Create Temporary Access Pass method for user", "")
            }
            (AuditNames::CreateMethod, Self::PassDeleted(_)) => {
                ("Delete Temporary Access Pass method for user", "")
            }
        };
        Wording {
            activity,
            reason: reason.into(),
            service: "Authentication Methods",
            category: "UserManagement",
        }
    }
}

/// How the registration of a method is told (documented for a passkey, reported for the others).
fn registered(kind: &str) -> Wording {
    let what = match kind {
        "fido2" => "Fido2 Authentication Method",
        "microsoftAuthenticator" => "Authenticator App with Notification and Code",
        "phone" => "Mobile Phone SMS",
        "softwareOath" => "Authenticator App with Code",
        "windowsHelloForBusiness" => {
            return Wording {
                activity: "Add Windows Hello for Business credential",
                reason: String::new(),
                service: "Device Registration Service",
                category: "UserManagement",
            };
        }
        other => other,
    };
    Wording {
        activity: "User registered security info",
        reason: format!("User registered {what}"),
        service: "Authentication Methods",
        category: "UserManagement",
    }
}
