//! What to do about a policy: read the tenant, report what differs, correct it if the policy says so.
//!
//! | file | what is in it |
//! |---|---|
//! | `correct` | what to do about differences between the policy and the tenant |
//! | `advice` | the conditions Stopped, Permissions, `ChecksComplete`, `WithinCeilings` and `LogsRead`, which do not change Ready |
//! | `issuing` | the condition Issuing: whether requests that name the policy can get a pass |
//! | `groups` | the groups that a policy names |
//! | `usable` | the condition `PassesUsable`: whether Conditional Access lets people use the passes |
//! | `draft` | a status while it is built |

mod advice;
mod correct;
mod draft;
mod groups;
mod issuing;
#[cfg(test)]
mod tests;
mod usable;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::draft::Draft;
use super::Reason;
use super::method::{self, Difference};
use super::permissions::Uses;
use super::situation::Connection;
use super::step::Rest;
use super::stop::StopOrder;
use super::terms::Terms;
use crate::api::{Drift, TapPolicy, TapPolicyStatus};
use crate::entra::{
    AccessPolicy, AuthenticationStrength, GraphError, Group, MethodConfiguration, MethodPatch,
};

/// How often a tenant is read if the policy does not say.
const INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// The correction that was last sent for a policy.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The generation of the policy at the time.
    pub generation: Option<i64>,
    /// The PATCH that was sent.
    pub patch: MethodPatch,
    /// When it was answered, by Graph's time.
    pub at: Timestamp,
    /// Whether the tenant refused the values.
    pub refused: bool,
}

/// All that is known about one policy at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PolicySituation<'a> {
    /// The policy.
    pub policy: &'a TapPolicy,
    /// Its terms, if it issues passes.
    pub terms: Option<&'a Terms>,
    /// Graph's time.
    pub now: Timestamp,
    /// Its tenant connection.
    pub connection: Option<&'a Connection>,
    /// The other policies that manage the method of the same tenant.
    pub rivals: &'a [String],
    /// What all policies that use the same app do with it.
    pub uses: Uses,
    /// The stop `ConfigMap`.
    pub stop: &'a StopOrder,
    /// How long a correction may not show in what is read.
    pub settle: SignedDuration,
    /// The correction that was last sent, unless the tenant has matched the policy since.
    pub correction: Option<&'a Correction>,
    /// Whether the tenant gives its log of sign-ins, as far as is known.
    pub sign_ins_given: bool,
    /// Why Graph refuses the tenant's logs to the app, though its token has the permission.
    pub logs_refused: Option<&'a str>,
    /// Whether the tenant says which Conditional Access policies a user meets (What If), as far as is known.
    pub what_if_offered: bool,
    /// What was read and done in this reconcile.
    pub reads: &'a PolicyReads,
}

/// What was read and done in one reconcile.
#[derive(Debug, Default)]
pub struct PolicyReads {
    /// The permissions in the token of the connection's app.
    pub permissions: Option<Result<Vec<String>, GraphError>>,
    /// The tenant's method.
    pub method: Option<Result<MethodConfiguration, GraphError>>,
    /// Those of the groups that were to be read which exist.
    pub groups: Option<Result<Vec<Group>, GraphError>>,
    /// All Conditional Access policies, if the app may list them.
    pub access_policies: Option<Result<Arc<[AccessPolicy]>, GraphError>>,
    /// The authentication strengths, if the app may list them and no more.
    pub strengths: Option<Result<Vec<AuthenticationStrength>, GraphError>>,
    /// The outcome of the PATCH.
    pub patched: Option<Result<(), GraphError>>,
}

/// What a policy asks its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyQuestion {
    /// The permissions of the connection's app.
    Permissions,
    /// The tenant's method.
    Method,
    /// These groups.
    Groups(Vec<String>),
    /// All Conditional Access policies.
    AccessPolicies,
    /// All authentication strengths.
    Strengths,
}

/// The next thing to do for one policy.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyStep {
    /// Ask the tenant.
    Ask(PolicyQuestion),
    /// Write the status.
    WriteStatus(Box<TapPolicyStatus>),
    /// Correct differences in the tenant, in one PATCH.
    Correct {
        /// What is corrected.
        difference: Box<Difference>,
        /// All that was found, of which people are told.
        found: Vec<Drift>,
    },
    /// Nothing to do now.
    Rest(Rest),
}

/// Whether a policy manages the method of its tenant.
pub fn manages(policy: &TapPolicy) -> bool {
    policy.spec.method.is_some() && policy.metadata.deletion_timestamp.is_none()
}

/// Whether the tenant's method is as a policy says.
pub fn is_in_sync(policy: &TapPolicy, observed: &MethodConfiguration) -> bool {
    let desired = policy.spec.method.as_ref();
    desired.is_none_or(|desired| method::compare(desired, observed).drift.is_empty())
}

/// The next thing to do for a policy.
pub fn next(s: &PolicySituation) -> PolicyStep {
    let Some(connection) = s.connection else {
        let message = format!(
            "the operator has no tenant connection named {:?}: add it to its configuration",
            s.policy.spec.tenant
        );
        let reason = Reason::TenantNotConfigured;
        return Draft::of(s)
            .ready(false, reason, &message)
            .synced("Unknown", reason, &message)
            .stalled()
            .or_rest(Rest::ForChange);
    };
    let Some(observed) = &s.reads.method else { return PolicyStep::Ask(PolicyQuestion::Method) };
    // Only after the first call: if Graph rejected the token, the connection has a new one by then.
    if s.reads.permissions.is_none() {
        return PolicyStep::Ask(PolicyQuestion::Permissions);
    }
    let observed = match observed {
        Err(error) => return unreadable(s, connection, error),
        Ok(observed) => observed,
    };
    let desired = s.policy.spec.method.clone().unwrap_or_default();
    let correctable = method::compare(&desired, observed);
    let renamed = match &s.reads.groups {
        None => match groups::to_read(s.policy, connection, observed) {
            ids if ids.is_empty() => Vec::new(),
            ids => return PolicyStep::Ask(PolicyQuestion::Groups(ids)),
        },
        // Nothing is said of groups that cannot be read. Requests read them, too, and wait.
        Some(Err(_)) => Vec::new(),
        Some(Ok(found)) => groups::renamed(&groups::of(s.policy), found),
    };
    if let Some(step) = usable::to_read(s) {
        return step;
    }
    let mut difference = correctable.clone();
    difference.drift.extend(renamed);
    let draft = Draft::of(s).seen(s, connection, observed, &difference);
    correct::next(s, draft, observed, &correctable, &difference)
}

fn unreadable(s: &PolicySituation, connection: &Connection, error: &GraphError) -> PolicyStep {
    let message = format!("the tenant cannot be read: {error}");
    let reason = Reason::of(error);
    let mut draft = Draft::of(s).ready(false, reason, &message).synced("Unknown", reason, &message);
    draft.status.tenant_id = Some(connection.tenant_id.clone());
    draft.status.drifted_fields = Some("Unknown".into());
    draft.after(error)
}

fn interval(policy: &TapPolicy) -> SignedDuration {
    policy
        .spec
        .interval
        .as_ref()
        .and_then(|interval| interval.duration().ok())
        .filter(SignedDuration::is_positive)
        .unwrap_or(INTERVAL)
}
