//! The machine-readable reasons of conditions and events, each defined once.

use crate::entra::{ErrorKind, GraphError, SignInErrorKind};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition has its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// The value of `reason`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

impl Reason {
    /// The reasons for which a request fails.
    pub const OF_FAILURES: &[Self] = &[
        Self::CeilingExceeded,
        Self::CreatedUnguarded,
        Self::DirectoryRoleHolder,
        Self::ExistingPass,
        Self::ExternalGuest,
        Self::ExternalMember,
        Self::FlagCoerced,
        Self::InvalidSpec,
        Self::LifetimeNotAllowed,
        Self::LifetimeOutOfRange,
        Self::NamespaceNotAllowed,
        Self::NoIssuance,
        Self::OneTimeUseRequired,
        Self::PassUnusable,
        Self::ReasonNotAccepted,
        Self::RecipientInvalid,
        Self::RecipientsRequired,
        Self::RefusedByTenant,
        Self::Released,
        Self::ReplaceNotAllowed,
        Self::RequesterNotMapped,
        Self::ResolvedChanged,
        Self::Restored,
        Self::SecretNameTaken,
        Self::SelfService,
        Self::StartTimeRequired,
        Self::UserDisabled,
        Self::UserForbidden,
        Self::UserHasMethods,
        Self::UserNotAllowed,
        Self::UserNotFound,
        Self::UserNotInScope,
        Self::UserRestricted,
    ];

    /// Whether a person must do something before it goes on.
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::AdmissionMissing
                | Self::AdmitsNobody
                | Self::Conflict
                | Self::GroupNotFound
                | Self::IntentUnreadable
                | Self::MethodDisabled
                | Self::NotTaken
                | Self::PermissionMissing
                | Self::PolicyInvalid
                | Self::PolicyNotFound
                | Self::SecretRefused
                | Self::SecretStays
                | Self::SignInFailed
                | Self::StopNotUnderstood
                | Self::TenantNotConfigured
                | Self::Unreadable
                | Self::WriteRefused
        )
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// The reason for a failed call to the tenant.
    pub fn of(error: &GraphError) -> Self {
        match error.kind {
            // Entra cannot be reached; the credentials may be right.
            ErrorKind::SignIn(SignInErrorKind::Unavailable) => Self::TenantUnreachable,
            ErrorKind::Throttled | ErrorKind::SignIn(SignInErrorKind::Throttled) => Self::Throttled,
            ErrorKind::SignIn(_) | ErrorKind::Unauthorized => Self::SignInFailed,
            _ if error.is_for_lack_of_permission() || error.is_for_lack_of_licence() => {
                Self::PermissionMissing
            }
            _ => Self::TenantUnreachable,
        }
    }
}

reasons! {
    // the state of a request
    /// Approvals are missing.
    AwaitingApproval,
    /// As many people have approved as the policy requires.
    Approved,
    /// The policy requires no approval.
    NoApprovalNeeded,
    /// Somebody made a decision. An event.
    Decided,
    /// The start time is not near yet.
    Scheduled,
    /// The pass was issued.
    Issued,
    /// The one-time pass was used.
    PassUsed,
    /// The pass expired.
    PassExpired,
    /// The pass expired before it could be deleted, because Graph could not be reached.
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
    /// The stop `ConfigMap` revokes active passes.
    StopRevokesActive,
    /// Somebody else removed or replaced the pass.
    PassRemoved,
    /// Another request replaced the pass.
    Superseded,
    /// The pass is being revoked.
    Revoking,
    /// The tenant's logs say how a pass was used. An event.
    UseSeen,
    /// The user registered a sign-in method with the pass. Also an event.
    MethodRegistered,
    /// The tenant's audit log shows no sign-in method that the user registered with the pass. Also an event.
    NothingRegistered,
    /// Somebody else deleted the pass. An event, which says who.
    PassDeleted,
    /// The Secret of an active pass is gone: somebody deleted it.
    SecretGone,
    /// The Secret could not be deleted yet.
    SecretStays,
    /// The outcome of an attempt is being resolved.
    Resolving,

    // what a request waits for
    /// Requests that name the policy can get a pass.
    AdmitsRequests,
    /// No request that names the policy can get a pass, whoever it is for.
    AdmitsNobody,
    /// The policy does not exist.
    PolicyNotFound,
    /// This version cannot read the policy.
    PolicyInvalid,
    /// The operator has no tenant connection of the policy's `spec.tenant`, or none that leads to the tenant of the pass.
    TenantNotConfigured,
    /// The stop `ConfigMap` exists.
    Stopped,
    /// The policy is suspended.
    Suspended,
    /// The operator has not seen the namespace yet.
    NamespaceUnknown,
    /// The namespace is terminating.
    NamespaceTerminating,
    /// The tenant's method is disabled.
    MethodDisabled,
    /// A change of the tenant's method, or of a group, is not in effect yet.
    NotInEffectYet,
    /// The start is more than 30 days ahead.
    StartsLater,
    /// The user does not exist yet, or no longer exists.
    UserNotFound,
    /// It is not certain who the requester is in the tenant, and the policy lets no such people ask.
    RequesterNotFound,
    /// Not every check can be made, and the policy or a ceiling demands that.
    ChecksIncomplete,
    /// A group that is excluded does not exist. Also of the policy that names it.
    GroupNotFound,
    /// A group hides its members from the app. Also of the policy that depends on it.
    GroupHidden,
    /// The user has a live pass that was not issued for this request.
    ExistingPass,
    /// Another request for the same user is being issued.
    AnotherRequest,
    /// There is no room yet for one more request on its way to a pass.
    Queued,
    /// As many passes are live as the policy's quota allows.
    QuotaReached,
    /// The Secret cannot be created now.
    SecretRefused,
    /// Graph cannot be reached or answers with errors.
    TenantUnreachable,
    /// Graph or Entra throttles the calls.
    Throttled,
    /// Sign-in to the tenant failed.
    SignInFailed,
    /// The operator lacks a Graph permission.
    PermissionMissing,
    /// The admission policies are not in force.
    AdmissionMissing,
    /// This version cannot read the object. An event.
    Unreadable,
    /// This version cannot read the intent, which another version wrote.
    IntentUnreadable,
    /// The API server refuses a write of the request, perhaps by somebody else's admission policy or webhook.
    WriteRefused,
    /// Calls to the API server about the request fail. An event.
    ReconcileFailed,
    /// An attempt was given up before the pass was asked for.
    HeldBack,
    /// Graph refused to create the pass; the operator tries again.
    RefusedByTenant,
    /// The user is in a restricted management administrative unit.
    UserRestricted,
    /// Graph refuses a pass for this user, although the app has the permission.
    UserForbidden,

    // why a request cannot be fulfilled
    /// This version cannot read the spec.
    InvalidSpec,
    /// The policy issues nothing.
    NoIssuance,
    /// The policy does not allow the namespace.
    NamespaceNotAllowed,
    /// The policy requires a reason, or one of another form.
    ReasonNotAccepted,
    /// The policy requires a start time.
    StartTimeRequired,
    /// The lifetime is longer than the policy allows.
    LifetimeNotAllowed,
    /// The lifetime is not within the range that the tenant allows now.
    LifetimeOutOfRange,
    /// The policy or the tenant requires one-time use.
    OneTimeUseRequired,
    /// The policy requires encrypted delivery, and the request names no recipients.
    RecipientsRequired,
    /// No code can be encrypted to one of the recipients.
    RecipientInvalid,
    /// The policy does not allow requests to replace a pass.
    ReplaceNotAllowed,
    /// Requester and user are the same person.
    SelfService,
    /// It cannot be told who the requester is in the tenant, and the policy lets no such people ask.
    RequesterNotMapped,
    /// The user's account is disabled.
    UserDisabled,
    /// The user is an external guest.
    ExternalGuest,
    /// The user is a member whose credentials are in another tenant.
    ExternalMember,
    /// The user has a sign-in method, and the policy gives passes only to users without.
    UserHasMethods,
    /// The policy does not allow the user.
    UserNotAllowed,
    /// The tenant's method does not include the user.
    UserNotInScope,
    /// Conditional Access would block the user with the pass, and the policy refuses such passes.
    PassUnusable,
    /// The user holds a directory role.
    DirectoryRoleHolder,
    /// The request exceeds a ceiling of the operator's configuration. Also of a policy that asks for more.
    CeilingExceeded,
    /// The user, lifetime or tenant is not what people approved.
    ResolvedChanged,
    /// A Secret of the request's name exists and is not the operator's.
    SecretNameTaken,
    /// The tenant changed one-time use of the pass that was asked for.
    FlagCoerced,
    /// The request is a copy restored from a backup.
    Restored,
    /// Somebody removed the finalizer.
    Released,
    /// The request was created before the admission policies were in force.
    CreatedUnguarded,

    // policies
    /// The tenant is as the policy says.
    InSync,
    /// The tenant differs from the policy.
    Drifted,
    /// A difference was corrected.
    Corrected,
    /// The policy manages nothing in the tenant.
    NothingManaged,
    /// Another policy manages the same tenant's method.
    Conflict,
    /// The tenant refuses the values, or does not adopt them.
    NotTaken,
    /// The app has the permissions that the policy needs, and no others.
    PermissionsGranted,
    /// The app has permissions that the operator does not need.
    PermissionExcessive,
    /// The app's permissions cannot be read.
    PermissionsUnknown,
    /// The stop `ConfigMap` has an entry that is not understood. Also an event.
    StopNotUnderstood,
    /// Every check of a request can be made.
    AllChecksPossible,
    /// The policy asks for no more than the ceilings allow.
    WithinCeilings,
    /// The tenant connection does not map Kubernetes user names.
    UserNamesNotMapped,
    /// People of whom it cannot be told who they are in the tenant may ask and approve.
    UnmappedPeopleAllowed,
    /// The app may not see the roles that users could activate.
    EligibleRolesNotSeen,
    /// The app may not see who could activate the membership of a group that holds a role.
    EligibleMembersNotSeen,
    /// The app may not see roles that are scoped to a part of the tenant, and custom ones.
    ScopedRolesNotSeen,
    /// The operator reads the tenant's logs.
    LogsRead,
    /// The app may not read the tenant's logs.
    LogsNotRead,
    /// The tenant has no licence for its log of sign-ins.
    SignInsNotRead,
    /// Somebody else made a pass that no request records. An event.
    ForeignPass,
    /// Somebody else changed the policy of authentication methods. An event.
    MethodChanged,
    /// The app may not see Conditional Access.
    ConditionalAccessNotSeen,
    /// No Conditional Access policy keeps people with a pass from registering security info.
    PassesUsable,
    /// A Conditional Access policy blocks passes of those whom it concerns.
    PassesBlocked,
    /// A Conditional Access policy in report-only mode would block passes.
    PassesBlockedOnceEnforced,
    /// Whether passes are blocked depends on what is not known before somebody signs in.
    DependsOnSignIn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_explained_once_in_the_reference_and_nothing_else_is() {
        let reference = include_str!("../../docs/reference/reasons.md");
        let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut explained: Vec<&str> = rows.collect();
        let mut reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        explained.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(explained, reasons);
    }
}
