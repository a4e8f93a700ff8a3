//! How a pass gets dearer with the number of requests that are there.
//!
//! There are two clusters. One is filled with live requests, and at the end with as many finished ones on top; the other
//! stays empty. At each number the operators of both are started, issue their first pass, come to rest, and are then
//! measured in turns, so that what else the machine does meets both. So is the [`floor`](crate::floor), which tells what a
//! larger cluster itself costs. What was measured is taken away each time. With 0 live requests both clusters are the same:
//! that tells how far apart equal things come out.
//!
//! The operator has the flags of [`world`](crate::world): it looks at each live pass once after its start, at 500 a second
//! at most, and next after an hour. Writing the requests takes the API server some 40 ms of processor time for each.

mod cluster;
mod listing;
mod population;
mod report;
mod template;

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use self::cluster::{Cluster, Restart};
use self::population::Population;
use crate::figures::Figures;
use crate::floor::{Does, Floor};
use crate::process::{self, Usage};
use crate::subject::{self, NAMESPACE, user};
use crate::way::Way;
use crate::{IN_FLIGHT, PATIENCE, ROUNDS, measure};

/// What was measured with so many requests, and without any.
struct Level {
    live: usize,
    finished: usize,
    without: Measured,
    with: Measured,
}

/// What was measured in one cluster.
struct Measured {
    restart: Restart,
    /// At rest after the start.
    idle: Usage,
    /// After the passes.
    after: Usage,
    operator: Figures,
    floor: Figures,
}

/// Measures with each number of live requests, so many passes in each round, and shows the figures.
#[expect(clippy::print_stdout, reason = "the tables are what it is for")]
pub async fn run(live: &[usize], passes: usize) -> Result<()> {
    let most = live.last().copied().unwrap_or_default();
    let numbers = live.iter().map(|live| (*live, 0)).chain([(most, most)]);
    println!("starting two control planes, each with a tenant");
    // At each number the first one after the start, and for operator and floor: to warm up, one by one, at once.
    let measured = (live.len() + 1) * (1 + ROUNDS * 2 * 3 * passes);
    let users = || (0..measured).map(user).chain(population::users(most));
    // A bound that is never reached, so that it must be counted who holds a pass.
    let quota = json!({ "activePerNamespace": 10_000, "activePerRequester": 10_000 });
    let policy = subject::policy(&[NAMESPACE, population::NAMESPACE], &quota);
    let without = Cluster::start(users(), &policy).await?;
    let with = Cluster::start(users(), &policy).await?;
    // Each has a lease then, so that every start that is measured is a restart.
    for cluster in [&without, &with] {
        cluster.world.operator.start().await?;
    }
    let mut population = Population::new(&with.world).await?;
    for cluster in [&without, &with] {
        cluster.world.operator.stop().await?;
    }

    let mut levels: Vec<Level> = Vec::new();
    for (live, finished) in numbers {
        let began = Instant::now();
        population.grow(&with.world, live, finished).await?;
        let took = began.elapsed().as_secs();
        println!("{live} live and {finished} finished requests are there, after {took} s");
        let [without, with] = measure_both([&without, &with], passes).await?;
        population.check().await?;
        let level = Level { live, finished, without, with };
        println!("\n{}", report::table(&level, passes.min(IN_FLIGHT)));
        levels.push(level);
    }
    if most > 0 {
        let (request, managed_fields) = population.size().await?;
        println!("a live request has {request} bytes as JSON, {managed_fields} of managedFields\n");
    }
    if let [.., live, finished] = levels.as_slice() {
        println!("{}", report::goals(live, finished));
    }
    Ok(())
}

/// Measures the operators of both clusters in turns, and then the floor in both.
async fn measure_both(clusters: [&Cluster; 2], passes: usize) -> Result<[Measured; 2]> {
    let mut measured = [start(clusters[0]).await?, start(clusters[1]).await?];
    for _ in 0..ROUNDS {
        for (cluster, measured) in clusters.iter().zip(&mut measured) {
            let Cluster { world, yardstick } = cluster;
            measure(world, yardstick, None, passes, &mut measured.operator).await?;
        }
    }
    let mut floors = Vec::new();
    for (cluster, measured) in clusters.iter().zip(&mut measured) {
        measured.after = process::usage(cluster.world.operator.component())?;
        let issued = cluster.yardstick.last_request().await?;
        cluster.put_away().await?;
        cluster.world.operator.stop().await?;
        let way = Way::near(&cluster.world).await?;
        floors.push(Floor::like(Does::Writes, &cluster.world, &way, &issued).await?);
    }
    for _ in 0..ROUNDS {
        for ((cluster, measured), floor) in clusters.iter().zip(&mut measured).zip(&floors) {
            let Cluster { world, yardstick } = cluster;
            measure(world, yardstick, Some(floor), passes, &mut measured.floor).await?;
        }
    }
    for (cluster, floor) in clusters.iter().zip(&floors) {
        floor.put_away().await?;
        cluster.put_away().await?;
    }
    Ok(measured)
}

/// Starts the operator, and waits until it is at rest.
async fn start(cluster: &Cluster) -> Result<Measured> {
    let restart = cluster.restart().await?;
    let idle = process::at_rest(cluster.world.operator.component(), PATIENCE).await?;
    let (operator, floor) = (Figures::default(), Figures::default());
    Ok(Measured { restart, idle, after: idle, operator, floor })
}
