//! Secrets that the API server does not write. Each attempt that finds out makes a pass and takes it back, which the tenant's
//! audit log shows and which ends the user's sessions. So after a failure one request at a time finds out for all.

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

impl Requests {
    /// Whether a request may attempt to have its Secret written.
    pub(super) fn may_write_secret(&mut self, uid: &Uid, now: Now) -> Secrets {
        let Some(unwritable) = &mut self.unwritable else { return Secrets::Writable };
        let again = match &unwritable.tried_by {
            Some(other) if other != uid => later(now.earliest, PAUSE),
            _ => later(unwritable.setback.last, unwritable.setback.pause()),
        };
        if now.earliest < again {
            unwritable.waiting.insert(uid.clone());
            return Secrets::Unwritable { again };
        }
        unwritable.tried_by = Some(uid.clone());
        Secrets::Writable
    }

    /// A Secret was written: nobody waits any longer.
    pub(super) fn secret_was_written(&mut self, moment: Moment) {
        if let Some(unwritable) = self.unwritable.take() {
            self.call(unwritable.waiting.iter().cloned().collect::<Vec<_>>(), moment);
        }
    }

    /// The Secret of a request was not written, and not because of its name.
    pub(super) fn secret_was_not_written(&mut self, uid: &Uid, why: &str, now: Now) {
        let (before, waiting) =
            self.unwritable.take().map_or((None, Set::new()), |u| (Some(u.setback), u.waiting));
        let setback = Setback::after(before, now.earliest, Cause::Secret(why.into()));
        self.unwritable = Some(Unwritable { setback, tried_by: Some(uid.clone()), waiting });
    }

    /// Nothing of the request's attempt is left, so another may find out.
    pub(super) fn finds_out_no_more(&mut self, uid: &Uid) {
        if let Some(unwritable) = &mut self.unwritable {
            unwritable.tried_by.take_if(|by| by == uid);
            unwritable.waiting.remove(uid);
        }
    }
}
