//! `TapRequest`: one pass for one user, from the asking to the end.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Lifetime;
use super::lifetime::{PASS_LIFETIME, PASS_LIFETIME_MESSAGE};

const TTL: &str = "self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?$') && size(self) > 0 && duration(self) <= duration('8760h')";
const TTL_MESSAGE: &str =
    "must be at most 8760h, written in hours and minutes such as 24h (a day is 24h)";

// What can be told of recipients without arithmetic; checksums and points are for the operator. Longer texts than a key's
// are let in as far as these rules, so that a private key is told to be one.

const PRIVATE_KEY: &str = "!self.exists(r, r.contains('b3BlbnNzaC1rZXktdj') || r.upperAscii().contains('AGE-SECRET-KEY-') || r.upperAscii().contains('PRIVATE KEY'))";
const PRIVATE_KEY_MESSAGE: &str = "this is a private key, which others have now seen: replace that key, and give the public one of its successor";
const ONE_LINE: &str = "self.all(r, size(r) <= 1024 && !r.matches('[[:cntrl:]]'))";
const ONE_LINE_MESSAGE: &str = "each recipient must be one public key on one line, at most 1024 characters, without line breaks";
const KNOWN_KIND: &str = "self.all(r, r.matches('^(age1|ssh-ed25519 |ssh-rsa )'))";
const KNOWN_KIND_MESSAGE: &str = "each recipient must be an age key (age1...) or an SSH public key (ssh-ed25519 ... or ssh-rsa ...): ECDSA keys and security keys (sk-...) can only sign";
// 62 characters of bech32, which has no 1, b, i and o.
const AGE_KEY: &str =
    "self.all(r, !r.startsWith('age1') || r.matches('^age1[ac-hj-np-z02-9]{58}$'))";
const AGE_KEY_MESSAGE: &str = "an age key must be a native one, age1 and 58 more characters: keys of age plugins and post-quantum keys are not supported";
// The kind, its length and the length of the key, then 32 bytes; a comment may follow.
const ED25519_KEY: &str = "self.all(r, !r.startsWith('ssh-ed25519 ') || r.matches('^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}( |$)'))";
const ED25519_KEY_MESSAGE: &str = "an ssh-ed25519 key must be ssh-ed25519, a space and 68 characters of base64, as in a .pub file: this one is cut off or changed";
// 2048 bits are at least 370 characters of base64, 4096 bits at most 716.
const RSA_KEY: &str = "self.all(r, !r.startsWith('ssh-rsa ') || r.matches('^ssh-rsa AAAAB3NzaC1yc2EAAAA[A-Za-z0-9+/]{351,697}={0,2}( |$)'))";
const RSA_KEY_MESSAGE: &str = "an ssh-rsa key must be ssh-rsa, a space and the key in base64, as in a .pub file, with 2048 to 4096 bits: this one is cut off or changed, or of another size";
// Encrypting to one of 4096 bits takes a quarter of all the processor time that a pass takes otherwise.
const FEW_RSA_KEYS: &str = "self.filter(r, r.startsWith('ssh-rsa ')).size() <= 3";
const FEW_RSA_KEYS_MESSAGE: &str =
    "at most 3 of the recipients may be ssh-rsa keys: name age or ssh-ed25519 keys for the others";
const ONCE: &str = "self.all(r, self.exists_one(other, other == r))";
const ONCE_MESSAGE: &str = "each recipient must be named once";

// That the spec never changes is held by the admission policies, not here: a schema answers 422, which GitOps tools
// may take for "delete and create again", and that would ask for another pass.

/// A `TapRequest` asks for one Temporary Access Pass for one user. The operator checks it, waits for approval and start
/// time, issues the pass into a Secret of the same name, and takes everything away again when the pass is used,
/// revoked, expired, or the request is deleted. Its spec cannot be changed: who needs another pass makes another request.
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
    doc = "A TapRequest asks for one Temporary Access Pass for one user. The operator checks it, waits for approval and start time, issues the pass into a Secret of the same name, and takes everything away again when the pass is used, revoked, expired, or the request is deleted. Its spec cannot be changed: who needs another pass makes another request.",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Requester", type_ = "string", json_path = ".spec.requestedBy"),
    printcolumn(name = "Approvals", type_ = "string", json_path = ".status.approvals"),
    printcolumn(name = "Starts", type_ = "string", json_path = ".spec.startTime"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.pass.expirationTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 63").message("the name must be at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.ttlAfterFinished) || has(self.startTime)").message("ttlAfterFinished needs a startTime: without one, a pipeline that applies the request again after it is gone would ask for another pass"))]
pub struct TapRequestSpec {
    /// The `TapPolicy` through which the pass is asked for.
    pub policy_ref: PolicyRef,
    /// Whom the pass signs in: a user principal name or an object id.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[^@/?#\\\\\\\\%\\\\s]+(#EXT#)?@[^@/?#\\\\\\\\%\\\\s]+$') || self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')").message("must be a user principal name such as alice@contoso.com, or an object id"))]
    pub user: String,
    /// How long the pass is valid. 10m to 720h within the bounds of policy and tenant; default: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(PASS_LIFETIME).message(PASS_LIFETIME_MESSAGE))]
    pub lifetime: Option<Lifetime>,
    /// Whether the pass works only once. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_use: Option<bool>,
    /// From when the pass is valid, up to 30 days ahead. Left out: from its issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self < timestamp('2200-01-01T00:00:00Z')").message("must be at most 30 days ahead"))]
    pub start_time: Option<Time>,
    /// Why the pass is needed, such as a ticket. Up to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub reason: Option<String>,
    /// Public keys, 1 to 10, each once: of age (age1..., X25519) or SSH (ssh-ed25519, or up to 3 of ssh-rsa with 2048 to
    /// 4096 bits), as in a .pub file. The Secret then holds the code encrypted to them, under the key
    /// `temporaryAccessPass.age`, and nothing in the clear. Any one of their private keys opens it.
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
    /// How long the finished request stays, counted from the later of its end and `startTime + lifetime`. Only together
    /// with startTime. 0m to 8760h; left out: it stays, as a record that the pass was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(TTL).message(TTL_MESSAGE))]
    pub ttl_after_finished: Option<Lifetime>,
    /// Who created the request. Stamped by admission; on clusters without mutating admission policies the caller fills
    /// in their own name.
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
    pub name: String,
}

/// What to do about a live pass of the user that was not issued for this request: Refuse (the default) fails the
/// request, Wait waits until the other pass has ended, Replace replaces it where the policy allows that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExistingPass {
    /// The request fails.
    #[default]
    Refuse,
    /// The request waits until the other pass has ended.
    Wait,
    /// The other pass is replaced. The policy must allow it.
    Replace,
    /// A word that this version does not know: read as Refuse.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Where a request stands, as people and the operator wrote it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TapRequestStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the request is in its life. Used, Expired, Revoked, Denied and Failed are final.
    #[serde(default)]
    pub phase: Phase,
    /// Ready, Issued, Approved, Finished, and Reconciling or Stalled while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the Secret with the code, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// What people decided: the only part of the status that people write. Entries are appended, never changed or
    /// dropped.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["by".into(), "decision".into()]))]
    pub decisions: Vec<Decision>,
    /// How many of the needed approvals are there, such as 1/2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// Each check of the request with its result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<Check>,
    /// What the request came to mean, fixed before anybody is asked to approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// What the pass was issued on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The pass, once it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// When the request ends if it was not issued by then. Fixed when its policy is first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// When the request came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

/// Where the request is in its life. Used, Expired, Revoked, Denied and Failed are final: the object never issues
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Being checked, or waiting for something that the condition Ready names.
    #[default]
    Pending,
    /// Waiting for people to approve.
    AwaitingApproval,
    /// Approved and waiting for its start time.
    Scheduled,
    /// The pass was issued and its Secret is there.
    Active,
    /// The one-time pass was used.
    Used,
    /// The pass expired, or was not issued in time.
    Expired,
    /// The pass was taken away.
    Revoked,
    /// Somebody denied the request before the pass was issued.
    Denied,
    /// The request cannot be fulfilled.
    Failed,
    /// A word that this version does not know: read as a final phase, so that nothing is issued.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Phase {
    /// Whether an object in this phase never issues again.
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
        fmt::Debug::fmt(self, f)
    }
}

/// What somebody decided about a request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Who decided: the Kubernetes user name of the writer.
    #[schemars(length(min = 1, max = 1024))]
    pub by: String,
    /// What was decided. A single Deny is final; Revoke takes an issued pass away.
    pub decision: DecisionKind,
    /// Why, for readers. Up to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub comment: Option<String>,
}

/// What was decided: Approve lets the pass be issued, a single Deny is final, Revoke withdraws the request or takes the
/// issued pass away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DecisionKind {
    /// The pass may be issued.
    Approve,
    /// The pass must not be issued; after the issue, it is taken away.
    Deny,
    /// The request is withdrawn, the pass taken away.
    Revoke,
    /// A word that this version does not know: read as Deny.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// One check of a request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it came out.
    pub result: CheckResult,
    /// What was found, and what would make it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How the check came out: Passed, Waiting (not now, perhaps later), Failed (never), Unknown (it could not be found out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CheckResult {
    /// Nothing stands against the pass.
    Passed,
    /// Not now, perhaps later.
    Waiting,
    /// Never.
    Failed,
    /// It could not be found out.
    Unknown,
}

/// What a request came to mean.
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

/// What a pass was issued on. The checks that it passed are in `checks`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The generation of the `TapPolicy` that admitted it.
    pub policy_generation: i64,
    /// Whose approvals counted. Empty where the policy asked for none.
    #[serde(default)]
    pub approved_by: Vec<String>,
}

/// An issued pass; never its code.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Id of the pass in Entra.
    pub id: String,
    /// From when it is valid.
    pub start_time: Time,
    /// Until when it is valid.
    pub expiration_time: Time,
    /// The client-request-id of the call that made it, for finding that call in Entra's audit log.
    pub client_request_id: String,
}

impl TapRequest {
    /// The phase; Pending before anything was written.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Pending, |s| s.phase)
    }

    /// The condition Ready, once there is one.
    pub fn ready(&self) -> Option<&Condition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Ready")
    }

    /// What people decided so far.
    pub fn decisions(&self) -> &[Decision] {
        self.status.as_ref().map_or(&[], |s| &s.decisions)
    }

    /// When the API server created the object; the epoch for an object that never was in one.
    pub fn created(&self) -> Timestamp {
        self.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
    }

    /// Whether somebody asked for the object to go.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
