//! What the operator does beside passes, and what that costs a pass: notices to a receiver that hangs, questions to the
//! tenant's logs about passes that ended, and Conditional Access before each issue.
//!
//! The operator with all of that and the operator without take turns.

use anyhow::{Context, Result, ensure};
use graph_simulator::Operation;
use graph_simulator::tenant::OPERATOR;
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::report::table;
use crate::subject::{self, NAMESPACE, user};
use crate::support::wait;
use crate::support::world::World;
use crate::way::Way;
use crate::yardstick::Yardstick;
use crate::{IN_FLIGHT, NOTHING_BUT_ISSUING, ROUNDS, measure, world};

/// How many passes end before others are measured. At the pace of the logs they are asked about for longer than that takes.
const ENDED: usize = 20;
/// What the app of the operator with all of it may do besides.
const PERMISSIONS: [&str; 2] = ["AuditLog.Read.All", "Policy.Read.All"];

/// Measures so many passes with and without, and shows the figures.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub async fn run(passes: usize) -> Result<()> {
    println!("starting a control plane and a tenant");
    let users = (0..2 * ROUNDS * (ENDED + 3 * passes)).map(user);
    let policy = subject::policy(&[NAMESPACE], &Value::Null);
    let mut world = world(users, &policy, &NOTHING_BUT_ISSUING).await?;
    world.simulator.set_access_policies(vec![json!({
        "id": "ca000000-0000-4000-8000-000000000001", "displayName": "Everybody", "state": "enabled",
        "conditions": {
            "users": { "includeUsers": ["All"] }, "applications": { "includeApplications": ["All"] },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["mfa"] },
    })]);
    world.receiver.hang();
    let notices = world.receiver.flag(world.control_plane.scratch())?;
    let (yardstick, way) = (Yardstick::new(&world).await?, Way::near(&world).await?);
    let (mut alone, mut beside) = (Figures::default(), Figures::default());
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}: {passes} passes one by one, {passes} at once");
        for (with_all, figures) in [(false, &mut alone), (true, &mut beside)] {
            permit(&world, with_all)?;
            let told = with_all.then_some(notices.as_str());
            let flags: Vec<&str> = NOTHING_BUT_ISSUING.into_iter().chain(told).collect();
            world.operator = way.operator(&world, &flags)?;
            world.operator.start().await?;
            for _ in 0..ENDED {
                yardstick.revoked(&world).await?;
            }
            let asked = || world.simulator.requests_for(Operation::SignIns).len();
            let before = asked();
            if with_all {
                wait::until(wait::PATIENCE, "the logs are asked", || async {
                    ensure!(asked() > before, "they are not");
                    Ok(())
                })
                .await?;
            }
            measure(&world, &yardstick, None, passes, figures).await?;
            if with_all {
                let page = world.operator.metrics().await?;
                let hangs = "tap_operator_notice_receiver_up{receiver=\"test\"} 0";
                ensure!(page.contains(hangs), "the receiver does not hang");
            }
            world.operator.stop().await?;
        }
    }
    let all = [("alone", &alone), ("with all", &beside)];
    println!("\n{}", table("on loopback", &all, passes.min(IN_FLIGHT)));
    Ok(())
}

/// From the next token on, the operator's app holds the permissions for logs and Conditional Access, or it does not.
fn permit(world: &World, with_all: bool) -> Result<()> {
    let edited = world.simulator.edit_app(OPERATOR, |app| {
        app.roles.retain(|role| !PERMISSIONS.contains(&role.as_str()));
        app.roles.extend(PERMISSIONS.iter().filter(|_| with_all).map(ToString::to_string));
    });
    edited.context("the operator's app")?;
    world.simulator.expire_tokens();
    Ok(())
}
