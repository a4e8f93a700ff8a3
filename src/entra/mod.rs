//! The vocabulary of a Microsoft Entra tenant: its users, its passes, its TAP method, and how a call to it fails.
//!
//! The client ([`graph`](crate::graph)) returns these types, and the pure core ([`decision`](crate::decision)) decides
//! by them. This module imports neither of the two, so the core does not depend on a client.
//!
//! | module | what is in it |
//! |---|---|
//! | `groups` | groups |
//! | `users`, `roles` | users, and the directory roles that they hold or could activate |
//! | `names` | which user of the tenant a Kubernetes user name stands for, and how names are compared |
//! | `pass`, `pass_code` | passes, and the code of a new one |
//! | `logs` | rows of the tenant's logs |
//! | `method` | the TAP method of the tenant, and a change to it |
//! | `conditional_access` | what the tenant demands of a sign-in |
//! | `cloud` | the clouds in which a tenant can be |
//! | `date` | Graph's clock |
//! | `call` | the calls, with the permission that each needs |
//! | `error`, `sign_in_error` | how a call fails, and what to do about it |

mod call;
mod cloud;
mod conditional_access;
mod date;
mod error;
mod groups;
mod guid;
mod logs;
mod method;
mod names;
mod pass;
mod pass_code;
mod roles;
mod sign_in_error;
mod users;

pub(crate) use call::Call;
pub use cloud::Cloud;
pub use conditional_access::{
    AccessPolicy, AccessPolicyState, AccessResources, AccessTargets, AuthenticationStrength,
    Circumstance, Control, Grant, PassKind, WhatIf,
};
pub use date::DateSample;
pub use error::{Advice, CreateError, ErrorKind, GraphError, INSUFFICIENT_CLAIMS};
pub use groups::Group;
pub(crate) use guid::guid;
pub use logs::{AuditRow, AuditRows, Initiator, Rest, SignInRow};
pub use method::{ALL_USERS, GraphTarget, MethodConfiguration, MethodPatch, MethodState};
pub use names::{
    Behind, EntraName, UserNameForm, UserNameRule, UserNames, folded, is_service_account,
};
pub use pass::{Created, Listed, NewPass, TapMethod, UsabilityReason};
pub use pass_code::PassCode;
pub use roles::{
    DirectoryRole, EligibleRole, ListedRoles, RoleGap, RoleHolders, RoleHolding, RoleRow,
};
pub use sign_in_error::SignInErrorKind;
pub use users::{Identity, Namesakes, User, UserKind};
