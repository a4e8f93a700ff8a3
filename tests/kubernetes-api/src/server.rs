//! Taking requests in, with what goes wrong on the way, and giving answers out.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use tower::BoxError;

use crate::faults::{Fault, Hold, Point, Verdict};
use crate::log::Answer;
use crate::request::ApiRequest;
use crate::routes;
use crate::shared::Shared;
use crate::state::State;

/// Serves one request from its arrival to its answer. It runs on its own: a client that goes away does not stop it.
pub async fn serve(
    shared: Arc<Shared>,
    user: Option<String>,
    parts: Parts,
    body: Bytes,
) -> Result<Response, BoxError> {
    let (number, request, fault, hold) = {
        let mut state = shared.lock();
        let request = ApiRequest::parse(state.clock.now(), user, &parts, &body);
        let number = state.log.arrived(request.clone());
        let (fault, hold) = state.faults.take(&request);
        (number, request, fault, hold)
    };
    let outcome = attend(&shared, number, &request, fault, hold).await;
    let answer = match &outcome {
        Ok(response) => Answer::Code(response.status().as_u16()),
        Err(_) => Answer::Lost,
    };
    shared.lock().log.answered(number, answer);
    outcome
}

async fn attend(
    shared: &Arc<Shared>,
    number: usize,
    request: &ApiRequest,
    fault: Option<Fault>,
    hold: Option<Hold>,
) -> Result<Response, BoxError> {
    let (before, after) = match hold {
        Some(hold) if hold.point == Point::BeforeEffect => (Some(hold), None),
        hold => (None, hold),
    };
    pass(before, request).await?;
    match &fault {
        Some(Fault::Refused(refusal)) => return Ok(routes::refused(refusal)),
        Some(Fault::ConnectionLost) => return Err(lost()),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::RefusedAfterEffect(_) | Fault::AnswerLost | Fault::HangAfterEffect) | None => {}
    }
    let response = take_effect(shared, number, request);
    pass(after, request).await?;
    match fault {
        Some(Fault::RefusedAfterEffect(refusal)) => Ok(routes::refused(&refusal)),
        Some(Fault::AnswerLost) => Err(lost()),
        Some(Fault::HangAfterEffect) => std::future::pending().await,
        Some(Fault::Refused(_) | Fault::ConnectionLost | Fault::Hang) | None => Ok(response),
    }
}

async fn pass(hold: Option<Hold>, request: &ApiRequest) -> Result<(), BoxError> {
    let Some(hold) = hold else { return Ok(()) };
    match hold.wait(request).await {
        Verdict::Release => Ok(()),
        Verdict::Lose => Err(lost()),
    }
}

fn take_effect(shared: &Arc<Shared>, number: usize, request: &ApiRequest) -> Response {
    let handle = |state: &mut State| {
        let before = state.store.revision();
        let response = routes::handle(shared, state, request);
        let changes = state.store.since(before).to_vec();
        state.log.effects(number, &changes);
        response
    };
    if request.verb.writes() { shared.change(handle) } else { handle(&mut shared.lock()) }
}

fn lost() -> BoxError {
    "connection lost".into()
}
