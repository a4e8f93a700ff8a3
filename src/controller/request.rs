//! The reconciler of requests: ask what is next, do it, until there is nothing to do now.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Resource as _;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::announce;
use super::error::{ApiError, call};
use super::fence::Fence;
use super::operator::Operator;
use super::pass::{Pass, Remembered, name_of, requests};
use super::secret;
use super::watches::GuardedRequest;
use crate::api::{TapRequest, TapRequestSpec};
use crate::decision::intent::{Intent, has_finalizer, unresolved};
use crate::decision::life;
use crate::decision::life::situation::{
    PolicyFound, Progress, Reads, SecretFound, Situation, Slot,
};
use crate::decision::life::step::{Rest, Step};
use crate::decision::quota::{Bounds, holds};

/// More steps than any life has: beyond them something goes in circles, and a backoff is due.
const STEPS: usize = 64;
/// How often a request that waits for a change is looked at all the same.
const RESYNC: SignedDuration = SignedDuration::from_mins(10);

/// Reconciles one request.
pub async fn reconcile(
    seen: Arc<GuardedRequest>,
    operator: Arc<Operator>,
) -> Result<Action, ApiError> {
    if !operator.works() {
        return Ok(Action::await_change());
    }
    let seen = match &seen.0 {
        Ok(request) => request,
        Err(invalid) => return operator.hold(invalid).await,
    };
    let uid = seen.metadata.uid.clone().unwrap_or_default();
    let remembered = {
        let mut memories = operator.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(memories.entry(uid.clone()).or_default())
    };
    let mut remembered = remembered.lock().await;
    let outcome = operator.pass_over(seen, &mut remembered).await;
    let action = match outcome {
        Ok(Some(rest)) => {
            if matches!(rest, Rest::Backoff(_) | Rest::BackoffUntil(..)) {
                remembered.failures = remembered.failures.saturating_add(1);
            } else if !std::mem::take(&mut remembered.awaiting_a_look) {
                remembered.failures = 0;
            }
            // What has ended and is let go is never needed again, and such records may be many.
            if seen.phase().is_final() && rest == Rest::ForChange {
                operator.forget(&uid);
            }
            Ok(operator.action(seen, rest, remembered.failures))
        }
        Ok(None) => {
            operator.forget(&uid);
            operator.give_back_place(&uid, &seen.spec.policy_ref.name);
            Ok(Action::await_change())
        }
        Err(error) => {
            // Whether it holds a pass is not known.
            operator.quotas.keep(&uid);
            remembered.failures = remembered.failures.saturating_add(1);
            tracing::warn!(request = name_of(seen), %error, failures = remembered.failures, "a pass over a request failed");
            operator.metrics.reconcile_failed();
            Ok(Action::requeue(operator.chance.backoff(&uid, remembered.failures, None)))
        }
    };
    drop(remembered);
    action
}

impl Operator {
    /// Nothing is left to do for a request, and nobody waits for it any more.
    fn forget(&self, uid: &str) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.turns.give_back(uid);
        self.tenants.values().for_each(|tenant| tenant.sightings.forget(uid));
    }

    /// Forgets requests that are no longer in the cache: no pass over them begins any more. What one that is under way
    /// holds is its own to take back.
    pub(super) fn forget_the_gone(&self) {
        let cached: HashSet<String> =
            self.requests().iter().filter_map(|request| request.meta().uid.clone()).collect();
        let memories: Vec<_> = {
            let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = memories.iter().filter(|(uid, _)| !cached.contains(*uid));
            gone.map(|(uid, memory)| (uid.clone(), Arc::clone(memory))).collect()
        };
        for (uid, memory) in memories {
            let Ok(remembered) = memory.try_lock() else { continue };
            if remembered.holds_an_answer() {
                tracing::error!(
                    uid,
                    "the request was released and deleted before its pass was recorded: see in Entra that none is left"
                );
            }
            self.forget(&uid);
            self.quotas.give_back(&uid);
        }
    }

    /// A request that cannot be read: nothing is done for it, but its deletion must end.
    async fn hold(&self, invalid: &InvalidObject) -> Result<Action, ApiError> {
        // All that is known of it. An intent stands in its annotations.
        let mut request = TapRequest::new("", TapRequestSpec::default());
        request.metadata = invalid.metadata.clone();
        announce::unreadable(&self.recorder(), &request, &invalid.error).await;
        let resync = self.length(&request, Rest::ForChange, 0);
        if !has_finalizer(&request) {
            return Ok(Action::requeue(resync));
        }
        let expires = life::latest_expiry(&request);
        if self.clocks.now(None).earliest < expires {
            return Ok(Action::requeue(self.left(&request, expires).min(resync)));
        }
        // Where the policy on Secrets is not in force it cannot be told whose Secret it is.
        if self.admission.borrow().fence == Fence::Up {
            match secret::find(&self.client, &request).await {
                Ok(SecretFound::Ours(uid)) => {
                    secret::delete(&self.client, &request, &uid).await?;
                }
                Ok(_) => {}
                // It goes with the request.
                Err(_) if request.is_being_deleted() => {}
                Err(error) => return Err(error),
            }
        }
        self.release_unread(&request).await?;
        Ok(Action::await_change())
    }

    /// One pass over a request; `None` when it is gone.
    async fn pass_over(
        &self,
        seen: &TapRequest,
        remembered: &mut Remembered,
    ) -> Result<Option<Rest>, ApiError> {
        let Some(request) = self.read(seen, remembered).await? else { return Ok(None) };
        let policy = self.stores.policies.get(&ObjectRef::new(&request.spec.policy_ref.name));
        let decided = announce::decided(&request, &mut remembered.told);
        let mut pass = Pass {
            request,
            policy,
            reads: Reads::default(),
            remembered,
            place: None,
            now: Timestamp::UNIX_EPOCH,
            outdated: false,
            gone: false,
        };
        let outcome = self.steps(&mut pass).await;
        // What was seen of the pass must be acted on soon, not at the next look.
        if outcome.is_err() || matches!(pass.reads.secret, Some(SecretFound::Unclear(_))) {
            pass.remembered.memory.looked_at = None;
        }
        // Also where it ended with an error: the request may be deleted before it is looked at again.
        self.give_back(&pass);
        // After what had to be done: a decision may be to take something away.
        announce::decisions(&self.recorder(), &pass.request, &decided).await;
        outcome
    }

    /// Decides and acts until there is nothing to do now; `None` when the request is gone.
    async fn steps(&self, pass: &mut Pass<'_>) -> Result<Option<Rest>, ApiError> {
        let mut steps = 0;
        while steps < STEPS {
            steps += 1;
            let (step, now) = self.decide(pass);
            pass.now = now;
            match step {
                Step::Look(look) => {
                    if let Some(rest) = self.look(look, pass).await? {
                        pass.remembered.awaiting_a_look = true;
                        return Ok(Some(rest));
                    }
                }
                Step::Act(action) => {
                    match self.act(action, pass).await {
                        // Somebody wrote it meanwhile, or it is gone.
                        Err(ApiError::Conflict { .. } | ApiError::NotFound { .. }) => {
                            pass.outdated = true;
                        }
                        done => done?,
                    }
                    if std::mem::take(&mut pass.outdated) && !self.read_again(pass).await? {
                        return Ok(None);
                    }
                }
                // The request may be gone before anybody looks at it again: what is held for it is taken back here and
                // now.
                Step::Rest(rest) if pass.remembered.holds_an_answer() => {
                    pass.place = None;
                    tokio::time::sleep(self.length(&pass.request, rest, pass.remembered.failures))
                        .await;
                    pass.remembered.failures = pass.remembered.failures.saturating_add(1);
                    self.read_again(pass).await?;
                    // It ends at the expiry of what is held.
                    steps = 0;
                }
                Step::Rest(rest) => return Ok((!pass.gone).then_some(rest)),
            }
            if pass.gone {
                return Ok(None);
            }
        }
        Ok(Some(Rest::Backoff(None)))
    }

    /// Starts anew from the request as it is now. Answers whether there is one.
    async fn read_again(&self, pass: &mut Pass<'_>) -> Result<bool, ApiError> {
        let Some(request) = self.read(&pass.request, pass.remembered).await? else {
            return Ok(false);
        };
        pass.request = request;
        pass.reads = Reads::default();
        Ok(true)
    }

    fn decide(&self, pass: &Pass<'_>) -> (Step, Timestamp) {
        let request = &pass.request;
        let intent = Intent::of(request).filter(|_| has_finalizer(request));
        let (policy, unreadable) = match pass.policy.as_deref().map(|p| &p.0) {
            Some(Ok(policy)) => (Some(policy), None),
            Some(Err(invalid)) => (None, Some(invalid.error.clone())),
            None => (None, None),
        };
        let connection =
            policy.and_then(|p| self.tenants.get(&p.spec.tenant)).map(|tenant| &tenant.connection);
        let tenant_id = intent
            .as_ref()
            .map(|i| i.tenant_id.as_str())
            .or(connection.map(|c| c.tenant_id.as_str()));
        let namespace = self
            .stores
            .namespaces
            .get(&ObjectRef::new(request.metadata.namespace.as_deref().unwrap_or_default()));
        let superseded_by = self.superseded_by(request);
        let new_attempt =
            self.chance.id(request.metadata.uid.as_deref().unwrap_or_default()).to_string();
        let now = self.clocks.now(tenant_id);
        let guard = self.admission.borrow().guard.clone();
        let step = life::next(&Situation {
            request,
            now,
            settings: &self.settings,
            policy: match (policy, &unreadable) {
                (Some(policy), _) => PolicyFound::Found(policy),
                (None, Some(why)) => PolicyFound::Unreadable(why),
                (None, None) => PolicyFound::Missing,
            },
            namespace: namespace.as_deref(),
            connection,
            stop: self.stop(),
            guard: &guard,
            holder: &self.holder,
            lease_is_fresh: self.lease.is_fresh(),
            new_attempt: &new_attempt,
            superseded_by: superseded_by.as_deref(),
            reads: &pass.reads,
            memory: &pass.remembered.memory,
        });
        (step, now.earliest)
    }

    /// The request as the API server has it now, without what is remembered of an attempt that it does not carry. One that
    /// has ended and holds nothing is as good from the cache.
    async fn read(
        &self,
        seen: &TapRequest,
        remembered: &mut Remembered,
    ) -> Result<Option<TapRequest>, ApiError> {
        if seen.phase().is_final() && !has_finalizer(seen) && remembered.memory.attempt.is_none() {
            return Ok(Some(seen.clone()));
        }
        let api = requests(&self.client, seen);
        let found =
            call("get TapRequest", api.get_opt(seen.metadata.name.as_deref().unwrap_or_default()))
                .await?;
        match found {
            Some(request) if request.metadata.uid == seen.metadata.uid => {
                remembered.drop_unrecorded(&request);
                Ok(Some(request))
            }
            // It is gone, or another one has its name. What this process still holds for it must go.
            _ => match remembered.memory.attempt.as_ref().map(|attempt| &attempt.progress) {
                Some(Progress::Held(_)) => Ok(Some(without_finalizer(seen))),
                Some(Progress::Sent) => {
                    tracing::error!(
                        request = name_of(seen),
                        user = seen.spec.user,
                        "the request was released and deleted while its pass was asked for: see in Entra that none is left"
                    );
                    Ok(None)
                }
                _ => Ok(None),
            },
        }
    }

    /// The request whose recorded pass replaced the pass of this one.
    fn superseded_by(&self, request: &TapRequest) -> Option<String> {
        let pass_id = &request.status.as_ref()?.pass.as_ref()?.id;
        let superseding = |other: Arc<GuardedRequest>| {
            let other = other.0.as_ref().ok().filter(|o| o.metadata.uid != request.metadata.uid)?;
            let intent = Intent::of(other)
                .filter(|i| i.replaces.as_ref().is_some_and(|r| r.pass_id == *pass_id))?;
            let recorded = other.status.as_ref()?.pass.as_ref()?;
            (recorded.client_request_id == intent.attempt).then(|| name_of(other))
        };
        self.requests().into_iter().filter_map(superseding).min()
    }

    /// The turn for a user is given back once nothing of the request is unresolved, the place within a quota once it can
    /// hold no pass.
    fn give_back(&self, pass: &Pass<'_>) {
        let uid = pass.request.metadata.uid.as_deref().unwrap_or_default();
        let unsettled = pass.remembered.memory.attempt.is_some();
        if !unsettled && unresolved(&pass.request).is_none() {
            self.turns.give_back(uid);
        }
        let waits = matches!(pass.reads.slot, Some(Slot::Contested(_) | Slot::Taken(_)));
        if unsettled || holds(&pass.request) {
            self.quotas.keep(uid);
        } else if !waits {
            self.give_back_place(uid, &pass.request.spec.policy_ref.name);
        }
    }

    fn give_back_place(&self, uid: &str, policy: &str) {
        self.quotas.give_back(uid);
        self.call_who_waits(policy);
    }

    /// Looks again at those who wait for a place within the quota of a policy and find one now.
    pub(super) fn call_who_waits(&self, policy: &str) {
        if !self.quotas.is_waited_for(policy) {
            return;
        }
        // One that changes, comes or goes has all who wait for it looked at anyway.
        let Some(found) = self.stores.policies.get(&ObjectRef::new(policy)) else { return };
        let Some(issuance) = found.0.as_ref().ok().and_then(|p| p.spec.issuance.as_ref()) else {
            return;
        };
        for at in self.quotas.call(policy, &Bounds::of(issuance), &self.stores.requests) {
            let _ = self.nudges.send(at);
        }
    }

    fn action(&self, seen: &TapRequest, rest: Rest, failures: u32) -> Action {
        match rest {
            Rest::ForChange if seen.phase().is_final() => Action::await_change(),
            rest => Action::requeue(self.length(seen, rest, failures)),
        }
    }

    /// How long a rest is, on the local clock.
    fn length(&self, request: &TapRequest, rest: Rest, failures: u32) -> Duration {
        let uid = request.metadata.uid.as_deref().unwrap_or_default();
        match rest {
            Rest::ForChange => self.chance.jittered(uid, RESYNC),
            Rest::For(length) => self.chance.jittered(uid, length),
            Rest::Backoff(least) => self.chance.backoff(uid, failures, least),
            Rest::BackoffUntil(least, time) => {
                self.chance.backoff(uid, failures, least).min(self.left(request, time))
            }
            Rest::Until(time) => self.left(request, time),
        }
    }

    /// How long it is until a time at Graph, on the local clock.
    fn left(&self, request: &TapRequest, time: Timestamp) -> Duration {
        let resolved = request.status.as_ref().and_then(|status| status.resolved.as_ref());
        let tenant_id = resolved.map(|resolved| resolved.tenant_id.as_str());
        let left = time.duration_since(self.clocks.now(tenant_id).earliest);
        // No longer than a day: timers are monotonic, and a machine may have slept.
        let left = left.clamp(SignedDuration::from_millis(1), SignedDuration::from_hours(24));
        Duration::try_from(left).unwrap_or_default()
    }
}

fn without_finalizer(request: &TapRequest) -> TapRequest {
    let mut request = request.clone();
    request.metadata.finalizers = None;
    request
}
