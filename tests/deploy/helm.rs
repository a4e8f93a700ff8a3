//! The program helm, as a person runs it.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tap_operator::api::yaml;
use tokio::sync::OnceCell;

use crate::repository;
use crate::support::identity::{Credential, Identity};
use crate::support::kubectl::Kubectl;
use crate::support::program;
use crate::support::scratch::Scratch;

/// The chart of the operator.
pub const CHART: &str = "deploy/helm/tap-operator";
/// The chart of the custom resource definitions.
pub const DEFINITIONS: &str = "deploy/helm/tap-operator-crds";
/// The ids that the chart requires, where any will do.
pub const IDS: [&str; 2] = [
    "--set=tenant.id=11111111-2222-3333-4444-555555555555",
    "--set=tenant.clientId=66666666-7777-8888-9999-aaaaaaaaaaaa",
];

/// The path of helm, which is built if there is none yet.
pub async fn helm_program() -> Result<&'static PathBuf> {
    static PROGRAM: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let program = PROGRAM
        .get_or_init(|| async {
            let built = tokio::task::spawn_blocking(|| program::built_by("tests/helm/build"));
            let built = built.await.map_err(|panic| panic.to_string())?;
            built.map(|directory| directory.join("helm")).map_err(|error| format!("{error:#}"))
        })
        .await;
    program.as_ref().map_err(|error| anyhow!("{error}"))
}

/// A helm command as this user.
pub async fn helm(who: &Identity, arguments: &[&str]) -> Result<Kubectl> {
    Ok(who.program(helm_program().await?, arguments.to_vec()))
}

/// Somebody with helm and without a cluster.
pub struct Nobody {
    identity: Identity,
    pub scratch: Scratch,
}

impl Nobody {
    pub fn new() -> Result<Self> {
        let scratch = Scratch::new("helm")?;
        let nowhere = "https://127.0.0.1:1";
        let credential = Credential::Token("none".into());
        let identity = Identity::new(&scratch, "nobody", &credential, nowhere, "", PathBuf::new())?;
        Ok(Self { identity, scratch })
    }

    /// A helm command.
    pub async fn helm(&self, arguments: &[&str]) -> Result<Kubectl> {
        helm(&self.identity, arguments).await
    }

    /// What `helm template` renders.
    pub async fn template(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.helm(&[&["template"], arguments].concat()).await?.ok().await?;
        objects(&text)
    }

    /// Expects helm to refuse, with these words.
    pub async fn refused(&self, arguments: &[&str], words: &[&str]) -> Result<()> {
        let refusal = self.helm(arguments).await?.refused().await?;
        for word in words {
            ensure!(refusal.contains(word), "{arguments:?}: no {word:?} in\n{refusal}");
        }
        Ok(())
    }
}

/// The objects of a text of manifests.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = yaml::read_all(text).with_context(|| text.to_owned())?;
    Ok(all.into_iter().filter(|object| !object.is_null()).collect())
}

/// The absolute path of a chart.
pub fn chart(path: &str) -> String {
    repository(path).display().to_string()
}
