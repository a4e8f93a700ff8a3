//! Graph's clock.

use jiff::Timestamp;

/// What one answer says about Graph's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateSample {
    /// The `Date` of the answer. It has whole seconds; the fraction is cut off.
    pub date: Timestamp,
    /// The local time just before the request was sent.
    pub sent: Timestamp,
    /// The local time just after the answer was received.
    pub received: Timestamp,
}
