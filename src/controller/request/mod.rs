//! The reconciler of requests: it performs the steps that the state machine decides, and reports each outcome to it.

mod act;
mod ask;
mod own;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::ObjectRef;

use self::own::OwnClient;
use super::announce;
use super::metrics::Controller;
use super::operator::Operator;
use crate::api::{Decision, Lean, TapRequest};
use crate::cluster::{ApiError, requests};
use crate::decision::ids::Uid;
use crate::decision::outcome::Outcome;
use crate::decision::requests::{Observed, Rested, Version};
use crate::decision::situation::{PolicyFound, Surroundings};
use crate::decision::step::{Rest, Step};
use crate::entra::PassCode;

/// More steps than a reconcile ever takes. After as many, it must be in a loop, and backs off.
const STEPS: usize = 64;
/// After how many failures in a row people are told of them: half a minute, in which a hiccup is over.
const FAILS: u32 = 5;
/// How often a request that waits for a change is reconciled without a cause.
const RESYNC: SignedDuration = SignedDuration::from_mins(10);

/// Reconciles a request. The state machine has begun its reconcile already.
pub async fn reconcile(operator: &Operator, uid: Uid) {
    let Some(observed) = operator.requests().observed(&uid).cloned() else { return };
    let tenant = operator.tenant_of(&uid, &observed);
    operator.tenant_was_asked(tenant.as_deref()).await;
    if let Some(unreadable) = &observed.unreadable {
        return operator.reconcile_unreadable(&uid, &observed, &unreadable.0).await;
    }
    let mut decided = Vec::new();
    operator.note_decisions(&uid, &mut decided);
    perform(operator, &uid, &observed, &mut decided).await;
    // Events come last: a decision may be a revocation, which must not wait for them.
    for (request, decision) in &decided {
        announce::decision(&operator.recorder(), request, decision).await;
    }
}

/// Performs one step after another until there is nothing left to do now. Between Graph's answer and the Secret, the code of
/// a pass is held here and nowhere else.
async fn perform(
    operator: &Operator,
    uid: &Uid,
    observed: &Observed,
    decided: &mut Vec<(Arc<TapRequest>, Decision)>,
) {
    let mut code: Option<PassCode> = None;
    let mut own: Option<OwnClient> = None;
    let mut steps = 0..STEPS;
    loop {
        let step = match steps.next() {
            Some(_) => operator.next_step(uid, observed),
            None => Step::Rest(Rest::Backoff(None)),
        };
        // What holds nothing is begun anew by the process that follows; its places are for those that take something away.
        let may_end = operator.requests().holds_nothing(uid);
        let step = match step {
            Step::Gone { .. } => step,
            _ if may_end && operator.ending.is_cancelled() => Step::Rest(Rest::ForChange),
            _ => step,
        };
        let (rested, failed) = match step {
            Step::Read => (None, operator.read(uid, observed, decided).await.err()),
            Step::Ask(questions) => {
                let asks = operator.ask(uid, questions, &mut own);
                let asked =
                    if may_end { operator.unless_ending(asks).await } else { Some(asks.await) };
                // Without an answer the next round ends it.
                (None, asked.and_then(Result::err))
            }
            Step::Act(action) => (None, operator.act(uid, action, &mut code, &mut own).await.err()),
            Step::Rest(rest) => (Some(operator.rest(uid, rest)), None),
            Step::Gone { asked_for_a_pass } => {
                return operator.gone(uid, observed, asked_for_a_pass);
            }
        };
        let rested = match failed {
            Some(error) => Some(operator.failed(uid, observed, &error).await),
            None => rested,
        };
        match rested {
            None => {}
            Some(Rested::Ended) => return,
            // The reconcile goes on while this process holds an answer of Graph, at the latest until that pass expires.
            Some(Rested::HoldsAnAnswer(length)) => {
                operator.sleep_beside(uid, length).await;
                operator.learn(uid, Outcome::Rested);
                steps = 0..STEPS;
            }
        }
    }
}

impl Operator {
    /// The id of a request's tenant: that of its pass, or of its policy. `None` if neither is known.
    fn tenant_of(&self, uid: &Uid, observed: &Observed) -> Option<Arc<str>> {
        let known = self.requests().tenant_of(uid);
        known.or_else(|| {
            let tenant = self.tenant_behind(&observed.party.policy)?;
            Some(tenant.connection.tenant_id.as_str().into())
        })
    }

    /// Asks the state machine for the next step of a request.
    fn next_step(&self, uid: &Uid, observed: &Observed) -> Step {
        let policy = self.stores.policies.get(&ObjectRef::new(&observed.party.policy));
        let (found, unreadable) = match policy.as_deref().map(|policy| &policy.0) {
            Some(Ok(policy)) => (Some(policy), None),
            Some(Err(invalid)) => (None, Some(invalid.error.as_str())),
            None => (None, None),
        };
        let terms = found.and_then(|policy| self.terms.of(policy));
        let connection = found
            .and_then(|policy| self.tenants.get(&policy.spec.tenant))
            .map(|tenant| &tenant.connection);
        let namespace = self.stores.namespaces.get(&ObjectRef::new(&observed.name.namespace));
        let guard = self.admission.borrow().guard.clone();
        let new_attempt = self.chance.id(uid.as_str()).to_string();
        let stop = self.stop().stop;
        self.with_requests(|requests, moment| {
            let known = requests.tenant_of(uid);
            let tenant_id = known.as_deref().or(connection.map(|c| c.tenant_id.as_str()));
            let around = Surroundings {
                now: self.clocks.now(tenant_id),
                settings: &self.settings,
                policy: match (found, unreadable) {
                    (Some(policy), _) => PolicyFound::Found(policy),
                    (None, Some(why)) => PolicyFound::Unreadable(why),
                    (None, None) => PolicyFound::Missing,
                },
                terms: terms.as_deref(),
                namespace: namespace.as_deref().map(|Lean(namespace)| namespace),
                connection,
                stop,
                guard: &guard,
                holder: &self.holder,
                lease_is_fresh: self.lease.is_fresh(),
                new_attempt: &new_attempt,
            };
            requests.next(uid, &around, moment)
        })
    }

    /// Sleeps for as long as a rest lasts, or until something happens to the request.
    async fn sleep_beside(&self, uid: &Uid, length: Duration) {
        let mut updates = self.updates.subscribe();
        let until = tokio::time::Instant::now() + length;
        while !self.requests().is_outrun(uid) {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                // The sender is dropped only with the operator.
                _ = updates.changed() => {}
            }
        }
    }

    /// Reads the request from the API server.
    async fn read(
        &self,
        uid: &Uid,
        observed: &Observed,
        decided: &mut Vec<(Arc<TapRequest>, Decision)>,
    ) -> Result<(), ApiError> {
        let found = requests::get(&self.client, &observed.name).await?;
        self.learn(uid, Outcome::Request(found.map(Arc::new)));
        self.note_decisions(uid, decided);
        Ok(())
    }

    /// Notes the decisions in a request that are new.
    fn note_decisions(&self, uid: &Uid, decided: &mut Vec<(Arc<TapRequest>, Decision)>) {
        let (request, new_decisions) = {
            let mut requests = self.requests();
            (requests.request(uid), requests.untold(uid))
        };
        let Some(request) = request else { return };
        if !new_decisions.is_empty() {
            let now = self.clocks.now(self.requests().tenant_of(uid).as_deref()).earliest;
            self.sightings().see(uid, &new_decisions, now);
        }
        let generation = self.policy_generation(&request.spec.policy_ref.name);
        for decision in new_decisions {
            // An event for what was told already would only repeat it.
            if !announce::decided(&request, &decision, generation) {
                decided.push((Arc::clone(&request), decision));
            }
        }
    }

    fn rest(&self, uid: &Uid, rest: Rest) -> Rested {
        self.with_requests(|requests, moment| {
            let tenant_id = requests.tenant_of(uid);
            requests.rest(uid, rest, moment, |rest, failures| {
                self.length(uid.as_str(), tenant_id.as_deref(), rest, failures)
            })
        })
    }

    /// The length of a rest on the local clock.
    fn length(&self, of: &str, tenant_id: Option<&str>, rest: Rest, failures: u32) -> Duration {
        let left = |time: Timestamp| self.left(tenant_id, time);
        if matches!(rest, Rest::Backoff(_) | Rest::BackoffUntil(..)) {
            self.metrics.retries();
        }
        match rest {
            Rest::ForChange => self.chance.jittered(of, RESYNC),
            Rest::For(length) => self.chance.jittered(of, length),
            Rest::Backoff(least) => self.chance.backoff(of, failures, least),
            Rest::BackoffUntil(least, time) => {
                self.chance.backoff(of, failures, least).min(left(time))
            }
            Rest::Until(time) => left(time),
        }
    }

    /// How long it is until a time by Graph's clock.
    fn left(&self, tenant_id: Option<&str>, time: Timestamp) -> Duration {
        let left = time.duration_since(self.clocks.now(tenant_id).earliest);
        // At most a day: the monotonic clock may stand still while the machine sleeps.
        let left = left.clamp(SignedDuration::from_millis(1), SignedDuration::from_hours(24));
        Duration::try_from(left).unwrap_or_default()
    }

    /// Ends a reconcile because a step failed.
    async fn failed(&self, uid: &Uid, observed: &Observed, error: &ApiError) -> Rested {
        self.metrics.reconcile_failed(Controller::Requests);
        self.metrics.retries();
        let request = self.requests().request(uid);
        let mut failures = 0;
        let rested = self.with_requests(|requests, moment| {
            requests.fail(uid, moment, |in_a_row| {
                failures = in_a_row;
                self.chance.backoff(uid.as_str(), failures, None)
            })
        });
        tracing::warn!(request = %observed.name, %error, failures, "reconciling the request failed");
        // What holds an answer of Graph goes on before anything is told.
        if let (FAILS, Rested::Ended, Some(request)) = (failures, &rested, request) {
            announce::failing(&self.recorder(), &request, failures, error).await;
        }
        rested
    }

    fn gone(&self, uid: &Uid, observed: &Observed, asked_for_a_pass: bool) {
        if asked_for_a_pass {
            tracing::error!(
                request = %observed.name,
                "the request was released and deleted while its pass was being requested: make sure in Entra that no pass is left"
            );
        }
        self.forget(uid);
    }

    /// Forgets a request that a reconcile found gone, before the watch shows it.
    fn forget(&self, uid: &Uid) {
        let last = self.requests().request(uid);
        let known = self.with_requests(|requests, moment| requests.gone(uid, moment));
        if let Some(known) = known {
            let is_known = |last: &Arc<TapRequest>| Version::of(&last.metadata) == known.version;
            self.request_is_gone(uid, &known, last.filter(is_known).as_deref());
        }
    }
}
