//! How login says no.

use jiff::Timestamp;
use serde_json::json;

use crate::state::State;
use crate::wire::{Answer, Ids, Incoming};

/// Why no token is issued: OAuth's error, Entra's number, and a text.
#[derive(Debug)]
pub(super) struct Denial {
    status: u16,
    error: &'static str,
    number: u32,
    text: String,
}

impl Denial {
    pub(super) fn new(
        status: u16,
        error: &'static str,
        number: u32,
        text: impl Into<String>,
    ) -> Self {
        Self { status, error, number, text: text.into() }
    }

    pub(super) fn invalid_client(number: u32, text: impl Into<String>) -> Self {
        Self::new(401, "invalid_client", number, text)
    }

    pub(super) fn answer(&self, ids: &Ids, now: Timestamp) -> Answer {
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let (trace, correlation) = (ids.request, &ids.client_request);
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            self.number, self.text
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        });
        Answer::json(self.status, body)
    }
}

impl State {
    /// A refused sign-in with this number, whatever was presented.
    pub(crate) fn deny(&self, incoming: &Incoming, number: u32) -> Answer {
        let denial = Denial::invalid_client(number, "The sign-in was refused.");
        as_login(denial.answer(&Ids::of(incoming), self.now()))
    }
}

/// With the headers of every answer of login's.
pub(super) fn as_login(answer: Answer) -> Answer {
    answer
        .with("content-type", "application/json; charset=utf-8")
        .with("cache-control", "no-store, no-cache")
        .with("pragma", "no-cache")
}
