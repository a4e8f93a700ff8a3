//! How fast a pass is issued, as a ratio to a floor that is measured in the same run, on the same machine.
//!
//! The [`floor`] is a bare program that makes a pass with the three Kubernetes writes and the one Graph POST that it
//! cannot do without, and nothing else: no checks, no lease, no connections of their own for the code. The operator is
//! the program as it is shipped, on a real control plane and with a tenant on TLS. They take turns, so that what else
//! the machine does meets both, and are measured with the same [`yardstick`]. Times are shown and never judged.

mod floor;
mod report;
mod subject;
#[path = "../../tests/support/mod.rs"]
mod support;
mod yardstick;

use anyhow::{Context, Result};
use serde_json::json;
use tap_operator::simulator::Tenant;

use self::floor::Floor;
use self::report::{Figures, Usage, table};
use self::subject::{NAMESPACE, POLICY, user};
use self::support::world::{Options, World};
use self::yardstick::Yardstick;

/// How often operator and floor take turns.
const ROUNDS: usize = 2;
/// How many passes are under way where many are asked for at once: as many as the operator works on.
const IN_FLIGHT: usize = 64;
/// How many passes are measured one after the other, and as many at once, where `PASSES` does not say.
const PASSES: usize = 60;

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() -> Result<()> {
    // `cargo bench` says it; `cargo test --all-targets`, which starts benches too, does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let passes: usize = match std::env::var("PASSES") {
        Ok(passes) => passes.parse().context("PASSES is a number, such as 200")?,
        Err(_) => PASSES,
    };
    let passes = (passes / ROUNDS).max(1);
    support::run(async {
        println!("starting a control plane and a tenant");
        let world = world(passes).await?;
        let yardstick = Yardstick::new(&world).await?;
        let (mut operator, mut floor) = (Figures::default(), Figures::default());
        for round in 1..=ROUNDS {
            println!("round {round} of {ROUNDS}: {passes} passes one by one, {passes} at once");
            world.operator.start().await?;
            measure(&world, &yardstick, None, passes, &mut operator).await?;
            let issued = yardstick.last_request().await?;
            world.operator.stop().await?;

            let bare = Floor::like(&world, &issued).await?;
            measure(&world, &yardstick, Some(&bare), passes, &mut floor).await?;
            bare.put_away().await?;
        }
        println!("\n{}", table(&floor, &operator, passes.min(IN_FLIGHT)));
        Ok(())
    })
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
    let measured = async {
        yardstick.at_once(passes, IN_FLIGHT, floor).await?;
        let before = usage();
        figures.one_by_one.extend(yardstick.one_by_one(passes, floor).await?);
        figures.at_once += yardstick.at_once(passes, IN_FLIGHT, floor).await?;
        figures.used.extend(before.zip(usage()));
        anyhow::Ok(())
    };
    measured.await.with_context(|| world.operator.component().log_tail(20))
}

/// A world with a user for each pass, since a user has one at a time, and without limits, which would be measured in
/// place of the operator.
async fn world(passes: usize) -> Result<World> {
    let mut tenant = Tenant::contoso();
    // For operator and floor: to warm up, one by one, at once.
    tenant.users.extend((0..ROUNDS * 2 * 3 * passes).map(user));
    // Nothing but issuing.
    let operator_flags = ["--calls-per-10-seconds=10000", "--use-check-interval=1h"];
    let operator_flags = operator_flags.map(String::from).to_vec();
    let options = Options { tenant, operator_flags, operator: false, ..Options::default() };
    let world = World::own(options).await?;
    world.simulator.switch(|switches| {
        switches.authentication_method_limit = None;
        switches.directory_limit = None;
    });
    let policy = json!({
        "apiVersion": "tap-operator.io/v1alpha1",
        "kind": "TapPolicy",
        "metadata": { "name": POLICY },
        "spec": { "tenant": "default", "issuance": {
            "namespaces": { "names": [NAMESPACE] },
            "users": { "domains": ["contoso.com"] },
            "approval": { "required": 0 },
        } },
    });
    world.control_plane.admin().apply(&policy.to_string()).ok().await?;
    Ok(world)
}
