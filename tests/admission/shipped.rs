//! The shipped files: definitions, kustomizations, roles and examples.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::yaml;
use tap_operator::decision::admission::{ServiceAccount, Shipped};

use crate::call::Expect::{Allowed, Forbidden};
use crate::call::{Actor, Call, check};
use crate::cluster::{Cluster, OLDER, apply, repository};
use crate::office::{Office, request};
use crate::support::{run, wait};

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";

#[test]
fn everything_applies_without_a_warning_and_again_without_a_change() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        for directory in ["crds", "deploy"] {
            let again = apply(&cluster.control_plane, directory).await?;
            let changed: Vec<_> =
                again.stdout.lines().filter(|line| !line.ends_with(" unchanged")).collect();
            ensure!(changed.is_empty(), "{again}");
            // A GitOps tool finds no difference either.
            let path = repository(directory).display().to_string();
            cluster.admin.identity.kubectl(["diff", "-k", &path]).ok().await?;
        }
        Ok(())
    })
}

#[test]
fn the_api_server_finds_no_fault_with_the_expressions() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        wait::until(wait::PATIENCE, "the policies were type-checked", || async {
            for name in ["requests", "decisions", "secrets", "request-hints", "policy-hints"] {
                let policy = Call::get(&format!("{POLICIES}/tap-operator-{name}"));
                let policy = cluster.admin.call(policy).await?;
                ensure!(policy["status"]["typeChecking"] == json!({}), "{:#}", policy["status"]);
                ensure!(policy["status"]["observedGeneration"] == policy["metadata"]["generation"]);
            }
            Ok(())
        })
        .await
    })
}

#[test]
fn the_operator_finds_no_difference_to_what_it_ships() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let home = ServiceAccount::of(cluster.operator.name()).context("a service account")?;
        let all: Vec<_> = Shipped::required().into_iter().chain(Shipped::stamp()).collect();
        ensure!(all.len() == 8, "{all:?}");
        for shipped in all {
            let plural = match shipped.kind.strip_suffix("Policy") {
                Some(kind) => format!("{kind}policies"),
                None => format!("{}s", shipped.kind),
            };
            let path = format!("{REGISTRATION}/{}/{}", plural.to_lowercase(), shipped.name);
            let found = cluster.admin.call(Call::get(&path)).await?;
            let differences = shipped.for_operator(&home).differences(&found);
            ensure!(differences.is_empty(), "{differences:#?}");
        }
        Ok(())
    })
}

#[test]
fn explain_reads_well() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        for (resource, says) in [
            ("taprequest", "asks for one Temporary Access Pass"),
            ("taprequest.spec", "How long the pass is valid. 10m to 720h"),
            ("tap.spec.onExistingPass", "Refuse (the default)"),
            ("tap.status.decisions.decision", "A single Deny is final"),
            ("tappolicy.spec", "Name of a tenant connection"),
            ("tpol.spec.issuance.approval.required", "0 to 5, default 1"),
            ("tpol.spec.method.lifetime", "10m to 720h"),
        ] {
            let text = cluster.admin.identity.kubectl(["explain", resource]).ok().await?;
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            ensure!(words.contains(says), "{resource}: {text}");
            ensure!(!text.contains("<no description>"), "{resource}: {text}");
        }
        Ok(())
    })
}

#[test]
fn the_operator_may_do_what_it_needs_and_no_more() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let operator = &cluster.operator;
        let home = "/api/v1/namespaces/tap-operator-system";
        let leases = "/apis/coordination.k8s.io/v1/namespaces/tap-operator-system/leases";
        let lease = |name: &str| {
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            })
        };
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "issued"},
            "eventTime": "2026-11-24T08:00:00.000000Z", "type": "Normal", "reason": "Issued",
            "action": "Issue", "reportingController": "tap-operator", "reportingInstance": "x",
            "regarding": {"kind": "TapRequest", "namespace": "default", "name": "x"},
        });
        let stop = "fieldSelector=metadata.name%3Dtap-operator-stop";
        let own = "fieldSelector=metadata.name%3Dtap-operator-secrets";
        let stamp =
            "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/tap-operator-stamp";
        let held = cluster.admin.call(Call::create(leases, lease("tap-operator"))).await?;
        check([
            (
                "requests",
                operator,
                Call::get("/apis/tap-operator.io/v1alpha1/taprequests"),
                Allowed,
            ),
            (
                "policies",
                operator,
                Call::get("/apis/tap-operator.io/v1alpha1/tappolicies"),
                Allowed,
            ),
            ("namespaces", operator, Call::get("/api/v1/namespaces"), Allowed),
            ("the stop", operator, Call::get(&format!("{home}/configmaps?{stop}")), Allowed),
            (
                "other ConfigMaps",
                operator,
                Call::get(&format!("{home}/configmaps")),
                Forbidden("list"),
            ),
            ("its rules", operator, Call::get(&format!("{POLICIES}?{own}")), Allowed),
            ("its mutating rules", operator, Call::get(stamp), Allowed),
            ("others' rules", operator, Call::get(POLICIES), Forbidden("cannot list")),
            ("its lease", operator, Call::get(&format!("{leases}/tap-operator")), Allowed),
            ("its lease", operator, Call::create(leases, lease("more")), Allowed),
            (
                "its lease",
                operator,
                Call::replace(&format!("{leases}/tap-operator"), &held, lease("tap-operator")),
                Allowed,
            ),
            (
                "other leases",
                operator,
                Call::get(&format!("{leases}/other")),
                Forbidden("cannot get"),
            ),
            (
                "leases elsewhere",
                operator,
                Call::create("/apis/coordination.k8s.io/v1/namespaces/default/leases", lease("x")),
                Forbidden("cannot create"),
            ),
            (
                "events",
                operator,
                Call::create("/apis/events.k8s.io/v1/namespaces/default/events", event),
                Allowed,
            ),
            ("Secrets", operator, Call::get("/api/v1/secrets"), Forbidden("cannot list")),
            (
                "Secrets of its own",
                operator,
                Call::get(&format!("{home}/secrets")),
                Forbidden("list"),
            ),
        ])
        .await
    })
}

#[test]
fn roles_give_no_more_than_they_say() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let admin = &cluster.admin;
        let role = async |name: &str| -> Result<Value> {
            let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}");
            admin.call(Call::get(&path)).await
        };
        // By now aggregation has taken place. These roles select others by label.
        for name in ["view", "edit", "admin"] {
            let rules = role(name).await?["rules"].to_string();
            ensure!(!rules.contains("tap-operator.io"), "{name}: {rules}");
        }
        for name in [
            "tap-requester",
            "tap-deleter",
            "tap-approver",
            "tap-viewer",
            "tap-policy-viewer",
            "tap-policy-admin",
        ] {
            let role = role(name).await?;
            let labels = role["metadata"]["labels"].to_string();
            ensure!(!labels.contains("aggregate-to"), "{name}: {labels}");
            for verb in ["use", "approve", "release", "*"] {
                let rules = role["rules"].to_string();
                ensure!(!rules.contains(&format!("\"{verb}\"")), "{name}: {rules}");
            }
        }
        let identity = cluster.control_plane.person("policy-admin@contoso.com")?;
        cluster.control_plane.grant_everywhere(&identity, "tap-policy-admin").await?;
        let create = ["create", "--filename=-"];
        let policy = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
            "metadata": {"name": "written"}, "spec": {"tenant": "default"},
        });
        identity.kubectl(create).input(policy.to_string()).ok().await?;
        identity.kubectl(["delete", "tpol", "written"]).ok().await?;
        Ok(())
    })
}

#[test]
fn an_administrator_of_a_namespace_makes_nobody_an_approver() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let namespace = cluster.control_plane.new_namespace("administered").await?;
        let identity = cluster.control_plane.person("namespace-admin@contoso.com")?;
        // Kubernetes' own role `admin`, once the controllers have aggregated its rules.
        wait::until(wait::PATIENCE, "the role admin has rules", || async {
            let admin = "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin";
            let role = cluster.admin.call(Call::get(admin)).await?;
            ensure!(role["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
            Ok(())
        })
        .await?;
        cluster.control_plane.grant(&identity, "admin", &namespace).await?;
        let admin = Actor::new(identity).await?;
        let path =
            |kind| format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kind}");
        let verbs = ["use", "approve", "release"].map(|verb| {
            let role = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "mine"},
                "rules": [{
                    "apiGroups": ["tap-operator.io"], "resources": ["tappolicies"],
                    "resourceNames": ["contoso"], "verbs": [verb],
                }],
            });
            (verb, &admin, Call::create(&path("roles"), role), Forbidden("not currently held"))
        });
        let roles = ["tap-requester", "tap-approver", "cluster-admin"].map(|role| {
            let api = "rbac.authorization.k8s.io";
            let binding = json!({
                "apiVersion": format!("{api}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "mine"},
                "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": api, "kind": "User", "name": admin.name()}],
            });
            let create = Call::create(&path("rolebindings"), binding);
            (role, &admin, create, Forbidden("not currently held"))
        });
        check(verbs.into_iter().chain(roles)).await
    })
}

#[test]
fn every_example_applies_and_again_without_a_change() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let kubectl = |arguments: &[&str]| cluster.admin.identity.kubectl(arguments.to_vec());
        // Flux and Argo CD are not installed, so their kinds are defined here without their schemas.
        for (group, version, plural, kind) in [
            ("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository"),
            ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization"),
            ("argoproj.io", "v1alpha1", "applications", "Application"),
            ("argoproj.io", "v1alpha1", "appprojects", "AppProject"),
            ("argoproj.io", "v1alpha1", "eventsources", "EventSource"),
            ("argoproj.io", "v1alpha1", "sensors", "Sensor"),
        ] {
            let definition = stand_in(group, version, plural, kind);
            kubectl(&["apply", "-f", "-"]).input(definition.to_string()).ok().await?;
        }
        kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"])
            .ok()
            .await?;
        for namespace in ["flux-system", "argocd"] {
            kubectl(&["create", "namespace", namespace]).ok().await?;
        }
        let files = yaml_files(&repository("examples"))?;
        ensure!(files.len() >= 10, "{files:?}");
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            ensure!(
                text.starts_with("# "),
                "{file} does not begin with a comment that says what it shows"
            );
            let outcome = kubectl(&["apply", "-f", &file]).run().await?;
            ensure!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome}");
            let again = kubectl(&["apply", "-f", &file]).ok().await?;
            ensure!(again.lines().all(|line| line.ends_with("unchanged")), "{file}: {again}");
        }
        Ok(())
    })
}

#[test]
fn the_network_policy_is_about_the_operators_pods_and_their_port() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        for kustomization in ["deploy", OLDER] {
            let path = repository(kustomization).display().to_string();
            let text = cluster.admin.identity.kubectl(["kustomize", &path]).ok().await?;
            let objects: Vec<Value> = yaml::read_all(&text)?;
            let of_kind = |kind: &str| {
                let mut found = objects.iter().filter(|object| object["kind"] == kind);
                let one = found.next().with_context(|| format!("no {kind}"))?;
                ensure!(found.next().is_none(), "more than one {kind}");
                anyhow::Ok(one)
            };
            let (policy, deployment) = (of_kind("NetworkPolicy")?, of_kind("Deployment")?);
            let pods = &deployment["spec"]["template"];
            ensure!(policy["metadata"]["namespace"] == deployment["metadata"]["namespace"]);
            let selected = policy["spec"]["podSelector"]["matchLabels"].as_object();
            for (label, value) in selected.context("a selector")? {
                ensure!(&pods["metadata"]["labels"][label] == value, "{label}: {pods:#}");
            }
            // Its calls to Graph, DNS and the API server stay as free as they were.
            ensure!(policy["spec"]["policyTypes"] == json!(["Ingress"]), "{policy:#}");
            let ports = &pods["spec"]["containers"][0]["ports"];
            let [rule] = policy["spec"]["ingress"].as_array().context("rules")?.as_slice() else {
                anyhow::bail!("not one rule: {policy:#}")
            };
            ensure!(rule["ports"][0]["port"] == ports[0]["name"], "{rule:#} {ports:#}");
            ensure!(rule["from"].as_array().is_some_and(|from| from.len() == 1), "{rule:#}");
        }
        Ok(())
    })
}

#[test]
fn the_quota_of_the_examples_bounds_the_requests_of_a_namespace() -> Result<()> {
    run(async {
        let office = Office::new("many").await?;
        let examples = std::fs::read_to_string(repository("examples/quota.yaml"))?;
        let examples: Vec<Value> = yaml::read_all(&examples)?;
        let quota = examples.iter().find(|object| object["kind"] == "ResourceQuota");
        let mut quota = quota.context("a quota")?.clone();
        quota["metadata"]["namespace"] = json!(office.namespace);
        let quotas = format!("/api/v1/namespaces/{}/resourcequotas", office.namespace);
        office.cluster.admin.call(Call::create(&quotas, quota.clone())).await?;
        // What the controller for quotas, which does not run here, would write once there are as many.
        let full =
            json!({"status": {"hard": quota["spec"]["hard"], "used": quota["spec"]["hard"]}});
        let status = format!("{quotas}/tap-requests/status");
        office.cluster.admin.call(Call::merge(&status, full)).await?;
        // Admission knows of a new quota a moment after it was written.
        wait::until(wait::PATIENCE, "one more is refused", || async {
            let create = Call::create(&office.requests(), request("more")).dry_run();
            let refusal = office.alice.refused(create).await?;
            ensure!(refusal.code == 403, "{refusal:?}");
            ensure!(refusal.message.contains("exceeded quota: tap-requests"), "{refusal:?}");
            Ok(())
        })
        .await
    })
}

#[test]
fn the_policies_know_the_operator_in_another_namespace() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let scratch = cluster.control_plane.scratch();
        let directory = scratch.file("overlays");
        let deploy = repository("deploy");
        for (layer, content) in [
            ("inner", json!({"namespace": "passes", "resources": [up(&directory, &deploy)?]})),
            (
                "outer",
                json!({
                    "resources": ["../inner"],
                    "components": [up(&directory, &deploy.join("identity"))?],
                }),
            ),
        ] {
            std::fs::create_dir_all(directory.join(layer))?;
            std::fs::write(directory.join(layer).join("kustomization.yaml"), content.to_string())?;
        }
        let outer = directory.join("outer").display().to_string();
        let text = cluster.admin.identity.kubectl(["kustomize", &outer]).ok().await?;
        // The operator puts its own name into its copy of the policies, as kustomize does.
        let objects: Vec<Value> = yaml::read_all(&text)?;
        let there = ServiceAccount::of("system:serviceaccount:passes:tap-operator");
        let there = there.context("a service account")?;
        for shipped in Shipped::required().into_iter().chain(Shipped::stamp()) {
            let found = objects.iter().find(|object| {
                object["kind"] == *shipped.kind && object["metadata"]["name"] == *shipped.name
            });
            let found = found.with_context(|| shipped.title())?;
            let differences = shipped.for_operator(&there).differences(found);
            ensure!(differences.is_empty(), "{differences:#?}");
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("''", "'");
        ensure!(!text.contains("tap-operator-system"), "{text}");
        let operator = "'system:serviceaccount:' + 'passes' + ':' + 'tap-operator'";
        // Once in each of the four policies, and once more in the condition of the policy on Secrets.
        ensure!(text.matches(operator).count() == 5, "{text}");
        Ok(())
    })
}

/// The relative path from a directory in `from` to `to`, because a kustomization accepts no absolute paths.
fn up(from: &std::path::Path, to: &std::path::Path) -> Result<String> {
    let to = to.strip_prefix("/")?.to_str().context("a path that is no text")?;
    Ok("../".repeat(from.components().count()) + to)
}

fn stand_in(group: &str, version: &str, plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}],
        },
    })
}

/// All YAML files below a directory, in order.
fn yaml_files(directory: &std::path::Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path.display().to_string());
        }
    }
    files.sort();
    Ok(files)
}
