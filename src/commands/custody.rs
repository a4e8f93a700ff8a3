//! The requests that may have a live pass, for the commands that free them.

use anyhow::Context as _;
use kube::api::{Api, ListParams};
use kube::{Client, Config};
use tap_operator::api::TapRequest;
use tap_operator::decision::intent::{Intent, has_finalizer};

/// A client for the cluster of the current context of the kubeconfig, or of the pod.
pub async fn client() -> anyhow::Result<Client> {
    let config =
        Config::infer().await.context("no cluster: set KUBECONFIG, or run inside a pod")?;
    Client::try_from(config).context("the cluster's configuration cannot be used")
}

/// All requests with the operator's finalizer.
pub async fn held(client: &Client) -> anyhow::Result<Vec<TapRequest>> {
    let api: Api<TapRequest> = Api::all(client.clone());
    let all = api.list(&ListParams::default()).await.context("the TapRequests cannot be listed")?;
    Ok(all.items.into_iter().filter(has_finalizer).collect())
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
