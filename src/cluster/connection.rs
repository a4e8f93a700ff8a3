//! Connections to the API server that nothing else uses: that of an attempt, on which a code travels, and that of the lease.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use rustls::ClientConfig;
use tower::{BoxError, ServiceBuilder};

/// Makes clients of which each has a connection of its own.
///
/// Their connections share the TLS configuration, because to make one is dear: it reads the certificate authorities and the
/// client's own certificate. It also keeps the tickets that the API server gives, with which the next connection resumes a
/// session: the API server does not sign again, and the client verifies no certificates again.
pub struct OwnConnections {
    config: Config,
    /// Absent where kube makes each of them, because it alone knows the way: through a proxy, or to a server by another name.
    shared: Option<ClientConfig>,
}

impl OwnConnections {
    /// Clients for the cluster of this configuration.
    pub fn new(config: Config) -> kube::Result<Self> {
        let direct = config.proxy_url.is_none() && config.tls_server_name.is_none();
        let shared = direct.then(|| config.rustls_client_config()).transpose()?;
        Ok(Self { config, shared })
    }

    /// A client that connects when it is first used.
    pub fn client(&self) -> kube::Result<Client> {
        let Self { config, shared: Some(tls) } = self else {
            return Client::try_from(self.config.clone());
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(config.connect_timeout);
        // Else the first request waits some 40 ms for the acknowledgment of the end of a resumed handshake.
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .map_err(BoxError::from)
            .service(legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector));
        Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
    }
}
