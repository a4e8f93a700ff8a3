//! An object that a JSON parser cannot follow down to its end stops nothing but itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::Phase;

use crate::plugin::Tap;
use crate::scene::{Scene, quick, quick_world};
use crate::support::run;
use crate::support::world::Options;

/// A write that nobody made, of a field that is so deep.
fn write_of(api_version: &str, depth: usize) -> Value {
    let fields = (0..depth).fold(json!({}), |fields, _| json!({ "f:x": fields }));
    json!({
        "manager": "nobody", "operation": "Apply", "apiVersion": api_version, "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

/// Anyone who may create a request, or owns a namespace, can say in `managedFields` that somebody wrote a field that is
/// not there.
#[test]
fn what_nobody_wrote_hides_no_object() -> Result<()> {
    run(async {
        let world = quick_world(Options { ..quick(&[]) }).await?;
        let scene = Scene::new(&world, "nested").await?;
        scene.policy(json!({})).await?;
        let namespace = &scene.namespace;
        let user = scene.user();
        // The first of all requests, in the order of their names.
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": { "name": "0", "managedFields": [write_of("tap-operator.io/v1alpha1", 120)] },
            "spec": { "policyRef": { "name": scene.policy }, "user": user },
        });
        // serde_json writes what it does not read: so deep that its parser fails.
        let request =
            request.to_string().replace("\"f:x\":{}", &format!("\"f:x\":{}", deeper(100)));
        let path = format!("/apis/tap-operator.io/v1alpha1/namespaces/{namespace}/taprequests");
        let create = ["create", "--raw", &path, "-f", "-"];
        scene.helpdesk.kubectl(create).input(&request).ok().await?;
        let patch = json!([{ "op": "add", "path": "/metadata/managedFields/-", "value": write_of("v1", 120) }]);
        let patch = patch.to_string().replace("\"f:x\":{}", &format!("\"f:x\":{}", deeper(100)));
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
        let listed = tap.run(&["list"]).await?;
        for name in ["0 ", "other "] {
            ensure!(listed.stdout.contains(name), "{name}: {listed}");
        }
        // It is a request like any other.
        let shown = tap.run(&["wait", "0", "--timeout", "60s"]).await?;
        ensure!(shown.status.success(), "{shown}");
        let revoke = ["revoke", "0", "--yes"];
        tap.run(&revoke).await?;
        let seconds = Duration::from_secs(60);
        tokio::time::timeout(seconds, async {
            loop {
                let listed = tap.run(&["list"]).await?;
                if listed.stdout.contains(Phase::Revoked.name()) {
                    return anyhow::Ok(());
                }
            }
        })
        .await?
    })
}

fn deeper(depth: usize) -> String {
    ["{\"f:x\":".repeat(depth), "{}".to_owned(), "}".repeat(depth)].concat()
}
