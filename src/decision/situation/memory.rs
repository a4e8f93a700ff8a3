//! What one process remembers about a request.

use jiff::{SignedDuration, Timestamp};

use crate::api::{Check, PersonFound};
use crate::decision::clock::later;
use crate::decision::intent::Intent;
use crate::decision::terms::PolicyVersion;
use crate::entra::GraphError;

/// What one process remembers about a request. Losing it costs time, never a promise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// What this process did for its last attempt.
    pub attempt: Option<Attempt>,
    /// The observation that the recorded pass is missing.
    pub pass_missing: Option<Told>,
    /// The observation that the user is missing.
    pub user_missing: Option<Told>,
    /// The id of a live pass that was not issued for this request, and the observation that it exists.
    pub existing: Option<(String, Told)>,
    /// What went wrong with the last attempts.
    pub setback: Option<Setback>,
}

/// An observation in Graph that every read since has repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    first_answered: Timestamp,
    last_asked: Timestamp,
}

impl Told {
    /// The observation after a read that repeats it, or makes it for the first time.
    #[must_use]
    pub fn again(earlier: Option<Self>, asked: Timestamp, answered: Timestamp) -> Self {
        let first_answered = earlier.map_or(answered, |earlier| earlier.first_answered);
        Self { first_answered, last_asked: asked }
    }

    /// Whether a final verdict may rest on it: the last read was sent a settle time or more after the first was answered, so
    /// it does not matter how long each of them took.
    pub fn is_certain(self, settle: SignedDuration) -> bool {
        self.last_asked >= later(self.first_answered, settle)
    }
}

/// What went wrong with attempts of which nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setback {
    /// When the first failure in a row happened.
    pub since: Timestamp,
    /// When the last failure happened.
    pub last: Timestamp,
    /// The cause of the last failure.
    pub cause: Cause,
}

/// The shortest pause after a failed attempt. The pause is as long as attempts have been failing, so it doubles each time.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause after a failed attempt.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(2);

impl Setback {
    /// Failures of the same kind are in a row if each follows the one before within this time.
    const IN_A_ROW: SignedDuration = SignedDuration::from_mins(10);

    /// How long attempts have been failing.
    pub fn lasts(&self) -> SignedDuration {
        self.last.duration_since(self.since)
    }

    /// How long to wait before the next attempt.
    pub fn pause(&self) -> SignedDuration {
        self.lasts().clamp(PAUSE, LONGEST_PAUSE)
    }

    /// The setback after another failed attempt.
    #[must_use]
    pub fn after(earlier: Option<Self>, now: Timestamp, cause: Cause) -> Self {
        let in_a_row =
            |earlier: &Self| earlier.cause.is_like(&cause) && now < earlier.last + Self::IN_A_ROW;
        let since = earlier.filter(in_a_row).map_or(now, |earlier| earlier.since);
        Self { since, last: now, cause }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Graph refused the pass, or could not be reached.
    Graph(GraphError),
    /// The Secret could not be created; the text is the API server's message.
    Secret(String),
    /// It was given up before the pass was requested, because of a stop, a suspension, missing admission policies, a lost
    /// lease or a slow server.
    HeldBack,
}

impl Cause {
    /// Whether two failures are of the same kind.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Graph(one), Self::Graph(other)) => {
                let is_refusal = GraphError::is_refusal_of_the_tenant;
                one.kind == other.kind && is_refusal(one) == is_refusal(other)
            }
            (Self::Secret(_), Self::Secret(_)) | (Self::HeldBack, Self::HeldBack) => true,
            _ => false,
        }
    }
}

/// What this process did for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The intent that was recorded for it.
    pub intent: Intent,
    /// The grounds on which it was admitted, for the status.
    pub grounds: Grounds,
    /// The progress of the attempt.
    pub progress: Progress,
}

/// The grounds on which an attempt was admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grounds {
    /// The checks that it passed.
    pub checks: Vec<Check>,
    /// The approvals, and how many were required.
    pub approvals: Option<Approvals>,
    /// Whom of the tenant requester and approvers are, for the status.
    pub people: Vec<PersonFound>,
    /// The version of the policy that admitted it.
    pub policy: Option<PolicyVersion>,
}

/// The approvals that count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Approvals {
    /// The different people who approved, except the requester and the user.
    pub by: Vec<String>,
    /// How many the policy requires.
    pub required: usize,
}

/// The progress of an attempt as this process knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The intent is written, and the POST was not sent.
    Armed,
    /// The POST was sent, and its outcome is not known.
    Sent,
    /// Graph answered with a pass.
    Held(Held),
    /// Nothing of the attempt is left.
    Void,
}

/// The pass in Graph's answer to the POST.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Id of the pass.
    pub pass_id: String,
    /// When it becomes valid.
    pub start: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// `Date` of the answer.
    pub answered: Timestamp,
    /// Whether it works only once.
    pub one_time: bool,
    /// The state of its Secret.
    pub secret: SecretWritten,
}

/// The state of the Secret of a new pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretWritten {
    /// It was not created yet.
    NotYet,
    /// It was created, with this uid.
    Created(String),
    /// The API server refused it, or nothing was sent.
    Refused,
    /// The call was given up without an answer. The Secret may exist, or may still appear.
    Unknown,
    /// It was deleted again, or does not exist.
    Removed,
    /// It was not created, and is not any more: its pass is being taken back.
    Forgone,
}
