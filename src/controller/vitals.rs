//! What goes on whatever the work does: the renewal of the lease, and the answers to probes.
//!
//! The program gives them a thread of their own, so work that is busy neither loses the lease nor gets the process killed.
//! Work that hangs must do both: without the [`Pulse`] of the work loop, the lease is not renewed, and `/healthz` fails.

use std::net::TcpListener;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::health::{self, Health};
use super::metrics::Metrics;
use super::pulse::Pulse;
use super::run::RunError;
use super::serve::serve;
use crate::api::names::OPERATOR;
use crate::cluster::lease::{LeaderLease, Renewals};

/// Makes a connection to the API server that nothing else uses.
pub type OwnConnection = dyn Fn() -> kube::Result<kube::Client> + Send + Sync;
/// The vitals of a process. They end well only once they were asked to leave.
pub type Vital = BoxFuture<'static, Result<(), RunError>>;

/// What the vitals need, and what they share with the work.
pub struct Vitals {
    /// Connects to the API server from the thread of the vitals. The work's connections may hang with it.
    pub connect: Arc<OwnConnection>,
    /// The operator's own namespace.
    pub namespace: String,
    /// The unique identity of this process.
    pub holder: String,
    /// Serves `/healthz`, `/readyz` and `/metrics`.
    pub listener: Option<TcpListener>,
    /// Whether the process is ready.
    pub health: Health,
    /// Metrics.
    pub metrics: Metrics,
    /// The pulse of the work loop.
    pub pulse: Pulse,
    /// When the lease was renewed.
    pub renewals: Renewals,
    /// Asks to take the lease.
    pub lead: CancellationToken,
    /// Asks to release the lease and to end.
    pub leave: CancellationToken,
}

impl Vitals {
    /// Keeps the lease and answers probes, until asked to leave.
    pub async fn keep(mut self) -> Result<(), RunError> {
        let listener = self.listener.take();
        let router = health::router(self.health.clone(), self.metrics.clone(), self.pulse.clone());
        let served = async {
            match listener {
                None => std::future::pending().await,
                Some(listener) => serve(listener, router).await,
            }
        };
        tokio::select! {
            biased;
            // First, so that no probe keeps the lease from being renewed.
            left = self.keep_lease() => left,
            failed = served => Err(failed.into()),
        }
    }

    async fn keep_lease(&self) -> Result<(), RunError> {
        tokio::select! {
            biased;
            () = self.leave.cancelled() => return Ok(()),
            () = self.lead.cancelled() => {}
        }
        let api: Api<Lease> = Api::namespaced((self.connect)()?, &self.namespace);
        let lease = LeaderLease::new(api, OPERATOR, &self.holder, self.renewals.clone());
        tokio::select! {
            biased;
            () = self.leave.cancelled() => {
                lease.release().await;
                Ok(())
            }
            lost = lease.run(|| self.pulse.hangs_for().is_none()) => Err(lost.into()),
        }
    }
}

/// Keeps the vitals in a thread of their own, with a runtime of their own.
pub fn on_a_thread_of_its_own(vitals: Vital) -> Vital {
    let (ended, end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("vitals".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(vitals),
            Err(error) => Err(error.into()),
        };
        // The receiver is gone only if the process ends.
        let _ = ended.send(outcome);
    });
    let outcome = async {
        thread?;
        end.await.unwrap_or(Err(RunError::PartEnded("the thread of the lease and of health")))
    };
    outcome.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_runs_while_the_work_blocks_and_its_end_is_told() {
        let (sent, received) = std::sync::mpsc::channel();
        let ended = on_a_thread_of_its_own(
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                sent.send(()).unwrap();
                Err(RunError::PartEnded("it"))
            }
            .boxed(),
        );
        // This blocks the thread of the work.
        received.recv().unwrap();
        assert!(matches!(ended.await, Err(RunError::PartEnded("it"))));
    }
}
