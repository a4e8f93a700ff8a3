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

use super::error::{ApiError, call};
use super::write;
use crate::effect::Effect;

/// How long a lease is valid without a renewal.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long renewals may fail before the lease is given up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the holder renews it, and others try to take it.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

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
#[error("the leader lease was lost: another replica works now")]
pub struct LeaseLost;

impl LeaderLease {
    /// A lease of this name, for a holder whose name no other replica has.
    pub fn new(api: Api<Lease>, name: &str, holder: &str) -> Self {
        Self {
            api,
            name: name.into(),
            holder: holder.into(),
            renewed: Arc::new(watch::Sender::new(None)),
        }
    }

    /// What this process knows of the lease.
    pub fn view(&self) -> LeaseView {
        LeaseView { renewed: self.renewed.subscribe() }
    }

    /// Takes the lease when it can, then renews it. Returns when the lease is lost.
    pub async fn run(&self) -> LeaseLost {
        self.acquire().await;
        tracing::info!(lease = self.name, holder = self.holder, "leading");
        self.keep().await;
        self.renewed.send_replace(None);
        LeaseLost
    }

    async fn acquire(&self) {
        let mut observed: Option<(LeaseSpec, Instant)> = None;
        loop {
            // The time before the request counts: others may see the new lease before the answer arrives here.
            let asked = Instant::now();
            match self.try_acquire(&mut observed).await {
                Ok(true) => {
                    self.renewed.send_replace(Some(asked));
                    return;
                }
                Ok(false) => {}
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
    ) -> Result<bool, ApiError> {
        let Some(mut lease) = call("get lease", self.api.get_opt(&self.name)).await? else {
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
                Some((last, _)) if *last == spec => return Ok(false),
                _ => {
                    *observed = Some((spec, Instant::now()));
                    return Ok(false);
                }
            }
        }
        lease.spec = Some(self.spec(Some(&spec)));
        taken(self.replace(Effect::TakeLease, &lease).await)
    }

    async fn keep(&self) {
        loop {
            tokio::time::sleep(RETRY_PERIOD).await;
            let last = self.renewed.borrow().unwrap_or_else(Instant::now);
            let left = RENEW_DEADLINE.saturating_sub(last.elapsed());
            let asked = Instant::now();
            match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(true)) => {
                    self.renewed.send_replace(Some(asked));
                }
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, %error, "cannot renew the leader lease");
                    if last.elapsed() >= RENEW_DEADLINE {
                        return;
                    }
                }
            }
        }
    }

    async fn renew(&self) -> Result<bool, ApiError> {
        let Some(mut lease) = call("get lease", self.api.get_opt(&self.name)).await? else {
            return Ok(false);
        };
        let spec = lease.spec.take().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.holder) {
            return Ok(false);
        }
        lease.spec = Some(self.spec(Some(&spec)));
        self.replace(Effect::RenewLease, &lease).await.map(|_| true)
    }

    async fn replace(&self, effect: Effect, lease: &Lease) -> Result<Lease, ApiError> {
        write::replace(effect, &self.api, &self.name, lease).await
    }

    /// Lets another replica take over at once. Call it after all work has ended.
    pub async fn release(&self) {
        let released = async {
            let Some(mut lease) = call("get lease", self.api.get_opt(&self.name)).await? else {
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

fn taken<T>(outcome: Result<T, ApiError>) -> Result<bool, ApiError> {
    match outcome {
        Ok(_) => Ok(true),
        // Another replica was faster.
        Err(ApiError::Conflict { .. } | ApiError::Refused { code: 409, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
