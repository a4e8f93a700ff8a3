//! A valid connection to one tenant.

use std::path::PathBuf;

use crate::entra::{Cloud, UserNames};

/// A connection to one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// The name that policies use: `spec.tenant`.
    pub name: String,
    /// The tenant's id, a GUID in lower case.
    pub tenant_id: String,
    /// The app's id (client id), a GUID in lower case.
    pub client_id: String,
    /// The cloud in which the tenant is.
    pub cloud: Cloud,
    /// How the app proves its identity.
    pub credential: Credential,
    /// Scheme and host of the login, such as `https://login.microsoftonline.com`.
    pub login_url: String,
    /// Scheme and host of Graph, such as `https://graph.microsoft.com`.
    pub graph_url: String,
    /// How Kubernetes user names map to users of the tenant. `None` if it was not configured.
    pub users: Option<UserNames>,
}

impl ConnectionConfig {
    /// The scope of the tokens: everything that was granted for Graph.
    pub(in crate::graph) fn scope(&self) -> String {
        format!("{}/.default", self.graph_url)
    }

    /// The endpoint that issues the tokens.
    pub(in crate::graph) fn token_endpoint(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.login_url, self.tenant_id)
    }
}

/// How the app proves its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A client secret. The file is read again for each token.
    ClientSecret {
        /// Contains the secret and nothing else.
        file: PathBuf,
    },
    /// A certificate and its private key in PEM form. Both files are read again for each token.
    ClientCertificate {
        /// The certificate, or a chain that contains it.
        certificate_file: PathBuf,
        /// The unencrypted RSA key. May be the same file.
        key_file: PathBuf,
    },
    /// The token of the service account, exchanged through a federated credential of the app.
    WorkloadIdentity {
        /// Contains the projected token. It is read again for each exchange.
        token_file: PathBuf,
    },
    /// The managed identity with the connection's client id, through the identity endpoint of the platform.
    ManagedIdentity,
}
