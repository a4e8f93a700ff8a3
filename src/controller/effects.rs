//! The one place through which the effects of a request pass: what it looks at, and what it does.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::announce;
use super::error::{ApiError, call};
use super::fence::Fence;
use super::operator::{Operator, stop_of};
use super::pass::{Pass, name, name_of, requests};
use super::patch::{as_operator, merge_patch};
use super::permissions::eligibility;
use super::registry::RequestId;
use super::secret;
use super::sightings::Wanted;
use super::watches::GuardedRequest;
use super::write;
use crate::api::names::{FINALIZER, INTENT_ANNOTATION, STOP_CONFIG_MAP};
use crate::api::{Phase, TapPolicy, TapRequest, TapRequestStatus};
use crate::decision::clock::later;
use crate::decision::intent::{Intent, POST_WINDOW, Stage, has_finalizer, is_unresolved_for};
use crate::decision::life::existing_pass;
use crate::decision::life::situation::{
    Attempt, Brakes, Cause, Grounds, Held, Known, Listing, Progress, Reads, SecretFound,
    SecretWritten, Setback, Stop, Told, Turn, Unlisted,
};
use crate::decision::life::step::{Action, Look, Rest};
use crate::effect::Effect;
use crate::graph::{
    Client, CreateError, ErrorKind, GraphError, Listed, NewPass, Priority, TapMethod,
};

/// How long to wait before a request looks again for a place among those that wait for answers of tenants, if it is not
/// called.
const CROWDED: SignedDuration = SignedDuration::from_secs(30);

/// How long a recovery waits while another request of the user is being issued, before it looks again.
const BESIDE_ANOTHER: SignedDuration = SignedDuration::from_secs(2);

impl Operator {
    /// Reads what a decision needs. Where that is not known yet, it says when to ask again.
    pub(super) async fn look(
        &self,
        look: Look,
        pass: &mut Pass<'_>,
    ) -> Result<Option<Rest>, ApiError> {
        if look.is_on_the_way_to_an_issue(&pass.request) && !self.find_a_place(pass) {
            return Ok(Some(Rest::For(CROWDED)));
        }
        match look {
            Look::Method => {
                let Some(client) = self.policy_client(pass) else { return Ok(None) };
                pass.reads.method = Some(client.method(Priority::Issue).await);
            }
            Look::User => {
                let Some(client) = self.policy_client(pass) else { return Ok(None) };
                let user = client.user(&pass.request.spec.user, Priority::Issue).await;
                let answered = self.clocks.now(Some(client.tenant_id())).latest;
                let missing = &mut pass.remembered.memory.user_missing;
                note_missing(missing, &user, pass.now, answered);
                pass.reads.user = Some(user);
            }
            Look::Groups { user_id, ids } => {
                let Some(client) = self.policy_client(pass) else { return Ok(None) };
                pass.reads.groups =
                    Some(client.member_groups(&user_id, &ids, Priority::Issue).await);
            }
            Look::Roles { user_id } => {
                let Some(client) = self.policy_client(pass) else { return Ok(None) };
                pass.reads.roles = Some(client.directory_roles(&user_id, Priority::Issue).await);
            }
            Look::Eligibility { user_id } => {
                let Some(client) = self.policy_client(pass) else { return Ok(None) };
                pass.reads.eligibility = Some(eligibility(client, &user_id).await);
            }
            Look::Slot(bounds) => {
                let cache = &self.stores.requests;
                pass.reads.slot = Some(self.quotas.take(&pass.request, &bounds, cache));
            }
            Look::Turn { tenant_id, user_id } => {
                pass.reads.turn = Some(self.turn(&tenant_id, &user_id, pass));
            }
            Look::Passes { connection, user_id } => {
                if self.recovers_beside_another(&connection, &user_id, pass) {
                    return Ok(Some(Rest::For(BESIDE_ANOTHER)));
                }
                self.list_passes(&connection, &user_id, pass).await;
            }
            Look::Pass { connection, user_id, pass_id } => {
                let Some((asked, seen)) = self.sighting(&connection, user_id, pass_id, pass) else {
                    // Whoever looks wakes the request. Until then it must not miss its expiry.
                    let recorded = pass.request.status.as_ref().and_then(|s| s.pass.as_ref());
                    return Ok(recorded.map(|recorded| Rest::Until(recorded.expiration_time.0)));
                };
                let memory = &mut pass.remembered.memory;
                note_missing(&mut memory.pass_missing, &seen, ago(asked, pass.now), pass.now);
                if seen.as_ref().map_or_else(GraphError::is_not_found, |_| true) {
                    memory.looked_at = Some(pass.now);
                }
                pass.reads.pass = Some(seen);
            }
            Look::Place => {
                pass.reads.place = Some(secret::place(&self.client, &pass.request).await?);
            }
            Look::Secret => {
                pass.reads.listed_since = false;
                pass.reads.secret = Some(self.find_secret(pass).await);
            }
            Look::Brakes => pass.reads.brakes = Some(self.brakes(&pass.request).await),
        }
        Ok(None)
    }

    /// A pass over a request takes a place before it waits for answers of a tenant, and keeps it to its end.
    fn find_a_place(&self, pass: &mut Pass<'_>) -> bool {
        if pass.place.is_none() {
            pass.place = self.places.take(at(&pass.request));
        }
        pass.place.is_some()
    }

    /// What was seen of an active pass, if anybody has looked since it was last asked for.
    fn sighting(
        &self,
        connection: &str,
        user_id: String,
        pass_id: String,
        pass: &Pass<'_>,
    ) -> Option<(Instant, Result<TapMethod, GraphError>)> {
        let Some(tenant) = self.tenants.get(connection) else {
            return Some((Instant::now(), Err(not_configured(connection))));
        };
        let recorded = pass.request.status.as_ref().and_then(|s| s.pass.as_ref());
        let wanted = Wanted {
            request: at(&pass.request),
            start: recorded.map_or(pass.now, |recorded| recorded.start_time.0),
            user_id,
            pass_id,
        };
        let uid = pass.request.metadata.uid.as_deref().unwrap_or_default();
        tenant.sightings.take(uid, wanted)
    }

    /// Does what was decided.
    pub(super) async fn act(&self, action: Action, pass: &mut Pass<'_>) -> Result<(), ApiError> {
        match action {
            Action::WriteStatus(status) => self.write_status(*status, pass).await,
            Action::RecordIntent(intent, grounds) => {
                self.record_intent(*intent, grounds, pass).await
            }
            Action::Release(intent) => self.release(intent.as_deref(), pass).await,
            Action::Post(intent) => {
                self.post(&intent, pass).await;
                Ok(())
            }
            Action::CreateSecret => {
                self.create_secret(pass).await;
                Ok(())
            }
            Action::DeleteSecret(uid) => {
                self.delete_secret(&uid, pass).await;
                Ok(())
            }
            Action::DeletePass { connection, user_id, pass_id } => {
                let deleted = match self.tenants.get(&connection) {
                    Some(tenant) => tenant.client.delete_pass(&user_id, &pass_id).await,
                    None => Err(not_configured(&connection)),
                };
                if deleted.is_ok() {
                    self.own_passes.deleted(&pass_id);
                }
                pass.reads.deleted = Some(deleted);
                Ok(())
            }
            Action::Forget => {
                pass.remembered.memory.attempt = None;
                pass.remembered.code = None;
                // What was held may have been held for a request that is gone.
                pass.outdated = true;
                Ok(())
            }
            Action::DeleteRequest => self.delete_request(pass).await,
        }
    }

    /// Is there a Secret of the request's name, and is it ours? Where the policy on Secrets is not in force the API server
    /// does not tell, and ours is only what this process created. For a while that may still change.
    async fn find_secret(&self, pass: &Pass<'_>) -> SecretFound {
        let found = secret::find(&self.client, &pass.request)
            .await
            .unwrap_or_else(|error| SecretFound::Unclear(error.to_string()));
        let SecretFound::Ours(uid) = &found else { return found };
        let down_since = match self.admission.borrow().fence {
            Fence::Up => return found,
            Fence::DownSince(since) => since,
        };
        if pass.remembered.secret_uid.as_ref() == Some(uid) {
            return found;
        }
        if down_since.elapsed() < self.settings.settle.unsigned_abs() {
            let why = "the admission policy on Secrets is not in force, so it cannot be told whose Secret of that name it is";
            return SecretFound::Unclear(why.into());
        }
        tracing::error!(
            request = name_of(&pass.request),
            "the admission policy on Secrets is not in force, so it cannot be told whose Secret of that name it is: it is left alone"
        );
        SecretFound::Foreign
    }

    fn policy_client(&self, pass: &Pass<'_>) -> Option<&Client> {
        let name = &pass.policy.as_ref()?.as_ref().0.as_ref().ok()?.spec.tenant;
        self.tenants.get(name).map(|tenant| &tenant.client)
    }

    /// It is a request's turn when no other one is being issued for the user, here or in a process that died.
    fn turn(&self, tenant_id: &str, user_id: &str, pass: &Pass<'_>) -> Turn {
        if !self.caught_up.load(Ordering::Acquire) {
            return Turn::Busy;
        }
        let open = |other: std::sync::Arc<GuardedRequest>| {
            let other =
                other.0.as_ref().ok().filter(|o| o.metadata.uid != pass.request.metadata.uid)?;
            is_unresolved_for(other, tenant_id, user_id).then(|| name_of(other))
        };
        self.requests().into_iter().filter_map(open).min().map_or_else(
            || {
                let uid = pass.request.metadata.uid.as_deref().unwrap_or_default();
                self.turns.take(tenant_id, user_id, uid)
            },
            Turn::Of,
        )
    }

    /// Whether what a recovery would list may be the pass that another request is just being issued: an intent that was on
    /// its way when its process lost the lease may show up so late.
    fn recovers_beside_another(&self, connection: &str, user_id: &str, pass: &Pass<'_>) -> bool {
        let Some(tenant) = self.tenants.get(connection) else { return false };
        let uid = pass.request.metadata.uid.as_deref().unwrap_or_default();
        has_finalizer(&pass.request)
            && self.turns.is_of_another(&tenant.connection.tenant_id, user_id, uid)
    }

    async fn list_passes(&self, connection: &str, user_id: &str, pass: &mut Pass<'_>) {
        pass.reads.passes_asked_at = Some(pass.now);
        pass.reads.listed_since = true;
        let listed = match self.tenants.get(connection) {
            Some(tenant) => tenant.client.passes(user_id, Priority::Issue).await,
            None => Err(not_configured(connection)),
        };
        let listing = listed.map(|listed| {
            let uid = pass.request.metadata.uid.as_deref().unwrap_or_default();
            let known = listed
                .passes
                .iter()
                .filter_map(|p| Some((p.id.clone(), self.known(&p.id, uid)?)))
                .collect();
            let tenant = self.tenants.get(connection).map(|t| t.connection.tenant_id.as_str());
            let unlisted =
                tenant.and_then(|tenant_id| self.unlisted(tenant_id, user_id, uid, &listed));
            Listing { passes: listed.passes, date: listed.date, known, unlisted }
        });
        if let Ok(listing) = &listing {
            let seen = existing_pass(listing).map(|p| p.id.clone());
            let before = pass.remembered.memory.existing.take();
            pass.remembered.memory.existing = seen.map(|id| {
                let before = before.filter(|(other, _)| *other == id).map(|(_, told)| told);
                (id, Told::again(before, pass.now, listing.date))
            });
        }
        pass.reads.passes = Some(listing);
    }

    /// What is known of a pass that was made for another request. The end of that one counts, also where this process does
    /// not know that the pass is gone: another one deleted it, or the answer was lost.
    fn known(&self, pass_id: &str, asking_uid: &str) -> Option<Known> {
        let recorded = self.requests().into_iter().find_map(|other| {
            let other =
                other.0.as_ref().ok().filter(|o| o.metadata.uid.as_deref() != Some(asking_uid))?;
            let recorded = other.status.as_ref()?.pass.as_ref()?;
            let known = match other.phase() {
                Phase::Used | Phase::Expired | Phase::Revoked => Known::Gone,
                // Also of one that was released by hand: its pass may live on.
                _ => Known::Recorded(name_of(other)),
            };
            (recorded.id == pass_id).then_some(known)
        });
        if recorded == Some(Known::Gone) {
            return recorded;
        }
        self.own_passes.known(pass_id, asking_uid).or(recorded)
    }

    /// A pass that was made for this user and another request so lately that it need not be listed, and is not.
    fn unlisted(
        &self,
        tenant_id: &str,
        user_id: &str,
        asking_uid: &str,
        listed: &Listed,
    ) -> Option<Unlisted> {
        let ids: Vec<&str> = listed.passes.iter().map(|pass| pass.id.as_str()).collect();
        let settle = self.settings.settle;
        let own = &self.own_passes;
        own.unlisted(tenant_id, user_id, asking_uid, settle.unsigned_abs(), &ids).or_else(|| {
            // A process that is gone may have made it.
            let recorded = |other: std::sync::Arc<GuardedRequest>| {
                let other = other.0.as_ref().ok().filter(|other| {
                    other.phase() == Phase::Active
                        && other.metadata.uid.as_deref() != Some(asking_uid)
                })?;
                let intent = Intent::of(other)?;
                let pass = other.status.as_ref()?.pass.as_ref()?;
                let lately = listed.date < later(intent.listed_at, POST_WINDOW + settle);
                (intent.tenant_id == tenant_id
                    && intent.user_id == user_id
                    && lately
                    && !ids.contains(&pass.id.as_str()))
                .then(|| {
                    let unlisted = Unlisted { request: name_of(other), pass_id: pass.id.clone() };
                    (intent.listed_at, unlisted)
                })
            };
            // Each replaced the one before.
            self.requests().into_iter().filter_map(recorded).max().map(|(_, newest)| newest)
        })
    }

    /// Stop and suspension by quorum reads. What cannot be read counts as set.
    async fn brakes(&self, request: &TapRequest) -> Brakes {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let stop = match call("get stop ConfigMap", maps.get_opt(STOP_CONFIG_MAP)).await {
            Ok(found) => stop_of(found.as_ref()),
            Err(_) => Stop::On,
        };
        let policies: Api<TapPolicy> = Api::all(self.client.clone());
        let policy = call("get TapPolicy", policies.get_opt(&request.spec.policy_ref.name)).await;
        let suspended = !matches!(&policy, Ok(Some(policy)) if policy.spec.issuance.as_ref().is_some_and(|i| i.suspend != Some(true)));
        let policy_generation = policy.ok().flatten().and_then(|p| p.metadata.generation);
        Brakes { stop, suspended, policy_generation }
    }

    async fn write_status(
        &self,
        status: TapRequestStatus,
        pass: &mut Pass<'_>,
    ) -> Result<(), ApiError> {
        let before = pass.request.clone();
        let old = before.status.clone().unwrap_or_default();
        let patch = json!({
            "metadata": { "resourceVersion": before.metadata.resource_version },
            "status": merge_patch(&old, &status),
        });
        let api = requests(&self.client, &before);
        let (name, patch) = (name(&before), Patch::Merge(&patch));
        pass.request =
            write::patch_status(Effect::WriteRequestStatus, &api, &name, &as_operator(), &patch)
                .await?;
        if pass.request.phase() == Phase::Active && before.phase() != Phase::Active {
            // From here on the status knows what this process knew.
            if let Some(attempt) = pass.remembered.memory.attempt.take() {
                self.nudge_replaced(&attempt.intent);
            }
            pass.remembered.memory.looked_at = Some(pass.now);
            pass.remembered.memory.setback = None;
        }
        if pass.request.phase() != before.phase() {
            self.metrics.transition(pass.request.phase());
        }
        announce::transition(&self.recorder(), &before, &pass.request).await;
        Ok(())
    }

    fn nudge_replaced(&self, intent: &Intent) {
        let replaced = intent
            .replaces
            .as_ref()
            .and_then(|r| r.request.as_deref())
            .and_then(|r| r.split_once('/'));
        if let Some((namespace, name)) = replaced {
            let _ = self.nudges.send(ObjectRef::new(name).within(namespace));
        }
    }

    /// Write 1, and the write with which recovery begins.
    async fn record_intent(
        &self,
        intent: Intent,
        grounds: Grounds,
        pass: &mut Pass<'_>,
    ) -> Result<(), ApiError> {
        let issuing = intent.stage == Stage::Issuing;
        let mut finalizers = pass.request.metadata.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|f| f == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        let patch = metadata_patch(&pass.request, &finalizers, Some(&intent));
        if issuing {
            // Noted before it is sent: if the answer is lost, this process still knows that no POST followed.
            let (intent, progress) = (intent.clone(), Progress::Armed);
            pass.remembered.memory.attempt = Some(Attempt { intent, grounds, progress });
        }
        pass.request = self.patch_metadata(Effect::RecordIntent, &pass.request, &patch).await?;
        if !issuing {
            pass.remembered.memory.attempt = None;
            pass.reads.passes = None;
        }
        pass.reads.secret = None;
        pass.reads.deleted = None;
        pass.reads.brakes = None;
        Ok(())
    }

    async fn release(&self, intent: Option<&Intent>, pass: &mut Pass<'_>) -> Result<(), ApiError> {
        let mut finalizers = pass.request.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|f| f != FINALIZER);
        let patch = metadata_patch(&pass.request, &finalizers, intent);
        pass.request = self.patch_metadata(Effect::ReleaseFinalizer, &pass.request, &patch).await?;
        pass.remembered.code = None;
        if let Some(Attempt { progress: Progress::Armed, .. }) =
            pass.remembered.memory.attempt.take()
        {
            self.set_back(pass, Cause::HeldBack);
        }
        pass.reads = Reads::default();
        Ok(())
    }

    /// Takes the finalizer off a request of which only the metadata could be read.
    pub(super) async fn release_unread(&self, request: &TapRequest) -> Result<(), ApiError> {
        let mut finalizers = request.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|f| f != FINALIZER);
        let api: Api<PartialObjectMeta<TapRequest>> = Api::namespaced(
            self.client.clone(),
            request.metadata.namespace.as_deref().unwrap_or_default(),
        );
        let patch = Patch::Merge(metadata_patch(request, &finalizers, None));
        let (effect, name) = (Effect::ReleaseFinalizer, name(request));
        write::patch_metadata(effect, &api, &name, &as_operator(), &patch).await.map(drop)
    }

    async fn patch_metadata(
        &self,
        effect: Effect,
        request: &TapRequest,
        patch: &Value,
    ) -> Result<TapRequest, ApiError> {
        let api = requests(&self.client, request);
        write::patch(effect, &api, &name(request), &as_operator(), &Patch::Merge(patch)).await
    }

    /// The one POST of an attempt.
    async fn post(&self, intent: &Intent, pass: &mut Pass<'_>) {
        let request = request_id(&pass.request);
        let Some(attempt) =
            pass.remembered.memory.attempt.as_mut().filter(|a| a.intent.attempt == intent.attempt)
        else {
            return;
        };
        let Some(tenant) = self.tenants.get(&intent.connection) else {
            attempt.progress = Progress::Void;
            return;
        };
        // Sent while the lease is fresh and the list is, or not at all.
        let Some(fresh_until) = self.lease.fresh_until() else { return };
        let left = (intent.listed_at + POST_WINDOW)
            .duration_since(self.clocks.now(Some(&intent.tenant_id)).latest);
        let latest = fresh_until.min(Instant::now() + Duration::try_from(left).unwrap_or_default());
        attempt.progress = Progress::Sent;
        let new = NewPass {
            start: intent.start,
            lifetime_minutes: intent.lifetime_minutes,
            one_time: intent.one_time_use,
        };
        let outcome =
            tenant.client.create_pass_by(&intent.user_id, &new, &intent.attempt, latest).await;
        pass.reads.passes = None;
        let void = match outcome {
            Ok(created) => {
                self.own_passes.made(
                    &created.method.id,
                    &request,
                    &intent.tenant_id,
                    &intent.user_id,
                );
                let start = created.method.start.unwrap_or(created.date);
                let minutes = created.method.lifetime_minutes.unwrap_or(intent.lifetime_minutes);
                attempt.progress = Progress::Held(Held {
                    pass_id: created.method.id,
                    start,
                    expires: later(start, SignedDuration::from_mins(i64::from(minutes))),
                    one_time: created.method.one_time.unwrap_or(intent.one_time_use),
                    secret: SecretWritten::NotYet,
                });
                pass.remembered.code = Some(created.code);
                None
            }
            Err(CreateError::NotSent(error) | CreateError::Refused(error)) => {
                attempt.progress = Progress::Void;
                Some(Cause::Graph(error))
            }
            Err(CreateError::Unknown(error)) => {
                tracing::warn!(request = request.name, attempt = intent.attempt, %error, "the outcome of a POST is unknown");
                None
            }
        };
        if let Some(cause) = void {
            self.set_back(pass, cause);
        }
    }

    /// Write 2. The code is forgotten with it, however it comes out.
    async fn create_secret(&self, pass: &mut Pass<'_>) {
        let code = pass.remembered.code.take();
        let Some(attempt) = pass.remembered.memory.attempt.as_mut() else { return };
        let Progress::Held(held) = &mut attempt.progress else { return };
        let created = match (&code, (self.own_connection)()) {
            (Some(code), Ok(client)) => secret::create(
                &client,
                &pass.request,
                &attempt.intent.user_principal_name,
                code,
                held,
            )
            .await
            .map_err(|error| (error.outcome(), error.to_string())),
            (None, _) => Err((SecretWritten::Refused, "the code is not known any more".into())),
            (_, Err(error)) => Err((SecretWritten::Refused, error.to_string())),
        };
        match created {
            Ok(uid) => {
                pass.remembered.secret_uid = Some(uid.clone());
                held.secret = SecretWritten::Created(uid);
            }
            Err((outcome, why)) => {
                tracing::warn!(
                    request = name_of(&pass.request),
                    why,
                    "the Secret could not be created; the pass is taken back"
                );
                held.secret = outcome;
                // Whose a Secret of that name is depends on whether the request is still there.
                pass.outdated = true;
                self.set_back(pass, Cause::Secret(why));
            }
        }
    }

    /// Notes that an attempt failed, at the time that it is now: the call that failed may have taken long.
    fn set_back(&self, pass: &mut Pass<'_>, cause: Cause) {
        let tenant_id = Intent::of(&pass.request).map(|i| i.tenant_id);
        let now = self.clocks.now(tenant_id.as_deref()).earliest;
        let memory = &mut pass.remembered.memory;
        memory.setback = Some(Setback::after(memory.setback.take(), now, cause));
    }

    async fn delete_secret(&self, uid: &str, pass: &mut Pass<'_>) {
        pass.reads.place = None;
        let gone = match secret::delete(&self.client, &pass.request, uid).await {
            Ok(gone) => gone,
            Err(error) => {
                pass.reads.secret = Some(SecretFound::Unclear(error.to_string()));
                return;
            }
        };
        pass.reads.secret = gone.then_some(SecretFound::Deleted);
        let attempt = pass.remembered.memory.attempt.as_mut();
        if let Some(Attempt { progress: Progress::Held(held), .. }) = attempt
            && (gone || held.secret == SecretWritten::Created(uid.into()))
        {
            held.secret = SecretWritten::Removed;
        }
    }

    async fn delete_request(&self, pass: &mut Pass<'_>) -> Result<(), ApiError> {
        let exactly = Preconditions {
            uid: pass.request.metadata.uid.clone(),
            resource_version: pass.request.metadata.resource_version.clone(),
        };
        let api = requests(&self.client, &pass.request);
        let name = name(&pass.request);
        match write::delete(Effect::DeleteRequest, &api, &name, exactly).await {
            Ok(Some(marked)) => {
                pass.request = marked;
                Ok(())
            }
            Ok(None) | Err(ApiError::NotFound { .. }) => {
                pass.gone = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn at(request: &TapRequest) -> ObjectRef<GuardedRequest> {
    ObjectRef::new(&name(request)).within(request.metadata.namespace.as_deref().unwrap_or_default())
}

/// When something happened, as seen from a time that is not before it.
fn ago(then: Instant, now: Timestamp) -> Timestamp {
    now.checked_sub(then.elapsed()).unwrap_or(Timestamp::MIN)
}

fn note_missing<T>(
    told: &mut Option<Told>,
    read: &Result<T, GraphError>,
    asked: Timestamp,
    answered: Timestamp,
) {
    match read {
        Ok(_) => *told = None,
        Err(error) if error.is_not_found() => *told = Some(Told::again(*told, asked, answered)),
        // A failed read says nothing.
        Err(_) => {}
    }
}

fn metadata_patch(request: &TapRequest, finalizers: &[String], intent: Option<&Intent>) -> Value {
    let mut metadata =
        json!({ "resourceVersion": request.metadata.resource_version, "finalizers": finalizers });
    if let Some(intent) = intent {
        metadata["annotations"] = json!({ INTENT_ANNOTATION: intent.to_annotation() });
    }
    json!({ "metadata": metadata })
}

fn not_configured(connection: &str) -> GraphError {
    GraphError {
        call: "reach the tenant",
        kind: ErrorKind::Unavailable,
        status: None,
        code: String::new(),
        message: format!(
            "the operator has no tenant connection named {connection:?}: add it to its configuration"
        ),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

fn request_id(request: &TapRequest) -> RequestId {
    RequestId { uid: request.metadata.uid.clone().unwrap_or_default(), name: name_of(request) }
}
