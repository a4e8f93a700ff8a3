//! The credential of a connection, as `azure_identity` takes it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{
    ClientMethodOptions, ClientOptions, HttpClient, RetryOptions, Transport, UserAgentOptions,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::certificate::SigningCertificate;
use super::refusal::Refusal;
use crate::entra::SignInErrorKind;
use crate::graph::connection::{ConnectionConfig, Credential};
use crate::graph::wire;
use crate::secret_file::{self, SecretFileError};

/// Returns the credential of a connection. It reads the files of the connection, so that a rotated secret takes effect at
/// the next token.
pub(super) fn credential(
    connection: &ConnectionConfig,
    http_client: &Arc<dyn HttpClient>,
    now: Timestamp,
) -> Result<Arc<dyn TokenCredential>, Refusal> {
    let (tenant, client) = (connection.tenant_id.clone(), connection.client_id.clone());
    let client_options = client_options(connection, http_client);
    let by_assertion = |assertion, client_options| {
        let options = ClientAssertionCredentialOptions { client_options };
        let assertion = Assertion(assertion);
        ClientAssertionCredential::new(tenant.clone(), client.clone(), assertion, Some(options))
    };
    let credential: Result<Arc<dyn TokenCredential>, _> = match &connection.credential {
        Credential::ClientSecret { file } => {
            let secret = secret_file::text(file).map_err(unreadable(file))?;
            let secret = Secret::new(secret.to_string());
            let options = ClientSecretCredentialOptions { client_options };
            ClientSecretCredential::new(&tenant, client, secret, Some(options))
                .map(|credential| credential as _)
        }
        Credential::ClientCertificate { certificate_file, key_file } => {
            let audience = connection.token_endpoint();
            let unusable = |error| {
                let certificate = certificate_file.display();
                let files = if certificate_file == key_file {
                    certificate.to_string()
                } else {
                    format!("{certificate} and {}", key_file.display())
                };
                Refusal::new(SignInErrorKind::CredentialFile, format!("{files}: {error}"))
            };
            let [certificate, key] = [certificate_file, key_file]
                .map(|file| secret_file::bytes(file).map_err(unreadable(file)));
            let (certificate, key) = (certificate?, key?);
            let assertion = SigningCertificate::read(&certificate, &key)
                .and_then(|signing| signing.assertion(&client, &audience, now))
                .map_err(unusable)?;
            by_assertion(assertion, client_options).map(|credential| credential as _)
        }
        Credential::WorkloadIdentity { token_file } => {
            let token = secret_file::text(token_file).map_err(unreadable(token_file))?;
            by_assertion(token, client_options).map(|credential| credential as _)
        }
        Credential::ManagedIdentity => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: Some(UserAssignedId::ClientId(client)),
                client_options,
            };
            ManagedIdentityCredential::new(Some(options)).map(|credential| credential as _)
        }
    };
    credential.map_err(|error| {
        Refusal::new(SignInErrorKind::Other, wire::printable(&error.to_string(), 400))
    })
}

fn unreadable(file: &Path) -> impl FnOnce(SecretFileError) -> Refusal {
    move |error| {
        Refusal::new(SignInErrorKind::CredentialFile, format!("{}: {error}", file.display()))
    }
}

fn client_options(
    connection: &ConnectionConfig,
    http_client: &Arc<dyn HttpClient>,
) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host.clone_from(&connection.login_url);
    ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::clone(http_client))),
        user_agent: UserAgentOptions { application_id: Some("tap-operator".to_owned()) },
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..ClientOptions::default()
    }
}

/// A finished assertion: one that was signed here, or the token of the service account.
struct Assertion(Zeroizing<String>);

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion(..)")
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.to_string())
    }
}
