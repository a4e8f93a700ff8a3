//! An object that a JSON parser cannot follow down to its end stops nothing but itself.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use tap_operator::api::Phase;

use crate::plugin::Tap;
use crate::scene::{Scene, quick, quick_world};
use crate::support::{run, wait};

/// Where the fields stand that nobody wrote. `serde_json` does not write them: its parser could not read them.
const FIELDS: &str = "deep";

/// A write that nobody made.
fn write_of(api_version: &str) -> Value {
    json!({
        "manager": "nobody", "operation": "Apply", "apiVersion": api_version, "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": FIELDS,
    })
}

/// The text, with a field that is nested as deep as no JSON parser of the operator follows.
fn with_fields(text: &Value) -> String {
    let deep = ["{\"f:x\":".repeat(220), "{}".to_owned(), "}".repeat(220)].concat();
    text.to_string().replace(&format!("\"{FIELDS}\""), &deep)
}

/// Anyone who may create a request, or owns a namespace, can say in `managedFields` that somebody wrote a field that is
/// not there.
#[test]
fn what_nobody_wrote_hides_no_object() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "nested").await?;
        scene.policy(json!({})).await?;
        let namespace = &scene.namespace;
        let user = scene.user();
        // The first of all requests, in the order of their names.
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": { "name": "0", "managedFields": [write_of("tap-operator.io/v1alpha1")] },
            "spec": { "policyRef": { "name": scene.policy }, "user": user },
        });
        let path = format!("/apis/tap-operator.io/v1alpha1/namespaces/{namespace}/taprequests");
        let create = ["create", "--raw", &path, "-f", "-"];
        scene.helpdesk.kubectl(create).input(with_fields(&request)).ok().await?;
        let patch =
            json!([{ "op": "add", "path": "/metadata/managedFields/-", "value": write_of("v1") }]);
        let patch = with_fields(&patch);
        let arguments = ["patch", "namespace", namespace, "--type=json", "-p", &patch];
        world.control_plane.admin().kubectl(arguments).ok().await?;
        let get = ["get", "--raw", &format!("{path}/0")];
        let stored = scene.helpdesk.kubectl(get).ok().await?;
        ensure!(serde_json::from_str::<Value>(&stored).is_err(), "it is not deep enough");

        world.operator.stop().await?;
        world.operator.start().await?;
        let other = scene.user();
        scene.ask("other", &other, json!({})).await?;
        scene.wait_active("other").await?;
        let tap = Tap::of(&scene, &scene.helpdesk)?;
        let listed = tap.ok(&["list"]).await?;
        for name in ["0 ", "other "] {
            ensure!(listed.contains(name), "{name}: {listed}");
        }
        // It is a request like any other.
        tap.ok(&["wait", "0", "--timeout", "60s"]).await?;
        tap.ok(&["revoke", "0", "--yes"]).await?;
        wait::until(wait::PATIENCE, "it is revoked", || async {
            let listed = tap.ok(&["list"]).await?;
            if !listed.contains(Phase::Revoked.name()) {
                bail!("{listed}");
            }
            Ok(())
        })
        .await
    })
}
