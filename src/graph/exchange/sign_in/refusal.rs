//! Why there is no token.

use std::time::Duration;

use crate::entra::{Call, ErrorKind, GraphError, SignInErrorKind};
use crate::graph::wire;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::graph::exchange) struct Refusal {
    pub(in crate::graph::exchange) kind: SignInErrorKind,
    pub(in crate::graph::exchange) status: Option<u16>,
    /// `AADSTS` with its number, otherwise the error code of OAuth.
    pub(in crate::graph::exchange) code: String,
    pub(in crate::graph::exchange) message: String,
    pub(in crate::graph::exchange) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(kind: SignInErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, code: String::new(), message: message.into(), retry_after: None }
    }

    /// Entra did not answer in time.
    pub(in crate::graph::exchange) fn late() -> Self {
        Self::new(SignInErrorKind::Unavailable, "Entra gave no token in time")
    }

    /// The error of a call for which there is no token.
    pub(in crate::graph::exchange) fn error(self, call: Call) -> GraphError {
        GraphError {
            status: self.status,
            code: self.code,
            retry_after: self.retry_after,
            ..GraphError::new(call, ErrorKind::SignIn(self.kind), self.message)
        }
    }

    /// What an answer without a token means.
    pub(super) fn of_answer(status: u16, body: &[u8]) -> Self {
        let answer: wire::TokenErrorAnswer = wire::read(body).unwrap_or_default();
        let kind = match status {
            429 => SignInErrorKind::Throttled,
            500.. | 408 => SignInErrorKind::Unavailable,
            _ if answer.error == "temporarily_unavailable" => SignInErrorKind::Unavailable,
            _ => (answer.numbers().into_iter())
                .find_map(SignInErrorKind::of_aadsts)
                .unwrap_or(SignInErrorKind::Other),
        };
        let sentence = answer.sentence();
        Self {
            kind,
            status: Some(status),
            code: match answer.numbers().first() {
                Some(number) => format!("AADSTS{number}"),
                None => wire::printable(&answer.error, 80),
            },
            message: if sentence.is_empty() { "no reason was given".into() } else { sentence },
            retry_after: None,
        }
    }
}
