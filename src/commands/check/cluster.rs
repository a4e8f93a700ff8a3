//! What the operator needs of the cluster.

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tap_operator::api::TapPolicy;
use tap_operator::api::names::OPERATOR;
use tap_operator::cluster::running::renewing_holder;
use tap_operator::cluster::write::Trial;
use tap_operator::cluster::{ApiError, call, find, requests};
use tap_operator::controller::preflight::DEFINITIONS_MISSING;
use tap_operator::controller::probe;
use tap_operator::decision::admission::{Probe, ServiceAccount, Shipped, told};
use tap_operator::decision::rights::Right;
use tap_operator::decision::stop::StopOrder;
use tap_operator::version::{OLDEST_KUBERNETES, is_too_old};

use super::Finding;

/// What was found, and the policies if they could be listed.
pub struct Cluster {
    /// What was found.
    pub findings: Vec<Finding>,
    /// All policies.
    pub policies: Option<Vec<TapPolicy>>,
}

/// Checks the cluster. If the API server does not answer, there is nothing more to ask it.
pub async fn check(client: &Client, namespace: &str) -> Cluster {
    let server = server(client).await;
    if server.verdict == super::Verdict::Failed {
        return Cluster { findings: vec![server], policies: None };
    }
    let (definitions, policies) = definitions(client).await;
    let mut findings = vec![server, definitions];
    findings.push(rights(client, namespace).await);
    findings.extend(admission(client, namespace).await);
    findings.push(stop(client, namespace).await);
    findings.push(lease(client, namespace).await);
    Cluster { findings, policies }
}

async fn server(client: &Client) -> Finding {
    let what = "API server";
    match call("get version", client.apiserver_version()).await {
        Err(error) => Finding::failed(what, error.to_string()),
        Ok(version) => {
            let found = format!("Kubernetes {}", version.git_version);
            if is_too_old(&version.major, &version.minor).is_some() {
                Finding::failed(what, format!("{found}; 1.{OLDEST_KUBERNETES} or newer is needed"))
            } else {
                Finding::ok(what, found)
            }
        }
    }
}

async fn definitions(client: &Client) -> (Finding, Option<Vec<TapPolicy>>) {
    let what = "custom resource definitions";
    let one = ListParams::default().limit(1);
    let policies: Api<TapPolicy> = Api::all(client.clone());
    let listed = requests::list_metadata(client, &one).await.map(drop);
    let policies = call("list TapPolicies", policies.list(&ListParams::default())).await;
    let missing = |error: ApiError| match error {
        ApiError::NotServed { .. } => Finding::failed(what, DEFINITIONS_MISSING),
        error => Finding::failed(what, error.to_string()),
    };
    match (listed, policies) {
        (Ok(()), Ok(policies)) => {
            let number = policies.items.len();
            (Finding::ok(what, format!("installed; TapPolicies: {number}")), Some(policies.items))
        }
        (Err(error), policies) => (missing(error), policies.ok().map(|list| list.items)),
        (Ok(()), Err(error)) => (missing(error), None),
    }
}

async fn rights(client: &Client, namespace: &str) -> Finding {
    let what = "rights of the operator";
    let rights = Right::all();
    let trial = || Trial("ask what the operator may do");
    let asked = rights.iter().map(|right| trial().may(client, right, namespace));
    let answers: Result<Vec<bool>, ApiError> = join_all(asked).await.into_iter().collect();
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return Finding::warning(what, format!("they cannot be asked for: {error}")),
    };
    let missing = rights.iter().zip(answers).filter(|(_, may)| !may);
    let missing: Vec<String> = missing.map(|(right, _)| right.title()).collect();
    if missing.is_empty() {
        return Finding::ok(what, format!("all {} are granted", rights.len()));
    }
    let detail = format!("missing: {}; apply the shipped roles again", told(&missing));
    Finding::failed(what, detail)
}

async fn admission(client: &Client, namespace: &str) -> Vec<Finding> {
    let what = "admission policies";
    let username = match Trial("ask who the operator is").who_am_i(client).await {
        Ok(answer) => answer.status.and_then(|s| s.user_info).and_then(|u| u.username),
        Err(error) => return vec![Finding::failed(what, error.to_string())],
    };
    let username = username.unwrap_or_default();
    let Some(operator) = ServiceAccount::of(&username) else {
        let detail = format!(
            "this runs as {username}, and they recognize the operator only as a service account: run it in the operator's pod"
        );
        return vec![Finding::failed(what, detail)];
    };
    let ours = |all: Vec<Shipped>| -> Vec<Shipped> {
        all.into_iter().map(|object| object.for_operator(&operator)).collect()
    };
    let mut findings = Vec::new();
    findings.push(match differences(client, &ours(Shipped::required())).await {
        Err(error) => Finding::failed(what, error.to_string()),
        Ok(differences) if differences.is_empty() => {
            Finding::ok(what, "as this version ships them")
        }
        Ok(differences) => Finding::failed(
            what,
            format!("{}; apply them again: nothing is issued without them", told(&differences)),
        ),
    });
    let what = "admission policies in force";
    findings.push(match probe::secrets(client, namespace, &Probe::Unknown).await {
        Probe::Refused => Finding::ok(what, "a write that they must refuse was refused"),
        Probe::NotRefused(why) => Finding::failed(what, why),
        Probe::Unknown => Finding::warning(what, "the API server's answer does not show it"),
    });
    let what = "stamp of the requester";
    findings.push(match differences(client, &ours(Shipped::stamp())).await {
        Err(ApiError::NotServed { .. }) => {
            Finding::ok(what, "this server does not know its kind: people name themselves")
        }
        Err(error) => Finding::warning(what, error.to_string()),
        Ok(differences) if differences.is_empty() => Finding::ok(what, "as this version ships it"),
        Ok(differences) => Finding::warning(what, told(&differences)),
    });
    findings
}

async fn differences(client: &Client, all: &[Shipped]) -> Result<Vec<String>, ApiError> {
    let mut differences = Vec::new();
    for shipped in all {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &shipped.kind);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
        let found = find("get the admission policies", &api, &shipped.name).await?;
        let found = serde_json::to_value(found).unwrap_or(Value::Null);
        differences.extend(shipped.differences(&found));
    }
    Ok(differences)
}

async fn stop(client: &Client, namespace: &str) -> Finding {
    let what = "emergency stop";
    match requests::stop(client, namespace).await {
        Err(error) => Finding::failed(what, error.to_string()),
        Ok(found) => match StopOrder::of(found.as_ref()).sentence() {
            None => Finding::ok(what, "not set"),
            Some(sentence) => Finding::warning(what, sentence),
        },
    }
}

async fn lease(client: &Client, namespace: &str) -> Finding {
    let what = "leader";
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    match renewing_holder(&leases, OPERATOR).await {
        Err(error) => Finding::failed(what, error.to_string()),
        Ok(Some(holder)) => Finding::ok(what, holder),
        Ok(None) => Finding::warning(what, "nobody renews the Lease: no replica leads"),
    }
}
