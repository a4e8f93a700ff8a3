//! What was read for a decision, from Graph, from the API server, and from what the state machine knows of other requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Stop;
use crate::decision::clock::{Now, later};
use crate::decision::ids::UserKey;
use crate::decision::intent::POST_WINDOW;
use crate::decision::quota::Reached;
use crate::decision::terms::PolicyVersion;
use crate::entra::{
    AccessPolicy, DirectoryRole, EligibleRole, GraphError, ListedRoles, MethodConfiguration,
    Namesakes, TapMethod, User,
};

/// What was read for this decision. `None` means not read yet. A failed read is an error, never absence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reads {
    /// What was read of the tenant and of the user.
    pub facts: Facts,
    /// The labels of the request's namespace, by a quorum read; or why they could not be read.
    pub labels: Option<Result<Labels, String>>,
    /// Whether one more pass is within the policy's quota.
    pub slot: Option<Slot>,
    /// The user's passes.
    pub passes: Option<Result<Listing, GraphError>>,
    /// The earliest time, by Graph's clock, at which that list was asked for.
    pub passes_asked_at: Option<Timestamp>,
    /// Whether a Secret of the request's name could be created.
    pub secret_dry_run: Option<SecretDryRun>,
    /// Whether a Secret of the request's name exists.
    pub secret: Option<SecretFound>,
    /// Whether the user's passes were listed after `secret` was read.
    pub listed_since: bool,
    /// Stop and suspension, by a quorum read after the intent was written.
    pub brakes: Option<Brakes>,
    /// The answer to the last DELETE of a pass.
    pub deleted: Option<Result<(), GraphError>>,
    /// Whether the app has the permission to create passes.
    pub permitted: Option<Result<bool, GraphError>>,
    /// Whether Secrets can be written.
    pub secrets: Option<Secrets>,
    /// Why the API server did not take the Secret yet. Nothing was done, and it may be created again.
    pub busy: Option<String>,
    /// A write of the request that the API server refused.
    pub refused: Option<RefusedWrite>,
    /// Whether the recorded pass may be deleted now.
    pub deletion: Option<Deletion>,
}

/// What was read of the tenant and of the user, and what followed from who the user is. It is forgotten as a whole when it is
/// too old for a pass to rest on it. The list of passes has an age of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The earliest time, by Graph's clock, at which anything of the tenant or the user was asked for.
    pub asked_at: Option<Timestamp>,
    /// The tenant's method.
    pub method: Option<Result<MethodConfiguration, GraphError>>,
    /// The user.
    pub user: Option<Result<User, GraphError>>,
    /// The sign-in name of the only user who has the name of the missing user as a mail address, if there is one.
    pub meant: Option<Option<String>>,
    /// Whom of the tenant requester and approvers are, by their Kubernetes user names.
    pub people: Option<Result<People, GraphError>>,
    /// Which of the groups asked about the user is in.
    pub groups: Option<Result<Vec<String>, GraphError>>,
    /// What can be told of the groups on which the checks depend, by id.
    pub group_states: Option<Result<GroupStates, GraphError>>,
    /// The kinds of the sign-in methods that the user has, without password and passes.
    pub sign_in_methods: Option<Result<Vec<String>, GraphError>>,
    /// The directory roles that the user holds.
    pub roles: Option<Result<Vec<DirectoryRole>, GraphError>>,
    /// Whether the user could activate a directory role.
    pub eligibility: Option<Result<Eligibility, GraphError>>,
    /// What the tenant's lists of roles say of the user.
    pub listed_roles: Option<Result<ListedRoles, GraphError>>,
    /// What can be seen of the tenant's Conditional Access.
    pub sign_in_rules: Option<Result<SignInRules, GraphError>>,
    /// What was asked about the user for it.
    pub sign_in: Option<Result<SignInSeen, GraphError>>,
    /// What is known, without asking Graph, that would prevent the pass now.
    pub foreseen: Option<Foreseen>,
    /// What is known, without asking Graph, of other passes for the user.
    pub neighbours: Option<Neighbours>,
    /// Whether it is this request's turn to issue for the user.
    pub turn: Option<Turn>,
}

impl Facts {
    /// Notes that something of the tenant or the user was asked for at this time.
    pub fn asked(&mut self, at: Timestamp) {
        self.asked_at = Some(self.asked_at.map_or(at, |before| before.min(at)));
    }

    /// Whether they are too old for a pass to rest on them. A list of passes may have waited for the pace meanwhile.
    pub fn are_old(&self, now: Now) -> bool {
        self.asked_at.is_some_and(|asked| now.latest > later(asked, POST_WINDOW))
    }
}

/// The users of the tenant whom Kubernetes user names may mean, by these names.
pub type People = BTreeMap<String, Namesakes>;

/// What can be told of groups, by their object ids in lower case.
pub type GroupStates = BTreeMap<String, GroupState>;

/// What can be told of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// Who its members are.
    Seen,
    /// Nothing: it hides its members, and the app lacks the permission to see them.
    Hidden,
    /// That there is no such group.
    Gone,
}

/// Whether the recorded pass of a request may be deleted now. Few are deleted at once in one tenant: each waits for the pace,
/// and for a tenant that may not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deletion {
    /// It may.
    Now,
    /// Others are deleted first.
    InTurn,
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
    /// Whose they are.
    pub user: UserKey,
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

/// What can be seen of a tenant's Conditional Access.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SignInRules {
    /// All policies. Those who ask share them.
    Policies(Arc<[AccessPolicy]>),
    /// Only which policies a user meets (What If).
    WhatIf,
    /// Nothing: the app lacks the permissions.
    NotSeen,
    /// It was not read in time, and nobody waits for it.
    NotYet,
}

/// What was asked about a user for Conditional Access.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SignInSeen {
    /// The user's groups and roles, of those that policies name.
    Targets(SignInTargets),
    /// The policies that the user meets, and those of which that depends on what is not known.
    Applying(Arc<[AccessPolicy]>),
    /// The cloud does not say that.
    NotOffered,
    /// The tenant has no licence to ask that.
    NotLicensed,
    /// It was not read in time, and nobody waits for it.
    NotYet,
}

/// A user's groups and roles, of those that Conditional Access policies name. Ids are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SignInTargets {
    /// The groups of which the user is a member.
    pub member_of: BTreeSet<String>,
    /// The groups that hide whether the user is one.
    pub unseen_groups: BTreeSet<String>,
    /// The template ids of the user's active directory roles; `None` if they were not asked for.
    pub roles: Option<BTreeSet<String>>,
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

/// What is known, without asking Graph, that would prevent a pass now. It is said before people are asked to approve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Foreseen {
    /// A live pass of the user that was not issued for the request.
    pub live: Option<LivePass>,
    /// A bound of the policy's quota that is reached.
    pub quota: Option<Reached>,
}

/// A live pass of a user that was not issued for a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LivePass {
    /// The request that records it, as namespace/name; absent if none does.
    pub request: Option<String>,
    /// When it expires, if that is known.
    pub expires: Option<Timestamp>,
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

/// What a dry run of creating the Secret says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretDryRun {
    /// It could be created.
    Accepted,
    /// A Secret of that name exists already.
    NameTaken,
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

/// The labels of a namespace, by key.
pub type Labels = BTreeMap<String, String>;

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
