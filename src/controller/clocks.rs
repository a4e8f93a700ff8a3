//! Local time, and Graph's time in each tenant.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::decision::clock::{GraphClock, Now, Sample, Verdict};

/// The local clock: read once at the start and carried on by the monotonic one, so that a step of the system's clock
/// moves nothing.
#[derive(Clone, Copy, Debug)]
pub struct LocalClock {
    wall: Timestamp,
    started: Instant,
}

impl LocalClock {
    /// A clock that shows this time now.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.wall + SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX)
    }
}

/// Graph's clocks, by tenant id.
#[derive(Debug)]
pub struct Clocks {
    local: LocalClock,
    tenants: Mutex<HashMap<String, GraphClock>>,
    /// Wakes when a tenant's clock contradicts what was known and should be asked again.
    pub suspect: Notify,
    /// Wakes when a tenant's clock turned out to have jumped.
    pub jumped: Notify,
}

impl Clocks {
    /// Clocks that know nothing but local time.
    pub fn new(local: LocalClock) -> Self {
        Self { local, tenants: Mutex::default(), suspect: Notify::new(), jumped: Notify::new() }
    }

    /// Local time.
    pub fn local(&self) -> Timestamp {
        self.local.now()
    }

    /// Graph's time in a tenant; local time where nothing is known of it.
    pub fn now(&self, tenant_id: Option<&str>) -> Now {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = tenant_id.and_then(|id| tenants.get(id)).or_else(|| tenants.values().next());
        clock.map_or_else(|| Now::exactly(self.local()), |clock| clock.now(self.local()))
    }

    /// Learns from an answer of a tenant.
    pub fn learn(&self, tenant_id: &str, sample: Sample) {
        let verdict = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant_id.into()).or_default().learn(sample)
        };
        match verdict {
            Verdict::Agrees => {}
            Verdict::Suspect => {
                tracing::info!(tenant = tenant_id, date = %sample.date, "Graph's clock contradicts what was known; asking again");
                self.suspect.notify_one();
            }
            Verdict::Jumped => {
                tracing::warn!(tenant = tenant_id, date = %sample.date, "Graph's clock has jumped; following it");
                self.jumped.notify_one();
            }
        }
    }
}
