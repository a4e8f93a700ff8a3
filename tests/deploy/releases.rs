//! The life of a release on a real API server: installed, changed, upgraded, rolled back, uninstalled, while requests are
//! live and waiting.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use graph_simulator::Tenant;
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};

use crate::helm::{CHART, DEFINITIONS, chart, helm};
use crate::pod::{Pod, listing};
use crate::repository;
use crate::scene::Scene;
use crate::support::control_plane::{self, ControlPlane};
use crate::support::ports::Port;
use crate::support::receiver::Receiver;
use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::world::{World, policies_are_of_age, requests_are_known};
use crate::support::{run, wait};

/// A release of the chart: its namespace and its name.
struct Release {
    namespace: &'static str,
    name: &'static str,
}

/// Charts are installed into it.
struct Site {
    simulator: Simulator,
    receiver: Receiver,
    control_plane: ControlPlane,
}

impl Site {
    /// A new cluster with a tenant, and with the definitions, installed by their chart.
    async fn new(release: &Release) -> Result<Self> {
        let options = control_plane::Options { controller_manager: false, ..Default::default() };
        let control_plane = ControlPlane::start(options).await?;
        let simulator = Simulator::start(control_plane.scratch(), Tenant::contoso()).await?;
        simulator.switch(|switches| switches.authentication_method_limit = None);
        let receiver = Receiver::start(control_plane.scratch()).await?;
        let chart = chart(DEFINITIONS);
        let install = ["install", "tap-operator-crds", &chart, "--create-namespace"];
        release.helm(&control_plane, &install).await?;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        release.kubectl(&control_plane, &established).await?;
        // It discovers the resources once at its start.
        control_plane.start_controller_manager()?;
        let secret = format!("--from-literal=client-secret={OPERATOR_SECRET}");
        let create = ["create", "secret", "generic", "tap-operator-credentials", &secret];
        release.kubectl(&control_plane, &create).await?;
        Ok(Self { simulator, receiver, control_plane })
    }

    /// Starts the pod of the release.
    async fn world(
        self,
        release: &Release,
        port: Port,
        trust: Option<&Path>,
    ) -> Result<(World, Pod<()>)> {
        requests_are_known(&self.control_plane, true).await?;
        let pod = Pod::of(&self.control_plane, release.namespace, port, trust).await?;
        let Self { simulator, receiver, control_plane } = self;
        let (operator, pod) = pod.parts();
        operator.start().await?;
        policies_are_of_age(&control_plane).await?;
        Ok((World { operator, simulator, receiver, control_plane }, pod))
    }
}

impl Release {
    /// Helm as the cluster's administrator, in the namespace of the release.
    async fn helm(&self, control_plane: &ControlPlane, arguments: &[&str]) -> Result<String> {
        helm(control_plane.admin(), arguments).await?.in_namespace(self.namespace).ok().await
    }

    async fn kubectl(&self, control_plane: &ControlPlane, arguments: &[&str]) -> Result<String> {
        let kubectl = control_plane.admin().kubectl(arguments.to_vec());
        kubectl.in_namespace(self.namespace).ok().await
    }

    /// `helm install` or `helm upgrade` of a chart, with these values beside the usual ones.
    async fn apply(
        &self,
        (control_plane, simulator, port): (&ControlPlane, &Simulator, &Port),
        verb: &str,
        chart: &str,
        more: &[&str],
    ) -> Result<String> {
        let values = values(simulator, port);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.helm(control_plane, &[&[verb, self.name, chart], &values[..], more].concat()).await
    }
}

/// The values that somebody must give: tenant, app, how to sign in; and where tenant and port are in this test.
fn values(simulator: &Simulator, port: &Port) -> Vec<String> {
    // Resolved by the pod's name server.
    let url = simulator.url().replace("127.0.0.1", "localhost");
    vec![
        format!("--set=tenant.id={CONTOSO}"),
        format!("--set=tenant.clientId={OPERATOR}"),
        "--set=credential.type=clientSecret".into(),
        format!("--set=tenant.loginUrl={url}"),
        format!("--set=tenant.graphUrl={url}"),
        format!("--set=env[0].name=TAP_OPERATOR_LISTEN,env[0].value=127.0.0.1:{}", port.number),
        "--set=settings.settleTime=5s,settings.useCheckInterval=1s,settings.callsPer10Seconds=1000"
            .into(),
    ]
}

/// Names and uids of the admission policies and their bindings.
async fn policies(world: &World) -> Result<Value> {
    let kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings,\
                 mutatingadmissionpolicies,mutatingadmissionpolicybindings";
    let get = ["get", kinds, "--output=json"];
    let all = world.control_plane.admin().kubectl(get).ok().await?;
    let all: Value = serde_json::from_str(&all)?;
    let each = all["items"].as_array().context("a list")?.iter();
    Ok(each.map(|p| json!([p["kind"], p["metadata"]["name"], p["metadata"]["uid"]])).collect())
}

/// The chart as a version before this one: another version, fewer rights, another message of a rule.
fn chart_before(scratch: &Scratch) -> Result<String> {
    let to = scratch.file("before");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(repository(CHART)).arg(&to).status()?;
    ensure!(copied.success(), "{copied}");
    for (file, from, with) in [
        ("Chart.yaml", "version: 0.1.0\nappVersion: 0.1.0", "version: 0.0.9\nappVersion: 0.0.9"),
        (
            "files/admission/decisions.yaml",
            "a decision cannot be changed or removed",
            "a decision stays",
        ),
        (
            "files/base/rbac.yaml",
            "- apiGroups: [events.k8s.io]\n  resources: [events]\n  verbs: [create, patch]\n",
            "",
        ),
    ] {
        let path = to.join(file);
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(&path, text.replace(from, with))?;
    }
    Ok(to.display().to_string())
}

#[test]
#[ignore = "make test-deploy"]
fn from_installation_to_removal_under_live_requests() -> Result<()> {
    run(async {
        let release = Release { namespace: "tap-operator-system", name: "tap-operator" };
        let site = Site::new(&release).await?;
        let port = Port::reserve()?;
        let authority = format!("--from-file=ca.crt={}", site.simulator.authority().display());
        let create = ["create", "configmap", "tenant-ca", &authority];
        release.kubectl(&site.control_plane, &create).await?;
        let ca = "--set=extraCa.configMap=tenant-ca";
        let here = (&site.control_plane, &site.simulator, &port);
        let notes = release.apply(here, "install", &chart(CHART), &[ca]).await?;
        ensure!(
            notes.contains("tap-operator-credentials") && !notes.contains("MISSING"),
            "{notes}"
        );
        let (world, pod) = site.world(&release, port, None).await?;

        // The pod issues: it resolves names by DNS, trusts the mounted authority, reads the mounted secret.
        let scene = Scene::new(&world, "life").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("live", &user, json!({"lifetime": "8h"})).await?;
        scene.wait_active("live").await?;
        ensure!(pod.names.asked() > 0, "the name server was not asked");
        ensure!(listing(&pod.root)? == pod.files, "the root is not as it was");
        waits_for_approval(&scene).await?;
        // SIGTERM ends it, as Kubernetes does when a Deployment changes.
        let ended = world.operator.stop().await?;
        ensure!(ended.success(), "{ended}");

        // Back to an older version and forward again, changed values, a rollback: the policies stay the same objects.
        let at_first = policies(&world).await?;
        let port = Port::reserve()?;
        let here = (&world.control_plane, &world.simulator, &port);
        let before = chart_before(world.control_plane.scratch())?;
        let labels = "--set=extraLabels.team=identity";
        release.apply(here, "upgrade", &before, &[ca]).await?;
        release.apply(here, "upgrade", &chart(CHART), &[ca, "--set=replicas=2", labels]).await?;
        release.helm(&world.control_plane, &["rollback", release.name, "1"]).await?;
        release.apply(here, "upgrade", &chart(CHART), &[ca, "--set=replicas=2"]).await?;
        ensure!(policies(&world).await? == at_first, "the policies are other objects");
        let deleted: Vec<_> = world.control_plane.writes_by("admin")?;
        let deleted: Vec<_> = deleted
            .iter()
            .filter(|write| write.verb.starts_with("delete") && write.uri.contains("admissionreg"))
            .collect();
        ensure!(deleted.is_empty(), "policies were deleted meanwhile: {deleted:#?}");

        // What waited goes on, and what was live still is.
        let pod = Pod::of(&world.control_plane, release.namespace, port, None).await?;
        pod.operator.start().await?;
        scene.decide(&scene.approver, "waiting", DecisionKind::Approve).await?;
        scene.wait_active("waiting").await?;
        scene.wait_active("live").await?;
        pod.operator.stop().await?;

        uninstalled(&world, &release).await?;

        // Installed again, it goes on with what it left.
        let port = Port::reserve()?;
        let here = (&world.control_plane, &world.simulator, &port);
        let definitions = chart(DEFINITIONS);
        let install = ["install", "tap-operator-crds", &definitions];
        release.helm(&world.control_plane, &install).await?;
        release.apply(here, "install", &chart(CHART), &[ca]).await?;
        let pod = Pod::of(&world.control_plane, release.namespace, port, None).await?;
        pod.operator.start().await?;
        scene.decide(&scene.helpdesk, "live", DecisionKind::Revoke).await?;
        scene.wait_released("live", Phase::Revoked).await?;
        ensure!(scene.ledger(&user).iter().all(|pass| !pass.is_live()), "the pass still lives");
        Ok(())
    })
}

/// A request that waits for an approval, through a policy of its own.
async fn waits_for_approval(scene: &Scene<'_>) -> Result<()> {
    let policy = format!("{}-approved", scene.policy);
    let issuance = json!({
        "namespaces": {"names": [scene.namespace]}, "users": {"domains": ["contoso.com"]},
    });
    let spec = json!({"tenant": "default", "issuance": issuance});
    scene.policy_named(&policy, spec).await?;
    let control_plane = &scene.world.control_plane;
    control_plane.grant_policy(&scene.helpdesk, "use", &policy, &scene.namespace).await?;
    control_plane.grant_policy(&scene.approver, "approve", &policy, &scene.namespace).await?;
    let through = json!({"policyRef": {"name": policy}});
    scene.ask("waiting", &scene.user(), through).await?;
    scene.wait_phase("waiting", Phase::AwaitingApproval, "AwaitingApproval").await.map(drop)
}

/// Uninstalls both releases. That removes no request, no Secret and no definition, and revokes nothing.
async fn uninstalled(world: &World, release: &Release) -> Result<()> {
    let control_plane = &world.control_plane;
    release.helm(control_plane, &["uninstall", release.name]).await?;
    let kept = release.helm(control_plane, &["uninstall", "tap-operator-crds"]).await?;
    ensure!(kept.contains("taprequests.tap-operator.io"), "{kept}");
    let left = ["get", "tap,secret", "--all-namespaces"];
    let left = control_plane.admin().kubectl(left).ok().await?;
    for name in ["live", "waiting", "tap-operator-credentials"] {
        ensure!(left.contains(name), "no {name} in\n{left}");
    }
    let live = world.simulator.ledger().iter().filter(|pass| pass.is_live()).count();
    ensure!(live == 2, "{live} live passes");
    let of_the_chart = "deployments,validatingadmissionpolicies,clusterroles,serviceaccounts";
    let selector = "--selector=app.kubernetes.io/managed-by=Helm";
    let left = ["get", of_the_chart, selector, "--output=name"];
    let left = release.kubectl(control_plane, &left).await?;
    ensure!(left.trim().is_empty(), "{left}");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn under_other_names_and_with_the_roots_of_the_image() -> Result<()> {
    run(async {
        let release = Release { namespace: "identity", name: "passes" };
        let site = Site::new(&release).await?;
        let (port, authority) = (Port::reserve()?, site.simulator.authority().to_owned());
        let account = "--set=serviceAccount.name=pass-issuer";
        let here = (&site.control_plane, &site.simulator, &port);
        release.apply(here, "install", &chart(CHART), &[account, "--set=replicas=2"]).await?;
        let (world, _pod) = site.world(&release, port, Some(&authority)).await?;
        let metrics = world.operator.metrics().await?;
        ensure!(metrics.contains("tap_operator_guarded 1"), "{metrics}");
        let scene = Scene::new(&world, "names").await?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        let request = scene.ask("elsewhere", &user, json!({})).await?;
        ensure!(request.spec.requested_by.as_deref() == Some(scene.helpdesk.user()));
        scene.wait_active("elsewhere").await?;
        // The usual name has no power here.
        let refused = world.control_plane.admin().kubectl([
            "patch",
            "tap",
            "elsewhere",
            "--subresource=status",
            "--type=merge",
            "--patch={\"status\":{\"phase\":\"Failed\"}}",
            "--as=system:serviceaccount:tap-operator-system:tap-operator",
            "--as-group=system:masters",
        ]);
        let refused = refused.in_namespace(&scene.namespace).refused().await?;
        ensure!(refused.contains("people may write only status.decisions"), "{refused}");
        Ok(())
    })
}

#[test]
#[ignore = "make test-deploy"]
fn its_pods_are_restricted_and_its_objects_without_a_warning() -> Result<()> {
    run(async {
        let release = Release { namespace: "restricted", name: "tap-operator" };
        let site = Site::new(&release).await?;
        let control_plane = &site.control_plane;
        for mode in ["enforce", "warn"] {
            let label = format!("pod-security.kubernetes.io/{mode}=restricted");
            release.kubectl(control_plane, &["label", "namespace", "restricted", &label]).await?;
        }
        // Stands in for the Prometheus operator, which is not installed.
        control_plane.admin().apply(&pod_monitors().to_string()).ok().await?;
        let port = Port::reserve()?;
        let (values, chart) = (values(&site.simulator, &port), chart(CHART));
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let everything = [
            "--set=replicas=2",
            "--set=podMonitor.enabled=true",
            "--set=networkPolicy.egress.enabled=true",
            "--set=extraLabels.team=identity",
        ];
        let install = [&["install", release.name, &chart], &values[..], &everything].concat();
        let install = helm(control_plane.admin(), &install).await?;
        let installed = install.in_namespace(release.namespace).run().await?;
        ensure!(installed.status.success() && installed.stderr.is_empty(), "{installed}");
        let get = ["get", "deployment", "tap-operator", "--output=json"];
        let deployment: Value = serde_json::from_str(&release.kubectl(control_plane, &get).await?)?;
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!("tap-operator-0");
        let context = &pod["spec"]["securityContext"];
        for fixed in ["runAsUser", "runAsGroup", "fsGroup"] {
            ensure!(context[fixed].is_null(), "{context}");
        }
        wait::until(wait::PATIENCE, "a pod is admitted", || async {
            let create = ["create", "--dry-run=server", "--filename=-"];
            let create = control_plane.admin().kubectl(create).input(pod.to_string());
            let created = create.in_namespace(release.namespace).run().await?;
            ensure!(created.status.success() && created.stderr.is_empty(), "{created}");
            Ok(())
        })
        .await
    })
}

fn pod_monitors() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "podmonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": "PodMonitor", "plural": "podmonitors"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}],
        },
    })
}
