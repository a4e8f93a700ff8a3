//! The conditions Stopped, Permissions, `ChecksComplete`, `WithinCeilings` and `LogsRead`: what the emergency stop orders, what
//! the app lacks, which checks cannot be made, what the policy asks for in vain, and what is not seen. They do not change Ready.

use std::collections::BTreeSet;

use super::{PolicySituation, groups};
use crate::decision::Reason;
use crate::decision::checks::{
    asks_beyond, completeness_is_required, denies_unmapped_people, reads_roles, refuses_unusable,
};
use crate::decision::method;
use crate::decision::permissions::{self, Need, gap_in_words, with_id};
use crate::decision::situation::Connection;
use crate::entra::{GraphError, RoleGap};

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
    let found = permissions::compare(&needs, held, connection.cloud, s.uses);
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

/// Whether the policy asks for no more than the ceilings allow. They apply in any case, so it is only told.
pub(super) fn within_ceilings(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    let issuance = s.policy.spec.issuance.as_ref()?;
    if connection.ceilings.is_empty() {
        return None;
    }
    let beyond = asks_beyond(issuance, s.terms?, &connection.ceilings);
    if beyond.is_empty() {
        let message = "the policy asks for no more than the operator's configuration allows";
        return Some(("True", Reason::WithinCeilings, message.into()));
    }
    let message = format!(
        "the policy asks for more than the operator's configuration allows, and the ceilings there apply: {}",
        beyond.join("; ")
    );
    Some(("False", Reason::CeilingExceeded, message))
}

/// Whether the operator reads the tenant's logs. Nothing depends on them, so it is only told what is not seen.
pub(super) fn logs_read(s: &PolicySituation) -> Option<Finding> {
    let held = s.reads.permissions.as_ref()?.as_ref().ok()?;
    Some(if !Need::Logs.is_covered_by(held) {
        let message = format!(
            "the operator does not see how passes are used, codes that are tried in vain, what users register afterwards, passes that others make, and who changes the method; to see that, grant the app {}",
            with_id(Need::Logs.least())
        );
        ("False", Reason::LogsNotRead, message)
    } else if let Some(why) = s.logs_refused {
        let message = format!(
            "the operator does not see what only the tenant's logs show: Graph refuses to let the app read them, though its token has the permission {}: {why}; see whether an access policy of the tenant excludes the app; the operator tries again",
            Need::Logs.least()
        );
        ("False", Reason::LogsNotRead, message)
    } else if !s.sign_ins_given {
        let message = "the operator does not see sign-ins with passes and codes that are tried in vain, because the tenant has no Microsoft Entra ID P1; it reads the audit log";
        ("False", Reason::SignInsNotRead, message.into())
    } else {
        let message = "the operator reads the tenant's audit log and sign-ins";
        ("True", Reason::LogsRead, message.into())
    })
}

/// Whether every check of who may have a pass can be made. A check that cannot be made refuses nobody, so it is reported
/// here. What could not be read may hide another gap.
pub(super) fn checks_complete(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    let issuance = s.policy.spec.issuance.as_ref()?;
    let unknown = |reason, what: &str, error: &GraphError| {
        let message = format!(
            "it is not known which checks can be made, because {what} cannot be read: {error}"
        );
        Some(("Unknown", reason, message))
    };
    let held = match s.reads.permissions.as_ref()? {
        Ok(held) => held,
        Err(error) => {
            return unknown(Reason::PermissionsUnknown, "the permissions of the app", error);
        }
    };
    let mut gaps = Vec::new();
    if connection.users.is_none() {
        let message = format!(
            "the operator cannot tell whether people ask or approve for themselves, because the tenant connection {:?} does not say how Kubernetes user names map to users of the tenant: set TAP_OPERATOR_USER_NAME, or users of the connection",
            connection.name
        );
        gaps.push((Reason::UserNamesNotMapped, message));
    } else if !denies_unmapped_people(issuance, s.connection) {
        let message = "people whose Kubernetes user names the tenant connection does not map may ask and approve, also for themselves (issuance.unmappedPeople: Allow)";
        gaps.push((Reason::UnmappedPeopleAllowed, message.to_owned()));
    }
    let hidden = groups::hidden(s);
    if !hidden.is_empty() {
        let message = format!(
            "the operator cannot see who the members of these groups are, so requests wait that depend on them: {}; grant the app {}",
            hidden.join(", "),
            with_id(Need::HiddenMembers.least())
        );
        gaps.push((Reason::GroupHidden, message));
    }
    let asks_roles = reads_roles(issuance, &connection.ceilings);
    let unseen = if asks_roles { permissions::role_gaps(held) } else { BTreeSet::new() };
    for gap in unseen {
        let reason = match gap {
            RoleGap::Assignments | RoleGap::Members | RoleGap::HiddenMembers => {
                Reason::ScopedRolesNotSeen
            }
            RoleGap::Eligibilities => Reason::EligibleRolesNotSeen,
            RoleGap::GroupEligibilities => Reason::EligibleMembersNotSeen,
        };
        gaps.push((reason, format!("the operator cannot see {}", gap_in_words(gap))));
    }
    let asks = s.what_if_offered && Need::WhatIf.is_covered_by(held);
    let sees_none = !asks && !Need::AccessPolicies.is_covered_by(held);
    if refuses_unusable(issuance) && sees_none {
        let message = format!(
            "the operator cannot see Conditional Access, so it refuses no pass that could not be used: grant {}",
            with_id(Need::AccessPolicies.least())
        );
        gaps.push((Reason::ConditionalAccessNotSeen, message));
    }
    let Some((reason, _)) = gaps.first() else {
        if let Some(Err(error)) = &s.reads.method {
            return unknown(Reason::of(error), "the tenant's method", error);
        }
        if let Some(Err(error)) = &s.reads.groups {
            return unknown(Reason::of(error), "the groups on which they depend", error);
        }
        let message = "every check of a request can be made".to_owned();
        return Some(("True", Reason::AllChecksPossible, message));
    };
    let messages: Vec<&str> = gaps.iter().map(|(_, message)| message.as_str()).collect();
    let messages = messages.join("; ");
    let effect = if completeness_is_required(issuance, &connection.ceilings) {
        "requests wait, because the policy or a ceiling demands complete checks"
    } else {
        "nobody is refused for that"
    };
    Some(("False", *reason, format!("{messages}; {effect}")))
}
