//! The commands of the documentation, run as they stand there: those of the quick start, and those of the installation
//! from the first to the code of the first pass. The Azure CLI is played; a registry of this machine takes the image.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use graph_simulator::Tenant;
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::charts::kustomize;
use crate::helm::helm_program;
use crate::pod::Pod;
use crate::repository;
use crate::support::component::Component;
use crate::support::control_plane::{self, ControlPlane};
use crate::support::ports::Port;
use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::{program, run, wait};

const NAMESPACE: &str = "tap-operator-system";

/// What the Azure CLI prints, for the commands of the installation.
const AZ: &str = r#"#!/bin/sh
case "$*" in
    *"account show"*) echo "$SIM_TENANT" ;;
    *"ad app create"*) echo "$SIM_APP" ;;
    *"credential reset"*) echo "$SIM_SECRET" ;;
    *"servicePrincipals(appId="*) printf '%s\n' 627169a8-8c15-451c-861a-5b80e383de5c ;;
    *"login"* | *"ad sp create"* | *"ad app permission"* | *"federated-credential create"*) ;;
    *) echo "az: not played: $*" >&2; exit 1 ;;
esac
"#;

/// Helm with what only this machine needs: where tenant and port are.
const HELM: &str = r#"#!/bin/sh
case "$1 $2" in
    "install tap-operator") exec "$SIM_HELM" "$@" --values "$SIM_VALUES" ;;
    *) exec "$SIM_HELM" "$@" ;;
esac
"#;

/// Make, in the repository itself, where the image is built already.
const MAKE: &str = r#"#!/bin/sh
exec /usr/bin/make -C "$SIM_REPOSITORY" "$@"
"#;

/// The shell blocks of a page that are to be run, from a heading on. Those of an alternative say so.
fn commands(page: &str, from: &str, to: &str) -> Result<String> {
    let text = std::fs::read_to_string(repository(page))?;
    let (_, text) = text.split_once(from).with_context(|| format!("{page} has no {from}"))?;
    let (text, _) = text.split_once(to).with_context(|| format!("{page} has no {to}"))?;
    let mut script = String::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once("\n```sh\n") {
        let (block, after) = block.split_once("\n```").context("a block without an end")?;
        script.extend([block, "\n"]);
        rest = after;
    }
    Ok(script)
}

/// A block of YAML that says in its first line what its file is called.
fn manifests(page: &str) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(repository(page))?;
    let blocks = text.split("\n```yaml\n").skip(1).filter_map(|block| block.split("\n```").next());
    Ok(blocks
        .filter_map(|block| {
            let name = block.lines().next()?.strip_prefix("# ")?;
            (!name.contains('/')).then(|| (name.to_owned(), block.to_owned()))
        })
        .collect())
}

/// A machine with the programs of a person who installs, a cluster, a tenant and a registry.
struct Desk {
    control_plane: ControlPlane,
    simulator: Simulator,
    /// The working directory: what a checkout has for who installs, and files of their own.
    checkout: PathBuf,
    bin: PathBuf,
    registry: Port,
    _registry: Component,
}

impl Desk {
    /// The port is the pod's.
    async fn new(port: &Port) -> Result<Self> {
        let options = control_plane::Options { controller_manager: false, ..Default::default() };
        let control_plane = ControlPlane::start(options).await?;
        let mut tenant = Tenant::contoso();
        for app in &mut tenant.apps {
            app.roles.retain(|role| role != "RoleManagement.Read.Directory");
        }
        let simulator = Simulator::start(control_plane.scratch(), tenant).await?;
        simulator.switch(|switches| switches.authentication_method_limit = None);
        let registry = Port::reserve()?;
        let crane = program::built_by("deploy/image/build")?.join("crane");
        let address = format!("--address=127.0.0.1:{}", registry.number);
        let serve = ["registry".to_owned(), "serve".into(), address];
        let log = control_plane.scratch().file("registry.log");
        let server = Component::new("registry", crane, serve.to_vec(), Vec::new(), log);
        server.start()?;

        let bin = control_plane.scratch().file("bin");
        std::fs::create_dir_all(&bin)?;
        for (name, text) in [("az", AZ), ("helm", HELM), ("make", MAKE)] {
            script(&bin.join(name), text)?;
        }
        let checkout = control_plane.scratch().file("checkout");
        std::fs::create_dir_all(&checkout)?;
        for directory in ["crds", "deploy", "examples"] {
            std::os::unix::fs::symlink(repository(directory), checkout.join(directory))?;
        }
        std::os::unix::fs::symlink(control_plane.admin().kubectl_program(), bin.join("kubectl"))?;
        let url = simulator.url().replace("127.0.0.1", "localhost");
        let values = json!({
            "tenant": {"loginUrl": url, "graphUrl": url},
            "env": [{"name": "TAP_OPERATOR_LISTEN", "value": format!("127.0.0.1:{}", port.number)}],
            "settings": {"callsPer10Seconds": 1000, "settleTime": "5s"},
        });
        control_plane.scratch().write("values.json", values.to_string())?;
        Ok(Self { control_plane, simulator, checkout, bin, registry, _registry: server })
    }

    /// Runs a script in a shell.
    async fn shell(&self, script: &str) -> Result<String> {
        let scratch = self.control_plane.scratch();
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH")?);
        let home = scratch.file("home");
        let registry = format!("127.0.0.1:{}/identity", self.registry.number);
        // The registry of the page is somebody's own.
        let script = script.replace("registry.contoso.com/identity", &registry);
        let mut command = Command::new("bash");
        command
            .args(["-e", "-u", "-o", "pipefail", "-c", &script])
            .current_dir(&self.checkout)
            .env("PATH", path)
            .env("KUBECONFIG", self.control_plane.admin().kubeconfig())
            .env("KUBECACHEDIR", home.join("kube"))
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("REGISTRY", registry)
            .env("SIM_REPOSITORY", repository(""))
            .env("SIM_HELM", helm_program().await?)
            .env("SIM_VALUES", scratch.file("values.json"))
            .env("SIM_TENANT", CONTOSO.to_string())
            .env("SIM_APP", OPERATOR.to_string())
            .env("SIM_SECRET", OPERATOR_SECRET)
            .kill_on_drop(true);
        let output = command.output().await?;
        let (out, told) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{script}\n--- {}\n{out}\n{told}", output.status);
        Ok(out.into_owned())
    }

    /// Does what a cluster does meanwhile: starts the pod of the Deployment once there is one, and says that it runs.
    async fn nodes(&self, port: Port) -> Result<Pod> {
        let admin = self.control_plane.admin();
        wait::until(wait::PATIENCE * 5, "a Deployment", || async {
            let get = ["get", "deployment", "tap-operator", "--output=name"];
            admin.kubectl(get).in_namespace(NAMESPACE).ok().await.map(drop)
        })
        .await?;
        let image = ["get", "deployment", "tap-operator", "--output=jsonpath={..image}"];
        let image = admin.kubectl(image).in_namespace(NAMESPACE).ok().await?;
        let crane = program::built_by("deploy/image/build")?.join("crane");
        let digest = Command::new(crane).args(["digest", image.trim()]).output().await?;
        ensure!(digest.status.success(), "{image} was not pushed: {digest:?}");
        let authority = self.simulator.authority().to_owned();
        let pod = Pod::of(&self.control_plane, NAMESPACE, port, Some(&authority)).await?;
        pod.operator.start().await?;
        let running: Value = json!({"status": {
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        }});
        let patch = format!("--patch={running}");
        let patch =
            ["patch", "deployment", "tap-operator", "--subresource=status", "--type=merge", &patch];
        admin.kubectl(patch).in_namespace(NAMESPACE).ok().await?;
        Ok(pod)
    }
}

fn script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Bob, a lead of the helpdesk, approves.
async fn approve(desk: &Desk, request: &str) -> Result<()> {
    let bob = desk.control_plane.member("bob@contoso.com", "helpdesk-leads")?;
    let phase = "--for=jsonpath={.status.phase}=AwaitingApproval";
    let waiting = bob.kubectl(["wait", &format!("tap/{request}"), phase, "--timeout=60s"]);
    waiting.in_namespace("helpdesk").ok().await?;
    let text = std::fs::read_to_string(repository("docs/approvers.md"))?;
    let (_, patch) = text.split_once("--type=json -p \\\n  '").context("the patch")?;
    let (patch, _) = patch.split_once('\'').context("its end")?;
    let patch = format!("--patch={patch}");
    let approve = ["patch", "tap", request, "--subresource=status", "--type=json", &patch];
    bob.kubectl(approve).in_namespace("helpdesk").ok().await.map(drop)
}

#[test]
#[ignore = "make test-deploy"]
fn the_installation_from_nothing_to_the_code() -> Result<()> {
    run(async {
        let page = "docs/install.md";
        let port = Port::reserve()?;
        let desk = Desk::new(&port).await?;
        let text = std::fs::read_to_string(repository(page))?;
        // The tenant that is played knows secrets: the first of the alternatives.
        let (_, secret) = text.split_once("```sh alternative\n").context("an alternative")?;
        let (secret, _) = secret.split_once("```").context("its end")?;
        let install = commands(page, "# Install\n", "\n## 5. The first pass\n")?;
        let usual = "CREDENTIAL=workloadIdentity\n";
        ensure!(install.contains(usual) && secret.contains("CREDENTIAL=clientSecret"));
        let install = install.replace(usual, &format!("{secret}\n"));
        let (told, pod) = tokio::join!(desk.shell(&install), desk.nodes(port));
        let (told, _pod) = (told?, pod?);
        ensure!(told.contains("tappolicy.tap-operator.io/observed condition met"), "{told}");

        for (name, manifest) in manifests(page)? {
            std::fs::write(desk.checkout.join(name), manifest)?;
        }
        let first = commands(page, "\n## 5. The first pass\n", "\nSomebody else [approves]")?;
        // Names are mapped, so whoever asks must be somebody in the tenant.
        let ask = "kubectl create -f alice-lost-phone.yaml";
        ensure!(first.contains(ask), "{first}");
        let carol = "kubectl create --as=carol@contoso.com --as-group=system:masters";
        let first = first.replace("kubectl create", carol);
        desk.shell(&first).await?;
        approve(&desk, "alice-lost-phone").await?;
        let rest = commands(page, "\nSomebody else [approves]", "\n## Without Helm\n")?;
        let told = desk.shell(&rest).await?;
        let code = told.lines().last().context("the code")?;
        let signed_in = desk.simulator.sign_in("alice@contoso.com", code);
        ensure!(signed_in.is_ok(), "{told}: {signed_in:?}");
        Ok(())
    })
}

/// The first block of YAML of the installation after these words, without the indentation of a list.
fn block_after(words: &str) -> Result<String> {
    let text = std::fs::read_to_string(repository("docs/install.md"))?;
    let (_, text) = text.split_once(words).with_context(|| format!("no {words:?}"))?;
    let (before, text) = text.split_once("```yaml\n").context("no block")?;
    let (block, _) = text.split_once("```").context("a block without an end")?;
    let indentation = before.rsplit('\n').next().unwrap_or_default();
    let lines = block.lines().map(|line| line.strip_prefix(indentation).unwrap_or(line));
    Ok(lines.fold(String::new(), |all, line| all + line + "\n"))
}

#[test]
#[ignore = "make test-deploy"]
fn the_overlays_without_helm() -> Result<()> {
    let scratch = Scratch::new("overlay")?;
    let checkout = scratch.file("checkout");
    std::fs::create_dir_all(checkout.join("contoso"))?;
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(repository("deploy"))
        .arg(&checkout)
        .status()?;
    ensure!(copied.success(), "{copied}");
    let built = |overlay: &str| -> Result<Vec<Value>> {
        std::fs::write(checkout.join("contoso/kustomization.yaml"), overlay)?;
        kustomize(&checkout.join("contoso"))
    };
    let overlay = block_after("Put your own overlay around `deploy`")?
        .replace("<TENANT_ID>", &CONTOSO.to_string())
        .replace("<APP_ID>", &OPERATOR.to_string());
    let pod = |objects: &[Value]| -> Result<Value> {
        let found = objects.iter().find(|object| object["kind"] == "Deployment");
        Ok(found.context("no Deployment")?["spec"]["template"].clone())
    };

    let usual = built(&overlay)?;
    let container = pod(&usual)?["spec"]["containers"][0].clone();
    ensure!(container["image"] == "registry.contoso.com/tap-operator:0.1.0", "{container:#}");
    let variables = usual.iter().find(|object| object["data"]["AZURE_TENANT_ID"].is_string());
    let variables = variables.context("no variables")?;
    ensure!(variables["data"]["AZURE_CLIENT_ID"] == OPERATOR.to_string(), "{variables:#}");
    let from = &container["envFrom"][0]["configMapRef"]["name"];
    ensure!(*from == variables["metadata"]["name"], "the pod has those of {from}");
    for variable in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST"] {
        let own = container["env"].as_array().context("env")?.iter();
        let own = own.filter(|own| own["name"] == variable);
        let from: Vec<&Value> =
            own.map(|own| &own["valueFrom"]["configMapKeyRef"]["name"]).collect();
        ensure!(from == [&variables["metadata"]["name"]], "{variable} comes from {from:?}");
    }

    let second = block_after("mount the token yourself, with a second patch")?;
    let mounted = pod(&built(&(overlay.clone() + &second))?)?;
    let token = json!({"name": "azure-token", "mountPath": "/var/run/secrets/azure/tokens", "readOnly": true});
    let mounts = mounted["spec"]["containers"][0]["volumeMounts"].as_array().context("mounts")?;
    ensure!(mounts.contains(&token), "{mounts:#?}");
    ensure!(mounted["metadata"]["labels"]["azure.workload.identity/use"].is_null(), "{mounted:#}");

    let older = overlay.replace("../deploy\n", "../deploy/overlays/without-mutating-policies\n");
    let stamps = |objects: &[Value]| {
        objects.iter().any(|object| object["kind"] == "MutatingAdmissionPolicy")
    };
    ensure!(stamps(&usual) && !stamps(&built(&older)?), "the overlay for older servers");
    let user = format!("{overlay}components: [../deploy/fixed-user]\n");
    let context = pod(&built(&user)?)?["spec"]["securityContext"].clone();
    ensure!(context["runAsUser"] == 65532, "{context:#}");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn the_quick_start() -> Result<()> {
    run(async {
        let port = Port::reserve()?;
        let desk = Desk::new(&port).await?;
        let secret = format!("--from-literal=client-secret={OPERATOR_SECRET}");
        let there = format!(
            "kubectl create namespace {NAMESPACE}\n\
             kubectl create secret generic tap-operator-credentials -n {NAMESPACE} {secret}\n\
             TENANT_ID={CONTOSO}\nAPP_ID={OPERATOR}\n"
        );
        let script = there + &commands("README.md", "\n## Quick start\n", "\n## Documentation\n")?;
        let (told, pod) = tokio::join!(desk.shell(&script), desk.nodes(port));
        let (told, _pod) = (told?, pod?);
        ensure!(told.contains("alice-lost-phone"), "{told}");
        approve(&desk, "alice-lost-phone").await
    })
}
