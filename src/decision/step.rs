//! The next step for a request.

use jiff::{SignedDuration, Timestamp};

use super::ids::UserKey;
use super::situation::Grounds;
use crate::api::TapRequestStatus;
use crate::decision::intent::Intent;
use crate::entra::{Advice, EntraName, GraphError};

/// The next step for one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the request, by a quorum read.
    Read,
    /// Read all of this, in any order.
    Ask(Vec<Question>),
    /// Perform this effect.
    Act(Action),
    /// Do nothing for a while.
    Rest(Rest),
    /// The request does not exist any more, and this process holds nothing for it.
    Gone {
        /// Whether a pass was being requested when the request was released and deleted. One may be left in the tenant.
        asked_for_a_pass: bool,
    },
}

/// Something that must be known first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The tenant's method.
    Method,
    /// The user that the request names.
    User {
        /// Object id, or sign-in name if the request was not resolved yet.
        key: String,
    },
    /// Who has this mail address, because no user has it as sign-in name.
    UserByMail {
        /// The mail address.
        address: String,
    },
    /// Whom of the tenant these people are.
    People {
        /// Their Kubernetes user names, and the names that the tenant connection makes of them.
        names: Vec<(String, EntraName)>,
    },
    /// Which of these groups the user is in.
    Groups {
        /// Object id of the user.
        user_id: String,
        /// Object ids of the groups.
        ids: Vec<String>,
    },
    /// What can be told of these groups.
    GroupStates {
        /// Object ids of the groups.
        ids: Vec<String>,
    },
    /// The sign-in methods that the user has.
    SignInMethods {
        /// Object id of the user.
        user_id: String,
    },
    /// The directory roles that the user holds.
    Roles {
        /// Object id of the user.
        user_id: String,
    },
    /// Whether the user could activate a directory role.
    Eligibility {
        /// Object id of the user.
        user_id: String,
    },
    /// What the tenant's lists of roles say of the user.
    ListedRoles {
        /// Object id of the user.
        user_id: String,
    },
    /// What can be seen of the tenant's Conditional Access.
    SignInRules {
        /// How long the answer is waited for.
        wait: SignInWait,
    },
    /// What Conditional Access policies depend on about the user.
    SignIn {
        /// Object id of the user.
        user_id: String,
        /// What is asked.
        asks: SignInAsks,
        /// How long the answer is waited for.
        wait: SignInWait,
    },
    /// The user's passes.
    Passes {
        /// The names of the tenant connections that may be asked, in this order.
        connections: Vec<String>,
        /// The user.
        user: UserKey,
    },
    /// Whether a Secret of the request's name could be created, by a dry run.
    SecretDryRun,
    /// Whether a Secret of the request's name exists.
    Secret,
    /// The labels of the request's namespace, by a quorum read.
    Labels,
    /// Stop and suspension, by a quorum read.
    Brakes,
    /// Whether the app of a tenant connection has the permission to create passes.
    Permission {
        /// Name of the tenant connection.
        connection: String,
    },
}

/// How long an answer about Conditional Access is waited for. Graph answers one question in a second for a whole tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInWait {
    /// Hardly: the pass may be issued next, and does not depend on it.
    Hardly,
    /// Some seconds: people are asked first, and read it.
    Seconds,
    /// Until it is there, and not older than the other reads: the pass depends on it.
    UntilAnswered,
}

/// What is asked about a user for Conditional Access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInAsks {
    /// Which of these groups the user is in, and the user's directory roles.
    Targets {
        /// Object ids of the groups.
        groups: Vec<String>,
        /// Whether roles are asked for.
        roles: bool,
    },
    /// Which policies the user meets.
    WhatIf,
}

/// An effect. Each is one write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the whole status except `decisions`.
    WriteStatus(Box<TapRequestStatus>),
    /// Record an intent, with the finalizer.
    RecordIntent(Box<Intent>, Box<Grounds>),
    /// Close the intent and remove the finalizer.
    Release(Option<Box<Intent>>),
    /// Request the pass of this intent from Graph, with one POST.
    Post(Box<Intent>),
    /// Create the Secret with the code from Graph's answer.
    CreateSecret,
    /// Delete the Secret with this uid.
    DeleteSecret(String),
    /// Delete a pass.
    DeletePass {
        /// The names of the tenant connections through which it may be deleted, in this order.
        connections: Vec<String>,
        /// Object id of the user.
        user_id: String,
        /// Id of the pass.
        pass_id: String,
    },
    /// Delete the finished request.
    DeleteRequest,
}

/// How long nothing is done. Any change ends a rest early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rest {
    /// Until something changes.
    ForChange,
    /// Until this time by Graph's clock.
    Until(Timestamp),
    /// For this long, with jitter.
    For(SignedDuration),
    /// For a backoff that grows with each failure in a row, and lasts at least this long.
    Backoff(Option<SignedDuration>),
    /// The same backoff, but at most until this time by Graph's clock.
    BackoffUntil(Option<SignedDuration>, Timestamp),
}

impl Rest {
    /// The rest after a failed call to the tenant.
    pub fn after(error: &GraphError) -> Self {
        match error.advice() {
            Advice::Retry { after } => {
                Self::Backoff(after.and_then(|least| SignedDuration::try_from(least).ok()))
            }
            Advice::Wait | Advice::Stop => Self::For(SignedDuration::from_secs(60)),
        }
    }

    /// This rest, but at most until `time` by Graph's clock.
    #[must_use]
    pub fn or_until(self, time: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::ForChange => Self::Until(time),
            Self::Until(other) => Self::Until(other.min(time)),
            // Jitter adds up to a tenth.
            Self::For(length) if now + length + length / 10 > time => Self::Until(time),
            Self::For(_) => self,
            Self::Backoff(_) | Self::BackoffUntil(..) if time <= now => self,
            Self::Backoff(least) => Self::BackoffUntil(least, time),
            Self::BackoffUntil(least, other) => Self::BackoffUntil(least, other.min(time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rest_outlasts_its_time() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let seconds = SignedDuration::from_secs;
        for (rest, expected) in [
            (Rest::ForChange, Rest::Until(at(100))),
            (Rest::Until(at(99)), Rest::Until(at(99))),
            (Rest::Until(at(101)), Rest::Until(at(100))),
            (Rest::For(seconds(90)), Rest::For(seconds(90))),
            (Rest::For(seconds(95)), Rest::Until(at(100))),
            (Rest::Backoff(None), Rest::BackoffUntil(None, at(100))),
            (Rest::BackoffUntil(None, at(99)), Rest::BackoffUntil(None, at(99))),
        ] {
            assert_eq!(rest.or_until(at(100), at(0)), expected);
        }
    }
}
