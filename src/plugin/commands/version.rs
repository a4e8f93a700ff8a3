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
    let operator = image(&session, &arguments.operator.operator_namespace).await;
    output::data(&format!(
        "tap-operator {}",
        operator.unwrap_or_else(|why| format!("unknown: {why}"))
    ))
}

/// Why it is not known which image the operator runs.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    /// The person may not see it, or the call failed.
    #[error(transparent)]
    Unseen(#[from] CallError),
    /// There is no image to be seen.
    #[error("{0}")]
    Unnamed(String),
}

/// The pods of the operator's Deployment, if there is one.
pub async fn pods(session: &Session, namespace: &str) -> Result<Option<PodSpec>, CallError> {
    let deployment = session.cluster.get::<Deployment>(namespace, OPERATOR).await?;
    Ok(deployment.and_then(|deployment| deployment.spec?.template.spec))
}

/// The image of the operator's Deployment.
pub async fn image(session: &Session, namespace: &str) -> Result<String, NoImage> {
    let mut containers =
        pods(session, namespace).await?.into_iter().flat_map(|spec| spec.containers);
    let ours = containers.find(|container| container.name == OPERATOR);
    ours.and_then(|ours| ours.image).ok_or_else(|| {
        NoImage::Unnamed(format!("there is no Deployment {OPERATOR} in namespace {namespace}"))
    })
}
