//! Checks whether the admission policies are as shipped and in force. They are watched, compared with the operator's own
//! copy on each change, and probed by dry runs that they must refuse.

use std::time::Duration;

use futures::stream::{BoxStream, select_all};
use futures::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fence::{AdmissionState, Fence};
use super::health::Health;
use super::operator::Operator;
use super::probe;
use super::watches::ShortBackoff;
use crate::cluster::error::{ApiError, find};
use crate::cluster::write::Trial;
use crate::decision::admission::{
    Guard, IN_FORCE_WITHIN, Probe, Probes, ServiceAccount, Shipped, guarded_in, judge, told,
};

/// How often the policies are probed.
const PROBE_EVERY: Duration = Duration::from_mins(1);
/// How often they are probed while their state is not known, or while they are as shipped but not in force yet.
const PROBE_SOON: Duration = Duration::from_secs(3);
/// On how many requests a dry run is tried while the answers are inconclusive.
const TRIES: usize = 3;

/// Watches of the required policies and bindings.
pub struct Watches {
    shipped: Vec<Shipped>,
    stream: BoxStream<'static, Seen>,
}

/// The index of an object in [`Watches::shipped`], and the object; null if it does not exist.
type Seen = (usize, watcher::Result<Value>);

impl Watches {
    /// Creates a watch for each of them. Nothing is sent before [`keep`] is polled.
    pub fn new(client: &kube::Client, health: &Health) -> Self {
        let shipped = Shipped::required();
        for object in &shipped {
            health.expect(&object.title());
        }
        health.looks_at_guard();
        let each = shipped.iter().enumerate().map(|(index, object)| {
            let seen = follow(client, object);
            seen.map(move |object| (index, object)).boxed()
        });
        let stream = select_all(each.collect::<Vec<_>>()).boxed();
        Self { shipped, stream }
    }
}

/// Watches one object by name, which needs no right to read others.
fn follow(
    client: &kube::Client,
    shipped: &Shipped,
) -> impl Stream<Item = watcher::Result<Value>> + Send + 'static {
    watch_object(api(client, shipped), &shipped.name)
        .backoff(ShortBackoff::default())
        .map(|seen| seen.map(as_value))
}

fn api(client: &kube::Client, shipped: &Shipped) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &shipped.kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

/// The object as raw JSON, because a field that this version does not know counts, too. Null if it does not exist.
fn as_value(object: Option<DynamicObject>) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// Keeps the state of the policies up to date, as long as the process runs.
pub async fn keep(
    operator: &Operator,
    watches: Watches,
    health: &Health,
    state: &watch::Sender<AdmissionState>,
    allow_unguarded: bool,
) {
    let Watches { shipped, mut stream } = watches;
    let mut keeper = Keeper {
        operator,
        found: vec![None; shipped.len()],
        shipped,
        stamp: Shipped::stamp(),
        identity: None,
        probes: Probes::default(),
        changed: None,
        guard: Guard::Unknown,
        stamp_differs: Vec::new(),
    };
    // Some dry runs need a request to try them on.
    operator.requests_are_listed().await;
    let mut next = Instant::now() + PROBE_SOON;
    loop {
        tokio::select! {
            biased;
            Some((index, seen)) = stream.next() => {
                health.heard(&keeper.shipped[index].title(), seen.as_ref().map(drop));
                if !seen.is_ok_and(|object| keeper.note(index, object)) {
                    continue;
                }
            }
            () = tokio::time::sleep_until(next) => {}
        }
        let guard = keeper.look().await;
        let changed = keeper.changed.and_then(|at| SignedDuration::try_from(at.elapsed()).ok());
        health.guarded_in(guarded_in(&guard, operator.clocks.local(), changed).unsigned_abs());
        let fence = keeper.fence(state.borrow().fence);
        next = Instant::now() + keeper.again(&guard);
        keeper.report(&guard, allow_unguarded);
        let guard = if allow_unguarded { Guard::Overridden } else { guard };
        let before = state.send_replace(AdmissionState { guard: guard.clone(), fence });
        if before.guard != guard {
            operator.wake_all();
        }
    }
}

struct Keeper<'a> {
    operator: &'a Operator,
    /// The required objects as shipped, with this operator's identity once it is known.
    shipped: Vec<Shipped>,
    /// The mutating policy and its binding as shipped, likewise.
    stamp: Vec<Shipped>,
    /// The required objects as last seen. `None` means not seen yet, null means that the object does not exist.
    found: Vec<Option<Value>>,
    /// The operator's service account. A user name that is not a service account's is an error.
    identity: Option<Result<ServiceAccount, String>>,
    probes: Probes,
    /// When one of the required objects was last seen to change.
    changed: Option<Instant>,
    /// The state that was reported last.
    guard: Guard,
    /// The differences of the mutating policy that were reported last.
    stamp_differs: Vec<String>,
}

impl Keeper<'_> {
    /// Records what a watch saw. Returns whether to check the policies now.
    fn note(&mut self, index: usize, object: Value) -> bool {
        let before = self.found[index].take();
        let same = before.as_ref().is_some_and(|before| essence(before) == essence(&object));
        self.found[index] = Some(object);
        if before.is_some() && !same {
            self.changed = Some(Instant::now());
            // Earlier probes say nothing about the new object.
            self.probes = Probes::default();
        }
        !same && self.found.iter().all(Option::is_some)
    }

    /// Compares and probes everything.
    async fn look(&mut self) -> Guard {
        self.identify().await;
        self.probe().await;
        self.look_at_stamp().await;
        match &self.identity {
            None => return Guard::Unknown,
            Some(Err(username)) => {
                return Guard::Broken(format!(
                    "the operator runs as {username}, and they recognize it only as a service account"
                ));
            }
            Some(Ok(_)) => {}
        }
        let Some(found) = self.found.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
            return Guard::Unknown;
        };
        let pairs = || self.shipped.iter().zip(&found);
        let differences: Vec<String> =
            pairs().flat_map(|(shipped, found)| shipped.differences(found)).collect();
        let youngest = pairs()
            .filter(|(shipped, _)| !shipped.is_about_secrets())
            .filter_map(|(_, found)| found["metadata"]["creationTimestamp"].as_str())
            .filter_map(|created| created.parse().ok())
            .max()
            .unwrap_or(Timestamp::MAX - IN_FORCE_WITHIN);
        let long_ago = |changed: Instant| changed.elapsed() >= IN_FORCE_WITHIN.unsigned_abs();
        judge(&differences, &self.probes, youngest, self.changed.is_none_or(long_ago))
    }

    /// Asks the API server for the operator's user name, by which the policies recognize it.
    async fn identify(&mut self) {
        if self.identity.is_some() {
            return;
        }
        let asked = Trial("ask who the operator is").who_am_i(&self.operator.client).await;
        let username = match asked {
            Ok(answer) => answer.status.and_then(|s| s.user_info).and_then(|u| u.username),
            Err(error) => {
                tracing::warn!(%error, "cannot compare the admission policies with the shipped ones");
                return;
            }
        };
        let username = username.unwrap_or_default();
        let Some(operator) = ServiceAccount::of(&username) else {
            self.identity = Some(Err(username));
            return;
        };
        let ours = |all: &[Shipped]| {
            all.iter().cloned().map(|object| object.for_operator(&operator)).collect()
        };
        (self.shipped, self.stamp) = (ours(&self.shipped), ours(&self.stamp));
        self.identity = Some(Ok(operator));
    }

    /// Tries what the policies must refuse.
    async fn probe(&mut self) {
        let Operator { client, namespace, .. } = self.operator;
        let some = self.operator.requests().some(TRIES);
        let of_requests = async {
            let mut probe = Probe::Unknown;
            for name in &some {
                if probe == Probe::Unknown {
                    probe = probe::requests(client, name, self.operator.chance).await;
                }
            }
            probe
        };
        let of_decisions = async {
            let mut probe = Probe::Unknown;
            for name in &some {
                if probe == Probe::Unknown {
                    probe = probe::decisions(client, name).await;
                }
            }
            probe
        };
        let of_secrets = probe::secrets(client, namespace, &self.probes.secrets);
        let (secrets, requests, decisions) = tokio::join!(of_secrets, of_requests, of_decisions);
        for (probe, answer) in [
            (&mut self.probes.secrets, secrets),
            (&mut self.probes.requests, requests),
            (&mut self.probes.decisions, decisions),
        ] {
            if answer != Probe::Unknown {
                *probe = answer;
            }
        }
    }

    /// Compares the mutating policy that stamps the requester. It is not required, and servers before 1.36 do not serve its
    /// kind. If it differs, it may write something else into requests: that is logged, and stops nothing.
    async fn look_at_stamp(&mut self) {
        let mut found = Vec::new();
        for shipped in &self.stamp {
            let api = api(&self.operator.client, shipped);
            match find("get the mutating policy", &api, &shipped.name).await {
                Ok(object) => found.push(as_value(object)),
                Err(ApiError::NotServed { .. }) => found.push(Value::Null),
                Err(_) => return,
            }
        }
        let there = !found.iter().all(Value::is_null) && matches!(self.identity, Some(Ok(_)));
        let differences: Vec<String> = if there {
            let pairs = self.stamp.iter().zip(&found);
            pairs.flat_map(|(shipped, found)| shipped.differences(found)).collect()
        } else {
            Vec::new()
        };
        if differences != self.stamp_differs && !differences.is_empty() {
            tracing::warn!(
                differences = told(&differences),
                "the mutating policy differs from the shipped one, and may write something else into TapRequests: apply it again"
            );
        }
        self.stamp_differs = differences;
    }

    /// Whether the policy on Secrets is in force: the last probe was refused, and no difference is seen.
    fn fence(&self, before: Fence) -> Fence {
        let differs = |(shipped, found): (&Shipped, &Option<Value>)| {
            let found = found.as_ref().filter(|_| shipped.is_about_secrets());
            found.is_some_and(|found| !shipped.differences(found).is_empty())
        };
        let known = matches!(self.identity, Some(Ok(_)));
        let differs = known && self.shipped.iter().zip(&self.found).any(differs);
        match before {
            _ if self.probes.secrets == Probe::Refused && !differs => Fence::Up,
            Fence::Up => Fence::DownSince(Instant::now()),
            down @ Fence::DownSince(_) => down,
        }
    }

    /// How long to wait before the next check if no watch sees a change.
    fn again(&self, guard: &Guard) -> Duration {
        let probes = [&self.probes.secrets, &self.probes.requests, &self.probes.decisions];
        let not_yet = probes.iter().any(|probe| matches!(probe, Probe::NotRefused(_)));
        if not_yet || *guard == Guard::Unknown { PROBE_SOON } else { PROBE_EVERY }
    }

    /// Logs a change of the state, and sets the metric.
    fn report(&mut self, guard: &Guard, allow_unguarded: bool) {
        self.operator.metrics.guards(matches!(guard, Guard::InForce(_)));
        if self.guard == *guard {
            return;
        }
        match guard {
            Guard::InForce(since) => {
                tracing::info!(%since, "the admission policies are as shipped and in force");
            }
            Guard::Broken(why) if allow_unguarded => tracing::warn!(
                why,
                "the admission policies are not in force as this version ships them, but passes are issued, because of --allow-unguarded"
            ),
            Guard::Broken(why) => tracing::error!(
                why,
                "the admission policies are not in force as this version ships them, so nothing is issued: apply them again with kubectl apply -k deploy, or your overlay, or with helm upgrade (Helm 4: --force-conflicts)"
            ),
            Guard::Unknown | Guard::Overridden if allow_unguarded => tracing::warn!(
                "it is not known whether the admission policies are in force, but passes are issued, because of --allow-unguarded"
            ),
            Guard::Unknown | Guard::Overridden => tracing::warn!(
                "it is not known whether the admission policies are in force; nothing is issued until it is"
            ),
        }
        self.guard = guard.clone();
    }
}

/// The parts of an object that determine its effect.
fn essence(object: &Value) -> [&Value; 3] {
    let metadata = &object["metadata"];
    [&object["spec"], &metadata["creationTimestamp"], &metadata["deletionTimestamp"]]
}
