//! Anything that may happen, in any order: several requests at once, of several users, policies and people, with reconciles
//! that are interrupted anywhere, and answers of every kind. After each event the machine is compared with a scan.

pub(super) mod event;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::event::{Event, Shape, event};
use super::naive::agree;
use super::*;
use crate::api::DecisionKind;

const SLOTS: usize = 6;
const POLICIES: [&str; 2] = ["contoso", "other"];

/// One place for requests, one after the other.
#[derive(Default)]
struct Slot {
    /// The versions of the request that is there, or was last.
    versions: Vec<TapRequest>,
    is_gone: bool,
}

/// A reconcile that goes on: its next step, or none where it rests with an answer.
struct Reconcile {
    uid: Uid,
    step: Option<Step>,
}

/// The cluster and the tenant, as far as anything must fit together: versions of objects do.
struct Chaos {
    life: Life,
    slots: Vec<Slot>,
    reconciles: Vec<Reconcile>,
    looks: Vec<PassLook>,
    bounds: [Option<Bounds>; 2],
    same_bounds: bool,
    made: u64,
    version: u64,
    /// Of which requests something is kept beside the machine, as the watch keeps it.
    beside: BTreeSet<Uid>,
}

impl Chaos {
    fn new() -> Self {
        let mut life = Life::new();
        life.requests = machine(&[connection("default", "tenant")]);
        life.edit_policy("{namespaces: {names: [a, b]}, replaceExistingPass: Allowed}");
        let mut chaos = Self {
            life,
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            reconciles: Vec::new(),
            looks: Vec::new(),
            bounds: [None; 2],
            same_bounds: true,
            made: 0,
            version: 0,
            beside: BTreeSet::new(),
        };
        for policy in 0..2 {
            chaos.set_bounds(policy, Some((1, 2)));
        }
        chaos.same_bounds = true;
        chaos
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Made(shape, shown) => {
                self.make(&shape);
                if shown {
                    self.happens(Event::Shown(shape.place, 0));
                }
            }
            Event::Decided(place, kind) => self.change(place, |request| {
                let by = format!("helen-{}", request.decisions().len());
                let decision = serde_json::from_value(json!({"by": by, "decision": kind})).unwrap();
                request.status.get_or_insert_default().decisions.push(decision);
            }),
            Event::Deleted(place) => self.change(place, |request| {
                request.metadata.deletion_timestamp = Some(Time(at(10)));
            }),
            Event::Released(place) => {
                self.change(place, |request| request.metadata.finalizers = None);
            }
            Event::Shown(place, ago) => {
                let slot = &self.slots[place];
                let newest = slot.versions.len().checked_sub(1 + ago);
                if let Some(version) = newest.filter(|_| !slot.is_gone) {
                    self.apply(Seen::Applied, place, version);
                    let whole = Arc::new(self.slots[place].versions[version].clone());
                    self.life.requests.shown(&uid_of(&whole), Arc::clone(&whole));
                }
            }
            Event::Vanished(place) => {
                let slot = &self.slots[place];
                if let Some(request) = slot.versions.last().filter(|_| slot.is_gone) {
                    let uid = uid_of(request);
                    self.show(Seen::Deleted(uid));
                }
            }
            Event::Listed(shown) => self.list(&shown),
            Event::Claimed => {
                if let Some(claimed) = self.machine(Requests::claim) {
                    let uid = claimed.uid;
                    self.reconciles.push(Reconcile { uid, step: None });
                }
            }
            Event::Steps(which, steps, how) => {
                (0..steps).for_each(|_| self.step(which, 0));
                self.step(which, how);
            }
            Event::LookBegins => {
                let look = self.machine(|requests, moment| requests.claim_look("tenant", moment));
                self.looks.extend(look);
            }
            Event::LookEnds(which, how) => self.end_a_look(which, how),
            Event::Waited(seconds) => self.life.now += SignedDuration::from_secs(seconds),
            Event::Bounds(policy, bounds) => self.set_bounds(policy, bounds),
            Event::Stop(stop) => {
                self.life.stop = stop;
                self.machine(|requests, moment| requests.set_stop(stop, moment));
            }
            Event::CaughtUp => self.machine(Requests::catch_up),
            Event::Woken => self.machine(Requests::wake_all),
        }
    }

    fn machine<T>(&mut self, f: impl FnOnce(&mut Requests, Moment) -> T) -> T {
        self.life.with_moment(f)
    }

    fn set_bounds(&mut self, policy: usize, bounds: Option<(u8, u8)>) {
        self.same_bounds = false;
        let number = |bound: u8| (bound < 3).then_some(usize::from(bound));
        self.bounds[policy] = bounds.map(|(namespace, requester)| Bounds {
            per_namespace: number(namespace),
            per_requester: number(requester),
        });
        let bounds = self.bounds[policy];
        self.machine(|requests, moment| requests.set_policy(POLICIES[policy], bounds, moment));
    }

    // ---- the cluster ----

    fn make(&mut self, shape: &Shape) {
        if !self.slots[shape.place].is_gone && !self.slots[shape.place].versions.is_empty() {
            return;
        }
        self.made += 1;
        let uid = format!("uid-{:03}", self.made);
        let request = shape.request(&uid, self.life.now);
        self.slots[shape.place] = Slot::default();
        self.write(shape.place, request);
    }

    fn write(&mut self, place: usize, mut request: TapRequest) {
        self.version += 1;
        request.metadata.resource_version = Some(self.version.to_string());
        let slot = &mut self.slots[place];
        slot.is_gone = request.is_being_deleted() && request.metadata.finalizers.is_none();
        slot.versions.push(request);
    }

    fn change(&mut self, place: usize, change: impl FnOnce(&mut TapRequest)) {
        let slot = &self.slots[place];
        if let Some(mut request) = slot.versions.last().filter(|_| !slot.is_gone).cloned() {
            change(&mut request);
            self.write(place, request);
        }
    }

    fn apply(&mut self, seen: fn(Uid, Observed) -> Seen, place: usize, version: usize) {
        let request = &self.slots[place].versions[version];
        let seen = seen(uid_of(request), Observed::of(request));
        self.show(seen);
    }

    fn show(&mut self, seen: Seen) {
        let shown = match &seen {
            Seen::Applied(uid, _) | Seen::Listed(uid, _) => Some(uid.clone()),
            Seen::Deleted(_) | Seen::ListBegins | Seen::ListEnds => None,
        };
        let gone = self.machine(|requests, moment| requests.apply(seen, moment));
        self.beside.extend(shown.filter(|uid| self.life.requests.is_there(uid)));
        for (uid, _) in gone {
            self.beside.remove(&uid);
        }
    }

    fn list(&mut self, shown: &[bool]) {
        self.show(Seen::ListBegins);
        for (place, _) in shown.iter().enumerate().filter(|(_, shown)| **shown) {
            if let Some(newest) = self.slots[place].versions.len().checked_sub(1) {
                self.apply(Seen::Listed, place, newest);
            }
        }
        self.show(Seen::ListEnds);
    }

    /// The place of a request that is there.
    fn place(&self, uid: &Uid) -> Option<usize> {
        self.slots.iter().position(|slot| {
            !slot.is_gone && slot.versions.last().is_some_and(|request| uid_of(request) == *uid)
        })
    }

    // ---- reconciles ----

    fn step(&mut self, which: usize, how: u8) {
        let Some(which) = which.checked_rem(self.reconciles.len()) else { return };
        let uid = self.reconciles[which].uid.clone();
        match self.reconciles[which].step.take() {
            None => {
                // Where it rests with an answer, that is over.
                self.machine(|requests, moment| {
                    if requests
                        .entries
                        .get(&uid)
                        .is_some_and(|e| e.reconcile().is_some_and(|r| r.gives_way))
                    {
                        requests.learn(&uid, Outcome::Rested, moment);
                    }
                });
                self.reconciles[which].step = Some(self.next(&uid));
            }
            Some(step) => {
                if self.perform(&uid, step, how) {
                    self.reconciles.remove(which);
                }
            }
        }
    }

    fn next(&mut self, uid: &Uid) -> Step {
        let observed = self.life.requests.observed(uid).cloned();
        if let Some(observed) = observed {
            let policy = POLICIES.iter().position(|name| *name == &*observed.party.policy);
            let bounds = policy.and_then(|policy| self.bounds[policy]).unwrap_or_default();
            self.life.edit_policy(&format!(
                "{{quota: {}}}",
                json!({"activePerNamespace": bounds.per_namespace, "activePerRequester": bounds.per_requester})
            ));
        }
        self.life.next(uid)
    }

    /// Performs a step; whether the reconcile has ended.
    fn perform(&mut self, uid: &Uid, step: Step, how: u8) -> bool {
        let unavailable = || error(ErrorKind::Unavailable);
        match step {
            Step::Read if how == 1 => return self.fail(uid),
            Step::Read => {
                let place = self.place(uid);
                let found = place.and_then(|place| self.slots[place].versions.last());
                let found = found.map(|request| Arc::new(request.clone()));
                self.life.learn(uid, Outcome::Request(found));
            }
            Step::Ask(questions) => {
                for question in questions {
                    let outcome = self.answer(uid, &question, how);
                    self.life.learn(uid, outcome);
                }
            }
            Step::Act(Action::WriteStatus(status)) => {
                return self.write_as(uid, how, |request| request.status = Some(*status));
            }
            Step::Act(Action::RecordIntent(intent, _)) => {
                return self.write_as(uid, how, |request| {
                    annotate(request, &intent);
                    request.metadata.finalizers = Some(vec![FINALIZER.into()]);
                });
            }
            Step::Act(Action::Release(intent)) => {
                return self.write_as(uid, how, |request| {
                    if let Some(intent) = intent {
                        annotate(request, &intent);
                    }
                    request.metadata.finalizers = None;
                });
            }
            Step::Act(Action::Post(intent)) => {
                let now = self.life.now;
                let id = format!("pass-{}", how % 4);
                let posted = match how {
                    0..4 => Posted::Made(Box::new(pass(&id, now, 60, true)), now),
                    4 => Posted::Unknown,
                    5 => Posted::NotTried,
                    6 => Posted::NoConnection,
                    _ => refused(&intent, now),
                };
                self.life.learn(uid, Outcome::Posted(posted));
            }
            Step::Act(Action::CreateSecret) => {
                let created = match how {
                    0..4 => SecretCreation::Yes("s1".into()),
                    4..6 => SecretCreation::Unknown("no answer".into()),
                    _ => SecretCreation::Refused("no".into()),
                };
                self.life.learn(uid, Outcome::SecretCreated(created));
            }
            Step::Act(Action::DeleteSecret(_)) => {
                let deleted = match how {
                    0..4 => Ok(true),
                    4..6 => Ok(false),
                    _ => Err("no".into()),
                };
                self.life.learn(uid, Outcome::SecretDeleted(deleted));
            }
            Step::Act(Action::DeletePass { .. }) => {
                let deleted = match how {
                    0..4 => Ok(()),
                    4..6 => Err(error(ErrorKind::NotFound)),
                    _ => Err(unavailable()),
                };
                self.life.learn(uid, Outcome::PassDeleted(deleted));
            }
            Step::Act(Action::DeleteRequest) => {
                if let Some(place) = self.place(uid) {
                    self.slots[place].is_gone = true;
                }
                self.life.learn(uid, Outcome::RequestDeleted);
            }
            Step::Rest(rest) => {
                return self.life.rest(uid, rest) == Rested::Ended;
            }
            Step::Gone { .. } => {
                if self.machine(|requests, moment| requests.gone(uid, moment)).is_some() {
                    self.beside.remove(uid);
                }
                return true;
            }
        }
        false
    }

    fn answer(&mut self, uid: &Uid, question: &Question, how: u8) -> Outcome {
        if how == 7 {
            let error = error(if uid.as_str() < "uid-003" {
                ErrorKind::NotFound
            } else {
                ErrorKind::Unavailable
            });
            match question {
                Question::User { .. } => return Outcome::User(Err(error)),
                Question::Method => return Outcome::Method(Err(error)),
                Question::Passes { user, .. } => return Outcome::Passes(user.clone(), Err(error)),
                Question::Secret => {
                    let found = SecretFound::Unclear("no answer".into());
                    return Outcome::Secret { found, unfenced_for: None };
                }
                _ => {}
            }
        }
        if let (Question::Secret, 1..4) = (question, how) {
            let found = SecretFound::Ours("s1".into());
            let unfenced_for = (how == 3).then_some(Duration::from_secs(200));
            return Outcome::Secret { found, unfenced_for };
        }
        let user =
            self.life.requests.request(uid).map_or_else(String::new, |r| r.spec.user.clone());
        self.life.user.as_mut().unwrap().id = user;
        let listed = (0..usize::from(how % 4)).map(|n| pass(&format!("pass-{n}"), at(5), 60, true));
        self.life.passes = Ok(listed.collect());
        self.life.answer(question)
    }

    fn write_as(&mut self, uid: &Uid, how: u8, change: impl FnOnce(&mut TapRequest)) -> bool {
        let read = self.life.requests.request(uid).expect("it was read");
        let Some(place) = self.place(uid) else {
            self.life.learn(uid, Outcome::Outdated);
            return false;
        };
        let now = self.slots[place].versions.last().expect("it is there");
        if now.metadata.resource_version != read.metadata.resource_version {
            self.life.learn(uid, Outcome::Outdated);
            return false;
        }
        if how == 6 {
            return self.fail(uid);
        }
        self.change(place, change);
        if how == 5 {
            return self.fail(uid);
        }
        let written = self.slots[place].versions.last().expect("it was written").clone();
        self.life.learn(uid, Outcome::Written(Arc::new(written)));
        false
    }

    fn fail(&mut self, uid: &Uid) -> bool {
        let rested = self.machine(|requests, moment| {
            requests.fail(uid, moment, |failures| Duration::from_secs(1 << failures.min(8)))
        });
        rested == Rested::Ended
    }

    fn end_a_look(&mut self, which: usize, how: u8) {
        let Some(which) = which.checked_rem(self.looks.len()) else { return };
        let look = self.looks.remove(which);
        let seen = match how {
            0 => Ok(pass(&look.pass_id, at(0), 60, true)),
            1 => Ok(used(pass(&look.pass_id, at(0), 60, true))),
            2 => Err(error(ErrorKind::NotFound)),
            _ => Err(error(ErrorKind::Unavailable)),
        };
        self.machine(|requests, moment| requests.learn_look(&look.uid, seen, moment));
    }

    fn check(&mut self) {
        let same_bounds = self.same_bounds;
        self.machine(|requests, moment| agree(requests, moment, same_bounds));
        for uid in &self.beside {
            assert!(self.life.requests.is_there(uid), "{uid} is gone, and nobody was told");
        }
    }

    /// Everything comes to its end: what goes on, and all requests.
    fn end(&mut self) {
        for place in 0..SLOTS {
            self.change(place, |request| {
                request.metadata.finalizers = None;
                request.metadata.deletion_timestamp = Some(Time(at(10)));
            });
            self.slots[place].is_gone = true;
        }
        for steps in 0.. {
            assert!(steps < 1000, "a reconcile does not end");
            if self.reconciles.is_empty() {
                break;
            }
            self.happens(Event::Steps(0, 0, 0));
            self.check();
        }
        self.list(&[false; SLOTS]);
    }
}

fn uid_of(request: &TapRequest) -> Uid {
    request.metadata.uid.as_deref().unwrap_or_default().into()
}

/// How random events and requests are tried.
pub(super) fn config() -> ProptestConfig {
    // What it found is a test of its own once it is mended.
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_looked_up_is_what_a_scan_finds(
        events in prop::collection::vec(event(), 1..150)
    ) {
        let mut chaos = Chaos::new();
        for event in events {
            chaos.happens(event);
            chaos.check();
        }
        chaos.end();
        let fresh = machine(&[connection("default", "tenant")]);
        let requests = &chaos.life.requests;
        prop_assert!(requests.entries.is_empty() && requests.turns.is_empty());
        prop_assert_eq!(&requests.index, &fresh.index);
        prop_assert_eq!(&requests.schedule, &fresh.schedule);
    }
}
