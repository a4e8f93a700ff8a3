//! The requests that may have a live pass, for the commands that free them.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use kube::api::{Api, ListParams};
use kube::config::KubeConfigOptions;
use kube::core::DeserializeGuard;
use kube::{Client, Config};
use tap_operator::api::{Lean, TapRequest};
use tap_operator::cluster::{ApiError, call};
use tap_operator::decision::intent::{Intent, has_finalizer};

/// A client for the cluster of the current context of the kubeconfig, or of the pod.
pub async fn client() -> anyhow::Result<Client> {
    // Where a file is named, no other cluster is meant, also in a pod.
    let config = if std::env::var_os("KUBECONFIG").is_some_and(|files| !files.is_empty()) {
        let named = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
        named.context("no cluster: the files that KUBECONFIG names cannot be used")?
    } else {
        Config::infer().await.context("no cluster: set KUBECONFIG, or run inside a pod")?
    };
    Client::try_from(config).context("the cluster's configuration cannot be used")
}

/// All requests with the operator's finalizer. Of one that this version cannot read only the metadata is known.
pub async fn held(client: &Client) -> anyhow::Result<Vec<TapRequest>> {
    let api: Api<Lean<DeserializeGuard<TapRequest>>> = Api::all(client.clone());
    let all = call("list TapRequests", api.list(&ListParams::default())).await;
    let all = all.map_err(|error| refused("the TapRequests cannot be listed", error))?;
    let requests = all.items.into_iter().map(|Lean(DeserializeGuard(read))| {
        read.unwrap_or_else(|unreadable| TapRequest::of_metadata(unreadable.metadata))
    });
    Ok(requests.filter(has_finalizer).collect())
}

/// The error for a read that failed, with what to do where that is known.
pub fn refused(what: &str, error: ApiError) -> anyhow::Error {
    match error {
        ApiError::Refused { code: 403, message, .. } => missing_right(what, &message),
        ApiError::Refused { message, .. } => anyhow!("{what}: {message}"),
        ApiError::NotFound { .. } | ApiError::NotServed { .. } => anyhow!(
            "{what}: the cluster does not know this kind of resource; use the kubeconfig of the cluster in which tap-operator is installed"
        ),
        ApiError::Conflict { .. } | ApiError::Unknown { .. } => anyhow!(
            "{what}: {error}; check that `kubectl get --raw /readyz` works with the same kubeconfig"
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

/// Says how far something is. Nothing depends on whether anybody reads it.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A sentence about the pass that may still be usable in Entra.
pub fn what_may_live(request: &TapRequest) -> String {
    let pass = request.status.as_ref().and_then(|s| s.pass.as_ref());
    let intent = Intent::of(request);
    let until =
        pass.map(|p| p.expiration_time.0).or(intent.as_ref().map(|intent| intent.latest_expiry));
    let which = pass.map_or_else(|| "a pass".to_owned(), |p| format!("pass {}", p.id));
    let user = match (request.spec.user.as_str(), &intent) {
        ("", Some(intent)) => &intent.user_principal_name,
        ("", None) => "a user whom this version cannot read",
        (user, _) => user,
    };
    match until {
        Some(until) => format!("{which} of {user} may be usable until {until:.0}"),
        None => format!("{which} of {user} may be usable"),
    }
}
