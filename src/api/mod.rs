//! The resources: [`TapPolicy`] and [`TapRequest`], as users write them and as the operator answers.
//!
//! The types read leniently and are judged later: an object that a newer or a broken client wrote must
//! never stop the watch of all others, and its pass must still be taken away.

mod conditions;
pub mod crds;
mod lifetime;
pub mod names;
mod observed;
mod policy;
mod request;
pub mod yaml;

pub use conditions::{ConditionType, merge_conditions};
pub use lifetime::{Lifetime, LifetimeError};
pub use observed::{ObservedLifetime, ObservedMethod, ObservedTarget};
pub use policy::{
    Approval, Delivery, DirectoryRoleHolders, Drift, Enforcement, GroupRef, Issuance,
    IssuanceLifetime, Method, MethodLifetime, MethodState, Namespaces, Quota, ReasonRule,
    ReplaceExistingPass, StartTimeRule, TapPolicy, TapPolicySpec, TapPolicyStatus, Target, Users,
};
pub use request::{
    Basis, Check, CheckResult, Decision, DecisionKind, OnExistingPass, Pass, Phase, PolicyRef,
    Resolved, TapRequest, TapRequestSpec, TapRequestStatus,
};
