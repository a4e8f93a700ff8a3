//! The transport of requests to Graph and Entra.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use zeroize::Zeroizing;

use crate::graph::wire;
use crate::{text, tls};

/// The body of an answer. It may contain a token or a code, so its memory is overwritten when it is dropped.
pub type Body = Zeroizing<Vec<u8>>;

/// The longest body that is read, in bytes. The pages that Graph returns here are much smaller.
const LONGEST_BODY: usize = 1024 * 1024;

/// How long the setup of a separate connection may take. It delays a POST that should be sent now or not at all.
const OWN_CONNECTION_PATIENCE: Duration = Duration::from_secs(5);
/// How long to try to connect. A call that waits longer cannot say which host takes no connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection that was opened ahead may be unused: what lies between may close it.
const OPEN_AHEAD_FOR: Duration = Duration::from_secs(10);
/// How many connections are open ahead at most: one for each of as many requests as are worked on at once.
const OPEN_AHEAD: usize = 64;

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
    single: Single,
    /// Those that no request used yet.
    opened: Mutex<VecDeque<Opened>>,
    identity: reqwest::Client,
}

/// Makes clients of which each has one connection. It carries one request whose answer has a code, and before at most the one
/// that opened it.
///
/// A client is made for each, because the connections that one client has open cannot be told apart. They share the TLS
/// configuration, which is what is dear: it has the certificate authorities.
#[derive(Debug)]
struct Single {
    tls: ClientConfig,
    connect_timeout: Duration,
}

impl Single {
    fn client(&self) -> reqwest::Result<reqwest::Client> {
        https(self.tls.clone())
            .http1_only()
            .pool_idle_timeout(OPEN_AHEAD_FOR)
            .connect_timeout(self.connect_timeout)
            .build()
    }
}

/// A connection that was opened ahead.
#[derive(Debug)]
struct Opened {
    client: reqwest::Client,
    /// What it is connected to.
    server: Authority,
    at: Instant,
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
    /// The certificate authorities of the system, or those in the file, cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("cannot set up HTTPS: {0}")]
    Client(#[from] reqwest::Error),
}

impl ReqwestTransport {
    /// `deadline` limits each call. `extra_ca` is a PEM file with certificate authorities to trust in addition to the system's.
    pub fn new(deadline: Duration, extra_ca: Option<&Path>) -> Result<Self, TransportSetupError> {
        // Of name resolution, connecting and the TLS handshake together.
        let connect_timeout = deadline.min(CONNECTS_WITHIN);
        let authorities = extra_ca.map(read_authorities).transpose()?.unwrap_or_default();
        let tls = trusting(authorities)?;
        let mut single = tls::without_old_secrets(tls.clone());
        single.alpn_protocols = vec![b"http/1.1".into()];
        Ok(Self {
            // A dead connection must not hang every call that is sent on it.
            shared: https(tls.clone())
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(Duration::from_secs(30))
                .http2_keep_alive_interval(Duration::from_secs(10))
                .http2_keep_alive_timeout(Duration::from_secs(10))
                .build()?,
            single: Single {
                tls: single,
                connect_timeout: connect_timeout.min(OWN_CONNECTION_PATIENCE),
            },
            opened: Mutex::default(),
            identity: never_again(tls).no_proxy().connect_timeout(connect_timeout).build()?,
        })
    }
}

/// TLS that trusts the certificate authorities of the system, and these.
fn trusting(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))?;
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // The name says that a verifier of one's own may be: this one is the system's.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(tls)
}

/// A client that sends each request once, to where it is addressed.
fn never_again(tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

fn https(tls: ClientConfig) -> reqwest::ClientBuilder {
    never_again(tls).https_only(true)
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TransportSetupError> {
    let no_certificate = || TransportSetupError::NoCertificate { path: path.into() };
    let pem = std::fs::read(path)
        .map_err(|source| TransportSetupError::ExtraCa { path: path.into(), source })?;
    let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let authorities = authorities.map_err(|_| no_certificate())?;
    if authorities.is_empty() { Err(no_certificate()) } else { Ok(authorities) }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(
        &self,
        mut request: Request<Bytes>,
        options: SendOptions,
    ) -> Result<Response<Body>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let client = match options {
            SendOptions { identity_endpoint: true, .. } => self.identity.clone(),
            SendOptions { own_connection: true, .. } => {
                let close = http::HeaderValue::from_static("close");
                request.headers_mut().insert(http::header::CONNECTION, close);
                self.own(request.uri())?
            }
            _ => self.shared.clone(),
        };
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
        let Some(server) = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned())
        else {
            return;
        };
        let Ok(client) = self.single.client() else { return };
        // The shortest request. It has no token, and what is answered does not matter.
        #[expect(clippy::disallowed_methods, reason = "it asks nothing of Graph")]
        let request = client.head(origin).timeout(OWN_CONNECTION_PATIENCE);
        opened.push_back(Opened { client, server, at: Instant::now() });
        tokio::spawn(async move { drop(request.send().await) });
    }
}

impl ReqwestTransport {
    /// A client for one answer with a code: that of a connection to its server that is open, if there is one.
    fn own(&self, uri: &Uri) -> Result<reqwest::Client, TransportError> {
        let mut opened = self.opened();
        let at = opened.iter().position(|opened| Some(&opened.server) == uri.authority());
        if let Some(opened) = at.and_then(|at| opened.remove(at)) {
            return Ok(opened.client);
        }
        self.single.client().map_err(|error| TransportError {
            maybe_sent: false,
            message: format!("cannot set up HTTPS: {}", causes(&error)),
        })
    }

    /// The connections that were opened ahead and are good still. The others are closed.
    fn opened(&self) -> MutexGuard<'_, VecDeque<Opened>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        while opened.pop_front_if(|opened| opened.at.elapsed() > OPEN_AHEAD_FOR).is_some() {}
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
    wire::printable(&text::causes(error), 400)
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
