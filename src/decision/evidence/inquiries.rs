//! About which passes the logs are to be asked, and when: once a pass was used or ended, and again, because logs lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::{ConditionType, Phase, TapRequest};
use crate::decision::clock::later;
use crate::decision::ids::{RequestName, Uid};
use crate::decision::intent::has_finalizer;

/// How long after the end of a pass the logs are asked about it. The last answer counts as all there is.
const ROUNDS: [SignedDuration; 4] =
    [SignedDuration::ZERO, SignedDuration::from_mins(5), SignedDuration::from_mins(15), LAST];
const LAST: SignedDuration = SignedDuration::from_hours(1);
/// How long after the end of a pass nothing more is asked about it, whatever was not answered. A process that begins takes up
/// what ended less long ago.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(90);
/// How long after an inquiry without an answer it is made again, at the earliest.
const AGAIN: SignedDuration = SignedDuration::from_mins(2);

/// A pass that ended, as far as inquiries about it need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its request.
    pub name: RequestName,
    /// Id of the tenant.
    pub tenant_id: Arc<str>,
    /// Object id of the user.
    pub user_id: Arc<str>,
    /// From when it was valid.
    pub start: Timestamp,
    /// When it expires or did.
    pub expires: Timestamp,
    /// When its request ended.
    pub at: Timestamp,
}

impl Ended {
    /// The pass of a request that came to its end and is let go, unless its status says the last word about its use already.
    pub fn of(request: &TapRequest) -> Option<Self> {
        let status = request.status.as_ref()?;
        let had_a_pass = matches!(status.phase, Phase::Used | Phase::Expired | Phase::Revoked);
        let is_held = has_finalizer(request) || request.is_being_deleted();
        let is_told = request
            .condition(ConditionType::Registered)
            .is_some_and(|registered| registered.status == "False");
        if !had_a_pass || is_held || is_told {
            return None;
        }
        let (pass, resolved) = (status.pass.as_ref()?, status.resolved.as_ref()?);
        Some(Self {
            name: crate::decision::requests::name_of(&request.metadata),
            tenant_id: resolved.tenant_id.as_str().into(),
            user_id: resolved.user_id.as_str().into(),
            start: pass.start_time.0,
            expires: pass.expiration_time.0,
            at: status.finished_at.as_ref()?.0,
        })
    }
}

/// The logs are to be asked about a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The uid of its request.
    pub uid: Uid,
    /// The pass.
    pub pass: Ended,
    /// Whether nothing more is asked afterwards.
    pub is_last: bool,
}

#[derive(Debug)]
struct Entry {
    pass: Ended,
    /// When the logs are to be asked next; absent while they are, and after the last time.
    due: Option<Timestamp>,
    /// How many sign-ins were told.
    told: usize,
}

/// The passes that ended lately. What is kept of each is small, and forgotten after an hour and a half.
#[derive(Debug, Default)]
pub struct Inquiries {
    passes: BTreeMap<Uid, Entry>,
    due: BTreeSet<(Arc<str>, Timestamp, Uid)>,
    /// When which is forgotten.
    leaving: BTreeSet<(Timestamp, Uid)>,
}

impl Inquiries {
    /// A request was seen with such a pass.
    pub fn see(&mut self, uid: &Uid, pass: Ended, now: Timestamp) {
        self.forget_until(now);
        let leaves = later(pass.at, FORGOTTEN);
        if leaves <= now || self.passes.contains_key(uid) {
            return;
        }
        self.leaving.insert((leaves, uid.clone()));
        let due = Some(pass.at.max(now));
        self.passes.insert(uid.clone(), Entry { pass, due: None, told: 0 });
        self.set_due(uid, due);
    }

    /// A request is gone.
    pub fn forget(&mut self, uid: &Uid) {
        self.set_due(uid, None);
        if let Some(entry) = self.passes.remove(uid) {
            self.leaving.remove(&(later(entry.pass.at, FORGOTTEN), uid.clone()));
        }
    }

    /// The next inquiry that is due in a tenant. [`Inquiries::answered`] or [`Inquiries::failed`] must follow.
    pub fn claim(&mut self, tenant_id: &str, now: Timestamp) -> Option<Inquiry> {
        self.forget_until(now);
        let (_, _, uid) = self.next(tenant_id).filter(|(_, due, _)| *due <= now)?.clone();
        self.set_due(&uid, None);
        let pass = self.passes.get(&uid)?.pass.clone();
        let is_last = later(pass.at, LAST) <= now;
        Some(Inquiry { uid, pass, is_last })
    }

    /// An inquiry was answered with so many sign-ins. Returns whether these are more than were told.
    pub fn answered(&mut self, inquiry: &Inquiry, sign_ins: usize, now: Timestamp) -> bool {
        let at = inquiry.pass.at;
        let next = ROUNDS.into_iter().map(|after| later(at, after)).find(|round| *round > now);
        self.set_due(&inquiry.uid, next.filter(|_| !inquiry.is_last));
        let Some(entry) = self.passes.get_mut(&inquiry.uid) else { return false };
        let told = entry.told;
        entry.told = told.max(sign_ins);
        sign_ins > told
    }

    /// An inquiry got no answer. It is made again, after this time at least.
    pub fn failed(&mut self, inquiry: &Inquiry, after: Option<SignedDuration>, now: Timestamp) {
        let again = later(now, after.unwrap_or(AGAIN).max(AGAIN));
        self.set_due(&inquiry.uid, Some(again));
    }

    fn next(&self, tenant_id: &str) -> Option<&(Arc<str>, Timestamp, Uid)> {
        let from = (Arc::from(tenant_id), Timestamp::MIN, Uid::from(""));
        self.due.range(from..).next().filter(|(of, _, _)| **of == *tenant_id)
    }

    fn set_due(&mut self, uid: &Uid, due: Option<Timestamp>) {
        let Some(entry) = self.passes.get_mut(uid) else { return };
        let key = |due| (Arc::clone(&entry.pass.tenant_id), due, uid.clone());
        if let Some(before) = entry.due {
            self.due.remove(&key(before));
        }
        if let Some(due) = due {
            self.due.insert(key(due));
        }
        entry.due = due;
    }

    fn forget_until(&mut self, now: Timestamp) {
        while let Some((_, uid)) = self.leaving.first().filter(|(at, _)| *at <= now).cloned() {
            self.forget(&uid);
        }
    }
}

#[cfg(test)]
impl Inquiries {
    /// When the next inquiry is due in a tenant.
    pub fn next_due(&self, tenant_id: &str) -> Option<Timestamp> {
        self.next(tenant_id).map(|(_, due, _)| *due)
    }

    /// Of how many passes something is kept.
    pub fn kept(&self) -> usize {
        self.passes.len().max(self.due.len()).max(self.leaving.len())
    }
}
