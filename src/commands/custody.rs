//! The requests that may have a live pass, for the commands that free them.

use anyhow::{Context as _, anyhow};
use kube::api::{Api, ListParams};
use kube::{Client, Config};
use tap_operator::api::TapRequest;
use tap_operator::cluster::ApiError;
use tap_operator::decision::intent::{Intent, has_finalizer};
use tap_operator::text::causes;

/// A client for the cluster of the current context of the kubeconfig, or of the pod.
pub async fn client() -> anyhow::Result<Client> {
    let config =
        Config::infer().await.context("no cluster: set KUBECONFIG, or run inside a pod")?;
    Client::try_from(config).context("the cluster's configuration cannot be used")
}

/// All requests with the operator's finalizer.
pub async fn held(client: &Client) -> anyhow::Result<Vec<TapRequest>> {
    let api: Api<TapRequest> = Api::all(client.clone());
    let all = api.list(&ListParams::default()).await;
    let all = all.map_err(|error| refused("the TapRequests cannot be listed", &error))?;
    Ok(all.items.into_iter().filter(has_finalizer).collect())
}

/// The error for a read that failed, with what to do where that is known.
pub fn refused(what: &str, error: &kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => missing_right(what, &status.message),
        kube::Error::Api(status) if status.code == 404 => anyhow!(
            "{what}: the cluster does not know this kind of resource; use the kubeconfig of the cluster in which tap-operator is installed"
        ),
        kube::Error::Api(status) => anyhow!("{what}: {}", status.message),
        other => anyhow!(
            "{what}: {}; check that `kubectl get --raw /readyz` works with the same kubeconfig",
            causes(other)
        ),
    }
}

/// What came of a write, with what to do where the API server refuses it to this account.
pub fn written<T>(what: &str, outcome: Result<T, ApiError>) -> anyhow::Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(ApiError::Refused { code: 403, message, .. }) => Err(missing_right(what, &message)),
        Err(error) => Err(error).context(what.to_owned()),
    }
}

/// The error for a call that the API server refuses to this account.
fn missing_right(what: &str, message: &str) -> anyhow::Error {
    anyhow!("{what}: {message}; use an account with this right, such as a cluster administrator's")
}

/// A sentence about the pass that may still be usable in Entra.
pub fn what_may_live(request: &TapRequest) -> String {
    let pass = request.status.as_ref().and_then(|s| s.pass.as_ref());
    let until =
        pass.map(|p| p.expiration_time.0).or_else(|| Intent::of(request).map(|i| i.latest_expiry));
    let which = pass.map_or_else(|| "a pass".to_owned(), |p| format!("pass {}", p.id));
    match until {
        Some(until) => format!("{which} of {} may be usable until {until:.0}", request.spec.user),
        None => format!("{which} of {} may be usable", request.spec.user),
    }
}
