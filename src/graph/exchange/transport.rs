//! The transport of requests to Graph and Entra.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use zeroize::Zeroizing;

use crate::graph::wire;

/// The body of an answer. It may contain a token or a code, so its memory is overwritten when it is dropped.
pub type Body = Zeroizing<Vec<u8>>;

/// The longest body that is read, in bytes. The pages that Graph returns here are much smaller.
const LONGEST_BODY: usize = 1024 * 1024;

/// How long the setup of a separate connection may take. It delays a POST that should be sent now or not at all.
const OWN_CONNECTION_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that was opened ahead may be unused: what lies between may close it.
const OPEN_AHEAD_FOR: Duration = Duration::from_secs(10);
/// How many connections are open ahead at most. Where more passes are on their way, the time is spent otherwise.
const OPEN_AHEAD: usize = 8;

/// Sends requests to Graph and Entra.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends one request and reads the whole answer. Dropping the future gives the request up.
    ///
    /// It must not follow a redirect, and must not repeat a request that may have been sent.
    async fn send(
        &self,
        request: Request<Bytes>,
        options: SendOptions,
    ) -> Result<Response<Body>, TransportError>;

    /// Opens a connection for the next request that needs one of its own, if the transport can and not too many are open. It
    /// returns at once; what fails is done anew with that request.
    fn open_ahead(&self, _origin: &str) {}
}

/// How a request is to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Use a connection that no other request uses, because the answer contains a code.
    pub own_connection: bool,
    /// The request goes to the identity endpoint of the platform. The endpoint is on the same machine or link, uses plain
    /// HTTP, and must not be reached through a proxy.
    pub identity_endpoint: bool,
}

/// There was no answer, or it could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Whether the server may have received the request. `false` only if no byte of it was written.
    pub maybe_sent: bool,
    /// What happened.
    pub message: String,
}

/// HTTPS. It trusts the certificate authorities of the system and those of `extra_ca`.
///
/// The environment may name a proxy in the usual variables (`HTTPS_PROXY`, `NO_PROXY`).
#[derive(Debug)]
pub struct ReqwestTransport {
    shared: reqwest::Client,
    /// Each of its connections carries one request with a code, after which it is closed; before, at most the one that
    /// opened it.
    single: reqwest::Client,
    /// When those were opened that no request used yet.
    opened: Mutex<VecDeque<Instant>>,
    identity: reqwest::Client,
}

/// Why the transport cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportSetupError {
    /// The file with additional certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {path}: {source}; mount a PEM file there")]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file contains no certificate.
    #[error("{path} contains no certificate in PEM form")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The HTTP client cannot be built.
    #[error("cannot set up HTTPS: {0}")]
    Client(#[from] reqwest::Error),
}

impl ReqwestTransport {
    /// `connect_timeout` limits name resolution, connecting and the TLS handshake together. `extra_ca` is a PEM file with
    /// certificate authorities to trust in addition to the system's.
    pub fn new(
        connect_timeout: Duration,
        extra_ca: Option<&Path>,
    ) -> Result<Self, TransportSetupError> {
        let authorities = extra_ca.map(read_authorities).transpose()?.unwrap_or_default();
        let https = || {
            let builder = reqwest::Client::builder()
                .https_only(true)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(connect_timeout);
            if authorities.is_empty() {
                builder
            } else {
                builder.tls_certs_merge(authorities.iter().cloned())
            }
        };
        Ok(Self {
            // A dead connection must not hang every call that is sent on it.
            shared: https()
                .pool_idle_timeout(Duration::from_secs(30))
                .http2_keep_alive_interval(Duration::from_secs(10))
                .http2_keep_alive_timeout(Duration::from_secs(10))
                .build()?,
            single: https()
                .http1_only()
                .pool_max_idle_per_host(OPEN_AHEAD)
                .pool_idle_timeout(OPEN_AHEAD_FOR)
                .connect_timeout(connect_timeout.min(OWN_CONNECTION_PATIENCE))
                .build()?,
            opened: Mutex::default(),
            identity: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(connect_timeout)
                .build()?,
        })
    }
}

fn read_authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, TransportSetupError> {
    let no_certificate = || TransportSetupError::NoCertificate { path: path.into() };
    let pem = std::fs::read(path)
        .map_err(|source| TransportSetupError::ExtraCa { path: path.into(), source })?;
    let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| no_certificate())?;
    if authorities.is_empty() { Err(no_certificate()) } else { Ok(authorities) }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(
        &self,
        mut request: Request<Bytes>,
        options: SendOptions,
    ) -> Result<Response<Body>, TransportError> {
        let client = match options {
            SendOptions { identity_endpoint: true, .. } => &self.identity,
            SendOptions { own_connection: true, .. } => {
                self.opened().pop_front();
                let close = http::HeaderValue::from_static("close");
                request.headers_mut().insert(http::header::CONNECTION, close);
                &self.single
            }
            _ => &self.shared,
        };
        let host = request.uri().host().unwrap_or_default().to_owned();
        let request = reqwest::Request::try_from(request).map_err(|error| TransportError {
            maybe_sent: false,
            message: format!("the request cannot be sent: {}", causes(&error.without_url())),
        })?;
        #[expect(clippy::disallowed_methods, reason = "the calls are listed in entra::Call")]
        let mut answer = client.execute(request).await.map_err(|error| TransportError {
            // A connect error comes from name resolution, TCP or TLS, before any byte of the request is written.
            maybe_sent: !(error.is_connect() || error.is_builder()),
            message: failed(&host, &error.without_url()),
        })?;
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
        // Allocated at its full size, because growing would leave copies behind.
        let mut body =
            Zeroizing::new(Vec::with_capacity(announced.unwrap_or(16_384).min(LONGEST_BODY)));
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| broken(&host, &error.without_url()))?
        {
            append(&mut body, &chunk)?;
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    fn open_ahead(&self, origin: &str) {
        let mut opened = self.opened();
        if opened.len() >= OPEN_AHEAD {
            return;
        }
        opened.push_back(Instant::now());
        // The shortest request. It has no token, and what is answered does not matter.
        #[expect(clippy::disallowed_methods, reason = "it asks nothing of Graph")]
        let request = self.single.head(origin).timeout(OWN_CONNECTION_PATIENCE);
        tokio::spawn(async move { drop(request.send().await) });
    }
}

impl ReqwestTransport {
    /// The connections that were opened ahead and are good still.
    fn opened(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        while opened.pop_front_if(|at| at.elapsed() > OPEN_AHEAD_FOR).is_some() {}
        opened
    }
}

fn append(body: &mut Body, chunk: &[u8]) -> Result<(), TransportError> {
    if body.len() + chunk.len() > LONGEST_BODY {
        let message = format!("the answer is longer than {LONGEST_BODY} bytes");
        return Err(TransportError { maybe_sent: true, message });
    }
    body.extend_from_slice(chunk);
    Ok(())
}

fn broken(host: &str, error: &dyn std::error::Error) -> TransportError {
    let message = format!("the answer of {host} broke off: {}", last_cause(error));
    TransportError { maybe_sent: true, message }
}

/// What went wrong, in words for whoever runs the operator.
fn failed(host: &str, error: &reqwest::Error) -> String {
    let cause = last_cause(error);
    if error.is_connect() {
        format!("cannot connect to {host}: {cause}")
    } else if error.is_timeout() {
        format!("{host} did not answer in time")
    } else if error.is_builder() {
        format!("the request to {host} cannot be sent: {}", causes(error))
    } else {
        format!("the connection to {host} was closed: {cause}")
    }
}

/// The last of the causes of an error, which is the one that people know: the others name the libraries between.
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    wire::printable(&last.to_string(), 200)
}

/// Returns an error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    wire::printable(&text, 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let endless = || async {
            let chunks =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 60_000]));
            axum::body::Body::from_stream(chunks)
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let service = axum::Router::new().fallback(endless);
        let server = tokio::spawn(async { axum::serve(listener, service).await });
        let transport = ReqwestTransport::new(Duration::from_secs(5), None).unwrap();
        // The only way on which plain HTTP is spoken.
        let options = SendOptions { identity_endpoint: true, ..SendOptions::default() };
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let error = transport.send(request, options).await.unwrap_err();
        server.abort();
        assert!(error.maybe_sent);
        assert_eq!(error.message, "the answer is longer than 1048576 bytes");
    }

    #[test]
    fn unusable_certificate_authorities_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let refused = |file: &Path| {
            let error = ReqwestTransport::new(Duration::from_secs(1), Some(file)).unwrap_err();
            error.to_string()
        };
        assert!(refused(&file).ends_with("; mount a PEM file there"), "{}", refused(&file));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(refused(&file).ends_with("ca.pem contains no certificate in PEM form"));
    }

    #[tokio::test]
    async fn plain_http_is_for_the_identity_endpoint_only() {
        let transport = ReqwestTransport::new(Duration::from_secs(1), None).unwrap();
        // No server listens there. What counts is which client tries to connect.
        let request = || Request::get("http://127.0.0.1:9/").body(Bytes::new()).unwrap();
        for own_connection in [false, true] {
            let options = SendOptions { own_connection, ..SendOptions::default() };
            let error = transport.send(request(), options).await.unwrap_err();
            assert!(!error.maybe_sent && error.message.contains("scheme"), "{error}");
        }
        let options = SendOptions { identity_endpoint: true, ..SendOptions::default() };
        let error = transport.send(request(), options).await.unwrap_err();
        assert!(error.message.contains("refused"), "{error}");
    }
}
