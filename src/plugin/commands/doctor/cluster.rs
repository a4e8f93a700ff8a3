//! What a cluster needs for tap-operator.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use super::metrics::{self, Metrics};
use super::{Finding, Verdict, connections, definitions};
use crate::api::names::OPERATOR;
use crate::api::{ConditionType, TapPolicy};
use crate::decision::admission::{ServiceAccount, Shipped, told};
use crate::decision::stop::StopOrder;
use crate::plugin::call_error::CallError;
use crate::plugin::commands::version::{image, pods};
use crate::plugin::operator::{self, Whereabouts};
use crate::plugin::session::Session;
use crate::plugin::time::long;
use crate::plugin::view::policies::{REMARKABLE, remarks};
use crate::version::{OLDEST_KUBERNETES, VERSION, is_too_old};

/// How long after its last renewal a Lease may still be held.
const LEASE_FRESH: i64 = 30;
/// How wrong a clock may be before somebody should know.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Asks the API server for its version and its time. Returns how far its clock is ahead of this machine's, or nothing if it
/// does not answer.
pub async fn server(session: &Session, findings: &mut Vec<Finding>) -> Option<SignedDuration> {
    let asked = Timestamp::now();
    let answer = match session.cluster.path("/version").await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = crate::plugin::failure::Failure::from(error);
            let finding = Finding::new("API server", Verdict::Failed, failure.message);
            findings.push(failure.remedy.into_iter().fold(finding, Finding::remedy));
            return None;
        }
    };
    let version = answer.value["gitVersion"].as_str().unwrap_or("of an unknown version");
    let number = |name: &str| answer.value[name].as_str().unwrap_or_default();
    let too_old = is_too_old(number("major"), number("minor")).is_some();
    let detail = format!("Kubernetes {version} at {}", session.cluster.name().full());
    findings.push(if too_old {
        Finding::new("API server", Verdict::Failed, detail)
            .remedy(format!("tap-operator needs Kubernetes 1.{OLDEST_KUBERNETES} or newer"))
    } else {
        Finding::new("API server", Verdict::Ok, detail)
    });
    findings.extend(answer.date.map(|date| clock(asked, date)));
    Some(answer.date.map_or(SignedDuration::ZERO, |date| date.duration_since(asked)))
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

/// Looks at all that belongs to tap-operator. `ahead`: how far the API server's clock is ahead of this machine's.
pub async fn check(
    session: &Session,
    operator: &str,
    ahead: SignedDuration,
    findings: &mut Vec<Finding>,
) {
    findings.push(definitions::check(session).await);
    let metrics = if operator::look(session, operator).await == Whereabouts::Nowhere {
        findings.extend(nowhere(&session.place(operator)));
        Metrics::default()
    } else {
        installation(session, operator, ahead, findings).await
    };
    let policies = policies(session, findings).await;
    findings.extend(connections::check(&policies, &metrics, Timestamp::now()));
}

/// Where there is no operator, nothing else can be said about it.
fn nowhere(place: &str) -> [Finding; 3] {
    let unknown = |check, why: &str| Finding::new(check, Verdict::Unknown, why);
    [
        Finding::new("operator", Verdict::Failed, operator::none(place)).remedy(operator::REMEDY),
        unknown("admission policies", "not compared: they name the namespace of the operator"),
        unknown("emergency stop", "not looked for: it is in the namespace of the operator"),
    ]
}

/// The pods of the operator's Deployment, as far as they can be seen.
type Pods = Result<Option<PodSpec>, CallError>;

/// Looks at the operator and what it needs. Returns what it measures.
async fn installation(
    session: &Session,
    operator: &str,
    ahead: SignedDuration,
    findings: &mut Vec<Finding>,
) -> Metrics {
    let pods = pods(session, operator).await;
    findings.push(admission(session, operator, &pods).await);
    let lease = session.cluster.get::<Lease>(operator, OPERATOR).await;
    let lease = lease.map(|lease| lease.and_then(|lease| lease.spec).unwrap_or_default());
    findings.push(leader(&lease, operator, Timestamp::now() + ahead));
    findings.push(version(&pods, operator));
    findings.push(stop(session, operator).await);
    let pod = lease.ok().and_then(|lease| Some(pod(&lease.holder_identity?).to_owned()));
    let metrics = match pod {
        Some(pod) => metrics::read(session, operator, &pod).await,
        None => Ok(Metrics::default()),
    };
    metrics.unwrap_or_else(|finding| {
        findings.push(finding);
        Metrics::default()
    })
}

/// The pod of a holder of the Lease.
fn pod(holder: &str) -> &str {
    holder.split('_').next().unwrap_or(holder)
}

/// What cannot be seen, or failed.
pub fn unseen(check: &str, error: &CallError) -> Finding {
    match error {
        CallError::Right(why) => {
            // Who the person is has a line of its own.
            let why = why.split_once(" cannot ").map_or(why.as_str(), |(_, what)| what);
            Finding::new(check, Verdict::Unknown, format!("you may not see it: you cannot {why}"))
        }
        error => Finding::new(check, Verdict::Failed, error.to_string()),
    }
}

async fn admission(session: &Session, operator: &str, pods: &Pods) -> Finding {
    let check = "admission policies";
    let name = pods.as_ref().ok().and_then(|pods| pods.as_ref()?.service_account_name.as_deref());
    let name = name.unwrap_or(OPERATOR).to_owned();
    let account = ServiceAccount { namespace: operator.to_owned(), name };
    let mut differences = Vec::new();
    for shipped in Shipped::required() {
        let shipped = shipped.for_operator(&account);
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &shipped.kind);
        match session.cluster.get_any(&ApiResource::from_gvk(&kind), &shipped.name).await {
            Ok(found) => {
                let found = serde_json::to_value(found).unwrap_or_default();
                differences.extend(shipped.differences(&found));
            }
            Err(CallError::NoSuchKind(_)) => {
                let detail = format!("the API server serves no {}", shipped.kind);
                return Finding::new(check, Verdict::Failed, detail).remedy(format!(
                    "tap-operator needs Kubernetes 1.{OLDEST_KUBERNETES} or newer"
                ));
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
    if pods.is_err() {
        let detail = format!(
            "they are not those for the ServiceAccount {OPERATOR}, and you may not see whether the operator has another: {}",
            told(&differences)
        );
        return Finding::new(check, Verdict::Unknown, detail);
    }
    Finding::new(check, Verdict::Failed, told(&differences)).remedy(
        "an administrator applies them again, of the operator's version: without them nothing is issued. If the operator has \
         another namespace, name it with --operator-namespace",
    )
}

fn leader(lease: &Result<LeaseSpec, CallError>, operator: &str, now: Timestamp) -> Finding {
    let check = "operator";
    let lease = match lease {
        Ok(lease) => lease,
        Err(error) => return unseen(check, error),
    };
    let holder = lease.holder_identity.as_deref().filter(|holder| !holder.is_empty()).map(pod);
    let age = lease.renew_time.as_ref().map(|at| now.duration_since(at.0).as_secs());
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

fn version(pods: &Pods, operator: &str) -> Finding {
    let check = "operator's version";
    let pods = match pods {
        Ok(pods) => pods,
        Err(error) => return unseen(check, error),
    };
    match image(pods.as_ref(), operator) {
        Err(why) => Finding::new(check, Verdict::Unknown, why),
        Ok(image) if is_of_version(&image, VERSION) => Finding::new(check, Verdict::Ok, image),
        Ok(image) => Finding::new(
            check,
            Verdict::Warning,
            format!("image {image}; this program is {VERSION}"),
        )
        .remedy("use the kubectl-tap of the operator's version, if these are different ones"),
    }
}

/// Whether an image has this version as its tag, with a digest or without.
fn is_of_version(image: &str, version: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
    tag.trim_start_matches('v') == version
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

/// What the operator says in its policies. Returns them.
async fn policies(session: &Session, findings: &mut Vec<Finding>) -> Vec<TapPolicy> {
    let check = "policies";
    let policies = match session.cluster.policies().await {
        Ok(policies) => policies,
        Err(CallError::NoSuchKind(_)) => return Vec::new(),
        Err(error) => {
            findings.push(unseen(check, &error));
            return Vec::new();
        }
    };
    if policies.is_empty() {
        let finding = Finding::new(
            check,
            Verdict::Warning,
            "there is no TapPolicy, so nobody can ask for a pass",
        );
        findings.push(
            finding
                .remedy(concat!("an administrator writes one: ", page!("reference/resources.md"))),
        );
    }
    findings.extend(policies.iter().map(policy));
    policies
}

fn policy(policy: &TapPolicy) -> Finding {
    let check = format!("policy {}", policy.name_any());
    let conditions =
        policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if conditions.is_empty() {
        return Finding::new(check, Verdict::Failed, "the operator has not looked at it")
            .remedy("see whether an operator runs");
    }
    // Permissions belong to the connection.
    let types = REMARKABLE.into_iter().filter(|type_| *type_ != ConditionType::Permissions);
    match remarks(conditions, types) {
        remarks if remarks.is_empty() => Finding::new(check, Verdict::Ok, "in order"),
        remarks => Finding::new(check, Verdict::Warning, remarks.join("; "))
            .remedy(concat!("each reason is explained in ", page!("reference/reasons.md"))),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    #[test]
    fn clocks_are_compared() {
        let there: Timestamp = "2026-11-29T17:30:00Z".parse().unwrap();
        let found = |seconds| clock(there + SignedDuration::from_secs(seconds), there);
        assert_eq!(found(59).result, Verdict::Ok);
        assert_eq!(found(-180).detail, "this machine is 3m behind the API server");
        assert_eq!(found(180).detail, "this machine is 3m ahead of the API server");
    }

    #[test]
    fn the_version_of_an_image_is_its_tag() {
        for (image, is) in [
            ("ghcr.io/tap-operator/tap-operator:0.1.0", true),
            ("localhost:5000/tap-operator:v0.1.0@sha256:ab", true),
            ("tap-operator:10.1.0", false),
            ("tap-operator:0.1.0-rc1", false),
            ("localhost:5000/tap-operator", false),
        ] {
            assert_eq!(is_of_version(image, "0.1.0"), is, "{image}");
        }
    }

    #[test]
    fn where_no_operator_is_nothing_else_is_blamed() {
        let [operator, admission, stop] = nowhere("namespace nope");
        assert_eq!((operator.check.as_str(), operator.result), ("operator", Verdict::Failed));
        assert!(operator.detail.starts_with("there is no operator in namespace nope"));
        assert!(operator.remedy.unwrap().contains("--operator-namespace"));
        assert_eq!((admission.result, stop.result), (Verdict::Unknown, Verdict::Unknown));
    }

    #[test]
    fn a_lease_is_as_old_as_the_servers_clock_says() {
        let renewed: Timestamp = "2026-11-29T17:30:00Z".parse().unwrap();
        let held = |renewed| LeaseSpec {
            holder_identity: Some("tap-operator-5f_0b1c".into()),
            renew_time: Some(MicroTime(renewed)),
            ..LeaseSpec::default()
        };
        let found = |seconds| {
            leader(&Ok(held(renewed)), "system", renewed + SignedDuration::from_secs(seconds))
        };
        assert_eq!(found(10), Finding::new("operator", Verdict::Ok, "tap-operator-5f leads"));
        assert_eq!(found(90).detail, "tap-operator-5f renewed its Lease 90s ago: no replica leads");
        let nobody = leader(&Ok(LeaseSpec::default()), "system", renewed);
        assert_eq!(nobody.result, Verdict::Failed);
    }
}
