//! What time it is at Graph.
//!
//! Each answer of Graph carries a `Date` in whole seconds. Together with the local times between which it was stamped
//! it bounds how far Graph's clock is from ours. Samples that agree narrow the bounds; one that does not is believed
//! only when several in a row agree on it, so that one wrong answer ends no pass early.

use jiff::{SignedDuration, Timestamp};

/// How many samples in a row must agree on another time before it is believed.
const JUMP_SAMPLES: u32 = 3;

/// How wrong the local clock may be before Graph has told the time. Entra refuses the assertions of a machine whose clock
/// is further off.
const LOCAL_ERROR: SignedDuration = SignedDuration::from_mins(5);

/// How fast two clocks may drift apart: bounds widen by one part in this many.
const DRIFT: i128 = 10_000;

/// A time so much later, or the last one there is: what people and servers write may lie beyond it.
pub fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The `Date` of one answer, and the local times around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The answer's `Date`, cut to a whole second by the server.
    pub date: Timestamp,
    /// Local time just before the request was sent.
    pub sent: Timestamp,
    /// Local time just after the answer arrived.
    pub received: Timestamp,
}

impl From<crate::graph::DateSample> for Sample {
    fn from(sample: crate::graph::DateSample) -> Self {
        Self { date: sample.date, sent: sample.sent, received: sample.received }
    }
}

/// Graph's time, as far as it is known: it lies between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// It is at least this late at Graph. What must not come early compares with this.
    pub earliest: Timestamp,
    /// It is at most this late at Graph. What must not come late compares with this.
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
pub enum Verdict {
    /// It agrees with what was known.
    Agrees,
    /// It contradicts what was known and is not believed yet: ask again soon.
    Suspect,
    /// It is one of several that contradict what was known, and is believed now.
    Jumped,
}

/// Bounds of "Graph's clock minus ours", and when they were set.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: SignedDuration,
    high: SignedDuration,
    at: Timestamp,
}

impl Bounds {
    /// As far as the local clock is to be trusted.
    fn of_the_local_clock(at: Timestamp) -> Self {
        Self { low: -LOCAL_ERROR, high: LOCAL_ERROR, at }
    }

    fn of(sample: Sample) -> Self {
        Self {
            low: sample.date.duration_since(sample.received),
            high: sample.date.duration_since(sample.sent) + SignedDuration::from_secs(1),
            at: sample.received,
        }
    }

    /// The same bounds later, wider by what the clocks may have drifted apart.
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
    known: Option<Bounds>,
    suspected: Option<(Bounds, u32)>,
}

impl GraphClock {
    /// Learns from one answer.
    pub fn learn(&mut self, sample: Sample) -> Verdict {
        let seen = Bounds::of(sample);
        let known = self.known.unwrap_or(Bounds::of_the_local_clock(seen.at));
        if let Some(both) = known.at(seen.at).and(seen) {
            self.known = Some(both);
            self.suspected = None;
            return Verdict::Agrees;
        }
        let (bounds, times) = match self.suspected {
            Some((before, times)) => {
                before.at(seen.at).and(seen).map_or((seen, 1), |both| (both, times + 1))
            }
            None => (seen, 1),
        };
        if times >= JUMP_SAMPLES {
            self.known = Some(bounds);
            self.suspected = None;
            return Verdict::Jumped;
        }
        self.suspected = Some((bounds, times));
        Verdict::Suspect
    }

    /// Graph's time at a local time. Before Graph has told it the local clock is all there is.
    pub fn now(&self, local: Timestamp) -> Now {
        let mut bounds = self.known.unwrap_or(Bounds::of_the_local_clock(local)).at(local);
        // Neither the local clock nor the first answers need be right, where they contradict each other.
        if let (None, Some((suspected, _))) = (self.known, self.suspected) {
            bounds.low = bounds.low.min(suspected.low);
            bounds.high = bounds.high.max(suspected.high);
        }
        Now { earliest: local + bounds.low, latest: local + bounds.high }
    }

    /// Whether Graph has told the time, and no answer since contradicts it.
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
    fn sample(local: i64, ahead: i64) -> Sample {
        let sent = at(local);
        Sample { date: at(local + ahead), sent, received: sent + SignedDuration::from_millis(200) }
    }

    #[test]
    fn follows_a_clock_that_is_a_little_ahead_from_the_first_answer() {
        let mut clock = GraphClock::default();
        assert!(!clock.is_certain());
        let unknown = clock.now(at(0));
        assert!(unknown.earliest <= at(-120) && at(120) <= unknown.latest, "{unknown:?}");
        assert_eq!(clock.learn(sample(0, 60)), Verdict::Agrees);
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
        assert_eq!(clock.learn(sample(0, 86_400)), Verdict::Suspect);
        assert!(clock.now(at(0)).earliest < at(0), "no pass may end for it");
        assert_eq!(clock.learn(sample(1, 0)), Verdict::Agrees);
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
            clock.learn(Sample { date, sent, received: sent + SignedDuration::from_millis(120) });
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
        assert_eq!(clock.learn(sample(5, 86_400)), Verdict::Suspect);
        assert!(clock.now(at(6)).latest < at(8));
        assert_eq!(clock.learn(sample(6, 0)), Verdict::Agrees);
        assert_eq!(clock.learn(sample(7, 86_400)), Verdict::Suspect);
        assert_eq!(
            clock.learn(sample(8, -86_400)),
            Verdict::Suspect,
            "wrong in another way counts anew"
        );
        assert_eq!(clock.learn(sample(9, 86_400)), Verdict::Suspect);
    }

    #[test]
    fn several_that_agree_are_believed() {
        let mut clock = GraphClock::default();
        clock.learn(sample(0, 0));
        assert_eq!(clock.learn(sample(1, 7200)), Verdict::Suspect);
        assert_eq!(clock.learn(sample(2, 7200)), Verdict::Suspect);
        assert_eq!(clock.learn(sample(3, 7200)), Verdict::Jumped);
        assert!(clock.now(at(3)).earliest > at(7200));
    }
}
