//! What goes over the wire, whoever asks: a request as read, an answer, and Graph's error envelope.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::shifted,
    switches::{InnerErrorSpelling, RetryAfterForm, Switches},
};

/// The content type of Graph's answers (documented).
const GRAPH_JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// Still percent-encoded.
    pub(crate) path: String,
    /// Still percent-encoded, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Scheme and host as the caller knows them: for next links, contexts and token audiences.
    pub(crate) fn base(&self) -> String {
        format!("https://{}", self.header("host").unwrap_or("graph.microsoft.com"))
    }

    /// The body as JSON, where the content type says that it is.
    pub(crate) fn json(&self) -> Result<Value, Refusal> {
        let content_type = self.header("content-type").unwrap_or_default();
        if content_type.split(';').next().map(str::trim) != Some("application/json") {
            return Err(Refusal::new(
                415,
                "RequestBodyRead",
                "A supported Content-Type must be given when there is a request body.",
            ));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Refusal::new(400, "BadRequest", format!("Unable to read JSON request payload. {error}"))
        })
    }
}

/// The pairs of a query or a form.
pub(crate) fn pairs(encoded: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    (encoded.split('&').filter(|pair| !pair.is_empty()))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// What an answer carries.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    Html(&'static str),
    /// Something that only looks like JSON.
    Garbled,
    /// JSON that lacks its last character.
    Truncated(Value),
    /// A page that quotes JSON.
    Quoted(Value),
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// The passes whose codes this answer carries.
    pub(crate) tells: Vec<Uuid>,
    /// The items of a batch, each with its number in the log.
    pub(crate) items: Vec<(u64, Incoming, Answer)>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::with_content(status, Content::Json(body))
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::with_content(status, Content::Empty)
    }

    pub(crate) fn html(status: u16) -> Self {
        let page = "<html><head><title>Error</title></head><body><h1>Our services aren't available right now</h1></body></html>";
        Self::with_content(status, Content::Html(page))
    }

    fn with_content(status: u16, content: Content) -> Self {
        Self { status, headers: HeaderMap::new(), content, tells: Vec::new(), items: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The body's bytes and its content type.
    pub(crate) fn encode(&self) -> (Bytes, Option<&'static str>) {
        match &self.content {
            Content::Empty => (Bytes::new(), None),
            Content::Json(value) => (Bytes::from(value.to_string()), Some(GRAPH_JSON)),
            Content::Html(page) => (Bytes::from_static(page.as_bytes()), Some("text/html")),
            Content::Garbled => {
                (Bytes::from_static(br#"{"@odata.context":"https://gra"#), Some(GRAPH_JSON))
            }
            Content::Truncated(value) => {
                let mut text = value.to_string();
                text.pop();
                (Bytes::from(text), Some(GRAPH_JSON))
            }
            Content::Quoted(value) => {
                let page =
                    format!("<html><body><h1>Bad answer</h1><pre>{value}</pre></body></html>");
                (Bytes::from(page), Some("text/html"))
            }
        }
    }
}

/// The ids that belong to one request.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) request: Uuid,
    /// As the client sent it, else the same as `request`.
    pub(crate) client_request: String,
}

impl Ids {
    pub(crate) fn of(incoming: &Incoming) -> Self {
        let request = Uuid::new_v4();
        let client_request =
            incoming.header("client-request-id").map_or_else(|| request.to_string(), str::to_owned);
        Self { request, client_request }
    }
}

/// Why Graph does not do what it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    code: Cow<'static, str>,
    message: String,
    inner: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    empty: bool,
}

impl Refusal {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            inner: Vec::new(),
            headers: Vec::new(),
            empty: false,
        }
    }

    /// As the authentication methods service does it: the message stands in the inner error, too.
    pub(crate) fn repeated(mut self) -> Self {
        self.inner.push(("message", self.message.clone()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Without a body.
    pub(crate) fn emptied(mut self) -> Self {
        self.empty = true;
        self
    }

    /// 429 with the documented sample's body.
    pub(crate) fn throttled(retry_after: Option<String>) -> Self {
        let mut refusal = Self::new(429, "TooManyRequests", "Please retry again later.");
        refusal.inner = [("code", "429"), ("message", "Please retry after"), ("status", "429")]
            .map(|(k, v)| (k, v.into()))
            .to_vec();
        match retry_after {
            Some(value) => refusal.header("retry-after", value),
            None => refusal,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn answer(&self, ids: &Ids, now: Timestamp, switches: &Switches) -> Answer {
        let mut inner: serde_json::Map<String, Value> =
            self.inner.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        // Graph's own form: no zone.
        inner.insert("date".into(), now.strftime("%Y-%m-%dT%H:%M:%S").to_string().into());
        inner.insert("request-id".into(), ids.request.to_string().into());
        inner.insert("client-request-id".into(), ids.client_request.clone().into());
        let spelling = match switches.inner_error_spelling {
            InnerErrorSpelling::InnerError => "innerError",
            InnerErrorSpelling::Innererror => "innererror",
        };
        let mut answer = if self.empty {
            Answer::empty(self.status)
        } else {
            let body =
                json!({"error": {"code": self.code, "message": self.message, spelling: inner}});
            Answer::json(self.status, body)
        };
        for (name, value) in &self.headers {
            answer.set(name, value);
        }
        answer
    }
}

/// A value for `Retry-After`, in the form that is asked for.
pub(crate) fn retry_after(
    wait: SignedDuration,
    form: RetryAfterForm,
    now: Timestamp,
) -> Option<String> {
    let milliseconds = wait.as_millis().max(1);
    let whole = (milliseconds + 999) / 1000;
    match form {
        RetryAfterForm::Integer => Some(whole.to_string()),
        RetryAfterForm::Decimal => {
            Some(format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000))
        }
        RetryAfterForm::HttpDate => {
            // A date has whole seconds: the next full one after the wait.
            let at = shifted(now, wait + SignedDuration::from_millis(999));
            Some(http_date(at))
        }
        RetryAfterForm::Absent => None,
    }
}

/// As in the `Date` header.
pub(crate) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
