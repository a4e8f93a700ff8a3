//! Checks before anything else starts: Kubernetes answers, is new enough, and serves the resources.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, ListParams};

use super::health::Health;
use super::run::RunError;
use super::watches::WatchedPolicy;
use crate::cluster::{ApiError, call, requests};
use crate::version::is_too_old;

/// What to say where the API server does not know the resources.
pub const DEFINITIONS_MISSING: &str =
    "the custom resource definitions are missing: install them with kubectl apply -k crds";
/// How long to wait before the next check.
const START_AGAIN: Duration = Duration::from_secs(3);

/// Waits until Kubernetes answers and serves the resources. Fails if it is too old.
pub async fn wait_for_cluster(client: &Client, health: &Health) -> Result<(), RunError> {
    loop {
        match call("get version", client.apiserver_version()).await {
            Ok(version) => {
                if let Some(minor) = is_too_old(&version.major, &version.minor) {
                    return Err(RunError::TooOld { minor });
                }
                break;
            }
            Err(error) => {
                wait(health, &format!("the API server cannot be reached: {error}")).await;
            }
        }
    }
    let one = ListParams::default().limit(1);
    loop {
        let requests = requests::list_metadata(client, &one).await.map(drop);
        let policies =
            call("list TapPolicies", Api::<WatchedPolicy>::all(client.clone()).list(&one))
                .await
                .map(drop);
        match requests.and(policies) {
            Ok(()) => break,
            Err(ApiError::NotServed { .. }) => {
                wait(health, DEFINITIONS_MISSING).await;
            }
            Err(error) => {
                let what = format!("TapRequests and TapPolicies cannot be listed: {error}");
                wait(health, &what).await;
            }
        }
    }
    health.waits_for(None);
    Ok(())
}

async fn wait(health: &Health, what: &str) {
    tracing::warn!("{what}");
    health.waits_for(Some(what));
    tokio::time::sleep(START_AGAIN).await;
}
