//! Durations in whole minutes as people write them: `90m`, `8h`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The lifetimes of a pass that Graph accepts, in minutes (documented: 10 minutes to 30 days).
pub const PASS_LIFETIMES: RangeInclusive<u32> = 10..=720 * 60;
/// The schema's rule for one of [`PASS_LIFETIMES`].
pub(super) const PASS_LIFETIME: &str = "self.matches('^([0-9]{1,3}h)?([0-9]{1,5}m)?$') && size(self) > 0 && duration(self) >= duration('10m') && duration(self) <= duration('720h')";
/// The schema's message for a value that breaks [`PASS_LIFETIME`].
pub(super) const PASS_LIFETIME_MESSAGE: &str = "must be between 10m and 720h, written in hours and minutes such as 90m, 8h or 1h30m (a day is 24h)";

/// A duration in hours and minutes, kept as it was written.
///
/// Deserializing accepts any text, so that one bad object never hides the others. [`Lifetime::minutes`] validates it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(String);

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a duration: write hours and minutes, such as 90m, 8h or 1h30m (a day is 24h)"
)]
pub struct LifetimeError(String);

impl Lifetime {
    /// The canonical text for a number of minutes: hours first, zero parts left out.
    pub fn from_minutes(minutes: u32) -> Self {
        let text = match (minutes / 60, minutes % 60) {
            (0, m) => format!("{m}m"),
            (h, 0) => format!("{h}h"),
            (h, m) => format!("{h}h{m}m"),
        };
        Self(text)
    }

    /// The number of minutes, or an error for a text that the schema would have refused.
    pub fn minutes(&self) -> Result<u32, LifetimeError> {
        self.parse().ok_or_else(|| LifetimeError(self.0.clone()))
    }

    /// The same as [`Lifetime::minutes`], as a duration.
    pub fn duration(&self) -> Result<SignedDuration, LifetimeError> {
        self.minutes().map(|m| SignedDuration::from_mins(i64::from(m)))
    }

    fn parse(&self) -> Option<u32> {
        let (hours, rest) = match self.0.split_once('h') {
            Some((hours, rest)) => (number(hours)?, rest),
            None => (0, self.0.as_str()),
        };
        let minutes = match rest.strip_suffix('m') {
            Some(minutes) => number(minutes)?,
            None if rest.is_empty() && !self.0.is_empty() => 0,
            None => return None,
        };
        hours.checked_mul(60)?.checked_add(minutes)
    }
}

fn number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Lifetime {
    fn schema_name() -> Cow<'static, str> {
        "Lifetime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 12 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_accepts_the_lifetimes_that_graph_accepts() {
        let (shortest, longest) = PASS_LIFETIMES.into_inner();
        for bound in [
            format!(">= duration('{}')", Lifetime::from_minutes(shortest)),
            format!("<= duration('{}')", Lifetime::from_minutes(longest)),
        ] {
            assert!(PASS_LIFETIME.contains(&bound), "{bound}");
        }
    }

    #[test]
    fn reads_hours_and_minutes() {
        for (text, minutes) in
            [("10m", 10), ("1h", 60), ("1h30m", 90), ("720h", 43_200), ("90m", 90), ("0m", 0)]
        {
            assert_eq!(Lifetime(text.into()).minutes(), Ok(minutes), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "1d",
            "1.5h",
            "30",
            "h",
            "m",
            "1m1h",
            "-1h",
            "+1h",
            "1h ",
            "60s",
            "99999999999h",
            "4294967295h",
        ] {
            assert!(Lifetime(text.into()).minutes().is_err(), "{text:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for minutes in [10, 59, 60, 61, 480, 43_200] {
            assert_eq!(Lifetime::from_minutes(minutes).minutes(), Ok(minutes));
        }
    }
}
