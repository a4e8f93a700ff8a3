//! Time in ticks: coarse enough that all moments can be tried, fine enough that what must differ does.
//!
//! A tick is longer than the window in which a POST must follow its list, so that one tick makes it too late; two are
//! the settle time: one for a call that takes effect late, one for a list that lags. The local clocks of all processes and
//! Graph's go alike.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment.
pub type Tick = u8;

/// Seconds in a tick.
const SECONDS: u8 = 40;
/// The first moment.
const START: i64 = 1_800_000_000;
/// How long after it was sent a call may still take effect.
pub const LATE: Tick = 1;
/// The settle time.
pub const SETTLE: Tick = 2;
/// How often an active pass is looked at.
pub const USE_CHECK: Tick = 2;
/// How often a request that waits for a change is looked at all the same: longer than any of these lives.
pub const RESYNC: Tick = 15;
/// Lifetime of every pass, in minutes and in ticks.
pub const LIFETIME_MINUTES: u32 = 4;
pub const LIFETIME: Tick = 6;
/// How long a request waits to be issued, as a policy says it.
pub const TIMEOUT: &str = "6m";

/// Ticks as a length of time.
pub fn length(ticks: Tick) -> SignedDuration {
    SignedDuration::from_secs(i64::from(ticks) * i64::from(SECONDS))
}

/// The time of a moment.
pub fn time(tick: Tick) -> Timestamp {
    Timestamp::from_second(START).expect("a time") + length(tick)
}

/// The first moment that is not before a time.
pub fn tick(time: Timestamp) -> Tick {
    let since = time.duration_since(Timestamp::from_second(START).expect("a time"));
    tick_of(Duration::try_from(since).unwrap_or_default())
}

/// The local time of a moment.
pub fn local(tick: Tick) -> Duration {
    Duration::from_secs(u64::from(tick) * u64::from(SECONDS))
}

/// The first moment that is not before a local time.
pub fn tick_of(local: Duration) -> Tick {
    let ticks = local.as_nanos().div_ceil(Duration::from_secs(SECONDS.into()).as_nanos());
    Tick::try_from(ticks).unwrap_or(Tick::MAX)
}

#[test]
fn times_and_ticks_are_one() {
    assert!((0..100).all(|t| tick(time(t)) == t && tick_of(local(t)) == t));
    assert_eq!(tick(time(3) + SignedDuration::from_millis(1)), 4);
    assert_eq!(length(LIFETIME), SignedDuration::from_mins(i64::from(LIFETIME_MINUTES)));
}
