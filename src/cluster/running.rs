//! Where an operator runs, as those see it who are none: by watching whether a lease is renewed.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use super::error::{ApiError, call, find};
use super::lease::{LEASE_DURATION, RETRY_PERIOD};

/// The leases of one name, by their namespaces: who holds each, if anyone does, and when it was renewed.
type Leases = BTreeMap<String, (Option<String>, Option<MicroTime>)>;

/// How long leases are watched. A process that takes over from one that died has seen the lease unchanged for as long as it lasts,
/// and tries every few seconds.
const WATCHED: Duration = LEASE_DURATION.saturating_add(RETRY_PERIOD.saturating_mul(2));

/// Who holds the lease of this name and renews it, if anyone does.
pub async fn renewing_holder(api: &Api<Lease>, name: &str) -> Result<Option<String>, ApiError> {
    let renewed = renewed(async || {
        let lease = find("get lease", api, name).await?;
        Ok(by_namespace(lease.into_iter().collect()))
    });
    Ok(renewed.await?.into_values().next().and_then(|(holder, _)| holder))
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
    let all = renewed(async || {
        Ok(by_namespace(call("list leases", everywhere.list(&named)).await?.items))
    });
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

fn by_namespace(leases: Vec<Lease>) -> Leases {
    let each = leases.into_iter().map(|lease| {
        let spec = lease.spec.unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        (lease.metadata.namespace.unwrap_or_default(), (holder, spec.renew_time))
    });
    each.collect()
}

/// Those leases that are renewed, or taken: one that nobody holds was given back by a process that ended, and the next one may
/// be about to take it. They are watched, because the clock of this machine or that of a holder may be wrong.
async fn renewed(read: impl AsyncFn() -> Result<Leases, ApiError>) -> Result<Leases, ApiError> {
    let mut last = read().await?;
    let mut renewed = Leases::new();
    let began = Instant::now();
    while !last.is_empty() && renewed.is_empty() && began.elapsed() < WATCHED {
        tokio::time::sleep(RETRY_PERIOD / 2).await;
        let now = read().await?;
        renewed = now.clone();
        renewed.retain(|namespace, lease| lease.0.is_some() && last.get(namespace) != Some(lease));
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
        put_held(api, namespace, "one", second);
    }

    fn put_held(api: &KubernetesApi, namespace: &str, holder: &str, second: u8) {
        api.put(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {"holderIdentity": holder, "renewTime": format!("2026-11-23T08:00:{second:02}.000000Z")},
        }));
    }

    /// Where somebody runs who takes the lease of `default` so many seconds after the first look, which shows this holder.
    async fn seen_taken(holder: &str, after: u64) -> String {
        let api = KubernetesApi::new("2026-11-23T08:00:00Z".parse().unwrap());
        put_held(&api, "default", holder, 0);
        let takes = async {
            tokio::time::sleep(Duration::from_secs(after)).await;
            put_held(&api, "default", "another", 0);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            seen = seen(&api, &[]) => seen,
            () = takes => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_about_to_take_a_lease_runs() {
        assert_eq!(
            seen_taken("", 2).await,
            "default",
            "a process gave it back, and the next one takes it"
        );
        assert_eq!(
            seen_taken("one", 16).await,
            "default",
            "a process died, and the next one takes over"
        );
        assert_eq!(seen_taken("one", 60).await, "nowhere");
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
