//! Tokens for Graph. The OAuth exchange is `azure_identity`'s; here are its credentials, its way to Entra, and what its
//! failures mean.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{
    AsyncRawResponse, ClientMethodOptions, ClientOptions, HttpClient, RetryOptions, StatusCode,
    Transport as AzureTransport, UserAgentOptions, request::Body as AzureBody,
};
use azure_core::time::OffsetDateTime;
use azure_core::{
    cloud::CloudConfiguration, cloud::CustomConfiguration, error::ErrorKind as Azure,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use bytes::Bytes;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::certificate::SigningCertificate;
use super::connection::{ConnectionConfig, Credential};
use super::error::SignInErrorKind;
use super::transport::{SendOptions, Transport};
use super::{Clock, wire};

/// A token is renewed so long before its end.
const RENEWAL: Duration = Duration::from_mins(5);
/// After a refusal that a human must mend, Entra is left alone for so long: a thousand requests that wait for a token
/// must not become a thousand failed sign-ins.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// The longest that one `Retry-After` of Entra is believed.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// An access token.
pub(super) struct Token {
    header: http::HeaderValue,
    secret: Secret,
    renew_at: Instant,
    fetched: Instant,
}

impl Token {
    /// The value of `Authorization`, marked as sensitive.
    pub(super) fn header(&self) -> http::HeaderValue {
        self.header.clone()
    }

    /// The permissions in it, if they can be read.
    pub(super) fn roles(&self) -> Option<Vec<String>> {
        wire::token_claims(self.secret.secret()).map(|claims| claims.roles)
    }

    /// How long it has been in use.
    pub(super) fn age(&self) -> Duration {
        self.fetched.elapsed()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: SignInErrorKind,
    pub(super) status: Option<u16>,
    /// `AADSTS` with its number, else OAuth's error.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    fn new(kind: SignInErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, code: String::new(), message: message.into(), retry_after: None }
    }

    /// Entra did not answer in time.
    pub(super) fn late() -> Self {
        Self::new(SignInErrorKind::Unavailable, "no token in time")
    }
}

/// The tokens of one connection. They are fetched by one caller at a time.
pub(super) struct SignIn {
    connection: Arc<ConnectionConfig>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Arc<Token>>,
    paused: Option<(Instant, Refusal)>,
}

impl SignIn {
    pub(super) fn new(
        connection: Arc<ConnectionConfig>,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Self {
        Self { connection, transport, clock, held: tokio::sync::Mutex::default() }
    }

    /// The current token, or a new one. Unbounded in time: the caller's deadline holds.
    pub(super) async fn token(&self) -> Result<Arc<Token>, Refusal> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        if let Some(token) = held.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(token));
        }
        if let Some((until, refusal)) = held.paused.as_ref().filter(|(until, _)| now < *until) {
            let mut refusal = refusal.clone();
            refusal.retry_after = refusal.retry_after.map(|_| *until - now);
            return Err(refusal);
        }
        let fetched = self.fetch().await;
        match &fetched {
            Ok(token) => *held = Held { token: Some(Arc::clone(token)), paused: None },
            Err(refusal) => {
                let pause = match (refusal.kind, refusal.retry_after) {
                    (_, Some(wait)) => wait.min(LONGEST_PAUSE),
                    (SignInErrorKind::Unavailable | SignInErrorKind::Throttled, None) => {
                        Duration::ZERO
                    }
                    (_, None) => PAUSE_AFTER_REFUSAL,
                };
                held.paused = Some((Instant::now() + pause, refusal.clone()));
            }
        }
        fetched
    }

    /// A new token in place of the current one. Where none can be had, the current one stays, and others who ask for it
    /// do not wait meanwhile. Unbounded in time: the caller's deadline holds.
    pub(super) async fn renew(&self) -> Option<Arc<Token>> {
        let token = self.fetch().await.ok()?;
        *self.held.lock().await = Held { token: Some(Arc::clone(&token)), paused: None };
        Some(token)
    }

    /// Does not hand this token out again.
    pub(super) async fn forget(&self, token: &Arc<Token>) {
        let mut held = self.held.lock().await;
        if held.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            held.token = None;
        }
    }

    /// Gets a new token. Every credential is made anew, so that what was rotated in its file counts at once.
    async fn fetch(&self) -> Result<Arc<Token>, Refusal> {
        let way = Arc::new(Way {
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.clock),
            identity_endpoint: matches!(self.connection.credential, Credential::ManagedIdentity),
            seen: Mutex::default(),
        });
        let credential = self.credential(&way)?;
        let token = credential
            .get_token(&[&self.connection.scope()], None)
            .await
            .map_err(|error| self.explain(&way, &error))?;
        self.check_tenant(&token)?;
        let unusable = || Refusal::new(SignInErrorKind::Unavailable, "the token cannot be used");
        let mut header = http::HeaderValue::from_str(&format!("Bearer {}", token.token.secret()))
            .map_err(|_| unusable())?;
        header.set_sensitive(true);
        if token.token.secret().is_empty() {
            return Err(unusable());
        }
        // The library counts with the system's clock; from here on the monotonic one is enough.
        let lasts = token.expires_on - OffsetDateTime::now_utc();
        let lasts = Duration::try_from(lasts).unwrap_or(Duration::ZERO);
        let fetched = Instant::now();
        let renew_at = fetched + lasts.saturating_sub(RENEWAL.min(lasts / 2));
        Ok(Arc::new(Token { header, secret: token.token, renew_at, fetched }))
    }

    fn credential(&self, way: &Arc<Way>) -> Result<Arc<dyn TokenCredential>, Refusal> {
        let connection = &self.connection;
        let (tenant, client) = (connection.tenant_id.clone(), connection.client_id.clone());
        let options = self.options(way);
        let by_assertion = |assertion: Zeroizing<String>| {
            let options = ClientAssertionCredentialOptions { client_options: self.options(way) };
            ClientAssertionCredential::new(
                tenant.clone(),
                client.clone(),
                Assertion(assertion),
                Some(options),
            )
        };
        let credential: Result<Arc<dyn TokenCredential>, _> = match &connection.credential {
            Credential::ClientSecret { file } => {
                let secret = Secret::new(read_text(file)?.to_string());
                let options = ClientSecretCredentialOptions { client_options: options };
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
                let certificate = read_file(certificate_file)?;
                let key = read_file(key_file)?;
                let assertion = SigningCertificate::read(&certificate, &key)
                    .and_then(|signing| signing.assertion(&client, &audience, (self.clock)()))
                    .map_err(unusable)?;
                by_assertion(assertion).map(|credential| credential as _)
            }
            Credential::WorkloadIdentity { token_file } => {
                by_assertion(read_text(token_file)?).map(|credential| credential as _)
            }
            Credential::ManagedIdentity => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: Some(UserAssignedId::ClientId(client)),
                    client_options: options,
                };
                ManagedIdentityCredential::new(Some(options)).map(|credential| credential as _)
            }
        };
        credential.map_err(|error| {
            Refusal::new(SignInErrorKind::Other, wire::printable(&error.to_string(), 400))
        })
    }

    fn options(&self, way: &Arc<Way>) -> ClientOptions {
        let way: Arc<dyn HttpClient> = Arc::clone(way) as _;
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host.clone_from(&self.connection.login_url);
        ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(AzureTransport::new(way)),
            user_agent: UserAgentOptions { application_id: Some("tap-operator".to_owned()) },
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        }
    }

    /// A managed identity belongs to one tenant, whatever the configuration says.
    fn check_tenant(&self, token: &AccessToken) -> Result<(), Refusal> {
        let claims = wire::token_claims(token.token.secret());
        match claims.and_then(|claims| claims.tid) {
            Some(tid) if !tid.eq_ignore_ascii_case(&self.connection.tenant_id) => {
                Err(Refusal::new(
                    SignInErrorKind::WrongTenant,
                    format!(
                        "the token is for the tenant {}, but the connection is to {}",
                        wire::printable(&tid, 80),
                        self.connection.tenant_id
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Says why it failed by what went over the wire; the library's error is only asked where nothing did.
    fn explain(&self, way: &Way, error: &azure_core::Error) -> Refusal {
        let managed = matches!(self.connection.credential, Credential::ManagedIdentity);
        let or_managed = |kind| if managed { SignInErrorKind::ManagedIdentity } else { kind };
        match way.seen.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Seen::Answer { status, retry_after, body }) if !(200..300).contains(&status) => {
                let mut refusal = refused(status, &body);
                if refusal.kind == SignInErrorKind::Other {
                    refusal.kind = or_managed(SignInErrorKind::Other);
                }
                refusal.retry_after = retry_after;
                refusal
            }
            Some(Seen::Answer { status, .. }) => Refusal {
                status: Some(status),
                ..Refusal::new(SignInErrorKind::Unavailable, "the answer cannot be read")
            },
            Some(Seen::Nothing(message)) => {
                Refusal::new(or_managed(SignInErrorKind::Unavailable), message)
            }
            None => Refusal::new(
                or_managed(SignInErrorKind::Other),
                wire::printable(&error.to_string(), 400),
            ),
        }
    }
}

/// What an answer without a token means.
fn refused(status: u16, body: &[u8]) -> Refusal {
    let answer: wire::TokenErrorAnswer = wire::read(body).unwrap_or_default();
    let kind = match status {
        429 => SignInErrorKind::Throttled,
        500.. | 408 => SignInErrorKind::Unavailable,
        _ if answer.error == "temporarily_unavailable" => SignInErrorKind::Unavailable,
        _ => (answer.numbers().into_iter())
            .find_map(SignInErrorKind::of_aadsts)
            .unwrap_or(SignInErrorKind::Other),
    };
    let sentence = answer.sentence();
    Refusal {
        kind,
        status: Some(status),
        code: match answer.numbers().first() {
            Some(number) => format!("AADSTS{number}"),
            None => wire::printable(&answer.error, 80),
        },
        message: if sentence.is_empty() { "no reason was given".into() } else { sentence },
        retry_after: None,
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let content = std::fs::read(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Refusal::new(SignInErrorKind::CredentialFile, message)
    })?;
    Ok(Zeroizing::new(content))
}

/// A file's text without the line end that editors and `echo` leave behind.
fn read_text(path: &Path) -> Result<Zeroizing<String>, Refusal> {
    let wrong = |what: &str| {
        Refusal::new(SignInErrorKind::CredentialFile, format!("{} {what}", path.display()))
    };
    let content = read_file(path)?;
    match std::str::from_utf8(&content).map(str::trim) {
        Err(_) => Err(wrong("is not text")),
        Ok("") => Err(wrong("is empty")),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
    }
}

/// An assertion that is ready: a signed one, or the service account's token.
struct Assertion(Zeroizing<String>);

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(..)")
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.to_string())
    }
}

/// The library's way to Entra: our transport. It keeps what the library's errors do not tell.
struct Way {
    transport: Arc<dyn Transport>,
    clock: Clock,
    identity_endpoint: bool,
    seen: Mutex<Option<Seen>>,
}

/// What came back last. The body of an answer with a token is not kept.
enum Seen {
    Answer { status: u16, retry_after: Option<Duration>, body: Vec<u8> },
    Nothing(String),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Way {
    fn note(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

#[async_trait]
impl HttpClient for Way {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        let failed = |message: String| azure_core::Error::with_message(Azure::Io, message);
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
                self.note(Seen::Nothing(error.message.clone()));
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
        self.note(Seen::Answer {
            status,
            retry_after: wire::retry_after(answer.headers(), now),
            body: if answer.status().is_success() { Vec::new() } else { answer.body().to_vec() },
        });
        let body = Bytes::copy_from_slice(answer.body());
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body))
    }
}
