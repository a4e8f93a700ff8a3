//! From the wire to the tenant and back: faults, the log, observers, and the router.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    clock::shifted,
    control,
    faults::FaultKind,
    login::caller::claims_challenge,
    operation::Operation,
    requests::Exchange,
    simulator::Simulator,
    switches::RetryAfterForm,
    wire::{Answer, Content, Incoming, Refusal, http_date, retry_after},
};

/// No request to the tenant is larger.
const LARGEST_BODY: usize = 4 << 20;

/// The connection was cut: no answer left.
///
/// Over TLS a client sees that by itself. In-process it is what [`Simulator::call`] returns, and an extension of the
/// response that [`Simulator::router`] gives, whose body fails when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was cut")]
pub struct ConnectionCut;

impl Simulator {
    /// Everything on one router: login, Graph under `/v1.0`, and `/_sim`.
    pub fn router(&self) -> Router {
        let simulator = self.clone();
        Router::new().fallback(move |request: Request| {
            let simulator = simulator.clone();
            async move { simulator.serve(request).await }
        })
    }

    /// Sends one request in-process. A connection that was cut is an error, as it is for a client.
    pub async fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ConnectionCut> {
        let (parts, body) = self.serve(request.map(Body::from)).await.into_parts();
        if let Some(cut) = parts.extensions.get::<ConnectionCut>() {
            return Err(*cut);
        }
        // A body that is not cut is whole, and in memory.
        let body = to_bytes(body, usize::MAX).await.map_err(|_| ConnectionCut)?;
        Ok(http::Response::from_parts(parts, body))
    }

    async fn serve(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, LARGEST_BODY).await else { return cut_response() };
        let mut headers = parts.headers;
        if let (None, Some(authority)) = (headers.get(header::HOST), parts.uri.authority())
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            headers.insert(header::HOST, host);
        }
        let incoming = Incoming {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers,
            body,
        };
        if incoming.path == "/_sim" || incoming.path.starts_with("/_sim/") {
            let answer = control::answer(self, &incoming);
            return response(&answer, self.now());
        }
        match self.exchange(&incoming).await {
            Some(response) => response,
            None => cut_response(),
        }
    }

    /// One request to login or Graph. `None`: no answer leaves.
    async fn exchange(&self, incoming: &Incoming) -> Option<Response> {
        let (number, fault) = {
            let mut state = self.lock();
            let operation = Operation::of(incoming, &state.switches);
            let unreachable = state.unreachable;
            let fault = if unreachable {
                Some(FaultKind::ConnectionCut)
            } else {
                state.faults.next(operation, incoming.method.as_str(), &incoming.path)
            };
            let name = fault
                .as_ref()
                .map(|fault| if unreachable { "unreachable".into() } else { format!("{fault:?}") });
            let now = state.now();
            (state.requests.begin(now, operation, incoming, None, name), fault)
        };
        let mut date_offset = 0;
        let mut answer = match fault {
            None => self.act(incoming, number),
            Some(FaultKind::AnswerLost) => {
                self.act(incoming, number);
                return self.cut(incoming, number);
            }
            Some(FaultKind::ConnectionCut) => return self.cut(incoming, number),
            Some(FaultKind::AnswerHangs) => {
                self.act(incoming, number);
                self.gateway_timeout(incoming, None).await
            }
            Some(FaultKind::LateCommit { after_seconds }) => {
                // A task of its own: it takes effect though nobody waits any longer.
                let (simulator, late) = (self.clone(), incoming.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(after_seconds)).await;
                    simulator.act(&late, number);
                });
                self.gateway_timeout(incoming, None).await
            }
            Some(FaultKind::Slow { seconds }) => {
                let answer = self.act(incoming, number);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                answer
            }
            Some(FaultKind::Hang { seconds }) => self.gateway_timeout(incoming, seconds).await,
            Some(FaultKind::Throttled { retry_after_seconds, form }) => {
                self.throttled(incoming, retry_after_seconds, form)
            }
            Some(FaultKind::Status { status, effect, code, retry_after_seconds }) => {
                if effect {
                    self.act(incoming, number);
                }
                self.failed(incoming, status, code, retry_after_seconds)
            }
            Some(FaultKind::Html { status, effect }) => {
                if effect {
                    self.act(incoming, number);
                }
                Answer::html(status)
            }
            Some(FaultKind::Garbled) => {
                let mut answer = self.act(incoming, number);
                answer.tells.clear();
                answer.content = Content::Garbled;
                answer
            }
            Some(FaultKind::Truncated) => spoilt(self.act(incoming, number), Content::Truncated),
            Some(FaultKind::Quoted { status }) => {
                let mut answer = spoilt(self.act(incoming, number), Content::Quoted);
                answer.status = status;
                answer.headers.clear();
                answer
            }
            Some(FaultKind::ExpiredToken) => {
                let state = self.lock();
                state.refuse(incoming, &state.expired_token())
            }
            Some(FaultKind::ClaimsChallenge) => self.lock().refuse(incoming, &claims_challenge()),
            Some(FaultKind::SignInRefused { number }) => self.lock().deny(incoming, number),
            Some(FaultKind::WrongDate { offset_seconds }) => {
                date_offset = offset_seconds;
                self.act(incoming, number)
            }
            Some(FaultKind::ProxyPage { offset_seconds }) => {
                date_offset = offset_seconds;
                Answer::html(502)
            }
        };
        answer.set("date", &http_date(shifted(self.now(), SignedDuration::from_secs(date_offset))));
        Some(self.left(incoming, number, &answer))
    }

    /// The tenant does what is asked.
    fn act(&self, incoming: &Incoming, number: u64) -> Answer {
        self.lock().act(incoming, number)
    }

    async fn gateway_timeout(&self, incoming: &Incoming, after_seconds: Option<u64>) -> Answer {
        let limit = after_seconds.unwrap_or_else(|| self.lock().switches.gateway_timeout_seconds);
        tokio::time::sleep(Duration::from_secs(limit)).await;
        self.failed(incoming, 504, None, None)
    }

    fn throttled(
        &self,
        incoming: &Incoming,
        wait: Option<f64>,
        form: Option<RetryAfterForm>,
    ) -> Answer {
        let state = self.lock();
        let form = form.unwrap_or(state.switches.retry_after);
        let value = wait.and_then(|wait| retry_after(wait_of(wait), form, state.now()));
        state.refuse(incoming, &Refusal::throttled(value))
    }

    fn failed(
        &self,
        incoming: &Incoming,
        status: u16,
        code: Option<String>,
        wait: Option<f64>,
    ) -> Answer {
        let (usual, message) = match status {
            400 => ("badRequest", "The request is invalid."),
            401 => ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
            403 => ("accessDenied", "Request Authorization failed"),
            404 => ("resourceNotFound", "The resource could not be found."),
            409 => ("conflict", "The request conflicts with another."),
            429 => ("TooManyRequests", "Please retry again later."),
            500 => ("InternalServerError", "An error occurred while processing the request."),
            502 => ("BadGateway", "The gateway got no valid answer."),
            503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
            504 => ("GatewayTimeout", "The gateway got no answer in time."),
            _ => ("UnknownError", "The request failed."),
        };
        let state = self.lock();
        let mut refusal = Refusal::new(status, code.unwrap_or_else(|| usual.to_owned()), message);
        if let Some(value) = wait
            .and_then(|wait| retry_after(wait_of(wait), state.switches.retry_after, state.now()))
        {
            refusal = refusal.header("retry-after", value);
        }
        state.refuse(incoming, &refusal)
    }

    /// An answer leaves: whoever it tells a code knows it now.
    fn left(&self, incoming: &Incoming, number: u64, answer: &Answer) -> Response {
        {
            let mut state = self.lock();
            for pass in &answer.tells {
                for telling in
                    state.passes.get_mut(*pass).into_iter().flat_map(|pass| &mut pass.told)
                {
                    telling.delivered = true;
                }
            }
            state.requests.answered(number, answer.status);
            for (number, _, item) in &answer.items {
                state.requests.answered(*number, item.status);
            }
        }
        for (number, incoming, item) in &answer.items {
            self.tell_observers(incoming, *number, Some(item));
        }
        self.tell_observers(incoming, number, Some(answer));
        response(answer, self.now())
    }

    fn cut(&self, incoming: &Incoming, number: u64) -> Option<Response> {
        self.tell_observers(incoming, number, None);
        None
    }

    fn tell_observers(&self, incoming: &Incoming, number: u64, answer: Option<&Answer>) {
        let observers = self.observers();
        if observers.is_empty() {
            return;
        }
        let (response_body, response_headers) = match answer {
            Some(answer) => (answer.encode().0, headers(answer)),
            None => (Bytes::new(), HeaderMap::new()),
        };
        let exchange = Exchange {
            number,
            operation: Operation::of(incoming, &self.lock().switches),
            method: incoming.method.to_string(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            request_headers: incoming.headers.clone(),
            request_body: incoming.body.clone(),
            status: answer.map(|answer| answer.status),
            response_headers,
            response_body,
        };
        for observer in observers {
            observer(&exchange);
        }
    }
}

/// An answer that arrives in another form, so that it tells nobody anything.
fn spoilt(mut answer: Answer, form: fn(Value) -> Content) -> Answer {
    answer.tells.clear();
    if let Content::Json(value) = answer.content {
        answer.content = form(value);
    }
    answer
}

fn wait_of(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO)
}

fn headers(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    if let (None, (_, Some(kind))) = (headers.get(header::CONTENT_TYPE), answer.encode()) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers
}

fn response(answer: &Answer, now: Timestamp) -> Response {
    let mut response = Response::new(Body::from(answer.encode().0));
    *response.status_mut() = http::StatusCode::from_u16(answer.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers(answer);
    if let (None, Ok(date)) =
        (response.headers().get(header::DATE), HeaderValue::from_str(&http_date(now)))
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// What stands for no answer where something must be returned.
fn cut_response() -> Response {
    // The server asks for the first piece of the body before it sends anything, and drops the connection when there is none.
    let broken = futures::stream::once(async { Err::<Bytes, _>(ConnectionCut) });
    let mut response = Response::new(Body::from_stream(broken));
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(ConnectionCut);
    response
}
