//! How a call to Graph fails, and what to do about it.

use std::fmt;
use std::time::Duration;

use super::sign_in_error::AGAIN;
use super::{Call, SignInErrorKind};

/// A call to Graph that failed.
///
/// Its text names the call, the cause and the remedy. The text contains nothing that changes from one attempt to the next
/// (ids and times are fields only), so a condition that quotes it stays the same. It contains no token, secret or code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GraphError {
    /// The name of the call in messages.
    pub call: &'static str,
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The HTTP status, if an answer was received.
    pub status: Option<u16>,
    /// The error code of Graph, or of Entra (`AADSTS700016`). It may be empty, and services differ in its case.
    pub code: String,
    /// What happened, without the remedy.
    pub message: String,
    /// Graph's id of the request, for Microsoft's support.
    pub request_id: Option<Box<str>>,
    /// Our id of the request, which the logs of Graph and Entra show.
    pub client_request_id: Option<Box<str>>,
    /// How long Graph asks the client to wait.
    pub retry_after: Option<Duration>,
}

/// The code of an error that is a claims challenge, whatever else Graph calls it.
pub const INSUFFICIENT_CLAIMS: &str = "insufficient_claims";

/// The code of the error of a tenant without Entra ID P1.
const NOT_PREMIUM: &str = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 404. Graph lags, so this also happens for an object that was just created.
    NotFound,
    /// 429, or the client's own pacing did not admit the call in time.
    Throttled,
    /// 5xx, a timeout, or no connection.
    Unavailable,
    /// 401, also with a new token. The POST of a pass is sent only once, so for it one 401 is enough.
    Unauthorized,
    /// 403: a permission is missing or not yet effective.
    Forbidden,
    /// 400: the same request will always fail.
    BadRequest,
    /// Entra gave no token.
    SignIn(SignInErrorKind),
    /// Anything else, such as an answer that cannot be parsed.
    Unexpected,
}

impl ErrorKind {
    /// Its name in metric labels.
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

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Try again.
    Retry {
        /// The earliest time to try again, as Graph asks. `None`: the caller's own backoff decides.
        after: Option<Duration>,
    },
    /// A person may have to act, or time has to pass. Check again from time to time.
    Wait,
    /// Give up: the same request will always fail.
    Stop,
}

impl GraphError {
    pub(crate) fn new(call: Call, kind: ErrorKind, message: impl Into<String>) -> Self {
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

    /// No tenant connection leads to the tenant.
    pub fn unreached(message: impl Into<String>) -> Self {
        Self { call: "reach the tenant", ..Self::new(Call::Token, ErrorKind::Unavailable, message) }
    }

    /// Whether Graph refused a pass because the method does not include its user, or not yet: a change of the method, or of a
    /// group, takes effect minutes later (reported). The code of the error says nothing, so its words must.
    pub fn is_out_of_scope(&self) -> bool {
        self.kind == ErrorKind::BadRequest
            && self.message.contains("UserCredentialPolicy does not allow")
    }

    /// Whether Graph refused the call because the app lacks a permission. Graph's refusals have an error code. A refusal without
    /// one comes from a proxy, and says nothing about permissions.
    pub fn is_for_lack_of_permission(&self) -> bool {
        self.kind == ErrorKind::Forbidden && !self.code.is_empty() && self.code != NOT_PREMIUM
    }

    /// Whether Graph refused the call because the tenant has no licence for what it asks: Entra ID P1 (documented).
    pub fn is_for_lack_of_licence(&self) -> bool {
        self.kind == ErrorKind::Forbidden && self.code == NOT_PREMIUM
    }

    /// Whether the tenant refuses what is asked for, and will refuse the same again: that needs a person.
    pub fn is_refusal_of_the_tenant(&self) -> bool {
        match self.kind {
            ErrorKind::BadRequest | ErrorKind::NotFound => true,
            // Which status it is, is not documented (409 and 400 are reported). A refusal without a code comes from a proxy.
            ErrorKind::Unexpected => {
                matches!(self.status, Some(405..=499)) && !self.code.is_empty()
            }
            _ => false,
        }
    }

    /// Whether to try again, to wait or to give up.
    pub fn advice(&self) -> Advice {
        match self.kind {
            ErrorKind::Throttled
            | ErrorKind::Unavailable
            | ErrorKind::Unexpected
            | ErrorKind::SignIn(SignInErrorKind::Throttled | SignInErrorKind::Unavailable) => {
                Advice::Retry { after: self.retry_after }
            }
            // The client does not repeat a POST. The next attempt uses a new token.
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

    /// The same for a person who runs a command: no operator tries again, and the certificate may be that of a proxy.
    pub fn for_a_command(&self) -> String {
        let text = self.to_string();
        let Some(text) = text.strip_suffix(AGAIN) else { return text };
        let remedy = if self.kind == ErrorKind::SignIn(SignInErrorKind::Throttled) {
            "try again later"
        } else {
            "check the network and try again; --extra-ca names the certificate authority of a TLS proxy, or of a server of \
             your own"
        };
        format!("{text}{remedy}")
    }

    /// Whether Graph answered that the object does not exist.
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
            (Some(status), "") => write!(f, "HTTP {status}: ")?,
            (Some(status), code) => write!(f, "HTTP {status} {code}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.message)?;
        let permission = Call::named(self.call).map_or("", Call::permission);
        match self.kind {
            ErrorKind::SignIn(kind) => write!(f, "; {}", kind.remedy()),
            ErrorKind::Forbidden if self.is_for_lack_of_licence() => {
                f.write_str("; the tenant needs Microsoft Entra ID P1 for that")
            }
            ErrorKind::Forbidden if self.is_for_lack_of_permission() => {
                write!(
                    f,
                    "; grant the app the application permission {permission} with admin consent, then allow a few minutes"
                )?;
                // Since the pass was made the user may have come out of the app's reach.
                if self.call == Call::DeletePass.name() {
                    f.write_str("; if it has that, the user may be in a restricted management administrative unit: then an administrator of that unit must delete the pass")?;
                }
                Ok(())
            }
            ErrorKind::Unauthorized if self.code == INSUFFICIENT_CLAIMS => f.write_str(
                "; a claims challenge: a Conditional Access policy for workload identities does not take the app's token from this network; exclude the app there, or allow this network",
            ),
            ErrorKind::Unauthorized => {
                f.write_str(
                "; Graph rejects the token: check that login URL and Graph URL belong to the tenant's cloud",
            )
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for GraphError {}

/// A POST of a pass that did not return one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CreateError {
    /// The request certainly did not reach Graph.
    #[error("not sent: {0}")]
    NotSent(#[source] GraphError),
    /// Graph answered that it created nothing.
    #[error("refused: {0}")]
    Refused(#[source] GraphError),
    /// A pass may exist, or may still be created until the settle time is over.
    #[error("outcome unknown: {0}")]
    Unknown(#[source] GraphError),
}

impl CreateError {
    /// The error of the call.
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
            "create the pass: HTTP 403 accessDenied: Request Authorization failed; grant the app the \
             application permission UserAuthMethod-TAP.ReadWrite.All with admin consent, then allow a few minutes"
        );
    }

    #[test]
    fn a_deletion_may_also_be_refused_for_the_users_unit() {
        let refused = GraphError { call: Call::DeletePass.name(), ..error(ErrorKind::Forbidden) };
        let text = refused.to_string();
        assert!(
            text.contains("; grant the app") && text.contains("administrator of that unit"),
            "{text}"
        );
    }

    /// Its answer has no error code, as Graph's have.
    #[test]
    fn a_proxy_that_refuses_is_no_reason_to_grant_anything() {
        let refused = GraphError { code: String::new(), ..error(ErrorKind::Forbidden) };
        let text = refused.to_string();
        assert_eq!(text, "create the pass: HTTP 403: Request Authorization failed");
        assert!(!refused.is_for_lack_of_permission());
    }

    #[test]
    fn a_message_contains_nothing_that_changes_with_each_attempt() {
        let (one, mut other) = (error(ErrorKind::Throttled), error(ErrorKind::Throttled));
        other.request_id = Some("another".into());
        other.client_request_id = None;
        other.retry_after = None;
        assert_eq!(one.to_string(), other.to_string());
    }

    #[test]
    fn a_command_does_not_promise_that_the_operator_tries_again() {
        let of = |kind| {
            let message = "cannot connect to login: UnknownIssuer";
            GraphError::new(Call::Token, ErrorKind::SignIn(kind), message).for_a_command()
        };
        let unknown = of(SignInErrorKind::Unavailable);
        assert!(unknown.contains("UnknownIssuer; check the network"), "{unknown}");
        assert!(unknown.contains("--extra-ca") && !unknown.contains("operator"), "{unknown}");
        assert!(of(SignInErrorKind::Throttled).ends_with("; try again later"));
        let secret = of(SignInErrorKind::CredentialFile);
        assert!(secret.contains("AZURE_CLIENT_SECRET_FILE"), "{secret}");
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
        assert_eq!(unauthorized.advice(), Advice::Retry { after: None }, "a POST is sent once");
        let read = GraphError { call: Call::User.name(), ..unauthorized };
        assert_eq!(read.advice(), Advice::Wait);
    }
}
