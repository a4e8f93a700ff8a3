//! When which request is to be reconciled, and which recorded pass is to be looked at next.
//!
//! Requests that hold something go first: expiries, revocations and deletions wait for nobody who wants a pass.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{AsRead, Due, Entry, LookState, LookUnderWay, Reconcile, WantedLook};
use super::ordered::{Map, Set};
use super::ready::Ready;
use super::{Moment, Requests};
use crate::decision::ids::{RequestName, Uid};
use crate::decision::quota::Party;

/// How many requests are reconciled at once.
pub(super) const AT_ONCE: usize = 64;
/// How many of them may be on the way to a pass, so that there is room for those that take something away.
const WANT_A_PASS: usize = 40;

/// At so many looks at a pass its Secret is looked for once: each is a line in the audit log of the API server.
const LOOKS_FOR_A_SECRET: u32 = 5;
/// Of two passes that are to be looked at, the newer is likelier to be used now. An older one goes later by this share of its
/// age, and by no more than so many intervals, so that it is looked at however many newer ones there are.
const LATER_BY_AGE: u32 = 16;
const LATER_AT_MOST: u32 = 10;

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Schedule {
    /// Requests that hold something.
    urgent: Set<(Duration, Timestamp, Uid)>,
    /// Requests that hold nothing, and are due later.
    later: Set<(Duration, Timestamp, Uid)>,
    /// Requests that hold nothing, and are due.
    pub(super) ready: Ready,
    /// The same, by when people are to be told how many are before them.
    pub(super) to_tell: Set<(Duration, Uid)>,
    /// Passes that are to be looked at later.
    looks: Set<(Duration, Uid)>,
    /// Passes that are to be looked at now, or are being looked at, by the id of their tenant.
    looked_at: Map<Arc<str>, Ready>,
    /// Reconciles that go on and do not give way, and those of them on the way to a pass.
    going_on: usize,
    wanting: usize,
}

/// A request whose reconcile has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its uid.
    pub uid: Uid,
    /// How long it was due before.
    pub waited: Duration,
}

/// A recorded pass to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassLook {
    /// The request that records it.
    pub uid: Uid,
    /// The names of the tenant connections that may be asked, in this order.
    pub connections: Vec<String>,
    /// Id of the tenant.
    pub tenant_id: Arc<str>,
    /// Object id of its user.
    pub user_id: Arc<str>,
    /// Id of the pass.
    pub pass_id: String,
    /// The request whose Secret is looked for, too: now and then, if its status names one.
    pub secret_of: Option<RequestName>,
}

impl Schedule {
    /// A request is due at this time, or earlier if it was. One that is being reconciled is due again when that ends.
    pub fn due(&mut self, uid: &Uid, entry: &mut Entry, at: Duration) {
        if entry.reconcile().is_some() {
            entry.work_mut().is_outrun = true;
            return;
        }
        let Some(observed) = &entry.observed else { return };
        let before = entry.due.as_deref();
        let due = Due {
            urgent: observed.finalizer,
            at: before.map_or(at, |due| due.at.min(at)),
            created: observed.created,
            party: observed.party.clone(),
            is_ready: false,
            told: before.and_then(|due| due.told),
        };
        self.not_due(uid, entry);
        self.due_set(due.urgent).insert((due.at, due.created, uid.clone()));
        entry.due = Some(due.into());
    }

    /// A request is not due any more.
    pub fn not_due(&mut self, uid: &Uid, entry: &mut Entry) {
        let Some(due) = entry.due.take() else { return };
        let item = (due.at, due.created, uid.clone());
        if due.is_ready {
            self.ready.remove(&due.party, &item);
            self.to_tell.remove(&(due.to_tell(), uid.clone()));
        } else {
            self.due_set(due.urgent).remove(&item);
        }
    }

    fn due_set(&mut self, urgent: bool) -> &mut Set<(Duration, Timestamp, Uid)> {
        if urgent { &mut self.urgent } else { &mut self.later }
    }

    /// The recorded pass of a request is to be looked at from this time on.
    pub fn look_at(&mut self, uid: &Uid, entry: &mut Entry, at: Duration) {
        self.look_no_more(uid, entry);
        self.looks.insert((at, uid.clone()));
        entry.look = LookState::Due(at);
    }

    /// Nobody wants to know any more.
    pub fn look_no_more(&mut self, uid: &Uid, entry: &mut Entry) {
        match std::mem::take(&mut entry.look) {
            LookState::Due(at) => {
                self.looks.remove(&(at, uid.clone()));
            }
            LookState::Wanted(wanted) => {
                let WantedLook { tenant_id, party, item } = *wanted;
                self.looks_of(tenant_id, |looks| looks.remove(&party, &item));
            }
            LookState::UnderWay(look) => {
                self.looks_of(look.tenant_id, |looks| looks.under_way(&look.party, -1));
            }
            LookState::None | LookState::Seen(_) => {}
        }
    }

    /// Changes which passes of a tenant are to be looked at.
    fn looks_of(&mut self, tenant_id: Arc<str>, change: impl FnOnce(&mut Ready)) {
        let mut looks = self.looked_at.remove(&tenant_id).unwrap_or_default();
        change(&mut looks);
        if !looks.is_empty() {
            self.looked_at.insert(tenant_id, looks);
        }
    }

    /// Whether one more may be on the way to a pass.
    fn has_room(&self) -> bool {
        self.wanting < WANT_A_PASS
    }

    /// Whether one more of this party's may begin now.
    pub fn has_room_for(&self, party: &Party) -> bool {
        self.going_on < AT_ONCE && self.has_room() && self.ready.may_go(party)
    }

    /// A reconcile begins, with the request as it was shown if that will do.
    pub fn begins(&mut self, uid: &Uid, entry: &mut Entry, request: Option<AsRead>) {
        self.not_due(uid, entry);
        let observed = entry.observed.as_ref();
        let wants_a_pass =
            observed.filter(|observed| !observed.finalizer).map(|observed| observed.party.clone());
        let work = entry.work_mut();
        work.is_outrun = false;
        self.goes_on(wants_a_pass.as_deref());
        work.reconcile = Some(Reconcile { request, wants_a_pass, ..Reconcile::default() });
    }

    /// A reconcile goes on.
    pub fn goes_on(&mut self, wants_a_pass: Option<&Party>) {
        self.going_on += 1;
        if let Some(party) = wants_a_pass {
            self.wanting += 1;
            self.ready.under_way(party, 1);
        }
    }

    /// A reconcile rests, and gives way to others.
    pub fn rests(&mut self, wants_a_pass: Option<&Party>) {
        self.going_on = self.going_on.saturating_sub(1);
        if let Some(party) = wants_a_pass {
            self.wanting = self.wanting.saturating_sub(1);
            self.ready.under_way(party, -1);
        }
    }

    /// The reconcile of a request ends, if one goes on; nothing of it is due or looked at any more.
    pub fn end(&mut self, uid: &Uid, entry: &mut Entry) {
        self.not_due(uid, entry);
        self.look_no_more(uid, entry);
        self.ends(entry);
    }

    /// The reconcile of a request ends, if one goes on.
    pub fn ends(&mut self, entry: &mut Entry) -> Option<Reconcile> {
        let reconcile = entry.work.as_mut()?.reconcile.take()?;
        if !reconcile.gives_way {
            self.rests(reconcile.wants_a_pass.as_deref());
        }
        Some(reconcile)
    }
}

impl Requests {
    /// The request that is to be reconciled next, if one is due and there is room: its reconcile has begun.
    pub fn claim(&mut self, moment: Moment) -> Option<Claimed> {
        self.make_ready(moment);
        self.claim_urgent(moment).or_else(|| {
            let room = self.schedule.going_on < AT_ONCE && self.schedule.has_room();
            let ready = self.schedule.ready.first().filter(|_| room)?.clone();
            Some(self.claimed(ready, moment))
        })
    }

    /// The same of those alone that do not want a pass.
    pub fn claim_urgent(&mut self, moment: Moment) -> Option<Claimed> {
        let room = self.schedule.going_on < AT_ONCE;
        let urgent = self.schedule.urgent.first().filter(|due| room && due.0 <= moment.at)?;
        let uid = urgent.2.clone();
        Some(self.claimed(uid, moment))
    }

    fn claimed(&mut self, uid: Uid, moment: Moment) -> Claimed {
        let waited = self.due(&uid).map_or(Duration::ZERO, |due| moment.at.saturating_sub(due));
        self.begin(&uid);
        Claimed { uid, waited }
    }

    /// Whether nothing is lost if the reconcile of a request is given up: it holds nothing, and no attempt was begun.
    pub fn holds_nothing(&self, uid: &Uid) -> bool {
        let Some(entry) = self.entries.get(uid) else { return true };
        let remembers = entry.work.as_ref().is_some_and(|work| work.memory.attempt.is_some());
        let holds = entry.observed.as_ref().is_some_and(|o| o.finalizer || o.holds());
        !remembers && !holds
    }

    /// Begins to reconcile a request, unless that goes on.
    pub fn begin(&mut self, uid: &Uid) {
        self.waits_for_no_turn(uid);
        self.waits_for_no_deletion(uid);
        if let Some(entry) = self.entries.get_mut(uid).filter(|entry| entry.reconcile().is_none()) {
            let request = self.shown.take(uid, entry);
            self.schedule.begins(uid, entry, request);
        }
    }

    /// When the next request is due, in local time. Those for which there is no room are not waited for: a reconcile that
    /// ends makes room.
    pub fn next_due(&self) -> Option<Duration> {
        if self.schedule.going_on >= AT_ONCE {
            return None;
        }
        let ready = self.schedule.ready.first().filter(|_| self.schedule.has_room());
        let due = ready.and_then(|uid| self.due(uid));
        let later = self.schedule.later.first().filter(|_| self.schedule.has_room());
        self.schedule.urgent.first().into_iter().chain(later).map(|due| due.0).chain(due).min()
    }

    /// The same of those alone that do not want a pass.
    pub fn next_urgent(&self) -> Option<Duration> {
        let urgent = self.schedule.urgent.first().filter(|_| self.schedule.going_on < AT_ONCE)?;
        Some(urgent.0)
    }

    /// How many requests are due and not being reconciled.
    pub fn backlog(&self, at: Duration) -> usize {
        let due = |set: &Set<(Duration, Timestamp, Uid)>| {
            set.iter().take_while(|due| due.0 <= at).count()
        };
        due(&self.schedule.urgent) + due(&self.schedule.later) + self.schedule.ready.count()
    }

    /// Of the requests that want a pass, those whose time has come are ready.
    pub(super) fn make_ready(&mut self, moment: Moment) {
        while let Some((_, _, uid)) = self.schedule.later.first().filter(|due| due.0 <= moment.at) {
            let uid = uid.clone();
            self.schedule.later.pop_first();
            let Some(due) = self.entries.get_mut(&uid).and_then(|entry| entry.due.as_mut()) else {
                continue;
            };
            due.is_ready = true;
            self.schedule.to_tell.insert((due.to_tell(), uid.clone()));
            self.schedule.ready.insert(&due.party, (due.at, due.created, uid));
        }
    }

    /// When a request is due, in local time.
    pub fn due(&self, uid: &Uid) -> Option<Duration> {
        Some(self.entries.get(uid)?.due.as_ref()?.at)
    }

    /// When the next look at a recorded pass is due, in local time.
    pub fn next_look(&self) -> Option<Duration> {
        self.schedule.looks.first().map(|(at, _)| *at)
    }

    /// The recorded pass of a tenant that is to be looked at next, if one is due: the look has begun.
    pub fn claim_look(&mut self, tenant_id: &str, moment: Moment) -> Option<PassLook> {
        self.want_what_is_due(moment);
        let uid = self.schedule.looked_at.get(tenant_id)?.first()?.clone();
        let entry = self.entries.get_mut(&uid)?;
        self.schedule.look_no_more(&uid, entry);
        let observed = entry.observed.as_ref()?;
        let recorded = observed.settled()?;
        let attempt = recorded.attempt.as_ref()?;
        let user = &attempt.user;
        let between = self.settings.use_check.unsigned_abs() * LOOKS_FOR_A_SECRET;
        let looks_for_secret = observed.names_secret
            && entry
                .secret
                .as_ref()
                .and_then(|secret| secret.looked_for)
                .is_none_or(|before| moment.at >= before + between);
        let look = PassLook {
            uid,
            connections: attempt.route().connections(&self.connections),
            tenant_id: user.tenant_id.clone(),
            user_id: user.user_id.clone(),
            pass_id: recorded.pass_id.to_string(),
            secret_of: looks_for_secret.then(|| observed.name.clone()),
        };
        if looks_for_secret {
            entry.secret.get_or_insert_default().looked_for = Some(moment.at);
        }
        let (tenant_id, party) = (look.tenant_id.clone(), observed.party.clone());
        let asked_at = (moment.graph)(Some(&look.tenant_id)).earliest;
        self.schedule.looks_of(tenant_id.clone(), |looks| looks.under_way(&party, 1));
        entry.look = LookState::UnderWay(Box::new(LookUnderWay { tenant_id, party, asked_at }));
        Some(look)
    }

    fn want_what_is_due(&mut self, moment: Moment) {
        while let Some((due, uid)) = self.schedule.looks.first().filter(|due| due.0 <= moment.at) {
            let (due, uid) = (*due, uid.clone());
            self.schedule.looks.pop_first();
            let Some(entry) = self.entries.get_mut(&uid) else { continue };
            let Some(observed) = &entry.observed else { continue };
            let Some(recorded) = observed.settled() else { continue };
            let (Some(attempt), Some(valid)) = (&recorded.attempt, &recorded.valid) else {
                continue;
            };
            let tenant_id = attempt.user.tenant_id.clone();
            let age = (moment.graph)(Some(&tenant_id)).earliest.duration_since(valid.from);
            let age = Duration::try_from(age).unwrap_or_default();
            let at_most = self.settings.use_check.unsigned_abs() * LATER_AT_MOST;
            let item = (due + (age / LATER_BY_AGE).min(at_most), valid.from, uid);
            let party = observed.party.clone();
            self.schedule.looks_of(tenant_id.clone(), |looks| looks.insert(&party, item.clone()));
            entry.look = LookState::Wanted(Box::new(WantedLook { tenant_id, party, item }));
        }
    }
}

#[cfg(test)]
impl Schedule {
    /// How many reconciles go on and do not give way, and how many of them are on the way to a pass.
    pub fn going_on_now(&self) -> (usize, usize) {
        (self.going_on, self.wanting)
    }

    /// What must be in it, by a scan over all requests.
    pub fn scanned(entries: &Map<Uid, Box<Entry>>) -> Self {
        let mut schedule = Self::default();
        for (uid, entry) in entries {
            if let Some(due) = &entry.due {
                let item = (due.at, due.created, uid.clone());
                if due.is_ready {
                    schedule.to_tell.insert((due.to_tell(), uid.clone()));
                    schedule.ready.insert(&due.party, item);
                } else {
                    schedule.due_set(due.urgent).insert(item);
                }
            }
            match &entry.look {
                LookState::Due(at) => {
                    schedule.looks.insert((*at, uid.clone()));
                }
                LookState::Wanted(wanted) => {
                    let WantedLook { tenant_id, party, item } = &**wanted;
                    let insert = |looks: &mut Ready| looks.insert(party, item.clone());
                    schedule.looks_of(tenant_id.clone(), insert);
                }
                LookState::UnderWay(look) => {
                    let begin = |looks: &mut Ready| looks.under_way(&look.party, 1);
                    schedule.looks_of(look.tenant_id.clone(), begin);
                }
                LookState::None | LookState::Seen(_) => {}
            }
            let reconcile = entry.reconcile().filter(|reconcile| !reconcile.gives_way);
            if let Some(reconcile) = reconcile {
                schedule.goes_on(reconcile.wants_a_pass.as_deref());
            }
        }
        schedule
    }
}
