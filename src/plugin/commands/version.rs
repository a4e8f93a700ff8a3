//! `version`.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodSpec;

use crate::api::names::OPERATOR;
use crate::plugin::call_error::CallError;
use crate::plugin::cli::Version;
use crate::plugin::failure::Failure;
use crate::plugin::output;
use crate::plugin::session::{Connection, Prompts, Session};
use crate::version;

pub async fn run(arguments: &Version, connection: &Connection) -> Result<(), Failure> {
    output::data(&format!("kubectl-tap {}", *version::TEXT))?;
    if arguments.client {
        return Ok(());
    }
    let session = Session::open(connection, Prompts::Allowed).await?;
    let server = session.cluster.path("/version").await?.value;
    output::data(&format!("Kubernetes {}", server["gitVersion"].as_str().unwrap_or("unknown")))?;
    let namespace = &arguments.operator.operator_namespace;
    let operator = match pods(&session, namespace).await {
        Ok(pods) => image(pods.as_ref(), namespace),
        Err(error) => Err(error.to_string()),
    };
    output::data(&format!(
        "tap-operator {}",
        operator.unwrap_or_else(|why| format!("unknown: {why}"))
    ))
}

/// The pods of the operator's Deployment, if there is one.
pub async fn pods(session: &Session, namespace: &str) -> Result<Option<PodSpec>, CallError> {
    let deployment = session.cluster.get::<Deployment>(namespace, OPERATOR).await?;
    Ok(deployment.and_then(|deployment| deployment.spec?.template.spec))
}

/// The image that these pods of the operator run, or why it is not known.
pub fn image(pods: Option<&PodSpec>, namespace: &str) -> Result<String, String> {
    let mut containers = pods.into_iter().flat_map(|pods| &pods.containers);
    let ours = containers.find(|container| container.name == OPERATOR);
    ours.and_then(|ours| ours.image.clone())
        .ok_or_else(|| format!("there is no Deployment {OPERATOR} in namespace {namespace}"))
}
