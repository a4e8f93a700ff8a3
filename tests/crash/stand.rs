//! One cluster, one tenant, and one operator that talks to both through proxies and is started again whenever it dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::TapRequest;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::gate::Gate;
use crate::proxy::Proxy;
use crate::scene::Scene;
use crate::support::control_plane;
use crate::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use crate::support::pki::Authority;
use crate::support::wait;
use crate::support::world::{Options, World};

/// Flags with which nothing is waited for that is not the question here. The settle time is short, for each crash after a
/// POST waits for it.
pub const FLAGS: [&str; 3] =
    ["--use-check-interval=1s", "--calls-per-10-seconds=1000", "--settle-time=3s"];

/// A place to crash in.
pub struct Stand {
    kubelet: JoinHandle<()>,
    scenes: Mutex<HashMap<&'static str, Arc<Scene<'static>>>>,
    pub gate: Arc<Gate>,
    pub operator: Arc<Operator>,
    _proxies: [Proxy; 2],
    pub world: &'static World,
}

impl Stand {
    /// Starts everything.
    pub async fn start() -> Result<Self> {
        let control_plane = control_plane::Options {
            // Nothing here needs garbage collection: what the operator leaves behind is found.
            controller_manager: false,
            ..control_plane::Options::default()
        };
        let options = Options { control_plane, operator: false, ..Options::default() };
        // A scene lives as long as its world, and so does a stand: to the end of the process.
        let world: &'static World = Box::leak(Box::new(World::own(options).await?));
        world.simulator.switch(|switches| switches.authentication_method_limit = None);
        world.simulator.portal_patch_policy(&json!({ "minimumLifetimeInMinutes": 10 }))?;

        let gate = Arc::new(Gate::default());
        let authority = Authority::new("tap-operator test proxy")?;
        let scratch = world.control_plane.scratch();
        let simulator = &world.simulator;
        let servers = std::fs::read(simulator.authority())?;
        let graph = Proxy::start(&authority, &simulator.url(), &servers, &gate).await?;
        let identity = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let servers = world.control_plane.authority();
        let kubernetes =
            Proxy::start(&authority, world.control_plane.url(), servers.as_bytes(), &gate).await?;
        let identity = identity.through(scratch, kubernetes.url(), &authority.certificate())?;
        let trusted = scratch.write("proxy.crt", authority.certificate())?;
        let flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        let operator =
            Operator::at(scratch, "tap-operator", &identity, graph.url(), &trusted, &flags)?;
        let operator = Arc::new(operator);
        operator.start().await?;
        let kubelet = tokio::spawn(keep_running(
            Arc::clone(&operator),
            Arc::clone(&gate),
            leases(world).await?,
        ));
        Ok(Self {
            kubelet,
            scenes: Mutex::default(),
            gate,
            operator,
            _proxies: [graph, kubernetes],
            world,
        })
    }

    /// A scene with a policy that differs from the usual one by these fields of `issuance`.
    pub async fn scene(&self, name: &'static str, issuance: Value) -> Result<Arc<Scene<'static>>> {
        let mut scenes = self.scenes.lock().await;
        if let Some(scene) = scenes.get(name) {
            return Ok(Arc::clone(scene));
        }
        let scene = Arc::new(Scene::new(self.world, name).await?);
        scene.policy(issuance).await?;
        scenes.insert(name, Arc::clone(&scene));
        Ok(scene)
    }

    /// Deletes every request, and waits until all are gone.
    pub async fn clear(&self) -> Result<()> {
        let client = self.world.control_plane.admin().client().await?;
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

async fn leases(world: &World) -> Result<Api<Lease>> {
    Ok(Api::namespaced(world.control_plane.admin().client().await?, NAMESPACE))
}

/// What a Deployment does: a process that ended is followed by another. The lease that a killed one left behind is let go,
/// as if its fifteen seconds were over.
async fn keep_running(operator: Arc<Operator>, gate: Arc<Gate>, leases: Api<Lease>) {
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
                if operator.component().check_running().is_err() && !gate.is_down() {
                    let _ = operator.component().start();
                }
            }
        }
    }
}
