//! The pod of a Deployment, as a kubelet and a container runtime would run it: from the image, unpacked into a directory
//! that is its root; with the environment, files and user that the Deployment says; with nothing of this machine.
//!
//! It needs root, for `chroot` and for a name server at port 53.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::UdpSocket;

use crate::image;
use crate::support::component::Component;
use crate::support::control_plane::ControlPlane;
use crate::support::operator::Operator;
use crate::support::ports::Port;

/// A user id as `OpenShift` assigns them, which nothing on this machine knows. Its group is 0.
const ANY_USER: u32 = 1_000_680_000;

/// A pod that was described; nothing runs yet.
pub struct Pod<O = Operator> {
    pub operator: O,
    /// Its root directory.
    pub root: PathBuf,
    /// All that is in it.
    pub files: Vec<String>,
    /// The server that it asks for addresses.
    pub names: Names,
}

impl Pod {
    /// The pod of the Deployment `tap-operator` in this namespace, whose port is this one.
    pub async fn of(
        control_plane: &ControlPlane,
        namespace: &str,
        port: Port,
        trust: Option<&Path>,
    ) -> Result<Self> {
        let cluster = Cluster { control_plane, namespace };
        let deployment =
            cluster.get("deployment", "tap-operator").await?.context("no Deployment")?;
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let root = control_plane.scratch().file(&format!("root-{}", port.number));
        let config = image::unpack(control_plane.scratch(), &root)?;
        if let Some(trust) = trust {
            image::trust(&root, trust)?;
        }
        devices(&root)?;
        let names = Names::start().await?;
        place(&root, "/etc/resolv.conf", format!("nameserver {}\n", names.address), 0o644)?;
        place(&root, "/etc/hosts", "127.0.0.1 some-pod\n", 0o644)?;
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let volumes = pod["volumes"].as_array().context("volumes")?;
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.with_context(|| format!("no volume for {mount}"))?;
            let at = text(&mount["mountPath"])?;
            for (name, content, mode) in cluster.volume(volume, pod).await? {
                place(&root, &format!("{at}/{name}"), content, mode)?;
            }
        }
        let account = text(&pod["serviceAccountName"])?;
        let own = "/var/run/secrets/kubernetes.io/serviceaccount";
        place(&root, &format!("{own}/token"), cluster.token(account, None).await?, 0o644)?;
        place(&root, &format!("{own}/ca.crt"), control_plane.authority(), 0o644)?;
        place(&root, &format!("{own}/namespace"), namespace, 0o644)?;

        let mut arguments = vec!["-i".to_owned()];
        for (name, value) in cluster.environment(&deployment["spec"]["template"]).await? {
            arguments.push(format!("{name}={value}"));
        }
        arguments.push(format!("--chdir={}", root.display()));
        arguments.extend(["/usr/sbin/chroot".into(), format!("--userspec={ANY_USER}:0")]);
        arguments.push(root.display().to_string());
        for word in config["Entrypoint"].as_array().into_iter().flatten() {
            arguments.push(text(word)?.to_owned());
        }
        for word in container["args"].as_array().into_iter().flatten() {
            arguments.push(text(word)?.to_owned());
        }
        let log = control_plane.scratch().file(&format!("pod-{}.log", port.number));
        let env = PathBuf::from("/usr/bin/env");
        let component = Component::new("tap-operator", env, arguments, Vec::new(), log);
        let files = listing(&root)?;
        Ok(Self { operator: Operator::of(component, port), root, files, names })
    }

    /// The operator, and the rest.
    pub fn parts(self) -> (Operator, Pod<()>) {
        let Self { operator, root, files, names } = self;
        (operator, Pod { operator: (), root, files, names })
    }
}

/// All files of a directory.
pub fn listing(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        found.push(path.display().to_string());
        if path.is_dir() {
            found.extend(listing(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

/// What a kubelet asks the API server.
struct Cluster<'a> {
    control_plane: &'a ControlPlane,
    namespace: &'a str,
}

impl Cluster<'_> {
    async fn get(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let get = ["get", kind, name, "--output=json", "--ignore-not-found"];
        let text =
            self.control_plane.admin().kubectl(get).in_namespace(self.namespace).ok().await?;
        Ok(if text.trim().is_empty() { None } else { Some(serde_json::from_str(&text)?) })
    }

    async fn token(&self, account: &str, audience: Option<&str>) -> Result<String> {
        let mut create = vec!["create".to_owned(), "token".into(), account.to_owned()];
        create.extend(audience.map(|audience| format!("--audience={audience}")));
        let token = self.control_plane.admin().kubectl(create).in_namespace(self.namespace);
        Ok(token.ok().await?.trim().to_owned())
    }

    /// The files of a volume, with their modes.
    async fn volume(&self, volume: &Value, pod: &Value) -> Result<Vec<(String, Vec<u8>, u32)>> {
        let mut files = Vec::new();
        let (kind, name, decode) = if let Some(secret) = volume.get("secret") {
            ("secret", text(&secret["secretName"])?, true)
        } else if let Some(map) = volume.get("configMap") {
            ("configmap", text(&map["name"])?, false)
        } else if let Some(projected) = volume.get("projected") {
            let token = &projected["sources"][0]["serviceAccountToken"];
            let account = text(&pod["serviceAccountName"])?;
            let content = self.token(account, Some(text(&token["audience"])?)).await?;
            return Ok(vec![(text(&token["path"])?.to_owned(), content.into(), 0o644)]);
        } else {
            bail!("a volume of another kind: {volume}")
        };
        let source = if decode { &volume["secret"] } else { &volume["configMap"] };
        let Some(object) = self.get(kind, name).await? else {
            ensure!(source["optional"] == true, "there is no {kind} {name}");
            return Ok(files);
        };
        let mode = source["defaultMode"].as_u64().map_or(Ok(0o644), u32::try_from)?;
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            let items = source["items"].as_array();
            let item = items.and_then(|items| items.iter().find(|item| item["key"] == **key));
            if items.is_some() && item.is_none() {
                continue;
            }
            let name = item.map_or(Ok(key.as_str()), |item| text(&item["path"]))?;
            let value = text(value)?;
            let content = if decode { STANDARD.decode(value)? } else { value.into() };
            files.push((name.to_owned(), content, mode));
        }
        Ok(files)
    }

    /// The environment of a pod in a cluster with the webhook of workload identity. The `ServiceAccount` says nothing to it, and it
    /// is set to the public cloud.
    async fn environment(&self, template: &Value) -> Result<Vec<(String, String)>> {
        let container = &template["spec"]["containers"][0];
        let address = self.control_plane.url().trim_start_matches("https://");
        let (host, port) = address.split_once(':').context("an address with a port")?;
        let mut all = vec![
            ("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), port.to_owned()),
        ];
        for from in container["envFrom"].as_array().into_iter().flatten() {
            let reference = &from["configMapRef"];
            let map = self.get("configmap", text(&reference["name"])?).await?;
            ensure!(map.is_some() || reference["optional"] == true, "no ConfigMap for {from}");
            for (name, value) in map.iter().filter_map(|map| map["data"].as_object()).flatten() {
                all.push((name.clone(), text(value)?.to_owned()));
            }
        }
        let variables = container["env"].as_array().map_or(&[][..], Vec::as_slice);
        if template["metadata"]["labels"]["azure.workload.identity/use"] == "true" {
            let added = [
                ("AZURE_CLIENT_ID", ""),
                ("AZURE_TENANT_ID", ""),
                ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
            ];
            for (name, value) in added {
                if variables.iter().all(|known| known["name"] != name) {
                    all.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        for variable in variables {
            let from = &variable["valueFrom"];
            let value = match text(&from["fieldRef"]["fieldPath"]) {
                Ok("metadata.name") => Some("tap-operator-0".to_owned()),
                Ok("metadata.namespace") => Some(self.namespace.to_owned()),
                Ok(other) => bail!("a field of another kind: {other}"),
                Err(_) if from["configMapKeyRef"].is_object() => {
                    self.key(&from["configMapKeyRef"]).await?
                }
                Err(_) => Some(text(&variable["value"])?.to_owned()),
            };
            if let Some(value) = value {
                all.push((text(&variable["name"])?.to_owned(), value));
            }
        }
        Ok(all)
    }

    /// The value of a key of a `ConfigMap`.
    async fn key(&self, reference: &Value) -> Result<Option<String>> {
        let map = self.get("configmap", text(&reference["name"])?).await?;
        let value = map.and_then(|map| Some(map["data"][text(&reference["key"]).ok()?].clone()));
        let value = value.filter(Value::is_string);
        ensure!(value.is_some() || reference["optional"] == true, "nothing for {reference}");
        value.map(|value| text(&value).map(str::to_owned)).transpose()
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}

/// Writes a file of root's into a root directory.
fn place(root: &Path, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().context("a path without a directory")?)?;
    std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    Ok(std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?)
}

/// The devices that every container has (OCI runtime specification, "Default Devices").
fn devices(root: &Path) -> Result<()> {
    let directory = root.join("dev");
    std::fs::create_dir_all(&directory)?;
    for (name, minor) in
        [("null", "3"), ("zero", "5"), ("full", "7"), ("random", "8"), ("urandom", "9")]
    {
        let mut command = Command::new("mknod");
        command.args(["--mode=0666"]).arg(directory.join(name)).args(["c", "1", minor]);
        let made = command.status()?;
        ensure!(made.success(), "the device {name}: {made}: run this as root");
    }
    Ok(())
}

/// A name server by which every name has the address 127.0.0.1.
pub struct Names {
    address: Ipv4Addr,
    asked: Arc<AtomicUsize>,
}

impl Names {
    async fn start() -> Result<Self> {
        // Any address of the loopback network, so that others can have a server, too.
        let [a, b, c] = [rand::random(), rand::random(), rand::random_range(1..=254)];
        let address = Ipv4Addr::new(127, a, b, c);
        let socket = UdpSocket::bind((address, 53)).await;
        let socket = socket.context("a name server at port 53: run this as root")?;
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&question[..length]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(Self { address, asked })
    }

    /// How many questions it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The answer to a question (RFC 1035): 127.0.0.1 if it is for an IPv4 address, else nothing.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = question.get(HEADER..)?.iter().position(|&byte| byte == 0)?;
    let end = HEADER + name + 5;
    let for_ipv4 = question.get(HEADER + name + 1..end)? == [0, 1, 0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(for_ipv4), 0, 0, 0, 0]);
    answer.extend(&question[HEADER..end]);
    if for_ipv4 {
        // The name of the question, type A, class IN, 5 seconds, 4 bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
