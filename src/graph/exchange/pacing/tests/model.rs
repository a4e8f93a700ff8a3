//! A model of a tenant that takes so many calls in ten seconds, and of an operator that makes passes, looks at them and revokes
//! them there. Between the two is a network. Time is paused.

use std::collections::{BTreeMap, VecDeque};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

/// The span in which the tenant counts calls.
pub const SPAN: Duration = Duration::from_secs(10);
/// How long a call may wait until it is admitted, and how old a list may be when the POST is.
const DEADLINE: Duration = Duration::from_secs(30);
/// So many requests of a namespace are under way at once.
const OF_ONE_NAMESPACE: usize = 32;
/// So many are at all.
const AT_ONCE: usize = 40;
/// So many looks are at once.
const LOOKS_AT_ONCE: usize = 4;

/// How the tenant answers.
#[derive(Debug, Clone, Copy)]
pub enum Mind {
    /// It takes so many calls in ten seconds, and says when to come again to those that it refuses.
    Takes(usize),
    /// It refuses all calls, and does not say for how long.
    RefusesAll,
}

/// What the operator does, beside making passes.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// Whether it looks at passes, as often as it may.
    pub looks: bool,
    /// How often it revokes a pass.
    pub revokes_every: Option<Duration>,
}

/// A call that was admitted.
#[derive(Debug, Clone, Copy)]
struct Sent {
    priority: Priority,
    asked: Instant,
    admitted: Instant,
    /// The answer.
    taken: Option<bool>,
}

/// What is known after passes were made.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long it took.
    pub took: Duration,
    /// How many calls the tenant took.
    pub taken: usize,
    /// How many calls it refused that revoked nothing.
    pub refused: usize,
    /// How many calls it refused that revoked something.
    pub revocations_refused: usize,
    /// How many calls were looks.
    pub looks: usize,
    /// When the last pass of each namespace was made.
    pub done: BTreeMap<&'static str, Duration>,
    /// How many turns each revocation waited, once the tenant took calls: calls that went before it, and places that got free
    /// without it.
    pub turns: Vec<usize>,
    /// How long each revocation waited to be admitted.
    pub waits: Vec<Duration>,
}

/// A number by which durations can be multiplied.
pub fn count(number: usize) -> u32 {
    number.try_into().unwrap()
}

impl Outcome {
    /// The shortest time in which a tenant takes as many calls.
    pub fn optimum(&self, takes: usize) -> Duration {
        SPAN * count(self.taken) / count(takes)
    }
}

pub struct Scene {
    pacer: Pacer,
    window: Duration,
    state: Mutex<State>,
}

/// The requests of a namespace that are due, now or later, with how often each failed.
struct Requests {
    due: BTreeMap<(Instant, usize), u32>,
    under_way: usize,
}

enum Next {
    Request(usize, u32),
    At(Instant),
    None,
}

impl Requests {
    fn next(&mut self) -> Next {
        let now = Instant::now();
        match self.due.first_entry() {
            Some(first) if first.key().0 <= now => {
                let ((_, number), failures) = first.remove_entry();
                self.under_way += 1;
                Next::Request(number, failures)
            }
            Some(first) => Next::At(first.key().0),
            // Others may fail.
            None if self.under_way > 0 => Next::At(now + Duration::from_secs(1)),
            None => Next::None,
        }
    }
}

struct State {
    mind: Mind,
    /// When it took calls, in the last span.
    recent: VecDeque<Instant>,
    sent: Vec<Sent>,
    /// Until when it said that it refuses, by when it said so.
    told: Vec<(Instant, Instant)>,
    /// How many passes were made.
    passes: usize,
}

impl Scene {
    pub fn new(pace: Pace, mind: Mind) -> Arc<Self> {
        let state =
            State { mind, recent: VecDeque::new(), sent: Vec::new(), told: Vec::new(), passes: 0 };
        Arc::new(Self {
            pacer: Pacer::new(Some(pace)),
            window: pace.window,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The tenant changes its mind.
    pub fn changes(&self, mind: Mind) {
        self.state().mind = mind;
    }

    /// The pace, in calls in ten seconds.
    pub fn pace(&self) -> f64 {
        self.pacer.state().calls_per_second * SPAN.as_secs_f64()
    }

    /// Waits until so many passes were made.
    pub async fn until_made(&self, passes: usize) {
        while self.state().passes < passes {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes so many passes for each namespace, as fast as they are admitted.
    pub async fn make(
        self: &Arc<Self>,
        namespaces: &[(&'static str, usize)],
        beside: Beside,
    ) -> Outcome {
        let began = Instant::now();
        let before = self.state().sent.len();
        let of_each = OF_ONE_NAMESPACE.min(AT_ONCE / namespaces.len());
        let mut requests = JoinSet::new();
        for (namespace, passes) in namespaces.iter().copied() {
            let all = (0..passes).map(|number| ((began, number), 0)).collect();
            let due = Arc::new(Mutex::new(Requests { due: all, under_way: 0 }));
            for _ in 0..of_each {
                requests.spawn(Arc::clone(self).requests(namespace, Arc::clone(&due)));
            }
        }
        let mut others = JoinSet::new();
        for _ in 0..if beside.looks { LOOKS_AT_ONCE } else { 0 } {
            others.spawn(Arc::clone(self).looks());
        }
        if let Some(every) = beside.revokes_every {
            others.spawn(Arc::clone(self).revocations(every));
        }
        let mut outcome = Outcome::default();
        while let Some(ended) = requests.join_next().await {
            outcome.done.insert(ended.unwrap(), began.elapsed());
        }
        others.shutdown().await;
        outcome.took = began.elapsed();
        self.count(before, &mut outcome);
        outcome
    }

    /// Makes so many passes, one after the other is asked for in this interval, by one requester in three namespaces. Returns how
    /// long the slowest took.
    pub async fn longest_of(self: &Arc<Self>, passes: usize, every: Duration) -> Duration {
        let mut requests = JoinSet::new();
        for number in 0..passes {
            let scene = Arc::clone(self);
            requests.spawn(async move {
                let began = Instant::now();
                let share = Share {
                    namespace: ["a", "b", "c"][number % 3].into(),
                    requester: "rita".into(),
                };
                let mut failures = 0;
                while let Err(wait) = scene.pass(&share).await {
                    failures += 1;
                    sleep(scene.backoff(failures, wait)).await;
                }
                began.elapsed()
            });
            sleep(every).await;
        }
        requests.join_all().await.into_iter().max().unwrap_or_default()
    }

    fn count(&self, before: usize, outcome: &mut Outcome) {
        let state = self.state();
        for sent in &state.sent[before..] {
            let revokes = sent.priority == Priority::Revoke;
            outcome.taken += usize::from(sent.taken == Some(true));
            outcome.refused += usize::from(sent.taken == Some(false) && !revokes);
            outcome.revocations_refused += usize::from(sent.taken == Some(false) && revokes);
            outcome.looks += usize::from(sent.priority == Priority::Read);
            if revokes {
                outcome.turns.push(self.turns(&state, sent));
                outcome.waits.push(sent.admitted - sent.asked);
            }
        }
    }

    /// How many calls went before a revocation, and how many places got free without it, from when the tenant took calls.
    fn turns(&self, state: &State, revocation: &Sent) -> usize {
        let told = state.told.iter().filter(|(said, _)| *said <= revocation.admitted);
        let able = told
            .map(|(_, until)| *until)
            .max()
            .map_or(revocation.asked, |until| until.max(revocation.asked));
        let meanwhile = |at: Instant| able < at && at < revocation.admitted;
        let others = state.sent.iter().filter(|sent| sent.priority != Priority::Revoke);
        let before = others.filter(|sent| meanwhile(sent.admitted)).count();
        let free = state.sent.iter().filter(|sent| meanwhile(sent.admitted + self.window)).count();
        before + free
    }

    /// Makes passes for a namespace while some are left, those first that have been due for the longest time.
    async fn requests(
        self: Arc<Self>,
        namespace: &'static str,
        due: Arc<Mutex<Requests>>,
    ) -> &'static str {
        let share = Share { namespace: namespace.into(), requester: "rita".into() };
        loop {
            let next = due.lock().unwrap().next();
            let (number, failures) = match next {
                Next::Request(number, failures) => (number, failures),
                Next::At(later) => {
                    tokio::time::sleep_until(later).await;
                    continue;
                }
                Next::None => return namespace,
            };
            let made = self.pass(&share).await;
            let mut due = due.lock().unwrap();
            due.under_way -= 1;
            match made {
                Ok(()) => self.state().passes += 1,
                Err(wait) => {
                    let again = Instant::now() + self.backoff(failures + 1, wait);
                    due.due.insert((again, number), failures + 1);
                }
            }
        }
    }

    /// A list and the POST, or how long to wait before the next attempt.
    async fn pass(&self, share: &Share) -> Result<(), Duration> {
        self.call(Priority::Issue, share, Instant::now() + DEADLINE).await?;
        self.call(Priority::Create, share, Instant::now() + DEADLINE).await
    }

    async fn looks(self: Arc<Self>) {
        let mut failures = 0;
        loop {
            let latest = Instant::now() + DEADLINE;
            match self.call(Priority::Read, &Share::default(), latest).await {
                Ok(()) => failures = 0,
                Err(wait) => {
                    failures += 1;
                    sleep(self.backoff(failures, wait)).await;
                }
            }
        }
    }

    async fn revocations(self: Arc<Self>, every: Duration) {
        loop {
            sleep(every).await;
            let mut failures = 0;
            let mut latest = Instant::now() + DEADLINE;
            // One that is refused is sent again until its deadline, and then by the next reconcile.
            while let Err(wait) = self.call(Priority::Revoke, &Share::default(), latest).await {
                if Instant::now() + wait >= latest {
                    failures += 1;
                    sleep(self.backoff(failures, wait)).await;
                    latest = Instant::now() + DEADLINE;
                }
            }
        }
    }

    /// How long a reconcile waits after failures in a row: as it was told, or longer and longer.
    fn backoff(&self, failures: u32, told: Duration) -> Duration {
        let grown = Duration::from_secs(1 << failures.min(6)).min(Duration::from_mins(1));
        // Not all of them come again at the same moment.
        let percent = 100 + count(self.state().sent.len() * 7 % 11);
        told.max(grown) * percent / 100
    }

    /// A call, from the wait for its turn to the answer; or how long to wait before the next.
    async fn call(
        &self,
        priority: Priority,
        share: &Share,
        latest: Instant,
    ) -> Result<(), Duration> {
        let asked = Instant::now();
        let admitted = self.pacer.admit(priority, share, latest).await;
        let turn = admitted.map_err(|refused| refused.retry_after)?;
        let number = {
            let mut state = self.state();
            state.sent.push(Sent { priority, asked, admitted: Instant::now(), taken: None });
            state.sent.len() - 1
        };
        // Between 20 and 80 ms in each direction.
        let way = |number: usize| {
            Duration::from_millis(20) + Duration::from_millis(1) * count(number * 37 % 61)
        };
        sleep(way(number)).await;
        let answer = self.state().answer();
        sleep(way(number + 1)).await;
        self.state().sent[number].taken = Some(answer.is_ok());
        let Err(retry_after) = answer else {
            turn.taken();
            return Ok(());
        };
        turn.refused(retry_after);
        let now = Instant::now();
        let pause = retry_after.unwrap_or(Duration::from_secs(2));
        self.state().told.push((now, now + pause));
        Err(retry_after.unwrap_or_default())
    }
}

impl State {
    /// Whether the tenant takes a call now; else for how long it says that it takes none.
    fn answer(&mut self) -> Result<(), Option<Duration>> {
        let now = Instant::now();
        self.recent.retain(|at| *at + SPAN > now);
        let Mind::Takes(takes) = self.mind else { return Err(None) };
        if self.recent.len() < takes {
            self.recent.push_back(now);
            return Ok(());
        }
        // Until the first of them does not count any more, in whole seconds.
        let free = self.recent.front().map_or(SPAN, |at| *at + SPAN - now);
        Err(Some(Duration::from_secs(free.as_secs() + u64::from(free.subsec_nanos() > 0))))
    }
}
