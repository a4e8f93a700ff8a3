//! Are the admission policies in force? Asked as the operator itself, by a dry run that must be refused.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use super::error::{ApiError, call};

/// How the question came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The fence on Secrets is in force.
    InForce,
    /// It is not, for this reason.
    Missing(String),
}

/// Tries to create a Secret that the operator must never create, as a dry run.
pub async fn probe(client: &Client, namespace: &str) -> Result<Fence, ApiError> {
    let forbidden = Secret {
        metadata: ObjectMeta { name: Some("tap-operator-probe".into()), ..ObjectMeta::default() },
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match call("probe the fence", secrets.create(&dry_run, &forbidden)).await {
        Ok(_) => Ok(Fence::Missing(
            "the API server lets the operator create Secrets that are not passes".into(),
        )),
        Err(ApiError::Refused { code: 422, .. }) => Ok(Fence::InForce),
        Err(ApiError::Refused { message, .. }) => Ok(Fence::Missing(message)),
        Err(error) => Err(error),
    }
}
