//! A cluster with its tenant and its operator, in which passes are measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use graph_simulator::tenant::User;
use kube::Api;
use serde_json::Value;
use tap_operator::api::TapRequest;

use super::listing;
use crate::process;
use crate::support::wait;
use crate::support::world::World;
use crate::yardstick::Yardstick;
use crate::{NOTHING_BUT_ISSUING, PATIENCE, put_away, world};

/// A cluster, and who asks for passes in it.
pub struct Cluster {
    pub world: World,
    pub yardstick: Yardstick,
}

/// A start, from the beginning of the process.
pub struct Restart {
    pub first_pass: Duration,
    /// The processor time that the operator had used then.
    pub cpu: Duration,
    /// How long a bare paged list of all requests took just before.
    pub list: Duration,
}

impl Cluster {
    /// One with these users in its tenant; its operator does not run yet.
    pub async fn start(users: impl Iterator<Item = User>, policy: &Value) -> Result<Self> {
        let world = world(users, policy, &NOTHING_BUT_ISSUING).await?;
        let yardstick = Yardstick::new(&world).await?;
        Ok(Self { world, yardstick })
    }

    /// Starts the operator, for which a request waits already.
    pub async fn restart(&self) -> Result<Restart> {
        let client = self.world.control_plane.admin().client().await?;
        // After thousands of writes the API server's cache lags, and it refuses lists until it has caught up.
        let requests: Api<TapRequest> = Api::all(client.clone());
        wait::until(PATIENCE, "the API server has caught up", || async {
            listing::each(&requests, drop).await
        })
        .await?;
        let list = listing::time(client).await?;
        let mut asked = self.yardstick.ask().await?;
        asked.shown(PATIENCE).await?;
        let component = self.world.operator.component();
        let began = Instant::now();
        component.start()?;
        let first = tokio::select! {
            first = asked.active(PATIENCE) => first.with_context(|| component.log_tail(40))?,
            ended = component.ended(2 * PATIENCE) => {
                bail!("the operator ended: {}\n{}", ended?, component.log_tail(40))
            }
        };
        let cpu = process::usage(self.world.operator.component())?.cpu;
        Ok(Restart { first_pass: first.at.saturating_duration_since(began), cpu, list })
    }

    /// Takes away the requests that were measured; a running operator takes their passes back.
    pub async fn put_away(&self) -> Result<()> {
        put_away(&self.world, PATIENCE).await
    }
}
