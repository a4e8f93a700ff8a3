//! Taking requests in, with what goes wrong on the way, and giving answers out.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use tokio::sync::Notify;
use tower::BoxError;

use super::faults::{Fault, Hold, Point, Verdict};
use super::log::Answer;
use super::request::ApiRequest;
use super::routes;
use super::state::{Controllers, State};

/// The server, as its clients, watches and tests share it.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Counts whatever open watches may have to react to.
    changes: AtomicU64,
    /// Wakes them: all, and in the order in which they came to wait, as no channel does.
    changed: Notify,
}

impl Shared {
    /// A server with this state.
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changes: AtomicU64::new(0), changed: Notify::new() }
    }

    /// The state. Who changes something calls [`Shared::change`] instead.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; lets the server's controllers and the open watches follow.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = {
            let mut state = self.lock();
            let before = state.store.revision();
            let result = change(&mut state);
            if state.controllers == Controllers::Eager && state.store.revision() != before {
                state.clean_up();
            }
            result
        };
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        result
    }

    /// How many changes there were.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Waits until there were more.
    pub async fn more_changes_than(&self, seen: u64) {
        let mut changed = pin!(self.changed.notified());
        changed.as_mut().enable();
        if self.changes() == seen {
            changed.await;
        }
    }
}

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
