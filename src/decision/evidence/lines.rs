//! The lines of the audit trail about what the tenant's logs tell.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::found::{Found, failed_by_code};
use super::readings::{Finding, What};
use crate::api::TapRequest;
use crate::decision::audit::{About, PassLine};
use crate::entra::{AuditRow, Initiator, SignInRow};

/// How many sign-ins a line has: the newest.
const SIGN_INS: usize = 50;

/// What the tenant's logs say of the use of a pass that was used or ended. Each line of a request says all that is known by
/// then, so the last one counts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Evidence {
    #[serde(flatten)]
    about: About,
    /// The phase of the request.
    phase: &'static str,
    #[serde(flatten)]
    pass: PassLine,
    /// The sign-ins of this user during the life of the pass, the newest first, 50 at most. Entra does not say by which method
    /// somebody signed in: `at`, `application`, `resource`, `ip_address` and `error`, which is 0 for one that succeeded.
    sign_ins: Vec<SignInLine>,
    /// How many more there were.
    left_out: usize,
    /// How many sign-ins with a pass failed: `error` and `count`.
    failed: Vec<FailedLine>,
    /// The kinds of sign-in methods that the user registered since the pass was valid.
    registered: Vec<String>,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SignInLine {
    /// When.
    at: String,
    /// The application that was signed in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    /// What the application asked access for.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// The number of Entra's error; 0 for one that succeeded.
    error: i32,
}

/// Sign-ins that failed for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FailedLine {
    /// The number of Entra's error.
    error: i32,
    /// How many.
    count: u32,
}

impl SignInLine {
    fn of(row: &SignInRow) -> Self {
        Self {
            at: row.at.to_string(),
            application: row.application.clone(),
            resource: row.resource.clone(),
            ip_address: row.ip_address.clone(),
            error: row.error_code,
        }
    }
}

impl Evidence {
    /// What was found of the pass of a request, as its status says it now.
    pub fn of(request: &TapRequest, found: &Found, generation: Option<i64>) -> Self {
        let rows = found.sign_ins.as_deref().unwrap_or_default();
        let failed = failed_by_code(rows).into_iter();
        let status = request.status.as_ref();
        Self {
            about: About::of(request, generation),
            phase: request.phase().name(),
            pass: PassLine::of(request),
            sign_ins: rows.iter().take(SIGN_INS).map(SignInLine::of).collect(),
            left_out: rows.len().saturating_sub(SIGN_INS),
            failed: failed.map(|(error, count)| FailedLine { error, count }).collect(),
            registered: status.map(|status| status.registered.clone()).unwrap_or_default(),
        }
    }
}

/// What a row of the tenant's audit log says of who did it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ByWhom {
    /// Id of the tenant.
    tenant_id: String,
    /// The tenant connection through which its log was read.
    connection: String,
    /// Who did it: a user principal name, or the name of an app.
    by: String,
    /// Object id of the person, or client id of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_id: Option<String>,
    /// `person`, `app` or `unknown`.
    by_kind: &'static str,
    /// When, by Entra's log.
    at: String,
    /// Id of the row in Entra's audit log. The same row has the same id whenever it is told.
    row: String,
    /// Whether an earlier line may have told it: it happened before this replica began to read the log.
    again: bool,
}

impl ByWhom {
    fn of(finding: &Finding, tenant_id: &str, connection: &str) -> Self {
        let AuditRow { id, at, by, .. } = &finding.row;
        Self {
            tenant_id: tenant_id.into(),
            connection: connection.into(),
            by: by.name().into(),
            by_id: by.id().map(Into::into),
            by_kind: match by {
                Initiator::Person { .. } => "person",
                Initiator::App { .. } => "app",
                Initiator::Nobody => "unknown",
            },
            at: Timestamp::to_string(at),
            row: id.clone(),
            again: finding.again,
        }
    }
}

/// Somebody else made a pass, or deleted one of the operator's.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OthersPass {
    #[serde(flatten)]
    by_whom: ByWhom,
    /// Id of the pass in Entra.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass_id: Option<String>,
    /// Object id of the user whose pass it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// User principal name of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Whether it was made by the app of this operator, which another installation then uses, too.
    own_app: bool,
    /// The request whose pass it was, as namespace/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// The uid of that request.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

impl OthersPass {
    /// A row about a pass.
    pub fn of(finding: &Finding, tenant_id: &str, connection: &str) -> Self {
        let (uid, name) = match &finding.what {
            What::PassDeleted(uid, name) => (Some(uid.to_string()), Some(name.to_string())),
            What::ForeignPass { .. } | What::MethodChanged => (None, None),
        };
        Self {
            by_whom: ByWhom::of(finding, tenant_id, connection),
            pass_id: finding.row.pass_id.clone(),
            user_id: finding.row.user_id.clone(),
            user: finding.row.user_name.clone(),
            own_app: finding.what == What::ForeignPass { own_app: true },
            request: name,
            uid,
        }
    }
}

/// Somebody else changed the policy of authentication methods, of which the method of passes is a part.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MethodChange {
    #[serde(flatten)]
    by_whom: ByWhom,
}

impl MethodChange {
    /// A row about the policy of authentication methods.
    pub fn of(finding: &Finding, tenant_id: &str, connection: &str) -> Self {
        Self { by_whom: ByWhom::of(finding, tenant_id, connection) }
    }
}
