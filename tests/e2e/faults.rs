//! Graph is down, the tenant changes, clocks are wrong, the operator is removed.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::{Actor, End, LedgerEntry, Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tap_operator::api::names::FINALIZER;
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::{Scene, quick, quick_world};
use crate::support::operator::{NAMESPACE, SERVICE_ACCOUNT};
use crate::support::scratch::Scratch;
use crate::support::world::{Options, World};
use crate::support::{control_plane, program, run, wait};

fn without_garbage_collection() -> control_plane::Options {
    control_plane::Options { controller_manager: false, ..control_plane::Options::default() }
}

fn is_held(request: &TapRequest) -> bool {
    request.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Lets the tenant make passes of ten minutes.
fn allow_short_passes(world: &World) -> Result<()> {
    let short = json!({ "minimumLifetimeInMinutes": 10, "defaultLifetimeInMinutes": 10 });
    Ok(world.simulator.portal_patch_policy(&short)?)
}

fn expires(pass: &LedgerEntry) -> Timestamp {
    pass.start_date_time + SignedDuration::from_mins(i64::from(pass.lifetime_in_minutes))
}

/// Waits until the Secret of a request is gone. Returns the tenant's time at which it was seen to be gone.
async fn secret_gone(scene: &Scene<'_>, name: &str) -> Result<Timestamp> {
    wait::until(wait::PATIENCE, "the Secret is gone", || async {
        ensure!(scene.secret(name).await?.is_none(), "it is there");
        Ok(())
    })
    .await?;
    Ok(scene.simulator.now())
}

/// Waits until the operator has read passes so many more times.
async fn wait_for_reads(world: &World, times: usize) -> Result<()> {
    let seen = || world.simulator.requests_for(Operation::PassGet).len();
    let enough = seen() + times;
    wait::until(wait::PATIENCE, "the operator reads passes", || async {
        ensure!(seen() >= enough, "{} of {enough}", seen());
        Ok(())
    })
    .await
}

#[test]
fn while_graph_is_down_requests_wait_and_secrets_still_go() -> Result<()> {
    run(async {
        let options = Options { control_plane: without_garbage_collection(), ..quick(&[]) };
        let world = quick_world(options).await?;
        let scene = Scene::new(&world, "outage").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();

        world.simulator.set_unreachable(true);
        scene.ask("lost-phone", &user, json!({})).await?;
        scene.wait_phase("lost-phone", Phase::Pending, "TenantUnreachable").await?;
        world.simulator.set_unreachable(false);
        scene.wait_phase("lost-phone", Phase::AwaitingApproval, "AwaitingApproval").await?;

        world.simulator.set_unreachable(true);
        scene.decide(&scene.approver, "lost-phone", DecisionKind::Approve).await?;
        scene.wait_phase("lost-phone", Phase::Pending, "TenantUnreachable").await?;
        world.simulator.set_unreachable(false);
        let request = scene.wait_active("lost-phone").await?;

        world.simulator.set_unreachable(true);
        scene.decide(&scene.helpdesk, "lost-phone", DecisionKind::Revoke).await?;
        secret_gone(&scene, "lost-phone").await?;
        let revoking = scene.wait_phase("lost-phone", Phase::Active, "Revoking").await?;
        ensure!(is_held(&revoking) && scene.pass_of(&request)?.is_live(), "{revoking:?}");
        world.simulator.set_unreachable(false);
        scene.wait_phase("lost-phone", Phase::Revoked, "Revoked").await?;
        let pass = scene.pass_of(&request)?;
        ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
        Ok(())
    })
}

#[test]
fn a_namespace_ends_at_the_latest_when_its_pass_has_expired() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        allow_short_passes(&world)?;
        let scene = Scene::new(&world, "ending").await?;
        scene.policy(json!({ "lifetime": { "default": "10m" } })).await?;
        let user = scene.user();
        scene.ask("lost-phone", &user, json!({})).await?;
        let request = scene.wait_active("lost-phone").await?;
        // Fifteen seconds before the pass ends Graph goes down, then the namespace is deleted with all rights in it.
        world.simulator.step_clock(SignedDuration::from_secs(600 - 15));
        wait_for_reads(&world, 6).await?;
        world.simulator.set_unreachable(true);
        let admin = world.control_plane.admin().client().await?;
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        let requests: Api<TapRequest> = Api::namespaced(admin, &scene.namespace);
        namespaces.delete(&scene.namespace, &DeleteParams::default()).await?;
        let revoking = |r: &TapRequest| r.metadata.deletion_timestamp.is_some() && is_held(r);
        world
            .wait_for(&requests, "lost-phone", "it is held while its pass is live", revoking)
            .await?;
        world.wait_gone(&namespaces, &scene.namespace).await?;
        let pass = scene.pass_of(&request)?;
        ensure!(matches!(pass.end, End::Expired { .. }), "{pass:?}");
        Ok(())
    })
}

#[test]
fn what_changes_in_the_tenant_meanwhile_is_noticed() -> Result<()> {
    run(async {
        let scratch = Scratch::new("audit")?;
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [
                { "level": "Metadata", "resources": [{ "group": "", "resources": ["secrets"] }] },
                { "level": "None", "verbs": ["get", "list", "watch"] },
                { "level": "Metadata" },
            ],
        });
        let policy = scratch.write("policy.json", policy.to_string())?;
        let control_plane = control_plane::Options {
            api_server_flags: vec![format!("--audit-policy-file={}", policy.display())],
            ..without_garbage_collection()
        };
        let world = quick_world(Options { control_plane, ..quick(&[]) }).await?;
        let scene = Scene::new(&world, "changes").await?;
        scene.policy(json!({ "approval": { "required": 1 }, "patience": "0m" })).await?;
        let [active, waiting, deleted, orphaned] = std::array::from_fn(|_| scene.user());
        for (name, user) in [("active", &active), ("deleted", &deleted), ("orphaned", &orphaned)] {
            scene.ask(name, user, json!({ "lifetime": "4h" })).await?;
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
            scene.decide(&scene.approver, name, DecisionKind::Approve).await?;
            scene.wait_active(name).await?;
        }
        scene.ask("waiting", &waiting, json!({ "lifetime": "4h" })).await?;
        scene.wait_phase("waiting", Phase::AwaitingApproval, "AwaitingApproval").await?;

        // The method's range shrinks so that it excludes the lifetimes of a waiting and of an active request.
        world.simulator.portal_patch_policy(&json!({ "maximumLifetimeInMinutes": 120 }))?;
        // Once the operator has noticed it, an approval is refused.
        drop(scene.decide(&scene.approver, "waiting", DecisionKind::Approve).await);
        scene.wait_phase("waiting", Phase::Failed, "LifetimeOutOfRange").await?;
        wait_for_reads(&world, 6).await?;
        scene.wait_active("active").await?;

        // A user is deleted.
        world.simulator.delete_user(&deleted)?;
        scene.wait_phase("deleted", Phase::Revoked, "PassRemoved").await?;
        secret_gone(&scene, "deleted").await?;

        // The policy is deleted before the request.
        let request = scene.wait_active("orphaned").await?;
        scene.policies().await?.delete(&scene.policy, &DeleteParams::default()).await?;
        scene.decide(&scene.helpdesk, "orphaned", DecisionKind::Revoke).await?;
        scene.wait_phase("orphaned", Phase::Revoked, "Revoked").await?;
        ensure!(!scene.pass_of(&request)?.is_live(), "the pass is still live");
        scene.delete("active").await?;
        scene.wait_gone("active").await?;

        // In all of this the operator never read a Secret.
        let operator = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
        let calls = world.control_plane.writes_by(&operator)?;
        let secrets: Vec<_> = calls.iter().filter(|call| call.uri.contains("/secrets")).collect();
        ensure!(
            secrets.iter().any(|call| call.verb == "create"),
            "the audit log has no Secret at all"
        );
        let reads: Vec<_> = secrets
            .iter()
            .filter(|call| !["create", "delete"].contains(&call.verb.as_str()))
            .collect();
        ensure!(reads.is_empty(), "{reads:?}");
        Ok(())
    })
}

#[test]
fn by_graphs_clock_whatever_the_local_one_says() -> Result<()> {
    run(async {
        let control_plane = without_garbage_collection();
        let options = Options { control_plane, operator: false, ..quick(&[]) };
        let world = quick_world(options).await?;
        allow_short_passes(&world)?;
        let scene = Scene::new(&world, "clocks").await?;
        scene.policy(json!({ "lifetime": { "default": "10m" } })).await?;
        for (name, step) in [("ahead", 1), ("behind", -2)] {
            world.simulator.step_clock(SignedDuration::from_hours(step));
            world.operator.start().await?;
            let user = scene.user();
            scene.ask(name, &user, json!({})).await?;
            let request = scene.wait_active(name).await?;
            let pass = scene.pass_of(&request)?;
            let not_after: Timestamp = scene.read(name, "notAfter").await?.parse()?;
            let off = not_after.duration_since(expires(&pass)).as_secs();
            ensure!(
                (-1..=1).contains(&off),
                "notAfter {not_after}, and it ends {}",
                expires(&pass)
            );

            let left = expires(&pass).duration_since(world.simulator.now());
            world.simulator.step_clock(left - SignedDuration::from_secs(10));
            let gone = secret_gone(&scene, name).await?;
            let late = gone.duration_since(expires(&pass)).as_secs_f64();
            // Polled twenty times a second, on a machine that may be busy.
            ensure!((0.0..=5.0).contains(&late), "{name}: {late} s late");
            scene.wait_phase(name, Phase::Expired, "PassExpired").await?;
            world.operator.stop().await?;
        }
        Ok(())
    })
}

/// Runs `tap-operator` on the command line, as the cluster's administrator.
async fn command(world: &World, arguments: &[&str]) -> Result<Output> {
    let child = tokio::process::Command::new(program::tap_operator()?)
        .args(arguments)
        .env("KUBECONFIG", world.control_plane.admin().kubeconfig())
        .env("NO_PROXY", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_mins(2), child).await?.context("tap-operator")
}

#[test]
fn the_operator_is_removed_with_its_passes_or_without() -> Result<()> {
    run(async {
        let options = Options { control_plane: without_garbage_collection(), ..quick(&[]) };
        let world = quick_world(options).await?;
        let scene = Scene::new(&world, "removal").await?;
        scene.policy(json!({})).await?;
        let (first, second, third) = (scene.user(), scene.user(), scene.user());
        scene.ask("first", &first, json!({})).await?;
        scene.wait_active("first").await?;

        // While it runs, the finalizer is not taken off by mistake.
        let refused = command(&world, &["release", "--all"]).await?;
        ensure!(!refused.status.success(), "{refused:?}");
        ensure!(is_held(&scene.wait_active("first").await?), "it was released");

        // Without the operator the finalizer can be taken off, and the passes that may be live are listed.
        world.operator.stop().await?;
        let name = format!("{}/first", scene.namespace);
        let released = command(&world, &["release", &name]).await?;
        ensure!(released.status.success(), "{released:?}");
        let told = String::from_utf8(released.stdout)?;
        ensure!(told.contains(&name) && told.contains(&first) && told.contains("until"), "{told}");
        scene.delete("first").await?;
        scene.wait_gone("first").await?;

        // With the operator running, everything is revoked and released.
        world.operator.start().await?;
        for (name, user) in [("second", &second), ("third", &third)] {
            scene.ask(name, user, json!({})).await?;
            scene.wait_active(name).await?;
        }
        let uninstalled = command(&world, &["uninstall", "--timeout=60s"]).await?;
        ensure!(uninstalled.status.success(), "{uninstalled:?}");
        for (name, user) in [("second", &second), ("third", &third)] {
            let request = scene.wait_phase(name, Phase::Revoked, "StopRevokesActive").await?;
            ensure!(!is_held(&request) && scene.secret(name).await?.is_none(), "{request:?}");
            ensure!(
                scene.ledger(user).iter().all(|pass| !pass.is_live()),
                "{:?}",
                scene.ledger(user)
            );
        }
        let late = scene.user();
        scene.ask("late", &late, json!({})).await?;
        scene.wait_phase("late", Phase::Pending, "Stopped").await?;
        Ok(())
    })
}
