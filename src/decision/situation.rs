//! The input of a decision.

use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;

use crate::api::{Check, TapPolicy, TapRequest};
use crate::decision::admission::Guard;
use crate::decision::clock::{Now, later};
use crate::decision::intent::Intent;
use crate::decision::quota::Reached;
use crate::decision::terms::{PolicyVersion, Terms};
use crate::entra::{
    Cloud, DirectoryRole, EligibleRole, GraphError, MethodConfiguration, TapMethod, User, UserNames,
};

/// Everything that is known about one request at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Everything outside the request.
    pub around: Surroundings<'a>,
    /// The request, from a quorum read of this reconcile or from the answer to our last write.
    pub request: &'a TapRequest,
    /// All tenant connections.
    pub connections: &'a [Connection],
    /// The request whose pass replaced the pass of this one, as namespace/name.
    pub superseded_by: Option<&'a str>,
    /// The answer to the last look at the recorded pass, if it matters for the request.
    pub seen: Option<&'a Result<TapMethod, GraphError>>,
    /// What was read for this decision.
    pub reads: &'a Reads,
    /// What this process remembers about the request.
    pub memory: &'a Memory,
}

impl<'a> Deref for Situation<'a> {
    type Target = Surroundings<'a>;

    fn deref(&self) -> &Self::Target {
        &self.around
    }
}

/// What a decision depends on except requests and what is remembered about them.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Graph's time.
    pub now: Now,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The policy that the request names.
    pub policy: PolicyFound<'a>,
    /// The terms of that policy, if it issues passes.
    pub terms: Option<&'a Terms>,
    /// The namespace of the request; absent if it is not known (yet).
    pub namespace: Option<&'a Namespace>,
    /// The tenant connection of the policy.
    pub connection: Option<&'a Connection>,
    /// The stop `ConfigMap`.
    pub stop: Stop,
    /// The state of the admission policies on which the promises rest.
    pub guard: &'a Guard,
    /// The identity of this process as holder of leases and intents.
    pub holder: &'a str,
    /// Whether this process holds the lease and renewed it less than half its duration ago.
    pub lease_is_fresh: bool,
    /// A new unique id for the next attempt.
    pub new_attempt: &'a str,
}

/// The operator's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The settle time: how long after it was given up a call may still take effect, or its effect may be missing from a
    /// list, at most.
    pub settle: SignedDuration,
    /// How often a look at an active pass is made.
    pub use_check: SignedDuration,
}

/// The result of looking a policy up by name.
#[derive(Clone, Copy, Debug)]
pub enum PolicyFound<'a> {
    /// The policy exists.
    Found(&'a TapPolicy),
    /// No policy has that name.
    Missing,
    /// The policy exists, but this version cannot read it; the text says why.
    Unreadable(&'a str),
}

impl PolicyFound<'_> {
    /// The version of the policy; absent if it is missing or unreadable.
    pub fn version(self) -> Option<PolicyVersion> {
        match self {
            Self::Found(policy) => Some(PolicyVersion::of(&policy.metadata)),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }
}

/// The parts of a tenant connection that decisions need.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Its name in the configuration.
    pub name: String,
    /// Id of its tenant.
    pub tenant_id: String,
    /// Client id of its app.
    pub client_id: String,
    /// The cloud of its tenant.
    pub cloud: Cloud,
    /// How Kubernetes user names map to users of the tenant, if that is configured.
    pub users: Option<UserNames>,
}

/// The state of the stop `ConfigMap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It does not exist.
    Off,
    /// Nothing new is issued. A stop that cannot be read counts as this.
    On,
    /// Nothing new is issued, and active passes are revoked.
    RevokeActive,
}

/// What was read for this decision. `None` means not read yet. A failed read is an error, never absence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    /// Whether one more pass is within the policy's quota.
    pub slot: Option<Slot>,
    /// What is known, without asking Graph, of other passes for the user.
    pub neighbours: Option<Neighbours>,
    /// Whether it is this request's turn to issue for the user.
    pub turn: Option<Turn>,
    /// The user's passes.
    pub passes: Option<Result<Listing, GraphError>>,
    /// The earliest time, by Graph's clock, at which that list was asked for.
    pub passes_asked_at: Option<Timestamp>,
    /// Whether a Secret of the request's name could be created.
    pub place: Option<Place>,
    /// Whether a Secret of the request's name exists.
    pub secret: Option<SecretFound>,
    /// Whether the user's passes were listed after `secret` was read.
    pub listed_since: bool,
    /// Stop and suspension, by a quorum read after the intent was written.
    pub brakes: Option<Brakes>,
    /// The answer to the last DELETE of a pass.
    pub deleted: Option<Result<(), GraphError>>,
    /// Whether the app has the permission to create passes.
    pub permitted: Option<bool>,
    /// Whether Secrets can be written.
    pub secrets: Option<Secrets>,
    /// Why the API server did not take the Secret yet. Nothing was done, and it may be created again.
    pub busy: Option<String>,
    /// A write of the request that the API server refused.
    pub refused: Option<RefusedWrite>,
}

/// Whether the API server writes Secrets, as the attempts of all requests show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Secrets {
    /// It does, or this request is the one that finds out.
    Writable,
    /// It did not write the last one, and another request finds out, or nobody is to before that time.
    Unwritable {
        /// When this request looks again.
        again: Timestamp,
    },
}

/// A write of the request that the API server refused, and its message. Other people's admission policies and webhooks refuse
/// writes, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefusedWrite {
    /// What was to be written.
    pub what: Written,
    /// The API server's message.
    pub why: String,
}

/// What is written of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// Its status.
    Status,
    /// The intent, with the finalizer.
    Intent,
    /// The closed intent, without the finalizer.
    Release,
}

/// The passes of a user, and what is known about them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    /// The passes that Graph listed.
    pub passes: Vec<TapMethod>,
    /// `Date` of the answer.
    pub date: Timestamp,
    /// What is known about those that the operator created, by id.
    pub known: BTreeMap<String, Known>,
    /// A pass that the operator created for another request so recently that it may be missing from this list, and is.
    pub unlisted: Option<Unlisted>,
}

/// A pass that Graph does not list yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unlisted {
    /// The request for which it was created, as namespace/name.
    pub request: String,
    /// Id of the pass.
    pub pass_id: String,
}

/// What is known about a pass that the operator created for another request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// It is recorded by this request, which has not ended; as namespace/name.
    Recorded(String),
    /// The operator deleted it, or its request ended. A list that still shows it lags.
    Gone,
}

/// Whether a user could activate a directory role (Privileged Identity Management).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Eligibility {
    /// The user could activate none.
    None,
    /// The user could activate this role, and perhaps others.
    Of(EligibleRole),
    /// The app may not read which roles a user could activate.
    NotSeen,
}

/// Whether one more pass is within a policy's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// It is, and this request's pass counts from now on.
    Ours,
    /// It is not known yet: requests that are being checked right now may use up the rest of the quota.
    Contested(Reached),
    /// It is not: live passes and recorded attempts use up the quota.
    Taken(Reached),
}

/// What is known, without asking Graph, of other passes for a request's user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Neighbours {
    /// Nothing stands in the way.
    None,
    /// Another request for the user is being issued, or its outcome is being resolved.
    InTurn,
    /// This other request has a live pass, and that is looked at again then; as namespace/name.
    Live(String, Timestamp),
    /// Graph listed a live pass that no request records, for whichever request asked. It is asked again at that time.
    Listed(Timestamp),
}

/// Whether it is a request's turn to issue for its user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It is.
    Ours,
    /// It is not known yet, because this process does not know all attempts of earlier processes yet.
    NotKnown,
    /// It is not known yet: another request for the same user is being checked right now.
    Busy,
    /// Another request for the same user is being issued; as namespace/name.
    Of(String),
}

/// Whether a Secret could be created.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// It could be created.
    Free,
    /// A Secret of that name exists already.
    Taken,
    /// The API server refuses it now; the text is its message.
    Refused(String),
}

/// Whether a Secret of the request's name exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretFound {
    /// None exists.
    Absent,
    /// One of ours exists, with this uid.
    Ours(String),
    /// One of ours existed, and this process just deleted it.
    Deleted,
    /// One exists that is not ours.
    Foreign,
    /// It could not be looked up or deleted; the text is the API server's message.
    Unclear(String),
}

/// What can stop issuing at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Brakes {
    /// The stop `ConfigMap`.
    pub stop: Stop,
    /// Whether the policy is suspended, has no `issuance` section, or does not exist. A policy that could not be read
    /// counts as suspended.
    pub suspended: bool,
    /// The version of the policy; absent if it could not be read, or does not exist.
    pub policy: Option<PolicyVersion>,
}

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
            (Self::Graph(one), Self::Graph(other)) => one.kind == other.kind,
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
