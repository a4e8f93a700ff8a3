//! How fast a pass is issued, as a ratio to a floor that is measured in the same run, on the same machine.
//!
//! The [`floor`] is a bare program that makes a pass with the three Kubernetes writes and the one Graph POST that it
//! cannot do without, and nothing else: no checks, no lease, no connections of their own for the code; and the same with the
//! reads that must come first. The operator is the program as it is shipped, on a real control plane and with a tenant on TLS.
//! They take turns, so that what else the machine does meets all, and are measured with the same [`yardstick`]: once on loopback,
//! and once as far from tenant and API server as clusters are. At rest, the operator's memory is compared with that of a [`bare`]
//! client. Times are shown and never judged.
//!
//! With `LIVE=0,1000,10000` it is measured instead how that changes with the number of live requests: [`scale`]. With
//! `FLOOD=500` it is measured what so many requests of another namespace do: [`flood`]. With `EVIDENCE=1` it is measured what
//! notices, logs and Conditional Access do: [`evidence`].

mod bare;
mod calls;
mod evidence;
mod figures;
mod flood;
mod floor;
mod link;
mod process;
mod report;
mod scale;
mod subject;
#[path = "../../tests/support/mod.rs"]
mod support;
mod way;
mod yardstick;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::Tenant;
use graph_simulator::tenant::User;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;
use tap_operator::api::TapRequest;

use self::calls::Calls;
use self::figures::Figures;
use self::floor::{Does, Floor};
use self::process::{Spent, Usage};
use self::report::table;
use self::subject::{NAMESPACE, user};
use self::support::wait;
use self::support::world::{Options, World};
use self::way::Way;
use self::yardstick::Yardstick;

/// How often operator and floor take turns.
const ROUNDS: usize = 4;
/// How many passes are under way where many are asked for at once: as many as the operator works on.
const IN_FLIGHT: usize = 64;
/// How many passes are measured one after the other, and as many at once, where `PASSES` does not say.
const PASSES: usize = 60;
/// The longest that anything may be waited for.
const PATIENCE: Duration = Duration::from_mins(30);
/// Nothing that `LIVE` asks for should take longer.
const LONGEST: Duration = Duration::from_hours(3);

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return bare::run();
    }
    // `cargo bench` says it; `cargo test --all-targets`, which starts benches too, does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let passes: usize = match std::env::var("PASSES") {
        Ok(passes) => passes.parse().context("PASSES is a number, such as 200")?,
        Err(_) => PASSES,
    };
    let passes = (passes / ROUNDS).max(1);
    match (live()?, flood()?) {
        (Some(live), _) => support::run_within(LONGEST, scale::run(&live, passes)),
        (None, Some(flood)) => support::run_within(LONGEST, flood::run(flood, passes)),
        (None, None) if std::env::var_os("EVIDENCE").is_some_and(|text| !text.is_empty()) => {
            support::run_within(LONGEST, evidence::run(passes))
        }
        (None, None) => support::run(beside_the_floor(passes)),
    }
}

/// The number of requests that `FLOOD` asks for.
fn flood() -> Result<Option<usize>> {
    let text = std::env::var("FLOOD").ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().context("FLOOD is a number, such as 500")).transpose()
}

/// The numbers of live requests that `LIVE` names, in ascending order.
fn live() -> Result<Option<Vec<usize>>> {
    let Some(text) = std::env::var("LIVE").ok().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let live = text.split(',').map(|number| number.trim().parse());
    let live = live.collect::<Result<BTreeSet<_>, _>>();
    let live = live.context("LIVE is a list of numbers, such as 0,1000,10000")?;
    Ok(Some(live.into_iter().collect()))
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn beside_the_floor(passes: usize) -> Result<()> {
    println!("starting a control plane and a tenant");
    // A user for each pass of the three programs, since a user has one at a time: to warm up, one by one, at once; near and far.
    let users = (0..2 * ROUNDS * 3 * 3 * passes).map(user);
    let policy = subject::policy(&[NAMESPACE], &Value::Null);
    let mut world = world(users, &policy, &NOTHING_BUT_ISSUING).await?;
    let yardstick = Yardstick::new(&world).await?;

    let near = Way::near(&world).await?;
    world.operator.start().await?;
    let operator = process::at_rest(world.operator.component(), PATIENCE).await?;
    let bare = bare::at_rest(&world, &near).await?;
    println!("\n{}", report::idle(operator, bare));
    world.operator.stop().await?;

    for way in [near, Way::far(&world).await?] {
        let (mut writes, mut reads, mut operator) =
            (Figures::default(), Figures::default(), Figures::default());
        for round in 1..=ROUNDS {
            println!(
                "{}, round {round} of {ROUNDS}: {passes} passes one by one, {passes} at once",
                way.name
            );
            world.operator = way.operator(&world, &NOTHING_BUT_ISSUING)?;
            world.operator.start().await?;
            process::at_rest(world.operator.component(), PATIENCE).await?;
            measure(&world, &yardstick, None, passes, &mut operator).await?;
            let issued = yardstick.last_request().await?;
            // Before it starts anew, so that it has no passes to look at then while others are measured.
            put_away(&world, PATIENCE).await?;
            world.operator.stop().await?;

            let floors = [(Does::Writes, &mut writes), (Does::ReadsAndWrites, &mut reads)];
            for (does, figures) in floors {
                let floor = Floor::like(does, &world, &way, &issued).await?;
                measure(&world, &yardstick, Some(&floor), passes, figures).await?;
                floor.put_away().await?;
            }
        }
        let [writes, reads, operator] = [&writes, &reads, &operator];
        let all = [("writes", writes), ("and reads", reads), ("operator", operator)];
        println!("\n{}", table(way.name, &all, passes.min(IN_FLIGHT)));
    }
    Ok(())
}

/// Measures the floor, or else the operator, warm.
async fn measure(
    world: &World,
    yardstick: &Yardstick,
    floor: Option<&Floor>,
    passes: usize,
    figures: &mut Figures,
) -> Result<()> {
    let usage = || world.operator.component().pid().and_then(Usage::of);
    let maker = || if floor.is_some() { floor::cpu() } else { Some(usage()?.cpu) };
    let measured = async {
        yardstick.at_once(passes, IN_FLIGHT, floor).await?;
        let (before, made) = (usage(), Calls::so_far(world).await?);
        let spent = Spent::so_far(world, maker());
        figures.one_by_one.extend(yardstick.one_by_one(passes, floor).await?);
        figures.calls.add(&made, &Calls::so_far(world).await?);
        figures.at_once += yardstick.at_once(passes, IN_FLIGHT, floor).await?;
        figures.used.extend(before.zip(usage()));
        let spent = spent.zip(Spent::so_far(world, maker()));
        figures.spent += spent.map(|(before, after)| after - before).unwrap_or_default();
        anyhow::Ok(())
    };
    measured.await.with_context(|| world.operator.component().log_tail(20))
}

/// Flags with which neither the pace nor looks at passes are measured in place of the operator.
const NOTHING_BUT_ISSUING: [&str; 2] = ["--calls-per-10-seconds=10000", "--use-check-interval=1h"];

/// A world with these users, this policy and these flags of the operator. The tenant has no limits.
async fn world(
    users: impl Iterator<Item = User>,
    policy: &Value,
    operator_flags: &[&str],
) -> Result<World> {
    let mut tenant = Tenant::contoso();
    tenant.users.extend(users);
    let options = Options { tenant, operator: false, ..Options::default() };
    let mut world = World::own(options).await?;
    // One that sends no notices.
    world.operator = Way::near(&world).await?.operator(&world, operator_flags)?;
    world.simulator.switch(|switches| {
        switches.authentication_method_limit = None;
        switches.directory_limit = None;
    });
    world.control_plane.admin().apply(&policy.to_string()).ok().await?;
    Ok(world)
}

/// Takes away the requests that were measured, and waits until they are gone: a running operator takes their passes back.
async fn put_away(world: &World, patience: Duration) -> Result<()> {
    let admin = world.control_plane.admin().client().await?;
    let requests: Api<TapRequest> = Api::namespaced(admin, NAMESPACE);
    requests.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let one = ListParams::default().limit(1);
    wait::until(patience, "the measured requests are gone", || async {
        ensure!(requests.list(&one).await?.items.is_empty(), "there are some");
        Ok(())
    })
    .await
}
