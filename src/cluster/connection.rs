//! Connections to the API server that nothing else uses: that of an attempt, on which a code travels, and that of the lease.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::middleware::AuthLayer;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use rustls::ClientConfig;
use tower::{BoxError, ServiceBuilder};

use crate::tls;

/// Makes clients of which each has a connection of its own.
///
/// Their connections share the TLS configuration, because to make one is dear: it reads the certificate authorities and the
/// client's own certificate. It also keeps the tickets that the API server gives, with which the next connection resumes a
/// session: the API server does not sign again, and the client verifies no certificates again.
pub struct OwnConnections {
    config: Config,
    /// Absent where kube makes each of them, because it alone knows the way: through a proxy, or to a server by another name.
    shared: Option<Shared>,
}

struct Shared {
    tls: ClientConfig,
    /// Reads a token anew when it gets old, for all of them.
    authentication: Option<AuthLayer>,
}

impl OwnConnections {
    /// Clients for the cluster of this configuration.
    pub fn new(config: Config) -> kube::Result<Self> {
        let shared = if config.proxy_url.is_some() || config.tls_server_name.is_some() {
            None
        } else {
            let tls = tls::without_old_secrets(config.rustls_client_config()?);
            Some(Shared { tls, authentication: config.auth_layer()? })
        };
        Ok(Self { config, shared })
    }

    /// A client that connects when it is first used.
    pub fn client(&self) -> kube::Result<Client> {
        let Self { config, shared: Some(Shared { tls, authentication }) } = self else {
            return Client::try_from(self.config.clone());
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        // Else the first request waits some 40 ms for the acknowledgment of the end of a resumed handshake.
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let mut connector = TimeoutConnector::new(connector);
        connector.set_connect_timeout(config.connect_timeout);
        connector.set_read_timeout(config.read_timeout);
        connector.set_reset_reader_on_write(config.reset_reader_on_write);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(authentication.as_ref())
            .layer(config.extra_headers_layer()?)
            .map_err(BoxError::from)
            .service(legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector));
        Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_ends_the_handshake_is_given_up() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let mut config = Config::new(url.parse().unwrap());
        config.connect_timeout = Some(Duration::from_secs(5));
        let client = OwnConnections::new(config).unwrap().client().unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(6), client.apiserver_version());
        let (answer, accepted) = tokio::join!(asked, listener.accept());
        accepted.unwrap();
        answer.expect("it is given up").unwrap_err();
    }
}
