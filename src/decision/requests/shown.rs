//! Requests as the watch showed them last, whole, so that a reconcile can begin without a read.
//!
//! Only those are kept that hold nothing: no finalizer, no intent, no end. Whatever is decided from such a version begins with
//! a write that is conditional on it, so an older one costs a conflict, after which the request is read.

use std::sync::Arc;

use super::Requests;
use super::entry::{AsRead, Entry};
use super::observed::Version;
use super::ordered::Map;
use super::schedule::AT_ONCE;
use crate::api::TapRequest;
use crate::decision::ids::Uid;
use crate::decision::intent::{has_finalizer, has_intent};

/// Whole requests until their reconciles begin. As many as can be reconciled at once: what a flood shows is read later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shown(Map<Uid, AsRead>);

impl Shown {
    fn keep(&mut self, uid: &Uid, request: Arc<TapRequest>) {
        self.0.remove(uid);
        if self.0.len() < AT_ONCE {
            self.0.insert(uid.clone(), AsRead(request));
        }
    }

    /// The request as it was shown, if that is the version that is known and nothing of an attempt is remembered.
    pub fn take(&mut self, uid: &Uid, entry: &Entry) -> Option<AsRead> {
        let shown = self.0.remove(uid)?;
        let known = entry.observed.as_ref().map(|observed| &observed.version);
        let remembers = entry.work.as_ref().is_some_and(|work| work.memory.attempt.is_some());
        (known == Some(&Version::of(&shown.0.metadata)) && !remembers).then_some(shown)
    }

    pub fn forget(&mut self, uid: &Uid) {
        self.0.remove(uid);
    }
}

impl Requests {
    /// The whole of a version that was applied, for the reconcile that follows.
    pub fn shown(&mut self, uid: &Uid, request: Arc<TapRequest>) {
        let holds_nothing =
            !has_finalizer(&request) && !has_intent(&request) && !request.phase().is_final();
        let waits = self.entries.get(uid).is_some_and(|entry| entry.due.is_some());
        if holds_nothing && waits {
            self.shown.keep(uid, request);
        } else {
            self.shown.forget(uid);
        }
    }
}
