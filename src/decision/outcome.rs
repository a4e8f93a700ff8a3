//! The outcome of a step.

use std::sync::Arc;
use std::time::Duration;

use super::ids::UserKey;
use super::situation::{
    Brakes, Eligibility, GroupStates, Labels, People, RefusedWrite, SecretDryRun, SecretFound,
    SignInRules, SignInSeen,
};
use crate::api::TapRequest;
use crate::entra::{
    DirectoryRole, GraphError, Listed, ListedRoles, MethodConfiguration, TapMethod, User,
};

/// The outcome of a step for one request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The request as the API server has it; `None` if it does not exist any more. It may also be another object of the
    /// same name.
    Request(Option<Arc<TapRequest>>),
    /// The tenant's method.
    Method(Result<MethodConfiguration, GraphError>),
    /// The user that the request names.
    User(Result<User, GraphError>),
    /// Whom of the tenant requester and approvers are.
    People(Result<People, GraphError>),
    /// Which of the groups asked about the user is in.
    Groups(Result<Vec<String>, GraphError>),
    /// What can be told of the groups asked about.
    GroupStates(Result<GroupStates, GraphError>),
    /// The sign-in name of the only user with a mail address, if there is one.
    UserByMail(Result<Option<String>, GraphError>),
    /// The kinds of the sign-in methods that the user has.
    SignInMethods(Result<Vec<String>, GraphError>),
    /// The directory roles that the user holds.
    Roles(Result<Vec<DirectoryRole>, GraphError>),
    /// Whether the user could activate a directory role.
    Eligibility(Result<Eligibility, GraphError>),
    /// What the tenant's lists of roles say of the user.
    ListedRoles(Result<ListedRoles, GraphError>),
    /// What can be seen of the tenant's Conditional Access.
    SignInRules(Result<SignInRules, GraphError>),
    /// What was asked about the user for it.
    SignIn(Result<SignInSeen, GraphError>),
    /// The passes of this user.
    Passes(UserKey, Result<Listed, GraphError>),
    /// Whether a Secret of the request's name could be created.
    SecretDryRun(SecretDryRun),
    /// Whether a Secret of the request's name exists.
    Secret {
        /// The answer of the API server.
        found: SecretFound,
        /// How long the admission policy on Secrets has not been in force; absent if it is. Without that policy, the API
        /// server's answers do not show whether a Secret is the operator's.
        unfenced_for: Option<Duration>,
    },
    /// The labels of the request's namespace; or why they could not be read.
    Labels(Result<Labels, String>),
    /// Stop and suspension.
    Brakes(Brakes),
    /// Whether the app has the permission to create passes.
    Permitted(Result<bool, GraphError>),
    /// A write of the request succeeded; the request as it is now.
    Written(Arc<TapRequest>),
    /// A write of the request failed, because somebody else wrote the request in between, or it does not exist any more.
    Outdated,
    /// The API server refused a write of the request.
    Refused(RefusedWrite),
    /// The outcome of the POST.
    Posted(Posted),
    /// The outcome of the creation of the Secret.
    SecretCreated(SecretCreation),
    /// The Secret with that uid is gone (true), or a Secret with another uid has its name (false); or why it could not be
    /// deleted.
    SecretDeleted(Result<bool, String>),
    /// The answer to the DELETE of a pass.
    PassDeleted(Result<(), GraphError>),
    /// The request was deleted and does not exist any more.
    RequestDeleted,
    /// A rest is over during which this process held an answer of Graph.
    Rested,
}

/// The outcome of a POST.
#[derive(Clone, Debug)]
pub enum Posted {
    /// Nothing was sent, because the lease is not fresh any more.
    NotTried,
    /// Nothing was sent, because there is no connection to the tenant any more.
    NoConnection,
    /// Graph created this pass. Its answer has this `Date`.
    Made(Box<TapMethod>, jiff::Timestamp),
    /// Nothing was sent, or Graph created nothing.
    Refused(GraphError),
    /// It is not known whether Graph created a pass.
    Unknown,
}

/// The outcome of the creation of a Secret.
#[derive(Clone, Debug)]
pub enum SecretCreation {
    /// It was created, with this uid.
    Yes(String),
    /// The API server refused it, or nothing was sent; the text says why.
    Refused(String),
    /// A Secret of that name exists already.
    Taken(String),
    /// The API server is busy, and did nothing (429).
    Busy(String),
    /// The call was given up without an answer, for the reason in the text. The Secret may exist, or may still appear.
    Unknown(String),
}
