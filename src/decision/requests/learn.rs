//! What an outcome does to what is known.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::{AsRead, Doing, LookState, Reconcile, Work};
use super::life::existing_pass;
use super::observed::Observed;
use super::{Moment, Requests};
use crate::api::{Phase, TapRequest};
use crate::decision::clock::{Now, later};
use crate::decision::ids::{Uid, UserKey};
use crate::decision::intent::{Intent, POST_WINDOW};
use crate::decision::outcome::{Outcome, Posted, SecretCreation};
use crate::decision::situation::{
    Attempt, Cause, Facts, Held, Known, Listing, Progress, Reads, RefusedWrite, SecretFound,
    SecretWritten, Setback, Told, Unlisted, Written,
};
use crate::entra::{Advice, GraphError, Listed, TapMethod, UsabilityReason};

/// How long before a recorded pass is looked at again where Graph gave no answer, and named no time.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How long after Graph's answer its Secret may be created again if the API server is busy.
const BUSY_WINDOW: SignedDuration = SignedDuration::from_secs(30);

impl Requests {
    /// Takes note of what came of the step that was said last for a request, or of one of the reads that it asked for.
    pub fn learn(&mut self, uid: &Uid, outcome: Outcome, moment: Moment) {
        let now = (moment.graph)(self.tenant_of(uid).as_deref());
        match outcome {
            Outcome::Request(found) => self.learn_request(uid, found, moment),
            Outcome::Method(method) => {
                self.share_method(uid, &method);
                self.learn_fact(uid, |facts| facts.method = Some(method));
            }
            Outcome::User(user) => {
                self.learn_of_memory(uid, |memory, asked_at| {
                    note_missing(&mut memory.user_missing, &user, asked_at, now.latest);
                });
                self.learn_fact(uid, |facts| facts.user = Some(user));
            }
            Outcome::People(people) => self.learn_fact(uid, |facts| facts.people = Some(people)),
            Outcome::Groups(groups) => self.learn_fact(uid, |facts| facts.groups = Some(groups)),
            Outcome::GroupStates(states) => {
                self.learn_fact(uid, |facts| facts.group_states = Some(states));
            }
            Outcome::UserByMail(found) => {
                // A hint: whoever has no answer goes without.
                self.learn_fact(uid, |facts| facts.meant = Some(found.unwrap_or_default()));
            }
            Outcome::SignInMethods(methods) => {
                self.learn_fact(uid, |facts| facts.sign_in_methods = Some(methods));
            }
            Outcome::Roles(roles) => self.learn_fact(uid, |facts| facts.roles = Some(roles)),
            Outcome::Eligibility(eligibility) => {
                self.learn_fact(uid, |facts| facts.eligibility = Some(eligibility));
            }
            Outcome::ListedRoles(listed) => {
                self.learn_fact(uid, |facts| facts.listed_roles = Some(listed));
            }
            Outcome::SignInRules(rules) => {
                self.learn_fact(uid, |facts| facts.sign_in_rules = Some(rules));
            }
            Outcome::SignIn(seen) => self.learn_fact(uid, |facts| facts.sign_in = Some(seen)),
            Outcome::Passes(user, listed) => {
                let listed = listed.and_then(|listed| self.of_its_time(uid, listed, now));
                self.learn_passes(uid, &user, listed);
            }
            Outcome::SecretDryRun(answer) => {
                self.reads_mut(uid, |reads| reads.secret_dry_run = Some(answer));
            }
            Outcome::Secret { found, unfenced_for } => {
                let found = self.whose(uid, found, unfenced_for);
                self.reads_mut(uid, |reads| {
                    reads.secret = Some(found);
                    reads.listed_since = false;
                });
            }
            Outcome::Labels(labels) => self.reads_mut(uid, |reads| reads.labels = Some(labels)),
            Outcome::Brakes(brakes) => self.reads_mut(uid, |reads| reads.brakes = Some(brakes)),
            Outcome::Written(request) => self.learn_write(uid, &request, now, moment),
            Outcome::Permitted(permitted) => {
                self.reads_mut(uid, |reads| reads.permitted = Some(permitted));
            }
            Outcome::Outdated => self.must_read(uid),
            Outcome::Refused(refused) => self.learn_refusal(uid, refused),
            Outcome::Posted(posted) => self.learn_post(uid, posted, now),
            Outcome::SecretCreated(created) => self.learn_creation(uid, &created, now, moment),
            Outcome::SecretDeleted(deleted) => self.learn_deletion(uid, deleted),
            Outcome::PassDeleted(deleted) => self.learn_pass_deleted(uid, deleted),
            Outcome::RequestDeleted => {
                if let Some(reconcile) = self.reconcile_mut(uid) {
                    reconcile.gone = Some(false);
                }
            }
            Outcome::Rested => {
                // It is read again, with all that happened meanwhile.
                if let Some(work) = self.entries.get_mut(uid).and_then(|entry| entry.work.as_mut())
                {
                    work.is_outrun = false;
                }
                self.must_read(uid);
                self.go_on(uid);
            }
        }
    }

    /// Takes note of what was seen of a recorded pass: its request is reconciled where something follows from it, else the
    /// pass is looked at again later.
    pub fn learn_look(&mut self, uid: &Uid, seen: Result<TapMethod, GraphError>, moment: Moment) {
        let now = (moment.graph)(self.tenant_of(uid).as_deref());
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let LookState::UnderWay(look) = &entry.look else { return };
        let asked_at = look.asked_at;
        let missing = &mut entry.work_mut().memory.pass_missing;
        note_missing(missing, &seen, asked_at, now.latest);
        let is_certain = missing.is_some_and(|told| told.is_certain(self.settings.settle));
        let use_check = self.settings.use_check.unsigned_abs();
        let again = match &seen {
            Ok(pass) if pass.reason == Some(UsabilityReason::OneTimeUsed) => None,
            Err(error) if error.is_not_found() => (!is_certain).then_some(use_check),
            Ok(_) => Some(use_check),
            Err(error) => Some(match error.advice() {
                Advice::Retry { after } => after.unwrap_or(LOOK_AGAIN),
                Advice::Wait | Advice::Stop => use_check,
            }),
        };
        entry.tidy();
        if let Some(again) = again {
            self.schedule.look_at(uid, entry, moment.at + again);
        } else {
            self.schedule.look_no_more(uid, entry);
            entry.look = LookState::Seen(Box::new(seen));
            self.schedule.due(uid, entry, moment.at);
        }
    }

    /// Takes note that there is no Secret for a recorded pass any more.
    pub fn learn_secret_gone(&mut self, uid: &Uid, moment: Moment) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        if !std::mem::replace(&mut entry.secret.get_or_insert_default().is_gone, true) {
            self.schedule.due(uid, entry, moment.at);
        }
    }

    fn learn_request(&mut self, uid: &Uid, found: Option<Arc<TapRequest>>, moment: Moment) {
        let found = found.filter(|found| found.metadata.uid.as_deref() == Some(uid.as_str()));
        if let Some(request) = &found {
            self.observe_own(uid, Observed::of(request), moment);
        }
        let Some(work) = self.entries.get_mut(uid).map(|entry| entry.work_mut()) else { return };
        if let Some(request) = &found {
            work.drop_unrecorded(request);
        }
        let progress = work.memory.attempt.as_ref().map(|attempt| &attempt.progress);
        let (holds, asked) =
            (matches!(progress, Some(Progress::Held(_))), matches!(progress, Some(Progress::Sent)));
        let Some(reconcile) = &mut work.reconcile else { return };
        reconcile.reads = Reads::default();
        reconcile.must_read = false;
        match (found, &reconcile.request) {
            (Some(request), _) => reconcile.request = Some(AsRead(request)),
            // It is gone, or another one has its name. What this process still holds for it must go.
            (None, Some(before)) if holds => {
                reconcile.request = Some(AsRead(Arc::new(without_finalizer(&before.0))));
            }
            (None, _) => reconcile.gone = Some(asked),
        }
    }

    /// Takes note of a version that was read or written here, not seen by the watch.
    fn observe_own(&mut self, uid: &Uid, observed: Observed, moment: Moment) {
        self.observe(uid, observed, moment);
        self.learned_beside_a_list(uid);
    }

    fn learn_passes(&mut self, uid: &Uid, user: &UserKey, listed: Result<Listed, GraphError>) {
        let listing = listed.map(|listed| {
            let known = listed.passes.iter();
            let known = known.filter_map(|p| Some((p.id.clone(), self.known(&p.id, uid)?)));
            Listing {
                user: user.clone(),
                known: known.collect(),
                unlisted: self.unlisted(user, uid, &listed),
                passes: listed.passes,
                date: listed.date,
            }
        });
        if let Ok(listing) = &listing {
            let existing = existing_pass(listing);
            let foreign = existing.filter(|pass| !listing.known.contains_key(&pass.id));
            self.saw_listed_pass(user, foreign, listing.date);
            let seen = existing.map(|pass| pass.id.clone());
            self.learn_of_memory(uid, |memory, asked_at| {
                let before = memory.existing.take();
                memory.existing = seen.map(|id| {
                    let before = before.filter(|(other, _)| *other == id).map(|(_, told)| told);
                    (id, Told::again(before, asked_at, listing.date))
                });
            });
        }
        if let Some(reconcile) = self.reconcile_mut(uid) {
            reconcile.reads.passes_asked_at = Some(reconcile.asked_at);
            reconcile.reads.listed_since = true;
            reconcile.reads.passes = Some(listing);
        }
    }

    /// What is known of a pass that was made for another request. The end of that one counts, also where this process does
    /// not know that the pass is gone: another one deleted it, or the answer was lost.
    fn known(&self, pass_id: &str, asking: &Uid) -> Option<Known> {
        let recording = || {
            let others = self.index.recording(pass_id.into(), asking);
            others.filter_map(|other| self.observed(other))
        };
        let ended = |phase| matches!(phase, Phase::Used | Phase::Expired | Phase::Revoked);
        if recording().any(|other| ended(other.phase)) {
            return Some(Known::Gone);
        }
        self.own_passes.known(pass_id, asking).or_else(|| {
            // Also of one that was released by hand: its pass may live on.
            recording().next().map(|other| Known::Recorded(other.name.to_string()))
        })
    }

    /// A pass that was made for this user and another request so lately that it need not be listed, and is not.
    fn unlisted(&self, user: &UserKey, asking: &Uid, listed: &Listed) -> Option<Unlisted> {
        let is_listed = |pass_id: &str| listed.passes.iter().any(|pass| pass.id == pass_id);
        let own = self.own_passes.unlisted(user, asking, listed.date);
        // A process that is gone may have made it. Each replaced the one before.
        let of_others = || {
            self.index.issued_for(user).filter(|other| *other != asking).find_map(|other| {
                let other = self.observed(other).filter(|other| other.phase == Phase::Active)?;
                let recorded = other.recorded.as_ref()?;
                let attempt = recorded.attempt.as_ref()?;
                let lately = listed.date < self.listed_from(attempt.listed_at);
                let pass_id = recorded.pass_id.to_string();
                (lately && !is_listed(&pass_id))
                    .then(|| Unlisted { request: other.name.to_string(), pass_id })
            })
        };
        own.filter(|own| !is_listed(&own.pass_id)).or_else(of_others)
    }

    /// From when on a list shows a pass that was asked for after a list of that time.
    fn listed_from(&self, listed_at: Timestamp) -> Timestamp {
        later(listed_at, POST_WINDOW + self.settings.settle)
    }

    /// Whose a Secret is. Where the policy on Secrets is not in force the API server does not tell, and ours is only what this
    /// process created. For a while that may still change.
    fn whose(&self, uid: &Uid, found: SecretFound, unfenced_for: Option<Duration>) -> SecretFound {
        let (SecretFound::Ours(secret), Some(unfenced_for)) = (&found, unfenced_for) else {
            return found;
        };
        let known = self.entries.get(uid).and_then(|entry| entry.secret.as_ref());
        if known.is_some_and(|known| known.uid.as_deref() == Some(secret)) {
            return found;
        }
        if unfenced_for < self.settings.settle.unsigned_abs() {
            let why = "the admission policy on Secrets is not in force, so it cannot be told whose Secret of that name it is";
            return SecretFound::Unclear(why.into());
        }
        SecretFound::Foreign
    }

    fn learn_write(&mut self, uid: &Uid, request: &Arc<TapRequest>, now: Now, moment: Moment) {
        let before = self.request(uid);
        self.observe_own(uid, Observed::of(request), moment);
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let work = entry.work_mut();
        let Some(reconcile) = &mut work.reconcile else { return };
        reconcile.request = Some(AsRead(Arc::clone(request)));
        match reconcile.doing.take() {
            Some(Doing::Status) => {
                let was_active = before.is_some_and(|before| before.phase() == Phase::Active);
                if request.phase() == Phase::Active && !was_active {
                    // From here on the status knows what this process knew.
                    work.memory.attempt = None;
                    work.memory.setback = None;
                }
            }
            Some(Doing::Intent { issuing }) => {
                if !issuing {
                    work.memory.attempt = None;
                    reconcile.reads.passes = None;
                }
                reconcile.reads.secret = None;
                reconcile.reads.deleted = None;
                reconcile.reads.brakes = None;
            }
            Some(Doing::Release) => {
                reconcile.reads = Reads::default();
                let attempt = work.memory.attempt.take();
                if attempt.is_some_and(|attempt| matches!(attempt.progress, Progress::Armed)) {
                    set_back(work, now, Cause::HeldBack);
                }
            }
            Some(Doing::DeleteSecret(_) | Doing::DeletePass(_)) | None => {}
        }
    }

    fn learn_refusal(&mut self, uid: &Uid, refused: RefusedWrite) {
        let Some(work) = self.entries.get_mut(uid).map(|entry| entry.work_mut()) else { return };
        let Some(reconcile) = &mut work.reconcile else { return };
        reconcile.doing = None;
        if refused.what == Written::Intent {
            // An attempt that was not recorded was not made.
            work.memory.attempt.take_if(|attempt| attempt.progress == Progress::Armed);
        }
        reconcile.reads.refused = Some(refused);
    }

    fn learn_post(&mut self, uid: &Uid, posted: Posted, now: Now) {
        let name = self.observed(uid).map(|observed| observed.name.clone()).unwrap_or_default();
        let Some(work) = self.entries.get_mut(uid).map(|entry| entry.work_mut()) else { return };
        let Some(attempt) = &mut work.memory.attempt else { return };
        match posted {
            Posted::NotTried => {
                attempt.progress = Progress::Armed;
                return;
            }
            Posted::NoConnection => {
                attempt.progress = Progress::Void;
                return;
            }
            Posted::Made(made, date) => {
                let intent = attempt.intent.clone();
                let start = made.start.unwrap_or(date);
                let minutes = made.lifetime_minutes.unwrap_or(intent.lifetime_minutes);
                let expires = later(start, SignedDuration::from_mins(i64::from(minutes)));
                attempt.progress = Progress::Held(Held {
                    pass_id: made.id.clone(),
                    start,
                    expires,
                    answered: date,
                    one_time: made.one_time.unwrap_or(intent.one_time_use),
                    secret: SecretWritten::NotYet,
                });
                let user = UserKey::new(&intent.tenant_id, &intent.user_id);
                let unlisted_until = self.listed_from(intent.listed_at);
                let forgotten_at = later(expires.max(intent.latest_expiry), self.settings.settle);
                let request = (uid, &name);
                self.own_passes.forget_until(now.earliest);
                self.own_passes.made(&made.id, request, user, unlisted_until, forgotten_at);
            }
            Posted::Refused(error) => {
                attempt.progress = Progress::Void;
                set_back(work, now, Cause::Graph(error));
            }
            // That may take long to find out.
            Posted::Unknown => self.finds_out_no_more(uid),
        }
        self.reads_mut(uid, |reads| reads.passes = None);
    }

    fn learn_creation(&mut self, uid: &Uid, created: &SecretCreation, now: Now, moment: Moment) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let work = entry.work_mut();
        let Some(Attempt { progress: Progress::Held(held), .. }) = &mut work.memory.attempt else {
            return;
        };
        // What it says of the Secrets of other requests: nothing, or whether they are refused or the server is in trouble.
        let (written, why, is_refused) = match created {
            SecretCreation::Yes(secret) => {
                held.secret = SecretWritten::Created(secret.clone());
                entry.secret.get_or_insert_default().uid = Some(secret.as_str().into());
                return self.secret_was_written(uid, moment);
            }
            // Nothing was done, so the same Secret may be created again, while people wait no longer than for an attempt.
            SecretCreation::Busy(why) if now.latest < later(held.answered, BUSY_WINDOW) => {
                return self.reads_mut(uid, |reads| reads.busy = Some(why.clone()));
            }
            SecretCreation::Taken(why) => (SecretWritten::Refused, why, None),
            SecretCreation::Refused(why) => (SecretWritten::Refused, why, Some(true)),
            SecretCreation::Busy(why) => (SecretWritten::Refused, why, Some(false)),
            SecretCreation::Unknown(why) => (SecretWritten::Unknown, why, Some(false)),
        };
        held.secret = written;
        set_back(work, now, Cause::Secret(why.clone()));
        if let Some(is_refused) = is_refused {
            self.secret_was_not_written(uid, is_refused, why, now);
        }
        // Whose a Secret of that name is depends on whether the request is still there.
        self.must_read(uid);
    }

    fn learn_deletion(&mut self, uid: &Uid, deleted: Result<bool, String>) {
        let Some(work) = self.entries.get_mut(uid).map(|entry| entry.work_mut()) else { return };
        let Some(reconcile) = &mut work.reconcile else { return };
        let doing = reconcile.doing.take();
        reconcile.reads.secret_dry_run = None;
        let gone = match deleted {
            Ok(gone) => gone,
            Err(why) => {
                reconcile.reads.secret = Some(SecretFound::Unclear(why));
                return;
            }
        };
        reconcile.reads.secret = gone.then_some(SecretFound::Deleted);
        if let Some(Attempt { progress: Progress::Held(held), .. }) = &mut work.memory.attempt {
            let created = matches!(&doing, Some(Doing::DeleteSecret(deleted)) if held.secret == SecretWritten::Created(deleted.clone()));
            if gone || created {
                held.secret = SecretWritten::Removed;
            }
        }
    }

    fn learn_pass_deleted(&mut self, uid: &Uid, deleted: Result<(), GraphError>) {
        self.go_on(uid);
        let Some(reconcile) = self.reconcile_mut(uid) else { return };
        let doing = reconcile.doing.take();
        let intent = reconcile.request.as_ref().and_then(|read| Intent::of(&read.0));
        let is_deleted = deleted.is_ok();
        reconcile.reads.deleted = Some(deleted);
        if let (true, Some(Doing::DeletePass(pass_id)), Some(intent)) = (is_deleted, doing, intent)
        {
            let forgotten_at = later(intent.latest_expiry, self.settings.settle);
            self.own_passes.deleted(&pass_id, forgotten_at);
        }
    }

    /// The tenant that a request has to do with, by its id, where that is known.
    pub fn tenant_of(&self, uid: &Uid) -> Option<Arc<str>> {
        let entry = self.entries.get(uid)?;
        let observed = entry.observed.as_ref().and_then(|observed| observed.tenant_id.clone());
        observed.or_else(|| entry.reconcile()?.tenant_id.clone())
    }

    fn must_read(&mut self, uid: &Uid) {
        if let Some(reconcile) = self.reconcile_mut(uid) {
            reconcile.must_read = true;
        }
    }

    fn learn_of_memory(
        &mut self,
        uid: &Uid,
        learn: impl FnOnce(&mut crate::decision::situation::Memory, Timestamp),
    ) {
        let Some(work) = self.entries.get_mut(uid).map(|entry| entry.work_mut()) else { return };
        let Some(reconcile) = &work.reconcile else { return };
        let asked_at = reconcile.asked_at;
        learn(&mut work.memory, asked_at);
    }

    pub(super) fn reconcile_mut(&mut self, uid: &Uid) -> Option<&mut Reconcile> {
        self.entries.get_mut(uid)?.work.as_mut()?.reconcile.as_mut()
    }

    /// Takes note of something that was read of the tenant or the user.
    fn learn_fact(&mut self, uid: &Uid, change: impl FnOnce(&mut Facts)) {
        if let Some(reconcile) = self.reconcile_mut(uid) {
            reconcile.reads.facts.asked(reconcile.asked_at);
            change(&mut reconcile.reads.facts);
        }
    }

    pub(super) fn reads_mut(&mut self, uid: &Uid, change: impl FnOnce(&mut Reads)) {
        if let Some(reconcile) = self.reconcile_mut(uid) {
            change(&mut reconcile.reads);
        }
    }
}

/// Notes that an attempt failed, at the time that it is now: the call that failed may have taken long.
fn set_back(work: &mut Work, now: Now, cause: Cause) {
    let memory = &mut work.memory;
    memory.setback = Some(Setback::after(memory.setback.take(), now.earliest, cause));
}

fn note_missing<T>(
    told: &mut Option<Told>,
    read: &Result<T, GraphError>,
    asked_at: Timestamp,
    answered_at: Timestamp,
) {
    match read {
        Ok(_) => *told = None,
        Err(error) if error.is_not_found() => {
            *told = Some(Told::again(*told, asked_at, answered_at));
        }
        // A failed read says nothing.
        Err(_) => {}
    }
}

fn without_finalizer(request: &TapRequest) -> TapRequest {
    let mut request = request.clone();
    request.metadata.finalizers = None;
    request
}
