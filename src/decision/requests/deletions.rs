//! Which recorded passes are being deleted. A DELETE waits for the pace, and for a tenant that may not answer. So few requests
//! of a tenant wait for it at once: the others have had their Secrets deleted by then, and make room for expiries.

use std::sync::Arc;

use jiff::Timestamp;

use super::ordered::{Map, Set};
use super::{Entry, Moment, Requests};
use crate::decision::ids::Uid;
use crate::decision::situation::Deletion;

/// How many recorded passes of one tenant are deleted at once.
const OF_ONE_TENANT: usize = 16;

/// The deletions of recorded passes, by the id of their tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Deletions(Map<Arc<str>, Tenant>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Tenant {
    under_way: Set<Uid>,
    /// Those that wait, by when they were created.
    waiting: Set<(Timestamp, Uid)>,
}

impl Deletions {
    fn take(&mut self, uid: &Uid, tenant_id: &Arc<str>, created: Timestamp) -> Deletion {
        let mut tenant = self.0.remove(tenant_id).unwrap_or_default();
        let deletion = if tenant.under_way.len() < OF_ONE_TENANT || tenant.under_way.contains(uid) {
            tenant.under_way.insert(uid.clone());
            tenant.waiting.remove(&(created, uid.clone()));
            Deletion::Now
        } else {
            tenant.waiting.insert((created, uid.clone()));
            Deletion::InTurn
        };
        self.0.insert(tenant_id.clone(), tenant);
        deletion
    }

    /// A reconcile of a request that waits has begun.
    fn waits_no_more(&mut self, uid: &Uid, of: &Deleting) {
        if let Some(tenant) = self.0.get_mut(&of.tenant_id) {
            tenant.waiting.remove(&(of.created, uid.clone()));
        }
    }

    /// A request deletes nothing now. Those for which there is room.
    fn leave(&mut self, uid: &Uid, tenant_id: &Arc<str>) -> Vec<Uid> {
        let Some(mut tenant) = self.0.remove(tenant_id) else { return Vec::new() };
        tenant.under_way.remove(uid);
        let room = OF_ONE_TENANT - tenant.under_way.len();
        let called = tenant.waiting.iter().take(room).map(|(_, uid)| uid.clone()).collect();
        if !tenant.under_way.is_empty() || !tenant.waiting.is_empty() {
            self.0.insert(tenant_id.clone(), tenant);
        }
        called
    }
}

/// Where a request deletes its recorded pass, or waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Deleting {
    tenant_id: Arc<str>,
    /// When the request was created.
    created: Timestamp,
    waits: bool,
}

impl Requests {
    /// Whether the recorded pass of a request may be deleted now. If not, the request is called when it may.
    pub(super) fn may_delete(&mut self, uid: &Uid, tenant_id: &str) -> Deletion {
        let Some(entry) = self.entries.get_mut(uid) else { return Deletion::Now };
        let created = entry.observed.as_ref().map(|o| o.created).unwrap_or_default();
        let tenant_id: Arc<str> = tenant_id.into();
        let deletion = self.deletions.take(uid, &tenant_id, created);
        let waits = deletion == Deletion::InTurn;
        entry.deleting = Some(Box::new(Deleting { tenant_id, created, waits }));
        deletion
    }

    /// A reconcile of a request begins.
    pub(super) fn waits_for_no_deletion(&mut self, uid: &Uid) {
        let deleting = self.entries.get_mut(uid).and_then(|entry| entry.deleting.as_mut());
        if let Some(deleting) = deleting.filter(|deleting| deleting.waits) {
            deleting.waits = false;
            self.deletions.waits_no_more(uid, deleting);
        }
    }

    /// The reconcile of a request ends. Whoever was called and deletes nothing makes room, too.
    pub(super) fn deletes_no_more(&mut self, uid: &Uid, entry: &mut Entry, moment: Moment) {
        let Some(deleting) = &entry.deleting else { return };
        let called = self.deletions.leave(uid, &deleting.tenant_id);
        entry.deleting.take_if(|deleting| !deleting.waits);
        self.call(called, moment);
    }

    /// Nothing is left of a request.
    pub(super) fn forget_deletion(&mut self, uid: &Uid, entry: &mut Entry, moment: Moment) {
        let Some(deleting) = entry.deleting.take() else { return };
        self.deletions.waits_no_more(uid, &deleting);
        let called = self.deletions.leave(uid, &deleting.tenant_id);
        self.call(called, moment);
    }
}
