//! Whether the policies in the files admit the requests in the files, as far as that can be told without asking who the user is.
//!
//! The checks are those of the operator, made at the time at which a pass would be issued.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::finding::{Finding, Severity};
use super::manifests::{Manifest, Manifests};
use super::tenant::{Tenants, method_after};
use crate::api::{Ceilings, Lifetime, Namespaces, TapPolicy, TapRequest};
use crate::decision::Reason;
use crate::decision::admission::Guard;
use crate::decision::checks::{Findings, Obstacle, Verdict, check, is_empty_selector};
use crate::decision::clock::Now;
use crate::decision::situation::{
    Connection, Memory, PolicyFound, Reads, Settings, Situation, Stop, Surroundings,
};
use crate::decision::terms::Terms;
use crate::entra::{Cloud, MethodConfiguration};

/// Checks all requests.
pub fn compare(manifests: &Manifests, tenants: Option<&Tenants>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for request in &manifests.requests {
        let name = &request.object.spec.policy_ref.name;
        let policy = manifests.policies.iter().find(|policy| policy.object.name_any() == *name);
        let Some(policy) = policy else {
            let why = if manifests.unreadable_policies.contains(name) {
                "would be refused"
            } else {
                "is not in the files"
            };
            let message =
                format!("TapPolicy {name} {why}, so only the form of the request was checked");
            findings.push(request.finding(Severity::Note, "spec.policyRef.name", message));
            continue;
        };
        findings.extend(one(request, &policy.object, manifests, tenants, now));
    }
    findings
}

fn one(
    manifest: &Manifest<TapRequest>,
    policy: &TapPolicy,
    manifests: &Manifests,
    tenants: Option<&Tenants>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tenant = tenants.and_then(|tenants| tenants.get(&policy.spec.tenant)?.as_ref().ok());
    let mut connection =
        tenant.map_or_else(|| unknown(&policy.spec.tenant), |t| t.connection.clone());
    let mut request = manifest.object.clone();
    request.metadata.creation_timestamp = Some(Time(now));
    request.status = None;
    let mut policy = policy.clone();
    let name = request.metadata.namespace.clone().unwrap_or_default();
    let (namespace, note) = namespace(&name, &mut policy, &manifests.namespaces);
    if let Some(note) = note {
        findings.push(manifest.finding(Severity::Note, "metadata.namespace", note));
    }
    // The operator tells the first fault. An author mends them all at once.
    while let Some((finding, reason)) =
        fault(manifest, &request, &policy, &namespace, &connection, now)
    {
        let is_last = !spared(reason, &mut request, &mut policy, &mut connection);
        findings.push(finding);
        if is_last {
            break;
        }
    }
    let is_faultless = findings.iter().all(|finding| finding.reason.is_none());
    let terms = policy.spec.issuance.as_ref().map(Terms::of);
    if let (Some(tenant), Some(terms), true) = (tenant, &terms, is_faultless) {
        let of_tenant = |other: &&Manifest<TapPolicy>| {
            let other =
                tenants.and_then(|tenants| tenants.get(&other.object.spec.tenant)?.as_ref().ok());
            other.is_some_and(|other| other.connection.tenant_id == connection.tenant_id)
        };
        let all: Vec<&TapPolicy> =
            manifests.policies.iter().filter(of_tenant).map(|other| &other.object).collect();
        let method = method_after(&all, &tenant.method);
        findings.extend(beside_the_tenant(manifest, terms, &method));
    }
    findings
}

/// The first fault that the operator finds, and its reason.
fn fault(
    manifest: &Manifest<TapRequest>,
    request: &TapRequest,
    policy: &TapPolicy,
    namespace: &Namespace,
    connection: &Connection,
    now: Timestamp,
) -> Option<(Finding, Reason)> {
    let terms = policy.spec.issuance.as_ref().map(Terms::of);
    // Once its start is near.
    let start = request.spec.start_time.as_ref().map(|start| start.0);
    let at = start.map_or(now, |start| start.max(now));
    let (memory, reads) = (Memory::default(), Reads::default());
    let situation = Situation {
        around: Surroundings {
            now: Now::exactly(at),
            settings: &Settings {
                settle: jiff::SignedDuration::ZERO,
                use_check: jiff::SignedDuration::ZERO,
            },
            policy: PolicyFound::Found(policy),
            terms: terms.as_ref(),
            namespace: Some(namespace),
            connection: Some(connection),
            stop: Stop::Off,
            guard: &Guard::Overridden,
            holder: "",
            lease_is_fresh: true,
            new_attempt: "",
        },
        request,
        connections: std::slice::from_ref(connection),
        superseded_by: None,
        secret_is_gone: false,
        seen: None,
        reads: &reads,
        memory: &memory,
    };
    told(manifest, &check(&situation))
}

/// Takes away what the operator stumbled over, so that it finds what else is wrong. Whether there was anything to take away.
fn spared(
    reason: Reason,
    request: &mut TapRequest,
    policy: &mut TapPolicy,
    connection: &mut Connection,
) -> bool {
    let Some(issuance) = policy.spec.issuance.as_mut() else { return false };
    let spec = &mut request.spec;
    match reason {
        Reason::Suspended => issuance.suspend.take().is_some(),
        Reason::NamespaceNotAllowed => {
            let name = request.metadata.namespace.clone().unwrap_or_default();
            let only = Some(Namespaces { names: Some(vec![name]), selector: None });
            let other = issuance.namespaces != only;
            issuance.namespaces = only;
            other
        }
        // The reason is the first for which a policy can be invalid.
        Reason::ReasonNotAccepted | Reason::PolicyInvalid => issuance.reason.take().is_some(),
        Reason::StartTimeRequired => issuance.start_time.take().is_some(),
        Reason::LifetimeNotAllowed => spec.lifetime.take().is_some(),
        Reason::OneTimeUseRequired => spec.one_time_use.take().is_some(),
        Reason::RecipientsRequired => issuance.delivery.take().is_some(),
        Reason::RecipientInvalid => {
            issuance.delivery = None;
            spec.recipients.take().is_some()
        }
        Reason::CeilingExceeded => *std::mem::take(&mut connection.ceilings) != Ceilings::default(),
        Reason::ReplaceNotAllowed => spec.on_existing_pass.take().is_some(),
        _ => false,
    }
}

/// The namespace of a request, and what cannot be checked of it.
///
/// Where its labels are not known and the policy selects by labels, the policy is taken to select it.
fn namespace(
    name: &str,
    policy: &mut TapPolicy,
    known: &BTreeMap<String, Namespace>,
) -> (Namespace, Option<String>) {
    let admitted = policy.spec.issuance.as_mut().and_then(|issuance| issuance.namespaces.as_mut());
    if name.is_empty() {
        if let Some(admitted) = admitted {
            *admitted = Namespaces { names: Some(vec![String::new()]), selector: None };
        }
        let note = "it names no namespace, so it was not checked whether the policy admits it";
        return (Namespace::default(), Some(note.into()));
    }
    if let Some(namespace) = known.get(name) {
        let mut namespace = namespace.clone();
        // The API server sets this label.
        let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        namespace.metadata.labels.get_or_insert_default().extend([label]);
        return (namespace, None);
    }
    let selects = admitted.filter(|admitted| {
        admitted.selector.as_ref().is_some_and(|selector| !is_empty_selector(selector))
    });
    let note = selects.map(|admitted| {
        admitted.selector = None;
        admitted.names.get_or_insert_with(|| vec![name.to_owned()]);
        format!(
            "it was not checked whether the policy selects namespace {name} by its labels: put the Namespace into the files for that"
        )
    });
    (Namespace::default(), note)
}

/// The connection of a tenant of which nothing is known.
fn unknown(name: &str) -> Connection {
    Connection {
        name: name.to_owned(),
        tenant_id: String::new(),
        client_id: String::new(),
        cloud: Cloud::Global,
        users: None,
        ceilings: std::sync::Arc::default(),
    }
}

/// What the checks found, as far as they could be made, and its reason.
fn told(manifest: &Manifest<TapRequest>, found: &Findings) -> Option<(Finding, Reason)> {
    let Verdict::Not(obstacle) = &found.verdict else { return None };
    let (severity, reason, message) = match obstacle {
        Obstacle::Fail(reason, message)
        | Obstacle::Wait(reason @ Reason::PolicyInvalid, message, _) => {
            (Severity::Error, *reason, message.as_str())
        }
        Obstacle::Wait(reason, message, _) | Obstacle::Later(reason, message, _) => {
            (Severity::Warning, *reason, message.as_str())
        }
        Obstacle::TooLate => (
            Severity::Note,
            Reason::NotIssuedInTime,
            "its time is over: where it is not a record of a finished request already, it issues nothing",
        ),
        _ => return None,
    };
    // To the operator, a request is immutable. This one is not applied yet.
    let message = message.replace("make another request", "correct the manifest to a request");
    Some((manifest.finding(severity, "", message).because(reason.as_str()), reason))
}

/// What the tenant's method does not allow.
fn beside_the_tenant(
    manifest: &Manifest<TapRequest>,
    terms: &Terms,
    method: &MethodConfiguration,
) -> Option<Finding> {
    let spec = &manifest.object.spec;
    let asked = spec.lifetime.as_ref().and_then(|lifetime| lifetime.minutes().ok());
    let lifetime = asked.or(terms.lifetime.map(|(default, _)| default))?;
    let range = method.lifetimes();
    if !range.contains(&lifetime) {
        let message = format!(
            "the tenant allows lifetimes from {} to {}, not {}: the request waits",
            Lifetime::from_minutes(*range.start()),
            Lifetime::from_minutes(*range.end()),
            Lifetime::from_minutes(lifetime)
        );
        let finding = manifest.finding(Severity::Warning, "spec.lifetime", message);
        return Some(finding.because(Reason::LifetimeOutOfRange.as_str()));
    }
    if method.one_time_required == Some(true) && spec.one_time_use == Some(false) {
        let message = "the tenant allows only one-time passes: the request fails";
        let finding = manifest.finding(Severity::Warning, "spec.oneTimeUse", message);
        return Some(finding.because(Reason::OneTimeUseRequired.as_str()));
    }
    None
}
