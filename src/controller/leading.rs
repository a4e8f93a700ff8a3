//! The start of work once this process holds the lease: what it must know before it reconciles, and before it issues.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube::api::ListParams;
use tokio::time::Instant;

use super::operator::{Operator, Tenant};
use super::watches::PAGE;
use crate::api::names::FINALIZER;
use crate::cluster::{ApiError, requests};
use crate::decision::admission::Guard;
use crate::decision::requests::{Requests, Version};
use crate::graph;

/// How long to wait at the start for the answer of a tenant, and for the state of the admission policies.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long the watch may not show all attempts that the API server lists. It notices within 150 s that its connection is dead.
/// But an API server whose database was set back keeps it open, and shows nothing until it has counted up again.
const WATCH_IS_DEAF: Duration = Duration::from_mins(5);
/// How long to wait before checking again whether all attempts are known.
const CATCH_UP_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait before asking a tenant again whose clock is uncertain.
const CLOCK_AGAIN: Duration = Duration::from_millis(500);
/// How long to wait before looking again whether a connection works.
const FAILING_AGAIN: Duration = Duration::from_mins(10);

/// Waits for the lease and for everything that a reconcile needs, then starts the work.
pub async fn lead(operator: &Operator, policies: &tokio::sync::mpsc::UnboundedSender<()>) {
    let mut lease = operator.lease.clone();
    lease.acquired().await;
    operator.metrics.leads(true);
    let stores = &operator.stores;
    // The writers of the stores are dropped only when the process ends.
    let _ = tokio::join!(
        operator.requests_are_listed(),
        stores.policies.wait_until_ready(),
        stores.namespaces.wait_until_ready(),
        // A stop that cannot be read counts as set. It keeps no pass from being taken away.
        tokio::time::timeout(FIRST_ANSWER, operator.stop_is_read()),
    );
    let asked = operator.tenants.values().map(async |tenant| {
        ask(operator, tenant).await;
        ask_while_it_fails(operator, tenant).await;
    });
    tokio::select! {
        _ = futures::future::join_all(asked) => {}
        () = begin(operator, policies) => {}
    }
}

/// Starts the work, for each tenant once it was asked. Returns only if it cannot begin.
async fn begin(operator: &Operator, policies: &tokio::sync::mpsc::UnboundedSender<()>) {
    wait_for_admission(operator).await;
    operator.logs.begin();
    operator.informed.store(true, Ordering::Release);
    operator.begin_to_tell();
    operator.apply_stop();
    let _ = policies.send(());
    // A list that began under this lease shows every attempt that earlier leaders had recorded.
    let lists_as_leader = *operator.lists_of_requests.borrow();
    if lists_as_leader != Some(true) && catch_up(operator).await.is_break() {
        return;
    }
    operator.with_requests(Requests::catch_up);
    std::future::pending::<()>().await;
}

/// Waits until every attempt in the API server is known. The watch may lag behind, and not show the last attempts of the
/// process that led before. Until then nothing is issued; everything else goes on. Breaks where the watch shows nothing: then
/// the process must begin anew, with a list.
async fn catch_up(operator: &Operator) -> ControlFlow<()> {
    let mut behind_since = None;
    loop {
        match attempts(operator).await {
            Ok(attempts) => {
                let requests = operator.requests();
                if attempts.iter().all(|(uid, version)| requests.has_seen(uid, version)) {
                    return ControlFlow::Continue(());
                }
                if behind_since.get_or_insert_with(Instant::now).elapsed() > WATCH_IS_DEAF {
                    tracing::error!(
                        "the watch of TapRequests does not show what the API server lists, so nothing can be issued; the process ends, to begin anew with a list"
                    );
                    return ControlFlow::Break(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list the requests; nothing is issued until they are known");
            }
        }
        tokio::time::sleep(CATCH_UP_AGAIN).await;
    }
}

/// The uid and version of each request in the API server that has the operator's finalizer.
async fn attempts(operator: &Operator) -> Result<Vec<(String, Version)>, ApiError> {
    let mut page = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let listed = requests::list_metadata(&operator.client, &page).await?;
        let ours = listed.items.iter().map(|request| &request.0.metadata).filter(|meta| {
            meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
        });
        found.extend(ours.map(|meta| (meta.uid.clone().unwrap_or_default(), Version::of(meta))));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Asks a tenant what must be known before its requests and policies are reconciled.
async fn ask(operator: &Operator, tenant: &Tenant) {
    tokio::join!(ask_for_the_time(operator, tenant), ask_for_the_permissions(operator, tenant));
    operator.awaited.send_if_modified(|awaited| awaited.remove(&tenant.connection.name));
}

/// Asks a tenant again while its connection does not work, for ever. Without a policy that names it nothing else does, and
/// metrics and `/readyz` would tell of the failure long after its end.
async fn ask_while_it_fails(operator: &Operator, tenant: &Tenant) {
    loop {
        tokio::time::sleep(FAILING_AGAIN).await;
        if operator.connections.problem(&tenant.connection.name).is_some() {
            // The client reports the outcome.
            let _ = tenant.client.method(graph::Priority::Read).await;
        }
    }
}

/// Asks a tenant until its time is certain, so that no pass ends early because of a wrong local clock or one wrong answer.
/// A tenant that does not answer soon is not waited for, because revocations must go on while Graph is down.
async fn ask_for_the_time(operator: &Operator, tenant: &Tenant) {
    let mut last_error = None;
    let until_certain = async {
        loop {
            // Only the Date of the answer matters.
            last_error = tenant.client.method(graph::Priority::Read).await.err();
            if operator.clocks.is_certain(&tenant.connection.tenant_id) {
                break;
            }
            tokio::time::sleep(CLOCK_AGAIN).await;
        }
    };
    if tokio::time::timeout(FIRST_ANSWER, until_certain).await.is_err() {
        let name = tenant.connection.name.as_str();
        let cause = last_error.map_or("it has not answered".into(), |error| error.to_string());
        tracing::warn!(
            connection = name,
            cause,
            "no answer from the tenant yet; using this machine's clock meanwhile"
        );
    }
}

/// Reads the permissions of a connection's app, so that the log says at the start which are missing or not needed. The
/// `TapPolicies` of a tenant that does not answer report that.
async fn ask_for_the_permissions(operator: &Operator, tenant: &Tenant) {
    let _ = tokio::time::timeout(FIRST_ANSWER, operator.permissions(tenant)).await;
}

/// Asks the tenants again when a clock is suspected to have jumped, and reconciles everything once it has.
pub async fn follow_clocks(operator: &Operator) {
    // A tenant that does not answer keeps those of another waiting for nothing.
    let asks = operator.tenants.values().map(async |tenant| {
        let mut suspect = operator.clocks.suspect.subscribe();
        // The sender is dropped only with the operator.
        while suspect.changed().await.is_ok() {
            tokio::time::sleep(CLOCK_AGAIN).await;
            if !operator.clocks.is_certain(&tenant.connection.tenant_id) {
                // Only the Date of the answer matters.
                let _ = tenant.client.method(graph::Priority::Read).await;
            }
        }
    });
    let wakes = async {
        loop {
            operator.clocks.jumped.notified().await;
            operator.wake_all();
        }
    };
    tokio::join!(futures::future::join_all(asks), wakes);
}

/// Waits until it is known whether the admission policies are in force, so that no request reports that it is not known. It
/// waits no longer than for a tenant, because revocations must go on.
async fn wait_for_admission(operator: &Operator) {
    let mut admission = operator.admission.clone();
    let answer = admission.wait_for(|state| state.guard != Guard::Unknown);
    let _ = tokio::time::timeout(FIRST_ANSWER, answer).await;
}
