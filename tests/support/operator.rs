//! The operator: the program `tap-operator run` as its own service account.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use tokio::process::Command;

use super::component::Component;
use super::identity::Identity;
use super::ports::Port;
use super::scratch::Scratch;
use super::simulator::Simulator;
use super::{program, wait};

/// The operator's namespace.
pub const NAMESPACE: &str = "tap-operator-system";
/// The operator's service account.
pub const SERVICE_ACCOUNT: &str = "tap-operator";

const START: Duration = Duration::from_mins(1);
/// The termination grace period of the shipped Deployment.
const STOP: Duration = Duration::from_secs(30);

/// One replica of the operator.
pub struct Operator {
    component: Component,
    port: Port,
    /// The environment, and the file with the tenant's authority; absent where only its container knows them.
    settings: Option<(Vec<(String, String)>, PathBuf)>,
}

impl Operator {
    /// Describes a replica that signs in as the app `tap-operator` of the tenant Contoso; nothing runs yet.
    /// `flags` come after the usual ones.
    pub fn new(
        scratch: &Scratch,
        name: &'static str,
        identity: &Identity,
        simulator: &Simulator,
        flags: &[String],
    ) -> Result<Self> {
        Self::at(scratch, name, identity, &simulator.url(), simulator.authority(), flags)
    }

    /// The same with another URL of the tenant, whose certificate this authority signed.
    pub fn at(
        scratch: &Scratch,
        name: &'static str,
        identity: &Identity,
        tenant: &str,
        authority: &Path,
        flags: &[String],
    ) -> Result<Self> {
        let port = Port::reserve()?;
        let secret = scratch.write("client-secret", OPERATOR_SECRET)?;
        let environment = [
            ("KUBECONFIG", identity.kubeconfig().display().to_string()),
            ("AZURE_TENANT_ID", CONTOSO.to_string()),
            ("AZURE_CLIENT_ID", OPERATOR.to_string()),
            ("AZURE_CLIENT_SECRET_FILE", secret.display().to_string()),
            ("AZURE_AUTHORITY_HOST", tenant.to_owned()),
            ("TAP_OPERATOR_GRAPH_URL", tenant.to_owned()),
        ];
        let mut arguments = vec![
            "run".to_owned(),
            format!("--namespace={NAMESPACE}"),
            format!("--listen=127.0.0.1:{}", port.number),
            format!("--extra-ca={}", authority.display()),
        ];
        arguments.extend_from_slice(flags);
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let component = Component::new(
            name,
            program::tap_operator()?,
            arguments,
            environment.clone(),
            scratch.file(&format!("{name}.log")),
        );
        Ok(Self { component, port, settings: Some((environment, authority.to_owned())) })
    }

    /// A replica that is started in another way, and serves at this port.
    pub fn of(component: Component, port: Port) -> Self {
        Self { component, port, settings: None }
    }

    /// Starts it (again) and waits until its readiness probe succeeds.
    pub async fn start(&self) -> Result<()> {
        self.component.start()?;
        let ready = wait::until(START, "the operator is ready", || async {
            self.get("readyz").await?;
            Ok(())
        });
        tokio::select! {
            ready = ready => ready.with_context(|| self.component.log_tail(40)),
            ended = self.component.ended(START * 2) => {
                Err(anyhow::anyhow!("the operator ended: {}\n{}", ended?, self.component.log_tail(40)))
            }
        }
    }

    /// SIGKILL: a crash.
    pub fn kill(&self) {
        self.component.kill();
    }

    /// SIGTERM, as Kubernetes stops a pod.
    pub async fn stop(&self) -> Result<ExitStatus> {
        self.component.terminate(STOP).await
    }

    /// A crash and a new start.
    pub async fn restart(&self) -> Result<()> {
        self.kill();
        self.start().await
    }

    /// Runs `tap-operator check` with the same environment: the exit code, and what it prints.
    pub async fn check(&self) -> Result<(Option<i32>, String)> {
        let (environment, authority) = self.settings.as_ref().context("it is not run here")?;
        let output = Command::new(program::tap_operator()?)
            .arg("check")
            .arg(format!("--namespace={NAMESPACE}"))
            .arg(format!("--extra-ca={}", authority.display()))
            .env("NO_PROXY", "127.0.0.1,localhost")
            .envs(environment.iter().cloned())
            .output()
            .await?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(told)?))
    }

    /// The address at which it serves health and metrics.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// The metrics page.
    pub async fn metrics(&self) -> Result<String> {
        self.get("metrics").await
    }

    /// The process, to freeze and thaw it and to read its log.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// One of the pages that it serves. An error has the status and the text.
    pub async fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://{}/{path}", self.address());
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let answer = client.get(&url).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{url}: {status}: {text}");
        Ok(text)
    }
}
