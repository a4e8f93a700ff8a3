//! The real operator is killed at each of its effects, on a real control plane, and the promises are checked afterwards.
//!
//! - [`proxy`] stands between the operator and both servers; [`recognize`] tells which effect a request is; [`gate`]
//!   counts them, and lets the operator die before, during or after one of them;
//! - [`stand`] is a cluster with a tenant and an operator that is started again whenever it dies; [`replica`] is an
//!   operator, or a person's command, behind proxies;
//! - [`workflows`] are what the operator does, [`run`](mod@run) one run of one; [`promises`] what must hold afterwards;
//!   [`plan`] who crashes where, and [`table`] what came of it;
//! - [`outages`] and [`availability`] have what is not a crash of one process: servers that are gone, and two replicas.
//!
//! `make crash` runs all of it; what is not ignored is a slice for every day.

#[path = "../support/mod.rs"]
mod support;

#[path = "../e2e/scene.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scene;
#[path = "../e2e/tenants.rs"]
#[allow(dead_code, reason = "other tests use it")]
mod tenants;

mod availability;
mod gate;
mod outages;
mod plan;
mod promises;
mod proxy;
mod recognize;
mod replica;
mod run;
mod stand;
mod table;
mod workflows;

use std::time::Duration;

use anyhow::{Result, ensure};
use plan::{boundaries, everything, run as run_case, singles, tell};
use stand::Stand;
use table::Table;
use tap_operator::effect::Effect;
use workflows::ISSUE;

/// So many stands fit on two cores: most of the time is waiting.
const STANDS: usize = 4;

/// Each boundary of an issue in each position, once.
#[test]
fn a_crash_at_each_boundary_of_an_issue() -> Result<()> {
    support::run(async {
        let stand = Stand::start().await?;
        let found = boundaries(&stand, &ISSUE).await?;
        let mut table = Table::default();
        for case in singles(&ISSUE, &found) {
            table.add(&case, &run_case(&stand, &case).await);
        }
        tell(&table.text());
        ensure!(table.violations().is_empty(), "{:#?}", table.violations());
        let never: Vec<_> = found.iter().filter(|found| !table.hit.contains(&found.0)).collect();
        ensure!(found.len() >= 5 && never.is_empty(), "of {found:?}, nobody crashed at {never:?}");
        Ok(())
    })
}

/// Every boundary of every workflow in every position.
#[test]
#[ignore = "takes minutes: make crash"]
fn a_crash_anywhere() -> Result<()> {
    support::run_within(Duration::from_hours(2), async {
        let table = everything(STANDS).await?;
        tell(&table.text());
        ensure!(table.violations().is_empty(), "{:#?}", table.violations());
        let never: Vec<_> =
            Effect::ALL.iter().filter(|effect| !table.hit.contains(effect)).collect();
        ensure!(
            never.is_empty() || std::env::var_os("ONLY").is_some(),
            "nobody crashed at {never:?}: add a workflow that has it"
        );
        Ok(())
    })
}

/// The API server, etcd or Graph is gone for a while.
#[test]
#[ignore = "takes minutes: make crash"]
fn an_outage_in_the_middle() -> Result<()> {
    support::run(async { outages::all(&Stand::start().await?).await })
}

/// Two replicas.
#[test]
#[ignore = "takes minutes: make crash"]
fn two_replicas() -> Result<()> {
    support::run_within(Duration::from_hours(1), async {
        tell(&availability::measure().await?.text());
        Ok(())
    })
}
