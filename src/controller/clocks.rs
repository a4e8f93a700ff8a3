//! Local time, and Graph's time in each tenant.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::decision::clock::{Agreement, GraphClock, Now};
use crate::entra::DateSample;

/// The local clock. The system's clock is read once at the start, and the monotonic clock counts from there, so later steps
/// of the system's clock have no effect.
#[derive(Clone, Copy, Debug)]
pub struct LocalClock {
    start: Timestamp,
    started: Instant,
    /// How much more than this the clock of a machine shows that is made up; absent for the real one, which is asked.
    stepped: Option<SignedDuration>,
}

impl LocalClock {
    /// The clock of this machine.
    pub fn of_the_system() -> Self {
        Self { start: Timestamp::now(), started: Instant::now(), stepped: None }
    }

    /// A clock that shows this time now, as that of its machine does.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, started: Instant::now(), stepped: Some(SignedDuration::ZERO) }
    }

    /// What the system's clock shows, which somebody may just have set right. Whoever compares it with their own clock, outside
    /// of this process, must be told this one.
    pub fn wall(&self) -> Timestamp {
        self.stepped.map_or_else(Timestamp::now, |by| self.now() + by)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.start + SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX)
    }
}

/// Graph's clocks, by tenant id.
#[derive(Debug)]
pub struct Clocks {
    local: LocalClock,
    tenants: Mutex<BTreeMap<String, GraphClock>>,
    /// Changes when an answer contradicts the time known so far, and its tenant should be asked again.
    pub suspect: watch::Sender<()>,
    /// Notified when the time of a tenant is known for the first time, or has jumped.
    pub jumped: Notify,
}

impl Clocks {
    /// Clocks that know only local time.
    pub fn new(local: LocalClock) -> Self {
        Self {
            local,
            tenants: Mutex::default(),
            suspect: watch::Sender::new(()),
            jumped: Notify::new(),
        }
    }

    /// Local time.
    pub fn local(&self) -> Timestamp {
        self.local.now()
    }

    /// What the system's clock shows.
    pub fn wall(&self) -> Timestamp {
        self.local.wall()
    }

    /// Graph's time in a tenant, or in another one if that has not answered yet. Before any answer it is local time, with a
    /// wide margin of error.
    pub fn now(&self, tenant_id: Option<&str>) -> Now {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = tenant_id.and_then(|id| tenants.get(id)).or_else(|| tenants.values().next());
        clock.unwrap_or(&GraphClock::default()).now(self.local())
    }

    /// Whether the time of a tenant is known, and no later answer contradicts it.
    pub fn is_certain(&self, tenant_id: &str) -> bool {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant_id).is_some_and(GraphClock::is_certain)
    }

    /// How far Graph's clock in a tenant is ahead of the system's, and how far that may be off; `None` while it is not
    /// certain.
    pub fn offset(&self, tenant_id: &str) -> Option<(SignedDuration, SignedDuration)> {
        let local = self.local();
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = tenants.get(tenant_id).filter(|clock| clock.is_certain())?;
        let Now { earliest, latest } = clock.now(local);
        let error = latest.duration_since(earliest) / 2;
        Some((earliest.duration_since(self.wall()) + error, error))
    }

    /// Learns from the `Date` of an answer.
    pub fn learn(&self, tenant_id: &str, sample: DateSample) {
        let verdict = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            if !tenants.contains_key(tenant_id) {
                self.jumped.notify_one();
            }
            tenants.entry(tenant_id.into()).or_default().learn(sample)
        };
        match verdict {
            Agreement::Agrees => {}
            Agreement::Suspect => {
                tracing::info!(tenant = tenant_id, date = %sample.date, "Graph's clock contradicts earlier answers; asking again");
                self.suspect.send_replace(());
            }
            Agreement::Jumped => {
                tracing::warn!(tenant = tenant_id, date = %sample.date, "Graph's clock has jumped; following it");
                self.jumped.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn before_graph_has_answered_the_local_clock_is_not_believed_to_the_second() {
        let wall: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let clocks = Clocks::new(LocalClock::starting_at(wall));
        let now = clocks.now(Some("tenant"));
        assert!(now.earliest < wall && wall < now.latest);

        let date = wall + SignedDuration::from_mins(4);
        clocks.learn("tenant", DateSample { date, sent: wall, received: wall });
        let now = clocks.now(Some("tenant"));
        assert!(date <= now.latest && now.latest.duration_since(now.earliest).as_secs() <= 1);
        clocks.jumped.notified().await;
    }

    /// Else the metric says that a clock is wrong that somebody set right.
    #[tokio::test(start_paused = true)]
    async fn how_far_graphs_clock_is_ahead_is_counted_from_what_the_machine_shows() {
        let wall: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let wrong = SignedDuration::from_mins(4);
        for (stepped, ahead) in [(SignedDuration::ZERO, wrong), (wrong, SignedDuration::ZERO)] {
            let local = LocalClock { stepped: Some(stepped), ..LocalClock::starting_at(wall) };
            let clocks = Clocks::new(local);
            let sample = DateSample { date: wall + wrong, sent: wall, received: wall };
            clocks.learn("tenant", sample);
            let (offset, error) = clocks.offset("tenant").unwrap();
            assert!((offset - ahead).abs() <= error, "{offset} {error}");
        }
    }
}
