//! A proxy between the operator and a server. It ends the TLS connection, makes another one to the server, and asks the
//! gate about each request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use futures::stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::gate::{Gate, Verdict};
use crate::recognize::{Asked, recognize};
use crate::support::pki::Authority;
use crate::support::ports::Port;

/// No request of the operator is longer.
const LONGEST_BODY: usize = 4 << 20;

/// A running proxy. It ends when this value is dropped.
pub struct Proxy {
    url: String,
    accepting: JoinHandle<()>,
    serving: JoinHandle<()>,
    _port: Port,
}

struct Route {
    gate: Arc<Gate>,
    server: String,
    client: reqwest::Client,
}

impl Proxy {
    /// A proxy for `server`, whose certificate this authority (PEM) signed. The proxy's own is signed by `authority`.
    pub async fn start(
        authority: &Authority,
        server: &str,
        server_authority: &[u8],
        gate: &Arc<Gate>,
    ) -> Result<Self> {
        let port = Port::reserve()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let (listener, accepting) = Incoming::on(address, authority).await?;
        let client = reqwest::Client::builder()
            .no_proxy()
            // The tenant checks the Host header, which the proxy passes on.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tls_certs_only([reqwest::Certificate::from_pem(server_authority)?])
            .build()?;
        let route = Arc::new(Route { gate: Arc::clone(gate), server: server.to_owned(), client });
        let app = axum::Router::new().fallback(pass).with_state(route);
        let serving = tokio::spawn(async move {
            // Serving never ends by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url: format!("https://{address}"), accepting, serving, _port: port })
    }

    /// The URL at which the operator reaches the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.serving.abort();
    }
}

async fn pass(State(route): State<Arc<Route>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        // The client has disconnected.
        return StatusCode::BAD_REQUEST.into_response();
    };
    let asked = recognize(&parts, &body);
    let verdict = route.gate.arrive(&asked);
    if verdict == Verdict::Hold {
        return std::future::pending().await;
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut sent = route.client.request(parts.method.clone(), format!("{}{path}", route.server));
    for (name, value) in &parts.headers {
        if ![header::CONNECTION, header::CONTENT_LENGTH].contains(name) {
            sent = sent.header(name, value);
        }
    }
    let Ok(answer) = sent.body(body).send().await else { return unreachable() };
    if let Asked::Effect(effect) = &asked {
        route.gate.answered(effect, answer.status());
    }
    if verdict == Verdict::HoldAnswer {
        route.gate.fire();
        return std::future::pending().await;
    }
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if ![header::TRANSFER_ENCODING, header::CONNECTION].contains(name) {
            response = response.header(name, value);
        }
    }
    // The answer to a watch is passed on chunk by chunk.
    let chunks = stream::unfold(answer, |mut answer| async {
        answer.chunk().await.transpose().map(|chunk| (chunk, answer))
    });
    if verdict == Verdict::FireAfter {
        route.gate.fire_soon();
    }
    response.body(Body::from_stream(chunks)).unwrap_or_else(|_| unreachable())
}

/// The answer if the server is down. Its `Date` is unusable, so that the operator does not learn the proxy's time.
fn unreachable() -> Response {
    (StatusCode::BAD_GATEWAY, [(header::DATE, "unknown")]).into_response()
}

/// Connections whose TLS handshake is done.
struct Incoming {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Incoming {
    async fn on(address: SocketAddr, authority: &Authority) -> Result<(Self, JoinHandle<()>)> {
        let certificate = authority.server(&["127.0.0.1", "localhost"])?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(
                    vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes())?],
                    PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?,
                )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.context("the proxy's port")?;
        let (done, ready) = mpsc::channel(64);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((tcp, peer)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    let _ = tcp.set_nodelay(true);
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = done.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok((Self { ready, address }, accepting))
    }
}

impl Listener for Incoming {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
