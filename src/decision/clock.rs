//! An estimate of Graph's clock.
//!
//! Each answer of Graph has a `Date` in whole seconds. Together with the local times before the request and after the
//! answer, it limits how far Graph's clock can be from ours. Samples that agree narrow the estimate. A jump is believed
//! only if several samples in a row agree on it, so that one wrong answer ends no pass early.

use jiff::{SignedDuration, Timestamp};

use crate::entra::DateSample;

/// How many samples in a row must agree on a jump before it is believed.
const JUMP_SAMPLES: u32 = 3;

/// How wrong the local clock may be before the first answer from Graph. Entra refuses the assertions of a machine whose
/// clock is further off.
const LOCAL_ERROR: SignedDuration = SignedDuration::from_mins(5);

/// How fast two clocks may drift apart: the estimate widens by one part in this many.
const DRIFT: i128 = 10_000;

/// The time later by this much, or the last time there is: values that people and servers write may lie beyond it.
pub fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The time earlier by this much, or the first time there is.
pub fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Graph's time, which lies between these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Graph's time is at least this. Compare with it what must not happen early.
    pub earliest: Timestamp,
    /// Graph's time is at most this. Compare with it what must not happen late.
    pub latest: Timestamp,
}

impl Now {
    /// A time that is known exactly.
    pub fn exactly(time: Timestamp) -> Self {
        Self { earliest: time, latest: time }
    }
}

/// What a sample did to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// It agrees with what was known.
    Agrees,
    /// It contradicts what was known and is not believed yet: take another sample soon.
    Suspect,
    /// It contradicts what was known, and is believed because the samples before it did, too.
    Jumped,
}

/// "Graph's clock minus ours" lies between these two, at this local time.
#[derive(Clone, Copy, Debug)]
struct Offset {
    low: SignedDuration,
    high: SignedDuration,
    at: Timestamp,
}

impl Offset {
    /// The offset before the first answer.
    fn of_the_local_clock(at: Timestamp) -> Self {
        Self { low: -LOCAL_ERROR, high: LOCAL_ERROR, at }
    }

    fn of(sample: DateSample) -> Self {
        Self {
            low: sample.date.duration_since(sample.received),
            high: sample.date.duration_since(sample.sent) + SignedDuration::from_secs(1),
            at: sample.received,
        }
    }

    /// The same offset at another time, wider by what the clocks may have drifted apart.
    fn at(self, time: Timestamp) -> Self {
        let drift =
            SignedDuration::from_nanos_i128(time.duration_since(self.at).as_nanos().abs() / DRIFT);
        Self { low: self.low - drift, high: self.high + drift, at: time }
    }

    fn and(self, other: Self) -> Option<Self> {
        let both =
            Self { low: self.low.max(other.low), high: self.high.min(other.high), at: other.at };
        (both.low <= both.high).then_some(both)
    }
}

/// An estimate of Graph's clock.
#[derive(Clone, Debug, Default)]
pub struct GraphClock {
    known: Option<Offset>,
    /// The offset on which the last samples agree, and their number.
    suspected: Option<(Offset, u32)>,
}

impl GraphClock {
    /// Learns from one answer.
    pub fn learn(&mut self, sample: DateSample) -> Agreement {
        let seen = Offset::of(sample);
        let known = self.known.unwrap_or(Offset::of_the_local_clock(seen.at));
        if let Some(both) = known.at(seen.at).and(seen) {
            self.known = Some(both);
            self.suspected = None;
            return Agreement::Agrees;
        }
        let (offset, times) = match self.suspected {
            Some((before, times)) => {
                before.at(seen.at).and(seen).map_or((seen, 1), |both| (both, times + 1))
            }
            None => (seen, 1),
        };
        if times >= JUMP_SAMPLES {
            self.known = Some(offset);
            self.suspected = None;
            return Agreement::Jumped;
        }
        self.suspected = Some((offset, times));
        Agreement::Suspect
    }

    /// Graph's time at a local time. Before the first answer it is estimated from the local clock alone.
    pub fn now(&self, local: Timestamp) -> Now {
        let mut offset = self.known.unwrap_or(Offset::of_the_local_clock(local)).at(local);
        // If the local clock and the first answers contradict each other, either may be wrong.
        if let (None, Some((suspected, _))) = (self.known, self.suspected) {
            offset.low = offset.low.min(suspected.low);
            offset.high = offset.high.max(suspected.high);
        }
        Now { earliest: local + offset.low, latest: local + offset.high }
    }

    /// Whether an answer from Graph was believed, and no answer since contradicts it.
    pub fn is_certain(&self) -> bool {
        self.known.is_some() && self.suspected.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// An answer that took 200 ms, from a Graph whose clock is `ahead` seconds ahead of ours.
    fn sample(local: i64, ahead: i64) -> DateSample {
        let sent = at(local);
        DateSample {
            date: at(local + ahead),
            sent,
            received: sent + SignedDuration::from_millis(200),
        }
    }

    #[test]
    fn follows_a_clock_that_is_a_little_ahead_from_the_first_answer() {
        let mut clock = GraphClock::default();
        assert!(!clock.is_certain());
        let unknown = clock.now(at(0));
        assert!(unknown.earliest <= at(-120) && at(120) <= unknown.latest, "{unknown:?}");
        assert_eq!(clock.learn(sample(0, 60)), Agreement::Agrees);
        assert!(clock.is_certain());
        let now = clock.now(at(10));
        assert!(now.earliest <= at(70) && at(70) <= now.latest, "{now:?}");
        assert!(
            now.latest.duration_since(now.earliest) < SignedDuration::from_millis(1300),
            "{now:?}"
        );
    }

    #[test]
    fn the_first_answer_is_not_believed_where_it_is_far_off() {
        let mut clock = GraphClock::default();
        assert_eq!(clock.learn(sample(0, 86_400)), Agreement::Suspect);
        assert!(clock.now(at(0)).earliest < at(0), "no pass may end for it");
        assert_eq!(clock.learn(sample(1, 0)), Agreement::Agrees);
        assert!(clock.is_certain());

        let mut clock = GraphClock::default();
        for second in 0..3 {
            assert!(!clock.is_certain());
            clock.learn(sample(second, 3600));
        }
        let mut slow = GraphClock::default();
        slow.learn(sample(0, -3600));
        assert!(slow.now(at(0)).earliest < at(-3500), "nor for the local clock, if that is wrong");
        assert!(clock.is_certain() && clock.now(at(3)).earliest > at(3600));
    }

    #[test]
    fn no_sum_of_times_goes_beyond_the_last_one() {
        assert_eq!(later(at(0), SignedDuration::from_secs(5)), at(5));
        assert_eq!(later(Timestamp::MAX, SignedDuration::from_secs(5)), Timestamp::MAX);
    }

    #[test]
    fn narrows_with_each_answer_and_never_excludes_the_truth() {
        let mut clock = GraphClock::default();
        let true_offset = SignedDuration::from_millis(123_456);
        for i in 0..50 {
            let sent = at(i * 7) + SignedDuration::from_millis(i * 37 % 1000);
            let stamped = sent + SignedDuration::from_millis(60) + true_offset;
            let date = Timestamp::from_second(stamped.as_second()).unwrap();
            clock.learn(DateSample {
                date,
                sent,
                received: sent + SignedDuration::from_millis(120),
            });
            let now = clock.now(at(i * 7));
            assert!(
                now.earliest <= at(i * 7) + true_offset && at(i * 7) + true_offset <= now.latest
            );
        }
        let now = clock.now(at(350));
        assert!(
            now.latest.duration_since(now.earliest) < SignedDuration::from_millis(400),
            "{now:?}"
        );
    }

    #[test]
    fn one_wrong_answer_changes_nothing() {
        let mut clock = GraphClock::default();
        clock.learn(sample(0, 0));
        assert_eq!(clock.learn(sample(5, 86_400)), Agreement::Suspect);
        assert!(clock.now(at(6)).latest < at(8));
        assert_eq!(clock.learn(sample(6, 0)), Agreement::Agrees);
        assert_eq!(clock.learn(sample(7, 86_400)), Agreement::Suspect);
        assert_eq!(
            clock.learn(sample(8, -86_400)),
            Agreement::Suspect,
            "another wrong time starts a new count"
        );
        assert_eq!(clock.learn(sample(9, 86_400)), Agreement::Suspect);
    }

    #[test]
    fn several_that_agree_are_believed() {
        let mut clock = GraphClock::default();
        clock.learn(sample(0, 0));
        assert_eq!(clock.learn(sample(1, 7200)), Agreement::Suspect);
        assert_eq!(clock.learn(sample(2, 7200)), Agreement::Suspect);
        assert_eq!(clock.learn(sample(3, 7200)), Agreement::Jumped);
        assert!(clock.now(at(3)).earliest > at(7200));
    }
}
