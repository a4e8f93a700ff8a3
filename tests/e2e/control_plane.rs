//! The control plane of the other end-to-end tests behaves as that of a cluster.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::{run, wait};

/// One control plane for all tests that leave it as it was.
async fn shared() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
    let started = SHARED
        .get_or_init(|| async {
            ControlPlane::start(Options::default()).await.map_err(|e| format!("{e:?}"))
        })
        .await;
    started.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn config_map(value: &serde_json::Value) -> Result<ConfigMap> {
    Ok(serde_json::from_value(value.clone())?)
}

#[test]
fn the_administrator_may_do_everything() -> Result<()> {
    run(async {
        let admin = shared().await?.admin();
        let version = admin.kubectl(["version", "--output=json"]).ok().await?;
        let version: serde_json::Value = serde_json::from_str(&version)?;
        let server =
            version["serverVersion"]["gitVersion"].as_str().context("no server version")?;
        ensure!(server.starts_with("v1."), "{server}");
        let answer = admin.kubectl(["auth", "can-i", "*", "*", "--all-namespaces"]).ok().await?;
        ensure!(answer.trim() == "yes", "{answer}");
        Ok(())
    })
}

#[test]
fn a_person_may_do_what_a_role_grants_and_nothing_else() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let namespace = control_plane.new_namespace("people").await?;
        let ada = control_plane.person("ada@contoso.com")?;
        let list = || ada.kubectl(["get", "configmaps"]).in_namespace(&namespace);

        let refusal = list().refused().await?;
        ensure!(refusal.contains("Forbidden") && refusal.contains("ada@contoso.com"), "{refusal}");

        control_plane.grant(&ada, "view", &namespace).await?;
        list().ok().await?;
        ada.kubectl(["get", "configmaps"]).in_namespace("default").refused().await?;
        ada.kubectl(["get", "secrets"]).in_namespace(&namespace).refused().await?;
        Ok(())
    })
}

#[test]
fn a_member_is_in_the_group() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let grace = control_plane.member("grace@contoso.com", "viewers")?;
        let who = grace.kubectl(["auth", "whoami", "--output=json"]).ok().await?;
        let who: serde_json::Value = serde_json::from_str(&who)?;
        let who = &who["status"]["userInfo"];
        ensure!(who["username"] == "grace@contoso.com", "{who}");
        ensure!(who["groups"] == json!(["viewers", "system:authenticated"]), "{who}");
        Ok(())
    })
}

#[test]
fn a_service_account_is_known_by_its_token() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let namespace = control_plane.new_namespace("robots").await?;
        let make = ["create", "serviceaccount", "robot"];
        control_plane.admin().kubectl(make).in_namespace(&namespace).ok().await?;
        let robot = control_plane.service_account(&namespace, "robot").await?;

        let who = robot
            .kubectl(["auth", "whoami", "--output=jsonpath={.status.userInfo.username}"])
            .ok()
            .await?;
        ensure!(who == format!("system:serviceaccount:{namespace}:robot"), "{who}");
        let refusal = robot.kubectl(["get", "secrets"]).in_namespace(&namespace).refused().await?;
        ensure!(refusal.contains("Forbidden"), "{refusal}");

        let missing = control_plane
            .service_account(&namespace, "nobody")
            .await
            .err()
            .context("no such account")?;
        ensure!(format!("{missing:#}").contains(&format!("{namespace}/nobody")), "{missing:#}");
        Ok(())
    })
}

#[test]
fn what_is_owned_goes_with_its_owner() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let namespace = control_plane.new_namespace("owners").await?;
        let maps: Api<ConfigMap> =
            Api::namespaced(control_plane.admin().client().await?, &namespace);
        let owner = config_map(&json!({"metadata": {"name": "owner"}}))?;
        let owner = maps.create(&PostParams::default(), &owner).await?;
        let dependent = config_map(&json!({"metadata": {"name": "dependent", "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid},
        ]}}))?;
        maps.create(&PostParams::default(), &dependent).await?;

        maps.delete("owner", &DeleteParams::default()).await?;
        wait::gone(&maps, "dependent", wait::PATIENCE).await
    })
}

#[test]
fn a_deleted_namespace_ends() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let namespace = control_plane.new_namespace("short-lived").await?;
        let client = control_plane.admin().client().await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let map = config_map(&json!({"metadata": {"name": "content"}}))?;
        maps.create(&PostParams::default(), &map).await?;

        let namespaces: Api<Namespace> = Api::all(client);
        namespaces.delete(&namespace, &DeleteParams::default()).await?;
        wait::gone(&namespaces, &namespace, wait::PATIENCE).await
    })
}

#[test]
fn the_audit_log_shows_who_wrote_what() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let mallory = control_plane.person("mallory@contoso.com")?;
        mallory.kubectl(["create", "configmap", "mine"]).in_namespace("default").refused().await?;
        mallory.kubectl(["get", "configmaps"]).in_namespace("default").refused().await?;

        let writes = control_plane.writes_by("mallory@contoso.com")?;
        let writes: Vec<_> =
            writes.iter().map(|write| (write.verb.as_str(), write.code())).collect();
        ensure!(writes == [("create", Some(403))], "{writes:?}");
        Ok(())
    })
}

#[test]
fn a_condition_that_never_holds_is_reported_with_the_object() -> Result<()> {
    run(async {
        let control_plane = shared().await?;
        let namespaces: Api<Namespace> = Api::all(control_plane.admin().client().await?);
        let patience = Duration::from_millis(500);
        let failure = wait::object(&namespaces, "default", patience, "the moon", |_| false).await;
        let failure = format!("{:#}", failure.err().context("it cannot hold")?);
        ensure!(
            failure.contains("the moon") && failure.contains("kubernetes.io/metadata.name"),
            "{failure}"
        );

        let failure = wait::object(&namespaces, "nowhere", patience, "it", |_| true).await;
        let failure = format!("{:#}", failure.err().context("there is none")?);
        ensure!(failure.contains("no such object was seen"), "{failure}");
        Ok(())
    })
}

#[test]
fn api_server_and_etcd_come_back_with_their_data() -> Result<()> {
    run(async {
        let options = Options { controller_manager: false, ..Options::default() };
        let control_plane = ControlPlane::start(options).await?;
        let namespace = control_plane.new_namespace("kept").await?;
        let get = || {
            let get = ["get", "namespace", &namespace, "--output=name", "--request-timeout=5s"];
            control_plane.admin().kubectl(get)
        };

        control_plane.api_server().kill();
        get().refused().await?;
        control_plane.start_api_server().await?;
        get().ok().await?;

        control_plane.etcd().kill();
        get().refused().await?;
        control_plane.etcd().start()?;
        wait::until(wait::PATIENCE, "the API server finds etcd again", || async {
            get().ok().await.map(drop)
        })
        .await?;

        control_plane.api_server().freeze()?;
        control_plane
            .admin()
            .kubectl(["get", "namespaces", "--request-timeout=1s"])
            .refused()
            .await?;
        control_plane.api_server().thaw()?;
        get().ok().await?;
        Ok(())
    })
}

#[test]
fn an_older_server_knows_no_mutating_admission_policies() -> Result<()> {
    run(async {
        let options = Options { controller_manager: false, ..Options::older() };
        let control_plane = ControlPlane::start(options).await?;
        let list = ["api-resources", "--api-group=admissionregistration.k8s.io", "--output=name"];
        let resources = control_plane.admin().kubectl(list).ok().await?;
        ensure!(resources.contains("validatingadmissionpolicies"), "{resources}");
        ensure!(!resources.contains("mutatingadmissionpolicies"), "{resources}");
        Ok(())
    })
}
