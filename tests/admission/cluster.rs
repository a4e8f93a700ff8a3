//! A control plane with the shipped definitions and a shipped kustomization.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::call::{Actor, Call};
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::kubectl::Outcome;
use crate::support::wait;

/// The overlay for servers without mutating policies.
pub const OLDER: &str = "deploy/overlays/without-mutating-policies";

type Shared = OnceCell<Result<Cluster, String>>;

/// A control plane with the definitions and one of the kustomizations of `deploy`.
pub struct Cluster {
    pub admin: Actor,
    pub operator: Actor,
    pub control_plane: ControlPlane,
}

impl Cluster {
    /// The cluster for all tests that leave it as it was, with `deploy` itself.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: Shared = OnceCell::const_new();
        Self::share(&SHARED, Options::default(), "deploy").await
    }

    /// The cluster for all tests of older servers, with their overlay. No controllers run in it.
    pub async fn older() -> Result<&'static Self> {
        static SHARED: Shared = OnceCell::const_new();
        let older = Options::older();
        Self::share(&SHARED, Options { controller_manager: false, ..older }, OLDER).await
    }

    async fn share(
        shared: &'static Shared,
        options: Options,
        deploy: &str,
    ) -> Result<&'static Self> {
        let cluster = shared
            .get_or_init(|| async {
                Self::start(options, deploy).await.map_err(|error| format!("{error:?}"))
            })
            .await;
        cluster
            .as_ref()
            .map_err(|error| anyhow!("the shared cluster could not be started: {error}"))
    }

    /// A new cluster, whose policies are in force.
    async fn start(options: Options, deploy: &str) -> Result<Self> {
        let with_manager = options.controller_manager;
        let control_plane =
            ControlPlane::start(Options { controller_manager: false, ..options }).await?;
        apply(&control_plane, "crds").await?;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        control_plane.admin().kubectl(established).ok().await?;
        // The controller manager discovers the resources once at its start, so they must exist before.
        if with_manager {
            control_plane.start_controller_manager()?;
        }
        apply(&control_plane, deploy).await?;
        let operator = control_plane.service_account("tap-operator-system", "tap-operator").await?;
        let cluster = Self {
            admin: Actor::new(control_plane.admin().clone()).await?,
            operator: Actor::new(operator).await?,
            control_plane,
        };
        cluster.wait_for_policies().await?;
        Ok(cluster)
    }

    /// Waits until the API server enforces the policies, which happens a moment after they were written.
    async fn wait_for_policies(&self) -> Result<()> {
        let requests = "/apis/tap-operator.io/v1alpha1/namespaces/default/taprequests";
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {"name": "probe"},
            "spec": {"policyRef": {"name": "probe"}, "user": "probe@contoso.com", "requestedBy": "admin"},
        });
        // Admission knows a new kind a few seconds after it is established. Until then the answer is 503.
        wait::until(wait::PATIENCE, "requests can be created", || async {
            self.admin.call(Call::create(requests, request.clone())).await.map(drop)
        })
        .await?;
        let probe = format!("{requests}/probe");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "probe"},
            "type": "tap-operator.io/temporary-access-pass",
        });
        let must_be_refused = [
            Call::merge(&probe, json!({"spec": {"requestedBy": "nobody"}})),
            Call::merge(&format!("{probe}/status"), json!({"status": {"phase": "Active"}})),
            Call::create("/api/v1/namespaces/default/secrets", secret),
        ];
        wait::until(wait::PATIENCE, "the policies are in force", || async {
            for call in must_be_refused.clone() {
                let refusal = self.admin.refused(call.dry_run()).await?;
                ensure!(refusal.code == 403, "{refusal:?}");
            }
            Ok(())
        })
        .await?;
        self.admin.call(Call::delete(&probe, json!({}))).await.map(drop)
    }
}

/// `kubectl apply -k` of a directory of this repository. There must be no warnings.
pub async fn apply(control_plane: &ControlPlane, directory: &str) -> Result<Outcome> {
    let path = repository(directory).display().to_string();
    let outcome = control_plane.admin().kubectl(["apply", "-k", &path]).run().await?;
    ensure!(outcome.status.success() && outcome.stderr.is_empty(), "{directory}\n{outcome}");
    Ok(outcome)
}

/// A path in this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text at `pointer`.
pub fn text<'a>(object: &'a serde_json::Value, pointer: &str) -> Result<&'a str> {
    object
        .pointer(pointer)
        .and_then(serde_json::Value::as_str)
        .with_context(|| format!("no text at {pointer} of {object:#}"))
}
