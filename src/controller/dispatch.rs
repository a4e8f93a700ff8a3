//! Starts reconciles and looks at recorded passes as they come due. The state machine limits how many reconciles run at once;
//! people are told of requests that wait for room.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Duration, Instant};

use super::operator::Operator;
use super::request;
use crate::api::TapRequest;
use crate::cluster::{ApiError, requests, secret};
use crate::decision::report::Report;
use crate::decision::requests::{Claimed, Moment, PassLook, Queued, Requests};
use crate::decision::situation::SecretDryRun;
use crate::entra::UsabilityReason;
use crate::graph::Priority;

/// How often people are told of a request that waits, at most.
const TELLS: Duration = Duration::from_secs(1);
/// How many looks at the passes of one tenant run at once.
const LOOKS_AT_ONCE: usize = 4;
/// How long to sleep if nothing is due. An update of the state machine ends the sleep earlier.
const LONG: Duration = Duration::from_hours(1);

/// Reconciles requests as they come due, until the process is to end. Then it waits for the reconciles that still run. As
/// long as it keeps the lease for them nobody else takes passes away, so it goes on to do that.
pub async fn reconcile(operator: &Operator) {
    let ending = &operator.ending;
    let mut updates = operator.updates.subscribe();
    let (mut running, mut last) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        while operator.works() && !ending.is_cancelled() {
            let claimed = operator.at_this_moment(Requests::claim);
            let Some(claimed) = claimed else { break };
            running.push(reconcile_one(operator, claimed));
        }
        while operator.works() && ending.is_cancelled() && !running.is_empty() {
            let claimed = operator.at_this_moment(Requests::claim_urgent);
            let Some(claimed) = claimed else { break };
            last.push(reconcile_one(operator, claimed));
        }
        if ending.is_cancelled() && running.is_empty() && last.is_empty() {
            return;
        }
        let claims = operator.works() && !(ending.is_cancelled() && running.is_empty());
        let due = operator.at_this_moment(|requests, _| {
            if ending.is_cancelled() { requests.next_urgent() } else { requests.next_due() }
        });
        let due = due.filter(|_| claims).map(|due| operator.began + due);
        tokio::select! {
            biased;
            Some(()) = running.next() => {}
            Some(()) = last.next() => {}
            () = ending.cancelled(), if !ending.is_cancelled() => {}
            // The sender is dropped only with the operator.
            _ = updates.changed() => {}
            () = tokio::time::sleep_until(due.unwrap_or_else(|| Instant::now() + LONG)) => {}
        }
    }
}

async fn reconcile_one(operator: &Operator, claimed: Claimed) {
    let _working = operator.metrics.reconciling(claimed.waited);
    request::reconcile(operator, claimed.uid).await;
}

/// Tells people how many requests are before one that waits, for ever.
pub async fn tell_of_queued(operator: &Operator) {
    let mut updates = operator.updates.subscribe();
    loop {
        let queued = operator.works().then(|| operator.at_this_moment(Requests::claim_queued));
        if let Some(queued) = queued.flatten() {
            tell_of(operator, &queued).await;
            tokio::time::sleep(TELLS).await;
            continue;
        }
        let next = operator.at_this_moment(|requests, _| requests.next_queued());
        let next = next.filter(|_| operator.works()).map(|next| operator.began + next);
        tokio::select! {
            // The sender is dropped only with the operator.
            _ = updates.changed() => {}
            () = tokio::time::sleep_until(next.unwrap_or_else(|| Instant::now() + LONG)) => {}
        }
    }
}

/// It changes nothing but the status, and nothing at all if the request was changed since it was read. So it needs no place
/// among the reconciles.
async fn tell_of(operator: &Operator, queued: &Queued) {
    let told = async {
        let found = requests::get(&operator.client, &queued.name).await?;
        let is_it = |found: &TapRequest| found.metadata.uid.as_deref() == Some(queued.uid.as_str());
        let Some(request) = found.filter(is_it) else { return Ok(()) };
        let now = operator.clocks.now(None).earliest;
        let Some(status) = Report::queued(&request, queued.before, now) else { return Ok(()) };
        requests::write_status(&operator.client, &request, &status).await.map(drop)
    };
    match told.await {
        // Somebody was faster, so there may be something else to say.
        Ok(()) | Err(ApiError::Conflict { .. }) => {}
        Err(error) => {
            tracing::warn!(request = %queued.name, %error, "the status that the request is queued could not be written");
        }
    }
}

/// Looks at recorded passes as they come due, for ever: whether each is used or gone. A look may wait long for the pacing and
/// for a slow Graph. So looks are not part of reconciles, which must react to an expiry, a revocation or a deletion at once.
pub async fn look_at_passes(operator: &Operator) {
    let tenant_ids = operator.tenant_ids().into_iter();
    let looks = tenant_ids.map(|tenant_id| look_at_passes_of(operator, tenant_id));
    futures::future::join_all(looks).await;
    // Reached only without a tenant connection.
    std::future::pending::<()>().await;
}

async fn look_at_passes_of(operator: &Operator, tenant_id: &str) {
    let mut updates = operator.updates.subscribe();
    let mut running = FuturesUnordered::new();
    loop {
        while operator.works() && running.len() < LOOKS_AT_ONCE {
            let claimed =
                operator.at_this_moment(|requests, moment| requests.claim_look(tenant_id, moment));
            let Some(look) = claimed else { break };
            running.push(look_at(operator, look));
        }
        let due = operator.at_this_moment(|requests, _| requests.next_look());
        let due = due.filter(|_| running.len() < LOOKS_AT_ONCE && operator.works());
        let due = due.map_or_else(|| Instant::now() + LONG, |due| operator.began + due);
        tokio::select! {
            Some(()) = running.next() => {}
            // The sender is dropped only with the operator.
            _ = updates.changed() => {}
            () = tokio::time::sleep_until(due) => {}
        }
    }
}

async fn look_at(operator: &Operator, look: PassLook) {
    let PassLook { uid, connections, user_id, pass_id, .. } = &look;
    let seen = operator.through(connections, |c| c.pass(user_id, pass_id, Priority::Read)).await;
    let is_usable =
        seen.as_ref().is_ok_and(|pass| pass.reason != Some(UsabilityReason::OneTimeUsed));
    operator.with_requests(|requests, moment| requests.learn_look(uid, seen, moment));
    // The operator may not watch Secrets, so one that somebody deletes is noticed here: its name is free then.
    if let Some(name) = look.secret_of.filter(|_| is_usable) {
        let tried = secret::dry_run(&operator.client, &requests::named(&name, &look.uid)).await;
        if matches!(tried, Ok(SecretDryRun::Accepted)) {
            let learn = |requests: &mut Requests, moment: Moment| {
                requests.learn_secret_gone(&look.uid, moment);
            };
            operator.with_requests(learn);
        }
    }
}
