//! Metrics, in the classic text format or that of `OpenMetrics`. Labels name policies and connections, whose number is
//! bounded by the administrators; no label names a person or a request.
//!
//! | file | what is in it |
//! |---|---|
//! | `catalog` | every metric, described once |
//! | `calls`, `lives`, `notices`, `queue` | what is counted while it happens |
//! | `live`, `process` | what is read at each scrape |
//! | `exposition` | the formats |

mod calls;
pub mod catalog;
mod exposition;
mod live;
mod lives;
mod notices;
mod process;
mod queue;

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::calls::Calls;
use self::catalog::{Kind, Metric};
pub use self::exposition::Format;
use self::live::Live;
pub use self::lives::Controller;
use self::lives::Lives;
pub use self::notices::Fate;
use self::notices::Notices;
use self::process::Process;
use self::queue::WorkQueue;
pub use self::queue::Working;
use super::operator::Operator;
use crate::api::Phase;
use crate::api::names::OPERATOR;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;
use crate::graph::Report;
use crate::version::{COMMIT, VERSION};

/// The metrics of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Calls,
    lives: Lives,
    notices: Notices,
    queue: WorkQueue,
    live: Live,
    leading: Gauge,
    guarded: Gauge,
    stopped: Gauge,
    stop_not_understood: Gauge,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

fn histograms<L: Clone + std::hash::Hash + Eq>(new: fn() -> Histogram) -> Histograms<L> {
    Family::new_with_constructor(new)
}

/// Registers a metric under the name and with the help of the catalog.
fn register<M>(registry: &mut Registry, metric: &Metric, as_what: &M)
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(metric.family(), metric.help, as_what.clone());
}

/// Writes the samples of a metric: the values of its labels, and its value. Without samples the metric is left out.
fn sample<const N: usize>(
    encoder: &mut DescriptorEncoder,
    metric: &Metric,
    samples: impl IntoIterator<Item = ([String; N], f64)>,
) -> fmt::Result {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let help = format!("{}.", metric.help);
    let mut family = encoder.encode_descriptor(metric.family(), &help, None, kind)?;
    for (values, value) in samples {
        debug_assert_eq!(values.len(), metric.labels.len(), "{}", metric.name);
        let labels: Vec<(&str, &str)> =
            metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
        if labels.is_empty() {
            encode_value(&mut family, metric.kind, value)?;
        } else {
            encode_value(&mut family.encode_family(&labels)?, metric.kind, value)?;
        }
    }
    Ok(())
}

fn encode_value(series: &mut MetricEncoder, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Counter => series.encode_counter::<[(&str, &str); 0], f64, f64>(&value, None),
        Kind::Gauge | Kind::Histogram => series.encode_gauge(&value),
    }
}

/// A number as a value: above 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "values of metrics are floating point numbers")]
fn float(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let gauge = |registry: &mut Registry, metric: &Metric| {
            let gauge = Gauge::default();
            register(registry, metric, &gauge);
            gauge
        };
        let leading = Family::<[(&str, &str); 1], Gauge>::default();
        register(&mut registry, &catalog::LEADING, &leading);
        let build = Family::<[(&str, &str); 2], Gauge>::default();
        register(&mut registry, &catalog::BUILD, &build);
        build.get_or_create(&[("version", VERSION), ("commit", COMMIT)]).set(1);
        let live = Live::default();
        let queue = WorkQueue::register(&mut registry);
        registry.register_collector(Box::new(Process));
        registry.register_collector(Box::new(live.collector(queue.clone())));
        Self {
            calls: Calls::register(&mut registry),
            lives: Lives::register(&mut registry),
            notices: Notices::register(&mut registry),
            queue,
            live,
            leading: leading.get_or_create_owned(&[("name", OPERATOR)]),
            guarded: gauge(&mut registry, &catalog::GUARDED),
            stopped: gauge(&mut registry, &catalog::STOPPED),
            stop_not_understood: gauge(&mut registry, &catalog::STOP_NOT_UNDERSTOOD),
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// What this operator knows is read at each scrape from now on.
    pub fn attach(&self, operator: &Arc<Operator>) {
        for connection in operator.tenants.keys() {
            self.calls.begin(connection);
            self.lives.begin_connection(connection);
        }
        self.live.attach(operator);
    }

    /// Counts a request that entered a phase, for this reason.
    pub fn entered(&self, phase: Phase, reason: &str) {
        self.lives.entered(phase, reason);
    }

    /// Counts a pass that was issued through a policy, and how long that took.
    pub fn issued(&self, policy: &str, took: SignedDuration) {
        self.lives.issued(policy, took);
    }

    /// Counts the approval of a request that names a policy, and how long that took.
    pub fn approved(&self, policy: &str, took: SignedDuration) {
        self.lives.approved(policy, took);
    }

    /// A policy came: its counters begin.
    pub fn policy_came(&self, policy: &str) {
        self.lives.begin(policy);
    }

    /// A policy went, and its series go with it.
    pub fn policy_went(&self, policy: &str) {
        self.lives.forget(policy);
    }

    /// Counts a failed reconcile.
    pub fn reconcile_failed(&self, controller: Controller) {
        self.lives.failed(controller);
    }

    /// A request is reconciled, until the value that is returned is dropped.
    pub fn reconciling(&self, waited: std::time::Duration) -> Working {
        self.queue.begin(waited)
    }

    /// Counts a reconcile that is repeated after a pause that grows.
    pub fn retries(&self) {
        self.queue.retry();
    }

    /// Counts a correction of a tenant's method for a policy.
    pub fn drift_corrected(&self, policy: &str) {
        self.lives.corrected(policy);
    }

    /// Counts a pass that no request records, by the connection through which the tenant's audit log was read.
    pub fn foreign_pass(&self, connection: &str) {
        self.lives.foreign_pass(connection);
    }

    /// Counts sign-ins with a pass that failed, by the number of Entra's error.
    pub fn pass_sign_ins_failed(&self, error: i32, count: u32) {
        self.lives.sign_ins_failed(error, count);
    }

    /// Counts what a Graph client reports of a connection.
    pub fn report(&self, connection: &str, report: &Report<'_>) {
        self.calls.report(connection, report);
    }

    /// There is this receiver of notices: its counters begin.
    pub fn receiver_came(&self, receiver: &str) {
        self.notices.begin(receiver);
    }

    /// Counts a notice to a receiver that has ended like this.
    pub fn noticed(&self, receiver: &str, fate: Fate) {
        self.notices.ended(receiver, fate);
    }

    /// Sets how many notices wait for a receiver.
    pub fn notices_wait(&self, receiver: &str, number: usize) {
        self.notices.waits(receiver, number);
    }

    /// Sets whether a receiver took the last notice that was sent to it.
    pub fn receiver_works(&self, receiver: &str, works: bool) {
        self.notices.works(receiver, works);
    }

    /// Sets whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// Sets whether the admission policies are as shipped and in force.
    pub fn guards(&self, guards: bool) {
        self.guarded.set(i64::from(guards));
    }

    /// Sets what the emergency stop orders.
    pub fn stops(&self, order: &StopOrder) {
        self.stopped.set(i64::from(order.stop != Stop::Off));
        self.stop_not_understood.set(i64::from(order.not_understood.is_some()));
    }

    /// All metrics as text.
    pub fn text(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Classic => exposition::classic(&text),
        }
    }
}
