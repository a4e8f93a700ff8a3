//! The tenant: the program `graph-simulator`, and its controls under `/_sim/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::component::Component;
use super::ports::Port;
use super::scratch::Scratch;
use super::{program, wait};

const START: Duration = Duration::from_mins(1);

/// A running simulator. Its state ends with its process; login and Graph are at one address throughout.
pub struct Simulator {
    component: Component,
    url: String,
    authority: PathBuf,
    port: Port,
}

impl Simulator {
    /// Starts it with the tenant in a file, or with the small one that it brings along.
    pub async fn start(scratch: &Scratch, tenant: Option<&Path>) -> Result<Self> {
        let port = Port::reserve()?;
        let directory = scratch.file("simulator");
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let mut arguments = vec![
            format!("--listen=127.0.0.1:{}", port.number),
            format!("--dir={}", directory.display()),
        ];
        arguments.extend(tenant.map(|tenant| format!("--tenant={}", tenant.display())));
        let log = scratch.file("graph-simulator.log");
        let program = program::path("graph-simulator")?;
        let simulator = Self {
            component: Component::new("graph-simulator", program, arguments, Vec::new(), log),
            url: format!("https://127.0.0.1:{}", port.number),
            authority: directory.join("ca.crt"),
            port,
        };
        simulator.restart().await?;
        Ok(simulator)
    }

    /// Starts it again after a kill, at the same address, as new.
    pub async fn restart(&self) -> Result<()> {
        self.component.kill();
        self.component.start()?;
        wait::until(START, "the simulator listens", || async {
            self.component.check_running()?;
            let address = ("127.0.0.1", self.port.number);
            tokio::net::TcpStream::connect(address).await.map(drop).context("connecting")?;
            ensure!(self.authority.exists(), "{} is missing", self.authority.display());
            Ok(())
        })
        .await
    }

    /// The root of login and Graph, without `/v1.0`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed the simulator's own, a PEM file.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// To kill, freeze and thaw.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Reads one of the controls, such as `ledger`.
    pub async fn get<T: DeserializeOwned>(&self, control: &str) -> Result<T> {
        let answer = self.send(Method::GET, control, None).await?;
        serde_json::from_str(&answer).with_context(|| format!("{control}: {answer}"))
    }

    /// Turns one of the controls; the text of the answer.
    pub async fn send_json(
        &self,
        method: Method,
        control: &str,
        body: &impl Serialize,
    ) -> Result<String> {
        self.send(method, control, Some(serde_json::to_vec(body)?)).await
    }

    async fn send(&self, method: Method, control: &str, body: Option<Vec<u8>>) -> Result<String> {
        let url = format!("{}/_sim/{control}", self.url);
        let authority = reqwest::Certificate::from_pem(&std::fs::read(&self.authority)?)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .timeout(START)
            .build()?;
        let mut request = client.request(method, &url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.with_context(|| url.clone())?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{url}: {status}: {text}");
        Ok(text)
    }
}
