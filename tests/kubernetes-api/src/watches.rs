//! The watches that are open.

use std::collections::BTreeMap;

use crate::faults::{Match, WatchEnd};
use crate::request::ApiRequest;

/// The watches that are open.
#[derive(Debug, Default)]
pub struct Watches {
    opened: u64,
    open: BTreeMap<u64, (ApiRequest, Option<WatchEnd>)>,
}

impl Watches {
    /// Opens one, and returns its id.
    pub fn open(&mut self, request: ApiRequest) -> u64 {
        self.opened += 1;
        self.open.insert(self.opened, (request, None));
        self.opened
    }

    /// Forgets one.
    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// How one is broken, if it is.
    pub fn end_of(&self, id: u64) -> Option<WatchEnd> {
        self.open.get(&id).and_then(|(_, end)| *end)
    }

    /// Breaks the open watches that match; how many.
    pub fn end(&mut self, requests: &Match, end: WatchEnd) -> usize {
        let matching = self.open.values_mut().filter(|(request, _)| requests.matches(request));
        matching.map(|watch| watch.1 = Some(end)).count()
    }

    /// The requests of the open watches.
    pub fn requests(&self) -> impl Iterator<Item = &ApiRequest> {
        self.open.values().map(|(request, _)| request)
    }
}
