//! The operator is removed, or a request is released, by a person with no other rights than those that the documentation
//! lists.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::{Actor, End};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::api::names::FINALIZER;

use crate::scene::{Scene, quick, quick_world};
use crate::support::identity::Identity;
use crate::support::operator::NAMESPACE;
use crate::support::world::{Options, World};
use crate::support::{control_plane, program, run, wait};

/// Runs `tap-operator` on the command line. Returns whether it succeeded, and all its output.
async fn command(who: &Identity, arguments: &[&str]) -> Result<(bool, String)> {
    let child = tokio::process::Command::new(program::tap_operator()?)
        .args(arguments)
        .env("KUBECONFIG", who.kubeconfig())
        .env("NO_PROXY", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(Duration::from_mins(2), child).await?;
    let Output { status, stdout, stderr } = ended.context("tap-operator")?;
    let said = [stdout, stderr].concat();
    Ok((status.success(), String::from_utf8(said)?))
}

async fn succeeds(who: &Identity, arguments: &[&str]) -> Result<String> {
    let (succeeded, said) = command(who, arguments).await?;
    ensure!(succeeded, "{arguments:?} failed:\n{said}");
    Ok(said)
}

async fn fails(who: &Identity, arguments: &[&str]) -> Result<String> {
    let (succeeded, said) = command(who, arguments).await?;
    ensure!(!succeeded, "{arguments:?} succeeded:\n{said}");
    Ok(said)
}

fn contains_all(said: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(said.contains(word), "no {word:?} in:\n{said}");
    }
    Ok(())
}

/// Grants exactly the rights that the documentation lists for `release` and `uninstall`, without the verb `release`.
async fn may_remove(world: &World, who: &Identity) -> Result<()> {
    let version = "rbac.authorization.k8s.io/v1";
    let binding = |kind: &str, of: &str, name: &str| {
        let mut binding = json!({
            "apiVersion": version, "kind": kind, "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": of, "name": name },
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": who.user(),
            }],
        });
        if kind == "RoleBinding" {
            binding["metadata"]["namespace"] = json!(NAMESPACE);
        }
        binding
    };
    let rights = json!({ "apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": version, "kind": "ClusterRole", "metadata": { "name": "remover" },
            "rules": [{
                "apiGroups": ["tap-operator.io"], "resources": ["taprequests"],
                "verbs": ["list", "patch"],
            }],
        },
        binding("ClusterRoleBinding", "ClusterRole", "remover"),
        {
            "apiVersion": version, "kind": "Role",
            "metadata": { "name": "remover", "namespace": NAMESPACE },
            "rules": [
                {
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                    "resourceNames": ["tap-operator"], "verbs": ["get"],
                },
                {
                    "apiGroups": [""], "resources": ["configmaps"],
                    "verbs": ["create", "patch"],
                },
            ],
        },
        binding("RoleBinding", "Role", "remover"),
    ]});
    world.control_plane.admin().apply(&rights.to_string()).ok().await?;
    let question = ["auth", "can-i", "patch", "configmaps"];
    wait::until(wait::PATIENCE, "the rights are in force", || async {
        who.kubectl(question).in_namespace(NAMESPACE).ok().await.map(drop)
    })
    .await
}

async fn go_on(world: &World) -> Result<()> {
    let stop = ["delete", "configmap", "tap-operator-stop"];
    world.control_plane.admin().kubectl(stop).in_namespace(NAMESPACE).ok().await?;
    Ok(())
}

async fn active(scene: &Scene<'_>, name: &str) -> Result<String> {
    let user = scene.user();
    scene.ask(name, &user, json!({})).await?;
    scene.wait_active(name).await?;
    Ok(user)
}

/// Whether the operator's finalizer is on the request.
async fn is_held(scene: &Scene<'_>, name: &str) -> Result<bool> {
    let request: Value = serde_json::to_value(scene.requests().get(name).await?)?;
    Ok(request["metadata"]["finalizers"] == json!([FINALIZER]))
}

#[test]
fn with_no_other_rights_than_are_asked_for() -> Result<()> {
    run(async {
        let control_plane =
            control_plane::Options { controller_manager: false, ..Default::default() };
        let world = quick_world(Options { control_plane, ..quick(&[]) }).await?;
        let scene = Scene::new(&world, "removal").await?;
        scene.policy(json!({})).await?;
        let remover = world.control_plane.person("remover@contoso.com")?;
        may_remove(&world, &remover).await?;
        for name in ["first", "second", "third"] {
            active(&scene, name).await?;
        }
        let first = format!("{}/first", scene.namespace);

        // Whoever may not do it is told what is missing, and how to write it.
        let nobody = world.control_plane.person("nobody@contoso.com")?;
        let said = fails(&nobody, &["release", &first]).await?;
        contains_all(&said, &["from its lease", "forbidden", "cluster administrator"])?;
        let said = fails(&nobody, &["uninstall"]).await?;
        contains_all(&said, &["from its lease", "forbidden", "cluster administrator"])?;
        let said = fails(&remover, &["release", "first"]).await?;
        contains_all(&said, &["NAMESPACE/NAME"])?;

        // Held requests are those of the whole cluster, so another namespace than the operator's frees and stops nothing.
        let admin = world.control_plane.admin();
        let running = format!("running in namespace {NAMESPACE}");
        for elsewhere in
            [["release", "--all"], ["uninstall", "--release"], ["uninstall", "--timeout=1s"]]
        {
            let elsewhere = [&elsewhere[..], &["--namespace=default"]].concat();
            contains_all(&fails(admin, &elsewhere).await?, &[&running])?;
        }
        let get = ["get", "configmap", "tap-operator-stop"];
        admin.kubectl(get).in_namespace("default").refused().await?;
        ensure!(is_held(&scene, "first").await?, "it was released");
        // Who may not see the Leases of other namespaces may not conclude that there are none.
        let everywhere = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "remover", "namespace": "default" },
            "rules": [{
                "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"],
            }],
        });
        admin.apply(&everywhere.to_string()).ok().await?;
        let bind =
            ["create", "rolebinding", "remover", "--role=remover", "--user=remover@contoso.com"];
        admin.kubectl(bind).in_namespace("default").ok().await?;
        wait::until(wait::PATIENCE, "the right is in force", || async {
            let said = fails(&remover, &["release", "--all", "--namespace=default"]).await?;
            contains_all(&said, &["no Lease tap-operator in namespace default", "or add --force"])?;
            let said = fails(&remover, &["uninstall", "--namespace=default"]).await?;
            contains_all(&said, &["no Lease tap-operator in namespace default", "--namespace"])
        })
        .await?;
        ensure!(is_held(&scene, "first").await?, "it was released");

        // It is refused while an operator runs, and without the verb.
        let refused = fails(&remover, &["release", &first]).await?;
        contains_all(&refused, &["an operator is running", "--force"])?;
        let refused = fails(&remover, &["release", &first, "--force"]).await?;
        contains_all(&refused, &[&first, "release"])?;
        ensure!(is_held(&scene, "first").await?, "it was released without the verb");

        // By force, while the operator runs: the operator notices it and issues no other pass.
        let policy = &scene.policy;
        world.control_plane.grant_policy(&remover, "release", policy, &scene.namespace).await?;
        let said = succeeds(&remover, &["release", &first, "--force"]).await?;
        contains_all(&said, &[&first, "may be usable until", "1 of 1 requests released"])?;
        scene.wait_phase("first", Phase::Failed, "Released").await?;

        // Without a running operator nothing can be revoked. The refusal names the command that releases everything.
        world.operator.stop().await?;
        let said = fails(&remover, &["uninstall", "--timeout=60s"]).await?;
        contains_all(&said, &["no operator is running", "nothing was written", "release --all"])?;
        ensure!(!said.contains("are being revoked"), "nobody revokes them:\n{said}");
        admin.kubectl(get).in_namespace(NAMESPACE).refused().await?;
        ensure!(is_held(&scene, "second").await?, "it was released");
        let said = succeeds(&remover, &["release", "--all"]).await?;
        contains_all(&said, &["/second", "/third", "may be usable", "2 of 2 requests released"])?;
        for name in ["second", "third"] {
            ensure!(!is_held(&scene, name).await?, "{name} is held");
        }
        let said = succeeds(&remover, &["release", "--all"]).await?;
        contains_all(&said, &["0 of 0 requests released"])?;

        // The same in one step.
        world.operator.start().await?;
        scene.wait_phase("second", Phase::Failed, "Released").await?;
        let fourth = active(&scene, "fourth").await?;
        world.operator.stop().await?;
        let said = succeeds(&remover, &["uninstall", "--release", "--timeout=1s"]).await?;
        contains_all(&said, &["/fourth", "may be usable until", "next: helm uninstall"])?;
        contains_all(&said, &["so no pass is revoked", "delete configmap tap-operator-stop"])?;
        ensure!(!said.contains("no request holds a live pass"), "its pass is live:\n{said}");
        ensure!(!is_held(&scene, "fourth").await?, "it is still held");
        let ledger = scene.ledger(&fourth);
        ensure!(ledger.len() == 1 && ledger[0].is_live(), "the pass was deleted: {ledger:?}");

        // With the operator running, everything is revoked.
        go_on(&world).await?;
        world.operator.start().await?;
        let fifth = active(&scene, "fifth").await?;
        let said = succeeds(&remover, &["uninstall", "--timeout=60s"]).await?;
        contains_all(&said, &["no request holds a live pass any more"])?;
        scene.wait_phase("fifth", Phase::Revoked, "StopRevokesActive").await?;
        let ledger = scene.ledger(&fifth);
        let end = &ledger.first().context("no pass")?.end;
        ensure!(matches!(end, End::Deleted { by: Actor::App { .. }, .. }), "{ledger:?}");
        Ok(())
    })
}
