//! Where an operator runs, as those see it who are none: by watching whether a lease is renewed.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use super::error::{ApiError, call, find};
use super::lease::{LEASE_DURATION, RETRY_PERIOD};

/// The leases of one name that somebody holds, by their namespaces: who, and when it was renewed.
type Held = BTreeMap<String, (String, Option<MicroTime>)>;

/// Who holds the lease of this name and renews it, if anyone does.
pub async fn renewing_holder(api: &Api<Lease>, name: &str) -> Result<Option<String>, ApiError> {
    let renewed = renewed(async || {
        let lease = find("get lease", api, name).await?;
        Ok(held(lease.into_iter().collect()))
    });
    Ok(renewed.await?.into_values().next().map(|(holder, _)| holder))
}

/// What the leases of a name say about who runs in a cluster.
#[derive(Debug)]
pub enum Running {
    /// The lease of this namespace is renewed.
    In(String),
    /// No lease that can be seen is renewed.
    Nowhere,
    /// The namespace that was named has no lease, and whether others have one may not be seen, because of this.
    Unseen(ApiError),
}

/// Where somebody renews a lease of this name. A namespace without one proves nothing about the others, so all are looked at
/// if they may be listed. If they may not, the lease of `namespace` must be there to say anything.
pub async fn running(client: &Client, namespace: &str, name: &str) -> Result<Running, ApiError> {
    let everywhere: Api<Lease> = Api::all(client.clone());
    // RBAC grants a list of one name to whoever has the right on that name alone.
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let all = renewed(async || Ok(held(call("list leases", everywhere.list(&named)).await?.items)));
    let refused = match all.await {
        Err(error @ ApiError::Refused { code: 403, .. }) => error,
        Err(error) => return Err(error),
        Ok(renewed) if renewed.contains_key(namespace) => return Ok(Running::In(namespace.into())),
        Ok(renewed) => {
            return Ok(renewed.into_keys().next().map_or(Running::Nowhere, Running::In));
        }
    };
    let here: Api<Lease> = Api::namespaced(client.clone(), namespace);
    if find("get lease", &here, name).await?.is_none() {
        return Ok(Running::Unseen(refused));
    }
    let holder = renewing_holder(&here, name).await?;
    Ok(holder.map_or(Running::Nowhere, |_| Running::In(namespace.into())))
}

fn held(leases: Vec<Lease>) -> Held {
    let held = leases.into_iter().filter_map(|lease| {
        let spec = lease.spec?;
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty())?;
        Some((lease.metadata.namespace.unwrap_or_default(), (holder, spec.renew_time)))
    });
    held.collect()
}

/// Those leases that are renewed. They are watched for as long as one lasts without a renewal, because the clock of this machine
/// or that of a holder may be wrong.
async fn renewed(read: impl AsyncFn() -> Result<Held, ApiError>) -> Result<Held, ApiError> {
    let mut last = read().await?;
    let mut renewed = Held::new();
    let began = Instant::now();
    while !last.is_empty() && renewed.is_empty() && began.elapsed() < LEASE_DURATION {
        tokio::time::sleep(RETRY_PERIOD / 2).await;
        let now = read().await?;
        renewed = now
            .iter()
            .filter(|(namespace, held)| last.get(*namespace) != Some(*held))
            .map(|(namespace, held)| (namespace.clone(), held.clone()))
            .collect();
        last = now;
    }
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use kubernetes_api::{Fault, KubernetesApi, Match, Resource, Verb, statuses};
    use serde_json::json;

    use super::*;

    const NAME: &str = "tap-operator";

    /// Writes a lease in a namespace, renewed so many seconds after the start of the server.
    fn put(api: &KubernetesApi, namespace: &str, second: u8) {
        api.put(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {"holderIdentity": "one", "renewTime": format!("2026-11-23T08:00:{second:02}.000000Z")},
        }));
    }

    /// Where somebody runs, as `running` tells it of the namespace `default`, while the leases of these namespaces are renewed.
    async fn seen(api: &KubernetesApi, renewing: &[&str]) -> String {
        let renews = async {
            for second in 1.. {
                tokio::time::sleep(RETRY_PERIOD).await;
                for namespace in renewing {
                    put(api, namespace, second);
                }
            }
        };
        let client = api.client();
        tokio::select! {
            running = running(&client, "default", NAME) => match running.unwrap() {
                Running::In(namespace) => namespace,
                Running::Nowhere => "nowhere".into(),
                Running::Unseen(_) => "unseen".into(),
            },
            () = renews => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_without_a_lease_says_nothing_about_the_others() {
        let api = KubernetesApi::new("2026-11-23T08:00:00Z".parse().unwrap());
        assert_eq!(seen(&api, &[]).await, "nowhere");
        put(&api, "kube-system", 0);
        assert_eq!(seen(&api, &[]).await, "nowhere", "it is not renewed");
        assert_eq!(seen(&api, &["kube-system"]).await, "kube-system");
        put(&api, "default", 0);
        assert_eq!(seen(&api, &["kube-system"]).await, "kube-system", "another one is renewed");
        assert_eq!(seen(&api, &["default", "kube-system"]).await, "default");
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_not_list_leases_knows_only_of_one_that_is_there() {
        let api = KubernetesApi::new("2026-11-23T08:00:00Z".parse().unwrap());
        let lists = Match::verb(Verb::List).resource("leases");
        let refusal =
            statuses::forbidden(&Resource::custom("", "v1", "leases", "Lease"), NAME, "no right");
        let _outage = api.fail(lists, Fault::Refused(refusal));
        assert_eq!(seen(&api, &["kube-system"]).await, "unseen");
        put(&api, "default", 0);
        assert_eq!(seen(&api, &["kube-system"]).await, "nowhere");
        assert_eq!(seen(&api, &["default"]).await, "default");
    }
}
