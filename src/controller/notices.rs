//! Tells receivers outside of the cluster what happens. Each has its own queue and its own deliveries, and nothing waits
//! for them: a notice is put into the queues, and whoever put it there goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::metrics::{Fate, Metrics};
use super::operator::Operator;
use crate::api::{Drift, TapPolicy, TapRequest};
use crate::decision::Reason;
use crate::decision::report::whole_second;
use crate::decision::stop::StopOrder;
use crate::graph::{SendOptions, Transport};
use crate::notice::{
    self, Kind, Notice, OfPolicy, Queue, Receiver, Receivers, Recent, Subject, Verdict,
};

/// The longest that one attempt may take, from the connection to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a notice is tried to be sent before it is dropped.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// How long nothing is sent to a receiver that said that it wants nothing any more (410).
const AFTER_GONE: Duration = Duration::from_hours(1);
/// How often it is logged at most that a receiver fails, or that notices are dropped.
const TOLD_EVERY: Duration = Duration::from_mins(10);

/// Who is told, and how it is reached.
#[derive(Debug)]
pub struct Told {
    /// The receivers.
    pub receivers: Receivers,
    /// The way to them. It follows no redirect.
    pub transport: Arc<dyn Transport>,
}

/// The notices of this process.
pub struct Notices {
    source: Option<String>,
    transport: Option<Arc<dyn Transport>>,
    outboxes: Vec<Outbox>,
    recent: Mutex<Recent>,
    metrics: Metrics,
}

/// What one receiver is to be told.
struct Outbox {
    receiver: Receiver,
    /// With the time since when each waits.
    waiting: Mutex<Queue<Instant>>,
    arrived: Notify,
    trouble: Mutex<Trouble>,
}

/// What was logged about a receiver, so that the log does not fill with it.
#[derive(Debug, Default)]
struct Trouble {
    fails: bool,
    told: BTreeMap<&'static str, Instant>,
    /// Notices that were lost since that was logged.
    lost: u64,
}

impl Notices {
    /// The notices for these receivers; for nobody if there are none.
    pub fn new(told: Option<Told>, metrics: &Metrics) -> Self {
        let (receivers, transport) = match told {
            Some(Told { receivers, transport }) => (Some(receivers), Some(transport)),
            None => (None, None),
        };
        let source = receivers.as_ref().and_then(|receivers| receivers.source.clone());
        let outbox = |receiver: Receiver| {
            metrics.receiver_came(&receiver.name);
            let (waiting, arrived, trouble) = Default::default();
            Outbox { receiver, waiting, arrived, trouble }
        };
        let outboxes = receivers.into_iter().flat_map(|receivers| receivers.all);
        Self {
            source,
            transport,
            outboxes: outboxes.map(outbox).collect(),
            recent: Mutex::default(),
            metrics: metrics.clone(),
        }
    }

    /// Puts a notice into the queue of each receiver whose filter it passes.
    fn post(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for outbox in self.outboxes.iter().filter(|to| to.receiver.filter.passes(&notice)) {
            let dropped = outbox.waiting().push(Arc::clone(&notice), Instant::now());
            outbox.arrived.notify_one();
            if dropped.is_some() {
                self.lose(outbox, Fate::Dropped, "too many notices wait for it");
            }
            self.count_waiting(outbox);
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is put into the queues, to each receiver in order and to all beside each other, for ever.
    pub async fn deliver(&self, operator: &Operator) {
        join_all(self.outboxes.iter().map(|outbox| self.deliver_to(outbox, operator))).await;
        std::future::pending::<()>().await;
    }

    async fn deliver_to(&self, outbox: &Outbox, operator: &Operator) {
        let name = &outbox.receiver.name;
        let mut failures = 0;
        loop {
            let (notice, since) = outbox.next().await;
            self.count_waiting(outbox);
            loop {
                if since.elapsed() >= GIVEN_UP_AFTER {
                    self.lose(outbox, Fate::Dropped, "it could not be told for a day");
                    break;
                }
                let verdict = self.attempt(outbox, &notice, operator.clocks.wall()).await;
                // One that refuses a notice takes others.
                if matches!(verdict, Verdict::Delivered | Verdict::Refused(_)) {
                    failures = 0;
                    outbox.works();
                    self.metrics.receiver_works(name, true);
                }
                match verdict {
                    Verdict::Delivered => {
                        self.metrics.noticed(name, Fate::Delivered);
                        break;
                    }
                    Verdict::Refused(why) => {
                        self.lose(outbox, Fate::Refused, &why);
                        break;
                    }
                    Verdict::Gone => {
                        self.metrics.receiver_works(name, false);
                        let why =
                            "it answered that it is gone (410): nothing is sent to it for an hour";
                        self.lose(outbox, Fate::Refused, why);
                        sleep(AFTER_GONE).await;
                        break;
                    }
                    Verdict::Later(why, at_least) => {
                        self.metrics.receiver_works(name, false);
                        outbox.fails(&why);
                        let at_least =
                            at_least.and_then(|wait| SignedDuration::try_from(wait).ok());
                        sleep(operator.chance.backoff(name, failures, at_least)).await;
                        failures = failures.saturating_add(1);
                    }
                }
            }
        }
    }

    async fn attempt(&self, outbox: &Outbox, notice: &Notice, now: Timestamp) -> Verdict {
        let Some(transport) = &self.transport else { return Verdict::Gone };
        let request = match notice::request(&outbox.receiver, notice, self.source.as_deref(), now) {
            Ok(request) => request,
            Err(unreadable) => return Verdict::Later(unreadable.to_string(), None),
        };
        match timeout(DEADLINE, transport.send(request, SendOptions::default())).await {
            Ok(answer) => notice::verdict(answer.as_ref(), now),
            Err(_) => Verdict::Later(format!("it took longer than {} s", DEADLINE.as_secs()), None),
        }
    }

    /// Counts a notice that the receiver will never get, and logs it, not too often.
    fn lose(&self, outbox: &Outbox, fate: Fate, why: &str) {
        let receiver = &outbox.receiver.name;
        self.metrics.noticed(receiver, fate);
        let mut trouble = outbox.trouble();
        trouble.lost += 1;
        if trouble.is_due(fate.label()) {
            let lost = std::mem::take(&mut trouble.lost);
            tracing::warn!(receiver, lost, why, "the receiver does not get all notices");
        }
    }

    fn count_waiting(&self, outbox: &Outbox) {
        let waiting = outbox.waiting().len();
        self.metrics.notices_wait(&outbox.receiver.name, waiting);
    }
}

impl Outbox {
    fn waiting(&self) -> MutexGuard<'_, Queue<Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next notice, when there is one.
    async fn next(&self) -> (Arc<Notice>, Instant) {
        loop {
            let next = self.waiting().pop();
            match next {
                Some(next) => return next,
                None => self.arrived.notified().await,
            }
        }
    }

    /// The receiver failed.
    fn fails(&self, why: &str) {
        let mut trouble = self.trouble();
        let began = !std::mem::replace(&mut trouble.fails, true);
        if trouble.is_due("fails") || began {
            let receiver = &self.receiver.name;
            tracing::warn!(receiver, why, "the receiver of notices cannot be told; trying again");
        }
    }

    /// The receiver took a notice.
    fn works(&self) {
        let mut trouble = self.trouble();
        let lost = std::mem::take(&mut trouble.lost);
        if std::mem::take(&mut trouble.fails) || lost > 0 {
            let receiver = &self.receiver.name;
            tracing::info!(receiver, lost, "the receiver of notices is told again");
        }
    }
}

impl Trouble {
    /// Whether it is long enough ago that this was logged; then it is logged now.
    fn is_due(&mut self, what: &'static str) -> bool {
        let is_due = self.told.get(what).is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if is_due {
            self.told.insert(what, Instant::now());
        }
        is_due
    }
}

impl Operator {
    /// The watch shows a request: what is news in it is told if this process leads, and kept otherwise.
    pub fn look_for_notices(&self, request: &TapRequest) {
        if self.notices.outboxes.is_empty() {
            return;
        }
        let shown = notice::shown(request);
        if shown.is_empty() {
            return;
        }
        let tenant = self.tenant_behind(&request.spec.policy_ref.name);
        let tenant_id = tenant.map(|tenant| tenant.connection.tenant_id.as_str());
        let now = self.clocks.now(tenant_id).earliest;
        for shown in shown {
            let seen =
                self.notices.recent().see(shown, now, |shown| Notice::of_request(request, shown));
            if let Some(notice) = seen {
                self.tell(notice);
            }
        }
    }

    /// This process works from now on: it tells what happened shortly before, too.
    pub fn begin_to_tell(&self) {
        let now = self.clocks.now(None).earliest;
        let kept = self.notices.recent().begin(now);
        for notice in kept {
            self.tell(notice);
        }
    }

    /// Tells receivers outside of the cluster. It returns at once.
    pub fn tell(&self, mut notice: Notice) {
        if let (Kind::AwaitingApproval, Subject::Request(of_request)) =
            (notice.kind, &mut notice.subject)
        {
            let policy = self.stores.policies.get(&ObjectRef::new(&of_request.about.policy));
            let readable = policy.as_deref().and_then(|policy| policy.0.as_ref().ok());
            let approval =
                readable.and_then(|policy| policy.spec.issuance.as_ref()?.approval.as_ref());
            of_request.contact = approval.and_then(|approval| approval.contact.clone());
        }
        self.notices.post(notice);
    }

    /// Tells that a tenant differs from a policy, or was corrected.
    pub fn tell_drift(&self, policy: &TapPolicy, drift: &[Drift], reason: Reason) {
        let connection = self.tenants.get(&policy.spec.tenant).map(|tenant| &tenant.connection);
        let tenant_id = connection.map(|connection| connection.tenant_id.clone());
        let now = self.clocks.now(tenant_id.as_deref()).earliest;
        let change = tenant_id.as_deref().and_then(|tenant_id| self.logs.last_change(tenant_id));
        let (changed_by, changed_at) = change.map(|(by, at)| (by, at.to_string())).unzip();
        let of_policy = OfPolicy {
            policy: policy.name_any(),
            policy_generation: policy.metadata.generation,
            connection: policy.spec.tenant.clone(),
            tenant_id,
            differences: OfPolicy::differences(drift),
            changed_by,
            changed_at,
        };
        let uid = policy.uid().unwrap_or_default();
        self.tell(Notice::of_drift(&uid, of_policy, reason, whole_second(now)));
    }

    /// Tells that the emergency stop came, changed or went. `version` is that of its `ConfigMap`.
    pub fn tell_stop(&self, version: &str, order: &StopOrder, active_passes: usize, again: bool) {
        let now = whole_second(self.clocks.wall());
        self.tell(Notice { again, ..Notice::of_stop(version, order, active_passes, now) });
    }
}
