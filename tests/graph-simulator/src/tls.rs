//! The tenant on TLS, with a certificate authority of its own.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::serve::Listener;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

use crate::simulator::Simulator;

/// Names and addresses that the server's certificate is good for, beside the one that it listens on.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Longer ones are not believed everywhere.
const CERTIFICATE_DAYS: i64 = 397;
/// A client that takes longer to say hello is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Open requests get so long to end when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificates.
    #[error("the certificates could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No TLS.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// No port, or no directory.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What happened.
        source: io::Error,
    },
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca_file: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves a tenant on an address (port 0: any), after writing `ca.crt` and `url` into `directory`, which is made if need be.
    pub async fn start(
        simulator: &Simulator,
        listen: SocketAddr,
        directory: &Path,
    ) -> Result<Self, TlsError> {
        Self::serve(simulator.router(), listen, directory).await
    }

    /// The same for any other application.
    pub async fn serve(
        app: axum::Router,
        listen: SocketAddr,
        directory: &Path,
    ) -> Result<Self, TlsError> {
        let failed = |what: String| move |source| TlsError::Io { what, source };
        let listener =
            TcpListener::bind(listen).await.map_err(failed(format!("listening on {listen}")))?;
        let address = listener.local_addr().map_err(failed("listening".into()))?;
        let (authority, config) = certificates(address)?;
        let ca_file = directory.join("ca.crt");
        std::fs::create_dir_all(directory)
            .map_err(failed(format!("making {}", directory.display())))?;
        for (file, content) in
            [(&ca_file, authority), (&directory.join("url"), format!("https://{address}\n"))]
        {
            std::fs::write(file, content).map_err(failed(format!("writing {}", file.display())))?;
        }
        let listener = TlsListener::new(listener, config, address);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let serve = axum::serve(listener, app).with_graceful_shutdown(async {
                // The server's end counts as a wish to stop.
                let _ = stopped.await;
            });
            // Serving ends only by that wish.
            let _ = serve.await;
        });
        Ok(Self { address, ca_file, stop: Some(stop), task })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients use for login and, with `/v1.0`, for Graph.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate authority, as PEM.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Takes no more connections, lets open requests end for a moment, and stops.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(STOP_LIMIT, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The authority as PEM, and the server's side of TLS.
fn certificates(address: SocketAddr) -> Result<(String, ServerConfig), TlsError> {
    let called = |name: &str| {
        let mut distinguished = DistinguishedName::new();
        distinguished.push(DnType::CommonName, name);
        distinguished
    };
    let date = |days: i64| {
        let at = Timestamp::now()
            .saturating_add(SignedDuration::from_hours(24 * days))
            .unwrap_or(Timestamp::MAX);
        let date = at.to_zoned(TimeZone::UTC).date();
        let small = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), small(date.month()), small(date.day()))
    };
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name = called("graph-simulator CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = (date(-1), date(CERTIFICATE_DAYS));
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let server_key = KeyPair::generate()?;
    let mut names: Vec<String> = NAMES.map(String::from).to_vec();
    let own = address.ip().to_string();
    if !address.ip().is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name = called("graph-simulator");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    (server.not_before, server.not_after) = (date(-1), date(CERTIFICATE_DAYS));
    let certificate = server.signed_by(&server_key, &issuer)?;

    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((authority_pem, config))
}

/// Connections whose handshake is done. A slow client holds up nobody.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    // Ends with the listener.
    _handshakes: JoinSet<()>,
}

impl TlsListener {
    fn new(listener: TcpListener, config: ServerConfig, address: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (done, ready) = mpsc::channel(64);
        let mut handshakes = JoinSet::new();
        handshakes.spawn(async move {
            let mut shaking = JoinSet::new();
            loop {
                // Out of file descriptors, say: the next attempt may succeed.
                let Ok((tcp, peer)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                while shaking.try_join_next().is_some() {}
                let (acceptor, done) = (acceptor.clone(), done.clone());
                shaking.spawn(async move {
                    // Answers are small: waiting for more to send would only delay them.
                    let _ = tcp.set_nodelay(true);
                    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(tcp));
                    if let Ok(Ok(stream)) = handshake.await {
                        let _ = done.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { ready, address, _handshakes: handshakes }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task never ends before the listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{
        faults::{Fault, FaultKind},
        tenant::Tenant,
    };

    const ANY_PORT: &str = "127.0.0.1:0";

    async fn serve() -> (Simulator, Server, tempfile::TempDir, reqwest::Client) {
        let directory = tempfile::tempdir().unwrap();
        let simulator = Simulator::new(Tenant::contoso());
        let server =
            Server::start(&simulator, ANY_PORT.parse().unwrap(), directory.path()).await.unwrap();
        let authority =
            reqwest::Certificate::from_pem(&std::fs::read(server.ca_file()).unwrap()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        (simulator, server, directory, client)
    }

    #[tokio::test]
    async fn clients_that_trust_the_authority_are_served_by_name_and_address() {
        let (_simulator, server, directory, client) = serve().await;
        assert_eq!(
            std::fs::read_to_string(directory.path().join("url")).unwrap().trim(),
            server.url()
        );
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{}/_sim", server.address().port());
            assert_eq!(client.get(url).send().await.unwrap().status(), 200);
        }
        let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        assert!(stranger.get(server.url()).send().await.is_err());
        let url = server.url();
        server.stop().await;
        assert!(client.get(url).send().await.unwrap_err().is_connect());
    }

    #[tokio::test]
    async fn a_lost_answer_is_a_broken_connection_and_the_next_one_works() {
        let (simulator, server, _directory, client) = serve().await;
        let url = format!("{}/v1.0/organization", server.url());
        assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
        simulator.inject(Fault::on_any(FaultKind::AnswerLost));
        let error = client.post(&url).send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout() && error.status().is_none(), "{error:?}");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn who_never_shakes_hands_holds_up_nobody() {
        let (_simulator, server, _directory, client) = serve().await;
        let mut silent = TcpStream::connect(server.address()).await.unwrap();
        let answer = client.get(format!("{}/_sim", server.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        drop(server);
        let mut byte = [0];
        let ended = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut byte)).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))));
    }
}
