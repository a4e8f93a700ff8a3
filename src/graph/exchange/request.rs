//! A request before it has a token.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use serde::Serialize;

use super::answer::unexpected;
use super::pacing::{Priority, Share};
use super::sign_in::Token;
use crate::entra::{Call, GraphError};
use crate::version::PRODUCT;

/// A request before it has a token.
pub(in crate::graph) struct Request<'a> {
    pub(super) call: Call,
    pub(super) priority: Priority,
    pub(super) share: Share,
    /// What follows host and version, including the query.
    pub(super) path: String,
    body: Option<Bytes>,
    advanced: bool,
    pub(super) client_request_id: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(in crate::graph) fn new(call: Call, priority: Priority, path: String) -> Self {
        Self {
            call,
            priority,
            share: Share::default(),
            path,
            body: None,
            advanced: false,
            client_request_id: None,
        }
    }

    /// Names for whom the call is made.
    pub(in crate::graph) fn for_whom(self, share: &Share) -> Self {
        Self { share: share.clone(), ..self }
    }

    pub(in crate::graph) fn with_body(self, body: &impl Serialize) -> Result<Self, GraphError> {
        let body =
            serde_json::to_vec(body).map_err(|error| self.cannot_be_written(&error.to_string()))?;
        Ok(Self { body: Some(body.into()), ..self })
    }

    /// Marks an advanced query, which casts and counts need (documented). An index that lags answers it.
    pub(in crate::graph) fn advanced(self) -> Self {
        Self { advanced: true, ..self }
    }

    /// Sets the id that the logs of Graph show. Without it, the request gets a random one.
    pub(in crate::graph) fn with_id(self, client_request_id: &'a str) -> Self {
        Self { client_request_id: Some(client_request_id), ..self }
    }

    /// Returns the request as it is sent.
    pub(super) fn outgoing(
        &self,
        url: &str,
        token: &Token,
        client_request_id: &str,
    ) -> Result<http::Request<Bytes>, GraphError> {
        let mut request = http::Request::builder()
            .method(self.call.method())
            .uri(url)
            .header(AUTHORIZATION, token.header())
            .header(USER_AGENT, PRODUCT)
            .header(ACCEPT, "application/json")
            .header("client-request-id", client_request_id);
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if self.advanced {
            request = request.header("ConsistencyLevel", HeaderValue::from_static("eventual"));
        }
        request
            .body(self.body.clone().unwrap_or_default())
            .map_err(|error| self.cannot_be_written(&error.to_string()))
    }

    fn cannot_be_written(&self, why: &str) -> GraphError {
        unexpected(self.call, format!("the request cannot be written: {why}"))
    }
}
