//! The only source of randomness in an operator: jitter, backoffs and the ids of attempts.
//!
//! With a seed, a value depends on the object for which it is drawn and on the time, not on earlier draws. So the order in
//! which requests are reconciled at one moment does not matter, and a run can be repeated.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use uuid::Uuid;

/// A source of randomness.
#[derive(Clone, Copy, Debug)]
pub struct Chance(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    OperatingSystem,
    Seed { seed: u64, since: Instant },
}

impl Chance {
    /// Unpredictable randomness from the operating system.
    pub fn from_operating_system() -> Self {
        Self(Source::OperatingSystem)
    }

    /// Randomness that is the same in each run with this seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Source::Seed { seed, since: Instant::now() })
    }

    /// A new unique id.
    pub fn id(&self, of: &str) -> Uuid {
        uuid::Builder::from_random_bytes(self.generator(of).random()).into_uuid()
    }

    /// The duration made longer or shorter by up to a tenth, so that many waits do not end at once.
    pub fn jittered(&self, of: &str, length: SignedDuration) -> Duration {
        self.stretched(of, length, 0.9..1.1)
    }

    /// How long to wait after this many failures in a row, but at least `least`.
    pub fn backoff(&self, of: &str, failures: u32, least: Option<SignedDuration>) -> Duration {
        let grown =
            SignedDuration::from_secs(1_i64 << failures.min(6)).min(SignedDuration::from_secs(60));
        match least {
            // Never shorter than the server asked for.
            Some(least) if least >= grown => self.stretched(of, least, 1.0..1.1),
            _ => self.jittered(of, grown),
        }
    }

    fn stretched(&self, of: &str, length: SignedDuration, by: Range<f64>) -> Duration {
        let length = Duration::try_from(length).unwrap_or_default();
        length.mul_f64(self.generator(of).random_range(by))
    }

    fn generator(&self, of: &str) -> StdRng {
        match self.0 {
            Source::OperatingSystem => rand::make_rng(),
            Source::Seed { seed, since } => {
                let mut hasher = DefaultHasher::new();
                (seed, of, since.elapsed()).hash(&mut hasher);
                StdRng::seed_from_u64(hasher.finish())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seed_repeats_itself_for_each_and_at_each_time() {
        let draw = || async {
            let chance = Chance::from_seed(7);
            let first = (chance.id("a"), chance.id("b"));
            tokio::time::sleep(Duration::from_secs(1)).await;
            (first, chance.id("a"))
        };
        let ((a, b), later) = draw().await;
        assert_eq!(((a, b), later), draw().await);
        assert!(a != b && a != later);
        assert_ne!(a, Chance::from_seed(8).id("a"));
    }

    #[test]
    fn the_operating_system_never_repeats_itself() {
        let chance = Chance::from_operating_system();
        assert_ne!(chance.id("a"), chance.id("a"));
    }

    #[test]
    fn what_a_server_asked_for_is_never_undercut() {
        let chance = Chance::from_operating_system();
        for _ in 0..100 {
            let wait = chance.backoff("a", 1, Some(SignedDuration::from_secs(30)));
            assert!((30..=33).contains(&wait.as_secs()), "{wait:?}");
            let wait = chance.backoff("a", 3, Some(SignedDuration::from_secs(1)));
            assert!((7..9).contains(&wait.as_secs()), "{wait:?}");
        }
    }
}
