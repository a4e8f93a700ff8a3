//! The next step for one request, and its end.

use std::time::Duration;

use super::entry::{Doing, LookState};
use super::life::{self, Decided};
use super::{Moment, Observed, Requests};
use crate::decision::ids::{Uid, UserKey};
use crate::decision::intent::{Stage, has_finalizer};
use crate::decision::quota::Bounds;
use crate::decision::situation::{
    Attempt, Facts, Progress, SecretFound, SecretWritten, Situation, Slot, Stop, Surroundings, Turn,
};
use crate::decision::step::{Action, Question, Rest, Step};
use jiff::SignedDuration;

/// How long a recovery waits while another request of the user is being issued, before it questions again.
const BESIDE_ANOTHER: SignedDuration = SignedDuration::from_secs(2);

/// How a reconcile came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rested {
    /// It has ended.
    Ended,
    /// It holds an answer of Graph, which it must take back or record before it may end: it rests so long, and goes on.
    HoldsAnAnswer(Duration),
}

impl Requests {
    /// The next step for a request whose reconcile goes on.
    pub fn next(&mut self, uid: &Uid, around: &Surroundings, moment: Moment) -> Step {
        if self.revokes_active != (around.stop == Stop::RevokeActive) {
            self.set_stop(around.stop, moment);
        }
        if let Some(reconcile) = self.reconcile_mut(uid) {
            reconcile.tenant_id = around.connection.map(|c| c.tenant_id.as_str().into());
            reconcile.connection = around.connection.map(|c| c.name.as_str().into());
        }
        loop {
            let superseded_by = self.superseded_by(uid);
            let Some(entry) = self.entries.get_mut(uid) else { return Step::Rest(Rest::ForChange) };
            let work = entry.work.get_or_insert_default();
            let Some(reconcile) = &mut work.reconcile else { return Step::Rest(Rest::ForChange) };
            if let Some(asked_for_a_pass) = reconcile.gone {
                return Step::Gone { asked_for_a_pass };
            }
            let read = reconcile.request.as_ref().filter(|_| !reconcile.must_read);
            let Some(request) = read.map(|read| read.0.clone()) else { return Step::Read };
            let seen = match &entry.look {
                LookState::Seen(seen) => Some(&**seen),
                _ => None,
            };
            let decided = life::next(&Situation {
                around: *around,
                request: &request,
                connections: &self.connections,
                superseded_by: superseded_by.as_deref(),
                seen,
                secret_is_gone: entry.secret.as_ref().is_some_and(|secret| secret.is_gone),
                reads: &reconcile.reads,
                memory: &work.memory,
            });
            match decided {
                Decided::Foreseen(user, bounds) => {
                    let foreseen = self.foreseen(uid, &user, bounds, around.now);
                    self.reads_mut(uid, |reads| reads.facts.foreseen = Some(foreseen));
                }
                Decided::Neighbours(user) => {
                    let neighbours = self.neighbours(uid, &user, around.now);
                    self.reads_mut(uid, |reads| reads.facts.neighbours = Some(neighbours));
                }
                Decided::Turn(user) => {
                    let turn = self.take_turn(uid, &user);
                    self.reads_mut(uid, |reads| reads.facts.turn = Some(turn));
                }
                Decided::Slot(bounds) => {
                    let slot = self.take_slot(uid, bounds, moment);
                    self.reads_mut(uid, |reads| reads.slot = Some(slot));
                }
                Decided::Secrets => {
                    let secrets = self.may_write_secret(uid, around.now);
                    self.reads_mut(uid, |reads| reads.secrets = Some(secrets));
                }
                Decided::Facts => self.reads_mut(uid, |reads| reads.facts = Facts::default()),
                Decided::Deletion(tenant_id) => {
                    let deletion = self.may_delete(uid, &tenant_id);
                    self.reads_mut(uid, |reads| reads.deletion = Some(deletion));
                }
                Decided::Forget => {
                    work.memory.attempt = None;
                    // What was held may have been held for a request that is gone.
                    reconcile.must_read = true;
                }
                Decided::Step(Step::Ask(questions)) => {
                    if has_finalizer(&request) && self.is_beside_another(uid, &questions) {
                        return Step::Rest(Rest::For(BESIDE_ANOTHER));
                    }
                    let connection = around.connection.map(|connection| connection.name.as_str());
                    let questions = self.still_to_read(uid, connection, questions, moment);
                    if questions.is_empty() {
                        continue;
                    }
                    if let Some(reconcile) = self.reconcile_mut(uid) {
                        (reconcile.asked_at, reconcile.asked) = (around.now.earliest, moment.at);
                    }
                    return Step::Ask(questions);
                }
                Decided::Step(Step::Act(action)) => {
                    self.begin_action(uid, &action);
                    return Step::Act(action);
                }
                Decided::Step(step) => return step,
            }
        }
    }

    /// The request whose recorded pass replaced the pass of this one.
    fn superseded_by(&self, uid: &Uid) -> Option<String> {
        let recorded = self.observed(uid)?.recorded.as_ref()?;
        let others = self.index.replacing(recorded.pass_id.clone(), uid);
        others.filter_map(|other| self.name_of(other)).min()
    }

    /// It is a request's turn when no other one is being issued for the user, here or by a process that died.
    fn take_turn(&mut self, uid: &Uid, user: &UserKey) -> Turn {
        if !self.is_caught_up {
            return Turn::NotKnown;
        }
        let open = self.index.unresolved_for(user, uid).filter_map(|other| self.name_of(other));
        if let Some(other) = open.min() {
            return Turn::Of(other);
        }
        let holder = self.turns.entry(user.clone()).or_insert_with(|| uid.clone());
        if holder != uid {
            self.waits_for_turn(uid, user);
            return Turn::Busy;
        }
        let ours = Box::new(user.clone());
        let before = self.entries.get_mut(uid).and_then(|entry| entry.turn.replace(ours));
        // The name of the user may mean another one since the request was read again.
        if let Some(before) = before.filter(|before| **before != *user) {
            self.turns.remove(&*before);
        }
        Turn::Ours
    }

    fn take_slot(&mut self, uid: &Uid, bounds: Bounds, moment: Moment) -> Slot {
        let Some(observed) = self.observed(uid) else { return Slot::Ours };
        let (party, created, holds) = (observed.party.clone(), observed.created, observed.holds());
        let (slot, called) = self.holders.take(uid, &party, created, holds, bounds);
        self.call(called, moment);
        slot
    }

    /// Whether what a recovery would list may be the pass that another request is just being issued: an intent that was on
    /// its way when its process lost the lease may show up so late.
    fn is_beside_another(&self, uid: &Uid, questions: &[Question]) -> bool {
        questions.iter().any(|question| match question {
            Question::Passes { user, .. } => {
                self.turns.get(user).is_some_and(|holder| holder != uid)
            }
            _ => false,
        })
    }

    fn begin_action(&mut self, uid: &Uid, action: &Action) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let work = entry.work_mut();
        let doing = match action {
            Action::WriteStatus(_) => Some(Doing::Status),
            Action::RecordIntent(intent, grounds) => {
                let issuing = intent.stage == Stage::Issuing;
                if issuing {
                    // Noted before it is sent: if the answer is lost, this process still knows that no POST followed.
                    work.memory.attempt = Some(Attempt {
                        intent: (**intent).clone(),
                        grounds: (**grounds).clone(),
                        progress: Progress::Armed,
                    });
                }
                Some(Doing::Intent { issuing })
            }
            Action::Release(_) => Some(Doing::Release),
            Action::Post(_) => {
                if let Some(attempt) = &mut work.memory.attempt {
                    attempt.progress = Progress::Sent;
                }
                None
            }
            Action::DeleteSecret(uid) => Some(Doing::DeleteSecret(uid.clone())),
            Action::DeletePass { pass_id, .. } => {
                // Its code is worthless from here on, so its Secret is not created any more.
                if let Some(Attempt { progress: Progress::Held(held), .. }) =
                    &mut work.memory.attempt
                    && held.secret == SecretWritten::NotYet
                {
                    held.secret = SecretWritten::Forgone;
                }
                Some(Doing::DeletePass(pass_id.clone()))
            }
            Action::CreateSecret | Action::DeleteRequest => None,
        };
        if let Some(reconcile) = &mut work.reconcile {
            reconcile.doing = doing;
        }
        if matches!(action, Action::DeletePass { .. }) && entry.deleting.is_some() {
            self.give_way(uid);
        }
    }

    /// Nothing is to be done for a request now: its reconcile ends, unless it holds an answer of Graph. `length` says how
    /// long a rest is after so many failures in a row.
    pub fn rest(
        &mut self,
        uid: &Uid,
        rest: Rest,
        moment: Moment,
        length: impl FnOnce(Rest, u32) -> Duration,
    ) -> Rested {
        let Some(entry) = self.entries.get_mut(uid) else { return Rested::Ended };
        let work = entry.work_mut();
        let backs_off = matches!(rest, Rest::Backoff(_) | Rest::BackoffUntil(..));
        work.failures = if backs_off { work.failures.saturating_add(1) } else { 0 };
        let length = length(rest, work.failures);
        if work.holds_an_answer() {
            return self.pause(uid, length);
        }
        let reads = work.reconcile.as_ref().map(|reconcile| &reconcile.reads);
        let is_unclear =
            reads.is_some_and(|reads| matches!(reads.secret, Some(SecretFound::Unclear(_))));
        // What was seen of the pass has been acted on, unless it is unclear whether the Secret is gone, the status that says so
        // was refused, or it was seen after this reconcile began.
        let is_untold = reads.is_some_and(|reads| reads.refused.is_some());
        let is_outrun = entry.work.as_ref().is_some_and(|work| work.is_outrun);
        if matches!(entry.look, LookState::Seen(_)) && !is_unclear && !is_untold && !is_outrun {
            let again = moment.at + self.settings.use_check.unsigned_abs();
            self.schedule.look_at(uid, entry, again);
        }
        let is_over = entry.observed.as_ref().is_none_or(|observed| observed.phase.is_final());
        let at = (rest != Rest::ForChange || !is_over).then(|| moment.at + length);
        self.end(uid, at, moment);
        Rested::Ended
    }

    /// A step failed, and nobody knows what it did: the reconcile ends, unless it holds an answer of Graph, and another
    /// begins after a backoff. `length` says how long that is after so many failures in a row.
    pub fn fail(
        &mut self,
        uid: &Uid,
        moment: Moment,
        length: impl FnOnce(u32) -> Duration,
    ) -> Rested {
        let tenant_id = self.tenant_of(uid);
        let now = (moment.graph)(tenant_id.as_deref());
        let Some(entry) = self.entries.get_mut(uid) else { return Rested::Ended };
        let work = entry.work_mut();
        work.failures = work.failures.saturating_add(1);
        let length = length(work.failures);
        if work.holds_an_answer() {
            let expires = work.held().map(|held| held.expires).filter(|at| *at > now.earliest);
            let left = expires.map(|at| moment.until(at, tenant_id.as_deref()));
            let left = left.map(|at| at.saturating_sub(moment.at));
            return self.pause(uid, left.map_or(length, |left| length.min(left)));
        }
        let recorded = entry.observed.as_ref().filter(|o| !o.has_ended()).and_then(|o| {
            let expires = o.recorded.as_ref()?.expires()?;
            Some(moment.until(expires, o.tenant_id.as_deref())).filter(|at| *at > moment.at)
        });
        let again = moment.at + length;
        // Whether it holds a pass is not known.
        self.holders.keep(uid);
        // The Secret goes on time, however long calls have been failing.
        self.end(uid, Some(recorded.map_or(again, |expires| again.min(expires))), moment);
        Rested::Ended
    }

    /// A request is gone, and nothing is held for it. Answers with the request as it was last known, unless the watch showed
    /// already that it is gone.
    pub fn gone(&mut self, uid: &Uid, moment: Moment) -> Option<Observed> {
        let entry = self.entries.get(uid).filter(|entry| !entry.is_gone);
        let known = entry.and_then(|entry| entry.observed.clone());
        self.forget(uid, moment);
        known
    }

    fn pause(&mut self, uid: &Uid, length: Duration) -> Rested {
        self.give_way(uid);
        Rested::HoldsAnAnswer(length)
    }

    /// A reconcile waits, and others may go on meanwhile.
    fn give_way(&mut self, uid: &Uid) {
        if let Some(reconcile) = self.reconcile_mut(uid)
            && !std::mem::replace(&mut reconcile.gives_way, true)
        {
            let wants_a_pass = reconcile.wants_a_pass.clone();
            self.schedule.rests(wants_a_pass.as_deref());
        }
    }

    /// A reconcile that gave way goes on.
    pub(super) fn go_on(&mut self, uid: &Uid) {
        if let Some(reconcile) = self.reconcile_mut(uid)
            && std::mem::take(&mut reconcile.gives_way)
        {
            let wants_a_pass = reconcile.wants_a_pass.clone();
            self.schedule.goes_on(wants_a_pass.as_deref());
        }
    }

    /// The reconcile of a request ends. The turn for its user is given back once nothing of the request is unresolved, the
    /// place within a quota once it can hold no pass.
    fn end(&mut self, uid: &Uid, due: Option<Duration>, moment: Moment) {
        let Some(mut entry) = self.entries.remove(uid) else { return };
        self.schedule.ends(&mut entry);
        let unsettled = entry.work.as_ref().is_some_and(|work| work.memory.attempt.is_some());
        let observed = entry.observed.as_ref();
        if !unsettled && observed.is_none_or(|observed| observed.unresolved.is_none()) {
            self.give_back_turn(uid, &mut entry, moment);
            self.finds_out_no_more(uid);
        }
        self.deletes_no_more(uid, &mut entry, moment);
        let holds = entry.observed.as_ref().is_some_and(Observed::holds);
        let is_outrun = entry.work.as_mut().is_some_and(|work| std::mem::take(&mut work.is_outrun));
        // One that was called since it looked for a place questions again at once.
        let waits = self.holders.waits(uid) || is_outrun && self.holders.is_called(uid);
        let mut called = Vec::new();
        if unsettled || holds {
            self.holders.keep(uid);
        } else if !waits {
            called = self.holders.give_back(uid, holds);
        }
        let over = entry.observed.as_ref().filter(|observed| observed.is_over() && !unsettled);
        // Nothing is left to do for one that stays as a record, whatever the reconcile knew of it.
        let due = due.filter(|_| over.is_none_or(|observed| observed.leaves_at.is_some()));
        if over.is_some() {
            entry.let_go();
        }
        entry.tidy();
        let is_gone = entry.is_gone;
        if let Some(at) = due {
            self.schedule.due(uid, &mut entry, at);
        }
        self.entries.insert(uid.clone(), entry);
        if is_gone {
            self.forget(uid, moment);
        } else if is_outrun {
            self.reschedule(uid, moment);
        }
        self.call(called, moment);
    }

    pub(super) fn name_of(&self, uid: &Uid) -> Option<String> {
        self.observed(uid).map(|observed| observed.name.to_string())
    }
}
