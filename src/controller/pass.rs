//! One pass over a request: what it has read and done so far, and what the process remembers from earlier ones.

use std::sync::Arc;

use super::places::Place;
use crate::api::{Decision, TapPolicy, TapRequest};
use crate::decision::intent::{Intent, has_finalizer};
use crate::decision::life::situation::{Memory, Progress, Reads};
use crate::graph::PassCode;
use jiff::Timestamp;
use kube::Api;
use kube::core::DeserializeGuard;

/// What one process remembers of a request.
#[derive(Default)]
pub struct Remembered {
    /// What decisions may know.
    pub memory: Memory,
    /// The code, between Graph's answer and the Secret.
    pub code: Option<PassCode>,
    /// Uid of the Secret that this process created.
    pub secret_uid: Option<String>,
    /// Decisions of people that were told of.
    pub told: Vec<Decision>,
    /// Whether the last pass over the request ended because something is still being looked at, which is no success.
    pub awaiting_a_look: bool,
    /// Failures in a row.
    pub failures: u32,
}

impl Remembered {
    /// Forgets an attempt that the request, as it was just read, does not carry: it was not recorded, or it is over. What
    /// Graph answered with is not forgotten.
    pub fn drop_unrecorded(&mut self, request: &TapRequest) {
        let carried = Intent::of(request).filter(|i| i.is_open() && has_finalizer(request));
        self.memory.attempt.take_if(|attempt| {
            !matches!(attempt.progress, Progress::Held(_))
                && carried.is_none_or(|i| i.attempt != attempt.intent.attempt)
        });
    }

    /// Whether Graph answered with a pass that is neither recorded nor taken back yet.
    pub fn holds_an_answer(&self) -> bool {
        let attempt = self.memory.attempt.as_ref();
        attempt.is_some_and(|attempt| matches!(attempt.progress, Progress::Held(_)))
    }
}

/// One pass over a request.
pub struct Pass<'a> {
    /// The request as it was last read or written.
    pub request: TapRequest,
    /// The policy that it names.
    pub policy: Option<Arc<DeserializeGuard<TapPolicy>>>,
    /// What was read.
    pub reads: Reads,
    /// What is remembered.
    pub remembered: &'a mut Remembered,
    /// Its place among those that wait for answers of tenants on the way to an issue.
    pub place: Option<Place>,
    /// Graph's time, at least.
    pub now: Timestamp,
    /// Whether the request must be read again before anything more is decided.
    pub outdated: bool,
    /// Whether the request is no longer there.
    pub gone: bool,
}

/// The API of the requests in a request's namespace.
pub fn requests(client: &kube::Client, request: &TapRequest) -> Api<TapRequest> {
    Api::namespaced(client.clone(), request.metadata.namespace.as_deref().unwrap_or_default())
}

/// A request's name.
pub fn name(request: &TapRequest) -> String {
    request.metadata.name.clone().unwrap_or_default()
}

/// namespace/name of a request, for readers.
pub fn name_of(request: &TapRequest) -> String {
    format!("{}/{}", request.metadata.namespace.as_deref().unwrap_or_default(), name(request))
}
