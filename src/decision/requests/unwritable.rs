//! Secrets that the API server does not write. Each attempt that finds out makes a pass and takes it back, which the tenant's
//! audit log shows and which ends the user's sessions. So after a failure one request at a time finds out for all.
//!
//! What is refused is often refused in one namespace only, so a refusal makes only the requests of its namespace wait. A
//! server that is busy, or gives no answer, makes those of the whole cluster wait.

use std::sync::Arc;

use jiff::Timestamp;

use super::ordered::Set;
use super::{Moment, Requests};
use crate::decision::clock::{Now, later};
use crate::decision::ids::Uid;
use crate::decision::situation::{Cause, PAUSE, Secrets, Setback};

/// What went wrong with the last Secrets, of whichever request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unwritable {
    setback: Setback,
    /// The request that finds out whether Secrets can be written again.
    tried_by: Option<Uid>,
    /// Those that wait for it.
    waiting: Set<Uid>,
}

/// Where Secrets are not written: in one namespace, or (`None`) in the whole cluster.
pub(super) type Scope = Option<Arc<str>>;

impl Requests {
    /// Whether a request may attempt to have its Secret written.
    pub(super) fn may_write_secret(&mut self, uid: &Uid, now: Now) -> Secrets {
        let scopes = [None, Some(self.namespace_of(uid))];
        let mut again = None;
        for scope in &scopes {
            let Some(unwritable) = self.unwritable.get_mut(scope) else { continue };
            let from = unwritable.again(uid, now);
            if now.earliest < from {
                unwritable.waiting.insert(uid.clone());
                again = again.max(Some(from));
            }
        }
        if let Some(again) = again {
            return Secrets::Unwritable { again };
        }
        for scope in &scopes {
            if let Some(unwritable) = self.unwritable.get_mut(scope) {
                unwritable.tried_by = Some(uid.clone());
            }
        }
        Secrets::Writable
    }

    /// The Secret of a request was written: nobody waits any longer.
    pub(super) fn secret_was_written(&mut self, uid: &Uid, moment: Moment) {
        for scope in [None, Some(self.namespace_of(uid))] {
            if let Some(unwritable) = self.unwritable.remove(&scope) {
                self.call(unwritable.waiting.iter().cloned().collect::<Vec<_>>(), moment);
            }
        }
    }

    /// The Secret of a request was not written, and not because of its name. `is_refused`: the API server refused it.
    pub(super) fn secret_was_not_written(
        &mut self,
        uid: &Uid,
        is_refused: bool,
        why: &str,
        now: Now,
    ) {
        let scope = is_refused.then(|| self.namespace_of(uid));
        let (before, waiting) = self
            .unwritable
            .remove(&scope)
            .map_or((None, Set::new()), |before| (Some(before.setback), before.waiting));
        let setback = Setback::after(before, now.earliest, Cause::Secret(why.into()));
        let unwritable = Unwritable { setback, tried_by: None, waiting };
        self.unwritable.insert(scope, unwritable);
    }

    /// Nothing of the request's attempt is left, so another may find out.
    pub(super) fn finds_out_no_more(&mut self, uid: &Uid) {
        for unwritable in self.unwritable.values_mut() {
            unwritable.tried_by.take_if(|by| by == uid);
        }
    }

    /// The request is gone.
    pub(super) fn waits_no_more(&mut self, uid: &Uid) {
        self.finds_out_no_more(uid);
        for unwritable in self.unwritable.values_mut() {
            unwritable.waiting.remove(uid);
        }
    }

    fn namespace_of(&self, uid: &Uid) -> Arc<str> {
        self.observed(uid).map(|observed| observed.name.namespace.clone()).unwrap_or_default()
    }
}

impl Unwritable {
    /// From when on a request may find out.
    fn again(&self, uid: &Uid, now: Now) -> Timestamp {
        match &self.tried_by {
            Some(other) if other != uid => later(now.earliest, PAUSE),
            _ => later(self.setback.last, self.setback.pause()),
        }
    }
}
