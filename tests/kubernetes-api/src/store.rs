//! The objects, and the history of their changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::resource::{Resource, metadata};

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// [`Resource::storage`].
    pub storage: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl Key {
    /// The place of an object of `resource`.
    pub fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        let namespace = if resource.namespaced { namespace } else { "" };
        Self { storage: resource.storage(), namespace: namespace.into(), name: name.into() }
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// It was written.
    Updated,
    /// It is gone.
    Deleted,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resource version that the change made.
    pub revision: u64,
    /// Which object.
    pub key: Key,
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change; a deleted one as it was last, at this resource version.
    pub object: Arc<Value>,
    /// The object before the change.
    pub previous: Option<Arc<Value>>,
    /// When.
    pub at: Instant,
}

/// Objects with one resource version for all of them, as in etcd. The history is kept whole; compaction is a mark in it.
#[derive(Debug)]
pub struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    revision: u64,
    compacted: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), history: Vec::new(), revision: 1, compacted: 0 }
    }
}

impl Store {
    /// The resource version of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest resource version from which history can be told.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets the history up to now.
    pub fn compact(&mut self) {
        self.compacted = self.revision;
    }

    /// An object as it is.
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    /// Every object.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Writes an object at the next resource version.
    pub fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        metadata(&mut object).insert("resourceVersion".into(), self.revision.to_string().into());
        let object = Arc::new(object);
        let previous = self.objects.insert(key.clone(), Arc::clone(&object));
        let kind = if previous.is_some() { ChangeKind::Updated } else { ChangeKind::Created };
        self.remember(key, kind, Arc::clone(&object), previous);
        object
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &Key) {
        let Some(previous) = self.objects.remove(key) else { return };
        self.revision += 1;
        let mut last = Value::clone(&previous);
        metadata(&mut last).insert("resourceVersion".into(), self.revision.to_string().into());
        self.remember(key.clone(), ChangeKind::Deleted, Arc::new(last), Some(previous));
    }

    fn remember(
        &mut self,
        key: Key,
        kind: ChangeKind,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let revision = self.revision;
        self.history.push(Change { revision, key, kind, object, previous, at: Instant::now() });
    }

    /// The changes after a resource version, oldest first.
    pub fn since(&self, revision: u64) -> &[Change] {
        let first = self.history.partition_point(|change| change.revision <= revision);
        self.history.get(first..).unwrap_or_default()
    }

    /// The objects of a resource, in one namespace or (`None`) all, as they were at a resource version.
    pub fn at(
        &self,
        storage: &str,
        namespace: Option<&str>,
        revision: u64,
    ) -> BTreeMap<Key, Arc<Value>> {
        let within = |key: &Key| {
            key.storage == storage && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let mut objects: BTreeMap<_, _> = self
            .objects
            .iter()
            .filter(|(key, _)| within(key))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for change in self.since(revision).iter().rev().filter(|change| within(&change.key)) {
            match &change.previous {
                Some(previous) => objects.insert(change.key.clone(), Arc::clone(previous)),
                None => objects.remove(&change.key),
            };
        }
        objects
    }
}
