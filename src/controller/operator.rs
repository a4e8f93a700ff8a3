//! What both reconcilers share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::chance::Chance;
use super::clocks::Clocks;
use super::fence::Known;
use super::lease::LeaseView;
use super::metrics::Metrics;
use super::pass::Remembered;
use super::places::Places;
use super::quotas::Quotas;
use super::registry::{OwnPasses, Turns};
use super::sightings::Sightings;
use super::watches::{GuardedPolicy, GuardedRequest};
use crate::api::names::STOP_REVOKE_ACTIVE_KEY;
use crate::decision::life::situation::{Connection, Settings, Stop};
use crate::decision::permissions::Findings;
use crate::decision::policy::Correction;
use crate::graph;

/// The caches.
#[derive(Clone)]
pub struct Stores {
    /// All requests.
    pub requests: Store<GuardedRequest>,
    /// All policies.
    pub policies: Store<GuardedPolicy>,
    /// All namespaces.
    pub namespaces: Store<Namespace>,
    /// The stop `ConfigMap`, if it is there.
    pub stop: Store<ConfigMap>,
}

/// One running operator.
pub struct Operator {
    /// The API server.
    pub client: kube::Client,
    /// A connection to the API server that nothing else uses, for a call that carries a code.
    pub own_connection: Box<dyn Fn() -> kube::Result<kube::Client> + Send + Sync>,
    /// The operator's own namespace.
    pub namespace: String,
    /// This process, unlike any other.
    pub holder: String,
    /// How it was set up.
    pub settings: Settings,
    /// The Graph clients and what decisions know of them, by name of the connection.
    pub tenants: BTreeMap<String, Tenant>,
    /// Local time and Graph's.
    pub clocks: Arc<Clocks>,
    /// What is random in what it does.
    pub chance: Chance,
    /// The lease.
    pub lease: LeaseView,
    /// The caches.
    pub stores: Stores,
    /// Whose turn it is for a user.
    pub turns: Turns,
    /// Who may wait for answers of tenants on the way to an issue.
    pub places: Arc<Places>,
    /// Who has a place within a quota.
    pub quotas: Quotas,
    /// Passes made and deleted by this process.
    pub own_passes: OwnPasses,
    /// What is remembered of each request, by uid.
    pub memories: std::sync::Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Remembered>>>>,
    /// What was last sent to correct a tenant, by uid of the policy.
    pub corrections: std::sync::Mutex<HashMap<String, Correction>>,
    /// What the log was last told of the permissions of each connection, by its name.
    pub told_permissions: std::sync::Mutex<HashMap<String, Findings>>,
    /// Whether this process knows all that there is: its caches are complete, and Graph was asked for the time.
    pub informed: AtomicBool,
    /// Whether the cache shows all attempts of the process that led before.
    pub caught_up: AtomicBool,
    /// What is known of the admission policies.
    pub admission: watch::Receiver<Known>,
    /// Requests to look at again because of something that happened to another.
    pub nudges: UnboundedSender<ObjectRef<GuardedRequest>>,
    /// Who signs events.
    pub reporter: Reporter,
    /// Metrics.
    pub metrics: Metrics,
}

/// One tenant connection.
pub struct Tenant {
    /// What decisions know of it.
    pub connection: Connection,
    /// The client.
    pub client: graph::Client,
    /// Looks at its active passes.
    pub sightings: Sightings,
}

impl Operator {
    /// The stop `ConfigMap` as it was last seen; one that could not be read yet counts as set.
    pub fn stop(&self) -> Stop {
        use futures::FutureExt as _;
        if self.stores.stop.wait_until_ready().now_or_never().is_none() {
            return Stop::On;
        }
        stop_of(self.stores.stop.state().first().map(AsRef::as_ref))
    }

    /// Whether it is for this process to work, and it knows enough to.
    pub fn works(&self) -> bool {
        self.lease.is_held() && self.informed.load(Ordering::Acquire)
    }

    /// Publishes one event. A recorder that is used again counts events of one reason as the first of them, whatever
    /// they say: each event has one of its own.
    pub fn recorder(&self) -> Recorder {
        Recorder::new(self.client.clone(), self.reporter.clone())
    }

    /// Requests that this version can read.
    pub fn requests(&self) -> Vec<Arc<GuardedRequest>> {
        self.stores.requests.state()
    }

    /// Policies that this version can read.
    pub fn policies(&self) -> Vec<Arc<GuardedPolicy>> {
        self.stores.policies.state()
    }
}

/// What a stop `ConfigMap`, or its absence, says.
pub fn stop_of(config_map: Option<&ConfigMap>) -> Stop {
    let Some(config_map) = config_map else { return Stop::Off };
    let revoke = config_map
        .data
        .as_ref()
        .and_then(|d| d.get(STOP_REVOKE_ACTIVE_KEY))
        .is_some_and(|v| v == "true");
    if revoke { Stop::RevokeActive } else { Stop::On }
}
