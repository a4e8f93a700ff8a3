//! The resources [`TapPolicy`] and [`TapRequest`]: the specs that people write, and the statuses that the operator writes.
//!
//! [`Ceilings`], which limit what policies may say, are part of the operator's configuration.
//!
//! Deserializing is lenient, and values are validated later: an object written by a newer or broken client must never stop
//! the watch of all others, and its pass must still be revoked.

mod ceilings;
mod conditions;
pub mod crds;
mod evidence;
mod lean;
mod lifetime;
pub mod names;
mod observed;
mod policy;
mod policy_status;
mod request;
pub mod yaml;

pub use ceilings::{Ceilings, CompleteOnly, Denied, NoReplacing, SealedOnly};
pub use conditions::{ConditionType, find_condition, merge_conditions};
pub use evidence::{Evidence, FailedSignIns};
pub use lean::Lean;
pub use lifetime::{Lifetime, LifetimeError, PASS_LIFETIMES};
pub use observed::{ObservedLifetime, ObservedMethod, ObservedTarget};
pub use policy::{
    Approval, CompleteChecks, Delivery, DirectoryRoleHolders, Enforcement, GroupRef, Issuance,
    IssuanceLifetime, Method, MethodLifetime, MethodState, Namespaces, Quota, ReasonRule,
    ReplaceExistingPass, StartTimeRule, TapPolicy, TapPolicySpec, Target, UnmappedPeople,
    UnusablePass, Users,
};
pub use policy_status::{Drift, Posture, PostureResult, TapPolicyStatus};
pub use request::{
    Basis, Check, CheckResult, Decision, DecisionKind, OnExistingPass, Pass, PersonFound, Phase,
    PolicyRef, Resolved, SeenDecision, TapRequest, TapRequestSpec, TapRequestStatus,
};
