//! What the charts render, without a cluster: nothing else than the kustomizations for the same settings.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::helm::{CHART, DEFINITIONS, IDS, Nobody, chart, objects};
use crate::repository;
use crate::support::{program, run};

/// A tenant of the list, but for its end.
const TENANT: &str = r#"{"name":"contoso","tenantId":"11111111-2222-3333-4444-555555555555","clientId":"66666666-7777-8888-9999-aaaaaaaaaaaa""#;
/// The API that renders the policy that stamps the requester.
const NEWER: &str = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
const NAMESPACE: &str = "--namespace=tap-operator-system";

#[test]
#[ignore = "make test-deploy"]
fn lint_finds_nothing() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        for arguments in [
            vec!["lint", "--strict", &chart(DEFINITIONS)],
            [&["lint", "--strict", &chart(CHART)], &IDS[..]].concat(),
        ] {
            let told = nobody.helm(&arguments).await?.ok().await?;
            ensure!(told.contains("0 chart(s) failed") && !told.contains("WARNING"), "{told}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "make test-deploy"]
fn chart_and_kustomization_are_the_same_objects() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let definitions = nobody.template(&["crds", &chart(DEFINITIONS)]).await?;
        same(definitions, kustomization("crds")?)?;

        let image = "--set=image.repository=registry.contoso.com/tap-operator";
        for (deploy, more) in
            [("deploy", vec![NEWER]), ("deploy/overlays/without-mutating-policies", vec![])]
        {
            let chart = chart(CHART);
            let rendered = [&["tap-operator", &chart, NAMESPACE, image], &IDS[..], &more].concat();
            let rendered = nobody.template(&rendered).await?;
            // The overlay of the documentation.
            let overlay = json!({
                "resources": [up(&nobody, deploy)?],
                "images": [{"name": "tap-operator", "newName": "registry.contoso.com/tap-operator"}],
                "configMapGenerator": [{
                    "name": "tap-operator-azure", "namespace": "tap-operator-system",
                    "options": {"disableNameSuffixHash": true, "labels": {"app.kubernetes.io/name": "tap-operator"}},
                    "literals": [
                        "AZURE_TENANT_ID=11111111-2222-3333-4444-555555555555",
                        "AZURE_CLIENT_ID=66666666-7777-8888-9999-aaaaaaaaaaaa",
                    ],
                }],
                "patches": [{"patch": json!({
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": {
                        "name": "tap-operator", "namespace": "tap-operator-system",
                        "annotations": {
                            "azure.workload.identity/client-id": "66666666-7777-8888-9999-aaaaaaaaaaaa",
                            "azure.workload.identity/tenant-id": "11111111-2222-3333-4444-555555555555",
                        },
                    },
                }).to_string()}],
            });
            let directory = nobody.scratch.file("overlay");
            std::fs::create_dir_all(&directory)?;
            std::fs::write(directory.join("kustomization.yaml"), overlay.to_string())?;
            let mut kustomized = kustomize(&directory)?;
            // Helm makes the namespace, or somebody else does.
            kustomized.retain(|object| object["kind"] != "Namespace");
            same(rendered, kustomized).with_context(|| deploy.to_owned())?;
        }
        Ok(())
    })
}

/// Compares objects by kind and name, apart from what only Helm writes.
fn same(rendered: Vec<Value>, kustomized: Vec<Value>) -> Result<()> {
    let by_name = |objects: Vec<Value>| -> Result<BTreeMap<String, Value>> {
        let mut all = BTreeMap::new();
        for mut object in objects {
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            tidy(&mut object);
            ensure!(all.insert(name.clone(), object).is_none(), "{name} is there twice");
        }
        Ok(all)
    };
    let (rendered, kustomized) = (by_name(rendered)?, by_name(kustomized)?);
    ensure!(rendered.keys().eq(kustomized.keys()), "{:#?}", (rendered.keys(), kustomized.keys()));
    let mut differences = Vec::new();
    for (name, object) in &rendered {
        compare(name, object, &kustomized[name], &mut differences);
    }
    ensure!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// Where two values differ, with what the chart and what the kustomization has there.
fn compare(at: &str, chart: &Value, kustomization: &Value, out: &mut Vec<String>) {
    match (chart, kustomization) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for key in keys {
                compare(&format!("{at}.{key}"), &chart[key], &kustomization[key], out);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{at}[{index}]"), one, other, out);
            }
        }
        _ if chart == kustomization => {}
        _ => out.push(format!("{at}: {chart} and {kustomization}")),
    }
}

/// Removes what only Helm writes.
fn tidy(object: &mut Value) {
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let Some(labels) = object.pointer_mut(labels).and_then(Value::as_object_mut) else {
            continue;
        };
        for own in ["instance", "managed-by", "version"] {
            labels.remove(&format!("app.kubernetes.io/{own}"));
        }
        labels.remove("helm.sh/chart");
    }
    for (place, own) in [
        ("/spec/template/metadata/annotations", "checksum/configuration"),
        ("/metadata/annotations", "helm.sh/resource-policy"),
    ] {
        if let Some(annotations) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            annotations.remove(own);
        }
    }
    for (above, name) in [
        ("/spec/template/metadata", "annotations"),
        ("/metadata", "annotations"),
        ("/metadata", "labels"),
    ] {
        let Some(above) = object.pointer_mut(above).and_then(Value::as_object_mut) else {
            continue;
        };
        if above.get(name) == Some(&json!({})) {
            above.remove(name);
        }
    }
    // The definitions have no labels of their own, and the chart's are all Helm's but this.
    if object["kind"] == "CustomResourceDefinition" {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove("labels"));
    }
}

fn kustomization(directory: &str) -> Result<Vec<Value>> {
    kustomize(&repository(directory))
}

/// The objects of a kustomization.
pub fn kustomize(directory: &std::path::Path) -> Result<Vec<Value>> {
    let kubectl = program::built_by("tests/control-plane/build")?.join("kubectl");
    let output = Command::new(kubectl).arg("kustomize").arg(directory).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout)?)
}

/// The way from the overlay to a directory of this repository: a kustomization accepts no absolute paths.
fn up(nobody: &Nobody, directory: &str) -> Result<String> {
    let from = nobody.scratch.file("overlay");
    let to = repository(directory);
    let to = to.strip_prefix("/")?.to_str().context("a path that is no text")?.to_owned();
    Ok("../".repeat(from.components().count() - 1) + &to)
}

#[test]
#[ignore = "make test-deploy"]
fn values_that_cannot_be_meant_are_refused() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let chart = chart(CHART);
        let with_ids = [&["template", "x", &chart], &IDS[..]].concat();
        for (values, words) in [
            (vec!["--set=replica=2"], vec!["replica"]),
            (vec!["--set=replicas=two"], vec!["/replicas", "integer"]),
            (vec!["--set=tenant.id=contoso.com"], vec!["/tenant/id", "pattern"]),
            (vec!["--set=tenant.graphUrl=http://graph"], vec!["/tenant/graphUrl"]),
            (vec!["--set=credential.type=password"], vec!["/credential/type", "clientSecret"]),
            (vec!["--set=tenant.userNamePrefix=entra:"], vec!["needs tenant.userName"]),
            (vec!["--set=credential.kind=clientSecret"], vec!["/credential", "kind"]),
            (vec!["--set=ceilings.lifetme=8h"], vec!["/ceilings", "lifetme"]),
            (vec!["--set=ceilings.lifetime=8d"], vec!["/ceilings/lifetime", "pattern"]),
            (vec!["--set=settings.settleTime=forever"], vec!["/settings/settleTime", "pattern"]),
            (vec!["--set=settings.callDeadline=0s"], vec!["/settings/callDeadline", "pattern"]),
            (
                vec!["--set=prometheusRule.disabled={TapForeignPas}"],
                vec!["/prometheusRule/disabled/0", "'TapForeignPass'"],
            ),
            (vec!["--set=env[0].nmae=HTTPS_PROXY"], vec!["/env/0", "nmae"]),
            (vec!["--set=networkPolicy.egress.dnsPorts={0}"], vec!["/dnsPorts/0"]),
            (vec!["--set=extraVolumes[0].csi.driver=a"], vec!["/extraVolumes/0", "name"]),
            (
                vec!["--set=extraVolumeMounts[0].name=a", "--set=extraVolumeMounts[0].path=/a"],
                vec!["/extraVolumeMounts/0", "path"],
            ),
            (vec!["--set=affinity.nodes.a=b"], vec!["/affinity", "nodes"]),
            (vec!["--set=networkPolicy.egress.graph.ports={0}"], vec!["/graph/ports/0"]),
            (
                vec![
                    "--set=notices.receivers[0].name=a",
                    "--set=notices.receivers[0].format=Slack",
                ],
                vec!["/notices/receivers/0", "'urlFile'"],
            ),
            (
                vec![
                    "--set-json=notices.receivers=[{\"name\":\"a\",\"format\":\"Teams\",\"urlFile\":\"/u\",\"kinds\":[\"Isued\"]}]",
                ],
                vec!["/notices/receivers/0/kinds/0", "'Issued'"],
            ),
        ] {
            nobody.refused(&[&with_ids[..], &values].concat(), &words).await?;
        }
        for (rest, words) in [
            ("", ["/tenants/0", "'credential'"]),
            (r#","credential":{}"#, ["/tenants/0/credential", "minProperties"]),
            (r#","credential":{"password":{}}"#, ["/tenants/0/credential", "password"]),
            (
                r#","credential":{"clientSecret":{"flie":"/s"}}"#,
                ["/tenants/0/credential/clientSecret", "flie"],
            ),
            (r#","credential":{"managedIdentity":{}},"bogus":1"#, ["/tenants/0", "bogus"]),
            (
                r#","credential":{"managedIdentity":{}},"users":[{"fom":"objectId"}]"#,
                ["/tenants/0/users/0", "fom"],
            ),
            (
                r#","credential":{"managedIdentity":{}},"ceilings":{"lifetme":"8h"}"#,
                ["/tenants/0/ceilings", "lifetme"],
            ),
        ] {
            let tenants = format!("--set-json=tenants=[{TENANT}{rest}}}]");
            nobody.refused(&["template", "x", &chart, &tenants], &words).await?;
        }
        let tenants =
            format!(r#"--set-json=tenants=[{TENANT},"credential":{{"managedIdentity":{{}}}}}}]"#);
        nobody
            .refused(&[&with_ids[..], &[&tenants]].concat(), &["set either tenant or tenants"])
            .await?;
        for alone in ["tenant.userName=objectId", "tenant.cloud=usgov", "tenant.graphUrl=https://a"]
        {
            let words = [alone.split_once('=').unwrap_or_default().0, "beside tenants"];
            let several = ["template", "x", &chart, &tenants, "--set", alone];
            nobody.refused(&several, &words).await?;
        }
        for (labels, label) in [
            ("extraLabels", "app.kubernetes.io/instance"),
            ("podLabels", "app.kubernetes.io/name"),
            ("podMonitor.labels", "helm.sh/chart"),
        ] {
            let value = format!(r#"--set-json={labels}={{"{label}":"x"}}"#);
            nobody.refused(&[&with_ids[..], &[&value]].concat(), &[label, labels]).await?;
        }
        let variable = ["--set=env[0].name=AZURE_TENANT_ID", "--set=env[0].value=x"];
        nobody
            .refused(&[&with_ids[..], &variable].concat(), &["AZURE_TENANT_ID out of env"])
            .await?;
        let definitions = self::chart(DEFINITIONS);
        let label = "--set=extraLabels.app\\.kubernetes\\.io/name=x";
        nobody.refused(&["template", "x", &definitions, label], &["out of extraLabels"]).await?;
        nobody.refused(&["template", "x", &chart], &["set tenant.id and tenant.clientId"]).await?;
        nobody
            .refused(&["template", "x", &self::chart(DEFINITIONS), "--set=keep=false"], &["keep"])
            .await
    })
}

/// The values of the list `tenants` are those that the operator reads.
#[test]
#[ignore = "make test-deploy"]
fn the_chart_takes_every_form_of_a_tenant() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let file = nobody.scratch.write("tenants.yaml", every_form().to_string())?;
        let (chart, file) = (chart(CHART), format!("--values={}", file.display()));
        let objects = nobody.template(&["x", &chart, NAMESPACE, &file]).await?;
        let text = objects.iter().find_map(|object| object["data"]["tenants.yaml"].as_str());
        let text = text.context("no tenants.yaml")?;
        let connections = tap_operator::graph::connections_from_text(text, "tenants.yaml")?;
        ensure!(connections.len() == 4, "{text}");
        Ok(())
    })
}

/// Values with each field of a tenant.
fn every_form() -> Value {
    let ids = json!({
        "tenantId": "11111111-2222-3333-4444-555555555555",
        "clientId": "66666666-7777-8888-9999-aaaaaaaaaaaa",
    });
    let group = "91aa0000-0000-4000-8000-000000000103";
    let forms = [
        json!({
            "name": "contoso", "credential": {"workloadIdentity": {}}, "cloud": "global",
            "loginUrl": "https://login.contoso.com", "graphUrl": "https://graph.contoso.com/",
            "users": {"form": "userPrincipalName", "prefix": "entra:"},
        }),
        json!({"name": "secret", "credential": {"clientSecret": {"file": "/s"}}, "users": [{"form": "objectId"}]}),
        json!({"name": "certificate", "credential": {"clientCertificate": {"certificateFile": "/c", "keyFile": "/k"}}}),
        json!({"name": "managed", "credential": {"managedIdentity": {}}, "ceilings": {
            "excludeUsers": [group], "excludeGroups": [group], "domains": ["contoso.com"],
            "namespaces": ["helpdesk"], "lifetime": "1h30m", "approvals": 1, "directoryRoleHolders": "Deny",
            "directoryRoleHolderApprovals": 2, "delivery": "Sealed", "replaceExistingPass": "Forbidden",
            "unmappedPeople": "Deny", "completeChecks": "Required",
        }}),
    ];
    let tenants = forms.map(|mut form| {
        json_patch::merge(&mut form, &ids);
        form
    });
    json!({"tenants": tenants})
}

#[test]
#[ignore = "make test-deploy"]
fn limited_egress_lets_managed_identities_get_tokens() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let chart = chart(CHART);
        let managed = ["--set=credential.type=managedIdentity"];
        let form = |credential: &str| {
            format!(r#"--set-json=tenants=[{TENANT},"credential":{{"{credential}":{{}}}}}}]"#)
        };
        let (listed, federated) = (form("managedIdentity"), form("workloadIdentity"));
        for (values, allowed) in [
            ([&IDS[..], &managed].concat(), true),
            (IDS.to_vec(), false),
            (vec![listed.as_str()], true),
            (vec![federated.as_str()], false),
        ] {
            let limited = ["x", &chart, "--set=networkPolicy.egress.enabled=true"];
            let objects = nobody.template(&[&limited[..], &values].concat()).await?;
            let policy = objects.iter().find(|object| object["kind"] == "NetworkPolicy");
            let egress = policy.context("no NetworkPolicy")?["spec"]["egress"].clone();
            let expected = json!({
                "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
                "ports": [{"port": 80, "protocol": "TCP"}],
            });
            let rules = egress.as_array().context("no egress")?;
            ensure!(rules.contains(&expected) == allowed, "{values:?}: {egress:#}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "make test-deploy"]
fn nothing_of_the_charts_is_a_hook() -> Result<()> {
    run(async {
        // A hook that deletes requests would revoke passes.
        let nobody = Nobody::new()?;
        for (path, ids) in [(CHART, &IDS[..]), (DEFINITIONS, &[])] {
            for object in nobody.template(&[&["x", &chart(path)], ids].concat()).await? {
                ensure!(
                    !object["metadata"]["annotations"].to_string().contains("helm.sh/hook"),
                    "{object:#}"
                );
            }
        }
        Ok(())
    })
}

#[test]
#[ignore = "make test-deploy"]
fn settings_reach_the_pod() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let render = async |values: &[&str]| -> Result<BTreeMap<String, Value>> {
            let chart = chart(CHART);
            let objects = nobody.template(&[&["x", &chart, NAMESPACE], values].concat()).await?;
            let kind = |object: &Value| object["kind"].as_str().unwrap_or_default().to_owned();
            Ok(objects.into_iter().map(|object| (kind(&object), object)).collect())
        };
        let secret = [&IDS[..], &["--set=credential.type=clientSecret"]].concat();
        let objects = render(&secret).await?;
        let file = "/var/run/secrets/tap-operator/client-secret";
        ensure!(objects["ConfigMap"]["data"]["AZURE_CLIENT_SECRET_FILE"] == file);
        let labels = &objects["Deployment"]["spec"]["template"]["metadata"]["labels"];
        ensure!(labels["azure.workload.identity/use"].is_null(), "{labels}");
        ensure!(objects["ServiceAccount"]["metadata"]["annotations"].is_null());
        ensure!(
            !objects.contains_key("PodDisruptionBudget") && !objects.contains_key("PodMonitor")
        );

        let own_token = [&IDS[..], &["--set=workloadIdentity.webhook=false"]].concat();
        let objects = render(&own_token).await?;
        let path = "/var/run/secrets/azure/tokens/azure-identity-token";
        ensure!(objects["ConfigMap"]["data"]["AZURE_FEDERATED_TOKEN_FILE"] == path);
        let text = objects["Deployment"].to_string();
        ensure!(text.contains("api://AzureADTokenExchange"), "{text}");

        for nothing in
            ["podAnnotations", "podLabels", "extraLabels", "podMonitor", "dashboard.labels"]
        {
            let nothing = format!("--set={nothing}=null");
            render(&[&IDS[..], &[&nothing]].concat()).await?;
        }

        let limited = [&IDS[..], &["--set=ceilings.lifetime=8h"]].concat();
        let objects = render(&limited).await?;
        // The later one of the two: the earlier one has the environment.
        ensure!(objects["ConfigMap"]["data"]["ceilings.yaml"] == "lifetime: 8h\n");
        let pod = objects["Deployment"]["spec"]["template"]["spec"].to_string();
        let file = "\"TAP_OPERATOR_CEILINGS_FILE\",\"value\":\"/etc/tap-operator/ceilings.yaml\"";
        ensure!(pod.contains(file), "{pod}");

        let told = [
            "--set=notices.source=/clusters/a",
            "--set=notices.receivers[0].name=events",
            "--set=notices.receivers[0].format=CloudEvents",
            "--set=notices.receivers[0].url=https://events.contoso.com/",
        ];
        let objects = render(&[&IDS[..], &told].concat()).await?;
        let file = objects["ConfigMap"]["data"]["notices.yaml"].as_str().unwrap_or_default();
        let receivers = tap_operator::notice::receivers_from_text(file, "notices.yaml")?;
        ensure!(receivers.source.as_deref() == Some("/clusters/a"), "{file}");
        ensure!(receivers.all.len() == 1, "{file}");
        let pod = objects["Deployment"]["spec"]["template"]["spec"].to_string();
        let file = "\"TAP_OPERATOR_NOTICES\",\"value\":\"/etc/tap-operator-notices/notices.yaml\"";
        ensure!(pod.contains(file), "{pod}");

        let more = [
            &IDS[..],
            &[
                "--set=replicas=2",
                "--set=podMonitor.enabled=true",
                "--set=networkPolicy.egress.enabled=true",
                "--set=extraCa.configMap=proxy-ca",
                "--set=settings.callsPer10Seconds=3",
                "--set=settings.settleTime=180s",
                "--set=extraLabels.team=identity",
                "--set=podMonitor.labels.release=prometheus",
                "--set=podLabels.team=identity",
                r#"--set-json=podLabels={"azure.workload.identity/use":"false"}"#,
                "--set=image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
            ],
        ]
        .concat();
        let objects = render(&more).await?;
        for (kind, object) in &objects {
            ensure!(object["metadata"]["labels"]["team"] == "identity", "{kind}: {object:#}");
        }
        ensure!(objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1);
        ensure!(objects["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"] == "http");
        ensure!(objects["NetworkPolicy"]["spec"]["policyTypes"] == json!(["Ingress", "Egress"]));
        ensure!(objects["PodMonitor"]["metadata"]["labels"]["release"] == "prometheus");
        let labels = &objects["Deployment"]["spec"]["template"]["metadata"]["labels"];
        ensure!(labels["azure.workload.identity/use"] == "false", "{labels}");
        let pod = objects["Deployment"]["spec"]["template"]["spec"].to_string();
        for word in [
            "\"TAP_OPERATOR_CALLS_PER_10_SECONDS\",\"value\":\"3\"",
            "\"TAP_OPERATOR_SETTLE_TIME\",\"value\":\"180s\"",
            "\"TAP_OPERATOR_EXTRA_CA\",\"value\":\"/etc/tap-operator-ca/ca.crt\"",
            "topologySpreadConstraints",
            "tap-operator@sha256:0000",
        ] {
            ensure!(pod.contains(word), "no {word} in {pod}");
        }
        Ok(())
    })
}

/// What the chart makes of one kind with these values.
async fn rendered(kind: &str, values: &[&str]) -> Result<Value> {
    let (nobody, chart) = (Nobody::new()?, chart(CHART));
    let objects = nobody.template(&[&["x", &chart, NAMESPACE], &IDS[..], values].concat()).await?;
    let found = objects.into_iter().find(|object| object["kind"] == kind);
    found.with_context(|| format!("no {kind}"))
}

/// The image is for Linux.
#[test]
#[ignore = "make test-deploy"]
fn pods_go_to_nodes_of_linux() -> Result<()> {
    run(async {
        for (values, selector) in [
            (&[][..], json!({"kubernetes.io/os": "linux"})),
            (
                &["--set=nodeSelector.pool=system"],
                json!({"kubernetes.io/os": "linux", "pool": "system"}),
            ),
        ] {
            let deployment = rendered("Deployment", values).await?;
            let pod = &deployment["spec"]["template"]["spec"];
            ensure!(pod["nodeSelector"] == selector, "{pod:#}");
        }
        Ok(())
    })
}

/// Policies see the ports of the pods that answer, which need not be that of their Service.
#[test]
#[ignore = "make test-deploy"]
fn limited_egress_lets_names_be_asked_for_at_the_ports_of_the_cluster() -> Result<()> {
    run(async {
        let limited = "--set=networkPolicy.egress.enabled=true";
        for (values, numbers) in [
            (&[limited][..], &[53][..]),
            (&[limited, "--set=networkPolicy.egress.dnsPorts={53,5353}"], &[53, 5353]),
        ] {
            let policy = rendered("NetworkPolicy", values).await?;
            let each = numbers.iter().flat_map(|port| {
                ["UDP", "TCP"].map(|protocol| json!({"port": port, "protocol": protocol}))
            });
            let names = &policy["spec"]["egress"][0];
            ensure!(names["ports"] == each.collect::<Value>(), "{names:#}");
        }
        Ok(())
    })
}

/// The driver of the Secrets Store brings nothing where no pod has its volume.
#[test]
#[ignore = "make test-deploy"]
fn more_volumes_reach_the_pod() -> Result<()> {
    run(async {
        let volume = json!({"name": "vault", "csi": {
            "driver": "secrets-store.csi.k8s.io", "readOnly": true,
            "volumeAttributes": {"secretProviderClass": "tap-operator"},
        }});
        let mount = json!({"name": "vault", "mountPath": "/mnt/vault", "readOnly": true});
        let values = [
            &*format!("--set-json=extraVolumes=[{volume}]"),
            &*format!("--set-json=extraVolumeMounts=[{mount}]"),
        ];
        let deployment = rendered("Deployment", &values).await?;
        let pod = &deployment["spec"]["template"]["spec"];
        let has = |list: &Value, item: &Value| {
            list.as_array().is_some_and(|list| list.contains(item) && list.len() > 4)
        };
        let mounts = &pod["containers"][0]["volumeMounts"];
        ensure!(has(&pod["volumes"], &volume) && has(mounts, &mount), "{pod:#}");
        Ok(())
    })
}

#[test]
#[ignore = "make test-deploy"]
fn it_is_a_part_of_another_chart() -> Result<()> {
    run(async {
        let nobody = Nobody::new()?;
        let umbrella = nobody.scratch.file("umbrella");
        std::fs::create_dir_all(umbrella.join("templates"))?;
        let part = |name: &str, path: &str| {
            json!({
                "name": name, "version": "0.1.0", "condition": format!("{name}.enabled"),
                "repository": format!("file://{}", repository(path).display()),
            })
        };
        let chart = json!({
            "apiVersion": "v2", "name": "identity", "version": "1.0.0",
            "dependencies": [part("tap-operator", CHART), part("tap-operator-crds", DEFINITIONS)],
        });
        std::fs::write(umbrella.join("Chart.yaml"), chart.to_string())?;
        let values = json!({
            "global": {"imageRegistry": "registry.contoso.com"},
            "tap-operator": {
                "enabled": true,
                "tenant": {
                    "id": "11111111-2222-3333-4444-555555555555",
                    "clientId": "66666666-7777-8888-9999-aaaaaaaaaaaa",
                },
            },
        });
        std::fs::write(umbrella.join("values.yaml"), values.to_string())?;
        let umbrella = umbrella.display().to_string();
        nobody.helm(&["dependency", "build", &umbrella]).await?.ok().await?;
        let kinds =
            |objects: &[Value]| objects.iter().filter(|o| o["kind"] == "Deployment").count();
        let all = nobody.template(&["identity", &umbrella]).await?;
        ensure!(kinds(&all) == 1 && all.iter().any(|o| o["kind"] == "CustomResourceDefinition"));
        let off = "--set=tap-operator.enabled=false,tap-operator-crds.enabled=false";
        let none = nobody.helm(&["template", "identity", &umbrella, off]).await?.ok().await?;
        ensure!(objects(&none)?.is_empty(), "{none}");
        Ok(())
    })
}
