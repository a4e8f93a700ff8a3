//! `TapRequest`: one pass for one user, from the request to its end.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lifetime::{PASS_LIFETIME, PASS_LIFETIME_MESSAGE};
use super::{ConditionType, Evidence, Lifetime, find_condition};

// A day at least, in which others see the record of a pass, although its requester may not delete it.
const TTL: &str = "self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?$') && size(self) > 0 && duration(self) >= duration('24h') && duration(self) <= duration('8760h')";
const TTL_MESSAGE: &str =
    "must be between 24h and 8760h, written in hours and minutes such as 24h (a day is 24h)";

// The rules for recipients check what needs no arithmetic; the operator checks checksums and curve points. The schema
// accepts texts longer than any public key, so that a pasted private key gets the message that names it.

const PRIVATE_KEY: &str = "!self.exists(r, r.contains('b3BlbnNzaC1rZXktdj') || r.upperAscii().contains('AGE-SECRET-KEY-') || r.upperAscii().contains('PRIVATE KEY'))";
const PRIVATE_KEY_MESSAGE: &str = "this is a private key, and others may have seen it: make a new key pair, and give its public key";
const ONE_LINE: &str = "self.all(r, size(r) <= 1024 && !r.matches('[[:cntrl:]]'))";
const ONE_LINE_MESSAGE: &str = "each recipient must be one public key on one line, at most 1024 characters, without line breaks";
const KNOWN_KIND: &str = "self.all(r, r.matches('^(age1|ssh-ed25519 |ssh-rsa )'))";
const KNOWN_KIND_MESSAGE: &str = "each recipient must be an age key (age1...) or an SSH public key (ssh-ed25519 ... or ssh-rsa ...): ECDSA keys and security keys (sk-...) can only sign";
// 62 characters of bech32, whose alphabet lacks 1, b, i and o.
const AGE_KEY: &str =
    "self.all(r, !r.startsWith('age1') || r.matches('^age1[ac-hj-np-z02-9]{58}$'))";
const AGE_KEY_MESSAGE: &str = "an age key must be a native one, age1 and 58 more characters: keys of age plugins and post-quantum keys are not supported";
// The kind, its length and the length of the key, then 32 bytes; a comment may follow.
const ED25519_KEY: &str = "self.all(r, !r.startsWith('ssh-ed25519 ') || r.matches('^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}( |$)'))";
const ED25519_KEY_MESSAGE: &str = "an ssh-ed25519 key must be ssh-ed25519, a space and 68 characters of base64, as in a .pub file: this one is cut off or changed";
// 2048 bits are at least 370 characters of base64, 4096 bits at most 716.
const RSA_KEY: &str = "self.all(r, !r.startsWith('ssh-rsa ') || r.matches('^ssh-rsa AAAAB3NzaC1yc2EAAAA[A-Za-z0-9+/]{351,697}={0,2}( |$)'))";
const RSA_KEY_MESSAGE: &str = "an ssh-rsa key must be ssh-rsa, a space and the key in base64, as in a .pub file, with 2048 to 4096 bits: this one is cut off or changed, or of another size";
// Encrypting to one key of 4096 bits takes a quarter of the CPU time that the rest of a pass takes.
const FEW_RSA_KEYS: &str = "self.filter(r, r.startsWith('ssh-rsa ')).size() <= 3";
const FEW_RSA_KEYS_MESSAGE: &str =
    "at most 3 of the recipients may be ssh-rsa keys: use age or ssh-ed25519 keys for the others";
const ONCE: &str = "self.all(r, self.exists_one(other, other == r))";
const ONCE_MESSAGE: &str = "each recipient must be named once";

// The admission policies, not the schema, keep the spec from being changed: a schema rule answers 422, upon which a
// GitOps tool may delete and recreate the request, and that would ask for another pass.

/// In place of the schema's format date-time, which says nothing of the zone that people leave out, and allows what the
/// operator cannot read.
const START_TIME: &str = "self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$') && timestamp(self) < timestamp('2200-01-01T00:00:00Z')";
const START_TIME_MESSAGE: &str = "must be a date and time with a zone, such as 2026-11-23T08:00:00Z or 2026-11-23T09:00:00+01:00, and before the year 2200";

/// A `TapRequest` asks for one Temporary Access Pass for one user. The operator checks it, waits for approval and start
/// time, puts the code into a Secret of the same name, and removes everything again when the pass is used, revoked or
/// expired, or the request is deleted. Its spec cannot be changed: create another request to get another pass.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tap-operator.io",
    version = "v1alpha1",
    kind = "TapRequest",
    shortname = "tap",
    category = "tap-operator",
    namespaced,
    status = "TapRequestStatus",
    derive = "PartialEq",
    doc = "A TapRequest asks for one Temporary Access Pass for one user. The operator checks it, waits for approval and start time, puts the code into a Secret of the same name, and removes everything again when the pass is used, revoked or expired, or the request is deleted. Its spec cannot be changed: create another request to get another pass.",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Requester", type_ = "string", json_path = ".spec.requestedBy"),
    printcolumn(name = "Approvals", type_ = "string", json_path = ".status.approvals"),
    printcolumn(name = "Starts", type_ = "string", json_path = ".spec.startTime"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.pass.expirationTime"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Registered", type_ = "string", json_path = ".status.conditions[?(@.type==\"Registered\")].status", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".status.phase",
    selectable = ".spec.user",
    selectable = ".spec.policyRef.name",
    selectable = ".spec.requestedBy",
    validation = Rule::new("size(self.metadata.name) <= 63").message("the name must be at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.ttlAfterFinished) || has(self.startTime)").message("ttlAfterFinished needs a startTime: without one, a pipeline that applies the request again after its deletion would ask for another pass"))]
pub struct TapRequestSpec {
    /// The `TapPolicy` through which the pass is asked for.
    pub policy_ref: PolicyRef,
    /// The user whom the pass signs in: a user principal name or an object id.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[^@/?#\\\\\\\\%\\\\s]+(#EXT#)?@[^@/?#\\\\\\\\%\\\\s]+$') || self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')").message("must be a user principal name such as alice@contoso.com, or an object id"))]
    pub user: String,
    /// How long the pass is valid. 10m to 720h, within the limits of the policy and the tenant. Default: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub lifetime: Option<Lifetime>,
    /// Whether the pass works only once. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_use: Option<bool>,
    /// When the pass becomes valid: date and time with a zone, such as 2026-11-23T08:00:00Z or 2026-11-23T09:00:00+01:00,
    /// with at most nine digits of a fraction of a second. If it is left out, when it is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 40))]
    #[x_kube(validation = Rule::new(START_TIME).message(START_TIME_MESSAGE))]
    pub start_time: Option<Time>,
    /// Why the pass is needed, such as a ticket. Up to 512 characters, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub reason: Option<String>,
    /// Public keys, 1 to 10, each once: age keys (age1..., X25519) or SSH keys as in a .pub file (ssh-ed25519, and up to 3
    /// of ssh-rsa with 2048 to 4096 bits). The Secret then holds the code only encrypted to them, under the key
    /// `temporaryAccessPass.age`. Any one of their private keys opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10), inner(length(min = 1, max = 4096)))]
    #[x_kube(
        validation = Rule::new(PRIVATE_KEY).message(PRIVATE_KEY_MESSAGE),
        validation = Rule::new(ONE_LINE).message(ONE_LINE_MESSAGE),
        validation = Rule::new(KNOWN_KIND).message(KNOWN_KIND_MESSAGE),
        validation = Rule::new(AGE_KEY).message(AGE_KEY_MESSAGE),
        validation = Rule::new(ED25519_KEY).message(ED25519_KEY_MESSAGE),
        validation = Rule::new(RSA_KEY).message(RSA_KEY_MESSAGE),
        validation = Rule::new(FEW_RSA_KEYS).message(FEW_RSA_KEYS_MESSAGE),
        validation = Rule::new(ONCE).message(ONCE_MESSAGE)
    )]
    pub recipients: Option<Vec<String>>,
    /// What to do about a live pass of the user that was not issued for this request. Default Refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_existing_pass: Option<OnExistingPass>,
    /// How long the finished request stays, counted from its end or from `startTime + lifetime`, whichever is later. Only
    /// together with startTime. 24h to 8760h. If it is left out, the request stays, as a record that the pass was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(TTL).message(TTL_MESSAGE))]
    pub ttl_after_finished: Option<Lifetime>,
    /// Who created the request; any other name is refused. A mutating admission policy fills it in where it is left out. On
    /// clusters without one, the creator writes their own user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub requested_by: Option<String>,
}

/// Names a `TapPolicy`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// Name of the `TapPolicy`.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')").message("must be a name that a TapPolicy can have: lower case letters, digits, - and ."))]
    pub name: String,
}

/// What to do about a live pass of the user that was not issued for this request: Refuse (the default) fails the
/// request, Wait waits until the other pass has ended, Replace replaces it if the policy allows that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExistingPass {
    /// The request fails.
    #[default]
    Refuse,
    /// The request waits until the other pass has ended.
    Wait,
    /// The other pass is replaced. The policy must allow it.
    Replace,
    /// A value that this version does not know: read as Refuse.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What the operator and people wrote about a request.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TapRequestStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Phase of the request. Used, Expired, Revoked, Denied and Failed are final.
    #[serde(default)]
    pub phase: Phase,
    /// Ready, Issued, Approved and Finished; Reconciling or Stalled while they are true; Registered: whether the user registered
    /// a sign-in method with the pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the Secret with the code, while it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// What people decided. This is the only part of the status that people write. Entries are appended, never changed or
    /// removed.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["by".into(), "decision".into()]))]
    pub decisions: Vec<Decision>,
    /// When the operator first saw each decision. It is written together with the next change of the status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["by".into(), "decision".into()]))]
    pub seen: Vec<SeenDecision>,
    /// How many of the required approvals have been given, such as 1/2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// Each check of the request with its result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<Check>,
    /// The tenant, user, lifetime and one-time use for which the pass is issued, fixed before anybody is asked to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// Whom of the tenant the requester and the approvers are, as they were found when their names were first seen. They are
    /// looked up again before the issue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub people: Vec<PersonFound>,
    /// The policy generation and the approvals on which the pass was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The pass, once it has been issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// When the request expires if its pass has not been issued by then. Fixed when the operator first sees its policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// When the request ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What the tenant's log of sign-ins says of the use of the pass, once it was used or ended. Absent where the log says
    /// nothing, or the operator may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The kinds of sign-in methods that the user registered since the pass was valid, such as fido2, once the pass was used or
    /// ended. Empty where the tenant's audit log says nothing, or the operator may not read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub registered: Vec<String>,
}

/// Phase of a request. Used, Expired, Revoked, Denied and Failed are final: nothing is issued for the request any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The request is being checked, or waits for something that the condition Ready names.
    #[default]
    Pending,
    /// The request waits for people to approve it.
    AwaitingApproval,
    /// The request is approved and waits for its start time.
    Scheduled,
    /// The pass was issued and its Secret exists.
    Active,
    /// The one-time pass was used.
    Used,
    /// The pass expired, or was not issued in time.
    Expired,
    /// The pass was revoked, or the request withdrawn.
    Revoked,
    /// Somebody denied the request before the pass was issued.
    Denied,
    /// The request cannot be fulfilled.
    Failed,
    /// A value that this version does not know: read as a final phase, so that nothing is issued.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Phase {
    /// Every phase that this version writes.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::AwaitingApproval,
        Self::Scheduled,
        Self::Active,
        Self::Used,
        Self::Expired,
        Self::Revoked,
        Self::Denied,
        Self::Failed,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Scheduled => "Scheduled",
            Self::Active => "Active",
            Self::Used => "Used",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Denied => "Denied",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether nothing is issued any more for a request in this phase.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::AwaitingApproval | Self::Scheduled | Self::Active => false,
            Self::Used
            | Self::Expired
            | Self::Revoked
            | Self::Denied
            | Self::Failed
            | Self::Unknown => true,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What somebody decided about a request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The Kubernetes user name of the person who decided.
    #[schemars(length(min = 1, max = 1024))]
    pub by: String,
    /// What was decided. A single Deny is final. Revoke also revokes an issued pass.
    pub decision: DecisionKind,
    /// Why, for readers. Up to 512 characters, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub comment: Option<String>,
}

/// Whom of the tenant a Kubernetes user name means.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonFound {
    /// The Kubernetes user name.
    pub name: String,
    /// Object id of the user whom it means; absent if it may mean several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Object ids of others who have it as a mail address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

/// When a decision was first seen.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenDecision {
    /// The Kubernetes user name of the person who decided.
    #[schemars(length(min = 1, max = 1024))]
    pub by: String,
    /// What was decided.
    pub decision: DecisionKind,
    /// When the operator saw it.
    pub at: Time,
}

/// What was decided: Approve lets the pass be issued, a single Deny is final, Revoke withdraws the request or revokes the
/// issued pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DecisionKind {
    /// The pass may be issued.
    Approve,
    /// The pass must not be issued. If it was issued, it is revoked.
    Deny,
    /// The request is withdrawn, or its pass revoked.
    Revoke,
    /// A value that this version does not know: read as Deny.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// One check of a request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// The result.
    pub result: CheckResult,
    /// What was found, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Result of a check: Passed, Warned (the pass is issued, but may be of no use), Waiting (it may pass later), Failed (it never
/// passes), Unknown (it could not be determined).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CheckResult {
    /// Nothing prevents the pass.
    Passed,
    /// Nothing prevents the pass, but it may be of no use.
    Warned,
    /// It may pass later.
    Waiting,
    /// It never passes.
    Failed,
    /// It could not be determined.
    Unknown,
}

/// The tenant, user, lifetime and one-time use for which a pass is issued.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// Id of the tenant.
    pub tenant_id: String,
    /// Object id of the user.
    pub user_id: String,
    /// User principal name of the user when it was resolved.
    pub user_principal_name: String,
    /// Lifetime of the pass.
    pub lifetime: Lifetime,
    /// Whether the pass works only once.
    pub one_time_use: bool,
}

/// The policy generation and the approvals on which a pass was issued. The checks that it passed are in `checks`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The generation of the `TapPolicy` that allowed it.
    pub policy_generation: i64,
    /// The people whose approvals counted. Empty if the policy required none.
    #[serde(default)]
    pub approved_by: Vec<String>,
}

/// An issued pass; never its code.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Id of the pass in Entra.
    pub id: String,
    /// When it becomes valid.
    pub start_time: Time,
    /// When it expires.
    pub expiration_time: Time,
    /// The client-request-id of the call that created it, by which that call is found in Entra's audit log.
    pub client_request_id: String,
}

impl TapRequest {
    /// A request of which nothing but the metadata is known.
    pub fn of_metadata(metadata: ObjectMeta) -> Self {
        Self { metadata, ..Self::new("", TapRequestSpec::default()) }
    }

    /// The phase; Pending before a status is written.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Pending, |s| s.phase)
    }

    /// The condition of this type, if the status has one.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        find_condition(&self.status.as_ref()?.conditions, type_)
    }

    /// The condition Ready, if the status has one.
    pub fn ready(&self) -> Option<&Condition> {
        self.condition(ConditionType::Ready)
    }

    /// What people have decided so far.
    pub fn decisions(&self) -> &[Decision] {
        self.status.as_ref().map_or(&[], |s| &s.decisions)
    }

    /// When the API server created the object; the epoch for an object that no API server has stored.
    pub fn created(&self) -> Timestamp {
        self.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
    }

    /// Whether somebody deleted the object, which a finalizer may still hold.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
