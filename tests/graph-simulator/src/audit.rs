//! The directory audit log, as far as passes write to it.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::{graph_time, seconds, shifted},
    passes::Actor,
    switches::{AuditNames, Switches},
    tenant::{App, User},
};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AuditEvent {
    PassRegistered,
    PassDeleted,
}

/// One row of the log.
#[derive(Debug)]
struct AuditRow {
    id: Uuid,
    at: Timestamp,
    event: AuditEvent,
    by: Actor,
    user_id: Uuid,
    user_principal_name: String,
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
        by: Actor,
        user: &User,
        client_request_id: Option<&str>,
    ) {
        self.rows.push(AuditRow {
            id: Uuid::new_v4(),
            at,
            event,
            by,
            user_id: user.id,
            user_principal_name: user.user_principal_name.clone(),
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
        arrived.map(|row| row.wire(switches.audit_names, apps, domain)).collect()
    }
}

impl AuditRow {
    fn wire(&self, spelling: AuditNames, apps: &[App], domain: &str) -> Value {
        let (name, reason) = names(self.event, spelling);
        let initiated_by = match &self.by {
            Actor::App { client_id, name } => {
                let app = apps.iter().find(|app| app.client_id == *client_id);
                json!({
                    "app": {
                        "appId": client_id,
                        "displayName": name,
                        "servicePrincipalId": app.map(|app| app.service_principal_id),
                        "servicePrincipalName": null,
                    },
                })
            }
            Actor::Portal => {
                json!({
                    "user": {"id": Uuid::nil(), "displayName": "Administrator", "userPrincipalName": format!("admin@{domain}"), "ipAddress": null},
                })
            }
        };
        json!({
            "id": format!("Authentication Methods_{}", self.id),
            "category": "UserManagement",
            "correlationId": self.correlation_id,
            "result": "success",
            "resultReason": reason,
            "activityDisplayName": name,
            "activityDateTime": graph_time(self.at),
            "loggedByService": "Authentication Methods",
            "operationType": match self.event {
                AuditEvent::PassRegistered => "Add",
                AuditEvent::PassDeleted => "Delete",
            },
            "initiatedBy": initiated_by,
            "targetResources": [{
                "id": self.user_id,
                "displayName": null,
                "type": "User",
                "userPrincipalName": self.user_principal_name,
                "modifiedProperties": [],
            }],
            "additionalDetails": [],
        })
    }
}

/// Activity name and result reason. What the third variant says about a deletion is inferred from what it says about a creation.
fn names(event: AuditEvent, names: AuditNames) -> (&'static str, &'static str) {
    match (names, event) {
        (AuditNames::AdminSecurityInfo, AuditEvent::PassRegistered) => (
            "Admin registered security info",
            "Admin registered temporary access pass method for user",
        ),
        (AuditNames::AdminSecurityInfo, AuditEvent::PassDeleted) => {
            ("Admin deleted security info", "Admin deleted temporary access pass method for user")
        }
        (AuditNames::UserSecurityInfo, AuditEvent::PassRegistered) => {
            ("User registered security info", "User registered temporary access pass method")
        }
        (AuditNames::UserSecurityInfo, AuditEvent::PassDeleted) => {
            ("User deleted security info", "User deleted temporary access pass method")
        }
        (AuditNames::CreateMethod, AuditEvent::PassRegistered) => {
            ("Create Temporary Access Pass method for user", "")
        }
        (AuditNames::CreateMethod, AuditEvent::PassDeleted) => {
            ("Delete Temporary Access Pass method for user", "")
        }
    }
}
