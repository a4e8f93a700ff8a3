//! The log of requests, and exchanges for whoever wants to check them.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{operation::Operation, wire::Incoming};

/// So many of the newest requests are kept: a simulator that runs for days must not grow for ever.
const KEPT: usize = 100_000;

/// A request to login or Graph, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// Counts from 1.
    pub number: u64,
    /// When it came in.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, with the query.
    pub path: String,
    /// What it asks for.
    pub operation: Operation,
    /// The client id of the app whose valid token it carried, or that asked for a token.
    pub app: Option<Uuid>,
    /// The answer's status. Absent: no answer left (yet).
    pub status: Option<u16>,
    /// When the tenant acted on it. Absent: it never did (yet).
    pub acted_at: Option<Timestamp>,
    /// The `client-request-id` header.
    pub client_request_id: Option<String>,
    /// The scripted fault that happened to it.
    pub fault: Option<String>,
    /// The number of the batch that it came in.
    pub batch: Option<u64>,
}

/// A request and its answer, whole.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The number of the request in the log.
    pub number: u64,
    /// What it asks for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// The request's headers.
    pub request_headers: HeaderMap,
    /// The request's body.
    pub request_body: Bytes,
    /// The answer's status. Absent: the connection was cut.
    pub status: Option<u16>,
    /// The answer's headers.
    pub response_headers: HeaderMap,
    /// The answer's body.
    pub response_body: Bytes,
}

/// What an observer is.
pub(crate) type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// The newest requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    kept: VecDeque<RequestRecord>,
    count: u64,
}

impl Requests {
    /// Logs a request that came in and returns its number.
    pub(crate) fn begin(
        &mut self,
        at: Timestamp,
        operation: Operation,
        incoming: &Incoming,
        batch: Option<u64>,
        fault: Option<String>,
    ) -> u64 {
        self.count += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(RequestRecord {
            number: self.count,
            at,
            method: incoming.method.to_string(),
            path: match incoming.query.as_str() {
                "" => incoming.path.clone(),
                query => format!("{}?{query}", incoming.path),
            },
            operation,
            app: None,
            status: None,
            acted_at: None,
            client_request_id: incoming.header("client-request-id").map(str::to_owned),
            fault,
            batch,
        });
        self.count
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut RequestRecord> {
        let behind = usize::try_from(self.count.checked_sub(number)?).ok()?;
        let index = self.kept.len().checked_sub(behind + 1)?;
        self.kept.get_mut(index)
    }

    /// Notes the status of the answer that left.
    pub(crate) fn answered(&mut self, number: u64, status: u16) {
        if let Some(record) = self.get_mut(number) {
            record.status = Some(status);
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &RequestRecord> {
        self.kept.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }
}
