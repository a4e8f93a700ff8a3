//! What to do about a policy: read the tenant, report what differs, correct it when told to.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;
use super::clock::later;
use super::life::situation::{Connection, Stop};
use super::life::step::Rest;
use super::method::{self, Difference};
use super::permissions::{self, Need, with_id};
use super::report::whole_second;
use crate::api::{ConditionType, Drift, Enforcement, TapPolicy, TapPolicyStatus, merge_conditions};
use crate::graph::{Advice, ErrorKind, GraphError, MethodConfiguration, MethodPatch};

/// How often a tenant is read where the policy does not say.
const INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// How long before another look at a tenant that does not show a correction yet.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// The correction that was last sent for a policy.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Of which generation of the policy it was.
    pub generation: Option<i64>,
    /// What was sent.
    pub patch: MethodPatch,
    /// When it was answered, by Graph's time.
    pub at: Timestamp,
    /// Whether the tenant refused the values.
    pub refused: bool,
}

/// Everything that is known about one policy at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PolicySituation<'a> {
    /// The policy.
    pub policy: &'a TapPolicy,
    /// Graph's time.
    pub now: Timestamp,
    /// Its tenant connection.
    pub connection: Option<&'a Connection>,
    /// The other policies that manage the method of the same tenant.
    pub rivals: &'a [String],
    /// Whether some policy that uses the same app corrects the tenant's method.
    pub enforced: bool,
    /// The stop `ConfigMap`.
    pub stop: Stop,
    /// How long a correction may stay unseen.
    pub settle: SignedDuration,
    /// What was last sent to correct the tenant, if it was not as the policy says since.
    pub correction: Option<&'a Correction>,
    /// What was read and done in this pass.
    pub reads: &'a PolicyReads,
}

/// A group's object id, and its display name; None where there is no such group.
pub type GroupName = (String, Option<String>);

/// What was read and done for this decision.
#[derive(Debug, Default)]
pub struct PolicyReads {
    /// The permissions in the token of the connection's app.
    pub permissions: Option<Result<Vec<String>, GraphError>>,
    /// The tenant's method.
    pub method: Option<Result<MethodConfiguration, GraphError>>,
    /// Display names of the groups that the policy names with one; None for a group that is not there.
    pub names: Option<Result<Vec<GroupName>, GraphError>>,
    /// How the PATCH came out.
    pub patched: Option<Result<(), GraphError>>,
}

/// The next thing to do for one policy.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyStep {
    /// Read the permissions of the connection's app.
    ReadPermissions,
    /// Read the tenant's method.
    ReadMethod,
    /// Read the display names of these groups.
    ReadNames(Vec<String>),
    /// Write the status.
    WriteStatus(Box<TapPolicyStatus>),
    /// Correct these differences in the tenant, in one PATCH.
    Correct(Box<Difference>),
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
        let status = Draft::of(s).ready(false, Reason::TenantNotConfigured, &message).synced(
            "Unknown",
            Reason::TenantNotConfigured,
            &message,
        );
        return status.stalled().or_rest(Rest::ForChange);
    };
    let Some(observed) = &s.reads.method else { return PolicyStep::ReadMethod };
    // After the first call: where Graph did not take the token, there is a new one by now.
    if s.reads.permissions.is_none() {
        return PolicyStep::ReadPermissions;
    }
    let observed = match observed {
        Err(error) => return unreadable(s, connection, error),
        Ok(observed) => observed,
    };
    let desired = s.policy.spec.method.clone().unwrap_or_default();
    let mut difference = method::compare(&desired, observed);
    let said = named_groups(s.policy);
    let renamed = match &s.reads.names {
        _ if said.is_empty() => Vec::new(),
        None => return PolicyStep::ReadNames(said.into_iter().map(|(id, _)| id).collect()),
        // Names are for readers: where they cannot be read, nothing is said about them.
        Some(Err(_)) => Vec::new(),
        Some(Ok(found)) => renamed(&said, found),
    };
    let correctable = difference.clone();
    difference.drift.extend(renamed);
    let draft = Draft::of(s).seen(connection, observed, &difference);
    decide(s, draft, observed, &correctable, &difference)
}

fn decide(
    s: &PolicySituation,
    draft: Draft,
    observed: &MethodConfiguration,
    correctable: &Difference,
    found: &Difference,
) -> PolicyStep {
    let rest = Rest::For(interval(s.policy));
    if s.policy.spec.method.is_none() {
        let nothing = "this policy manages nothing in the tenant";
        let message = if found.drift.is_empty() {
            nothing.to_owned()
        } else {
            format!("{}; {nothing}", found.sentence())
        };
        return draft.both(true, Reason::NothingManaged, &message).or_rest(rest);
    }
    if !s.rivals.is_empty() {
        let message = format!(
            "{} also manages the method of this tenant, so none of them writes: drop spec.method from all but one",
            s.rivals.join(", ")
        );
        return draft
            .ready(false, Reason::Conflict, &message)
            .synced("False", Reason::Conflict, &message)
            .stalled()
            .or_rest(rest);
    }
    if correctable.drift.is_empty() {
        return in_sync(draft, found).or_rest(rest);
    }
    let sentence = correctable.sentence();
    if s.policy.spec.enforcement.unwrap_or_default() != Enforcement::Enforce {
        let message = format!("{sentence} (enforcement is Observe: nothing is written)");
        return draft
            .ready(true, Reason::Drifted, &message)
            .synced("False", Reason::Drifted, &message)
            .or_rest(rest);
    }
    if s.stop != Stop::Off {
        let message = format!(
            "{sentence}; nothing is written while the ConfigMap tap-operator-stop is there"
        );
        return draft
            .ready(false, Reason::Stopped, &message)
            .synced("False", Reason::Stopped, &message)
            .or_rest(rest);
    }
    let correction = s.correction.filter(|c| c.generation == s.policy.metadata.generation);
    let refused = correction.is_some_and(|c| c.refused);
    let sent = correction.filter(|c| !c.refused && c.patch == correctable.patch);
    match &s.reads.patched {
        Some(Err(error)) if error.kind != ErrorKind::BadRequest => {
            let message = format!("the difference could not be corrected: {error}");
            let draft = draft.ready(false, Reason::of(error), &message).synced(
                "False",
                Reason::Drifted,
                &sentence,
            );
            let draft = if matches!(error.advice(), Advice::Retry { .. }) {
                draft.reconciling()
            } else {
                draft.stalled()
            };
            draft.or_rest(rest_after(error))
        }
        Some(Err(error)) => not_taken(
            draft,
            &sentence,
            &format!("the tenant refuses the values: {error}; change the policy"),
        )
        .or_rest(rest),
        _ if refused => {
            not_taken(draft, &sentence, "the tenant refused the values: change the policy")
                .or_rest(rest)
        }
        // A read may lag behind a correction (inferred).
        _ if sent.is_some_and(|c| s.now < later(c.at, s.settle)) => {
            let message =
                format!("{sentence}; it was corrected, and the tenant does not show it yet");
            draft
                .ready(false, Reason::Drifted, &message)
                .synced("False", Reason::Drifted, &sentence)
                .reconciling()
                .or_rest(Rest::For(AGAIN))
        }
        _ if sent.is_some_and(|c| s.now < later(c.at, s.settle + interval(s.policy))) => not_taken(
            draft,
            &sentence,
            &format!("after the correction the tenant still differs: {sentence}"),
        )
        .or_rest(rest),
        // It was sent in this pass, and differs otherwise than before.
        Some(Ok(())) => draft
            .ready(false, Reason::Drifted, &sentence)
            .synced("False", Reason::Drifted, &sentence)
            .reconciling()
            .or_rest(Rest::For(AGAIN)),
        None if s.policy.status.as_ref().is_none_or(|status| status.adopted.is_none()) => {
            // What was found is kept before anything is written over it.
            let message = format!("correcting: {sentence}");
            draft
                .adopting(observed)
                .ready(false, Reason::Drifted, &message)
                .synced("False", Reason::Drifted, &sentence)
                .reconciling()
                .or_rest(rest)
        }
        None => PolicyStep::Correct(Box::new(correctable.clone())),
    }
}

fn in_sync<'a>(draft: Draft<'a>, found: &Difference) -> Draft<'a> {
    if found.drift.is_empty() {
        return draft.both(true, Reason::InSync, "the tenant is as the policy says");
    }
    let message = format!("{}; the tenant's method itself is as the policy says", found.sentence());
    draft.ready(true, Reason::InSync, &message).synced("True", Reason::InSync, &message)
}

fn not_taken<'a>(draft: Draft<'a>, sentence: &str, message: &str) -> Draft<'a> {
    draft
        .ready(false, Reason::NotTaken, message)
        .synced("False", Reason::NotTaken, sentence)
        .stalled()
}

fn unreadable(s: &PolicySituation, connection: &Connection, error: &GraphError) -> PolicyStep {
    let message = format!("the tenant cannot be read: {error}");
    let mut draft = Draft::of(s).ready(false, Reason::of(error), &message).synced(
        "Unknown",
        Reason::of(error),
        &message,
    );
    draft.status.tenant_id = Some(connection.tenant_id.clone());
    draft.status.drifted_fields = Some("Unknown".into());
    let draft = if matches!(error.advice(), Advice::Retry { .. }) {
        draft.reconciling()
    } else {
        draft.stalled()
    };
    draft.or_rest(rest_after(error))
}

fn rest_after(error: &GraphError) -> Rest {
    match error.advice() {
        Advice::Retry { after } => {
            Rest::Backoff(after.and_then(|d| SignedDuration::try_from(d).ok()))
        }
        Advice::Wait | Advice::Stop => Rest::For(SignedDuration::from_secs(60)),
    }
}

fn interval(policy: &TapPolicy) -> SignedDuration {
    policy
        .spec
        .interval
        .as_ref()
        .and_then(|l| l.duration().ok())
        .filter(jiff::SignedDuration::is_positive)
        .unwrap_or(INTERVAL)
}

/// Whether the app may do what the policy needs, and no more. Too much is a warning only.
fn permitted(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    let held = match s.reads.permissions.as_ref()? {
        Ok(held) => held,
        Err(error) => {
            let message = format!("it cannot be told which permissions the app has: {error}");
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
            let message = format!("the app {} may do what this policy needs", connection.client_id);
            ("True", Reason::PermissionsGranted, message)
        }
    })
}

/// Whether every check of who may have a pass can be made. What cannot be told refuses nobody, so it is told here.
fn checkable(s: &PolicySituation, connection: &Connection) -> Option<Finding> {
    s.policy.spec.issuance.as_ref()?;
    let mut gaps = Vec::new();
    if connection.users.is_none() {
        let message = format!(
            "it cannot be told whether somebody asks or approves for themselves, for the tenant connection {:?} does not say how Kubernetes user names become users of the tenant: set TAP_OPERATOR_USER_NAME, or users of the connection",
            connection.name
        );
        gaps.push((Reason::UserNamesNotMapped, message));
    }
    let wanted = permissions::wants_eligible_roles(&s.policy.spec);
    let held = s.reads.permissions.as_ref().and_then(|held| held.as_ref().ok());
    if wanted && held.is_some_and(|held| !Need::EligibleRoles.is_covered_by(held)) {
        let message = format!(
            "directory roles that users could activate (Privileged Identity Management) are not seen: grant the app {}",
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

/// Status, reason and message of a condition.
type Finding = (&'static str, Reason, String);

/// The groups for which the policy gives a display name, with that name: those of the method, and those of who may get
/// a pass, where a group that is gone admits nobody, or excludes nobody.
fn named_groups(policy: &TapPolicy) -> Vec<(String, String)> {
    let method = policy.spec.method.as_ref();
    let users = policy.spec.issuance.as_ref().and_then(|issuance| issuance.users.as_ref());
    let include = method
        .into_iter()
        .flat_map(|m| m.include.iter().flatten())
        .filter_map(|t| Some((t.group.clone()?, t.display_name.clone()?)));
    let exclude = method.into_iter().flat_map(|m| m.exclude.iter().flatten());
    let admitted = users.into_iter().flat_map(|u| u.groups.iter().flatten());
    let refused = users.into_iter().flat_map(|u| u.exclude_groups.iter().flatten());
    let others = exclude
        .chain(admitted)
        .chain(refused)
        .filter_map(|g| Some((g.group.to_lowercase(), g.display_name.clone()?)));
    let mut named: Vec<_> =
        include.map(|(id, name)| (id.to_lowercase(), name)).chain(others).collect();
    named.sort_unstable();
    named.dedup();
    named
}

fn renamed(said: &[(String, String)], found: &[GroupName]) -> Vec<Drift> {
    let has = |id: &str| {
        found.iter().find(|(other, _)| other.eq_ignore_ascii_case(id)).map(|(_, name)| name.clone())
    };
    let differs = |(id, wanted): &(String, String)| match has(id)? {
        Some(name) if name == *wanted => None,
        other => Some(Drift {
            field: format!("displayName of {id}"),
            desired: wanted.clone(),
            observed: other.unwrap_or_else(|| "no such group".into()),
        }),
    };
    said.iter().filter_map(differs).collect()
}

/// A status in the making.
struct Draft<'a> {
    policy: &'a TapPolicy,
    now: Timestamp,
    status: TapPolicyStatus,
    conditions: Vec<Condition>,
    /// What is told beside the state of the tenant, and changes nothing about it.
    advice: Vec<(ConditionType, Finding)>,
}

impl<'a> Draft<'a> {
    fn of(s: &PolicySituation<'a>) -> Self {
        let mut status = s.policy.status.clone().unwrap_or_default();
        status.observed_generation = s.policy.metadata.generation;
        let advice = s.connection.map_or_else(Vec::new, |connection| {
            let permitted = permitted(s, connection).map(|f| (ConditionType::Permissions, f));
            let checkable = checkable(s, connection).map(|f| (ConditionType::ChecksComplete, f));
            permitted.into_iter().chain(checkable).collect()
        });
        Self { policy: s.policy, now: s.now, status, conditions: Vec::new(), advice }
    }

    fn seen(
        mut self,
        connection: &Connection,
        observed: &MethodConfiguration,
        found: &Difference,
    ) -> Self {
        self.status.tenant_id = Some(connection.tenant_id.clone());
        self.status.observed = Some(method::as_method(observed));
        self.status.drift.clone_from(&found.drift);
        self.status.drifted_fields = Some(found.fields());
        self
    }

    fn adopting(mut self, observed: &MethodConfiguration) -> Self {
        self.status.adopted = Some(method::as_method(observed));
        self
    }

    fn condition(
        mut self,
        type_: ConditionType,
        status: &str,
        reason: Reason,
        message: &str,
    ) -> Self {
        self.conditions.push(Condition {
            type_: type_.as_str().into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: message.into(),
            observed_generation: self.policy.metadata.generation,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        });
        self
    }

    fn ready(self, ready: bool, reason: Reason, message: &str) -> Self {
        self.condition(ConditionType::Ready, if ready { "True" } else { "False" }, reason, message)
    }

    fn synced(self, synced: &str, reason: Reason, message: &str) -> Self {
        self.condition(ConditionType::Synced, synced, reason, message)
    }

    fn both(self, good: bool, reason: Reason, message: &str) -> Self {
        self.ready(good, reason, message).synced(
            if good { "True" } else { "False" },
            reason,
            message,
        )
    }

    fn again(self, type_: ConditionType) -> Self {
        let ready = self.conditions.first().map(|c| (c.reason.clone(), c.message.clone()));
        let (reason, message) = ready.unwrap_or_default();
        let mut draft = self.condition(type_, "True", Reason::Drifted, &message);
        if let Some(last) = draft.conditions.last_mut() {
            last.reason = reason;
        }
        draft
    }

    /// For the reason that Ready gives, work goes on.
    fn reconciling(self) -> Self {
        self.again(ConditionType::Reconciling)
    }

    /// For the reason that Ready gives, somebody must act.
    fn stalled(self) -> Self {
        self.again(ConditionType::Stalled)
    }

    fn or_rest(mut self, rest: Rest) -> PolicyStep {
        for (type_, (status, reason, message)) in std::mem::take(&mut self.advice) {
            self = self.condition(type_, status, reason, &message);
        }
        let mut status = self.status;
        let old = self.policy.status.as_ref();
        status.conditions = merge_conditions(
            old.map_or(&[][..], |s| &s.conditions),
            self.conditions,
            whole_second(self.now),
        );
        if old == Some(&status) {
            PolicyStep::Rest(rest)
        } else {
            PolicyStep::WriteStatus(Box::new(status))
        }
    }
}

#[cfg(test)]
mod tests;
