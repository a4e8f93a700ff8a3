//! Reading JSON: leniently, and without quoting it in errors.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer};

/// An answer that cannot be parsed. The text says where and why, and never quotes the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read ({what} in line {line}, column {column})")]
pub(in crate::graph) struct Unreadable {
    what: &'static str,
    line: usize,
    column: usize,
}

impl Unreadable {
    /// The answer is valid JSON with the expected types, but does not make sense.
    pub(super) fn because(what: &'static str) -> Self {
        Self { what, line: 0, column: 0 }
    }
}

/// Parses the body of an answer.
///
/// The parser's own message quotes the value, which may be a secret. Only the position is kept.
pub(in crate::graph) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        what: match error.classify() {
            serde_json::error::Category::Data => "an unexpected value",
            serde_json::error::Category::Eof => "an early end",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "invalid JSON",
        },
        line: error.line(),
        column: error.column(),
    })
}

/// Reads a value. A value of another type counts as absent.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Wanted(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Either<T>>::deserialize(from)? {
        Some(Either::Wanted(value)) => Some(value),
        Some(Either::Other(_)) | None => None,
    })
}

/// The longest name or id, in bytes: four times as long as Entra allows. Names and ids are written into statuses and
/// annotations, so their length must be bounded.
const LONGEST_NAME: usize = 1024;

/// Reads a name or an id, and refuses one that is too long.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() > LONGEST_NAME {
        return Err(serde::de::Error::custom("too long for a name"));
    }
    Ok(text)
}

/// Reads a name or an id. One that is too long or of another type counts as absent.
pub(super) fn lenient_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(lenient(from)?.filter(|text: &String| text.len() <= LONGEST_NAME))
}

/// Reads a date and time. Graph writes some without a zone; they are in UTC.
pub(super) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = lenient(from)?;
    Ok(text.and_then(|text| {
        text.parse().ok().or_else(|| {
            let local: civil::DateTime = text.parse().ok()?;
            Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })
    }))
}

/// Reads a list. A null or absent list is empty.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// One page of a collection.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(in crate::graph) struct Page<T> {
    pub(in crate::graph) value: Vec<T>,
    #[serde(rename = "@odata.nextLink", default)]
    pub(in crate::graph) next: Option<String>,
}
