//! The conditions Stopped, Permissions and `ChecksComplete`: what the emergency stop orders, what the app lacks, and which
//! checks cannot be made. They do not change Ready.

use super::PolicySituation;
use crate::decision::Reason;
use crate::decision::method;
use crate::decision::permissions::{self, Need, with_id};
use crate::decision::situation::Connection;

/// Status, reason and message of a condition.
pub(super) type Finding = (&'static str, Reason, String);

/// What the emergency stop orders, while there is one.
pub(super) fn stopped(s: &PolicySituation) -> Option<Finding> {
    let reason = match &s.stop.not_understood {
        Some(_) => Reason::StopNotUnderstood,
        None => Reason::Stopped,
    };
    Some(("True", reason, s.stop.sentence()?))
}

/// Whether the app has the permissions that the policy needs, and no others. Excessive ones are only a warning.
pub(super) fn permissions(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    let held = match s.reads.permissions.as_ref()? {
        Ok(held) => held,
        Err(error) => {
            let message = format!("the permissions of the app cannot be read: {error}");
            return Some(("Unknown", Reason::PermissionsUnknown, message));
        }
    };
    let observed = match &s.reads.method {
        Some(Ok(observed)) => Some(method::as_method(observed)),
        _ => s.policy.status.as_ref().and_then(|status| status.observed.clone()),
    };
    let needs = permissions::needs(&s.policy.spec, observed.as_ref());
    let found = permissions::compare(&needs, held, connection.cloud, s.enforced);
    Some(match found.sentence(connection) {
        Some(sentence) if found.missing.is_empty() => {
            ("True", Reason::PermissionExcessive, sentence)
        }
        Some(sentence) => ("False", Reason::PermissionMissing, sentence),
        None => {
            let app = &connection.client_id;
            let message = format!("the app {app} has the permissions that this policy needs");
            ("True", Reason::PermissionsGranted, message)
        }
    })
}

/// Whether every check of who may have a pass can be made. A check that cannot be made refuses nobody, so it is reported
/// here.
pub(super) fn checks_complete(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    s.policy.spec.issuance.as_ref()?;
    let mut gaps = Vec::new();
    if connection.users.is_none() {
        let message = format!(
            "the operator cannot tell whether people ask or approve for themselves, because the tenant connection {:?} does not say how Kubernetes user names map to users of the tenant: set TAP_OPERATOR_USER_NAME, or users of the connection",
            connection.name
        );
        gaps.push((Reason::UserNamesNotMapped, message));
    }
    let wanted = permissions::wants_eligible_roles(&s.policy.spec);
    let held = s.reads.permissions.as_ref().and_then(|held| held.as_ref().ok());
    if wanted && held.is_some_and(|held| !Need::EligibleRoles.is_covered_by(held)) {
        let message = format!(
            "the operator cannot see the directory roles that users could activate (Privileged Identity Management): grant the app {}",
            with_id(Need::EligibleRoles.least())
        );
        gaps.push((Reason::EligibleRolesNotSeen, message));
    }
    let Some((reason, _)) = gaps.first() else {
        let message = "every check of a request can be made".to_owned();
        return Some(("True", Reason::AllChecksPossible, message));
    };
    let messages: Vec<&str> = gaps.iter().map(|(_, message)| message.as_str()).collect();
    Some(("False", *reason, messages.join("; ")))
}
