//! A Kubernetes control plane without nodes: etcd, kube-apiserver and, for garbage collection and
//! namespaces, kube-controller-manager. All of it on loopback ports, in one temporary directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};

use super::component::Component;
use super::identity::{Credential, Identity};
use super::pki::{Authority, TokenKeys};
use super::ports::Port;
use super::scratch::Scratch;
use super::{program, wait};

/// Starting takes three seconds on an idle machine.
const START: Duration = Duration::from_mins(2);

/// Longer than any test.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// The controllers that are needed if no pod ever runs: dependents are deleted with their owner, namespaces end,
/// aggregated roles have rules, service accounts exist, and admission policies are type-checked.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller";

/// The variable with the path of a kube-apiserver of the oldest version that is supported. `make oldest` sets it.
const OLDEST: &str = "OLDEST_API_SERVER";

/// All calls that may change something, without their content: who, what, and how it was answered.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}]
}"#;

/// How a control plane differs from the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kube-apiserver, if it is another one than that of the control plane.
    pub api_server: Option<PathBuf>,
    /// More flags for kube-apiserver.
    pub api_server_flags: Vec<String>,
    /// Whether kube-controller-manager is started. It finds resources that are defined later within 30 s. Define them
    /// first and call [`ControlPlane::start_controller_manager`] to avoid that wait.
    pub controller_manager: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { api_server: None, api_server_flags: Vec::new(), controller_manager: true }
    }
}

impl Options {
    /// A server as before 1.36, when `MutatingAdmissionPolicy` was not yet on by default: the one that the variable
    /// [`OLDEST`] names or, without it, today's without these policies.
    pub fn older() -> Self {
        if let Some(oldest) = std::env::var_os(OLDEST) {
            return Self { api_server: Some(oldest.into()), ..Self::default() };
        }
        let api_server_flags = vec![
            "--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicies=false,\
             admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings=false"
                .to_owned(),
            // Otherwise the plugin waits for the policies for ever.
            "--disable-admission-plugins=MutatingAdmissionPolicy".to_owned(),
        ];
        Self { api_server_flags, ..Self::default() }
    }
}

/// A running control plane. It ends when this value is dropped, at the latest with the process.
pub struct ControlPlane {
    // In the order in which they must end.
    controller_manager: Component,
    api_server: Component,
    etcd: Component,
    etcd_url: String,
    url: String,
    authority: Authority,
    kubectl: PathBuf,
    admin: Identity,
    _ports: [Port; 2],
    scratch: Scratch,
}

impl ControlPlane {
    /// Starts a control plane and waits until it serves. The first start on a machine builds the binaries, which takes
    /// minutes; standard error shows the progress.
    pub async fn start(options: Options) -> Result<Self> {
        let binaries = binaries().await?;
        let scratch = Scratch::new("control-plane")?;
        let ports = [Port::reserve()?, Port::reserve()?];
        let [etcd_port, api_port] = [ports[0].number, ports[1].number];
        let authority = Authority::new("tap-operator test control plane")?;
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let url = format!("https://127.0.0.1:{api_port}");
        let kubectl = binaries.join("kubectl");
        let certified = |user, group| {
            let credential = Credential::Certificate(authority.client(user, group)?);
            Identity::new(
                &scratch,
                user,
                &credential,
                &url,
                &authority.certificate(),
                kubectl.clone(),
            )
        };
        let admin = certified("admin", Some("system:masters"))?;
        let manager = certified("system:kube-controller-manager", None)?;
        let control_plane = Self {
            controller_manager: controller_manager(binaries, &scratch, &manager),
            api_server: api_server(binaries, &scratch, &authority, &etcd_url, api_port, &options)?,
            etcd: etcd(binaries, &scratch, &etcd_url),
            etcd_url,
            url,
            authority,
            kubectl,
            admin,
            _ports: ports,
            scratch,
        };
        control_plane.etcd.start()?;
        control_plane.start_api_server().await?;
        if options.controller_manager {
            control_plane.start_controller_manager()?;
        }
        Ok(control_plane)
    }

    /// Starts the API server (again), with the data that etcd has, and waits until it serves.
    pub async fn start_api_server(&self) -> Result<()> {
        // One at a time: a server that gets too little CPU to fill an empty store within 30 s gives up.
        static STARTING: Mutex<()> = Mutex::const_new(());
        let _starting = STARTING.lock().await;
        let client = self.admin.client().await?;
        self.api_server.start()?;
        wait::until(START, "the API server is ready", || async {
            let answer = client.request_text(http::Request::get("/readyz").body(Vec::new())?).await;
            if answer.is_err() && self.api_server.check_running().is_err() {
                // Other load may have made it too slow. Another start continues with what it has already stored.
                self.etcd.check_running()?;
                self.api_server.start()?;
            }
            answer.map(drop).map_err(Into::into)
        })
        .await
        .with_context(|| self.logs())
    }

    /// Starts kube-controller-manager (again). It begins its work a few seconds later.
    pub fn start_controller_manager(&self) -> Result<()> {
        self.controller_manager.start()
    }

    /// The API server, to kill, freeze and thaw. [`ControlPlane::start_api_server`] starts it again.
    pub fn api_server(&self) -> &Component {
        &self.api_server
    }

    /// etcd, to kill, freeze, thaw and start again. Without it the API server answers with errors.
    pub fn etcd(&self) -> &Component {
        &self.etcd
    }

    /// The controller manager, to kill, freeze and thaw. [`ControlPlane::start_controller_manager`] starts it again.
    pub fn controller_manager(&self) -> &Component {
        &self.controller_manager
    }

    /// The root of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed the API server's certificate, PEM.
    pub fn authority(&self) -> String {
        self.authority.certificate()
    }

    /// A directory for more files of the same test. It is removed with the control plane.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A member of `system:masters`: RBAC allows everything, admission policies still apply.
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// A person with a client certificate and without any right.
    pub fn person(&self, user: &str) -> Result<Identity> {
        self.identity(user, &Credential::Certificate(self.authority.client(user, None)?))
    }

    /// A person who is a member of a group.
    pub fn member(&self, user: &str, group: &str) -> Result<Identity> {
        self.identity(user, &Credential::Certificate(self.authority.client(user, Some(group))?))
    }

    /// A service account that exists, with a token like those that its pods get.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Identity> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..Default::default()
            },
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("a token for the service account {namespace}/{name}"))?;
        let token = answer.status.context("a token request was answered without a token")?.token;
        self.identity(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &Credential::Token(token),
        )
    }

    /// All writes of this user so far, refused ones included, oldest first.
    pub fn writes_by(&self, user: &str) -> Result<Vec<Write>> {
        let log = std::fs::read_to_string(self.scratch.file(AUDIT_LOG)).context(AUDIT_LOG)?;
        // What follows the last newline is still being written.
        let whole = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let events: Vec<Write> =
            whole.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(AUDIT_LOG)?;
        Ok(events.into_iter().filter(|write| write.user.username == user).collect())
    }

    /// The URL at which etcd serves clients, without credentials.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// The directory of etcd's files.
    pub fn etcd_data(&self) -> PathBuf {
        self.scratch.file(ETCD_DATA)
    }

    /// The last lines of all logs.
    pub fn logs(&self) -> String {
        [&self.etcd, &self.api_server, &self.controller_manager]
            .map(|component| component.log_tail(30))
            .join("\n")
    }

    fn identity(&self, user: &str, credential: &Credential) -> Result<Identity> {
        let authority = self.authority.certificate();
        Identity::new(&self.scratch, user, credential, &self.url, &authority, self.kubectl.clone())
    }
}

/// A call that may change something, as it is in the API server's audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    pub verb: String,
    #[serde(rename = "requestURI")]
    pub uri: String,
    user: AuditUser,
    response_status: Option<AuditStatus>,
}

impl Write {
    /// The HTTP status of the answer.
    pub fn code(&self) -> Option<u16> {
        self.response_status.as_ref().map(|status| status.code)
    }
}

#[derive(Clone, Debug, Deserialize)]
struct AuditUser {
    username: String,
}

#[derive(Clone, Debug, Deserialize)]
struct AuditStatus {
    code: u16,
}

const AUDIT_LOG: &str = "audit.log";
const ETCD_DATA: &str = "etcd";

fn etcd(binaries: &Path, scratch: &Scratch, url: &str) -> Component {
    let arguments = vec![
        format!("--data-dir={}", scratch.file(ETCD_DATA).display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // There are no peers: any port will do.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // The data need not survive a power failure.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Component::new("etcd", binaries.join("etcd"), arguments, Vec::new(), scratch.file("etcd.log"))
}

fn api_server(
    binaries: &Path,
    scratch: &Scratch,
    authority: &Authority,
    etcd_url: &str,
    port: u16,
    options: &Options,
) -> Result<Component> {
    let serving = authority.server(&["127.0.0.1", "localhost", "kubernetes.default.svc"])?;
    let tokens = TokenKeys::generate()?;
    let file = |name: &str, content: &str| -> Result<String> {
        Ok(scratch.write(name, content)?.display().to_string())
    };
    let mut arguments = vec![
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--advertise-address=127.0.0.1".to_owned(),
        // A loopback address cannot be an endpoint of a Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--tls-cert-file={}", file("api-server.crt", &serving.certificate)?),
        format!("--tls-private-key-file={}", file("api-server.key", &serving.key)?),
        format!("--client-ca-file={}", file("ca.crt", &authority.certificate())?),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-signing-key-file={}",
            file("service-account.key", &tokens.private)?
        ),
        format!("--service-account-key-file={}", file("service-account.pub", &tokens.public)?),
        format!("--audit-policy-file={}", file("audit-policy.json", AUDIT_POLICY)?),
        format!("--audit-log-path={}", scratch.file(AUDIT_LOG).display()),
        "--profiling=false".to_owned(),
    ];
    arguments.extend(options.api_server_flags.iter().cloned());
    let log = scratch.file("kube-apiserver.log");
    let program = options.api_server.clone().unwrap_or_else(|| binaries.join("kube-apiserver"));
    Ok(Component::new("kube-apiserver", program, arguments, Vec::new(), log))
}

fn controller_manager(binaries: &Path, scratch: &Scratch, identity: &Identity) -> Component {
    let kubeconfig = identity.kubeconfig().display();
    let arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--controllers={CONTROLLERS}"),
        // Each controller has a role of its own; the manager's own role is too small for them.
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        // It serves no requests.
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    let log = scratch.file("kube-controller-manager.log");
    let program = binaries.join("kube-controller-manager");
    Component::new("kube-controller-manager", program, arguments, Vec::new(), log)
}

/// The directory with the binaries, which are built if there are none yet.
async fn binaries() -> Result<&'static Path> {
    static BINARIES: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let found = BINARIES
        .get_or_init(|| async {
            match tokio::task::spawn_blocking(|| program::built_by("tests/control-plane/build"))
                .await
            {
                Ok(found) => found.map_err(|error| format!("{error:#}")),
                Err(panic) => Err(panic.to_string()),
            }
        })
        .await;
    match found {
        Ok(directory) => Ok(directory),
        Err(error) => bail!("there is no control plane to test with: {error}"),
    }
}
