//! Errors as Graph and Entra write them.

use serde::Deserialize;

use super::json::{lenient, read};
use crate::text::{cut, visible};

/// The content of an error answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::graph) struct ErrorAnswer {
    pub(in crate::graph) code: String,
    pub(in crate::graph) message: String,
    pub(in crate::graph) request_id: Option<Box<str>>,
}

/// Parses an error envelope. Returns `None` for any other body, such as the HTML of a proxy.
pub(in crate::graph) fn error(body: &[u8]) -> Option<ErrorAnswer> {
    #[derive(Deserialize)]
    struct Envelope {
        error: Main,
    }
    #[derive(Deserialize)]
    struct Main {
        #[serde(default, deserialize_with = "lenient")]
        code: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        message: Option<String>,
        // Graph uses two spellings.
        #[serde(
            default,
            alias = "innererror",
            rename = "innerError",
            deserialize_with = "lenient"
        )]
        inner: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default, rename = "request-id")]
        request_id: Option<String>,
    }
    let main = read::<Envelope>(body).ok()?.error;
    Some(ErrorAnswer {
        code: main.code.map(|code| printable(&code, 80)).unwrap_or_default(),
        message: main.message.map(|message| printable(&message, 400)).unwrap_or_default(),
        request_id: main.inner.and_then(|inner| Some(printable(&inner.request_id?, 80).into())),
    })
}

/// The answer of Entra when it gives no token.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(in crate::graph) struct TokenErrorAnswer {
    /// The error code of OAuth.
    #[serde(default)]
    pub(in crate::graph) error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl TokenErrorAnswer {
    /// The error numbers of Entra. Older answers have them only in the text.
    pub(in crate::graph) fn numbers(&self) -> Vec<u64> {
        if !self.error_codes.is_empty() {
            return self.error_codes.clone();
        }
        let after = self.error_description.split("AADSTS").nth(1).unwrap_or_default();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().into_iter().collect()
    }

    /// The first sentence. What follows it are ids and times, which change with each attempt.
    pub(in crate::graph) fn sentence(&self) -> String {
        let first = self.error_description.lines().next().unwrap_or_default();
        // The number is reported separately.
        let first = match first.split_once(": ") {
            Some((mark, rest)) if mark.starts_with("AADSTS") => rest,
            _ => first,
        };
        let end = ["Trace ID:", "Correlation ID:", "Timestamp:"]
            .iter()
            .filter_map(|mark| first.find(mark))
            .min()
            .unwrap_or(first.len());
        printable(first.get(..end).unwrap_or(first).trim_end(), 400)
    }
}

/// Makes text from outside fit for a line of a log.
pub(in crate::graph) fn printable(text: &str, longest: usize) -> String {
    cut(visible(text), longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_envelopes_in_both_spellings() {
        let told = error(
            br#"{"error":{"code":"badRequest","message":"Invalid LifetimeInMinutes specified.",
            "innerError":{"message":"x","date":"2021-04-01T17:02:01","request-id":"r","client-request-id":"c"}}}"#,
        );
        let told = told.unwrap();
        assert_eq!((told.code.as_str(), told.request_id.as_deref()), ("badRequest", Some("r")));
        assert_eq!(told.message, "Invalid LifetimeInMinutes specified.");
        let told = error(br#"{"error":{"code":"","message":"m","innererror":{"request-id":"r"}}}"#);
        assert_eq!(told.unwrap().request_id.as_deref(), Some("r"));
        let told = error(br#"{"error":{"message":"a\r\nb\u001b[31m"}}"#).unwrap();
        assert_eq!(told.message, "a  b\u{fffd}[31m", "no control character reaches a terminal");
        let told = error(br#"{"error":{"innerError":"odd"}}"#).unwrap();
        assert_eq!(told, ErrorAnswer::default());
        for none in [&b"<html>"[..], b"", b"{}", br#"{"error": "invalid_client"}"#] {
            assert_eq!(error(none), None);
        }
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(printable("żółw", 4), "żółw");
        assert_eq!(printable("żółwie", 4), "żółw…");
    }

    #[test]
    fn the_message_of_entra_is_kept_without_ids_and_times() {
        let answer: TokenErrorAnswer = read(
            br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1b\r\nCorrelation ID: 2c\r\nTimestamp: 2026-11-23 08:00:00Z","error_codes":[7000215],"trace_id":"1b"}"#,
        )
        .unwrap();
        assert_eq!(answer.sentence(), "Invalid client secret provided.");
        assert_eq!(answer.numbers(), [7_000_215]);
        let answer: TokenErrorAnswer =
            read(br#"{"error":"x","error_description":"AADSTS90002: Tenant not found."}"#).unwrap();
        assert_eq!(
            (answer.numbers(), answer.sentence()),
            (vec![90_002], "Tenant not found.".into())
        );
        assert_eq!(read::<TokenErrorAnswer>(b"{}").unwrap().numbers(), [0; 0]);
    }
}
