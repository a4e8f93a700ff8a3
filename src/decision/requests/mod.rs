//! The state machine of all requests.
//!
//! It is fed with what the watch shows ([`Requests::apply`]), with the outcome of every step ([`Requests::learn`]), its own
//! writes included, so that a watch that lags is no special case, and with time. It says which request is to be reconciled
//! ([`Requests::claim`]), the next step for it ([`Requests::next`]), and which recorded pass is to be looked at
//! ([`Requests::claim_look`]). It owns all that must be remembered, in one entry for each request, and answers questions about
//! other requests from indexes, so that what a decision costs does not grow with their number.
//!
//! | file | what is in it |
//! |---|---|
//! | `observed` | what is known of a request as the watch or an answer showed it, parsed once for each version |
//! | `entry` | what is kept of one request |
//! | `index`, `own_passes`, `holders` | look-ups about others: users and passes, passes of this process, quotas |
//! | `neighbours` | what is known of other passes for a user |
//! | `ordered` | the maps and sets that all this is kept in |
//! | `deletions` | whose passes are being deleted, and who waits for that |
//! | `list` | what a list has to do with it: what is not in it is gone |
//! | `shown` | whole requests as the watch showed them, with which reconciles begin |
//! | `shared` | what was read of a tenant for one request, and holds for another |
//! | `interned` | texts that many requests have in common |
//! | `unwritable` | who finds out whether the API server writes Secrets again |
//! | `whose` | whose a pass is that a log names |
//! | `ready` | which of those that want a pass is next |
//! | `queued` | what people are told of requests for which there is no room yet |
//! | `schedule` | when which request is due, and which pass is to be looked at |
//! | `next` | the next step for a request |
//! | `learn` | what an outcome does to what is known |
//! | `life` | the life of one request, from what is known of it to the next thing to do |

mod deletions;
mod entry;
mod holders;
mod index;
mod interned;
mod learn;
pub mod life;
mod list;
mod neighbours;
mod next;
mod observed;
mod ordered;
mod own_passes;
mod queued;
mod ready;
mod schedule;
mod shared;
mod shown;
#[cfg(test)]
mod tests;
mod unwritable;
mod whose;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::deletions::Deletions;
use self::entry::{Doing, Entry, LookState};
use self::holders::Holders;
use self::index::Index;
use self::interned::Interned;
use self::neighbours::ListedPass;
pub use self::next::Rested;
pub use self::observed::{Observed, Recorded, Unreadable, Version, name_of};
use self::ordered::{Map, Set};
use self::own_passes::OwnPasses;
pub use self::queued::Queued;
use self::schedule::Schedule;
pub use self::schedule::{Claimed, PassLook};
use self::shared::SharedMethod;
use self::shown::Shown;
use self::unwritable::{Scope, Unwritable};
pub use self::whose::Whose;
use crate::api::{Decision, Phase, TapRequest};
use crate::decision::clock::Now;
use crate::decision::ids::{RequestName, Uid, UserKey};
use crate::decision::quota::Bounds;
use crate::decision::situation::{Connection, Held, Progress, Reads, Settings, Stop};

/// What time it is.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Local time since the start of the process. It never jumps.
    pub at: Duration,
    /// Graph's time in a tenant, by its id; where none is named, in any.
    pub graph: &'a dyn Fn(Option<&str>) -> Now,
}

/// How far apart requests are looked at that all wait for the same.
const WAKE_APART: Duration = Duration::from_millis(50);

impl Moment<'_> {
    /// The local time at which it is a certain time in a tenant. Within a day, for a machine may have slept.
    fn until(&self, time: Timestamp, tenant_id: Option<&str>) -> Duration {
        let left = time.duration_since((self.graph)(tenant_id).earliest);
        let left = left.clamp(SignedDuration::ZERO, SignedDuration::from_hours(24));
        self.at + Duration::try_from(left).unwrap_or_default()
    }
}

/// What the watch of requests shows.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A request is there, or changed.
    Applied(Uid, Observed),
    /// A request is gone.
    Deleted(Uid),
    /// A list begins: what is not in it is gone.
    ListBegins,
    /// A request is in the list.
    Listed(Uid, Observed),
    /// The list is complete.
    ListEnds,
}

/// The state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requests {
    settings: Settings,
    connections: Arc<[Connection]>,
    interned: Interned,
    /// Each in a box: the nodes of a map have places that are empty.
    entries: Map<Uid, Box<Entry>>,
    shown: Shown,
    index: Index,
    holders: Holders,
    own_passes: OwnPasses,
    /// Whose turn it is to be issued for a user.
    turns: Map<UserKey, Uid>,
    schedule: Schedule,
    deletions: Deletions,
    /// The tenants' methods, by the names of their connections.
    methods: Map<Arc<str>, SharedMethod>,
    /// Whether a list has begun.
    is_listing: bool,
    /// Whether all attempts of the process that led before are known.
    is_caught_up: bool,
    /// Whether all active passes are to be revoked.
    revokes_active: bool,
    /// Requests that wait for their turn, by the user, and by when they were created.
    waiting_for_turn: Map<UserKey, Set<(Timestamp, Uid)>>,
    /// Live passes that Graph listed and no request records, by their user, and when they are forgotten.
    listed_passes: Map<UserKey, ListedPass>,
    listed_until: Set<(Timestamp, UserKey)>,
    /// Where no Secrets are being written.
    unwritable: BTreeMap<Scope, Unwritable>,
}

impl Requests {
    /// A state machine that knows of no request, for a process with these tenant connections.
    pub fn new(settings: Settings, connections: Arc<[Connection]>) -> Self {
        Self {
            settings,
            connections,
            interned: Interned::default(),
            entries: Map::new(),
            shown: Shown::default(),
            index: Index::default(),
            holders: Holders::default(),
            own_passes: OwnPasses::default(),
            turns: Map::new(),
            schedule: Schedule::default(),
            deletions: Deletions::default(),
            methods: Map::new(),
            is_listing: false,
            is_caught_up: false,
            revokes_active: false,
            waiting_for_turn: Map::new(),
            listed_passes: Map::new(),
            listed_until: Set::new(),
            unwritable: BTreeMap::new(),
        }
    }

    /// The watch showed something. Answers with a request that is gone, as it was last known.
    pub fn apply(&mut self, seen: Seen, moment: Moment) -> Vec<(Uid, Observed)> {
        match seen {
            Seen::Applied(uid, observed) => self.show(&uid, observed, moment),
            Seen::Deleted(uid) => return self.vanish(&uid, moment).into_iter().collect(),
            Seen::ListBegins => self.list_begins(),
            Seen::Listed(uid, observed) => self.listed(&uid, observed, moment),
            Seen::ListEnds => return self.list_ends(moment),
        }
        Vec::new()
    }

    fn show(&mut self, uid: &Uid, observed: Observed, moment: Moment) {
        if self.observe(uid, observed, moment) {
            self.let_go_of_what_is_over(uid, moment);
            self.reschedule(uid, moment);
        }
    }

    /// Another process brought a request to its end: what was remembered for the next reconcile is of no use any more.
    fn let_go_of_what_is_over(&mut self, uid: &Uid, moment: Moment) {
        let is_over = |entry: &Entry| {
            entry.reconcile().is_none() && entry.observed.as_ref().is_some_and(Observed::is_over)
        };
        if !self.entries.get(uid).is_some_and(|entry| is_over(entry)) {
            return;
        }
        let Some(mut entry) = self.entries.remove(uid) else { return };
        self.schedule.not_due(uid, &mut entry);
        self.forget_waiting(uid, entry.waits_for_turn.take());
        entry.let_go();
        self.give_back_turn(uid, &mut entry, moment);
        self.forget_deletion(uid, &mut entry, moment);
        self.entries.insert(uid.clone(), entry);
        let called = self.holders.give_back(uid, false);
        self.call(called, moment);
    }

    fn vanish(&mut self, uid: &Uid, moment: Moment) -> Option<(Uid, Observed)> {
        let entry = self.entries.get_mut(uid).filter(|entry| !entry.is_gone)?;
        let observed = entry.observed.clone();
        entry.is_gone = true;
        self.schedule.look_no_more(uid, entry);
        if let Some(observed) = &observed {
            self.index.remove(uid, observed);
        }
        if entry.reconcile().is_none() {
            self.forget(uid, moment);
        }
        Some((uid.clone(), observed?))
    }

    /// Takes note of a version of a request; whether it is another than was known, and no earlier one.
    fn observe(&mut self, uid: &Uid, mut new: Observed, moment: Moment) -> bool {
        self.interned.share(&mut new);
        let entry = self.entries.entry(uid.clone()).or_default();
        // A uid never comes back: this is an answer that was on its way when the request went.
        if entry.is_gone {
            return false;
        }
        if let Some(old) = &entry.observed {
            if *old == new || new.version.is_before(&old.version) {
                return false;
            }
            self.index.remove(uid, old);
        }
        self.index.enter(uid, &new);
        let replaces =
            |observed: &Observed| observed.recorded.as_ref()?.attempt.as_ref()?.replaces.clone();
        let before = entry.observed.as_ref().and_then(replaces);
        let replaced = replaces(&new).filter(|replaced| before.as_ref() != Some(replaced));
        let before = entry.observed.as_ref();
        let freed = before.and_then(Observed::issued_to).filter(|_| new.has_ended());
        // Whoever is next must not wait for one that does not wait any more.
        let contended = before.and_then(|before| before.contends.as_deref().cloned());
        let freed = freed.or(contended.filter(|user| new.contends.as_deref() != Some(user)));
        let called =
            self.holders.observe(uid, &new.party, new.created, new.holds(), new.has_ended());
        // A pass that was just made need not be looked at yet. The watch may show so before the answer to the own write comes.
        let is_new = before.is_none_or(|before| before.phase != Phase::Active)
            && entry.reconcile().is_some_and(|r| matches!(r.doing, Some(Doing::Status)));
        let use_check = self.settings.use_check.unsigned_abs();
        let first_look = if is_new { moment.at + use_check } else { moment.at };
        // A pass that no connection reaches is not looked at: its request says so, and waits.
        let is_looked_at = new.settled().is_some_and(|r| r.is_reached(&self.connections));
        entry.observed = Some(new);
        entry.changed = moment.at;
        match entry.look {
            LookState::None if is_looked_at => self.schedule.look_at(uid, entry, first_look),
            _ if !is_looked_at => self.schedule.look_no_more(uid, entry),
            _ => {}
        }
        self.call(called, moment);
        if let Some(user) = freed {
            self.call_next_for(&user, uid, moment);
        }
        if let Some(replaced) = replaced {
            let superseded: Vec<Uid> = self.index.recording(replaced, uid).cloned().collect();
            self.call(superseded, moment);
        }
        true
    }

    /// Makes requests due now, but those for which nothing is left to do.
    fn call(&mut self, uids: impl IntoIterator<Item = Uid>, moment: Moment) {
        let is_over = |entry: &Entry| entry.observed.as_ref().is_some_and(Observed::is_over);
        for uid in uids {
            if let Some(entry) = self.entries.get_mut(&uid).filter(|entry| !is_over(entry)) {
                self.schedule.due(&uid, entry, moment.at);
            }
        }
    }

    /// Says when a request is due next, by what is known of it.
    fn reschedule(&mut self, uid: &Uid, moment: Moment) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let Some(observed) = &entry.observed else { return };
        let tenant_id = observed.tenant_id.as_deref();
        let at = match observed.settled() {
            _ if observed.is_over() => observed.leaves_at.map(|time| moment.until(time, tenant_id)),
            Some(recorded)
                if !self.revokes_active
                    && recorded.is_reached(&self.connections)
                    && !matches!(entry.look, LookState::Seen(_))
                    && self.index.replacing(recorded.pass_id.clone(), uid).next().is_none() =>
            {
                recorded.expires().map(|expires| moment.until(expires, tenant_id))
            }
            _ => Some(moment.at),
        };
        // A reconcile that goes on says itself until when it rests.
        if let Some(at) = at.filter(|at| *at <= moment.at || entry.reconcile().is_none()) {
            self.schedule.due(uid, entry, at);
        }
    }

    /// Nothing is left of a request.
    fn forget(&mut self, uid: &Uid, moment: Moment) {
        self.shown.forget(uid);
        let Some(mut entry) = self.entries.remove(uid) else { return };
        self.schedule.end(uid, &mut entry);
        self.forget_waiting(uid, entry.waits_for_turn.take());
        self.forget_deletion(uid, &mut entry, moment);
        if let Some(observed) = &entry.observed {
            self.index.remove(uid, observed);
            if let Some(user) =
                observed.issued_to().or_else(|| observed.contends.as_deref().cloned())
            {
                self.call_next_for(&user, uid, moment);
            }
        }
        self.give_back_turn(uid, &mut entry, moment);
        self.waits_no_more(uid);
        let called = self.holders.forget(uid);
        self.call(called, moment);
    }

    fn give_back_turn(&mut self, uid: &Uid, entry: &mut Entry, moment: Moment) {
        if let Some(user) = entry.turn.take()
            && self.turns.get(&*user) == Some(uid)
        {
            self.turns.remove(&*user);
            self.call_next_in_line(&user, moment);
        }
    }

    /// All requests for which something is left to do are looked at: something changed that may concern any of them.
    pub fn wake_all(&mut self, moment: Moment) {
        let uids: Vec<Uid> = self.entries.keys().cloned().collect();
        for uid in &uids {
            self.reschedule(uid, moment);
        }
    }

    /// The stop `ConfigMap` came, changed or went.
    pub fn set_stop(&mut self, stop: Stop, moment: Moment) {
        self.revokes_active = stop == Stop::RevokeActive;
        self.wake_all(moment);
    }

    /// A policy came (with these bounds), changed its spec, or went: those who wait for it are looked at.
    pub fn set_policy(&mut self, name: &str, bounds: Option<Bounds>, moment: Moment) {
        self.holders.set_bounds(name, bounds);
        self.wake_waiting(name, moment);
    }

    /// The requests that wait for a policy, or for its tenant, are looked at.
    pub fn wake_waiting(&mut self, policy: &str, moment: Moment) {
        // The operator changed the method, or the policy is another one now.
        self.methods = Map::new();
        let waiting = self.index.waiting_for(policy);
        let created = |uid: &Uid| Some(self.entries.get(uid)?.observed.as_ref()?.created);
        let mut waiting: Vec<_> = waiting.map(|uid| (created(uid), uid.clone())).collect();
        waiting.sort_unstable();
        // Not all at once: each asks Graph several questions.
        for ((_, uid), turn) in waiting.into_iter().zip(0..) {
            self.call([uid], Moment { at: moment.at + WAKE_APART * turn, ..moment });
        }
    }

    /// All attempts of the process that led before are known now.
    pub fn catch_up(&mut self, moment: Moment) {
        self.is_caught_up = true;
        self.wake_all(moment);
    }

    /// Whether the version of a request that was seen is at least this one. One that is gone need not be seen.
    pub fn has_seen(&self, uid: &str, version: &Version) -> bool {
        let entry = self.entries.get(uid).filter(|entry| !entry.is_gone);
        let observed = entry.and_then(|entry| entry.observed.as_ref());
        observed.is_some_and(|seen| seen.version == *version || version.is_before(&seen.version))
    }

    /// The request as it was last read or written in the reconcile that goes on.
    pub fn request(&self, uid: &Uid) -> Option<Arc<TapRequest>> {
        let reconcile = self.entries.get(uid)?.reconcile()?;
        reconcile.request.as_ref().map(|read| Arc::clone(&read.0))
    }

    /// Whether something happened to a request that its reconcile may not have seen.
    pub fn is_outrun(&self, uid: &Uid) -> bool {
        let work = self.entries.get(uid).and_then(|entry| entry.work.as_ref());
        work.is_some_and(|work| work.is_outrun)
    }

    /// Whether a request is there, as far as is known.
    pub fn is_there(&self, uid: &Uid) -> bool {
        self.entries.get(uid).is_some_and(|entry| !entry.is_gone)
    }

    /// What is known of a request.
    pub fn observed(&self, uid: &Uid) -> Option<&Observed> {
        self.entries.get(uid)?.observed.as_ref()
    }

    /// Some requests that are there and stay, for questions that need one.
    pub fn some(&self, most: usize) -> Vec<RequestName> {
        let there = self.entries.values().filter(|entry| !entry.is_gone);
        let observed = there.filter_map(|entry| entry.observed.as_ref());
        let stay = observed.filter(|observed| !observed.is_to_end && observed.unreadable.is_none());
        stay.take(most).map(|observed| observed.name.clone()).collect()
    }

    /// How many passes are active.
    pub fn active(&self) -> usize {
        let there = self.entries.values().filter(|entry| !entry.is_gone);
        let observed = there.filter_map(|entry| entry.observed.as_ref());
        observed.filter(|observed| observed.phase == Phase::Active).count()
    }

    /// What was read in the reconcile of a request that goes on.
    pub fn reads(&self, uid: &Uid) -> Option<&Reads> {
        Some(&self.entries.get(uid)?.reconcile()?.reads)
    }

    /// Whether Graph answered for a request with a pass that is neither recorded nor taken back yet.
    pub fn holds_an_answer(&self, uid: &Uid) -> bool {
        let work = self.entries.get(uid).and_then(|entry| entry.work.as_ref());
        work.is_some_and(|work| work.holds_an_answer())
    }

    /// The pass that Graph answered with for a request, and the user principal name of its user.
    pub fn held(&self, uid: &Uid) -> Option<(String, Held)> {
        let attempt = self.entries.get(uid)?.work.as_ref()?.memory.attempt.as_ref()?;
        match &attempt.progress {
            Progress::Held(held) => {
                Some((attempt.intent.user_principal_name.clone(), held.clone()))
            }
            Progress::Armed | Progress::Sent | Progress::Void => None,
        }
    }

    /// The decisions of people about a request that were not told of yet. A process that begins tells again what was
    /// decided about a request that has not ended: rather twice than never.
    pub fn untold(&mut self, uid: &Uid) -> Vec<Decision> {
        let Some(entry) = self.entries.get_mut(uid) else { return Vec::new() };
        let Some(read) = entry.reconcile().and_then(|reconcile| reconcile.request.clone()) else {
            return Vec::new();
        };
        if read.0.phase().is_final() {
            return Vec::new();
        }
        let decisions = read.0.decisions();
        let told = entry.told as usize;
        entry.told = u32::try_from(decisions.len()).unwrap_or(u32::MAX);
        decisions.iter().skip(told).cloned().collect()
    }
}
