//! How the policies in the files differ from their tenants.
//!
//! The differences are those that the operator would find, and the warnings those of the conditions that it would set, where
//! the tenant is as it will be once the policies are applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde::Serialize;

use super::finding::{Finding, Severity};
use super::manifests::Manifest;
use crate::api::{
    ConditionType, Enforcement, Lifetime, Posture, TapPolicy, TapPolicyStatus, find_condition,
};
use crate::decision::Reason;
use crate::decision::method;
use crate::decision::permissions::{Uses, enforces};
use crate::decision::policy::{PolicyReads, PolicySituation, PolicyStep, manages, next};
use crate::decision::situation::Connection;
use crate::decision::stop::StopOrder;
use crate::decision::terms::Terms;
use crate::entra::{AccessPolicy, GraphError, Group, MethodConfiguration, MethodPatch};

/// What was read of a tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The connection through which it was read.
    pub connection: Connection,
    /// The permissions of its app.
    pub permissions: Vec<String>,
    /// The method.
    pub method: MethodConfiguration,
    /// Those of the groups that the policies name which exist.
    pub groups: Result<Vec<Group>, GraphError>,
    /// Its Conditional Access policies, if the app may list them.
    pub access_policies: Option<Result<Arc<[AccessPolicy]>, GraphError>>,
}

/// The tenants by the names of their connections, or why they could not be read.
pub type Tenants = BTreeMap<String, Result<Tenant, String>>;

/// How a policy differs from its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlan {
    /// The name of the policy.
    pub name: String,
    /// The file in which it is.
    pub file: String,
    /// The line on which it begins.
    pub line: usize,
    /// The name of its tenant connection.
    pub tenant: String,
    /// The id of the tenant; absent if it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Whether the policy manages the tenant's method.
    pub manages: bool,
    /// Whether the operator corrects the differences, or only reports them.
    pub enforced: bool,
    /// Each managed field that differs.
    pub changes: Vec<Change>,
    /// Whether the tenant follows published recommendations, once the policies are applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub posture: Vec<Posture>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field of `spec.method`.
    pub field: String,
    /// What the tenant has.
    pub from: String,
    /// What the policy says.
    pub to: String,
}

/// The permissions that allow more than to read. Who has them can change a tenant, or issue passes in it, so they do not belong
/// to a pipeline that anybody who opens a pull request can start.
pub fn beyond_reading(permissions: &[String]) -> Vec<&str> {
    // Documented names are resource.operation.scope.
    let reads = |name: &&String| {
        let operation = name.split('.').nth(1).unwrap_or_default();
        matches!(operation, "Read" | "ReadBasic")
    };
    permissions.iter().filter(|name| !reads(name)).map(String::as_str).collect()
}

/// The groups that a policy names, each with its field.
pub fn groups(policy: &TapPolicy) -> Vec<(String, String)> {
    let spec = &policy.spec;
    let mut named = Vec::new();
    let mut add = |list: &str, ids: Vec<Option<&String>>| {
        let ids = ids.into_iter().enumerate();
        named.extend(ids.filter_map(|(index, id)| {
            Some((format!("spec.{list}[{index}].group"), id?.to_lowercase()))
        }));
    };
    if let Some(method) = &spec.method {
        let include = method.include.iter().flatten();
        add("method.include", include.map(|target| target.group.as_ref()).collect());
        let exclude = method.exclude.iter().flatten();
        add("method.exclude", exclude.map(|group| Some(&group.group)).collect());
    }
    if let Some(users) = spec.issuance.as_ref().and_then(|issuance| issuance.users.as_ref()) {
        let groups = users.groups.iter().flatten();
        add("issuance.users.groups", groups.map(|group| Some(&group.group)).collect());
        let exclude = users.exclude_groups.iter().flatten();
        add("issuance.users.excludeGroups", exclude.map(|group| Some(&group.group)).collect());
    }
    named
}

/// Compares all policies with their tenants. Without tenants, only the files are known.
pub fn compare(
    policies: &[Manifest<TapPolicy>],
    tenants: Option<&Tenants>,
    now: Timestamp,
) -> (Vec<PolicyPlan>, Vec<Finding>) {
    let (mut plans, mut findings) = (Vec::new(), Vec::new());
    for manifest in policies {
        let spec = &manifest.object.spec;
        let mut plan = PolicyPlan {
            name: manifest.object.name_any(),
            file: manifest.file.clone(),
            line: manifest.line(),
            tenant: spec.tenant.clone(),
            tenant_id: None,
            manages: manages(&manifest.object),
            enforced: enforces(spec),
            changes: Vec::new(),
            posture: Vec::new(),
        };
        match tenants.map(|tenants| tenants.get(&spec.tenant)) {
            None => {}
            Some(None) => {
                let message = format!(
                    "no tenant connection is named {:?}: add it to the file of tenant connections, or correct the name",
                    spec.tenant
                );
                findings.push(manifest.finding(Severity::Error, "spec.tenant", message));
            }
            Some(Some(Err(why))) => {
                findings.push(manifest.finding(Severity::Error, "spec.tenant", why.clone()));
            }
            Some(Some(Ok(tenant))) => {
                plan.tenant_id = Some(tenant.connection.tenant_id.clone());
                let of_tenant = |other: &&Manifest<TapPolicy>| {
                    let other = tenants.and_then(|tenants| tenants.get(&other.object.spec.tenant));
                    matches!(other, Some(Ok(other)) if other.connection.tenant_id == tenant.connection.tenant_id)
                };
                let all: Vec<&Manifest<TapPolicy>> = policies.iter().filter(of_tenant).collect();
                let desired = spec.method.clone().unwrap_or_default();
                let difference = method::compare(&desired, &tenant.method);
                plan.changes = (difference.drift.into_iter())
                    .map(|drift| Change {
                        field: drift.field,
                        from: drift.observed,
                        to: drift.desired,
                    })
                    .collect();
                let (posture, warnings) = foretold(manifest, &all, tenant, now);
                plan.posture = posture;
                findings.extend(warnings);
            }
        }
        plans.push(plan);
    }
    (plans, findings)
}

/// The tenant's method once the policies are applied.
pub fn method_after(
    policies: &[&TapPolicy],
    observed: &MethodConfiguration,
) -> MethodConfiguration {
    let managing: Vec<_> = policies.iter().filter(|policy| manages(policy)).collect();
    match managing[..] {
        [one] if enforces(&one.spec) => {
            let desired = one.spec.method.clone().unwrap_or_default();
            apply(&method::compare(&desired, observed).patch, observed)
        }
        // Of several, none writes.
        _ => observed.clone(),
    }
}

fn apply(patch: &MethodPatch, observed: &MethodConfiguration) -> MethodConfiguration {
    let patch = patch.clone();
    MethodConfiguration {
        state: patch.state.unwrap_or_else(|| observed.state.clone()),
        default_lifetime_minutes: patch
            .default_lifetime_minutes
            .or(observed.default_lifetime_minutes),
        minimum_lifetime_minutes: patch
            .minimum_lifetime_minutes
            .or(observed.minimum_lifetime_minutes),
        maximum_lifetime_minutes: patch
            .maximum_lifetime_minutes
            .or(observed.maximum_lifetime_minutes),
        default_length: patch.default_length.or(observed.default_length),
        one_time_required: patch.one_time_required.or(observed.one_time_required),
        include: patch.include.unwrap_or_else(|| observed.include.clone()),
        exclude: patch.exclude.unwrap_or_else(|| observed.exclude.clone()),
    }
}

/// What the status of a policy would say, and which of its groups are gone.
fn foretold(
    manifest: &Manifest<TapPolicy>,
    of_tenant: &[&Manifest<TapPolicy>],
    tenant: &Tenant,
    now: Timestamp,
) -> (Vec<Posture>, Vec<Finding>) {
    let policy = &manifest.object;
    let all: Vec<&TapPolicy> = of_tenant.iter().map(|other| &other.object).collect();
    let after = method_after(&all, &tenant.method);
    let rivals = of_tenant
        .iter()
        .filter(|other| manages(policy) && manages(&other.object) && other.title != manifest.title);
    let rivals: Vec<String> = rivals.map(|other| other.object.name_any()).collect();
    let terms = policy.spec.issuance.as_ref().map(Terms::of);
    let status = foreseen(policy, terms.as_ref(), &rivals, tenant, &after, now);
    let mut findings = Vec::new();
    let mut say = |severity, field: &str, reason: &'static str, message: &str| {
        findings.push(manifest.finding(severity, field, message).because(reason));
    };
    let condition = |type_| {
        let condition = find_condition(&status.conditions, type_)?;
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason)?;
        Some((condition.status == "True", *reason, condition.message.as_str()))
    };
    if let Some((false, reason @ Reason::Conflict, message)) = condition(ConditionType::Ready) {
        say(Severity::Error, "spec.method", reason.as_str(), message);
    }
    match condition(ConditionType::Issuing) {
        // Whoever wrote it wants it so.
        Some((false, reason @ Reason::Suspended, message)) => {
            say(Severity::Note, "spec.issuance.suspend", reason.as_str(), message);
        }
        Some((false, reason, message)) => {
            say(Severity::Warning, "spec.issuance", reason.as_str(), message);
        }
        Some((true, reason, message)) if !default_fits(terms.as_ref(), &after) => {
            say(Severity::Warning, "spec.issuance.lifetime", reason.as_str(), message);
        }
        _ => {}
    }
    if let Some((false, reason, message)) = condition(ConditionType::WithinCeilings) {
        say(Severity::Warning, "spec.issuance", reason.as_str(), message);
    }
    // What cannot be seen is no fault of the manifest.
    let of_sign_ins = [Reason::PassesBlocked, Reason::PassesBlockedOnceEnforced];
    if let Some((_, reason, message)) = condition(ConditionType::PassesUsable)
        && of_sign_ins.contains(&reason)
    {
        say(Severity::Warning, "spec.issuance", reason.as_str(), message);
    }
    let (_, longest) = after.lifetimes().into_inner();
    if let Some((_, maximum)) = terms.and_then(|terms| terms.lifetime)
        && maximum > longest
    {
        let message = format!(
            "the policy allows lifetimes up to {}, and the tenant up to {}: requests for longer ones wait in vain; lower issuance.lifetime.maximum, or change the method",
            Lifetime::from_minutes(maximum),
            Lifetime::from_minutes(longest)
        );
        let reason = Reason::LifetimeOutOfRange.as_str();
        say(Severity::Warning, "spec.issuance.lifetime.maximum", reason, &message);
    }
    for drift in status.drift.iter().filter(|drift| drift.field.starts_with("displayName of ")) {
        if drift.observed != "no such group" {
            let message = format!(
                "{} is {:?} in the tenant, not {:?}: correct the name, or the object id",
                drift.field, drift.observed, drift.desired
            );
            findings.push(manifest.finding(Severity::Warning, "", message));
        }
    }
    findings.extend(gone(manifest, tenant));
    (status.posture, findings)
}

fn default_fits(terms: Option<&Terms>, method: &MethodConfiguration) -> bool {
    let lifetime = terms.and_then(|terms| terms.lifetime);
    lifetime.is_none_or(|(default, _)| method.lifetimes().contains(&default))
}

/// The status that the operator would write, in a tenant whose method is this.
fn foreseen(
    policy: &TapPolicy,
    terms: Option<&Terms>,
    rivals: &[String],
    tenant: &Tenant,
    method: &MethodConfiguration,
    now: Timestamp,
) -> TapPolicyStatus {
    let mut policy = policy.clone();
    policy.status = None;
    // The method is as it will be, and nothing is corrected here.
    policy.spec.enforcement = Some(Enforcement::Observe);
    let reads = PolicyReads {
        permissions: Some(Ok(tenant.permissions.clone())),
        method: Some(Ok(method.clone())),
        groups: Some(tenant.groups.clone()),
        access_policies: tenant.access_policies.clone(),
        // They are told only by the operator.
        strengths: Some(Ok(Vec::new())),
        patched: None,
    };
    let step = next(&PolicySituation {
        policy: &policy,
        terms,
        now,
        connection: Some(&tenant.connection),
        rivals,
        uses: Uses::default(),
        stop: &StopOrder::OFF,
        settle: SignedDuration::ZERO,
        correction: None,
        sign_ins_given: true,
        logs_refused: None,
        what_if_offered: true,
        reads: &reads,
    });
    match step {
        PolicyStep::WriteStatus(status) => *status,
        _ => TapPolicyStatus::default(),
    }
}

/// The groups of a policy that do not exist.
fn gone(manifest: &Manifest<TapPolicy>, tenant: &Tenant) -> Vec<Finding> {
    let named = groups(&manifest.object);
    let found = match &tenant.groups {
        Ok(found) => found,
        Err(_) if named.is_empty() => return Vec::new(),
        Err(error) => {
            let message = format!("it is not known whether its groups exist: {error}");
            return vec![manifest.finding(Severity::Warning, "", message)];
        }
    };
    let gone =
        named.iter().filter(|(_, id)| found.iter().all(|group| !group.id.eq_ignore_ascii_case(id)));
    gone.map(|(field, id)| {
        let message =
            format!("the tenant has no group {id}: correct the object id, or take the group out");
        manifest.finding(Severity::Warning, field, message).because(Reason::GroupNotFound.as_str())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permissions_to_read_are_accepted() {
        let held = [
            "Policy.Read.AuthenticationMethod",
            "Group.ReadBasic.All",
            "Member.Read.Hidden",
            "UserAuthMethod-TAP.Read.All",
            "Policy.ReadWrite.AuthenticationMethod",
            "UserAuthMethod-TAP.ReadWrite.All",
            "User.EnableDisableAccount.All",
            "Application.ReadWrite.OwnedBy",
            "Something",
        ];
        let held: Vec<String> = held.map(str::to_owned).into();
        assert_eq!(beyond_reading(&held), held[4..].iter().map(String::as_str).collect::<Vec<_>>());
    }
}
