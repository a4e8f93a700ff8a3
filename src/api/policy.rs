//! `TapPolicy`: what the tenant's Temporary Access Pass method must look like, and who may get a pass.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lifetime::{PASS_LIFETIME, PASS_LIFETIME_MESSAGE};
use super::{Lifetime, TapPolicyStatus};

const INTERVAL: &str = "self.matches('^([0-9]{1,3}h)?([0-9]{1,5}m)?$') && size(self) > 0 && duration(self) >= duration('1m') && duration(self) <= duration('24h')";
const INTERVAL_MESSAGE: &str =
    "must be between 1m and 24h, written in hours and minutes such as 10m or 1h";
const TIMEOUT: &str = "self.matches('^([0-9]{1,3}h)?([0-9]{1,5}m)?$') && size(self) > 0 && duration(self) >= duration('5m') && duration(self) <= duration('720h')";
const TIMEOUT_MESSAGE: &str =
    "must be between 5m and 720h, written in hours and minutes such as 24h (a day is 24h)";
const UP_TO_A_WEEK: &str = "self.matches('^([0-9]{1,3}h)?([0-9]{1,5}m)?$') && size(self) > 0 && duration(self) <= duration('168h')";
const UP_TO_A_WEEK_MESSAGE: &str =
    "must be at most 168h, written in hours and minutes such as 5m or 12h (a day is 24h)";

const CREATED_WITHIN: &str = "self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?$') && size(self) > 0 && duration(self) >= duration('1h') && duration(self) <= duration('8760h')";
const CREATED_WITHIN_MESSAGE: &str =
    "must be between 1h and 8760h, written in hours and minutes such as 72h (a day is 24h)";
const ONE_LINE: &str = "!self.matches('[[:cntrl:]]')";
const ONE_LINE_MESSAGE: &str = "must be text on one line, without control characters";
const OBJECT_ID: &str =
    "self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')";
const OBJECT_ID_MESSAGE: &str = "must be the object id of a group in Entra, not its name, such as 6c1f8a4e-0b5d-4f7a-9b1c-2d3e4f5a6b7c";

/// A `TapPolicy` says what the Temporary Access Pass method of a Microsoft Entra tenant must look like, and who may get
/// a pass through requests that name it. The operator reads the tenant, reports every difference, and corrects it if
/// `enforcement` is Enforce. Deleting a `TapPolicy` never changes the tenant.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tap-operator.io",
    version = "v1alpha1",
    kind = "TapPolicy",
    shortname = "tpol",
    category = "tap-operator",
    status = "TapPolicyStatus",
    derive = "PartialEq",
    doc = "A TapPolicy says what the Temporary Access Pass method of a Microsoft Entra tenant must look like, and who may get a pass through requests that name it. Deleting it never changes the tenant.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.observed.state"),
    printcolumn(name = "Drift", type_ = "string", json_path = ".status.driftedFields"),
    printcolumn(name = "Issuing", type_ = "string", json_path = ".status.conditions[?(@.type==\"Issuing\")].status"),
    printcolumn(name = "Synced", type_ = "string", json_path = ".status.conditions[?(@.type==\"Synced\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 63").message("the name must be at most 63 characters"),
    validation = Rule::new("!has(self.spec.enforcement) || self.spec.enforcement != 'Enforce' || has(self.spec.method)").message("enforcement: Enforce has nothing to enforce: say in spec.method what the tenant's method must look like, or leave enforcement out")
)]
#[serde(rename_all = "camelCase")]
pub struct TapPolicySpec {
    /// Name of a tenant connection in the operator's configuration, which holds hosts and credentials. Cannot be changed.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("the tenant of a policy cannot be changed: create another policy"))]
    pub tenant: String,
    /// The tenant's Temporary Access Pass method. If it is left out, this policy manages nothing in the tenant. A field
    /// inside that is left out is not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// What to do about a difference between `method` and the tenant. Observe, the default, reports it and writes
    /// nothing; Enforce corrects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// How often the tenant is read, with jitter. 1m to 24h, default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(INTERVAL).message(INTERVAL_MESSAGE))]
    pub interval: Option<Lifetime>,
    /// Who may get a pass through this policy. If it is left out, every request that names this policy fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuance: Option<Issuance>,
}

/// The tenant's Temporary Access Pass method. Fields that are left out are not managed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.include) || !has(self.exclude) || !self.exclude.exists(e, self.include.exists(i, has(i.group) && has(e.group) && i.group.lowerAscii() == e.group.lowerAscii()))").message("a group is both included and excluded: exclusions win, so remove one of the two"))]
pub struct Method {
    /// Whether passes can be used in the tenant at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<MethodState>,
    /// The limits for the lifetime of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<MethodLifetime>,
    /// Number of characters of a code. 8 to 48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 48))]
    pub code_length: Option<i32>,
    /// Whether every pass of the tenant works only once. If false, each request chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_one_time_use: Option<bool>,
    /// Who can use a pass: up to 100 groups, or `allUsers: true` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = Rule::new("size(self) == 1 || self.all(t, !has(t.allUsers))").message("allUsers stands alone: remove the groups beside it, or remove it"))]
    pub include: Option<Vec<Target>>,
    /// Who cannot use a pass, even if included: up to 100 groups. An empty list clears the exclusions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub exclude: Option<Vec<GroupRef>>,
}

/// Whether passes can be used in the tenant at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MethodState {
    /// Passes can be issued and used.
    Enabled,
    /// No pass can be used.
    Disabled,
    /// A value that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Issuance {
    /// Whether only one-time passes may be asked for.
    pub fn requires_one_time_use(&self) -> bool {
        self.require_one_time_use.unwrap_or(true)
    }
}

impl fmt::Display for MethodState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Limits for the lifetime of a pass in the tenant. Whole minutes, 10m to 720h, minimum <= default <= maximum.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.minimum) || !has(self.default) || duration(self.minimum) <= duration(self.default)").message("minimum must not be longer than default"),
    validation = Rule::new("!has(self.default) || !has(self.maximum) || duration(self.default) <= duration(self.maximum)").message("default must not be longer than maximum"),
    validation = Rule::new("!has(self.minimum) || !has(self.maximum) || duration(self.minimum) <= duration(self.maximum)").message("minimum must not be longer than maximum")
)]
pub struct MethodLifetime {
    /// Shortest lifetime of a pass. 10m to 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub minimum: Option<Lifetime>,
    /// Lifetime of a pass if none is asked for. 10m to 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub default: Option<Lifetime>,
    /// Longest lifetime of a pass. 10m to 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub maximum: Option<Lifetime>,
}

/// Either one group or everybody.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.group) != has(self.allUsers)").message("set exactly one of group and allUsers"),
    validation = Rule::new("!has(self.allUsers) || self.allUsers").message("allUsers can only be true: leave it out instead"),
    validation = Rule::new("!has(self.displayName) || has(self.group)").message("displayName belongs to a group")
)]
pub struct Target {
    /// Object id of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(OBJECT_ID).message(OBJECT_ID_MESSAGE))]
    pub group: Option<String>,
    /// Everybody in the tenant. Must be `true`, and the only target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_users: Option<bool>,
    /// Display name of the group, for readers. If it is set and the group has another name, `status.drift` reports that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub display_name: Option<String>,
}

/// One group.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRef {
    /// Object id of the group.
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(OBJECT_ID).message(OBJECT_ID_MESSAGE))]
    pub group: String,
    /// Display name of the group, for readers. If it is set and the group has another name, `status.drift` reports that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub display_name: Option<String>,
}

/// What to do about a difference between `method` and the tenant: Observe (the default) reports it and writes nothing,
/// Enforce corrects it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Enforcement {
    /// Report it and write nothing. A difference is not a failure.
    #[default]
    Observe,
    /// Correct it.
    Enforce,
    /// A value that this version does not know: nothing is written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Who may get a pass. The entries of a list are alternatives, all fields must match, and exclusions win.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// Namespaces from which requests may come. If it is left out, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Namespaces>,
    /// Users for whom a pass may be asked for. If it is left out, nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// Whether a user who holds any directory role, directly or through groups, may get a pass. The same applies to a user
    /// who could activate one (Privileged Identity Management), if the operator may see that. Default Deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_role_holders: Option<DirectoryRoleHolders>,
    /// Whether people of whom it cannot be told who they are in the tenant may ask and approve: those whose Kubernetes user
    /// names the tenant connection does not map to users. A `ServiceAccount` is no person, and may always ask. Default Deny
    /// if the connection maps names, else Allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmapped_people: Option<UnmappedPeople>,
    /// Whether passes are issued although a check of who may get one cannot be made completely, because the operator's app
    /// lacks a permission or the tenant connection does not map user names. The condition `ChecksComplete` says which.
    /// Default Optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_checks: Option<CompleteChecks>,
    /// Lifetime of passes. The default is 1h, and the maximum is 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<IssuanceLifetime>,
    /// Whether only one-time passes may be asked for. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_one_time_use: Option<bool>,
    /// How many people must approve before a pass is issued, and within what time. Default: one person within 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Requires a reason, and says what it must look like. If it is left out, no reason is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonRule>,
    /// Whether a request must say when its pass starts. With Required, manifests in Git are always safe to apply again,
    /// because a request whose time is over issues nothing. Default Optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<StartTimeRule>,
    /// How long before its start a pass may be issued. 0m to 168h, default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(UP_TO_A_WEEK).message(UP_TO_A_WEEK_MESSAGE))]
    pub lead_time: Option<Lifetime>,
    /// How long a request without a start time waits for what time may heal: its user is not there yet, the account is not
    /// enabled yet, the user is not in a group yet. A request with a start time waits until its end. 0m to 168h, default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(UP_TO_A_WEEK).message(UP_TO_A_WEEK_MESSAGE))]
    pub patience: Option<Lifetime>,
    /// Whether a request may say `onExistingPass: Replace`. Default Forbidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace_existing_pass: Option<ReplaceExistingPass>,
    /// What to do about a request whose pass Conditional Access policies would block where its user registers security info.
    /// Default Warn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable_pass: Option<UnusablePass>,
    /// How the code may be delivered. Sealed allows only requests with recipients. Default Any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// How many passes may be live at once. A request beyond that waits until one ends. If it is left out, there is no
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// While true, nothing new is issued through this policy. Active passes stay. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Namespaces, by name or by label.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    /// Names of namespaces, up to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub names: Option<Vec<String>>,
    /// Labels of namespaces. An empty selector selects nothing. Anyone who may change a namespace may give it these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Users, by domain, by group, and by what is known of their account.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    /// Domains of user principal names, up to 100, such as contoso.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub domains: Option<Vec<String>>,
    /// Groups; a user must be a member of one of them, directly or through other groups. Up to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub groups: Option<Vec<GroupRef>>,
    /// How long ago, at most, a user was created: for a policy that serves new colleagues and nobody else. 1h to 8760h, in
    /// addition to domains and groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(CREATED_WITHIN).message(CREATED_WITHIN_MESSAGE))]
    pub created_within: Option<Lifetime>,
    /// Whether only users get a pass who have no sign-in method yet: none besides a password and a pass. It needs the
    /// permission UserAuthenticationMethod.Read.All. In addition to domains and groups. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_without_sign_in_methods: Option<bool>,
    /// Groups whose members get no pass, whatever the other fields say. Up to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub exclude_groups: Option<Vec<GroupRef>>,
}

/// Whether a user who holds any directory role, directly or through groups, or could activate one, may get a pass: Deny
/// (the default) or Allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DirectoryRoleHolders {
    /// They get no pass through this policy.
    #[default]
    Deny,
    /// They are treated like everybody else.
    Allow,
    /// A value that this version does not know: read as Deny.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether people of whom it cannot be told who they are in the tenant may ask and approve: Deny (the default if the tenant
/// connection maps Kubernetes user names) or Allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnmappedPeople {
    /// Their requests fail, and their approvals do not count.
    Deny,
    /// They are treated like everybody else, although they may ask and approve for themselves under another name.
    Allow,
    /// A value that this version does not know: read as Deny.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether passes are issued although a check of who may get one cannot be made completely: Optional (the default) or
/// Required, with which requests wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompleteChecks {
    /// They are; the condition `ChecksComplete` tells.
    #[default]
    Optional,
    /// They are not: requests wait.
    Required,
    /// A value that this version does not know: read as Required.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Lifetime of passes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.default) || !has(self.maximum) || duration(self.default) <= duration(self.maximum)").message("default must not be longer than maximum"))]
pub struct IssuanceLifetime {
    /// Lifetime of a pass whose request names none. 10m to 720h. Default: 1h, or `maximum` if that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub default: Option<Lifetime>,
    /// Longest lifetime that a request may ask for. 10m to 720h. Default: 1h, or `default` if that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub maximum: Option<Lifetime>,
}

/// How many people must approve, and within what time.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// How many different people must approve, none of them the requester or the user. 0 to 5, default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub required: Option<i32>,
    /// How long after its creation a request without a start time may still be issued. 5m to 720h, default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(TIMEOUT).message(TIMEOUT_MESSAGE))]
    pub timeout: Option<Lifetime>,
    /// Whom to turn to for an approval, such as a team and its channel: told to people who wait for one, because only RBAC
    /// knows who may approve, and requesters may not read that. Up to 256 characters, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(ONE_LINE).message(ONE_LINE_MESSAGE))]
    pub contact: Option<String>,
}

/// What a reason must look like.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonRule {
    /// A regular expression (RE2 syntax) that must match somewhere in the reason, such as '^INC[0-9]+'. If it is left out,
    /// any reason that is not empty will do. An expression that is very large when compiled, such as `\w{30}`, is not
    /// accepted: write `[a-z]{30}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("''.matches(self) || !''.matches(self)").message("must be a regular expression (RE2 syntax)"))]
    pub pattern: Option<String>,
    /// What the reason must be, in words, such as 'the number of the ticket, and what it is about': told to people whose
    /// reason is not accepted. Up to 256 characters, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(ONE_LINE).message(ONE_LINE_MESSAGE))]
    pub hint: Option<String>,
}

/// Whether a request must say when its pass starts: Optional (the default) or Required. With Required, manifests in Git
/// are always safe to apply again, because a request whose time is over issues nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StartTimeRule {
    /// A request may leave it out; its pass starts when it is issued.
    #[default]
    Optional,
    /// Every request must say when its pass starts.
    Required,
    /// A value that this version does not know: read as Required.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether a request may say `onExistingPass: Replace`: Forbidden (the default) or Allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplaceExistingPass {
    /// No request may.
    #[default]
    Forbidden,
    /// Every request may.
    Allowed,
    /// A value that this version does not know: read as Forbidden.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What to do about a request whose pass Conditional Access policies would block where its user registers security info:
/// Warn (the default) says so in the request's check `SignIn`, and the pass is issued; with Refuse the request waits, and then
/// fails. The operator needs the permission Policy.Read.All, or Policy.Read.ConditionalAccess, to see that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnusablePass {
    /// The request says so, and the pass is issued.
    #[default]
    Warn,
    /// The request waits, and then fails.
    Refuse,
    /// A value that this version does not know: read as Refuse.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How a code may be delivered: Any (the default) or Sealed, which allows only requests with recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// In plain text or encrypted, as the request says.
    #[default]
    Any,
    /// Only encrypted to the recipients of the request.
    Sealed,
    /// A value that this version does not know: read as Sealed.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How many passes may be live at once through this policy.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Live passes of one namespace. 1 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub active_per_namespace: Option<i32>,
    /// Live passes of one requester. 1 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub active_per_requester: Option<i32>,
}
