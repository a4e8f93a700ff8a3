//! What the shell does, in small: it shows the machine what happened, and performs the steps that it says.

use super::*;
use crate::decision::requests::ordered::visits;

impl Life {
    pub fn moment_at(&self) -> Duration {
        local(self.now)
    }

    /// Lets the machine see the time.
    pub fn with_moment<T>(&mut self, f: impl FnOnce(&mut Requests, Moment) -> T) -> T {
        let now = Now { earliest: self.now, latest: self.now + self.uncertain_by };
        let graph = |_: Option<&str>| now;
        let (at, before) = (self.moment_at(), visits());
        let answer = f(&mut self.requests, Moment { at, graph: &graph });
        self.costs.push(visits() - before);
        answer
    }

    // ---- the watches ----

    /// The API server numbers what was written since it was last asked.
    pub(super) fn number(&mut self) {
        let all: Vec<Uid> = self.others.keys().cloned().chain([self.uid()]).collect();
        for uid in all {
            let object = self.object_mut(&uid).clone();
            if self.versions.get(&uid) != Some(&object) {
                self.last_version += 1;
                let version = self.last_version.to_string();
                self.object_mut(&uid).metadata.resource_version = Some(version);
                let object = self.object_mut(&uid).clone();
                self.versions.insert(uid, object);
            }
        }
    }

    fn objects(&mut self) -> Vec<(Uid, Observed)> {
        self.number();
        let there = self.versions.iter().filter(|(uid, _)| !self.gone.contains(*uid));
        there.map(|(uid, object)| (uid.clone(), Observed::of(object))).collect()
    }

    /// The watches show what is there now.
    pub fn show(&mut self) {
        let policy = self.policy.as_ref().filter(|_| self.unreadable.is_none());
        let issuance = policy.and_then(|policy| policy.spec.issuance.as_ref());
        let now = (issuance.map(Bounds::of), self.stop);
        let before = std::mem::replace(&mut self.told, now);
        if before.0 != now.0 {
            self.with_moment(|requests, moment| requests.set_policy("contoso", now.0, moment));
        }
        if before.1 != now.1 {
            self.with_moment(|requests, moment| requests.set_stop(now.1, moment));
        }
        for (uid, observed) in self.objects() {
            self.apply(Seen::Applied(uid, observed));
        }
        for uid in self.gone.clone() {
            self.apply(Seen::Deleted(uid));
        }
    }

    /// A list shows what is there now, as at the start of a process.
    pub fn list(&mut self) {
        let listed = self.objects().into_iter().map(|(uid, seen)| Seen::Listed(uid, seen));
        let all: Vec<Seen> =
            [Seen::ListBegins].into_iter().chain(listed).chain([Seen::ListEnds]).collect();
        for seen in all {
            self.apply(seen);
        }
    }

    pub fn apply(&mut self, seen: Seen) -> Vec<(Uid, Observed)> {
        self.with_moment(|requests, moment| requests.apply(seen, moment))
    }

    /// A state machine that knows of no request, and of all else what this one was told.
    pub fn fresh(&self) -> Requests {
        let mut fresh = Self::alone();
        (fresh.policy, fresh.stop) = (self.policy.clone(), self.stop);
        fresh.show();
        fresh.requests
    }

    // ---- reconciles ----

    /// The watches show what is there, the passes that are due are looked at, and the request is reconciled. Answers with
    /// the rest that it comes to.
    pub fn reconcile(&mut self) -> Rest {
        self.show();
        self.look();
        self.reconcile_only(&self.uid())
    }

    /// The passes that are due are looked at.
    pub fn look(&mut self) {
        let now = self.now;
        // As many at once as may be.
        while self.look_at_once() && self.now == now {}
    }

    /// Whether any pass was due.
    fn look_at_once(&mut self) -> bool {
        let claim = |requests: &mut Requests, moment: Moment| requests.claim_look("tenant", moment);
        let due: Vec<PassLook> = std::iter::from_fn(|| self.with_moment(claim)).collect();
        let any = !due.is_empty();
        for look in due {
            let seen = if look.uid == self.uid() {
                self.seen.clone()
            } else {
                Ok(pass(&look.pass_id, at(0), 60, true))
            };
            self.now += self.stands_still_after_a_look;
            let is_usable =
                seen.as_ref().is_ok_and(|pass| pass.reason != Some(UsabilityReason::OneTimeUsed));
            self.with_moment(|requests, moment| requests.learn_look(&look.uid, seen, moment));
            let is_ours = look.uid == self.uid() && look.secret_of.is_some();
            if is_ours && is_usable && self.secret == SecretFound::Absent {
                self.with_moment(|requests, moment| requests.learn_secret_gone(&look.uid, moment));
            }
            self.now += self.stands_still_after_a_look;
        }
        any
    }

    /// A request is reconciled, whatever the machine says of when.
    pub fn reconcile_only(&mut self, uid: &Uid) -> Rest {
        self.begin(uid);
        for _ in 0..64 {
            if let Some(rest) = self.step(uid) {
                return rest;
            }
        }
        panic!("it goes in circles: {:?}", self.done);
    }

    /// A request is reconciled as far as to the list of its user's passes.
    pub fn reconcile_up_to_the_list(&mut self, uid: &Uid) {
        self.show();
        self.begin(uid);
        self.reconcile_up_to(uid, |step| {
            matches!(step, Step::Ask(questions) if questions.iter().any(|l| matches!(l, Question::Passes { .. })))
        });
    }

    /// The reconcile of a request goes on as far as to a step, which is performed when it goes on again.
    pub fn reconcile_up_to(&mut self, uid: &Uid, is_there: impl Fn(&Step) -> bool) {
        for _ in 0..64 {
            let step = self.next(uid);
            let there = is_there(&step);
            self.put_off(uid, step);
            if there {
                return;
            }
            let rest = self.step(uid);
            assert_eq!(rest, None, "it came to rest");
        }
        panic!("it goes in circles: {:?}", self.done);
    }

    /// This step is performed when the reconcile of the request goes on.
    pub fn put_off(&mut self, uid: &Uid, step: Step) {
        self.waiting.insert(uid.clone(), step);
    }

    /// The next request that is due, to reconcile.
    pub fn claim(&mut self) -> Option<Uid> {
        self.with_moment(Requests::claim).map(|claimed| claimed.uid)
    }

    /// The reconcile of a request comes to rest.
    pub fn rest(&mut self, uid: &Uid, rest: Rest) -> Rested {
        let now = self.now;
        let length = |rest, failures| length(rest, failures, now);
        self.with_moment(|requests, moment| requests.rest(uid, rest, moment, length))
    }

    /// The machine claims what is due, until nothing is; whose reconciles these were.
    pub fn go_on(&mut self) -> Vec<Uid> {
        let mut reconciled = Vec::new();
        loop {
            self.look();
            let Some(uid) = self.claim() else { return reconciled };
            reconciled.push(uid.clone());
            for steps in 0.. {
                assert!(steps < 64, "it goes in circles: {:?}", self.done);
                if self.step(&uid).is_some() {
                    break;
                }
            }
        }
    }

    /// Time passes until then, and whatever comes due is done.
    pub fn let_pass(&mut self, until: Timestamp) {
        self.show();
        self.go_on();
        let due = |life: &Self| {
            let due =
                life.requests.next_due().into_iter().chain(life.requests.next_look()).min()?;
            Some(life.now + SignedDuration::try_from(due.saturating_sub(life.moment_at())).ok()?)
        };
        while let Some(due) = due(self).filter(|due| *due <= until) {
            self.now = due;
            self.show();
            self.go_on();
        }
        self.now = until;
        self.show();
        self.go_on();
    }

    pub fn begin(&mut self, uid: &Uid) {
        if self.resting.remove(uid) {
            self.with_moment(|requests, moment| requests.learn(uid, Outcome::Rested, moment));
        } else if !self.waiting.contains_key(uid) {
            self.requests.begin(uid);
        }
    }

    /// The next step of a request, from the machine.
    pub fn next(&mut self, uid: &Uid) -> Step {
        self.attempts += 1;
        let new_attempt = format!("{}-{}", self.holder, self.attempts);
        let now = Now { earliest: self.now, latest: self.now + self.uncertain_by };
        let graph = |_: Option<&str>| now;
        let issuance = self.policy.as_ref().and_then(|policy| policy.spec.issuance.as_ref());
        let terms = issuance.map(Terms::of).filter(|_| self.unreadable.is_none());
        let around = Surroundings {
            now,
            terms: terms.as_ref(),
            settings: &SETTINGS,
            policy: match (self.unreadable, &self.policy) {
                (Some(why), _) => PolicyFound::Unreadable(why),
                (None, Some(policy)) => PolicyFound::Found(policy),
                (None, None) => PolicyFound::Missing,
            },
            namespace: self.namespace.as_ref(),
            connection: self.connection.as_ref(),
            stop: self.stop,
            guard: &self.guard,
            holder: self.holder,
            lease_is_fresh: self.lease_is_fresh,
            new_attempt: &new_attempt,
        };
        let (at, before) = (local(self.now), visits());
        let step = self.requests.next(uid, &around, Moment { at, graph: &graph });
        self.costs.push(visits() - before);
        step
    }

    /// Performs the next step of a request; the rest that it comes to, where it does.
    pub fn step(&mut self, uid: &Uid) -> Option<Rest> {
        match self.waiting.remove(uid).unwrap_or_else(|| self.next(uid)) {
            Step::Read => {
                self.number();
                let there = !self.gone.contains(uid);
                let found = there.then(|| Arc::new(self.object_mut(uid).clone()));
                self.learn(uid, Outcome::Request(found));
            }
            Step::Ask(questions) => {
                let of_graph = |question: &Question| {
                    !matches!(
                        question,
                        Question::SecretDryRun
                            | Question::Secret
                            | Question::Labels
                            | Question::Brakes
                    )
                };
                self.waits += usize::from(questions.iter().any(of_graph));
                for question in questions {
                    let outcome = self.answer(&question);
                    self.learn(uid, outcome);
                    if matches!(question, Question::Passes { .. }) {
                        self.now += self.stands_still_after_a_look;
                    }
                }
            }
            Step::Act(action) => {
                let outcome = self.act(uid, action);
                let last = self.done.last().cloned().unwrap_or_default();
                let is_lost = self.answer_lost.take_if(|lost| *lost == last).is_some();
                if !is_lost {
                    self.learn(uid, outcome);
                }
                let (when, happens) = self.meanwhile;
                if last == when {
                    happens(self);
                }
                if is_lost {
                    let backoff = |_| Duration::from_secs(1);
                    let rested = self.with_moment(|r, moment| r.fail(uid, moment, backoff));
                    return Some(self.rests(uid, rested, Rest::Backoff(None)));
                }
            }
            Step::Rest(rest) => {
                let rested = self.rest(uid, rest);
                return Some(self.rests(uid, rested, rest));
            }
            Step::Gone { asked_for_a_pass } => {
                self.left = Some(asked_for_a_pass);
                self.with_moment(|requests, moment| requests.gone(uid, moment));
                return Some(Rest::ForChange);
            }
        }
        None
    }

    fn rests(&mut self, uid: &Uid, rested: Rested, rest: Rest) -> Rest {
        if matches!(rested, Rested::HoldsAnAnswer(_)) {
            self.resting.insert(uid.clone());
        }
        rest
    }

    pub fn learn(&mut self, uid: &Uid, outcome: Outcome) {
        self.with_moment(|requests, moment| requests.learn(uid, outcome, moment));
    }
}

/// Local time, at a time of the world.
fn local(now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at(-1000))).unwrap()
}

/// How long a rest is, without jitter.
fn length(rest: Rest, failures: u32, now: Timestamp) -> Duration {
    let left = |time: Timestamp| Duration::try_from(time.duration_since(now)).unwrap_or_default();
    let backoff = |least: Option<SignedDuration>| {
        let least = least.map(SignedDuration::unsigned_abs).unwrap_or_default();
        Duration::from_secs(1 << failures.min(8)).max(least)
    };
    match rest {
        Rest::ForChange => Duration::from_mins(10),
        Rest::Until(time) => left(time),
        Rest::For(length) => length.unsigned_abs(),
        Rest::Backoff(least) => backoff(least),
        Rest::BackoffUntil(least, time) => backoff(least).min(left(time)),
    }
}
