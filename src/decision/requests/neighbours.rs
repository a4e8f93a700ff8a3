//! What is known, without asking Graph, of other passes for a request's user. Many requests may wait for one user, so they
//! wait for what is known to come, and one of them at a time asks Graph.

use jiff::{SignedDuration, Timestamp};

use super::index::change;
use super::{Moment, Requests};
use crate::api::Phase;
use crate::decision::clock::{Now, earlier, later};
use crate::decision::ids::{Uid, UserKey};
use crate::decision::quota::Bounds;
use crate::decision::situation::{Foreseen, LivePass, Neighbours};
use crate::entra::{Call, ErrorKind, GraphError, Listed, TapMethod};

/// How long after Graph listed a pass that no request records it is asked again.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest such pause. It grows by half each time.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(2);

/// How long a request waits for the pass of another one before it looks again.
const LIVE_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// How far the `Date` of a list may be off: it has no fractions of a second, and the clocks of Graph's servers differ a little.
const DATES_DIFFER: SignedDuration = SignedDuration::from_secs(10);

/// A live pass that Graph listed, and no request records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ListedPass {
    pass_id: String,
    pause: SignedDuration,
    /// When Graph is asked again.
    again: Timestamp,
    expires: Option<Timestamp>,
}

impl Requests {
    /// A list whose `Date` fits the time at which it was asked for. Of any other nobody can tell which of its passes are live,
    /// or which passes are too young to be in it; so it is no answer, and is asked for again.
    pub(super) fn of_its_time(
        &self,
        uid: &Uid,
        listed: Listed,
        now: Now,
    ) -> Result<Listed, GraphError> {
        let asked_at = self.entries.get(uid).and_then(|entry| Some(entry.reconcile()?.asked_at));
        let earliest = asked_at.map_or(Timestamp::MIN, |at| earlier(at, DATES_DIFFER));
        if (earliest..=later(now.latest, DATES_DIFFER)).contains(&listed.date) {
            return Ok(listed);
        }
        let why = "the answer bears another time than Graph's other answers, so it is not believed";
        Err(GraphError::new(Call::Passes, ErrorKind::Unavailable, why))
    }

    /// What is known of other passes for a request's user.
    pub(super) fn neighbours(&self, uid: &Uid, user: &UserKey, now: Now) -> Neighbours {
        let is_in_turn = self.turns.get(user).is_some_and(|other| other != uid);
        if is_in_turn || self.index.unresolved_for(user, uid).next().is_some() {
            return Neighbours::InTurn;
        }
        let live = self.live_pass_of_another(uid, user, now).map(|(request, expires)| {
            // Looked at now and then, in case that nobody tells of its end.
            Neighbours::Live(request, expires.min(later(now.earliest, LIVE_AGAIN)))
        });
        let listed = || {
            let again = self.listed_passes.get(user)?.again;
            (now.earliest < again).then_some(Neighbours::Listed(again))
        };
        live.or_else(listed).unwrap_or(Neighbours::None)
    }

    /// What is known that would prevent the pass of a request now.
    pub(super) fn foreseen(&self, uid: &Uid, user: &UserKey, bounds: Bounds, now: Now) -> Foreseen {
        let of_another = self.live_pass_of_another(uid, user, now);
        let of_another = of_another
            .map(|(request, expires)| LivePass { request: Some(request), expires: Some(expires) });
        let listed = || {
            let listed = self.listed_passes.get(user)?;
            let is_live = listed.expires.is_none_or(|expires| now.earliest < expires);
            is_live.then_some(LivePass { request: None, expires: listed.expires })
        };
        let observed = self.observed(uid);
        let quota = observed.and_then(|observed| self.holders.used_up(&observed.party, bounds));
        Foreseen { live: of_another.or_else(listed), quota }
    }

    /// The other request that has a live pass for the user, and when that expires.
    fn live_pass_of_another(
        &self,
        uid: &Uid,
        user: &UserKey,
        now: Now,
    ) -> Option<(String, Timestamp)> {
        self.index.issued_for(user).filter(|other| *other != uid).find_map(|other| {
            let other = self.observed(other).filter(|other| other.phase == Phase::Active)?;
            let expires = other.recorded.as_ref()?.expires()?;
            (now.earliest < expires).then(|| (other.name.to_string(), expires))
        })
    }

    /// Graph listed a live pass of a user that no request records, or (`None`) no such pass.
    pub(super) fn saw_listed_pass(
        &mut self,
        user: &UserKey,
        pass: Option<&TapMethod>,
        at: Timestamp,
    ) {
        let before = self.listed_passes.remove(user);
        self.forget_listed_passes(at);
        if let Some(before) = &before {
            self.listed_until.remove(&(before.forgotten_at(), user.clone()));
        }
        let Some(pass) = pass else { return };
        let same = before.filter(|before| before.pass_id == pass.id);
        let pause = same.map_or(PAUSE, |b| (b.pause + b.pause / 2).min(LONGEST_PAUSE));
        let again = later(at, pause).min(pass.expires().unwrap_or(Timestamp::MAX));
        let expires = pass.expires();
        let listed = ListedPass { pass_id: pass.id.clone(), pause, again, expires };
        self.listed_until.insert((listed.forgotten_at(), user.clone()));
        self.listed_passes.insert(user.clone(), listed);
    }

    /// Forgets listed passes of users for whom nobody has asked for long.
    pub(super) fn forget_listed_passes(&mut self, now: Timestamp) {
        while let Some((_, user)) = self.listed_until.first().filter(|(until, _)| *until < now) {
            let user = user.clone();
            self.listed_until.pop_first();
            self.listed_passes.remove(&user);
        }
    }

    /// It is another request's turn for the user.
    pub(super) fn waits_for_turn(&mut self, uid: &Uid, user: &UserKey) {
        self.waits_for_no_turn(uid);
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let Some(created) = entry.observed.as_ref().map(|observed| observed.created) else {
            return;
        };
        entry.waits_for_turn = Some(Box::new((user.clone(), created)));
        change(&mut self.waiting_for_turn, user.clone(), (created, uid.clone()), true);
    }

    /// A reconcile of the request begins, or it is gone: it does not wait for its turn any more.
    pub(super) fn waits_for_no_turn(&mut self, uid: &Uid) {
        let before = self.entries.get_mut(uid).and_then(|entry| entry.waits_for_turn.take());
        self.forget_waiting(uid, before);
    }

    pub(super) fn forget_waiting(&mut self, uid: &Uid, before: Option<Box<(UserKey, Timestamp)>>) {
        if let Some((user, created)) = before.map(|before| *before) {
            change(&mut self.waiting_for_turn, user, (created, uid.clone()), false);
        }
    }

    /// The oldest of the requests that wait for their turn for a user takes it.
    pub(super) fn call_next_in_line(&mut self, user: &UserKey, moment: Moment) {
        let line = self.waiting_for_turn.get(user);
        let next = line.and_then(|line| line.first()).map(|(_, uid)| uid.clone());
        self.call(next, moment);
    }

    /// The oldest of the requests that wait for another pass for a user looks whether it still must.
    pub(super) fn call_next_for(&mut self, user: &UserKey, but: &Uid, moment: Moment) {
        let next = self.index.contending_for(user).find(|uid| *uid != but).cloned();
        self.call(next, moment);
    }
}

impl ListedPass {
    fn forgotten_at(&self) -> Timestamp {
        later(self.again, LONGEST_PAUSE)
    }
}
