//! Performs the actions for a request. Each is one effect.

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::time::{Duration, Instant};

use super::own::OwnClient;
use crate::api::{Phase, TapRequest, TapRequestStatus};
use crate::cluster::{ApiError, requests, secret};
use crate::controller::announce;
use crate::controller::operator::Operator;
use crate::decision::ids::Uid;
use crate::decision::intent::{Intent, POST_WINDOW};
use crate::decision::outcome::{Outcome, Posted, SecretCreation};
use crate::decision::quota::Party;
use crate::decision::sightings::{approved_at, could_be_issued};
use crate::decision::situation::{Held, RefusedWrite, Written};
use crate::decision::step::Action;
use crate::entra::{CreateError, NewPass, PassCode};
use crate::graph::Share;

impl Operator {
    /// Performs an action, and reports its outcome to the state machine.
    pub(super) async fn act(
        &self,
        uid: &Uid,
        action: Action,
        code: &mut Option<PassCode>,
        own: &mut Option<OwnClient>,
    ) -> Result<(), ApiError> {
        let Some(request) = self.requests().request(uid) else { return Ok(()) };
        // No step but these two leads to the Secret.
        if !matches!(action, Action::Post(_) | Action::CreateSecret) {
            *code = None;
        }
        let client = &self.client;
        let outcome = match action {
            Action::WriteStatus(status) => return self.write_status(uid, &request, &status).await,
            Action::RecordIntent(intent, _) => {
                let recorded = requests::record_intent(client, &request, &intent).await;
                written(Written::Intent, recorded)?
            }
            Action::Release(intent) => {
                let released = requests::release(client, &request, intent.as_deref()).await;
                let outcome = written(Written::Release, released)?;
                if let Outcome::Refused(RefusedWrite { why, .. }) = &outcome {
                    announce::refused(&self.recorder(), &request, "remove the finalizer", why)
                        .await;
                }
                outcome
            }
            Action::Post(intent) => Outcome::Posted(self.post(&request, &intent, code).await),
            Action::CreateSecret => {
                Outcome::SecretCreated(self.create_secret(uid, &request, code, own.take()).await)
            }
            Action::DeleteSecret(secret) => {
                let deleted = secret::delete(client, &request, &secret).await;
                Outcome::SecretDeleted(deleted.map_err(|error| error.to_string()))
            }
            Action::DeletePass { connections, user_id, pass_id } => {
                let deleted = self.through(&connections, |c| c.delete_pass(&user_id, &pass_id));
                Outcome::PassDeleted(deleted.await)
            }
            Action::DeleteRequest => match requests::delete(client, &request).await {
                Ok(None) => Outcome::RequestDeleted,
                Ok(Some(marked)) => Outcome::Written(marked.into()),
                Err(ApiError::Conflict { .. }) => Outcome::Outdated,
                Err(error) => return Err(error),
            },
        };
        self.learn(uid, outcome);
        Ok(())
    }

    async fn write_status(
        &self,
        uid: &Uid,
        before: &TapRequest,
        status: &TapRequestStatus,
    ) -> Result<(), ApiError> {
        let status = self.sightings().added_to(uid, status.clone());
        let after = requests::write_status(&self.client, before, &status).await;
        let written = match written(Written::Status, after) {
            // Of writes to a deleted request only its release is owed.
            Err(error) if before.is_being_deleted() => {
                Outcome::Refused(RefusedWrite { what: Written::Status, why: error.to_string() })
            }
            written => written?,
        };
        let after = match written {
            Outcome::Written(after) => after,
            outcome => {
                if let Outcome::Refused(RefusedWrite { why, .. }) = &outcome {
                    let what = format!("write the status {}", status.phase);
                    announce::refused(&self.recorder(), before, &what, why).await;
                }
                self.learn(uid, outcome);
                return Ok(());
            }
        };
        // Known before it is announced: an event may take seconds to publish.
        self.learn(uid, Outcome::Written(Arc::clone(&after)));
        // What was seen is in the status now.
        self.sightings().forget(uid);
        self.count(before, &after);
        let generation = self.policy_generation(&after.spec.policy_ref.name);
        announce::transition(&self.recorder(), before, &after, generation).await;
        Ok(())
    }

    /// Counts what a write of the status shows.
    fn count(&self, before: &TapRequest, after: &TapRequest) {
        let phase = after.phase();
        if phase == before.phase() {
            return;
        }
        let reason = after.ready().map(|ready| ready.reason.as_str()).unwrap_or_default();
        self.metrics.entered(phase, reason);
        let policy = &after.spec.policy_ref.name;
        let tenant_id = after.status.as_ref().and_then(|status| status.resolved.as_ref());
        let now = self.clocks.now(tenant_id.map(|resolved| resolved.tenant_id.as_str())).earliest;
        if phase == Phase::Active {
            let found = self.stores.policies.get(&ObjectRef::new(policy));
            let terms = found.and_then(|policy| self.terms.of(policy.0.as_ref().ok()?));
            let lead_time = terms.map(|terms| terms.lead_time).unwrap_or_default();
            let began = could_be_issued(after, lead_time);
            self.metrics.issued(policy, now.duration_since(began));
        }
        if before.phase() == Phase::AwaitingApproval && !phase.is_final() {
            let since = before.ready().map_or(now, |ready| ready.last_transition_time.0);
            let approved = approved_at(after).unwrap_or(now);
            self.metrics.approved(policy, approved.duration_since(since));
        }
    }

    /// Sends the only POST of an attempt.
    async fn post(
        &self,
        request: &TapRequest,
        intent: &Intent,
        code: &mut Option<PassCode>,
    ) -> Posted {
        let Some(tenant) = self.tenants.get(&intent.connection) else {
            return Posted::NoConnection;
        };
        // The POST may only be sent while both the lease and the list of passes are fresh.
        let Some(fresh_until) = self.lease.fresh_until() else { return Posted::NotTried };
        let now: Timestamp = self.clocks.now(Some(&intent.tenant_id)).latest;
        let left = (intent.listed_at + POST_WINDOW).duration_since(now);
        let latest = fresh_until.min(Instant::now() + Duration::try_from(left).unwrap_or_default());
        let new = NewPass {
            start: intent.start,
            lifetime_minutes: intent.lifetime_minutes,
            one_time: intent.one_time_use,
        };
        let client = tenant.client.for_whom(share_of(request));
        match client.create_pass(&intent.user_id, &new, &intent.attempt, latest).await {
            Ok(created) => {
                *code = Some(created.code);
                Posted::Made(Box::new(created.method), created.date)
            }
            Err(CreateError::NotSent(error) | CreateError::Refused(error)) => {
                Posted::Refused(error)
            }
            Err(CreateError::Unknown(error)) => {
                let request = requests::name_of(request);
                tracing::warn!(request, attempt = intent.attempt, %error, "the outcome of a POST is unknown");
                Posted::Unknown
            }
        }
    }

    /// Creates the Secret. The code is dropped afterwards, unless the same Secret may be created again.
    async fn create_secret(
        &self,
        uid: &Uid,
        request: &TapRequest,
        code: &mut Option<PassCode>,
        own: Option<OwnClient>,
    ) -> SecretCreation {
        let held = self.requests().held(uid);
        let created = match (code.as_ref(), held, OwnClient::for_the_code(own, self)) {
            (Some(code), Some((upn, held)), Ok(own)) => {
                create(own.client(), request, &upn, code, &held).await
            }
            (None, ..) | (_, None, _) => {
                SecretCreation::Refused("the code is no longer known".into())
            }
            (.., Err(error)) => SecretCreation::Refused(error.to_string()),
        };
        if !matches!(created, SecretCreation::Busy(_)) {
            *code = None;
        }
        if let SecretCreation::Refused(why)
        | SecretCreation::Taken(why)
        | SecretCreation::Unknown(why) = &created
        {
            let request = requests::name_of(request);
            tracing::warn!(request, why, "the Secret could not be created; deleting the pass");
        }
        created
    }
}

async fn create(
    client: &kube::Client,
    request: &TapRequest,
    upn: &str,
    code: &PassCode,
    held: &Held,
) -> SecretCreation {
    let created = secret::create(client, request, upn, code, held).await;
    created.map_or_else(secret::CreateError::outcome, SecretCreation::Yes)
}

/// For whom calls to Graph are made for a request.
pub(super) fn share_of(request: &TapRequest) -> Share {
    let Party { namespace, requester, .. } = Party::of(request);
    Share { namespace, requester }
}

/// The outcome of a write of the request. If it is unknown, the reconcile ends with the error.
fn written(what: Written, answer: Result<TapRequest, ApiError>) -> Result<Outcome, ApiError> {
    match answer {
        Ok(written) => Ok(Outcome::Written(written.into())),
        // Somebody else wrote the request meanwhile, or it does not exist any more.
        Err(ApiError::Conflict { .. } | ApiError::NotFound { .. }) => Ok(Outcome::Outdated),
        // A server that is busy, or does not know the operator any more, refuses nothing in particular.
        Err(error @ ApiError::Refused { code: 401 | 429, .. }) => Err(error),
        Err(ApiError::Refused { message, .. }) => {
            Ok(Outcome::Refused(RefusedWrite { what, why: message }))
        }
        Err(error) => Err(error),
    }
}
