//! The real operator is killed at each of its effects, on a real control plane, and the promises are checked afterwards.
//!
//! - [`proxy`] is between the operator and both servers; [`recognize`] finds out which effect a request is; [`gate`]
//!   counts them, and lets the operator die before, during or after one of them;
//! - [`stand`] is a cluster with a tenant and an operator that is started again whenever it dies; [`replica`] is an
//!   operator, or a command run by a person, behind proxies;
//! - [`workflows`] are what the operator does, [`run`](mod@run) is one run of a workflow; [`promises`] checks what must
//!   hold afterwards; [`plan`] says what crashes where, and [`table`] shows the results;
//! - [`outages`] and [`availability`] test more than the crash of one process: servers that are down, and two replicas.
//!
//! `make crash` runs all of it. The tests that are not ignored are a small part for every day.

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

/// Two cores are enough for so many stands, because they wait most of the time.
const STANDS: usize = 4;

/// Crashes at each boundary of an issue in each position, once.
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
        ensure!(
            found.len() >= 5 && never.is_empty(),
            "of {found:?}, there was no crash at {never:?}"
        );
        Ok(())
    })
}

/// Crashes at every boundary of every workflow in every position.
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
            "there was no crash at {never:?}: add a workflow that has it"
        );
        Ok(())
    })
}

/// The API server, etcd or Graph is down for a while.
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
