//! A valid connection to one tenant.

use std::path::PathBuf;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_cert::der::Decode as _;

use crate::api::Ceilings;
use crate::entra::{Cloud, UserNames};
use crate::graph::wire;
use crate::secret_file;

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
    /// What no policy of this tenant may exceed, as far as this connection says. Those of the others of one tenant count, too.
    pub ceilings: Ceilings,
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

impl Credential {
    /// Its kind, as the tenants file names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientSecret { .. } => "clientSecret",
            Self::ClientCertificate { .. } => "clientCertificate",
            Self::WorkloadIdentity { .. } => "workloadIdentity",
            Self::ManagedIdentity => "managedIdentity",
        }
    }

    /// When it expires, as its files say now: the certificate, of several the first to expire, or the token of the service
    /// account. `None` if they cannot be read, and for what only Entra knows, such as the end of a client secret.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::ClientCertificate { certificate_file, .. } => {
                let pem = secret_file::bytes(certificate_file).ok()?;
                CertificateDer::pem_slice_iter(&pem).flatten().filter_map(|der| ends(&der)).min()
            }
            Self::WorkloadIdentity { token_file } => {
                let token = secret_file::text(token_file).ok()?;
                Timestamp::from_second(wire::token_claims(&token)?.exp?).ok()
            }
            Self::ClientSecret { .. } | Self::ManagedIdentity => None,
        }
    }
}

/// The end of the validity of a certificate.
fn ends(der: &[u8]) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let ends = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(ends.as_secs()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn a_certificate_and_a_service_account_token_tell_when_they_expire() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let certificate = |year| {
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 2, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            parameters.self_signed(&key).unwrap().pem()
        };
        let both = format!("{}{}", certificate(2031), certificate(2030));
        let of_certificate = |name: &str, pem: &str| {
            let certificate_file = file(name, pem);
            let key_file = certificate_file.clone();
            Credential::ClientCertificate { certificate_file, key_file }.expires()
        };
        let expected: Timestamp = "2030-02-01T00:00:00Z".parse().unwrap();
        assert_eq!(of_certificate("both.crt", &both), Some(expected));
        assert_eq!(of_certificate("none.crt", "no certificate"), None);

        let claims =
            URL_SAFE_NO_PAD.encode(r#"{"exp":1896134400,"sub":"system:serviceaccount:a:b"}"#);
        let token_file = file("token", &format!("e30.{claims}.x\n"));
        assert_eq!(Credential::WorkloadIdentity { token_file }.expires(), Some(expected));
        let token_file = directory.path().join("missing");
        assert_eq!(Credential::WorkloadIdentity { token_file }.expires(), None);
    }
}
