//! Programs that reach their servers only through proxies: an operator, and a command run by a person.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::SignedDuration;
use tokio::process::Command;

use crate::gate::Gate;
use crate::proxy::Proxy;
use crate::support::identity::Identity;
use crate::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use crate::support::pki::Authority;
use crate::support::world::World;
use crate::support::{program, wait};

/// Short, because many recoveries wait for it; long enough for a busy machine, because a pass that was made later
/// cannot be told from a foreign one.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(5);
/// Flags that avoid long waits.
const FLAGS: [&str; 2] = ["--use-check-interval=1s", "--calls-per-10-seconds=1000"];

/// A replica of the operator.
pub struct Replica {
    pub operator: Operator,
    pub gate: Arc<Gate>,
    pub proxies: [Proxy; 2],
}

impl Replica {
    pub async fn new(world: &World, name: &'static str) -> Result<Self> {
        let gate = Arc::new(Gate::default());
        let authority = Authority::new("tap-operator test proxy")?;
        let scratch = world.control_plane.scratch();
        let simulator = &world.simulator;
        let servers = std::fs::read(simulator.authority())?;
        let graph = Proxy::start(&authority, &simulator.url(), &servers, &gate).await?;
        let identity = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let (kubernetes, identity) = to_kubernetes(world, &authority, &gate, &identity).await?;
        let trusted = scratch.write(&format!("{name}.crt"), authority.certificate())?;
        let own = [format!("--pod-name={name}"), format!("--settle-time={SETTLE:#}")];
        let flags: Vec<String> = FLAGS.iter().map(ToString::to_string).chain(own).collect();
        let operator = Operator::at(scratch, name, &identity, graph.url(), &trusted, &flags)?;
        Ok(Self { operator, gate, proxies: [graph, kubernetes] })
    }
}

/// The same user behind a proxy.
async fn to_kubernetes(
    world: &World,
    authority: &Authority,
    gate: &Arc<Gate>,
    who: &Identity,
) -> Result<(Proxy, Identity)> {
    let servers = world.control_plane.authority();
    let proxy = Proxy::start(authority, world.control_plane.url(), servers.as_bytes(), gate);
    let proxy = proxy.await?;
    let scratch = world.control_plane.scratch();
    let who = who.through(scratch, proxy.url(), &authority.certificate())?;
    Ok((proxy, who))
}

/// Commands of a cluster administrator, which may be killed as well.
pub struct Commands {
    pub gate: Arc<Gate>,
    administrator: Identity,
    _proxy: Proxy,
}

impl Commands {
    pub async fn new(world: &World) -> Result<Self> {
        let gate = Arc::new(Gate::default());
        let authority = Authority::new("tap-operator test proxy")?;
        // With a token: a proxy cannot present somebody else's client certificate.
        let account = ["create", "serviceaccount", "administrator"];
        let control_plane = &world.control_plane;
        control_plane.admin().kubectl(account).in_namespace("default").ok().await?;
        let administrator = control_plane.service_account("default", "administrator").await?;
        control_plane.grant_everywhere(&administrator, "cluster-admin").await?;
        let (proxy, administrator) =
            to_kubernetes(world, &authority, &gate, &administrator).await?;
        Ok(Self { gate, administrator, _proxy: proxy })
    }

    /// Runs `tap-operator` with these arguments, and again if it is killed.
    pub async fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut child = self.spawn(arguments)?;
        tokio::select! {
            ended = child.wait() => {
                anyhow::ensure!(ended?.success(), "{arguments:?} failed");
                if !self.gate.is_down() {
                    return Ok(());
                }
                // It was to die after its last answer, and had already ended.
                self.gate.fired().await;
            }
            () = self.gate.fired() => {}
            () = tokio::time::sleep(wait::PATIENCE) => anyhow::bail!("{arguments:?} does not end"),
        }
        let _ = child.kill().await;
        self.gate.revive();
        let again = tokio::time::timeout(wait::PATIENCE, self.spawn(arguments)?.wait()).await;
        // If everything was done before it was killed, the second run has nothing to do and reports that.
        again.context("the second run does not end")?.map(drop).map_err(Into::into)
    }

    fn spawn(&self, arguments: &[&str]) -> Result<tokio::process::Child> {
        Command::new(program::tap_operator()?)
            .args(arguments)
            .env("KUBECONFIG", self.administrator.kubeconfig())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("tap-operator")
    }
}
