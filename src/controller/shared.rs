//! What many reconciles ask for, and one call answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::entra::GraphError;

/// How long an error is remembered: as long as it took, within these bounds. So a tenant that does not answer is asked seldom, and
/// one that refused a single call is asked again soon.
const FAILED_AT_LEAST: Duration = Duration::from_secs(2);
const FAILED: Duration = Duration::from_secs(15);
/// With as many keys, those are forgotten whose answers are older than [`OLD`].
const MANY: usize = 200;
/// Nobody takes an answer that is older.
pub const OLD: Duration = Duration::from_mins(2);

/// The last answer to a question, for all who ask it. Clones are the same.
///
/// Whoever asks before a read ended shares its outcome, also an error: nobody waits for two reads that hang, one after the other.
/// Ages count from the time when the answer came, however long it took or waited for its turn. A read goes on though nobody
/// waits for it any longer.
#[derive(Debug)]
pub struct Shared<T>(Arc<tokio::sync::Mutex<Option<Last<T>>>>);

#[derive(Debug)]
struct Last<T> {
    came: Instant,
    took: Duration,
    outcome: Result<T, GraphError>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// The last answer if it is not older than this, or else what is read now.
    pub async fn get(
        &self,
        age: Duration,
        read: impl Future<Output = Result<T, GraphError>> + Send + 'static,
    ) -> Result<T, GraphError> {
        let asked = Instant::now();
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some(Last { came, took, outcome }) = &*last {
            let failed = (*took).clamp(FAILED_AT_LEAST, FAILED);
            let holds = if outcome.is_ok() { age } else { failed };
            if asked <= *came || came.elapsed() < holds {
                return outcome.clone();
            }
        }
        let reading = tokio::spawn(async move {
            let began = Instant::now();
            let outcome = read.await;
            let (came, took) = (Instant::now(), began.elapsed());
            *last = Some(Last { came, took, outcome: outcome.clone() });
            outcome
        });
        let interrupted = "a read that several wait for was interrupted";
        reading.await.unwrap_or_else(|_| Err(GraphError::unreached(interrupted)))
    }
}

/// The last answers to questions of one kind, by what they are about.
#[derive(Debug)]
pub struct SharedBy<K, T>(Mutex<BTreeMap<K, Shared<T>>>);

impl<K, T> Default for SharedBy<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, T> SharedBy<K, T> {
    /// The last answer about this.
    pub fn about(&self, key: K) -> Shared<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY && !all.contains_key(&key) {
            // What is locked is being read.
            let is_old = |last: &Option<Last<T>>| {
                last.as_ref().is_some_and(|last| last.came.elapsed() >= OLD)
            };
            all.retain(|_, one| !one.0.try_lock().is_ok_and(|last| is_old(&last)));
        }
        all.entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const AGE: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    /// A question, and how often it was read.
    #[derive(Default)]
    struct Question {
        shared: Shared<u32>,
        reads: Arc<AtomicU32>,
    }

    impl Question {
        /// Asks. A read takes so long, and is answered with its number, or fails.
        async fn ask(&self, takes: Duration, fails: bool) -> Result<u32, GraphError> {
            let reads = Arc::clone(&self.reads);
            let read = async move {
                let number = reads.fetch_add(1, Ordering::Relaxed) + 1;
                sleep(takes).await;
                if fails { Err(GraphError::unreached("why")) } else { Ok(number) }
            };
            self.shared.get(AGE, read).await
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_young_from_when_it_came() {
        let question = Question::default();
        let slow = AGE * 2;
        assert_eq!(question.ask(slow, false).await, Ok(1));
        sleep(AGE.saturating_sub(SECOND)).await;
        assert_eq!(question.ask(slow, false).await, Ok(1));
        sleep(SECOND).await;
        assert_eq!(question.ask(slow, false).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_outcome_and_an_error_is_remembered_for_a_while() {
        let question = Question::default();
        let began = Instant::now();
        let waiting = (0..20).map(async |second| {
            sleep(SECOND * second).await;
            question.ask(AGE, true).await
        });
        assert!(join_all(waiting).await.iter().all(Result::is_err));
        assert_eq!((question.reads(), began.elapsed()), (1, AGE));
        sleep(FAILED.saturating_sub(SECOND)).await;
        assert!(question.ask(SECOND, false).await.is_err());
        sleep(SECOND).await;
        assert_eq!(question.ask(SECOND, false).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_came_at_once_is_forgotten_soon() {
        let question = Question::default();
        assert!(question.ask(Duration::ZERO, true).await.is_err());
        sleep(SECOND).await;
        assert!(question.ask(SECOND, false).await.is_err());
        sleep(SECOND).await;
        assert_eq!(question.ask(SECOND, false).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_goes_on_though_nobody_waits() {
        let question = Question::default();
        assert!(timeout(SECOND, question.ask(SECOND * 10, false)).await.is_err());
        sleep(SECOND * 10).await;
        assert_eq!(question.ask(SECOND, false).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_old_answers_are_forgotten() {
        let all = SharedBy::<usize, usize>::default();
        let answer = async |key: usize| {
            all.about(key).get(OLD, async move { Ok(key) }).await.unwrap();
        };
        for key in 0..MANY {
            answer(key).await;
        }
        sleep(OLD.saturating_sub(SECOND)).await;
        answer(MANY).await;
        assert_eq!(all.0.lock().unwrap().len(), MANY + 1, "all are of use to somebody");
        sleep(SECOND).await;
        answer(MANY + 1).await;
        assert_eq!(all.0.lock().unwrap().len(), 2);
    }
}
