//! What must keep working beside the rules: the operator's steps, garbage collection, the end of a namespace,
//! and pipelines that apply the same again and again.

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

#[test]
fn a_whole_life_with_a_pipeline_that_applies_all_along() -> Result<()> {
    run(async {
        let office = Office::new("life").await?;
        let apply = Call::apply(&office.request("first-day"), request("first-day"));
        let manifest = request("first-day").to_string();
        // Neither server-side nor client-side apply has anything to change or is refused.
        let unchanged = async |version: &Value| -> Result<()> {
            let again = office.pipeline.call(apply.clone()).await?;
            ensure!(&again["metadata"]["resourceVersion"] == version, "{again:#}");
            let diff = ["diff", "--server-side", "--field-manager=pipeline", "--filename=-"];
            let pipeline = &office.pipeline.identity;
            pipeline.kubectl(diff).in_namespace(&office.namespace).input(&manifest).ok().await?;
            Ok(())
        };
        office.pipeline.call(apply.clone()).await?;
        // The first write of any kind after the creation also stores the status' default.
        let asked = office.pipeline.call(apply.clone()).await?;
        unchanged(&asked["metadata"]["resourceVersion"]).await?;

        let approve = decide(office.bob.name(), "Approve");
        let approve = Call::json_patch(&office.status("first-day"), approve);
        let approved = office.bob.call(approve).await?;
        unchanged(&approved["metadata"]["resourceVersion"]).await?;

        let issued = office.issue("first-day").await?;
        ensure!(issued["status"]["decisions"][0]["by"] == office.bob.name(), "{issued:#}");
        unchanged(&issued["metadata"]["resourceVersion"]).await?;

        let revoke = decide(office.pipeline.name(), "Revoke");
        let revoke = Call::json_patch(&office.status("first-day"), revoke);
        let revoked = office.pipeline.call(revoke).await?;
        unchanged(&revoked["metadata"]["resourceVersion"]).await?;

        office.delete_secret("first-day").await?;
        office.write_status("first-day", json!({"phase": "Revoked", "secretName": null})).await?;
        let finished = office.finish("first-day").await?;
        unchanged(&finished["metadata"]["resourceVersion"]).await?;

        // ttlAfterFinished.
        office.operator().call(Call::delete(&office.request("first-day"), json!({}))).await?;
        wait::gone(&requests(&office).await?, "first-day", wait::PATIENCE).await
    })
}

#[test]
fn client_side_apply_of_the_same_changes_nothing() -> Result<()> {
    run(async {
        let office = Office::new("kubectl").await?;
        let manifest = request("asked").to_string();
        let apply = || {
            let apply = office.pipeline.identity.kubectl(["apply", "--filename=-"]);
            apply.in_namespace(&office.namespace).input(&manifest).ok()
        };
        let created = apply().await?;
        ensure!(created.contains("created"), "{created}");
        office.issue("asked").await?;
        let again = apply().await?;
        ensure!(again.contains("unchanged"), "{again}");
        Ok(())
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
        // The garbage collector takes the owner off the Secret: an update that nobody else may make.
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
fn who_may_release_frees_a_request_without_an_operator() -> Result<()> {
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
        // The Secret and the request without a pass go at once; the other waits for its finalizer.
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
