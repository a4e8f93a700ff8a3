//! A control plane with the custom resources and the deployment as they are shipped, a tenant, and the operator.

use std::fmt::Debug;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use graph_simulator::Tenant;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tap_operator::api::TapRequest;
use tap_operator::decision::admission::IN_FORCE_WITHIN;
use tokio::sync::OnceCell;

use super::control_plane::{self, ControlPlane};
use super::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use super::receiver::Receiver;
use super::simulator::Simulator;
use super::wait;

/// The whole deployment as it is shipped for current servers, including the policy that stamps the requester.
const DEPLOY: &str = "deploy";

/// How a world differs from the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control plane.
    pub control_plane: control_plane::Options,
    /// The kustomization that installs the operator: a directory of this repository.
    pub deploy: &'static str,
    /// The tenant at the start.
    pub tenant: Tenant,
    /// More flags for the operator.
    pub operator_flags: Vec<String>,
    /// Whether the operator is started. If not, [`Operator::start`] must be called.
    pub operator: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            control_plane: control_plane::Options::default(),
            deploy: DEPLOY,
            tenant: Tenant::contoso(),
            operator_flags: Vec::new(),
            operator: true,
        }
    }
}

/// Everything that the operator needs to run.
pub struct World {
    // The operator must end before the servers that it uses.
    pub operator: Operator,
    pub simulator: Simulator,
    /// Is told everything.
    pub receiver: Receiver,
    pub control_plane: ControlPlane,
}

impl World {
    /// The world that tests share if they disturb no other: each has its own namespaces, people and users.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Result<World, String>> = OnceCell::const_new();
        let world = SHARED
            .get_or_init(|| async {
                Self::own(Options::default()).await.map_err(|error| format!("{error:?}"))
            })
            .await;
        world.as_ref().map_err(|error| anyhow!("the shared world could not be started: {error}"))
    }

    /// A new world, for a test that kills, freezes or changes what others use.
    pub async fn own(options: Options) -> Result<Self> {
        // The controller manager discovers the resources once at its start, so they must exist before.
        let with_manager = options.control_plane.controller_manager;
        let without = control_plane::Options { controller_manager: false, ..options.control_plane };
        let control_plane = ControlPlane::start(without).await?;
        // First, because the policies must be some seconds old when a request is created.
        install(&control_plane, options.deploy).await?;
        install(&control_plane, "crds").await?;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        control_plane.admin().kubectl(established).ok().await?;
        if with_manager {
            control_plane.start_controller_manager()?;
        }
        let stamped = options.deploy == DEPLOY;
        requests_are_known(&control_plane, stamped).await?;

        let scratch = control_plane.scratch();
        let simulator = Simulator::start(scratch, options.tenant).await?;
        let identity = control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let receiver = Receiver::start(scratch).await?;
        // The operator trusts both by the file of the tenant.
        let [tenant, of_receiver] =
            [simulator.authority(), receiver.authority()].map(std::fs::read);
        std::fs::write(simulator.authority(), [tenant?, of_receiver?].concat())?;
        let flags = [&options.operator_flags[..], &[receiver.flag(scratch)?]].concat();
        let operator = Operator::new(scratch, "tap-operator", &identity, &simulator, &flags)?;
        if options.operator {
            operator.start().await?;
        }
        policies_are_of_age(&control_plane).await?;
        Ok(Self { operator, simulator, receiver, control_plane })
    }

    /// Waits until an object meets a condition, a minute at most. A failure shows the object, its events, the ends of
    /// the logs and the ledger.
    pub async fn wait_for<K>(
        &self,
        api: &Api<K>,
        name: &str,
        what: &str,
        condition: impl Fn(&K) -> bool,
    ) -> Result<K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
    {
        match wait::object(api, name, wait::PATIENCE, what, condition).await {
            Ok(object) => Ok(object),
            Err(error) => Err(anyhow!("{error:#}\n{}", self.report(api.namespace(), name).await)),
        }
    }

    /// Waits until an object is gone, a minute at most. It fails like [`World::wait_for`].
    pub async fn wait_gone<K>(&self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
    {
        match wait::gone(api, name, wait::PATIENCE).await {
            Ok(()) => Ok(()),
            Err(error) => Err(anyhow!("{error:#}\n{}", self.report(api.namespace(), name).await)),
        }
    }

    async fn report(&self, namespace: Option<&str>, name: &str) -> String {
        let selector = format!("--field-selector=involvedObject.name={name}");
        // Events of cluster-scoped objects are in the namespace `default`.
        let namespace = namespace.unwrap_or("default");
        let events = self
            .control_plane
            .admin()
            .kubectl(["get", "events", &selector])
            .in_namespace(namespace);
        let events = events.ok().await.unwrap_or_else(|error| format!("{error:#}"));
        let ledger = serde_json::to_string_pretty(&self.simulator.ledger())
            .unwrap_or_else(|error| error.to_string());
        let operator = self.operator.component().log_tail(60);
        format!("--- its events\n{events}\n{operator}\n--- the ledger\n{ledger}")
    }
}

/// Waits until requests can be created and are stamped. Mutating admission policies come into force a moment after they
/// are written, and know a new kind a moment after it is served. Until then they refuse it.
pub async fn requests_are_known(control_plane: &ControlPlane, stamped: bool) -> Result<()> {
    let requests: Api<TapRequest> =
        Api::namespaced(control_plane.admin().client().await?, "default");
    let request = serde_json::from_value(serde_json::json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "metadata": { "name": "known" },
        "spec": { "policyRef": { "name": "none" }, "user": "nobody@example.com" },
    }))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    wait::until(wait::PATIENCE, "requests can be created", || async {
        match requests.create(&dry_run, &request).await {
            Ok(created) if created.spec.requested_by.is_some() || !stamped => Ok(()),
            // Whatever else it says, it knows the kind.
            Err(kube::Error::Api(status)) if ![404, 503].contains(&status.code) && !stamped => {
                Ok(())
            }
            Ok(_) => bail!("the requester is not stamped"),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Waits until requests can be created without failing: one that is not much younger than the admission policies fails,
/// because it may have been created without them.
pub async fn policies_are_of_age(control_plane: &ControlPlane) -> Result<()> {
    let client = control_plane.admin().client().await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
    let all = ListParams::default();
    let (policies, bindings) = tokio::try_join!(policies.list(&all), bindings.list(&all))?;
    let created = policies.iter().map(ResourceExt::creation_timestamp);
    let created = created.chain(bindings.iter().map(ResourceExt::creation_timestamp));
    let Some(youngest) = created.flatten().map(|time| time.0).max() else { return Ok(()) };
    wait::until(wait::PATIENCE, "the policies are of age", || async {
        ensure!(Timestamp::now() >= youngest + IN_FORCE_WITHIN, "created at {youngest}");
        Ok(())
    })
    .await
}

/// `kubectl apply -k` of a directory of this repository, as a cluster administrator.
pub async fn install(control_plane: &ControlPlane, kustomization: &str) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(kustomization).display().to_string();
    control_plane
        .admin()
        .kubectl(["apply", "--kustomize", &directory])
        .ok()
        .await
        .map(drop)
        .with_context(|| format!("installing {kustomization}"))
}
