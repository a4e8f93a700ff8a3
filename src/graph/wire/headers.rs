//! Headers of answers.

use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use crate::entra::INSUFFICIENT_CLAIMS;

/// The longest `Retry-After` that is believed. An error of a proxy must not stop revocation for a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Returns the `Date` of an answer.
pub(in crate::graph) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(http::header::DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// Returns how long `Retry-After` asks the client to wait, 10 minutes at most.
///
/// It is a number of seconds, in Graph also with a fraction (documented sample), or a date. A date is compared with the
/// `Date` of the same answer, so the local clock may be wrong.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<f64>() {
        // NaN, a negative number or one that no duration can hold counts as absent.
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let wait: SignedDuration = http_date(text)?.duration_since(date(headers).unwrap_or(now));
        Duration::try_from(wait).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Whether an answer is a claims challenge: it names claims that the token lacks. Its other parameters, their order and the
/// challenges beside it differ (reported).
pub(in crate::graph) fn is_claims_challenge(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(http::header::WWW_AUTHENTICATE).iter();
    let texts = challenges.filter_map(|challenge| challenge.to_str().ok());
    texts.into_iter().any(|challenge| challenge.contains(INSUFFICIENT_CLAIMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            })
            .collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = at("2026-11-23T08:00:00Z");
        for (value, expected) in [
            ("5", Some(5.0)),
            ("2.128", Some(2.128)),
            (" 10 ", Some(10.0)),
            ("0", Some(0.0)),
            ("86400", Some(600.0)),
            ("-3", None),
            ("NaN", None),
            ("1e400", None),
            ("soon", None),
            ("", None),
            ("Mon, 23 Nov 2026 08:00:07 GMT", Some(7.0)),
            ("Mon, 23 Nov 2026 07:59:00 GMT", Some(0.0)),
        ] {
            let wait = retry_after(&headers(&[("retry-after", value)]), now);
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        // The clock of the answer counts, not the local one.
        let theirs = headers(&[
            ("date", "Mon, 23 Nov 2026 09:00:00 GMT"),
            ("retry-after", "Mon, 23 Nov 2026 09:00:07 GMT"),
        ]);
        assert_eq!(retry_after(&theirs, now), Some(Duration::from_secs(7)));
    }

    #[test]
    fn dates_of_answers() {
        let date_of = |value| date(&headers(&[("date", value)]));
        assert_eq!(date_of("Mon, 23 Nov 2026 08:00:00 GMT"), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(date_of("yesterday"), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
