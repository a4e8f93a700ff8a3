//! One cluster, one tenant, and one operator that reaches both through proxies and is started again whenever it dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::{TapPolicy, TapRequest};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::gate::Gate;
use crate::proxy::Proxy;
use crate::replica::{Commands, Replica};
use crate::scene::Scene;
use crate::support::control_plane;
use crate::support::operator::{NAMESPACE, Operator};
use crate::support::wait;
use crate::support::world::{Options, World};

/// The prefix of the names of a run's own objects.
pub const OF_A_RUN: &str = "run-";

/// Everything that runs need to crash an operator.
pub struct Stand {
    kubelet: JoinHandle<()>,
    scenes: Mutex<HashMap<&'static str, Arc<Scene<'static>>>>,
    pub gate: Arc<Gate>,
    pub operator: Arc<Operator>,
    pub commands: Commands,
    paused: Arc<AtomicBool>,
    _proxies: [Proxy; 2],
    pub world: &'static World,
}

/// A world without an operator. It lives until the end of the process, because scenes refer to it.
pub async fn new_world() -> Result<&'static World> {
    let control_plane = control_plane::Options {
        // Without garbage collection, so that whatever the operator leaves behind is found.
        controller_manager: false,
        ..control_plane::Options::default()
    };
    let options = Options { control_plane, operator: false, ..Options::default() };
    let world = Box::leak(Box::new(World::own(options).await?));
    world.simulator.switch(|switches| switches.authentication_method_limit = None);
    Ok(world)
}

impl Stand {
    /// Starts everything.
    pub async fn start() -> Result<Self> {
        let world = new_world().await?;
        world.simulator.portal_patch_policy(&json!({ "minimumLifetimeInMinutes": 10 }))?;

        let Replica { operator, gate, proxies } = Replica::new(world, "tap-operator").await?;
        let operator = Arc::new(operator);
        let commands = Commands::new(world).await?;
        operator.start().await?;
        let paused = Arc::new(AtomicBool::new(false));
        let kubelet = tokio::spawn(keep_running(
            Arc::clone(&operator),
            Arc::clone(&gate),
            leases(world).await?,
            Arc::clone(&paused),
        ));
        Ok(Self {
            kubelet,
            scenes: Mutex::default(),
            gate,
            operator,
            commands,
            paused,
            _proxies: proxies,
            world,
        })
    }

    /// Stops the operator by SIGTERM. No process is started before [`Stand::resume`].
    pub async fn stop(&self) -> Result<()> {
        self.paused.store(true, Ordering::SeqCst);
        self.operator.stop().await.map(drop)
    }

    /// Starts the operator again.
    pub async fn resume(&self) -> Result<()> {
        self.operator.start().await?;
        self.paused.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// A scene with a policy that differs from the usual one by these fields of `issuance`.
    pub async fn scene(&self, name: &'static str, issuance: Value) -> Result<Arc<Scene<'static>>> {
        let mut scenes = self.scenes.lock().await;
        if let Some(scene) = scenes.get(name) {
            return Ok(Arc::clone(scene));
        }
        let scene = Arc::new(Scene::new(self.world, name).await?);
        scene.policy(issuance).await?;
        let policies = scene.policies().await?;
        let seen = |policy: &TapPolicy| {
            policy.status.as_ref().is_some_and(|status| status.observed_generation.is_some())
        };
        self.world.wait_for(&policies, &scene.policy, "seen by the operator", seen).await?;
        scenes.insert(name, Arc::clone(&scene));
        Ok(scene)
    }

    /// Deletes every request and every policy of a run, and waits until all are gone.
    pub async fn clear(&self) -> Result<()> {
        let client = self.world.control_plane.admin().client().await?;
        let policies: Api<TapPolicy> = Api::all(client.clone());
        for policy in policies.list(&ListParams::default()).await?.items {
            let name = policy.metadata.name.unwrap_or_default();
            if name.starts_with(OF_A_RUN) {
                let _ = policies.delete(&name, &DeleteParams::default()).await;
            }
        }
        let all: Api<TapRequest> = Api::all(client.clone());
        for request in all.list(&ListParams::default()).await?.items {
            let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
            let name = request.metadata.name.as_deref().unwrap_or_default();
            let requests: Api<TapRequest> = Api::namespaced(client.clone(), namespace);
            let _ = requests.delete(name, &DeleteParams::default()).await;
        }
        wait::until(wait::PATIENCE, "no request is left", || async {
            let left = all.list(&ListParams::default()).await?.items;
            anyhow::ensure!(left.is_empty(), "{} are left", left.len());
            Ok(())
        })
        .await
        .with_context(|| self.operator.component().log_tail(40))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.kubelet.abort();
        self.operator.kill();
    }
}

/// The leases of the operator's namespace, with an administrator's rights.
pub async fn leases(world: &World) -> Result<Api<Lease>> {
    Ok(Api::namespaced(world.control_plane.admin().client().await?, NAMESPACE))
}

/// Does what a Deployment does: starts another process after one has ended. The lease that a killed process left behind
/// is released, as if its fifteen seconds were over.
async fn keep_running(
    operator: Arc<Operator>,
    gate: Arc<Gate>,
    leases: Api<Lease>,
    paused: Arc<AtomicBool>,
) {
    loop {
        tokio::select! {
            () = gate.fired() => {
                operator.kill();
                let free = json!({ "spec": { "holderIdentity": null } });
                let _ = leases
                    .patch("tap-operator", &PatchParams::default(), &Patch::Merge(&free))
                    .await;
                gate.revive();
                let _ = operator.component().start();
            }
            () = sleep(Duration::from_millis(200)) => {
                let ended = operator.component().check_running().is_err();
                if ended && !gate.is_down() && !paused.load(Ordering::SeqCst) {
                    let _ = operator.component().start();
                }
            }
        }
    }
}
