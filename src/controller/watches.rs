//! The watches, each with a backoff of its own, and a health that shows when one is not live.

use std::fmt::Debug;
use std::hash::Hash;

use futures::{Stream, StreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Store, store::Writer};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::health::Health;
use crate::api::{TapPolicy, TapRequest};

/// A `TapRequest` that this version may not be able to read.
pub type GuardedRequest = DeserializeGuard<TapRequest>;
/// A `TapPolicy` that this version may not be able to read.
pub type GuardedPolicy = DeserializeGuard<TapPolicy>;

/// A cache and the stream that fills it; it yields each object that was seen to change, and must be polled.
pub fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    name: &'static str,
    health: &Health,
) -> (Store<K>, impl Stream<Item = watcher::Result<K>> + Send + 'static)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Clone + Eq + Hash + Send + Sync,
{
    let writer: Writer<K> = Writer::default();
    let store = writer.as_reader();
    health.expect(name);
    let health = health.clone();
    let events =
        watcher(api, config).default_backoff().inspect(move |event| health.seen(name, event));
    (store, reflector(writer, events).touched_objects())
}
