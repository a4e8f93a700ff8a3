//! The watches, each with its own backoff. Their state is part of the health of the process.
//!
//! The caches keep only what decisions need: no managed fields and no annotations. Requests have no cache besides the state
//! machine.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Store, store::Writer};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::announce;
use super::health::Health;
use super::operator::Operator;
use super::watched::{Kept, WatchedRequest};
use crate::api::{TapPolicy, TapRequest};
use crate::decision::evidence::Ended;
use crate::decision::ids::Uid;
use crate::decision::requests::{Observed, Seen};

/// A `TapPolicy`, readable by this version or not.
pub type WatchedPolicy = DeserializeGuard<TapPolicy>;

/// The number of requests in a page of a list. The whole objects of a page are in memory at once, and each may be as large as
/// a megabyte.
pub const PAGE: u32 = 100;
/// The name of the watch of policies in messages.
pub const POLICIES: &str = "TapPolicies";
/// The name of the watch of requests in messages.
pub const REQUESTS: &str = "TapRequests";

/// How long each watch is asked to last, in seconds. The API server sends a bookmark about once a minute, so a watch on which
/// nothing has come for so long, and 5 s more, is dead: kube begins another one, on another connection.
const WATCH_SECONDS: u32 = 145;
/// The longest pause after a watch failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses of kube, but never so long that what was missed waits after the API server is back.
#[derive(Default)]
pub struct ShortBackoff(watcher::DefaultBackoff);

impl Iterator for ShortBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next()?.min(LONGEST_PAUSE))
    }
}

impl Backoff for ShortBackoff {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// The events of a watch that begins again by itself, whatever ends it or silences it. The stream must be polled.
pub fn events<K>(
    api: Api<K>,
    config: watcher::Config,
    name: &'static str,
    health: &Health,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    health.expect(name);
    let health = health.clone();
    watcher(api, config.timeout(WATCH_SECONDS))
        .backoff(ShortBackoff::default())
        .inspect(move |event| health.seen(name, event))
}

/// A cache, and the events that fill it, each after the cache has taken it. The stream must be polled.
pub fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    name: &'static str,
    health: &Health,
) -> (Store<K>, impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Clone + Eq + Hash + Send + Sync,
{
    let writer: Writer<K> = Writer::default();
    let store = writer.as_reader();
    let events = events(api, config, name, health).modify(slim);
    (store, reflector(writer, events))
}

fn slim<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    meta.annotations = None;
}

impl Operator {
    /// Forgets what is kept of a request beside the state machine, and tells that it is gone if this process leads. `last` is
    /// the request as it was seen to go.
    pub(super) fn request_is_gone(&self, uid: &Uid, known: &Observed, last: Option<&TapRequest>) {
        self.census().remove(uid);
        self.sightings().forget(uid);
        self.logs.inquiries().forget(uid);
        if self.works() {
            let generation = self.policy_generation(&known.party.policy);
            announce::gone(uid, known, last, generation);
        }
    }

    /// Takes note of a pass that ended, about which the tenant's logs are to be asked.
    fn pass_ended(&self, uid: &Uid, ended: Option<Ended>) {
        if let Some(ended) = ended {
            let now = self.clocks.now(Some(&ended.tenant_id)).earliest;
            self.logs.inquiries().see(uid, &ended, now);
        }
    }
}

/// Feeds the state machine with the events of the watch of requests, for ever.
pub async fn feed(operator: &Operator, health: &Health) {
    let api: Api<WatchedRequest> = Api::all(operator.client.clone());
    let config = watcher::Config::default().page_size(PAGE);
    let mut events = events(api, config, REQUESTS, health).boxed();
    let mut lists_as_leader = false;
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        if let watcher::Event::InitApply(request) | watcher::Event::Apply(request) = &event
            && let Some(request) = request.read()
        {
            operator.look_for_notices(request);
        }
        let (mut stands, mut shown, mut last) = (None, None, None);
        let seen = match event {
            watcher::Event::Init => {
                lists_as_leader = operator.lease.is_held();
                Seen::ListBegins
            }
            watcher::Event::InitApply(request) => {
                let Kept { uid, observed, standing, ended, .. } = request.kept();
                stands = Some((uid.clone(), standing, ended));
                Seen::Listed(uid, observed)
            }
            watcher::Event::InitDone => Seen::ListEnds,
            watcher::Event::Apply(request) => {
                let Kept { uid, observed, standing, ended, whole } = request.kept();
                stands = Some((uid.clone(), standing, ended));
                shown = whole.map(|request| (uid.clone(), Arc::new(request)));
                Seen::Applied(uid, observed)
            }
            watcher::Event::Delete(request) => {
                let uid = request.uid();
                last = request.readable();
                Seen::Deleted(uid)
            }
        };
        let ends = matches!(seen, Seen::ListEnds);
        let gone = operator.with_requests(|requests, moment| {
            let gone = requests.apply(seen, moment);
            if let Some((uid, request)) = shown {
                requests.shown(&uid, request);
            }
            // What is kept beside it lives as long as its entry.
            stands.take_if(|(uid, ..)| !requests.is_there(uid));
            gone
        });
        if let Some((uid, standing, ended)) = stands {
            operator.census().enter(&uid, standing);
            operator.pass_ended(&uid, ended);
        }
        for (uid, known) in gone {
            operator.request_is_gone(&uid, &known, last.as_ref());
        }
        if ends {
            operator.lists_of_requests.send_replace(Some(lists_as_leader));
        }
    }
}
