//! The directory audit log, as far as passes write to it.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::{graph_time, seconds, shifted},
    passes::Actor,
    state::State,
    switches::AuditNames,
    tenant::User,
};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum AuditEvent {
    PassRegistered,
    PassDeleted,
}

/// One row of the log.
#[derive(Debug, Clone)]
pub(super) struct AuditRow {
    id: Uuid,
    at: Timestamp,
    event: AuditEvent,
    by: Actor,
    user_id: Uuid,
    user_principal_name: String,
    correlation_id: String,
}

impl State {
    pub(super) fn audit(
        &mut self,
        event: AuditEvent,
        by: Actor,
        user: &User,
        client_request_id: Option<&str>,
    ) {
        let row = AuditRow {
            id: Uuid::new_v4(),
            at: self.now(),
            event,
            by,
            user_id: user.id,
            user_principal_name: user.user_principal_name.clone(),
            correlation_id: client_request_id
                .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
        };
        self.audit_rows.push(row);
    }

    /// The rows that have arrived, newest first.
    pub(super) fn audit_log(&self) -> Vec<Value> {
        let (now, lag) = (self.now(), seconds(self.switches.audit_lag_seconds));
        let arrived = self.audit_rows.iter().rev().filter(|row| shifted(row.at, lag) <= now);
        arrived.map(|row| self.audit_row(row)).collect()
    }

    fn audit_row(&self, row: &AuditRow) -> Value {
        let (name, reason) = names(row.event, self.switches.audit_names);
        let initiated_by = match &row.by {
            Actor::App { client_id, name } => {
                let app = self.apps.iter().find(|app| app.client_id == *client_id);
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
                let name = format!("admin@{}", self.domains.first().map_or("", String::as_str));
                json!({
                    "user": {"id": Uuid::nil(), "displayName": "Administrator", "userPrincipalName": name, "ipAddress": null},
                })
            }
        };
        json!({
            "id": format!("Authentication Methods_{}", row.id),
            "category": "UserManagement",
            "correlationId": row.correlation_id,
            "result": "success",
            "resultReason": reason,
            "activityDisplayName": name,
            "activityDateTime": graph_time(row.at),
            "loggedByService": "Authentication Methods",
            "operationType": match row.event {
                AuditEvent::PassRegistered => "Add",
                AuditEvent::PassDeleted => "Delete",
            },
            "initiatedBy": initiated_by,
            "targetResources": [{
                "id": row.user_id,
                "displayName": null,
                "type": "User",
                "userPrincipalName": row.user_principal_name,
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
