//! Lists of the watch of requests: what is not in one is gone.

use super::entry::InList;
use super::observed::{Observed, Version};
use super::{Moment, Requests};
use crate::decision::ids::Uid;

impl Requests {
    /// A list begins. One that went on does not end any more.
    pub(super) fn list_begins(&mut self) {
        self.is_listing = true;
        for entry in self.entries.values_mut() {
            entry.in_list = InList::Not;
        }
    }

    /// A request is in the list.
    pub(super) fn listed(&mut self, uid: &Uid, observed: Observed, moment: Moment) {
        let in_list = self.entries.get(uid).map(|entry| entry.in_list);
        // Anything known before the list began is older than the list, even if its version has a greater number: an etcd that
        // was restored from a backup counts anew.
        if in_list != Some(InList::Learned) {
            self.doubt(uid);
        }
        self.show(uid, observed, moment);
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.in_list = InList::Shown;
        }
    }

    /// Something of a request was read or written here, not seen by the watch.
    pub(super) fn learned_beside_a_list(&mut self, uid: &Uid) {
        if let Some(entry) = self.entries.get_mut(uid).filter(|_| self.is_listing)
            && entry.in_list == InList::Not
        {
            entry.in_list = InList::Learned;
        }
    }

    /// The list is complete. Answers with what it did not show, as it was last known.
    pub(super) fn list_ends(&mut self, moment: Moment) -> Vec<(Uid, Observed)> {
        if !std::mem::take(&mut self.is_listing) {
            return Vec::new();
        }
        let mut gone = Vec::new();
        for (uid, entry) in &mut self.entries {
            if std::mem::take(&mut entry.in_list) != InList::Shown {
                gone.push(uid.clone());
            }
        }
        gone.iter().filter_map(|uid| self.vanish(uid, moment)).collect()
    }

    /// Forgets which version of a request was the last one known, so that any other is believed.
    fn doubt(&mut self, uid: &Uid) {
        let observed = self.entries.get_mut(uid).and_then(|entry| entry.observed.as_mut());
        if let Some(observed) = observed {
            observed.version = Version::unknown();
        }
    }
}
