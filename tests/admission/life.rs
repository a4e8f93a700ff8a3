//! What must keep working under the rules: the operator's writes, garbage collection, the end of a namespace, and
//! pipelines that apply the same manifest again and again.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::call::Call;
use crate::cluster::{Cluster, text};
use crate::office::{Office, decide, request};
use crate::support::{run, wait};

async fn secrets(office: &Office<'_>) -> Result<Api<Secret>> {
    Ok(Api::namespaced(office.cluster.admin.identity.client().await?, &office.namespace))
}

async fn requests(office: &Office<'_>) -> Result<Api<DynamicObject>> {
    let kind = GroupVersionKind::gvk("tap-operator.io", "v1alpha1", "TapRequest");
    let resource = ApiResource::from_gvk(&kind);
    let client = office.cluster.admin.identity.client().await?;
    Ok(Api::namespaced_with(client, &office.namespace, &resource))
}

/// Applies the manifest of an existing request in all ways in which pipelines do. It must neither be refused nor change
/// anything.
async fn unchanged(office: &Office<'_>, manifest: &Value, now: &Value) -> Result<()> {
    let path = office.request(text(manifest, "/metadata/name")?);
    let version = &now["metadata"]["resourceVersion"];
    // Flux applies on the server, as a dry run and then for good. Argo CD also sends the patch of kubectl apply.
    let apply = Call::apply(&path, manifest.clone());
    let merge = Call::merge(&path, manifest.clone());
    for call in [apply.clone().dry_run(), apply, merge.clone().dry_run(), merge] {
        let again = office.pipeline.call(call).await?;
        ensure!(&again["metadata"]["resourceVersion"] == version, "{again:#}");
        ensure!(again["status"] == now["status"], "{again:#}");
    }
    let kubectl = |arguments: &[&str]| {
        let kubectl = office.pipeline.identity.kubectl(arguments.to_vec());
        kubectl.in_namespace(&office.namespace).input(manifest.to_string()).ok()
    };
    kubectl(&["diff", "--server-side", "--field-manager=pipeline", "--filename=-"]).await?;
    let applied = kubectl(&["apply", "--filename=-"]).await?;
    ensure!(applied.contains("unchanged"), "{applied}");
    let last = office.pipeline.call(Call::get(&path)).await?;
    ensure!(&last["metadata"]["resourceVersion"] == version, "{last:#}");
    Ok(())
}

/// Goes through the life of a request while a pipeline keeps applying its `manifest`.
pub async fn applied_all_along(office: &Office<'_>, manifest: &Value) -> Result<()> {
    let name = text(manifest, "/metadata/name")?;
    let Office { bob, pipeline, .. } = office;
    // By kubectl apply and on the server. Each of them writes its own managed fields once, and nothing after that.
    let apply = Call::apply(&office.request(name), manifest.clone());
    let kubectl = pipeline.identity.apply(&manifest.to_string());
    kubectl.in_namespace(&office.namespace).ok().await?;
    pipeline.call(apply.clone()).await?;
    let asked = pipeline.call(apply).await?;
    unchanged(office, manifest, &asked).await?;

    office.resolve(name).await?;
    let approve = decide(bob.name(), "Approve");
    let approved = bob.call(Call::json_patch(&office.status(name), approve)).await?;
    unchanged(office, manifest, &approved).await?;

    let issued = office.issue(name).await?;
    ensure!(issued["status"]["decisions"][0]["by"] == bob.name(), "{issued:#}");
    unchanged(office, manifest, &issued).await?;

    let revoke = decide(pipeline.name(), "Revoke");
    let revoked = pipeline.call(Call::json_patch(&office.status(name), revoke)).await?;
    unchanged(office, manifest, &revoked).await?;

    office.delete_secret(name).await?;
    office.write_status(name, json!({"phase": "Revoked", "secretName": null})).await?;
    let finished = office.finish(name).await?;
    unchanged(office, manifest, &finished).await?;

    // The end of ttlAfterFinished.
    office.operator().call(Call::delete(&office.request(name), json!({}))).await?;
    wait::gone(&requests(office).await?, name, wait::PATIENCE).await
}

#[test]
fn a_whole_life_with_a_pipeline_that_applies_all_along() -> Result<()> {
    run(async {
        let office = Office::new("life").await?;
        let mut manifest = request("first-day");
        // As Flux and Argo CD mark what is theirs.
        manifest["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "passes"});
        manifest["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "passes"});
        applied_all_along(&office, &manifest).await
    })
}

#[test]
fn a_pipeline_prunes_what_was_taken_out_of_git() -> Result<()> {
    run(async {
        let office = Office::new("pruned").await?;
        let pipeline = &office.pipeline;
        pipeline.call(Call::create(&office.requests(), request("waiting"))).await?;
        pipeline.call(Call::create(&office.requests(), request("live"))).await?;
        office.issue("live").await?;
        for (name, policy) in [("waiting", "Background"), ("live", "Foreground")] {
            let options = json!({"propagationPolicy": policy});
            pipeline.call(Call::delete(&office.request(name), options)).await?;
        }
        wait::gone(&requests(&office).await?, "waiting", wait::PATIENCE).await?;
        wait::gone(&secrets(&office).await?, "live", wait::PATIENCE).await?;
        // Garbage collection may write between the operator's read and its write, so the operator tries again.
        wait::until(wait::PATIENCE, "the end is written", || async {
            office.write_status("live", json!({"phase": "Revoked", "secretName": null})).await?;
            office.finish("live").await.map(drop)
        })
        .await?;
        wait::gone(&requests(&office).await?, "live", wait::PATIENCE).await
    })
}

#[test]
fn people_decide_with_kubectl() -> Result<()> {
    run(async {
        let office = Office::new("people").await?;
        let manifest = request("asked").to_string();
        let create = ["create", "--filename=-"];
        let alice = &office.alice.identity;
        alice.kubectl(create).in_namespace(&office.namespace).input(&manifest).ok().await?;
        office.resolve("asked").await?;
        for (who, decision) in [(&office.bob, "Approve"), (&office.alice, "Revoke")] {
            let patch = decide(who.name(), decision).to_string();
            let patch =
                ["patch", "tap", "asked", "--subresource=status", "--type=json", "-p", &patch];
            who.identity.kubectl(patch).in_namespace(&office.namespace).ok().await?;
        }
        let deny = decide(office.alice.name(), "Deny").to_string();
        let deny = ["patch", "tap", "asked", "--subresource=status", "--type=json", "-p", &deny];
        let refusal = alice.kubectl(deny).in_namespace(&office.namespace).refused().await?;
        ensure!(refusal.contains("but may revoke it"), "{refusal}");
        let delete = ["delete", "tap", "asked", "--timeout=30s"];
        alice.kubectl(delete).in_namespace(&office.namespace).ok().await?;
        Ok(())
    })
}

/// To delete is to revoke, and erases the record. So it is a right of its own.
#[test]
fn who_may_ask_and_approve_may_not_delete() -> Result<()> {
    run(async {
        let office = Office::new("kept").await?;
        office.ask("asked").await?;
        let bob = &office.bob.identity;
        for delete in [&["delete", "tap", "asked"][..], &["delete", "tap", "--all"]] {
            let refusal =
                bob.kubectl(delete.to_vec()).in_namespace(&office.namespace).refused().await?;
            ensure!(refusal.contains("cannot delete resource"), "{refusal}");
        }
        let delete = ["delete", "tap", "--all", "--timeout=30s"];
        office.alice.identity.kubectl(delete).in_namespace(&office.namespace).ok().await?;
        Ok(())
    })
}

#[test]
fn a_secret_goes_with_its_request() -> Result<()> {
    run(async {
        let office = Office::new("collected").await?;
        let secrets = secrets(&office).await?;
        for (name, policy) in [("plain", "Background"), ("patient", "Foreground")] {
            office.ask(name).await?;
            office.issue(name).await?;
            office.finish(name).await?;
            let options = json!({"propagationPolicy": policy});
            office.alice.call(Call::delete(&office.request(name), options)).await?;
            wait::gone(&secrets, name, wait::PATIENCE).await?;
            wait::gone(&requests(&office).await?, name, wait::PATIENCE).await?;
        }
        Ok(())
    })
}

#[test]
fn an_orphaned_secret_can_be_taken_away() -> Result<()> {
    run(async {
        let office = Office::new("orphaned").await?;
        office.ask("left").await?;
        office.issue("left").await?;
        office.finish("left").await?;
        let options = json!({"propagationPolicy": "Orphan"});
        office.alice.call(Call::delete(&office.request("left"), options)).await?;
        // The garbage collector removes the owner from the Secret, an update that nobody else may make.
        wait::gone(&requests(&office).await?, "left", wait::PATIENCE).await?;
        let left = secrets(&office).await?.get("left").await?;
        ensure!(left.metadata.owner_references.is_none(), "{:?}", left.metadata);
        office.delete_secret("left").await
    })
}

#[test]
fn a_deleted_request_waits_for_the_operator_and_then_goes() -> Result<()> {
    run(async {
        let office = Office::new("deleted").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        office.alice.call(Call::delete(&office.request("live"), json!({}))).await?;
        let going = office.alice.call(Call::get(&office.request("live"))).await?;
        text(&going, "/metadata/deletionTimestamp")?;
        office.delete_secret("live").await?;
        office.write_status("live", json!({"phase": "Revoked"})).await?;
        office.finish("live").await?;
        wait::gone(&requests(&office).await?, "live", wait::PATIENCE).await
    })
}

#[test]
fn the_verb_release_frees_a_request_without_an_operator() -> Result<()> {
    run(async {
        let office = Office::new("released").await?;
        office.ask("stuck").await?;
        office.issue("stuck").await?;
        office.dave.call(Call::delete(&office.request("stuck"), json!({}))).await?;
        let release = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
        let release = Call::json_patch(&office.request("stuck"), release);
        let refusal = office.carol.refused(release.clone()).await?;
        ensure!(refusal.code == 403, "{refusal:?}");
        office.dave.call(release).await?;
        wait::gone(&requests(&office).await?, "stuck", wait::PATIENCE).await?;
        wait::gone(&secrets(&office).await?, "stuck", wait::PATIENCE).await
    })
}

#[test]
fn a_namespace_ends_with_what_is_in_it() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let office = Office::new("ending").await?;
        for name in ["live", "waiting"] {
            office.ask(name).await?;
        }
        office.issue("live").await?;
        let namespace = format!("/api/v1/namespaces/{}", office.namespace);
        cluster.admin.call(Call::delete(&namespace, json!({}))).await?;
        // The Secret and the request without a pass are deleted at once. The other request waits for its finalizer.
        wait::gone(&secrets(&office).await?, "live", wait::PATIENCE).await?;
        wait::gone(&requests(&office).await?, "waiting", wait::PATIENCE).await?;
        let create = Call::create(&office.secrets(), crate::office::secret("late", "1"));
        let refusal = office.operator().refused(create.dry_run()).await?;
        ensure!(refusal.code == 403 && refusal.message.contains("being terminated"), "{refusal:?}");
        office.write_status("live", json!({"phase": "Revoked"})).await?;
        office.finish("live").await?;
        let namespaces: Api<Namespace> = Api::all(cluster.admin.identity.client().await?);
        wait::gone(&namespaces, &office.namespace, wait::PATIENCE).await
    })
}
