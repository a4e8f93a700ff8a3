//! What an answer means.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::request::Request;
use super::sign_in::Token;
use super::transport::Body;
use crate::entra::{Call, ErrorKind, GraphError, INSUFFICIENT_CLAIMS};
use crate::graph::wire;

/// The header with Graph's id of a request.
const REQUEST_ID: &str = "request-id";

/// An answer of any status.
pub(in crate::graph) struct Answer {
    pub(in crate::graph) status: StatusCode,
    pub(in crate::graph) headers: HeaderMap,
    pub(in crate::graph) body: Body,
    pub(super) client_request_id: Box<str>,
    pub(super) token: Arc<Token>,
    pub(super) received: Timestamp,
    /// How long the exchange took.
    pub(super) took: Duration,
}

impl Answer {
    fn header(&self, name: &str) -> Option<Box<str>> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(wire::printable(value, 80).into())
    }

    /// Returns an error about an answer whose status means success.
    pub(in crate::graph) fn annotate(&self, request: &Request<'_>, message: &str) -> GraphError {
        GraphError {
            status: Some(self.status.as_u16()),
            request_id: self.header(REQUEST_ID),
            client_request_id: Some(self.client_request_id.clone()),
            ..unexpected(request.call, message)
        }
    }

    /// Returns the error that an answer means which tells of no success, or which Graph did not write.
    pub(super) fn error(&self, request: &Request<'_>) -> GraphError {
        let told = wire::error(&self.body);
        let status = self.status.as_u16();
        let challenged = wire::is_claims_challenge(&self.headers)
            || told.as_ref().is_some_and(|told| told.code == INSUFFICIENT_CLAIMS);
        let kind = match (status, &told) {
            // Reported as a 403, too, which is then about the token and not about a permission.
            (403, _) if challenged => ErrorKind::Unauthorized,
            (401, _) => ErrorKind::Unauthorized,
            (403, _) => ErrorKind::Forbidden,
            (429, _) => ErrorKind::Throttled,
            (408 | 500.., _) => ErrorKind::Unavailable,
            // Reported for a POST right after a DELETE. It is temporary.
            (400, Some(told))
                if told.message.to_ascii_lowercase().contains("conflicting object") =>
            {
                ErrorKind::Unexpected
            }
            (400, Some(_)) => ErrorKind::BadRequest,
            // A proxy cannot say that an object does not exist. Only an answer in Graph's own form means that.
            (404 | 410, Some(_)) => ErrorKind::NotFound,
            _ => ErrorKind::Unexpected,
        };
        let described = told.is_some();
        let told = told.unwrap_or_default();
        let message = match (described, told.message.is_empty()) {
            (true, false) => told.message,
            (true, true) => "no reason was given".to_owned(),
            (false, _) if self.body.is_empty() && is_of_graph(&self.headers) => {
                "the answer is empty".to_owned()
            }
            (false, _) => {
                "the answer is not in Graph's form; it may come from a proxy or gateway".to_owned()
            }
        };
        GraphError {
            status: Some(status),
            code: if challenged { INSUFFICIENT_CLAIMS.to_owned() } else { told.code },
            request_id: self.header(REQUEST_ID).or(told.request_id),
            client_request_id: Some(self.client_request_id.clone()),
            retry_after: wire::retry_after(&self.headers, self.received),
            ..GraphError::new(request.call, kind, message)
        }
    }
}

/// Whether Graph wrote an answer: it gives each request an id (documented).
pub(super) fn is_of_graph(headers: &HeaderMap) -> bool {
    headers.contains_key(REQUEST_ID)
}

pub(in crate::graph) fn unexpected(call: Call, message: impl Into<String>) -> GraphError {
    GraphError::new(call, ErrorKind::Unexpected, message)
}
