//! kube-state-metrics with the shipped configuration.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::scene::{Scene, quick, quick_world};
use crate::support::component::Component;
use crate::support::ports::Port;
use crate::support::{program, run, wait};

#[test]
#[ignore = "make observability runs it: it needs kube-state-metrics"]
fn kube_state_metrics_tells_of_requests_and_policies() -> Result<()> {
    run(async {
        let world = quick_world(quick(&[])).await?;
        let scene = Scene::new(&world, "state").await?;
        scene.policy(json!({})).await?;
        scene.ask("lost-phone", &scene.user(), json!({})).await?;
        scene.wait_active("lost-phone").await?;

        let directory =
            tokio::task::spawn_blocking(|| program::built_by("tests/kube-state-metrics/build"))
                .await??;
        let scratch = world.control_plane.scratch();
        let admin = world.control_plane.admin();
        // The rights that the file names.
        let manifests = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "kube-state-metrics"},
             "rules": [
                {"apiGroups": ["tap-operator.io"], "resources": ["taprequests", "tappolicies"], "verbs": ["list", "watch"]},
                {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
             ]},
        ]});
        admin.apply(&manifests.to_string()).ok().await?;
        let reader = world.control_plane.person("kube-state-metrics")?;
        world.control_plane.grant_everywhere(&reader, "kube-state-metrics").await?;
        let ports = [Port::reserve()?, Port::reserve()?];
        let configuration =
            concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring/kube-state-metrics.yaml");
        let arguments = vec![
            format!("--kubeconfig={}", reader.kubeconfig().display()),
            "--host=127.0.0.1".to_owned(),
            format!("--port={}", ports[0].number),
            "--telemetry-host=127.0.0.1".to_owned(),
            format!("--telemetry-port={}", ports[1].number),
            "--custom-resource-state-only".to_owned(),
            format!("--custom-resource-state-config-file={configuration}"),
        ];
        let log = scratch.file("kube-state-metrics.log");
        let program = directory.join("kube-state-metrics");
        let component = Component::new("kube-state-metrics", program, arguments, Vec::new(), log);
        component.start()?;

        let (namespace, policy) = (&scene.namespace, &scene.policy);
        let of_request = format!("name=\"lost-phone\",namespace=\"{namespace}\"");
        let url = format!("http://127.0.0.1:{}/metrics", ports[0].number);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let told = wait::until(wait::PATIENCE, "the request is told", || async {
            let page = client.get(&url).send().await?.text().await?;
            let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
            // Labels are in no order that is promised.
            let has = |metric: &str, labels: &[&str], value: &str| {
                lines.iter().any(|line| {
                    line.starts_with(&format!("{metric}{{"))
                        && labels.iter().all(|label| line.contains(label))
                        && (value.is_empty() || line.ends_with(value))
                })
            };
            let of_request: Vec<&str> = of_request.split(',').collect();
            let with = |label: &'static str| [&of_request[..], &[label]].concat();
            ensure!(has("tap_request_phase", &with("phase=\"Active\""), " 1"), "no phase\n{page}");
            ensure!(has("tap_request_phase", &with("phase=\"Failed\""), " 0"), "no phase\n{page}");
            ensure!(
                has("tap_request_condition", &with("condition=\"Ready\""), " 1"),
                "no condition\n{page}"
            );
            ensure!(
                has("tap_request_pass_expiration_timestamp_seconds", &of_request, ""),
                "no expiry\n{page}"
            );
            ensure!(
                has("tap_request_created_timestamp_seconds", &of_request, ""),
                "not created\n{page}"
            );
            let of_policy = format!("policy=\"{policy}\"");
            ensure!(
                has("tap_request_info", &[&of_request[..], &[&of_policy]].concat(), " 1"),
                "no info\n{page}"
            );
            let name = format!("name=\"{policy}\"");
            ensure!(
                has("tap_policy_condition", &[&name, "condition=\"Ready\""], " 1"),
                "no policy\n{page}"
            );
            ensure!(
                has("tap_policy_info", &[&name, "connection=\"default\""], " 1"),
                "no policy\n{page}"
            );
            Ok(())
        });
        told.await.map_err(|error| error.context(component.log_tail(40)))
    })
}
