//! What a cluster needs for tap-operator.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::{Finding, Verdict};
use crate::api::names::{GROUP, OPERATOR};
use crate::api::{TapPolicy, crds};
use crate::decision::admission::{ServiceAccount, Shipped, told};
use crate::decision::stop::StopOrder;
use crate::plugin::calls::CallError;
use crate::plugin::commands::version::{NoImage, image};
use crate::plugin::session::Session;
use crate::plugin::time::long;
use crate::plugin::view::policies::remarks;
use crate::version::VERSION;

/// The oldest supported minor version of Kubernetes.
const OLDEST: u32 = 30;
/// How long after its last renewal a Lease may still be held.
const LEASE_FRESH: i64 = 30;
/// How wrong a clock may be before somebody should know.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Asks the API server for its version and its time. Returns whether there is anything more to ask.
pub async fn server(session: &Session, findings: &mut Vec<Finding>) -> bool {
    let asked = Timestamp::now();
    let answer = match session.cluster.path("/version").await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = crate::plugin::failure::Failure::from(error);
            let finding = Finding::new("API server", Verdict::Failed, failure.message);
            findings.push(failure.remedy.into_iter().fold(finding, Finding::remedy));
            return false;
        }
    };
    let version = answer.value["gitVersion"].as_str().unwrap_or("of an unknown version");
    let digits: String = answer.value["minor"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let too_old = digits.parse::<u32>().is_ok_and(|minor| minor < OLDEST);
    findings.push(if too_old {
        Finding::new("API server", Verdict::Failed, format!("Kubernetes {version}"))
            .remedy(format!("tap-operator needs Kubernetes 1.{OLDEST} or newer"))
    } else {
        Finding::new("API server", Verdict::Ok, format!("Kubernetes {version}"))
    });
    findings.extend(answer.date.map(|date| clock(asked, date)));
    true
}

/// Compares clocks. The server's has whole seconds.
fn clock(here: Timestamp, there: Timestamp) -> Finding {
    let ahead = here.duration_since(there);
    let off = long(ahead.abs().as_secs());
    if ahead.abs() <= SKEW {
        return Finding::new("clock", Verdict::Ok, "this machine and the API server agree");
    }
    let way = if ahead.is_positive() { "ahead of" } else { "behind" };
    Finding::new("clock", Verdict::Warning, format!("this machine is {off} {way} the API server"))
        .remedy("synchronize the clocks: times that you type and read are wrong by that much")
}

/// Looks at all that belongs to tap-operator.
pub async fn check(session: &Session, operator: &str, findings: &mut Vec<Finding>) {
    findings.push(definitions(session).await);
    findings.push(admission(session, operator).await);
    findings.push(leader(session, operator).await);
    findings.push(version(session, operator).await);
    findings.push(stop(session, operator).await);
    findings.extend(policies(session).await);
}

/// What cannot be seen, or failed.
fn unseen(check: &str, error: &CallError) -> Finding {
    match error {
        CallError::Right(why) => {
            // Who the person is has a line of its own.
            let why = why.split_once(" cannot ").map_or(why.as_str(), |(_, what)| what);
            Finding::new(check, Verdict::Unknown, format!("you may not see it: you cannot {why}"))
        }
        error => Finding::new(check, Verdict::Failed, error.to_string()),
    }
}

async fn definitions(session: &Session) -> Finding {
    let check = "definitions";
    // Anybody who is signed in may ask what is served.
    if let Err(error) = session.cluster.path(&format!("/apis/{GROUP}/v1alpha1")).await {
        return match error {
            CallError::NoSuchKind(_) => Finding::new(check, Verdict::Failed, error.to_string())
                .remedy(
                    "if this is the right cluster, an administrator installs them: docs/install.md",
                ),
            error => unseen(check, &error),
        };
    }
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let mut other = Vec::new();
    for (_, ours) in crds::all() {
        let name = ours["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match session.cluster.get_any(&ApiResource::from_gvk(&kind), &name).await {
            Ok(found) => {
                let found = serde_json::to_value(found).unwrap_or_default();
                if schema(&found) != schema(&ours) {
                    other.push(name);
                }
            }
            Err(CallError::Right(_)) => {
                return Finding::new(
                    check,
                    Verdict::Ok,
                    "v1alpha1 is served (you may not see of which version)",
                );
            }
            Err(error) => return unseen(check, &error),
        }
    }
    if other.is_empty() {
        return Finding::new(
            check,
            Verdict::Ok,
            format!("v1alpha1 is served, as version {VERSION} ships it"),
        );
    }
    let detail = format!("not those of version {VERSION}: {}", other.join(", "));
    Finding::new(check, Verdict::Warning, detail).remedy(
        "use the kubectl-tap of the installed version, or upgrade the definitions: docs/operate.md",
    )
}

/// The schema of the first version, with numbers as they are compared: the API server writes 8 where 8.0 was sent.
fn schema(definition: &Value) -> Value {
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    level(&mut schema);
    schema["properties"].take()
}

fn level(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().into(),
        Value::Array(items) => items.iter_mut().for_each(level),
        Value::Object(fields) => fields.values_mut().for_each(level),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

async fn admission(session: &Session, operator: &str) -> Finding {
    let check = "admission policies";
    let account = ServiceAccount { namespace: operator.to_owned(), name: OPERATOR.to_owned() };
    let mut differences = Vec::new();
    for shipped in Shipped::required() {
        let shipped = shipped.for_operator(&account);
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &shipped.kind);
        match session.cluster.get_any(&ApiResource::from_gvk(&kind), &shipped.name).await {
            Ok(found) => {
                let found = serde_json::to_value(found).unwrap_or_default();
                differences.extend(shipped.differences(&found));
            }
            Err(error) => return unseen(check, &error),
        }
    }
    if differences.is_empty() {
        return Finding::new(
            check,
            Verdict::Ok,
            format!("present, bound, and as version {VERSION} ships them"),
        );
    }
    Finding::new(check, Verdict::Failed, told(&differences)).remedy(
        "an administrator applies them again, of the operator's version: without them nothing is issued. If the operator has \
         another namespace, name it with --operator-namespace",
    )
}

async fn leader(session: &Session, operator: &str) -> Finding {
    let check = "operator";
    let lease = match session.cluster.get::<Lease>(operator, OPERATOR).await {
        Ok(lease) => lease.and_then(|lease| lease.spec).unwrap_or_default(),
        Err(error) => return unseen(check, &error),
    };
    let holder = lease.holder_identity.filter(|holder| !holder.is_empty());
    let age = lease.renew_time.map(|at| Timestamp::now().duration_since(at.0).as_secs());
    let remedy = format!(
        "an administrator looks at it: kubectl get pods -n {operator}; if it has another namespace, name it with --operator-namespace"
    );
    match (holder, age) {
        (Some(holder), Some(age)) if age < LEASE_FRESH => {
            Finding::new(check, Verdict::Ok, format!("{holder} leads"))
        }
        (Some(holder), Some(age)) => {
            let detail = format!("{holder} renewed its Lease {} ago: no replica leads", long(age));
            Finding::new(check, Verdict::Failed, detail).remedy(remedy)
        }
        _ => Finding::new(
            check,
            Verdict::Failed,
            "no replica leads, so nothing is issued and nothing revoked",
        )
        .remedy(remedy),
    }
}

async fn version(session: &Session, operator: &str) -> Finding {
    let check = "operator's version";
    match image(session, operator).await {
        Err(NoImage::Unseen(error)) => unseen(check, &error),
        Err(NoImage::Unnamed(why)) => Finding::new(check, Verdict::Unknown, why),
        Ok(image) if image.contains(VERSION) => Finding::new(check, Verdict::Ok, image),
        Ok(image) => Finding::new(
            check,
            Verdict::Warning,
            format!("image {image}; this program is {VERSION}"),
        )
        .remedy("use the kubectl-tap of the operator's version, if these are different ones"),
    }
}

async fn stop(session: &Session, operator: &str) -> Finding {
    let check = "emergency stop";
    match session.cluster.stop(operator).await {
        Err(error) => unseen(check, &error),
        Ok(found) => match StopOrder::of(found.as_ref()).sentence() {
            None => Finding::new(check, Verdict::Ok, "not set"),
            Some(sentence) => Finding::new(check, Verdict::Warning, sentence)
                .remedy(format!("when the emergency is over: {} resume", crate::plugin::program())),
        },
    }
}

/// What the operator says about connections, permissions and terms, in its policies.
async fn policies(session: &Session) -> Vec<Finding> {
    let check = "policies";
    let policies = match session.cluster.policies().await {
        Ok(policies) => policies,
        Err(CallError::NoSuchKind(_)) => return Vec::new(),
        Err(error) => return vec![unseen(check, &error)],
    };
    if policies.is_empty() {
        return vec![
            Finding::new(
                check,
                Verdict::Warning,
                "there is no TapPolicy, so nobody can ask for a pass",
            )
            .remedy("an administrator writes one: docs/reference/resources.md"),
        ];
    }
    policies.iter().map(policy).collect()
}

fn policy(policy: &TapPolicy) -> Finding {
    let check = format!("policy {}", policy.name_any());
    let conditions =
        policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if conditions.is_empty() {
        return Finding::new(check, Verdict::Failed, "the operator has not looked at it")
            .remedy("see whether an operator runs");
    }
    match remarks(conditions) {
        remarks if remarks.is_empty() => Finding::new(check, Verdict::Ok, "in order"),
        remarks => Finding::new(check, Verdict::Warning, remarks.join("; "))
            .remedy("each reason is explained in docs/reference/reasons.md"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared() {
        let there: Timestamp = "2026-11-29T17:30:00Z".parse().unwrap();
        let found = |seconds| clock(there + SignedDuration::from_secs(seconds), there);
        assert_eq!(found(59).result, Verdict::Ok);
        assert_eq!(found(-180).detail, "this machine is 3m behind the API server");
        assert_eq!(found(180).detail, "this machine is 3m ahead of the API server");
    }
}
