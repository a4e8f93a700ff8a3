//! All that the server holds, behind one lock.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission::Admission;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::log::Log;
use crate::resource::{Registry, Resource};
use crate::store::{Key, Store};
use crate::watches::Watches;

/// When the garbage collector and the namespace controller work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Controllers {
    /// At once, after each change.
    #[default]
    Eager,
    /// Only when the test says so.
    Stepped,
}

/// The server's state.
#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub registry: Registry,
    pub store: Store,
    pub admission: Admission,
    pub faults: Faults,
    pub log: Log,
    pub watches: Watches,
    pub controllers: Controllers,
    /// The minor version that `/version` tells.
    pub minor: String,
    ids: u64,
}

impl State {
    /// A server that has just been set up: the usual namespaces, nothing else.
    pub fn new(start: Timestamp) -> Self {
        let mut state = Self {
            clock: Clock::starting_at(start),
            registry: Registry::default(),
            store: Store::default(),
            admission: Admission::default(),
            faults: Faults::default(),
            log: Log::default(),
            watches: Watches::default(),
            controllers: Controllers::default(),
            minor: "36".into(),
            ids: 0,
        };
        for namespace in ["default", "kube-system"] {
            state.put(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            );
        }
        state
    }

    /// The next uid: they count up, so that a run repeats itself.
    pub fn next_uid(&mut self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.next_id())
    }

    /// What a generated name ends in.
    pub fn next_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut id = self.next_id();
        let mut suffix = String::new();
        for _ in 0..5 {
            let digit = id % LETTERS.len() as u64;
            id /= LETTERS.len() as u64;
            suffix.push(char::from(LETTERS[usize::try_from(digit).unwrap_or_default()]));
        }
        suffix
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Writes an object as it is, past admission, validation and subresources: status included. What the server sets and
    /// the object leaves out (uid, creation time, generation, default status) is kept or made up.
    ///
    /// # Panics
    /// If the object's kind is not served.
    pub fn put(&mut self, object: Value) -> Value {
        let resource = self.resource_of(&object);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = Key::new(&resource, &namespace, &name);
        let mut stored = resource.store(object);
        let old = self.store.get(&key);
        self.complete(&resource, &key, old.as_deref(), &mut stored);
        resource.serve(&self.store.put(key, stored))
    }

    fn resource_of(&self, object: &Value) -> Resource {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        self.registry
            .of_kind(api_version, kind)
            .unwrap_or_else(|| panic!("{api_version} {kind} is not served"))
            .clone()
    }
}
