//! One process of the operator: what it remembers, what it has read, and what the core makes of it.

use std::collections::HashMap;
use std::fmt;

use super::clock::{Tick, tick, time};
use super::mind::Mind;
use super::objects::{IntentId, ObjectId, attempt_name, number};
use super::state::Left;
use super::tenant::{PassNo, ProcessNo, RequestNo};
use tap_operator::decision::intent::Stage;
use tap_operator::decision::life::step::{Action, Look, Rest, Step};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub number: ProcessNo,
    /// Since when the lease is another process's; absent where it is this one's.
    pub lost_the_lease: Option<Tick>,
    pub works: Vec<Work>,
    /// Whose turn it is for the user.
    pub turn: Option<RequestNo>,
    /// The passes that it made, and those of them that it deleted or replaced.
    pub own: Vec<(PassNo, Own)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Own {
    Made(RequestNo),
    Gone,
}

/// What a process does about one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Work {
    pub memory: Memory,
    /// The pass over the request that is under way.
    pub pass: Option<Pass>,
    /// When the next one is due.
    pub wake: Option<Tick>,
    /// Whether something happened since the last one.
    pub dirty: bool,
}

/// A pass over a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The request as it was last read or written.
    pub request: ObjectId,
    pub reads: Reads,
    pub state: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// It decides and acts.
    Going,
    /// It was decided while the lease was this process's, at that time, and is about to happen.
    Decided(Tick),
    /// It reads the request again before it decides anything more.
    Outdated,
    /// It waits for the answer to its POST.
    Asking,
    /// It holds an answer, and waits until it can take back what the answer made.
    Asleep(Tick),
}

/// What decisions know from earlier passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    pub attempt: Option<Attempt>,
    pub pass_missing: Option<Told>,
    pub existing: Option<(PassNo, Told)>,
    pub looked_at: Option<Tick>,
    pub setback: Option<Setback>,
}

/// When a read told something first, and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    pub first: Tick,
    pub last: Tick,
}

impl Told {
    pub fn again(earlier: Option<Self>, now: Tick) -> Self {
        Self { first: earlier.map_or(now, |earlier| earlier.first), last: now }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub intent: IntentId,
    /// The attempt in it.
    pub number: u8,
    pub progress: Sent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    Armed,
    /// The outcome is not known.
    Unknown,
    Void,
    Held {
        pass: PassNo,
        created: Tick,
        secret: Written,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    NotYet,
    Created(u8),
    Refused,
    Unknown,
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setback {
    pub since: Tick,
    pub last: Tick,
    pub cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Refused,
    Secret,
    HeldBack,
}

/// What was read for a decision. What no scenario changes is always known: the method, the user, groups and roles, a free
/// place within the quota, no stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reads {
    pub turn: Option<Turn>,
    pub passes: Option<Result<Listing, Failure>>,
    pub passes_asked_at: Option<Tick>,
    pub passes_date: Tick,
    pub pass: Option<Result<Seen, Failure>>,
    pub place_is_free: Option<bool>,
    pub secret: Option<Secret>,
    pub listed_since: bool,
    pub deleted: Option<Result<(), Failure>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    Ours,
    Busy,
    Of(RequestNo),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    NotFound,
    NoAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    Absent,
    Ours(u8),
    Deleted,
    Unclear,
}

/// A pass as Graph tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub pass: PassNo,
    pub created: Tick,
    pub used: bool,
    pub expired: bool,
}

/// The user's pass as Graph lists it, and one that the list does not show yet and another request records.
pub type Listing = [Option<Listed>; 2];

/// A pass in a list, and what the process knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    pub seen: Seen,
    pub known: Option<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    Recorded(RequestNo),
    Gone,
}

/// What a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    pub process: ProcessNo,
    pub now: Tick,
    pub lease_is_fresh: bool,
    pub superseded_by: Option<RequestNo>,
    pub next_attempt: u8,
    pub request: ObjectId,
    pub reads: Reads,
    pub memory: Memory,
}

/// What was decided, as far as the model is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    LookForTurn,
    LookForPasses,
    LookAtPass(PassNo),
    LookForPlace,
    LookForSecret,
    Write(ObjectId),
    Record {
        object: ObjectId,
        intent: IntentId,
        attempt: u8,
        issuing: bool,
    },
    Release(ObjectId),
    Post,
    CreateSecret,
    DeleteSecret(u8),
    DeletePass(PassNo),
    Forget,
    /// Nothing until then, or until something changes.
    Rest(Option<Tick>),
}

impl Move {
    /// Whether it is a call that may be under way while the process loses its lease.
    pub fn may_be_late(&self) -> bool {
        matches!(
            self,
            Self::Write(_)
                | Self::Record { .. }
                | Self::Release(_)
                | Self::CreateSecret
                | Self::DeleteSecret(_)
                | Self::DeletePass(_)
        )
    }
}

/// The core, asked once for each view.
#[derive(Default)]
pub struct Core {
    pub mind: Mind,
    /// What may happen, before anything has.
    pub at_first: Left,
    /// What each request says about a pass that is there already.
    pub on_existing_pass: &'static [&'static str],
    /// Whether somebody wants to read what happens.
    pub tells: bool,
    known: HashMap<View, Move>,
}

impl Core {
    pub fn next(&mut self, view: &View) -> Move {
        if let Some(known) = self.known.get(view) {
            return known.clone();
        }
        let step = self.mind.decide(view);
        let next = self.translate(view, step);
        self.known.insert(view.clone(), next.clone());
        next
    }

    /// What happens, where somebody wants to read it.
    pub fn said(&self, what: impl fmt::Display) -> String {
        if self.tells { what.to_string() } else { String::new() }
    }

    fn translate(&mut self, view: &View, step: Step) -> Move {
        let objects = &mut self.mind.objects;
        let pass_of = |id: &str| number(id).expect("passes are numbered");
        match step {
            Step::Look(look) => match look {
                Look::Turn { .. } => Move::LookForTurn,
                Look::Passes { .. } => Move::LookForPasses,
                Look::Pass { pass_id, .. } => Move::LookAtPass(pass_of(&pass_id)),
                Look::Place => Move::LookForPlace,
                Look::Secret => Move::LookForSecret,
                other => panic!("{other:?} is known already"),
            },
            Step::Act(action) => match action {
                Action::WriteStatus(status) => {
                    Move::Write(objects.changed(view.request, |r| r.status = Some(*status)))
                }
                Action::RecordIntent(intent, grounds) => {
                    assert_eq!(intent.attempt, attempt_name(view.next_attempt));
                    let annotate = super::objects::annotate;
                    Move::Record {
                        object: objects.changed(view.request, |r| annotate(r, Some(&intent), true)),
                        intent: objects.keep_intent(&intent, &grounds),
                        attempt: view.next_attempt,
                        issuing: intent.stage == Stage::Issuing,
                    }
                }
                Action::Release(intent) => {
                    let annotate = super::objects::annotate;
                    let intent = intent.as_deref();
                    Move::Release(objects.changed(view.request, |r| annotate(r, intent, false)))
                }
                Action::Post(_) => Move::Post,
                Action::CreateSecret => Move::CreateSecret,
                Action::DeleteSecret(uid) => {
                    Move::DeleteSecret(number(&uid).expect("Secrets are numbered"))
                }
                Action::DeletePass { pass_id, .. } => Move::DeletePass(pass_of(&pass_id)),
                Action::Forget => Move::Forget,
                Action::DeleteRequest => panic!("no request has a time to live"),
            },
            Step::Rest(rest) => Move::Rest(until(rest, view.now)),
        }
    }
}

/// When a rest ends.
fn until(rest: Rest, now: Tick) -> Option<Tick> {
    match rest {
        Rest::ForChange => None,
        Rest::Until(until) => Some(tick(until).max(now)),
        Rest::For(length) => Some(tick(time(now) + length).max(now + 1)),
        Rest::Backoff(_) => Some(now + 1),
        Rest::BackoffUntil(_, until) => Some(tick(until).clamp(now, now + 1)),
    }
}
