//! What a decision rests on.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;

use crate::api::{Check, TapPolicy, TapRequest};
use crate::decision::admission::Guard;
use crate::decision::clock::{Now, later};
use crate::decision::intent::Intent;
use crate::decision::quota::Reached;
use crate::graph::{
    Cloud, DirectoryRole, EligibleRole, GraphError, MethodConfiguration, TapMethod, User, UserNames,
};

/// Everything that is known about one request at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The request, by a quorum read of this pass or as the API server answered our last write.
    pub request: &'a TapRequest,
    /// Graph's time.
    pub now: Now,
    /// How the operator was set up.
    pub settings: &'a Settings,
    /// The policy that the request names.
    pub policy: PolicyFound<'a>,
    /// The namespace of the request; absent where it is not known (yet).
    pub namespace: Option<&'a Namespace>,
    /// The tenant connection of the policy.
    pub connection: Option<&'a Connection>,
    /// The stop `ConfigMap`.
    pub stop: Stop,
    /// Whether the admission policies that the promises rest on are in force.
    pub guard: &'a Guard,
    /// This process.
    pub holder: &'a str,
    /// Whether the lease is ours by a renewal younger than half its duration.
    pub lease_is_fresh: bool,
    /// An id that nobody used before, for the next attempt.
    pub new_attempt: &'a str,
    /// The request whose pass replaced the pass of this one, as namespace/name.
    pub superseded_by: Option<&'a str>,
    /// What was read for this decision.
    pub reads: &'a Reads,
    /// What this process remembers of the request.
    pub memory: &'a Memory,
}

/// How the operator was set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest that a call may still take effect, or stay unseen in a list, after it was given up.
    pub settle: SignedDuration,
    /// How often an active pass is looked at.
    pub use_check: SignedDuration,
}

/// A policy, as far as it could be found.
#[derive(Clone, Copy, Debug)]
pub enum PolicyFound<'a> {
    /// There it is.
    Found(&'a TapPolicy),
    /// There is none of that name.
    Missing,
    /// It is there, and this version cannot read it.
    Unreadable(&'a str),
}

impl PolicyFound<'_> {
    /// Its generation, where it could be read.
    pub fn generation(self) -> Option<i64> {
        match self {
            Self::Found(policy) => policy.metadata.generation,
            Self::Missing | Self::Unreadable(_) => None,
        }
    }
}

/// A tenant connection, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name in the configuration.
    pub name: String,
    /// Id of its tenant.
    pub tenant_id: String,
    /// Client id of its app.
    pub client_id: String,
    /// The cloud of its tenant.
    pub cloud: Cloud,
    /// How Kubernetes user names become users of the tenant, where that is known.
    pub users: Option<UserNames>,
}

/// The stop `ConfigMap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is none.
    Off,
    /// Nothing new is issued. Also when it cannot be read.
    On,
    /// Nothing new is issued, and what is active is revoked.
    RevokeActive,
}

/// What was read for this decision; absent is not read yet. A failed read is an error, never absence.
#[derive(Debug, Default)]
pub struct Reads {
    /// The tenant's method.
    pub method: Option<Result<MethodConfiguration, GraphError>>,
    /// The user.
    pub user: Option<Result<User, GraphError>>,
    /// Which of the groups asked about the user is in.
    pub groups: Option<Result<Vec<String>, GraphError>>,
    /// The directory roles that the user holds.
    pub roles: Option<Result<Vec<DirectoryRole>, GraphError>>,
    /// Whether the user could activate a directory role.
    pub eligibility: Option<Result<Eligibility, GraphError>>,
    /// Whether the policy's quota leaves a place for this request.
    pub slot: Option<Slot>,
    /// Whether it is this request's turn to issue for the user.
    pub turn: Option<Turn>,
    /// The user's passes.
    pub passes: Option<Result<Listing, GraphError>>,
    /// Graph's time, at least, when they were asked for.
    pub passes_asked_at: Option<Timestamp>,
    /// The recorded pass.
    pub pass: Option<Result<TapMethod, GraphError>>,
    /// Whether a Secret of the request's name could be created.
    pub place: Option<Place>,
    /// Whether there is a Secret of the request's name.
    pub secret: Option<SecretFound>,
    /// Whether the user's passes were listed after that.
    pub listed_since: bool,
    /// Stop and suspension, by a quorum read after the intent was written.
    pub brakes: Option<Brakes>,
    /// How the last DELETE of a pass came out.
    pub deleted: Option<Result<(), GraphError>>,
}

/// The passes of a user, and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// What Graph listed.
    pub passes: Vec<TapMethod>,
    /// `Date` of the answer.
    pub date: Timestamp,
    /// What is known of the ids among them that the operator made.
    pub known: HashMap<String, Known>,
    /// A pass that the operator made for another request so lately that a list need not show it yet, and that is not
    /// in this one.
    pub unlisted: Option<Unlisted>,
}

/// A pass that Graph does not list yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unlisted {
    /// The request that it was made for, namespace/name.
    pub request: String,
    /// Id of the pass.
    pub pass_id: String,
}

/// What is known of a pass that the operator made for another request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// A request that has not ended records it, namespace/name.
    Recorded(String),
    /// The operator deleted it, or its request ended: a list that still shows it lags.
    Gone,
}

/// Whether a user could activate a directory role (Privileged Identity Management).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// There is none.
    None,
    /// This one, and perhaps more.
    Of(EligibleRole),
    /// The app may not see it.
    NotSeen,
}

/// Whether a policy's quota leaves a place for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It does, and the place is this request's.
    Ours,
    /// Others are about to take the last places, and may be issued or not: soon it is known.
    Contested(Reached),
    /// All are taken.
    Taken(Reached),
}

/// Whether it is a request's turn to issue for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Ours,
    /// Another one is being looked at this moment, and may be issued or not: soon it is known.
    Busy,
    /// Another request for the same user is being issued, namespace/name.
    Of(String),
}

/// Whether a Secret could be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It could.
    Free,
    /// There is one of that name already.
    Taken,
    /// The API server refuses it now, in its words.
    Refused(String),
}

/// Whether there is a Secret of the request's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFound {
    /// There is none.
    Absent,
    /// There is one of ours, with this uid.
    Ours(String),
    /// There was one of ours, and it was deleted just now.
    Deleted,
    /// There is one of somebody else's.
    Foreign,
    /// It could not be looked at or deleted, in the API server's words.
    Unclear(String),
}

/// What stops issuing at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brakes {
    /// The stop `ConfigMap`.
    pub stop: Stop,
    /// Whether the policy is suspended, or gone.
    pub suspended: bool,
    /// The policy's generation; absent where it could not be read.
    pub policy_generation: Option<i64>,
}

/// What one process remembers of a request. Losing it costs time, never a promise.
#[derive(Debug, Default)]
pub struct Memory {
    /// What this process did for its last attempt.
    pub attempt: Option<Attempt>,
    /// That the recorded pass is missing.
    pub pass_missing: Option<Told>,
    /// That the user is missing.
    pub user_missing: Option<Told>,
    /// That there is a pass of somebody else's, and its id.
    pub existing: Option<(String, Told)>,
    /// When the recorded pass was last looked at.
    pub looked_at: Option<Timestamp>,
    /// What went wrong with the last attempts.
    pub setback: Option<Setback>,
}

/// What a read of Graph told, and each one since has told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    first_answered: Timestamp,
    last_asked: Timestamp,
}

impl Told {
    /// A read tells it, after others may have.
    #[must_use]
    pub fn again(earlier: Option<Self>, asked: Timestamp, answered: Timestamp) -> Self {
        let first_answered = earlier.map_or(answered, |earlier| earlier.first_answered);
        Self { first_answered, last_asked: asked }
    }

    /// Whether a verdict may rest on it: two reads a settle time apart told it, however long each of them took.
    pub fn is_certain(self, settle: SignedDuration) -> bool {
        self.last_asked >= later(self.first_answered, settle)
    }
}

/// What went wrong with attempts after which nothing was left.
#[derive(Clone, Debug)]
pub struct Setback {
    /// When the first of them in a row failed.
    pub since: Timestamp,
    /// When the last failed.
    pub last: Timestamp,
    /// How the last failed.
    pub cause: Cause,
}

impl Setback {
    /// Failures of one kind are in a row as long as they follow each other closely.
    const IN_A_ROW: SignedDuration = SignedDuration::from_mins(10);

    /// An attempt failed after an earlier one may have.
    #[must_use]
    pub fn after(earlier: Option<Self>, now: Timestamp, cause: Cause) -> Self {
        let in_a_row =
            |earlier: &Self| earlier.cause.is_like(&cause) && now < earlier.last + Self::IN_A_ROW;
        let since = earlier.filter(in_a_row).map_or(now, |earlier| earlier.since);
        Self { since, last: now, cause }
    }
}

/// How an attempt failed.
#[derive(Clone, Debug)]
pub enum Cause {
    /// Graph refused the pass, or could not be asked.
    Graph(GraphError),
    /// The Secret could not be created, in the API server's words.
    Secret(String),
    /// It was given up before the pass was asked for: stopped, suspended, unguarded, or too slow.
    HeldBack,
}

impl Cause {
    /// Whether two failures are of one kind.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Graph(one), Self::Graph(other)) => one.kind == other.kind,
            (Self::Secret(_), Self::Secret(_)) | (Self::HeldBack, Self::HeldBack) => true,
            _ => false,
        }
    }
}

/// What this process did for one attempt.
#[derive(Debug)]
pub struct Attempt {
    /// What was recorded for it.
    pub intent: Intent,
    /// What it was admitted on, for the status.
    pub grounds: Grounds,
    /// How far it is.
    pub progress: Progress,
}

/// What an attempt was admitted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// The checks that it passed.
    pub checks: Vec<Check>,
    /// Who approved, and how many were needed.
    pub approvals: Option<Approvals>,
    /// The generation of the policy that admitted it.
    pub policy_generation: Option<i64>,
}

/// The approvals that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// The different people who approved, without requester and user.
    pub by: Vec<String>,
    /// How many the policy asks for.
    pub required: usize,
}

/// How far an attempt is, as far as this process knows.
#[derive(Debug)]
pub enum Progress {
    /// The intent is written, and the POST was not sent.
    Armed,
    /// The POST was sent, and its outcome is not known.
    Sent,
    /// Graph answered with a pass.
    Held(Held),
    /// Nothing that it made is left.
    Void,
}

/// A pass that Graph answered with.
#[derive(Debug)]
pub struct Held {
    /// Id of the pass.
    pub pass_id: String,
    /// From when it is valid.
    pub start: Timestamp,
    /// Until when it is valid.
    pub expires: Timestamp,
    /// Whether it works only once.
    pub one_time: bool,
    /// What became of the Secret.
    pub secret: SecretWritten,
}

/// What became of the creation of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretWritten {
    /// It was not tried.
    NotYet,
    /// It is there, with this uid.
    Created(String),
    /// The API server refused it, or nothing was sent.
    Refused,
    /// It was given up without an answer: it may be there, and may still come.
    Unknown,
    /// Whatever there was is gone again.
    Removed,
}
