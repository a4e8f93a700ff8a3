//! The input of a decision.

mod memory;
mod reads;

use std::ops::Deref;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;

pub use self::memory::{
    Approvals, Attempt, Cause, Grounds, Held, Memory, PAUSE, Progress, SecretWritten, Setback, Told,
};
pub use self::reads::{
    Brakes, Deletion, Eligibility, Facts, Foreseen, GroupState, GroupStates, Known, Labels,
    Listing, LivePass, Neighbours, People, Reads, RefusedWrite, SecretDryRun, SecretFound, Secrets,
    SignInRules, SignInSeen, SignInTargets, Slot, Turn, Unlisted, Written,
};
use crate::api::{Ceilings, TapPolicy, TapRequest};
use crate::decision::admission::Guard;
use crate::decision::clock::Now;
use crate::decision::terms::{PolicyVersion, Terms};
use crate::entra::{Cloud, GraphError, TapMethod, UserNames};

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
    /// Whether there was no Secret at the last look at the recorded pass.
    pub secret_is_gone: bool,
    /// What was read for this decision.
    pub reads: &'a Reads,
    /// What this process remembers about the request.
    pub memory: &'a Memory,
}

impl Situation<'_> {
    /// How people are told of another request, given as namespace/name. Who may see this request need not know what requests
    /// there are in other namespaces.
    pub fn tell_of(&self, other: &str) -> String {
        let (namespace, name) = other.split_once('/').unwrap_or_default();
        if self.request.metadata.namespace.as_deref() == Some(namespace) {
            format!("request {name}")
        } else {
            "a request of another namespace".to_owned()
        }
    }
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
    /// What no policy of its tenant may exceed: of all connections of the tenant together.
    pub ceilings: Arc<Ceilings>,
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
