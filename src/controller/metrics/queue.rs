//! The queue of requests that are due, under the names of client-go's work queues.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::{Duration, Instant};

use super::lives::Controller;
use super::{Histograms, catalog, histograms, register};

/// In seconds. A request waits only while as many reconciles go on as may.
const QUEUE_SECONDS: [f64; 8] = [0.005, 0.05, 0.5, 1.0, 10.0, 60.0, 300.0, 1800.0];
/// In seconds. A reconcile without a call takes milliseconds, one that waits for Graph minutes.
const WORK_SECONDS: [f64; 10] = [0.005, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 300.0];

/// The labels of a work queue: controller-runtime has both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfQueue {
    name: &'static str,
    controller: &'static str,
}

/// The reconciles that go on, by the order in which they began.
#[derive(Debug, Default)]
struct Running {
    began: BTreeMap<u64, Instant>,
    next: u64,
}

/// What is counted of the reconciles of requests.
#[derive(Clone, Debug)]
pub(super) struct WorkQueue {
    adds: Family<OfQueue, Counter>,
    retries: Family<OfQueue, Counter>,
    queue_seconds: Histograms<OfQueue>,
    work_seconds: Histograms<OfQueue>,
    running: Arc<Mutex<Running>>,
}

/// A reconcile that goes on, until this is dropped.
#[derive(Debug)]
pub struct Working {
    queue: WorkQueue,
    number: u64,
}

impl WorkQueue {
    pub fn register(registry: &mut Registry) -> Self {
        let queue = Self {
            adds: Family::default(),
            retries: Family::default(),
            queue_seconds: histograms(|| Histogram::new(QUEUE_SECONDS)),
            work_seconds: histograms(|| Histogram::new(WORK_SECONDS)),
            running: Arc::default(),
        };
        register(registry, &catalog::QUEUE_ADDS, &queue.adds);
        register(registry, &catalog::QUEUE_RETRIES, &queue.retries);
        register(registry, &catalog::QUEUE_SECONDS, &queue.queue_seconds);
        register(registry, &catalog::WORK_SECONDS, &queue.work_seconds);
        let _ = queue.adds.get_or_create(&of_queue());
        let _ = queue.retries.get_or_create(&of_queue());
        queue
    }

    /// A reconcile begins, of a request that was due so long before.
    pub fn begin(&self, waited: Duration) -> Working {
        self.queue_seconds.get_or_create(&of_queue()).observe(waited.as_secs_f64());
        self.adds.get_or_create(&of_queue()).inc();
        let mut running = self.running();
        let number = running.next;
        running.next += 1;
        running.began.insert(number, Instant::now());
        Working { queue: self.clone(), number }
    }

    pub fn retry(&self) {
        self.retries.get_or_create(&of_queue()).inc();
    }

    /// How long all reconciles that go on have taken so far, and the longest of them, in seconds.
    pub fn unfinished(&self) -> (f64, f64) {
        let running = self.running();
        let all = running.began.values().map(|began| began.elapsed().as_secs_f64());
        all.fold((0.0, 0.0), |(sum, longest), took| (sum + took, longest.max(took)))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let began = self.queue.running().began.remove(&self.number);
        if let Some(began) = began {
            self.queue
                .work_seconds
                .get_or_create(&of_queue())
                .observe(began.elapsed().as_secs_f64());
        }
    }
}

/// The values of the labels `name` and `controller`.
pub(super) fn labels() -> [String; 2] {
    let name = Controller::Requests.label();
    [name.into(), name.into()]
}

fn of_queue() -> OfQueue {
    let name = Controller::Requests.label();
    OfQueue { name, controller: name }
}
