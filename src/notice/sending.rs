//! How a notice is sent: the HTTP request, its signature, and what an answer means.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Response, StatusCode};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Notice, Receiver, Unreadable};
use crate::graph::{self, Body, TransportError};
use crate::version::PRODUCT;

/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-tap-operator-timestamp";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-tap-operator-signature";

/// What became of one attempt to send a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// The receiver refuses this notice, and would again. The next one may pass.
    Refused(String),
    /// The receiver wants no notices any more.
    Gone,
    /// It may pass later, no sooner than the receiver asks for.
    Later(String, Option<Duration>),
}

/// The request that brings a notice to a receiver, at this time. It reads the receiver's files anew.
pub fn request(
    receiver: &Receiver,
    notice: &Notice,
    source: Option<&str>,
    now: Timestamp,
) -> Result<http::Request<Bytes>, Unreadable> {
    let body = if receiver.omit_user {
        receiver.format.body(&notice.without_user(), source)
    } else {
        receiver.format.body(notice, source)
    };
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = http::Method::POST;
    // Its form was checked, here or where the configuration was read.
    *request.uri_mut() = receiver.url()?.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(receiver.format.content_type()));
    headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
    if let Some(token) = receiver.token()? {
        let bearer = Zeroizing::new(format!("Bearer {}", *token));
        // A token is ASCII without blanks.
        if let Ok(mut bearer) = HeaderValue::from_str(&bearer) {
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
    }
    if let Some(key) = receiver.hmac_key()? {
        let sent = now.as_second();
        let signature = signature(&key, sent, &body);
        headers.insert(TIMESTAMP_HEADER, HeaderValue::from(sent));
        if let Ok(signature) = HeaderValue::from_str(&signature) {
            headers.insert(SIGNATURE_HEADER, signature);
        }
    }
    *request.body_mut() = body;
    Ok(request)
}

/// `sha256=` and, in hexadecimal, the HMAC-SHA-256 of the time of sending, a full stop and the body.
pub fn signature(key: &[u8], sent: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(format!("{sent}.").as_bytes());
    context.update(body);
    let mut signature = "sha256=".to_owned();
    for byte in context.sign().as_ref() {
        // Writing into a String cannot fail.
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

/// What an answer means. Its body is not looked at.
pub fn verdict(answer: Result<&Response<Body>, &TransportError>, now: Timestamp) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Verdict::Later(error.message.clone(), None),
    };
    let status = answer.status();
    let told = format!("it answered {status}");
    match status {
        _ if status.is_success() => Verdict::Delivered,
        StatusCode::GONE => Verdict::Gone,
        // It is about what was sent, and the same would be sent again.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Verdict::Refused(told),
        _ if status.is_redirection() => {
            Verdict::Later(format!("{told}, and redirects are not followed"), None)
        }
        _ => Verdict::Later(told, graph::retry_after(answer.headers(), now)),
    }
}
