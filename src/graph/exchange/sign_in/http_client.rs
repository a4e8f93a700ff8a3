//! The HTTP client of `azure_identity`: it uses the operator's transport, and keeps what the errors of the library omit.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind as AzureErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, HttpClient, StatusCode, request::Body as AzureBody};
use bytes::Bytes;

use crate::graph::exchange::options::Clock;
use crate::graph::exchange::transport::{SendOptions, Transport};
use crate::graph::wire;

/// Sends the requests of one sign-in, and records the result of the last one.
pub(super) struct RecordingClient {
    transport: Arc<dyn Transport>,
    clock: Clock,
    /// Whether the requests go to the identity endpoint of the platform.
    identity_endpoint: bool,
    last: Mutex<Option<Recorded>>,
}

/// The result of a request.
pub(super) enum Recorded {
    /// The body is kept only if the answer has no token.
    Answer {
        status: u16,
        retry_after: Option<Duration>,
        body: Vec<u8>,
    },
    NoAnswer(String),
}

impl fmt::Debug for RecordingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingClient")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl RecordingClient {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        clock: Clock,
        identity_endpoint: bool,
    ) -> Self {
        Self { transport, clock, identity_endpoint, last: Mutex::default() }
    }

    /// Takes the result of the last request. `None`: no request was sent.
    pub(super) fn take_last(&self) -> Option<Recorded> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn record(&self, result: Recorded) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

#[async_trait]
impl HttpClient for RecordingClient {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        let failed = |message: String| azure_core::Error::with_message(AzureErrorKind::Io, message);
        let body = match request.body() {
            AzureBody::Bytes(bytes) => bytes.clone(),
            AzureBody::SeekableStream(_) => return Err(failed("a stream cannot be sent".into())),
        };
        let mut sent =
            http::Request::builder().method(request.method().as_str()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent.body(body).map_err(|error| failed(error.to_string()))?;
        let options =
            SendOptions { identity_endpoint: self.identity_endpoint, ..SendOptions::default() };
        let answer = match self.transport.send(sent, options).await {
            Ok(answer) => answer,
            Err(error) => {
                self.record(Recorded::NoAnswer(error.message.clone()));
                return Err(failed(error.message));
            }
        };
        let status = answer.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                let value = HeaderValue::from(value.to_owned());
                headers.insert(HeaderName::from(name.as_str().to_owned()), value);
            }
        }
        let now = (self.clock)();
        self.record(Recorded::Answer {
            status,
            retry_after: wire::retry_after(answer.headers(), now),
            body: if answer.status().is_success() { Vec::new() } else { answer.body().to_vec() },
        });
        let body = Bytes::copy_from_slice(answer.body());
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body))
    }
}
