//! Every request in the order of its arrival, with what became of it.

use std::ops::Deref;

use crate::request::ApiRequest;
use crate::store::{Change, ChangeKind};

/// A change that a request made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What happened.
    pub kind: ChangeKind,
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The resource version that the change made.
    pub resource_version: u64,
}

impl From<&Change> for Effect {
    fn from(change: &Change) -> Self {
        Self {
            kind: change.kind,
            namespace: change.key.namespace.clone(),
            name: change.key.name.clone(),
            resource_version: change.revision,
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not yet, or never.
    Pending,
    /// With this HTTP status code.
    Code(u16),
    /// The connection broke.
    Lost,
}

/// A request, its effects on the objects, and its answer.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// The request.
    pub request: ApiRequest,
    /// What it changed itself; what the server's controllers did in consequence is not here.
    pub effects: Vec<Effect>,
    /// How it was answered.
    pub answer: Answer,
}

impl Deref for LoggedRequest {
    type Target = ApiRequest;

    fn deref(&self) -> &ApiRequest {
        &self.request
    }
}

/// The log.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<LoggedRequest>,
}

impl Log {
    /// Notes a request's arrival; its number.
    pub fn arrived(&mut self, request: ApiRequest) -> usize {
        self.entries.push(LoggedRequest { request, effects: Vec::new(), answer: Answer::Pending });
        self.entries.len() - 1
    }

    /// Notes what a request changed.
    pub fn effects(&mut self, number: usize, changes: &[Change]) {
        self.entries[number].effects = changes.iter().map(Effect::from).collect();
    }

    /// Notes how a request was answered.
    pub fn answered(&mut self, number: usize, answer: Answer) {
        self.entries[number].answer = answer;
    }

    /// All requests so far.
    pub fn entries(&self) -> &[LoggedRequest] {
        &self.entries
    }
}
