//! The machine-readable reasons of conditions and events, each once.

use crate::graph::{ErrorKind, GraphError, SignInErrorKind};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// The text in `reason`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

impl Reason {
    /// What a failed call to the tenant stands for.
    pub fn of(error: &GraphError) -> Self {
        match error.kind {
            // Nothing is wrong with the credentials: Entra is out of reach.
            ErrorKind::SignIn(SignInErrorKind::Unavailable) => Self::TenantUnreachable,
            ErrorKind::Throttled | ErrorKind::SignIn(SignInErrorKind::Throttled) => Self::Throttled,
            ErrorKind::SignIn(_) | ErrorKind::Unauthorized => Self::SignInFailed,
            ErrorKind::Forbidden => Self::PermissionMissing,
            _ => Self::TenantUnreachable,
        }
    }
}

reasons! {
    // where a request is
    /// Approvals are missing.
    AwaitingApproval,
    /// As many people approved as are needed.
    Approved,
    /// The policy asks for no approval.
    NoApprovalNeeded,
    /// Somebody decided: an event.
    Decided,
    /// The start time is not near yet.
    Scheduled,
    /// The pass was issued.
    Issued,
    /// The one-time pass was used.
    PassUsed,
    /// The pass expired.
    PassExpired,
    /// The pass expired while Graph could not be told to delete it.
    ExpiredWhileRevoking,
    /// The request was not issued by its deadline.
    NotIssuedInTime,
    /// Somebody decided Revoke.
    Revoked,
    /// Somebody decided Deny after the issue.
    DeniedAfterIssue,
    /// Somebody decided Deny.
    Denied,
    /// The request was deleted.
    RequestDeleted,
    /// The stop `ConfigMap` revokes what is active.
    StopRevokesActive,
    /// Somebody else removed or replaced the pass.
    PassRemoved,
    /// Another request replaced the pass.
    Superseded,
    /// The pass is being taken away.
    Revoking,
    /// The Secret could not be deleted yet.
    SecretStays,
    /// What became of an attempt is being found out.
    Resolving,

    // what a request waits for
    /// The policy does not exist.
    PolicyNotFound,
    /// The policy cannot be read by this version.
    PolicyInvalid,
    /// The operator has no connection of that name.
    TenantNotConfigured,
    /// The stop `ConfigMap` is there.
    Stopped,
    /// The policy is suspended.
    Suspended,
    /// The namespace was not seen yet.
    NamespaceUnknown,
    /// The namespace is terminating.
    NamespaceTerminating,
    /// The tenant's method is disabled.
    MethodDisabled,
    /// The user is not there yet, or not any more.
    UserNotFound,
    /// The user has a live pass that was not issued for this request.
    ExistingPass,
    /// Another request for the same user is being issued.
    AnotherRequest,
    /// As many passes are live as the policy allows at once.
    QuotaReached,
    /// The Secret cannot be created now.
    SecretRefused,
    /// Graph cannot be reached or answers errors.
    TenantUnreachable,
    /// The tenant asks for fewer calls.
    Throttled,
    /// Sign-in to the tenant failed.
    SignInFailed,
    /// The operator lacks a Graph permission.
    PermissionMissing,
    /// The admission policies are not in force.
    AdmissionMissing,
    /// This version cannot read the object: an event.
    Unreadable,
    /// Another version wrote an intent that this one cannot read.
    IntentUnreadable,
    /// An attempt was given up before the pass was asked for.
    HeldBack,
    /// Graph refused the pass; it is tried again.
    RefusedByTenant,

    // why a request cannot be fulfilled
    /// The spec cannot be read by this version.
    InvalidSpec,
    /// The policy issues nothing.
    NoIssuance,
    /// The policy does not admit the namespace.
    NamespaceNotAllowed,
    /// The policy demands a reason, or another one.
    ReasonNotAccepted,
    /// The policy demands a start time.
    StartTimeRequired,
    /// The start time is too far ahead.
    StartTimeTooFar,
    /// The lifetime is not within the policy's bounds.
    LifetimeNotAllowed,
    /// The lifetime is not within the tenant's live range.
    LifetimeOutOfRange,
    /// The policy or the tenant demands one-time use.
    OneTimeUseRequired,
    /// The policy demands encrypted delivery, and the request names no recipients.
    RecipientsRequired,
    /// A recipient is no key that a code can be encrypted to.
    RecipientInvalid,
    /// The policy does not let a pass be replaced.
    ReplaceNotAllowed,
    /// Requester and user are the same person.
    SelfService,
    /// The user's account is disabled.
    UserDisabled,
    /// The user is an external guest.
    ExternalGuest,
    /// The policy does not admit the user.
    UserNotAllowed,
    /// The tenant's method does not include the user.
    UserNotInScope,
    /// The user holds a directory role.
    DirectoryRoleHolder,
    /// The user is not who was approved.
    ResolvedChanged,
    /// A Secret of that name is somebody else's.
    SecretNameTaken,
    /// The tenant made another kind of pass than was asked for.
    FlagCoerced,
    /// The request is a copy restored from a backup.
    Restored,
    /// The finalizer was taken off by hand.
    Released,
    /// The request was created before the admission policies were in force.
    CreatedUnguarded,

    // policies
    /// The tenant is as the policy says.
    InSync,
    /// The tenant differs from the policy, and the policy only observes.
    Drifted,
    /// A difference was corrected.
    Corrected,
    /// The policy manages nothing in the tenant.
    NothingManaged,
    /// Another policy manages the same tenant's method.
    Conflict,
    /// The tenant does not take the values.
    NotTaken,
    /// The app may do what the policy needs, and no more.
    PermissionsGranted,
    /// The app holds permissions that nothing needs.
    PermissionExcessive,
    /// The app's permissions cannot be read.
    PermissionsUnknown,
    /// Every check of a request can be made.
    AllChecksPossible,
    /// The tenant connection does not map Kubernetes user names.
    UserNamesNotMapped,
    /// The app may not see the roles that users could activate.
    EligibleRolesNotSeen,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first cells of the tables of the README between these headings.
    fn in_the_readme(from: &str, to: &str) -> Vec<&'static str> {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once(from).unwrap();
        let (section, _) = rest.split_once(to).unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        rows.collect()
    }

    #[test]
    fn each_reason_is_explained_once_in_the_readme_and_nothing_else_is() {
        let mut explained = in_the_readme("\n## Troubleshooting\n", "\n## Emergency stop\n");
        let mut reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        explained.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(explained, reasons);
    }
}
