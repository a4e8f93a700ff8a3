//! One call: get a token, wait to be admitted, send one request, read one answer.
//!
//! | module | what is in it |
//! |---|---|
//! | `request`, `call` | a request, and the properties of each call that HTTP and metrics need |
//! | `answer`, `pages` | what an answer means, and how objects and lists are read from it |
//! | `sign_in` | tokens |
//! | `pacing` | which call is admitted next |
//! | `transport` | HTTPS, or a service in the same process |
//! | `options` | what clients need in addition to their connections |

mod answer;
mod call;
mod options;
mod pacing;
mod pages;
mod request;
mod sign_in;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::ConnectionConfig;
use super::wire;
use crate::entra::{Call, DateSample, ErrorKind, GraphError};
use call::{NO_CONNECTION, NO_TOKEN, NO_TURN, Service};
use pacing::{NotAdmitted, Pacer};
use sign_in::{Refusal, SignIn};

pub(super) use answer::{Answer, unexpected};
pub use call::{CallOutcomes, GET_TOKEN, NOT_SENT, call_outcomes};
pub use options::{Clock, OnDate, OnReport, Options, Report};
pub use pacing::{Pace, Pacing, Priority, Share};
pub(super) use request::Request;
pub(super) use sign_in::Token;
pub use transport::{
    Body, ReqwestTransport, SendOptions, Transport, TransportError, TransportSetupError,
};

const VERSION: &str = "/v1.0";
/// The outcome of a call that succeeded, in metric labels.
const OK: &str = "ok";
/// Only a new token contains a permission that was granted recently. So after a 403, a token older than this is not used
/// again.
const STALE_AFTER_REFUSAL: Duration = Duration::from_mins(5);

/// The exchanges of one connection with Graph.
pub(super) struct Exchange {
    connection: Arc<ConnectionConfig>,
    sign_in: SignIn,
    pacers: Pacers,
    options: Options,
}

/// The pacers of one app in one tenant: Graph counts calls by app, tenant and service. Calls of Conditional Access it counts
/// by tenant alone (documented).
#[derive(Clone)]
pub(super) struct Pacers {
    authentication_methods: Arc<Pacer>,
    logs: Arc<Pacer>,
    others: Arc<Pacer>,
    of_tenant: TenantPacer,
}

/// The pacer of Conditional Access of one tenant, for all its apps.
#[derive(Clone)]
pub(super) struct TenantPacer(Arc<Pacer>);

impl Default for TenantPacer {
    fn default() -> Self {
        Self(Arc::new(Pacer::new(Some(Pace::CONDITIONAL_ACCESS))))
    }
}

impl Pacers {
    pub(super) fn new(pace: Pace, of_tenant: TenantPacer) -> Self {
        Self {
            authentication_methods: Arc::new(Pacer::new(Some(pace))),
            logs: Arc::new(Pacer::new(Some(Pace::default()))),
            others: Arc::new(Pacer::new(Some(pace.of_others()))),
            of_tenant,
        }
    }
}

/// An attempt without an answer.
pub(super) struct Failure {
    pub(super) error: GraphError,
    /// Whether Graph may have received the request.
    pub(super) maybe_sent: bool,
}

impl Exchange {
    pub(super) fn new(connection: ConnectionConfig, pacers: Pacers, options: Options) -> Self {
        let connection = Arc::new(connection);
        let sign_in = SignIn::new(Arc::clone(&connection), &options);
        Self { connection, sign_in, pacers, options }
    }

    pub(super) fn connection(&self) -> &ConnectionConfig {
        &self.connection
    }

    /// The latest time at which a call that begins now may still be sent.
    fn latest(&self) -> Instant {
        Instant::now() + self.options.deadline
    }

    /// Opens the connection for the next answer with a code.
    pub(super) fn open_ahead(&self) {
        self.options.transport.open_ahead(&self.connection.graph_url);
    }

    /// Makes a call and returns an answer that means success. After a 401 the request is sent once more with a new token. A
    /// revocation that is throttled had no effect: it is sent again as soon as the pacer admits it, until the deadline.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Answer, GraphError> {
        let latest = self.latest();
        let mut is_renewed = false;
        loop {
            let answer = self.send_once(request).await;
            let Err(error) = &answer else { return answer };
            match error.kind {
                ErrorKind::Unauthorized if !is_renewed => is_renewed = true,
                ErrorKind::Throttled if request.priority == Priority::Revoke => {
                    let again = Instant::now() + error.retry_after.unwrap_or_default();
                    if again >= latest {
                        return answer;
                    }
                }
                _ => return answer,
            }
        }
    }

    async fn send_once(&self, request: &Request<'_>) -> Result<Answer, GraphError> {
        let answer = self.attempt(request, self.latest()).await.map_err(|failure| failure.error)?;
        // A page that a proxy shows with 200 deleted nothing.
        if answer.status.is_success() && answer::is_of_graph(&answer.headers) {
            self.answered(request.call, &answer, None);
            return Ok(answer);
        }
        let error = self.failure(request, &answer).await;
        self.answered(request.call, &answer, Some(&error));
        Err(error)
    }

    /// Sends one request unless it is not admitted by `latest`, and returns an answer of any status. It reports what happens
    /// until there is an answer; the caller [reports](Self::answered) what the answer means.
    pub(super) async fn attempt(
        &self,
        request: &Request<'_>,
        latest: Instant,
    ) -> Result<Answer, Failure> {
        let Self { connection, options, .. } = self;
        let unsent = |cause, error| {
            self.report(Report::NotSent { cause, error: &error });
            Failure { error, maybe_sent: false }
        };
        let client_request_id = match request.client_request_id {
            Some(id) => Box::from(id),
            None => uuid::Uuid::new_v4().to_string().into_boxed_str(),
        };
        let identified = |error: GraphError| GraphError {
            client_request_id: Some(client_request_id.clone()),
            ..error
        };
        let token = self.token(request.call, latest).await;
        let token = token.map_err(|error| unsent(NO_TOKEN, error))?;
        let asked = Instant::now();
        let admitted = self.pacer(request.call).admit(request.priority, &request.share, latest);
        let turn = admitted
            .await
            .map_err(|refused| unsent(NO_TURN, not_admitted(request.call, refused)))?;
        let priority = request.priority.label();
        self.report(Report::Admitted { priority, waited: asked.elapsed() });

        let url = format!("{}{VERSION}{}", connection.graph_url, request.path);
        let outgoing = request.outgoing(&url, &token, &client_request_id);
        let outgoing =
            outgoing.map_err(|error| Failure { error: identified(error), maybe_sent: false })?;
        let own_connection = request.call == Call::CreatePass;
        let (sent, began) = ((options.clock)(), Instant::now());
        let given_up = |error| {
            let error = identified(error);
            self.sent(request.call, began.elapsed(), Some(&error));
            Failure { error, maybe_sent: true }
        };
        let answer = options
            .transport
            .send(outgoing, SendOptions { own_connection, ..SendOptions::default() });
        let answer = match timeout(options.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(TransportError { maybe_sent, message })) => {
                let error = GraphError::new(request.call, ErrorKind::Unavailable, message);
                let failure = if maybe_sent {
                    given_up(error)
                } else {
                    unsent(NO_CONNECTION, identified(error))
                };
                return Err(failure);
            }
            Err(_) => {
                let message = format!("no answer within {} s", options.deadline.as_secs_f32());
                return Err(given_up(GraphError::new(
                    request.call,
                    ErrorKind::Unavailable,
                    message,
                )));
            }
        };
        let (received, took) = ((options.clock)(), began.elapsed());
        let (parts, body) = answer.into_parts();
        // Whatever answers in Graph's place, such as a proxy, has a clock of its own.
        if answer::is_of_graph(&parts.headers)
            && let Some(date) = wire::date(&parts.headers)
        {
            (options.on_date)(connection, DateSample { date, sent, received });
        }
        let (status, headers) = (parts.status, parts.headers);
        match status {
            StatusCode::TOO_MANY_REQUESTS => turn.refused(wire::retry_after(&headers, received)),
            // It may be overloaded, or say nothing about Graph.
            _ if status.is_server_error() => drop(turn),
            _ => turn.taken(),
        }
        Ok(Answer { status, headers, body, client_request_id, token, received, took })
    }

    /// Returns the current token, or a new one.
    pub(super) async fn current_token(&self) -> Result<Arc<Token>, GraphError> {
        self.token(Call::Token, self.latest()).await
    }

    /// Returns a token that contains what was granted more than 5 minutes ago. If there is no new token, the current one
    /// stays in use.
    pub(super) async fn recent_token(&self) -> Result<Arc<Token>, GraphError> {
        let latest = self.latest();
        let token = self.token(Call::Token, latest).await?;
        if token.age() <= STALE_AFTER_REFUSAL {
            return Ok(token);
        }
        let renewed = timeout_at(latest, self.sign_in.renew()).await;
        Ok(renewed.ok().flatten().unwrap_or(token))
    }

    async fn token(&self, call: Call, latest: Instant) -> Result<Arc<Token>, GraphError> {
        let deadline = latest.min(self.latest());
        let refusal = match timeout_at(deadline, self.sign_in.token()).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::late(),
        };
        Err(refusal.error(call))
    }

    /// Returns what an answer without success means for this call, and applies what it means for later ones: a token that
    /// is no longer used.
    pub(super) async fn failure(&self, request: &Request<'_>, answer: &Answer) -> GraphError {
        let error = answer.error(request);
        match error.kind {
            ErrorKind::Unauthorized => self.sign_in.forget(&answer.token).await,
            ErrorKind::Forbidden if answer.token.age() > STALE_AFTER_REFUSAL => {
                self.sign_in.doubt(&answer.token).await;
            }
            _ => {}
        }
        error
    }

    fn pacer(&self, call: Call) -> &Pacer {
        match call.service() {
            Service::AuthenticationMethods => &self.pacers.authentication_methods,
            Service::Logs => &self.pacers.logs,
            Service::ConditionalAccess => &self.pacers.of_tenant.0,
            Service::Others => &self.pacers.others,
        }
    }

    /// Reports a call that was answered, and what the answer means.
    pub(super) fn answered(&self, call: Call, answer: &Answer, error: Option<&GraphError>) {
        self.sent(call, answer.took, error);
    }

    fn sent(&self, call: Call, duration: Duration, error: Option<&GraphError>) {
        let outcome = error.map_or(OK, |error| error.kind.label());
        self.report(Report::Sent { call: call.label(), outcome, duration, error });
    }

    fn report(&self, report: Report<'_>) {
        (self.options.on_report)(&self.connection, report);
    }

    /// The calls to authentication methods, to logs, to Conditional Access, and all others, that wait for their turn.
    pub(super) fn pacing(&self) -> [(&'static str, Pacing); 4] {
        let Pacers { authentication_methods, logs, others, of_tenant } = &self.pacers;
        [
            ("authentication_methods", authentication_methods.state()),
            ("logs", logs.state()),
            ("conditional_access", of_tenant.0.state()),
            ("others", others.state()),
        ]
    }
}

fn not_admitted(call: Call, NotAdmitted { retry_after }: NotAdmitted) -> GraphError {
    let message = "not sent: too many calls are waiting, or Graph asked the client to wait";
    let error = GraphError::new(call, ErrorKind::Throttled, message);
    GraphError { retry_after: Some(retry_after), ..error }
}
