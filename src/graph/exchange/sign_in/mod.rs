//! Tokens for Graph. `azure_identity` does the OAuth exchange; this module supplies its credentials and its HTTP client,
//! and explains its failures.

mod certificate;
mod credential;
mod http_client;
mod refusal;
mod token;

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::AccessToken;
use azure_core::http::HttpClient;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::OK;
use super::call::NO_TOKEN;
use super::options::{Clock, OnReport, Options, Report};
use super::transport::Transport;
use crate::entra::{Call, ErrorKind, SignInErrorKind};
use crate::graph::connection::{ConnectionConfig, Credential};
use crate::graph::wire;
use http_client::{Recorded, RecordingClient};

pub(super) use refusal::Refusal;
pub(in crate::graph) use token::Token;

/// How long Entra is left alone after a refusal that only a person can resolve. Otherwise a thousand requests that wait for
/// a token would become a thousand failed sign-ins.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// How long a refusal stands at least, so that those who waited for the same try share it.
const SHARED_FOR: Duration = Duration::from_secs(2);

/// When a refused sign-in that may pass by itself is tried again: about one federated exchange in fifty is refused although
/// everything is right (reported). While there is no token, callers wait for the first two of these.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];
/// How often a caller without a token waits for another try.
const TRIES_AT_ONCE: usize = 2;
/// How long a renewal may keep callers waiting who have a token that is still good.
const RENEWAL_DEADLINE: Duration = Duration::from_secs(5);

/// The tokens of one connection. One caller at a time fetches a token.
pub(super) struct SignIn {
    connection: Arc<ConnectionConfig>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    wall: Clock,
    on_report: OnReport,
    /// How long to try to get the first token.
    patience: Duration,
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Arc<Token>>,
    /// Whether another token is wanted before this one is near its end.
    is_stale: bool,
    /// How many renewals in a row were refused.
    refused: usize,
    /// The last refusal, and until when it stands without asking again.
    paused: Option<(Instant, Refusal)>,
}

impl Held {
    fn with(token: &Arc<Token>) -> Self {
        Self { token: Some(Arc::clone(token)), ..Self::default() }
    }
}

impl SignIn {
    pub(super) fn new(connection: Arc<ConnectionConfig>, options: &Options) -> Self {
        Self {
            connection,
            transport: Arc::clone(&options.transport),
            clock: Arc::clone(&options.clock),
            wall: Arc::clone(&options.wall),
            on_report: Arc::clone(&options.on_report),
            // It ends before its callers give up, so that they learn why there is no token, and share it.
            patience: options.deadline * 2 / 3,
            held: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the current token or a new one. It has no time limit of its own; the caller must set one.
    pub(super) async fn token(&self) -> Result<Arc<Token>, Refusal> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        let is_fresh = |token: &&Arc<Token>| now < token.renew_at && !held.is_stale;
        if let Some(token) = held.token.as_ref().filter(is_fresh) {
            return Ok(Arc::clone(token));
        }
        let good = held.token.as_ref().filter(|token| now < token.good_until).cloned();
        if let Some((until, refusal)) = held.paused.as_ref().filter(|(until, _)| now < *until) {
            let mut refusal = refusal.clone();
            refusal.retry_after = refusal.retry_after.map(|_| *until - now);
            return good.ok_or(refusal);
        }
        let fetched = match &good {
            Some(_) => {
                timeout(RENEWAL_DEADLINE, self.fetch()).await.unwrap_or(Err(Refusal::late()))
            }
            None => self.fetch_patiently().await,
        };
        match fetched {
            Ok(token) => {
                *held = Held::with(&token);
                self.report(Report::SignedIn(Ok(())));
                Ok(token)
            }
            Err(refusal) => {
                let again = AGAIN[held.refused.min(AGAIN.len() - 1)];
                let pause = match (refusal.kind, refusal.retry_after) {
                    (_, Some(wait)) => wait.max(SHARED_FOR),
                    _ if good.is_some() => again,
                    (SignInErrorKind::Throttled, None) => again,
                    (SignInErrorKind::Unavailable, None) => SHARED_FOR,
                    (_, None) => PAUSE_AFTER_REFUSAL,
                };
                held.refused += 1;
                // While a token is good, a refusal that may pass is not told before it came again.
                if good.is_none() || !refusal.kind.may_pass() || held.refused > TRIES_AT_ONCE {
                    let error = refusal.clone().error(Call::Token);
                    self.report(Report::SignedIn(Err(&error)));
                }
                held.paused = Some((Instant::now() + pause, refusal.clone()));
                let Some(good) = good else { return Err(refusal) };
                tracing::warn!(
                    connection = self.connection.name,
                    code = refusal.code,
                    "there is no new token yet, so the current one is used on: {}",
                    refusal.message
                );
                Ok(good)
            }
        }
    }

    /// Gets the first token. A refusal that may pass by itself is not told before it came again.
    async fn fetch_patiently(&self) -> Result<Arc<Token>, Refusal> {
        let until = Instant::now() + self.patience;
        let mut last = Refusal::late();
        for pause in AGAIN.into_iter().take(TRIES_AT_ONCE) {
            match timeout_at(until, self.fetch()).await {
                Ok(Err(refusal)) if refusal.kind.may_pass() => last = refusal,
                Ok(outcome) => return outcome,
                Err(_) => return Err(last),
            }
            if Instant::now() + pause >= until {
                return Err(last);
            }
            sleep(pause).await;
        }
        timeout_at(until, self.fetch()).await.unwrap_or(Err(last))
    }

    /// Replaces the current token with a new one and returns it. If there is no new token, the current one stays. Other
    /// callers get the current token meanwhile. It has no time limit of its own; the caller must set one.
    pub(super) async fn renew(&self) -> Option<Arc<Token>> {
        let token = self.fetch().await.ok()?;
        *self.held.lock().await = Held::with(&token);
        self.report(Report::SignedIn(Ok(())));
        Some(token)
    }

    /// Wants another token, and uses this one until there is one.
    pub(super) async fn doubt(&self, token: &Arc<Token>) {
        let mut held = self.held.lock().await;
        held.is_stale |= held.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token));
    }

    /// Stops using this token.
    pub(super) async fn forget(&self, token: &Arc<Token>) {
        let mut held = self.held.lock().await;
        if held.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            held.token = None;
        }
    }

    fn report(&self, report: Report<'_>) {
        (self.on_report)(&self.connection, report);
    }

    /// Gets a new token, with a new credential, and reports how that went.
    async fn fetch(&self) -> Result<Arc<Token>, Refusal> {
        let began = Instant::now();
        let fetched = self.exchange().await;
        let error = fetched.as_ref().err().map(|refusal| refusal.clone().error(Call::Token));
        let kind = fetched.as_ref().err().map(|refusal| refusal.kind);
        let outcome = match kind {
            None => OK,
            Some(SignInErrorKind::Throttled) => ErrorKind::Throttled.label(),
            Some(SignInErrorKind::Unavailable) => ErrorKind::Unavailable.label(),
            Some(kind) => ErrorKind::SignIn(kind).label(),
        };
        match (kind, &error) {
            // Nothing was sent without a credential.
            (Some(SignInErrorKind::CredentialFile), Some(error)) => {
                self.report(Report::NotSent { cause: NO_TOKEN, error });
            }
            (_, error) => self.report(Report::Sent {
                call: Call::Token.label(),
                outcome,
                duration: began.elapsed(),
                error: error.as_ref(),
            }),
        }
        fetched
    }

    async fn exchange(&self) -> Result<Arc<Token>, Refusal> {
        let client = Arc::new(RecordingClient::new(
            Arc::clone(&self.transport),
            Arc::clone(&self.clock),
            self.is_managed_identity(),
        ));
        let http_client: Arc<dyn HttpClient> = Arc::clone(&client) as _;
        let credential = credential::credential(&self.connection, &http_client, (self.wall)())?;
        let token = credential
            .get_token(&[&self.connection.scope()], None)
            .await
            .map_err(|error| self.explain(client.take_last(), &error))?;
        self.check_tenant(&token)?;
        Ok(Arc::new(Token::new(token)?))
    }

    fn is_managed_identity(&self) -> bool {
        matches!(self.connection.credential, Credential::ManagedIdentity)
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

    /// Explains a failure by the answer of the last request. The error of the library is used only if no request was sent.
    fn explain(&self, last: Option<Recorded>, error: &azure_core::Error) -> Refusal {
        let managed = self.is_managed_identity();
        let or_managed = |kind| if managed { SignInErrorKind::ManagedIdentity } else { kind };
        match last {
            Some(Recorded::Answer { status, retry_after, body })
                if !(200..300).contains(&status) =>
            {
                let mut refusal = Refusal::of_answer(status, &body);
                if refusal.kind == SignInErrorKind::Other {
                    refusal.kind = or_managed(SignInErrorKind::Other);
                }
                refusal.retry_after = retry_after;
                refusal
            }
            Some(Recorded::Answer { status, .. }) => Refusal {
                status: Some(status),
                ..Refusal::new(SignInErrorKind::Unavailable, "the answer cannot be read")
            },
            Some(Recorded::NoAnswer(message)) => {
                Refusal::new(or_managed(SignInErrorKind::Unavailable), message)
            }
            None => Refusal::new(
                or_managed(SignInErrorKind::Other),
                wire::printable(&error.to_string(), 400),
            ),
        }
    }
}
