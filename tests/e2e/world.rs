//! The world of the operator's end-to-end tests is complete.

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::scene::{Scene, quick};
use crate::support::operator::{NAMESPACE, SERVICE_ACCOUNT};
use crate::support::world::{Options, World};
use crate::support::{control_plane, run};

/// A world without a running operator, for the tests that leave it as it was.
async fn installed() -> Result<&'static World> {
    static INSTALLED: OnceCell<Result<World, String>> = OnceCell::const_new();
    let options = || Options { operator: false, ..Options::default() };
    let world = INSTALLED
        .get_or_init(|| async { World::own(options()).await.map_err(|error| format!("{error:?}")) })
        .await;
    world.as_ref().map_err(|error| anyhow!("{error}"))
}

#[test]
fn everything_is_installed_as_shipped_and_the_tenant_answers() -> Result<()> {
    run(async {
        let world = installed().await?;
        let admin = world.control_plane.admin();
        let crds = admin.kubectl(["get", "crd", "--output=name"]).ok().await?;
        ensure!(crds.contains("taprequests.tap-operator.io"), "{crds}");
        let policies =
            admin.kubectl(["get", "mutatingadmissionpolicies", "--output=name"]).ok().await?;
        ensure!(!policies.trim().is_empty(), "no mutating admission policy is installed");

        let operator = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        operator.kubectl(["get", "taprequests", "--all-namespaces"]).ok().await?;
        let refusal =
            operator.kubectl(["get", "secrets"]).in_namespace(NAMESPACE).refused().await?;
        ensure!(refusal.contains("Forbidden"), "{refusal}");

        let authority =
            reqwest::Certificate::from_pem(&std::fs::read(world.simulator.authority())?)?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build()?;
        let answer = client
            .get(format!("{}/v1.0/users/alice@contoso.com", world.simulator.url()))
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 401, "without a token: {status}: {text}");
        ensure!(world.simulator.ledger().is_empty(), "a new tenant has passes");
        Ok(())
    })
}

#[test]
fn an_older_server_takes_the_overlay_without_mutating_policies() -> Result<()> {
    run(async {
        let options = Options {
            control_plane: control_plane::Options::older(),
            deploy: "deploy/overlays/without-mutating-policies",
            ..quick(&[])
        };
        let world = World::own(options).await?;
        // The operator does not report resources as missing that the server does not serve.
        let scene = Scene::new(&world, "older").await?;
        scene.policy(json!({})).await?;
        let requester = scene.helpdesk.user();
        scene.ask("lost-phone", &scene.user(), json!({"requestedBy": requester})).await?;
        scene.wait_active("lost-phone").await?;
        Ok(())
    })
}

#[test]
fn a_person_gets_a_verb_on_one_policy_in_one_namespace() -> Result<()> {
    run(async {
        let world = installed().await?;
        let control_plane = &world.control_plane;
        let namespace = control_plane.new_namespace("helpdesk").await?;
        let ada = control_plane.person("ada@contoso.com")?;
        control_plane.grant_policy(&ada, "use", "contoso", &namespace).await?;
        let may = async |verb: &str, policy: &str, namespace: &str| {
            let policy = format!("tappolicies.tap-operator.io/{policy}");
            let question = ada.kubectl(["auth", "can-i", verb, &policy]).in_namespace(namespace);
            Ok::<_, anyhow::Error>(
                question.run().await?.stdout.lines().last().context("no answer")? == "yes",
            )
        };
        ensure!(may("use", "contoso", &namespace).await?, "she was granted it");
        ensure!(!may("approve", "contoso", &namespace).await?, "another verb");
        ensure!(!may("use", "fabrikam", &namespace).await?, "another policy");
        ensure!(!may("use", "contoso", "default").await?, "another namespace");
        Ok(())
    })
}
