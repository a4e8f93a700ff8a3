//! About which passes the logs are to be asked, and when: once a pass was used or ended, and again, because logs lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::{ConditionType, Phase, TapRequest};
use crate::decision::clock::later;
use crate::decision::ids::Uid;
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

/// The pass of a request, as far as the logs must be asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Id of the tenant.
    pub tenant_id: String,
    /// Object id of the user.
    pub user_id: String,
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
            tenant_id: resolved.tenant_id.clone(),
            user_id: resolved.user_id.clone(),
            start: pass.start_time.0,
            expires: pass.expiration_time.0,
            at: status.finished_at.as_ref()?.0,
        })
    }
}

/// The logs are to be asked about the pass of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The uid of the request.
    pub uid: Uid,
    /// Id of the tenant.
    pub tenant_id: Arc<str>,
    /// Whether nothing more is asked afterwards.
    pub is_last: bool,
}

/// The passes that ended lately, by the id of their tenant. What is kept of each is small: there may be thousands, and nobody asks
/// about them in a tenant whose logs cannot be read.
#[derive(Debug, Default)]
pub struct Inquiries(BTreeMap<Arc<str>, Passes>);

#[derive(Debug, Default)]
struct Passes {
    ended: BTreeMap<Uid, Entry>,
    /// When the logs are to be asked about which.
    due: BTreeSet<(Second, Uid)>,
}

/// A time in whole seconds, which cost half of a timestamp.
type Second = i64;

#[derive(Debug)]
struct Entry {
    /// When its request ended.
    at: Second,
    /// When the logs are to be asked next; while they are, and after the last time, when it is forgotten.
    due: Second,
    /// How many sign-ins were told.
    told: u32,
}

impl Inquiries {
    /// A request was seen with such a pass.
    pub fn see(&mut self, uid: &Uid, pass: &Ended, now: Timestamp) {
        let (at, now) = (pass.at.as_second(), now.as_second());
        self.forget_until(now);
        let entry = Entry { at, due: at.max(now), told: 0 };
        if entry.leaves() <= now {
            return;
        }
        let passes = self.0.entry(pass.tenant_id.as_str().into()).or_default();
        if !passes.ended.contains_key(uid) {
            passes.due.insert((entry.due, uid.clone()));
            passes.ended.insert(uid.clone(), entry);
        }
    }

    /// A request is gone.
    pub fn forget(&mut self, uid: &Uid) {
        self.0.values_mut().for_each(|passes| passes.forget(uid));
    }

    /// The next inquiry that is due in a tenant. [`Inquiries::answered`] or [`Inquiries::failed`] must follow.
    pub fn claim(&mut self, tenant_id: &str, now: Timestamp) -> Option<Inquiry> {
        let now = now.as_second();
        self.forget_until(now);
        let passes = self.0.get_mut(tenant_id)?;
        let (_, uid) = passes.due.first().filter(|(due, _)| *due <= now)?.clone();
        let (leaves, last) = passes.ended.get(&uid).map(|entry| (entry.leaves(), entry.last()))?;
        passes.set_due(&uid, leaves);
        Some(Inquiry { uid, tenant_id: tenant_id.into(), is_last: last <= now })
    }

    /// An inquiry was answered with so many sign-ins. Returns whether these are more than were told.
    pub fn answered(&mut self, inquiry: &Inquiry, sign_ins: usize, now: Timestamp) -> bool {
        let Some(passes) = self.0.get_mut(&inquiry.tenant_id) else { return false };
        let Some(entry) = passes.ended.get_mut(&inquiry.uid) else { return false };
        let sign_ins = u32::try_from(sign_ins).unwrap_or(u32::MAX);
        let told = entry.told;
        entry.told = told.max(sign_ins);
        let now = now.as_second();
        let next = ROUNDS.into_iter().map(|after| entry.after(after)).find(|round| *round > now);
        // The time of the last round came while this one was answered: it must not be left out.
        let next = next.unwrap_or(now);
        let next = if inquiry.is_last { entry.leaves() } else { next };
        passes.set_due(&inquiry.uid, next);
        sign_ins > told
    }

    /// An inquiry got no answer. It is made again, after this time at least.
    pub fn failed(&mut self, inquiry: &Inquiry, after: Option<SignedDuration>, now: Timestamp) {
        let again = later(now, after.unwrap_or(AGAIN).max(AGAIN));
        if let Some(passes) = self.0.get_mut(&inquiry.tenant_id) {
            passes.set_due(&inquiry.uid, again.as_second());
        }
    }

    fn forget_until(&mut self, now: Second) {
        self.0.retain(|_, passes| {
            passes.forget_until(now);
            !passes.ended.is_empty()
        });
    }
}

impl Passes {
    fn set_due(&mut self, uid: &Uid, due: Second) {
        let Some(entry) = self.ended.get_mut(uid) else { return };
        self.due.remove(&(entry.due, uid.clone()));
        entry.due = due.min(entry.leaves());
        self.due.insert((entry.due, uid.clone()));
    }

    fn forget(&mut self, uid: &Uid) {
        if let Some(entry) = self.ended.remove(uid) {
            self.due.remove(&(entry.due, uid.clone()));
        }
    }

    /// Forgets the passes whose time is over. It stops at the first that stays: those behind it are forgotten with it, later.
    fn forget_until(&mut self, now: Second) {
        while let Some((_, uid)) = self.due.first() {
            let uid = uid.clone();
            if self.ended.get(&uid).is_some_and(|entry| entry.leaves() > now) {
                return;
            }
            self.due.pop_first();
            self.ended.remove(&uid);
        }
    }
}

impl Entry {
    fn after(&self, time: SignedDuration) -> Second {
        self.at.saturating_add(time.as_secs())
    }

    fn leaves(&self) -> Second {
        self.after(FORGOTTEN)
    }

    fn last(&self) -> Second {
        self.after(LAST)
    }
}

#[cfg(test)]
impl Inquiries {
    /// When the next inquiry is due in a tenant.
    pub fn next_due(&self, tenant_id: &str) -> Option<Timestamp> {
        let passes = self.0.get(tenant_id)?;
        let waiting = passes.ended.values().filter(|entry| entry.due < entry.leaves());
        waiting.filter_map(|entry| Timestamp::from_second(entry.due).ok()).min()
    }

    /// Of how many passes something is kept.
    pub fn kept(&self) -> usize {
        self.0.values().map(|passes| passes.ended.len().max(passes.due.len())).sum()
    }
}
