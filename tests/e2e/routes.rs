//! The operator is restarted with other tenant connections while passes are live.

use std::time::Duration;

use anyhow::{Result, ensure};
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use graph_simulator::{Actor, End, Tenant};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};
use uuid::Uuid;

use crate::scene::{Scene, condition, quick};
use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::world::World;

/// Longer than any of the looks and repeated reads of these flags.
const A_WHILE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_connection_that_means_another_tenant_takes_no_pass_for_gone() -> Result<()> {
    let scratch = Scratch::new("routes")?;
    let file = scratch.file("tenants.yaml");
    let mut options = quick(&[&format!("--tenants-file={}", file.display())]);
    options.operator = false;
    let world = World::own(options).await?;
    let fabrikam = Tenant { id: Uuid::new_v4(), ..Tenant::contoso() };
    let fabrikam_id = fabrikam.id;
    let other = Simulator::start_in(&scratch.file("fabrikam"), fabrikam).await?;
    for simulator in [&world.simulator, &other] {
        simulator.switch(|switches| switches.authentication_method_limit = None);
    }
    let authorities = [world.simulator.authority(), other.authority()].map(std::fs::read_to_string);
    let authorities: Vec<String> = authorities.into_iter().collect::<Result<_, _>>()?;
    std::fs::write(world.simulator.authority(), authorities.concat())?;

    let secret = scratch.write("secret", OPERATOR_SECRET)?;
    let connection = |name: &str, tenant: Uuid, simulator: &Simulator| -> Value {
        json!({
            "name": name, "tenantId": tenant, "clientId": OPERATOR,
            "credential": { "clientSecret": { "file": secret } },
            "loginUrl": simulator.url(), "graphUrl": simulator.url(),
        })
    };
    let configure = |connections: &[Value]| {
        scratch.write("tenants.yaml", json!({ "tenants": connections }).to_string())
    };
    let contoso = |name: &str| connection(name, CONTOSO, &world.simulator);

    configure(&[contoso("default")])?;
    world.operator.start().await?;
    let scene = Scene::new(&world, "routes").await?;
    scene.policy(json!({})).await?;
    let mut users = Vec::new();
    for name in ["kept", "revoked"] {
        let user = scene.new_user(|_| {});
        scene.ask(name, &user, json!({})).await?;
        scene.wait_active(name).await?;
        users.push(user);
    }

    // The name means another tenant, in which nobody has such a pass.
    world.operator.stop().await?;
    configure(&[connection("default", fabrikam_id, &other)])?;
    world.operator.start().await?;
    scene.wait_phase("kept", Phase::Active, "TenantNotConfigured").await?;
    scene.decide(&scene.approver, "revoked", DecisionKind::Revoke).await?;
    let seen = scene.wait_phase("revoked", Phase::Active, "Revoking").await?;
    let (.., message) = condition(&seen, "Ready").unwrap_or_default();
    ensure!(message.contains(&CONTOSO.to_string()), "{message}");
    tokio::time::sleep(A_WHILE).await;
    for (name, reason, user) in
        [("kept", "TenantNotConfigured", &users[0]), ("revoked", "Revoking", &users[1])]
    {
        scene.wait_phase(name, Phase::Active, reason).await?;
        let live = scene.ledger(user);
        ensure!(live.iter().all(|pass| pass.end == End::Live), "{name}: {live:?}");
    }
    let calls: Vec<_> = other
        .requests()
        .into_iter()
        .filter(|r| r.path.contains("temporaryAccessPassMethods"))
        .collect();
    ensure!(calls.is_empty(), "the other tenant was asked about passes: {calls:?}");

    // The tenant is reached again, by another name.
    world.operator.stop().await?;
    configure(&[connection("default", fabrikam_id, &other), contoso("contoso")])?;
    world.operator.start().await?;
    scene.wait_phase("kept", Phase::Active, "Issued").await?;
    scene.wait_released("revoked", Phase::Revoked).await?;
    let ended = scene.ledger(&users[1]);
    ensure!(
        ended.iter().all(|pass| matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. })),
        "{ended:?}"
    );
    Ok(())
}
