//! A user of the API server: a person, a service account, the administrator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::pki::Certificate;
use super::scratch::Scratch;

/// How a user authenticates.
pub enum Credential {
    Certificate(Certificate),
    Token(String),
}

/// A user with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Identity {
    user: String,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

impl Identity {
    /// Creates a user and writes the kubeconfig into `scratch`.
    pub fn new(
        scratch: &Scratch,
        user: &str,
        credential: &Credential,
        server: &str,
        authority: &str,
        kubectl: PathBuf,
    ) -> Result<Self> {
        let credential = match credential {
            Credential::Certificate(Certificate { certificate, key }) => json!({
                "client-certificate-data": STANDARD.encode(certificate),
                "client-key-data": STANDARD.encode(key),
            }),
            Credential::Token(token) => json!({ "token": token }),
        };
        let kubeconfig = kubeconfig(user, &credential, server, authority);
        let file = format!("{}-{:08x}.kubeconfig", file_name(user), rand::random::<u32>());
        let kubeconfig = scratch.write(&file, serde_json::to_vec_pretty(&kubeconfig)?)?;
        Ok(Self { user: user.to_owned(), kubeconfig, kubectl })
    }

    /// The same user with another URL of the API server, whose certificate this authority (PEM) signed.
    pub fn through(&self, scratch: &Scratch, server: &str, authority: &str) -> Result<Self> {
        let mut config: Value = serde_json::from_slice(&std::fs::read(&self.kubeconfig)?)?;
        config["clusters"][0]["cluster"] =
            json!({ "server": server, "certificate-authority-data": STANDARD.encode(authority) });
        let file = format!("{}-{:08x}.kubeconfig", file_name(&self.user), rand::random::<u32>());
        let kubeconfig = scratch.write(&file, serde_json::to_vec_pretty(&config)?)?;
        Ok(Self { kubeconfig, ..self.clone() })
    }

    /// The same user with a second cluster, known as `other`: a kubeconfig with both contexts, of which `current` counts. The
    /// own one is called `own`.
    pub fn beside(
        &self,
        scratch: &Scratch,
        (own, other): (&str, &str),
        elsewhere: &Self,
        current: &str,
    ) -> Result<Self> {
        let mut config: Value = serde_json::from_slice(&std::fs::read(&self.kubeconfig)?)?;
        let mut second: Value = serde_json::from_slice(&std::fs::read(&elsewhere.kubeconfig)?)?;
        for (config, name) in [(&mut config, own), (&mut second, other)] {
            for list in ["clusters", "users", "contexts"] {
                config[list][0]["name"] = name.into();
            }
            config["contexts"][0]["context"] = json!({ "cluster": name, "user": name });
        }
        for list in ["clusters", "users", "contexts"] {
            let second = second[list][0].take();
            config[list].as_array_mut().context(list)?.push(second);
        }
        config["current-context"] = current.into();
        let file = format!("{}-{:08x}.kubeconfig", file_name(&self.user), rand::random::<u32>());
        let kubeconfig = scratch.write(&file, serde_json::to_vec_pretty(&config)?)?;
        Ok(Self { kubeconfig, ..self.clone() })
    }

    /// The user name, as RBAC and admission see it.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubectl of the API server's version.
    pub fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// A client that neither retries nor hangs.
    pub async fn client(&self) -> Result<kube::Client> {
        let mut config = Config::from_custom_kubeconfig(
            Kubeconfig::read_from(&self.kubeconfig)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        config.default_retry = false;
        config.proxy_url = None;
        config.connect_timeout = Some(Duration::from_secs(5));
        kube::Client::try_from(config).with_context(|| format!("a client for {}", self.user))
    }

    /// The real kubectl, as this user.
    pub fn kubectl<A: Into<String>>(&self, arguments: impl IntoIterator<Item = A>) -> Kubectl {
        Kubectl::new(&self.kubectl, self, arguments.into_iter().map(Into::into).collect())
    }

    /// Another program that reads a kubeconfig, such as helm, as this user.
    pub fn program<A: Into<String>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Kubectl {
        Kubectl::new(program, self, arguments.into_iter().map(Into::into).collect())
    }

    /// `kubectl apply` of these manifests.
    pub fn apply(&self, manifests: &str) -> Kubectl {
        self.kubectl(["apply", "--filename=-"]).input(manifests)
    }
}

fn kubeconfig(user: &str, credential: &Value, server: &str, authority: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(authority) },
        }],
        "users": [{ "name": user, "user": credential }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": user } }],
        "current-context": "test",
    })
}

/// A file name for a user name, which may have colons, at signs and slashes.
fn file_name(user: &str) -> String {
    user.chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' })
        .collect()
}
