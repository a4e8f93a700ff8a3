//! The one source of what is random in an operator: how long it waits, and how it names its attempts.
//!
//! What is drawn depends on whom it is for and on when, not on who asked before: two requests that are looked at in the
//! same moment get the same, whichever comes first. So a run from a seed can be repeated.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use uuid::Uuid;

/// Where chance comes from.
#[derive(Clone, Copy, Debug)]
pub struct Chance(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    OperatingSystem,
    Seed { seed: u64, since: Instant },
}

impl Chance {
    /// Chance that nobody can foretell.
    pub fn from_operating_system() -> Self {
        Self(Source::OperatingSystem)
    }

    /// Chance that is the same each time: for runs that are to be repeated.
    pub fn from_seed(seed: u64) -> Self {
        Self(Source::Seed { seed, since: Instant::now() })
    }

    /// An id unlike any other.
    pub fn id(&self, of: &str) -> Uuid {
        uuid::Builder::from_random_bytes(self.generator(of).random()).into_uuid()
    }

    /// A duration, up to a tenth longer or shorter, so that many do not come at once.
    pub fn jittered(&self, of: &str, length: SignedDuration) -> Duration {
        self.stretched(of, length, 0.9..1.1)
    }

    /// How long to wait after so many failures in a row, at least `least`.
    pub fn backoff(&self, of: &str, failures: u32, least: Option<SignedDuration>) -> Duration {
        let grown =
            SignedDuration::from_secs(1_i64 << failures.min(6)).min(SignedDuration::from_secs(60));
        match least {
            // What a server asked for is never undercut.
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
    fn the_operating_system_does_not() {
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
