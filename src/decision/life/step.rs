//! What to do next.

use jiff::{SignedDuration, Timestamp};

use super::situation::Grounds;
use crate::api::{TapRequest, TapRequestStatus};
use crate::decision::intent::{Intent, has_finalizer};
use crate::decision::quota::Bounds;

/// The next thing to do for one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Something must be known first.
    Look(Look),
    /// Something is to be done.
    Act(Action),
    /// Nothing is to be done now.
    Rest(Rest),
}

/// What must be known first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The tenant's method.
    Method,
    /// The user that the request names.
    User,
    /// Which of these groups the user is in.
    Groups {
        /// Object id of the user.
        user_id: String,
        /// Object ids of the groups.
        ids: Vec<String>,
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
    /// Whether the policy's quota leaves a place for this request.
    Slot(Bounds),
    /// Whether it is this request's turn to issue for the user.
    Turn {
        /// Id of the tenant.
        tenant_id: String,
        /// Object id of the user.
        user_id: String,
    },
    /// The user's passes.
    Passes {
        /// Name of the tenant connection.
        connection: String,
        /// Object id of the user.
        user_id: String,
    },
    /// One pass.
    Pass {
        /// Name of the tenant connection.
        connection: String,
        /// Object id of the user.
        user_id: String,
        /// Id of the pass.
        pass_id: String,
    },
    /// Whether a Secret of the request's name could be created.
    Place,
    /// Whether there is a Secret of the request's name.
    Secret,
    /// Stop and suspension, by a quorum read.
    Brakes,
}

impl Look {
    /// Whether a tenant is asked, for a request that holds nothing yet.
    pub fn is_on_the_way_to_an_issue(&self, request: &TapRequest) -> bool {
        let asks = match self {
            Self::Method
            | Self::User
            | Self::Groups { .. }
            | Self::Roles { .. }
            | Self::Eligibility { .. }
            | Self::Passes { .. } => true,
            Self::Slot(_)
            | Self::Turn { .. }
            | Self::Pass { .. }
            | Self::Place
            | Self::Secret
            | Self::Brakes => false,
        };
        asks && !has_finalizer(request)
    }
}

/// What is to be done. Each is one effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the status (all of it but `decisions`).
    WriteStatus(Box<TapRequestStatus>),
    /// Record an intent, with the finalizer.
    RecordIntent(Box<Intent>, Grounds),
    /// Close the intent and take the finalizer off.
    Release(Option<Box<Intent>>),
    /// Ask Graph for the pass of this intent: one POST.
    Post(Box<Intent>),
    /// Create the Secret from the answer.
    CreateSecret,
    /// Delete the Secret with this uid.
    DeleteSecret(String),
    /// Delete a pass.
    DeletePass {
        /// Name of the tenant connection.
        connection: String,
        /// Object id of the user.
        user_id: String,
        /// Id of the pass.
        pass_id: String,
    },
    /// Forget the answer that this process holds: its pass is gone, or recorded.
    Forget,
    /// Delete the finished request.
    DeleteRequest,
}

/// Until when nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rest {
    /// Until something changes.
    ForChange,
    /// Until a time at Graph.
    Until(Timestamp),
    /// For so long, with jitter.
    For(SignedDuration),
    /// For a backoff that grows with each failure in a row, and at least so long.
    Backoff(Option<SignedDuration>),
    /// The same, but no longer than until a time at Graph.
    BackoffUntil(Option<SignedDuration>, Timestamp),
}

impl Rest {
    /// The earlier of this rest and a time at Graph.
    #[must_use]
    pub fn or_until(self, time: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::ForChange => Self::Until(time),
            Self::Until(other) => Self::Until(other.min(time)),
            // Jitter makes it up to a tenth longer.
            Self::For(length) if now + length + length / 10 > time => Self::Until(time),
            Self::For(_) => self,
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
