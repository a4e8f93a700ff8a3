//! `version`.

use k8s_openapi::api::apps::v1::Deployment;

use crate::api::names::OPERATOR;
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
    let operator = image(&session, &arguments.operator.operator_namespace).await;
    output::data(&format!(
        "tap-operator {}",
        operator.unwrap_or_else(|why| format!("unknown ({why})"))
    ))
}

/// The image of the operator's Deployment, or why it is not known.
pub async fn image(session: &Session, namespace: &str) -> Result<String, String> {
    let found = session.cluster.get::<Deployment>(namespace, OPERATOR).await;
    let deployment = found.map_err(|error| error.to_string())?;
    let deployment = deployment
        .ok_or_else(|| format!("there is no Deployment {OPERATOR} in namespace {namespace}"))?;
    let template = deployment.spec.and_then(|spec| spec.template.spec);
    let mut containers = template.into_iter().flat_map(|spec| spec.containers);
    let ours = containers.find(|container| container.name == OPERATOR);
    ours.and_then(|ours| ours.image).ok_or_else(|| "its Deployment names no image".to_owned())
}
