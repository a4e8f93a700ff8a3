//! The lease that decides which replica works. A replica judges the lease of another by watching it, not by comparing
//! clocks.
//!
//! The protocol and its timings are those of client-go. The crates that implement it do not say when the lease was last
//! renewed, which must be known before each POST.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta};
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{ApiError, find};
use super::write;
use crate::effect::Effect;

/// How long a lease is valid without a renewal.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long renewals may fail before the lease is given up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How long a try to renew it may take at first: so a connection that is dead without a word leaves time for a try on another
/// one, which has all that is left: an API server that is busy may need it.
const RENEW_TRY: Duration = Duration::from_secs(3);
/// How often the holder renews it, and others try to take it.
pub(super) const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// What this process knows of its lease.
#[derive(Clone, Debug)]
pub struct LeaseView {
    renewed: watch::Receiver<Option<Instant>>,
}

impl LeaseView {
    /// Whether this process holds the lease.
    pub fn is_held(&self) -> bool {
        self.renewed.borrow().is_some_and(|at| at.elapsed() < LEASE_DURATION)
    }

    /// Whether this process renewed the lease less than half its duration ago.
    pub fn is_fresh(&self) -> bool {
        self.fresh_until().is_some_and(|until| Instant::now() < until)
    }

    /// Until when the lease stays fresh without another renewal; `None` if this process does not hold it.
    pub fn fresh_until(&self) -> Option<Instant> {
        self.renewed.borrow().map(|at| at + LEASE_DURATION / 2)
    }

    /// Waits for the next attempt to take or renew the lease, whether it succeeds or not.
    pub async fn tried(&mut self) {
        let _ = self.renewed.changed().await;
    }

    /// Waits until this process holds the lease.
    pub async fn acquired(&mut self) {
        let _ = self.renewed.wait_for(Option::is_some).await;
    }
}

/// When the lease of this process was renewed. Clones are the same.
#[derive(Clone, Debug)]
pub struct Renewals(Arc<watch::Sender<Option<Instant>>>);

impl Default for Renewals {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Renewals {
    /// What this process knows of its lease.
    pub fn view(&self) -> LeaseView {
        LeaseView { renewed: self.0.subscribe() }
    }
}

/// The lease of this process.
#[derive(Debug)]
pub struct LeaderLease {
    api: Api<Lease>,
    name: String,
    holder: String,
    renewed: Arc<watch::Sender<Option<Instant>>>,
}

/// The lease could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum LeaseLost {
    /// Another replica holds it.
    #[error("the leader lease was lost: {by} holds it now")]
    Taken {
        /// The identity of that replica.
        by: String,
    },
    /// Somebody deleted it, or removed its holder.
    #[error("the leader lease was lost: somebody deleted it or removed its holder")]
    Removed,
    /// No renewal succeeded in time. Whether another replica works now is not known.
    #[error(
        "the leader lease was given up: it could not be renewed for {} s: {why}",
        RENEW_DEADLINE.as_secs()
    )]
    NotRenewed {
        /// Why the last attempt failed.
        why: String,
    },
    /// The work loop does not run, so the lease was not renewed any more.
    #[error("the leader lease was given up, because the work loop hangs")]
    WorkHangs,
}

impl LeaderLease {
    /// A lease of this name, for a holder whose name no other replica has.
    pub fn new(api: Api<Lease>, name: &str, holder: &str, renewals: Renewals) -> Self {
        Self { api, name: name.into(), holder: holder.into(), renewed: renewals.0 }
    }

    /// Takes the lease when it can, then renews it, as long as the work loop runs. Returns when the lease is lost.
    pub async fn run(&self, work_runs: impl Fn() -> bool) -> LeaseLost {
        let taken = self.acquire(&work_runs).await;
        tracing::info!(lease = self.name, holder = self.holder, "leading");
        let lost = self.keep(taken, &work_runs).await;
        self.renewed.send_replace(None);
        lost
    }

    async fn acquire(&self, work_runs: &impl Fn() -> bool) -> Lease {
        let mut observed: Option<(LeaseSpec, Instant)> = None;
        let mut told: Option<String> = None;
        loop {
            if !work_runs() {
                tokio::time::sleep(RETRY_PERIOD).await;
                continue;
            }
            // The time before the request counts: others may see the new lease before the answer arrives here.
            let asked = Instant::now();
            match self.try_acquire(&mut observed).await {
                Ok(Some(lease)) => {
                    self.renewed.send_replace(Some(asked));
                    return lease;
                }
                Ok(None) => {
                    let other =
                        observed.as_ref().and_then(|(spec, _)| spec.holder_identity.clone());
                    if let Some(other) = other.filter(|other| told.as_ref() != Some(other)) {
                        tracing::info!(
                            lease = self.name,
                            holder = other,
                            "standing by: another replica leads"
                        );
                        told = Some(other);
                    }
                }
                Err(error) => {
                    tracing::warn!(lease = self.name, %error, "cannot acquire the leader lease yet");
                }
            }
            self.renewed.send_replace(None);
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    async fn try_acquire(
        &self,
        observed: &mut Option<(LeaseSpec, Instant)>,
    ) -> Result<Option<Lease>, ApiError> {
        let Some(mut lease) = find("get lease", &self.api, &self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(None)),
            };
            return taken(write::create(Effect::CreateLease, &self.api, &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let held_by_other =
            spec.holder_identity.as_deref().is_some_and(|h| !h.is_empty() && h != self.holder);
        if held_by_other {
            match observed {
                Some((last, since)) if *last == spec && since.elapsed() >= LEASE_DURATION => {}
                Some((last, _)) if *last == spec => return Ok(None),
                _ => {
                    *observed = Some((spec, Instant::now()));
                    return Ok(None);
                }
            }
        }
        lease.spec = Some(self.spec(Some(&spec)));
        taken(self.replace(Effect::TakeLease, &lease).await)
    }

    async fn keep(&self, taken: Lease, work_runs: &impl Fn() -> bool) -> LeaseLost {
        let mut known = Some(taken);
        // Why renewals have failed since the last one that did not.
        let mut failed = None;
        let mut was_silent = false;
        loop {
            if !was_silent {
                tokio::time::sleep(RETRY_PERIOD).await;
            }
            if !work_runs() {
                return LeaseLost::WorkHangs;
            }
            let last = self.renewed.borrow().unwrap_or_else(Instant::now);
            let left = RENEW_DEADLINE.saturating_sub(last.elapsed());
            let asked = Instant::now();
            let at_most = if was_silent { RENEW_DEADLINE } else { RENEW_TRY };
            let renewed = within(left.min(at_most), self.renew(&mut known)).await;
            was_silent = renewed.is_none();
            match renewed {
                Some(Ok(None)) => {
                    self.renewed.send_replace(Some(asked));
                    failed = None;
                }
                Some(Ok(Some(lost))) => return lost,
                Some(Err(error)) => {
                    tracing::warn!(lease = self.name, %error, "cannot renew the leader lease");
                    failed = Some(error.to_string());
                }
                None => {
                    let silent = || "the API server does not answer".to_owned();
                    let why = failed.take().unwrap_or_else(silent);
                    if last.elapsed() >= RENEW_DEADLINE {
                        return LeaseLost::NotRenewed { why };
                    }
                    tracing::warn!(lease = self.name, why, "cannot renew the leader lease");
                    failed = Some(why);
                }
            }
        }
    }

    /// Renews the lease, unless it is lost. `known`: as the API server last answered, and nobody changed it since as a rule, so
    /// that it need not be read.
    async fn renew(&self, known: &mut Option<Lease>) -> Result<Option<LeaseLost>, ApiError> {
        if let Some(lease) = known {
            match self.renewed(lease).await {
                Err(ApiError::Conflict { .. } | ApiError::NotFound { .. }) => *known = None,
                renewed => {
                    *known = Some(renewed?);
                    return Ok(None);
                }
            }
        }
        let Some(lease) = find("get lease", &self.api, &self.name).await? else {
            return Ok(Some(LeaseLost::Removed));
        };
        match lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) {
            Some(holder) if *holder == self.holder => {}
            Some(other) if !other.is_empty() => {
                return Ok(Some(LeaseLost::Taken { by: other.clone() }));
            }
            _ => return Ok(Some(LeaseLost::Removed)),
        }
        *known = Some(self.renewed(&lease).await?);
        Ok(None)
    }

    /// Renews the lease as it was read or answered; that fails if somebody changed it since.
    async fn renewed(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let spec = Some(self.spec(lease.spec.as_ref()));
        self.replace(Effect::RenewLease, &Lease { spec, ..lease.clone() }).await
    }

    async fn replace(&self, effect: Effect, lease: &Lease) -> Result<Lease, ApiError> {
        write::replace(effect, &self.api, &self.name, lease).await
    }

    /// Lets another replica take over at once. Call it after all work has ended.
    pub async fn release(&self) {
        let released = async {
            let Some(mut lease) = find("get lease", &self.api, &self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.take().unwrap_or_default();
            if spec.holder_identity.as_deref() != Some(&self.holder) {
                return Ok(());
            }
            lease.spec = Some(LeaseSpec { holder_identity: None, ..self.spec(Some(&spec)) });
            self.replace(Effect::ReleaseLease, &lease).await.map(drop)
        };
        self.renewed.send_replace(None);
        if let Err(error) = released.await {
            tracing::warn!(lease = self.name, %error, "cannot release the leader lease; it expires by itself");
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let same = before.filter(|b| b.holder_identity.as_deref() == Some(&self.holder));
        let transitions = before.and_then(|b| b.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: same.and_then(|b| b.acquire_time.clone()).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if same.is_some() || before.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }
}

/// What is answered within the time that is left. Without any, nothing is tried: a timer that is over fires a moment later, so
/// an answer that comes at once, such as a refused connection, would be faster each time.
async fn within<F: Future>(left: Duration, call: F) -> Option<F::Output> {
    if left.is_zero() {
        return None;
    }
    tokio::time::timeout(left, call).await.ok()
}

fn taken(outcome: Result<Lease, ApiError>) -> Result<Option<Lease>, ApiError> {
    match outcome {
        Ok(lease) => Ok(Some(lease)),
        // Another replica was faster.
        Err(ApiError::Conflict { .. } | ApiError::Refused { code: 409, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kubernetes_api::{Fault, KubernetesApi, Match};
    use serde_json::json;

    use super::*;

    const NAME: &str = "tap-operator";

    fn lease(api: &KubernetesApi) -> (LeaderLease, LeaseView) {
        lease_through(api.client())
    }

    fn lease_through(client: kube::Client) -> (LeaderLease, LeaseView) {
        let renewals = Renewals::default();
        let view = renewals.view();
        (LeaderLease::new(Api::namespaced(client, "default"), NAME, "one", renewals), view)
    }

    fn server() -> KubernetesApi {
        KubernetesApi::new("2026-11-23T08:00:00Z".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_whose_work_loop_hangs_renews_no_more_and_takes_nothing() {
        let api = server();
        let (lease, view) = lease(&api);
        let runs = Cell::new(false);
        let hangs_later = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!view.is_held(), "it was taken for work that hangs");
            runs.set(true);
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(view.is_fresh());
            runs.set(false);
            tokio::time::sleep(Duration::from_mins(1)).await;
        };
        let lost = tokio::select! {
            lost = lease.run(|| runs.get()) => lost,
            () = hangs_later => panic!("it is renewed for work that hangs"),
        };
        assert!(matches!(lost, LeaseLost::WorkHangs) && !view.is_held(), "{lost}");
    }

    /// An answer that comes at once must not keep a holder that has had no renewal for too long.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_when_the_time_is_over() {
        let at_once = std::future::ready::<()>;
        assert_eq!(within(Duration::ZERO, at_once(())).await, None);
        assert_eq!(within(Duration::from_secs(1), at_once(())).await, Some(()));
        assert_eq!(within(Duration::from_secs(1), std::future::pending::<()>()).await, None);
    }

    /// Its connection is dead, and nobody says so.
    #[tokio::test(start_paused = true)]
    async fn a_try_without_an_answer_leaves_time_for_another() {
        let api = server();
        let (lease, view) = lease(&api);
        let hangs = async {
            tokio::time::sleep(Duration::from_secs(11)).await;
            api.fail_next(Match::any().resource("leases"), Fault::Hang);
            tokio::time::sleep(Duration::from_mins(1)).await;
        };
        tokio::select! {
            lost = lease.run(|| true) => panic!("{lost}"),
            () = hangs => assert!(view.is_fresh()),
        }
    }

    /// Each call takes two seconds, and one gets no answer.
    #[tokio::test(start_paused = true)]
    async fn a_slow_server_loses_no_lease() {
        let api = server();
        let client = api.client();
        let slow = tower::service_fn(move |request| {
            let client = client.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                client.send(request).await
            }
        });
        let (lease, view) = lease_through(kube::Client::new(slow, "default"));
        let hangs = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            api.fail_next(Match::any().resource("leases"), Fault::Hang);
            tokio::time::sleep(Duration::from_mins(1)).await;
        };
        tokio::select! {
            lost = lease.run(|| true) => panic!("{lost}"),
            () = hangs => assert!(view.is_held()),
        }
    }

    /// Each costs the API server a write, and no read.
    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_one_call() {
        let api = server();
        let (lease, view) = lease(&api);
        let calls = || api.requests_for(&Match::any().resource("leases")).len();
        tokio::select! {
            lost = lease.run(|| true) => panic!("{lost}"),
            () = tokio::time::sleep(RETRY_PERIOD * 10 + RETRY_PERIOD / 2) => {}
        }
        assert!(view.is_fresh());
        // Two to take it.
        assert_eq!(calls(), 2 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_says_only_what_is_known() {
        type Loss = fn(&KubernetesApi);
        let losses: [(Loss, &str); 4] = [
            (|api| drop(api.delete("leases", "default", NAME)), "somebody deleted it"),
            (
                |api| {
                    api.put(json!({
                        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                        "metadata": {"name": NAME, "namespace": "default"},
                        "spec": {"holderIdentity": "two"},
                    }));
                },
                "lost: two holds it now",
            ),
            (
                |api| {
                    let renewals = Match::writes().resource("leases");
                    std::mem::forget(api.fail(renewals, Fault::server_error(503)));
                },
                "could not be renewed for 10 s: renew lease:",
            ),
            (
                |api| {
                    let all = Match::any().resource("leases");
                    std::mem::forget(api.fail(all, Fault::Hang));
                },
                "could not be renewed for 10 s: the API server does not answer",
            ),
        ];
        for (lose, says) in losses {
            let api = server();
            let (lease, mut view) = lease(&api);
            let later = async {
                view.acquired().await;
                lose(&api);
                std::future::pending::<()>().await;
            };
            let lost = tokio::select! {
                lost = lease.run(|| true) => lost,
                () = later => unreachable!(),
            };
            assert!(lost.to_string().contains(says), "{lost}");
        }
    }
}
