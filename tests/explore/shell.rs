//! What the shell of the product does with the state machine: it begins reconciles, asks what is next, answers at once what
//! no scenario changes, and tells what came of everything else.

use std::sync::Arc;
use std::time::Duration;

use tap_operator::api::TapRequest;
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION};
use tap_operator::decision::intent::{Intent, Stage};
use tap_operator::decision::outcome::{Outcome, Posted, SecretCreation};
use tap_operator::decision::requests::{Requests, Rested, Seen as Watched};
use tap_operator::decision::situation::{RefusedWrite, SecretDryRun, SecretFound, Written};
use tap_operator::decision::step::{Action, Question, Rest, Step};
use tap_operator::entra::Listed;

use super::clock::{RESYNC, Tick, local, tick, tick_of, time};
use super::machine::Core;
use super::objects::{IntentId, ObjectId};
use super::tenant::{PassNo, ProcessNo, RequestNo, Seen};
use super::world::{
    Failure, TENANT, World, at, attempt_name, error, number, process_name, secret_uid, tap_method,
    user_key,
};

/// Something that happens to a state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The watch shows a request, or that it is gone.
    Shown(RequestNo, Option<ObjectId>),
    /// All attempts of processes that led before are known.
    CaughtUp,
    /// A reconcile begins.
    Begin(RequestNo),
    /// A process asks what is next.
    Next {
        request: RequestNo,
        process: ProcessNo,
        lease_is_fresh: bool,
        attempt: u8,
        /// Whether the account of the user is enabled, if it asks.
        is_enabled: bool,
    },
    /// Something came of a step.
    Learn(RequestNo, Learned),
    /// A step failed.
    Fail(RequestNo),
    /// A process asks which pass it may look at.
    ClaimLook,
    /// This was seen of the pass of a request.
    LearnLook(RequestNo, Result<Seen, Failure>),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Learned {
    Request(Option<ObjectId>),
    Passes(Result<Option<Seen>, Failure>),
    PlaceIsFree(bool),
    Secret(Secret),
    /// Whether it could be read that nothing stands against the pass.
    Brakes(bool),
    Written(ObjectId),
    Outdated,
    Posted(Result<Seen, Failure>),
    /// The one with the code of this pass was created.
    SecretCreated(Result<PassNo, NotCreated>),
    /// Whether it is gone; absent where nobody knows.
    SecretDeleted(Option<bool>),
    PassDeleted(Result<(), Failure>),
    /// A write of the request was refused.
    Refused(Written),
    Rested,
}

/// What the API server tells of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    Absent,
    /// The one with the code of this pass.
    Ours(PassNo),
    Unclear,
}

/// Why a Secret was not created, as far as the process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotCreated {
    Taken,
    Busy,
    Unknown,
}

/// What the state machine wants, as far as the model is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Nothing was asked, or nothing is wanted.
    Nothing,
    Read,
    /// All of these are to be looked at.
    Ask(Looks),
    /// The status is to be written.
    Write(Version),
    /// An intent is to be recorded, of this attempt.
    Record {
        version: Version,
        attempt: u8,
        issuing: bool,
    },
    /// The intent is to be closed, and the finalizer taken off.
    Release(Version),
    Post(IntentId),
    /// The Secret with the code of this pass is to be created, or deleted.
    CreateSecret(PassNo),
    DeleteSecret(PassNo),
    DeletePass(PassNo),
    /// The pass that a request records is to be looked at.
    LookAtPass(RequestNo, PassNo),
    /// The reconcile has ended.
    Ended,
    /// It rests until then, with an answer in its hands.
    HoldsAnAnswer(Tick),
    /// The request is gone.
    Gone,
}

/// A write of a request: what it rests on, and what it makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    pub read: ObjectId,
    pub written: ObjectId,
}

/// What scenarios change, and a process looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    Passes,
    Place,
    Secret,
    Brakes,
}

/// Some of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Looks(u8);

impl Looks {
    pub const BRAKES: Self = Self(1 << Asked::Brakes as u8);

    pub fn iter(self) -> impl Iterator<Item = Asked> {
        let all = [Asked::Passes, Asked::Place, Asked::Secret, Asked::Brakes];
        all.into_iter().filter(move |asked| self.0 & 1 << *asked as u8 != 0)
    }

    pub fn without(self, asked: Asked) -> Self {
        Self(self.0 & !(1 << asked as u8))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Asked> for Looks {
    fn from_iter<T: IntoIterator<Item = Asked>>(all: T) -> Self {
        Self(all.into_iter().fold(0, |looks, asked| looks | 1 << asked as u8))
    }
}

impl Move {
    /// Whether it is a call that may be under way while the process loses its lease.
    pub fn may_be_late(self) -> bool {
        matches!(
            self,
            Self::Write(_)
                | Self::Record { .. }
                | Self::Release(_)
                | Self::CreateSecret(_)
                | Self::DeleteSecret(_)
                | Self::DeletePass(_)
        )
    }
}

impl Core {
    /// Gives a state machine what happens to it.
    pub(super) fn give(&mut self, requests: &mut Requests, now: Tick, input: &Input) -> Move {
        match input {
            Input::Shown(request, id) => {
                let uid = self.world.uid(*request).clone();
                let object = id.map(|id| self.objects.object(id));
                let seen = match &object {
                    Some(object) => Watched::Applied(uid.clone(), object.observed.clone()),
                    None => Watched::Deleted(uid.clone()),
                };
                at(now, |moment| requests.apply(seen, moment));
                if let Some(object) = object {
                    requests.shown(&uid, Arc::clone(&object.request));
                }
            }
            Input::CaughtUp => at(now, |moment| requests.catch_up(moment)),
            Input::Begin(request) => requests.begin(self.world.uid(*request)),
            Input::Next { request, process, lease_is_fresh, attempt, is_enabled } => {
                let names = (process_name(*process), attempt_name(*attempt));
                let around = (*lease_is_fresh, *is_enabled);
                return self.next(requests, now, *request, around, &names);
            }
            Input::Learn(request, learned) => {
                let outcome = self.outcome(learned, now);
                at(now, |moment| requests.learn(self.world.uid(*request), outcome, moment));
            }
            Input::Fail(request) => {
                let uid = self.world.uid(*request);
                return rested(at(now, |moment| requests.fail(uid, moment, |_| local(1))), now);
            }
            Input::ClaimLook => {
                let look = at(now, |moment| requests.claim_look(TENANT, moment));
                return look.map_or(Move::Nothing, |look| {
                    let request = number(look.uid.as_str()).expect("requests are numbered");
                    Move::LookAtPass(request, pass_of(&look.pass_id))
                });
            }
            Input::LearnLook(request, seen) => {
                let seen = seen.map(tap_method).map_err(error);
                at(now, |moment| requests.learn_look(self.world.uid(*request), seen, moment));
            }
        }
        Move::Nothing
    }

    /// The next thing that is not known at once.
    fn next(
        &mut self,
        requests: &mut Requests,
        now: Tick,
        request: RequestNo,
        (lease_is_fresh, is_enabled): (bool, bool),
        (holder, attempt): &(String, String),
    ) -> Move {
        let uid = &self.world.uid(request).clone();
        loop {
            let around = self.world.surroundings(now, holder, lease_is_fresh, attempt);
            match at(now, |moment| requests.next(uid, &around, moment)) {
                Step::Read => return Move::Read,
                Step::Ask(questions) => {
                    let (known, asked) = answer_at_once(&questions, is_enabled);
                    for outcome in known {
                        at(now, |moment| requests.learn(uid, outcome, moment));
                    }
                    if !asked.is_empty() {
                        return Move::Ask(asked);
                    }
                }
                Step::Act(action) => {
                    let read = requests.request(uid).expect("it was read");
                    let held = requests.held(uid).map(|(_, held)| pass_of(&held.pass_id));
                    return self.wanted(&read, action, held);
                }
                Step::Rest(rest) => {
                    let length = |rest, _| rest_of(rest, now);
                    return rested(at(now, |moment| requests.rest(uid, rest, moment, length)), now);
                }
                Step::Gone { .. } => {
                    at(now, |moment| requests.gone(uid, moment));
                    return Move::Gone;
                }
            }
        }
    }

    /// What an action makes of the request as it was read.
    fn wanted(&mut self, read: &TapRequest, action: Action, held: Option<PassNo>) -> Move {
        let id = ObjectId::of(read);
        let objects = &mut self.objects;
        let mut version = |change: &dyn Fn(&mut TapRequest)| Version {
            read: id,
            written: objects.changed(id, change),
        };
        match action {
            Action::WriteStatus(status) => {
                Move::Write(version(&|request| request.status = Some((*status).clone())))
            }
            Action::RecordIntent(intent, _) => Move::Record {
                version: version(&|request| annotate(request, Some(&intent), true)),
                attempt: attempt_of(&intent),
                issuing: intent.stage == Stage::Issuing,
            },
            Action::Release(intent) => {
                Move::Release(version(&|request| annotate(request, intent.as_deref(), false)))
            }
            Action::Post(intent) => Move::Post(objects.keep_intent(*intent)),
            Action::CreateSecret => Move::CreateSecret(held.expect("an answer is held")),
            Action::DeleteSecret(uid) => {
                Move::DeleteSecret(number(&uid).expect("Secrets are numbered"))
            }
            Action::DeletePass { pass_id, .. } => Move::DeletePass(pass_of(&pass_id)),
            Action::DeleteRequest => panic!("no request has a time to live"),
        }
    }

    fn outcome(&self, learned: &Learned, now: Tick) -> Outcome {
        let object = |id: &ObjectId| Arc::clone(&self.objects.object(*id).request);
        match learned {
            Learned::Request(found) => Outcome::Request(found.as_ref().map(object)),
            Learned::Passes(listed) => Outcome::Passes(
                user_key(),
                listed.map_err(error).map(|listed| Listed {
                    passes: listed.into_iter().map(tap_method).collect(),
                    date: time(now),
                }),
            ),
            Learned::PlaceIsFree(free) => Outcome::SecretDryRun(if *free {
                SecretDryRun::Accepted
            } else {
                SecretDryRun::NameTaken
            }),
            Learned::Secret(secret) => Outcome::Secret {
                found: match secret {
                    Secret::Absent => SecretFound::Absent,
                    Secret::Ours(number) => SecretFound::Ours(secret_uid(*number)),
                    Secret::Unclear => SecretFound::Unclear("no answer".into()),
                },
                unfenced_for: None,
            },
            Learned::Brakes(answered) => Outcome::Brakes(self.world.brakes(*answered)),
            Learned::Written(id) => Outcome::Written(object(id)),
            Learned::Outdated => Outcome::Outdated,
            Learned::Posted(posted) => Outcome::Posted(match posted {
                Ok(seen) => Posted::Made(Box::new(tap_method(*seen)), time(seen.created)),
                Err(Failure::NoAnswer) => Posted::Unknown,
                Err(refused) => Posted::Refused(error(*refused)),
            }),
            Learned::SecretCreated(created) => Outcome::SecretCreated(match created {
                Ok(number) => SecretCreation::Yes(secret_uid(*number)),
                Err(NotCreated::Taken) => SecretCreation::Taken("it is there".into()),
                Err(NotCreated::Busy) => SecretCreation::Busy("too many requests".into()),
                Err(NotCreated::Unknown) => SecretCreation::Unknown("no answer".into()),
            }),
            Learned::SecretDeleted(gone) => {
                Outcome::SecretDeleted(gone.ok_or_else(|| "no answer".to_owned()))
            }
            Learned::PassDeleted(deleted) => Outcome::PassDeleted(deleted.map_err(error)),
            Learned::Refused(what) => {
                let why = "somebody refuses it".into();
                Outcome::Refused(RefusedWrite { what: *what, why })
            }
            Learned::Rested => Outcome::Rested,
        }
    }
}

/// What is known at once of all that is asked for, and what is to be looked at.
fn answer_at_once(questions: &[Question], is_enabled: bool) -> (Vec<Outcome>, Looks) {
    let answer = |question| World::answer_at_once(question, is_enabled);
    let known = questions.iter().filter_map(answer).collect();
    let asked = questions.iter().filter_map(|question| match question {
        Question::Passes { user, .. } => {
            assert_eq!(*user, user_key(), "there is one user");
            Some(Asked::Passes)
        }
        Question::SecretDryRun => Some(Asked::Place),
        Question::Secret => Some(Asked::Secret),
        Question::Brakes => Some(Asked::Brakes),
        _ => None,
    });
    (known, asked.collect())
}

/// Writes an intent, or only takes the finalizer off or puts it on.
fn annotate(request: &mut TapRequest, intent: Option<&Intent>, finalizer: bool) {
    if let Some(intent) = intent {
        let annotations = request.metadata.annotations.get_or_insert_default();
        annotations.insert(INTENT_ANNOTATION.into(), intent.to_annotation());
    }
    request.metadata.finalizers = finalizer.then(|| vec![FINALIZER.into()]);
}

/// How long a rest is. What comes with jitter takes a tick, or as many as it needs.
fn rest_of(rest: Rest, now: Tick) -> Duration {
    let until = |until| tick(until).saturating_sub(now);
    local(match rest {
        Rest::ForChange => RESYNC,
        Rest::Until(time) => until(time),
        Rest::For(length) => until(time(now) + length).max(1),
        Rest::Backoff(_) => 1,
        Rest::BackoffUntil(_, time) => until(time).min(1),
    })
}

fn rested(rested: Rested, now: Tick) -> Move {
    match rested {
        Rested::Ended => Move::Ended,
        Rested::HoldsAnAnswer(length) => Move::HoldsAnAnswer(now + tick_of(length)),
    }
}

fn pass_of(id: &str) -> PassNo {
    number(id).expect("passes are numbered")
}

fn attempt_of(intent: &Intent) -> u8 {
    number(&intent.attempt).expect("attempts are numbered")
}
