//! Which application permissions each operation needs (documented), and how a missing one is refused.

use crate::{login::caller::Caller, operation::Operation, wire::Refusal};

const POLICY_READ: &[&str] = &[
    "Policy.Read.AuthenticationMethod",
    "Policy.ReadWrite.AuthenticationMethod",
    "Policy.Read.All",
];
const POLICY_WRITE: &[&str] = &["Policy.ReadWrite.AuthenticationMethod"];
const PASS_READ: &[&str] = &[
    "UserAuthMethod-TAP.Read.All",
    "UserAuthMethod-TAP.ReadWrite.All",
    "UserAuthenticationMethod.Read.All",
    "UserAuthenticationMethod.ReadWrite.All",
];
const PASS_WRITE: &[&str] =
    &["UserAuthMethod-TAP.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"];
pub(super) const USER_READ: &[&str] =
    &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const USER_READ_BASIC: &[&str] = &["User.ReadBasic.All"];
pub(super) const MEMBERS_READ: &[&str] = &[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const GROUP_READ_BASIC: &[&str] = &["Group.ReadBasic.All"];
pub(super) const ROLES_READ: &[&str] = &[
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const ELIGIBILITY_READ: &[&str] = &[
    "RoleEligibilitySchedule.Read.Directory",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
];
/// Only these: no directory permission covers it (documented).
const GROUP_ELIGIBILITY_READ: &[&str] = &[
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
];
/// Shows the members of groups that hide them; it is needed beside the permission for members (documented).
pub(super) const HIDDEN_READ: &[&str] = &["Member.Read.Hidden"];
const METHODS_READ: &[&str] =
    &["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"];
const ORGANIZATION_READ: &[&str] =
    &["Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All", "Directory.Read.All"];
/// No narrower one opens the list (documented).
const ACCESS_READ: &[&str] = &["Policy.Read.All"];
const WHAT_IF: &[&str] = &["Policy.Read.ConditionalAccess", "Policy.Read.All"];
const STRENGTHS_READ: &[&str] = &["Policy.Read.AuthenticationMethod", "Policy.Read.All"];
const AUDIT_READ: &[&str] = &["AuditLog.Read.All"];

/// Refuses a caller who lacks a permission.
pub(super) fn check(operation: Operation, caller: &Caller) -> Result<(), Refusal> {
    let has = |permissions| caller.has_any(permissions);
    let allowed = match operation {
        Operation::PolicyGet | Operation::ParentPolicyGet => has(POLICY_READ),
        Operation::PolicyPatch | Operation::PolicyReset => has(POLICY_WRITE),
        Operation::PassList | Operation::PassGet => has(PASS_READ),
        Operation::PassCreate | Operation::PassDelete => has(PASS_WRITE),
        Operation::UserGet => has(USER_READ) || has(USER_READ_BASIC),
        Operation::CheckMemberGroups => has(USER_READ) && has(MEMBERS_READ),
        Operation::TransitiveMemberOf | Operation::UserList => has(USER_READ),
        Operation::SignInMethods => has(METHODS_READ),
        Operation::GroupList | Operation::GroupGet => has(MEMBERS_READ) || has(GROUP_READ_BASIC),
        Operation::RoleAssignments => has(ROLES_READ),
        Operation::RoleEligibilities | Operation::RoleEligibilitySchedules => has(ELIGIBILITY_READ),
        Operation::GroupEligibilitySchedules => has(GROUP_ELIGIBILITY_READ),
        Operation::AccessPolicies => has(ACCESS_READ),
        Operation::AuthenticationStrengths => has(STRENGTHS_READ),
        Operation::Evaluate => has(WHAT_IF),
        Operation::Organization => has(ORGANIZATION_READ),
        Operation::DirectoryAudits | Operation::SignIns => has(AUDIT_READ),
        // A batch needs what its items need.
        Operation::Batch
        | Operation::Token
        | Operation::Discovery
        | Operation::InstanceDiscovery
        | Operation::Keys
        | Operation::Unknown => true,
    };
    match operation {
        _ if allowed => Ok(()),
        Operation::PolicyGet
        | Operation::ParentPolicyGet
        | Operation::PolicyPatch
        | Operation::PolicyReset
        | Operation::PassList
        | Operation::PassGet
        | Operation::PassCreate
        | Operation::PassDelete
        | Operation::SignInMethods => {
            Err(Refusal::new(403, "accessDenied", "Request Authorization failed").repeated())
        }
        Operation::SignIns => Err(Refusal::new(
            403,
            "Authentication_MSGraphPermissionMissing",
            "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All to call this API.",
        )),
        _ => Err(Refusal::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )),
    }
}
