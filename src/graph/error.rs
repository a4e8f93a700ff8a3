//! What went wrong with a call, and what that means for whoever made it.

use std::fmt;
use std::time::Duration;

use super::call::Call;

/// A call to Graph that failed.
///
/// Its text names the call, the cause and the remedy. It holds nothing that changes from one attempt to the next (ids
/// and times are fields), so that it can stand in a condition without stirring it; and no token, secret or code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    /// The call, as it is named in messages.
    pub call: &'static str,
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Graph's error code or Entra's (`AADSTS700016`). Services differ in case, and it may be empty.
    pub code: String,
    /// What was said about it.
    pub message: String,
    /// Graph's id of the request, for its support.
    pub request_id: Option<Box<str>>,
    /// Our id of the request, as Graph's and Entra's logs show it.
    pub client_request_id: Option<Box<str>>,
    /// How long Graph asks to wait.
    pub retry_after: Option<Duration>,
}

/// The sorts of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 404. Also of what was just made, for Graph lags.
    NotFound,
    /// 429, or no turn within the time a call may wait for it.
    Throttled,
    /// 5xx, a time-out, or no connection.
    Unavailable,
    /// 401, even with a new token (but for the POST of a pass, which is made once).
    Unauthorized,
    /// 403: a permission is missing, or not yet in force.
    Forbidden,
    /// 400: the same request will never do.
    BadRequest,
    /// There was no token.
    SignIn(SignInErrorKind),
    /// Anything else, such as an answer that cannot be read.
    Unexpected,
}

impl ErrorKind {
    /// A short name for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::BadRequest => "bad_request",
            Self::SignIn(_) => "sign_in",
            Self::Unexpected => "unexpected",
        }
    }
}

/// Why there was no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInErrorKind {
    /// Secret, certificate, key or token file: missing, unreadable, or not what it should be.
    CredentialFile,
    /// The client secret is wrong.
    WrongSecret,
    /// The client secret has expired.
    ExpiredSecret,
    /// The app registration does not know the certificate, or its signature is wrong.
    WrongCertificate,
    /// The assertion is outside of its time: the clock is wrong, or the service account token is old.
    AssertionTime,
    /// No federated credential of the app registration matches the service account token.
    NoFederatedCredential,
    /// The app is not known in the tenant.
    AppNotInTenant,
    /// The app is disabled in the tenant.
    AppDisabled,
    /// There is no such tenant in this cloud.
    TenantNotFound,
    /// Tenant, login and Graph belong to different clouds.
    WrongCloud,
    /// Conditional Access for workload identities says no.
    BlockedByPolicy,
    /// The token is for another tenant than the connection, which happens with a managed identity.
    WrongTenant,
    /// The managed identity does not exist or cannot be reached from here.
    ManagedIdentity,
    /// Entra asks to wait.
    Throttled,
    /// Entra cannot be reached or is out of order.
    Unavailable,
    /// Refused for another reason.
    Other,
}

impl SignInErrorKind {
    /// The meaning of the numbers after `AADSTS`.
    ///
    /// Documented: 7000222, 700016, 90002, 50012, 70011, 500011, 90055 and the 9003x about clouds; the others are
    /// reported or general knowledge.
    pub(super) fn of_aadsts(number: u64) -> Option<Self> {
        Some(match number {
            7_000_215 | 7_000_216 | 7_000_218 => Self::WrongSecret,
            7_000_222 => Self::ExpiredSecret,
            700_027 | 50_012 => Self::WrongCertificate,
            700_024 => Self::AssertionTime,
            70_021 | 70_025 | 700_211 | 700_212 | 700_213 | 50_013 | 501_661 => {
                Self::NoFederatedCredential
            }
            700_016 => Self::AppNotInTenant,
            7_000_112 => Self::AppDisabled,
            90_002 => Self::TenantNotFound,
            90_038 | 900_382 | 900_432 | 500_011 | 70_011 | 1_002_012 | 700_023 => Self::WrongCloud,
            53_003 => Self::BlockedByPolicy,
            90_055 | 50_196 => Self::Throttled,
            _ => return None,
        })
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::CredentialFile => "mount the file and check the path in the tenant connection",
            Self::WrongSecret => {
                "the client secret is wrong: put the secret's value, not its id, into the mounted file"
            }
            Self::ExpiredSecret => {
                "the client secret has expired: add a new one to the app registration and to the mounted file"
            }
            Self::WrongCertificate => {
                "upload the public certificate to the app registration, and mount it with its own private key; \
                 an expired certificate must be replaced"
            }
            Self::AssertionTime => {
                "check the clock of the node, and that the mounted service account token is renewed"
            }
            Self::NoFederatedCredential => {
                "add a federated credential to the app registration with exactly the cluster's issuer, the subject \
                 system:serviceaccount:<namespace>:<name> and the audience of the mounted token; Entra must be able to \
                 fetch the issuer's keys"
            }
            Self::AppNotInTenant => {
                "check client id and tenant id, and consent to the app in that tenant"
            }
            Self::AppDisabled => "enable the enterprise application in the tenant",
            Self::TenantNotFound => "check the tenant id, and that the cloud is the tenant's",
            Self::WrongCloud => {
                "set the cloud of the tenant connection to the one the tenant lives in, and its URLs to that cloud's"
            }
            Self::BlockedByPolicy => {
                "a Conditional Access policy for workload identities blocks the app: exclude it there, or allow this network"
            }
            Self::WrongTenant => {
                "set the tenant id of the connection to the one the identity lives in"
            }
            Self::ManagedIdentity => {
                "assign the managed identity to the node or workload, and allow the pod to reach the identity endpoint"
            }
            Self::Throttled | Self::Unavailable => "this is tried again",
            Self::Other => "look the number up in Entra's list of sign-in errors",
        }
    }
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again, at the earliest after this time.
    Retry {
        /// As Graph asked; `None`: by the caller's own backoff.
        after: Option<Duration>,
    },
    /// Somebody may have to act, or time has to pass: look again now and then.
    Wait,
    /// The same request will always fail.
    Stop,
}

impl GraphError {
    pub(super) fn new(call: Call, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            call: call.name(),
            kind,
            status: None,
            code: String::new(),
            message: message.into(),
            request_id: None,
            client_request_id: None,
            retry_after: None,
        }
    }

    /// Whether to try again, wait or stop.
    pub fn advice(&self) -> Advice {
        match self.kind {
            ErrorKind::Throttled
            | ErrorKind::Unavailable
            | ErrorKind::Unexpected
            | ErrorKind::SignIn(SignInErrorKind::Throttled | SignInErrorKind::Unavailable) => {
                Advice::Retry { after: self.retry_after }
            }
            // A POST is not repeated by itself: its next attempt has a new token.
            ErrorKind::Unauthorized if self.call == Call::CreatePass.name() => {
                Advice::Retry { after: None }
            }
            ErrorKind::NotFound
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::SignIn(_) => Advice::Wait,
            ErrorKind::BadRequest => Advice::Stop,
        }
    }

    /// Whether the answer was that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.call)?;
        if let ErrorKind::SignIn(_) = self.kind {
            f.write_str("signing in to Entra failed: ")?;
        }
        match (self.status, self.code.as_str()) {
            (Some(status), "") => write!(f, "answered with {status}: ")?,
            (Some(status), code) => write!(f, "answered with {status} {code}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.message)?;
        let permission = Call::named(self.call).map_or("", Call::permission);
        match self.kind {
            ErrorKind::SignIn(kind) => write!(f, "; {}", kind.remedy()),
            ErrorKind::Forbidden => write!(
                f,
                "; grant the app the application permission {permission} with admin consent, then allow some minutes"
            ),
            ErrorKind::Unauthorized => {
                f.write_str("; Graph refuses the token: check that login and Graph belong to the tenant's cloud")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for GraphError {}

/// A POST of a pass that did not give one.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It certainly never reached Graph.
    #[error("not sent: {0}")]
    NotSent(#[source] GraphError),
    /// Graph answered that it made nothing.
    #[error("refused: {0}")]
    Refused(#[source] GraphError),
    /// A pass may have been made, or may still be made until the settle time is over.
    #[error("outcome unknown: {0}")]
    Unknown(#[source] GraphError),
}

impl CreateError {
    /// The error behind it.
    pub fn graph(&self) -> &GraphError {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> GraphError {
        GraphError {
            status: Some(403),
            code: "accessDenied".into(),
            request_id: Some("request".into()),
            client_request_id: Some("client".into()),
            retry_after: Some(Duration::from_secs(5)),
            ..GraphError::new(Call::CreatePass, kind, "Request Authorization failed")
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        assert_eq!(
            error(ErrorKind::Forbidden).to_string(),
            "create the pass: answered with 403 accessDenied: Request Authorization failed; grant the app the \
             application permission UserAuthMethod-TAP.ReadWrite.All with admin consent, then allow some minutes"
        );
    }

    #[test]
    fn a_message_holds_nothing_that_changes_with_each_attempt() {
        let (one, mut other) = (error(ErrorKind::Throttled), error(ErrorKind::Throttled));
        other.request_id = Some("another".into());
        other.client_request_id = None;
        other.retry_after = None;
        assert_eq!(one.to_string(), other.to_string());
    }

    #[test]
    fn advice_follows_the_kind() {
        let after = Some(Duration::from_secs(5));
        let sign_in = ErrorKind::SignIn;
        for (kind, advice) in [
            (ErrorKind::Throttled, Advice::Retry { after }),
            (ErrorKind::Unavailable, Advice::Retry { after }),
            (ErrorKind::Unexpected, Advice::Retry { after }),
            (sign_in(SignInErrorKind::Unavailable), Advice::Retry { after }),
            (sign_in(SignInErrorKind::Throttled), Advice::Retry { after }),
            (sign_in(SignInErrorKind::WrongSecret), Advice::Wait),
            (ErrorKind::NotFound, Advice::Wait),
            (ErrorKind::Forbidden, Advice::Wait),
            (ErrorKind::BadRequest, Advice::Stop),
        ] {
            assert_eq!(error(kind).advice(), advice, "{kind:?}");
        }
        let unauthorized = error(ErrorKind::Unauthorized);
        assert_eq!(unauthorized.advice(), Advice::Retry { after: None }, "a POST is made once");
        let read = GraphError { call: Call::User.name(), ..unauthorized };
        assert_eq!(read.advice(), Advice::Wait);
    }

    #[test]
    fn entras_numbers_are_understood() {
        use SignInErrorKind as Kind;
        for (number, kind) in [
            (7_000_215, Some(Kind::WrongSecret)),
            (7_000_222, Some(Kind::ExpiredSecret)),
            (700_016, Some(Kind::AppNotInTenant)),
            (90_002, Some(Kind::TenantNotFound)),
            (700_213, Some(Kind::NoFederatedCredential)),
            (700_027, Some(Kind::WrongCertificate)),
            (500_011, Some(Kind::WrongCloud)),
            (53_003, Some(Kind::BlockedByPolicy)),
            (1, None),
        ] {
            assert_eq!(Kind::of_aadsts(number), kind, "{number}");
        }
    }
}
