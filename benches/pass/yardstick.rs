//! What is measured: from the answer to a person's create until a watch sees the request active.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use tap_operator::api::{Phase, TapRequest};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::floor::Floor;
use super::subject::{NAMESPACE, POLICY, user};
use super::support::wait::PATIENCE;
use super::support::world::World;

/// The name of the person who makes requests.
const PERSON: &str = "helen@contoso.com";

/// A person who makes requests, and watches what becomes of them.
pub struct Yardstick {
    requests: Api<TapRequest>,
    made: AtomicUsize,
    waiting: Arc<Waiting>,
}

/// Who waits for which request.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, Waits>>);

/// Who waits for a request to be shown by the watch, and to be active or to have ended.
struct Waits {
    shown: Option<oneshot::Sender<()>>,
    seen: oneshot::Sender<(Phase, Instant)>,
}

/// A pass that was asked for.
pub struct Asked {
    request: TapRequest,
    user: Uuid,
    at: Instant,
    shown: Option<oneshot::Receiver<()>>,
    seen: oneshot::Receiver<(Phase, Instant)>,
}

/// A pass.
pub struct Made {
    /// From the answer to the create.
    took: Duration,
    /// When it was seen to be there.
    pub at: Instant,
}

impl Yardstick {
    /// Lets a person ask for passes.
    pub async fn new(world: &World) -> Result<Self> {
        let plane = &world.control_plane;
        let metadata = ObjectMeta { name: Some(NAMESPACE.into()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces = Api::all(plane.admin().client().await?);
        namespaces.create(&PostParams::default(), &namespace).await?;
        let person = plane.person(PERSON)?;
        plane.grant(&person, "tap-requester", NAMESPACE).await?;
        plane.grant_policy(&person, "use", POLICY, NAMESPACE).await?;

        let requests: Api<TapRequest> = Api::namespaced(person.client().await?, NAMESPACE);
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(watch(requests.clone(), Arc::clone(&waiting)));
        Ok(Self { requests, made: AtomicUsize::new(0), waiting })
    }

    /// The request that was made last.
    pub async fn last_request(&self) -> Result<TapRequest> {
        let last = self.made.load(Ordering::Relaxed).checked_sub(1).context("none was made")?;
        Ok(self.requests.get(&name(last)).await?)
    }

    /// How long each of so many passes took, each asked for when the one before was there.
    pub async fn one_by_one(&self, passes: usize, floor: Option<&Floor>) -> Result<Vec<Duration>> {
        stream::iter(0..passes)
            .then(|_| self.pass(floor))
            .map_ok(|made| made.took)
            .try_collect()
            .await
    }

    /// How long so many passes took, their creates included, with up to `in_flight` of them under way.
    pub async fn at_once(
        &self,
        passes: usize,
        in_flight: usize,
        floor: Option<&Floor>,
    ) -> Result<Duration> {
        let began = Instant::now();
        let made = stream::iter(0..passes).map(|_| self.pass(floor)).buffer_unordered(in_flight);
        let last = made.try_fold(began, async |last, made| Ok(last.max(made.at))).await?;
        Ok(last - began)
    }

    /// A pass made by the floor, or else by the operator.
    async fn pass(&self, floor: Option<&Floor>) -> Result<Made> {
        let asked = self.ask().await?;
        if let Some(floor) = floor {
            floor.make(&asked.request, asked.user).await?;
        }
        asked.active(PATIENCE).await
    }

    /// A request that got a pass.
    pub async fn active(&self) -> Result<TapRequest> {
        let asked = self.ask().await?;
        let request = asked.request.clone();
        asked.active(PATIENCE).await?;
        Ok(request)
    }

    /// Asks for a pass, and revokes it. Waits until the request is let go.
    pub async fn revoked(&self, world: &World) -> Result<()> {
        let name = self.active().await?.name_any();
        let entry = json!({ "by": PERSON, "decision": "Revoke" });
        let patch: json_patch::Patch = serde_json::from_value(json!([
            { "op": "add", "path": "/status/decisions/-", "value": entry },
        ]))?;
        let patch = Patch::Json::<()>(patch);
        self.requests.patch_status(&name, &PatchParams::default(), &patch).await?;
        let is_over =
            |seen: &TapRequest| seen.phase() == Phase::Revoked && seen.finalizers().is_empty();
        world.wait_for(&self.requests, &name, "is revoked", is_over).await?;
        Ok(())
    }

    /// Asks for a pass.
    pub async fn ask(&self) -> Result<Asked> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let (name, user) = (name(number), user(number));
        let request: TapRequest = serde_json::from_value(json!({
            "metadata": { "name": &name },
            "spec": { "policyRef": { "name": POLICY }, "user": user.user_principal_name },
        }))?;
        let (shown, seen) = self.waiting.wait_for(&name);
        let request = self.requests.create(&PostParams::default(), &request).await?;
        Ok(Asked { request, user: user.id, at: Instant::now(), shown: Some(shown), seen })
    }
}

impl Asked {
    /// Waits until the watch shows the request: after thousands of writes the API server's watches lag.
    pub async fn shown(&mut self, patience: Duration) -> Result<()> {
        let Some(shown) = self.shown.take() else { return Ok(()) };
        Ok(timeout(patience, shown).await.context("the watch lags")??)
    }

    /// Waits until the pass is there.
    pub async fn active(self, patience: Duration) -> Result<Made> {
        let name = self.request.name_any();
        let seen = timeout(patience, self.seen).await.with_context(|| format!("{name} is late"))?;
        let (phase, at) = seen?;
        ensure!(phase == Phase::Active, "{name} ended as {phase}");
        Ok(Made { took: at.saturating_duration_since(self.at), at })
    }
}

fn name(number: usize) -> String {
    format!("request-{number}")
}

async fn watch(requests: Api<TapRequest>, waiting: Arc<Waiting>) {
    let events = watcher(requests, watcher::Config::default()).default_backoff();
    let mut seen = pin!(events.applied_objects());
    while let Some(seen) = seen.next().await {
        let now = Instant::now();
        // After an error it lists again.
        if let Ok(request) = seen {
            waiting.saw(&request, now);
        }
    }
}

impl Waiting {
    fn wait_for(&self, name: &str) -> (oneshot::Receiver<()>, oneshot::Receiver<(Phase, Instant)>) {
        let ((shows, shown), (sees, seen)) = (oneshot::channel(), oneshot::channel());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(name.to_owned(), Waits { shown: Some(shows), seen: sees });
        (shown, seen)
    }

    fn saw(&self, request: &TapRequest, now: Instant) {
        let (name, phase) = (request.name_any(), request.phase());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Both fail only for one who has given up, or does not ask.
        let shows = waiting.get_mut(&name).and_then(|waits| waits.shown.take());
        let _ = shows.map(|shows| shows.send(()));
        if phase == Phase::Active || phase.is_final() {
            let waits = waiting.remove(&name);
            let _ = waits.map(|waits| waits.seen.send((phase, now)));
        }
    }
}
