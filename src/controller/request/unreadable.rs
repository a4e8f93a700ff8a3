//! Requests that this version cannot read. Nothing is done for them, except that their deletion must end.

use super::RESYNC;
use crate::api::TapRequest;
use crate::cluster::{ApiError, requests, secret};
use crate::controller::announce;
use crate::controller::fence::Fence;
use crate::controller::operator::Operator;
use crate::decision::ids::Uid;
use crate::decision::intent::has_finalizer;
use crate::decision::requests::{Observed, Rested, life};
use crate::decision::situation::SecretFound;
use crate::decision::step::Rest;

impl Operator {
    /// Keeps the finalizer of an unreadable request until every pass of it has expired by itself.
    pub(super) async fn reconcile_unreadable(&self, uid: &Uid, observed: &Observed, why: &str) {
        // This process holds no answer for it, so the reconcile ends in each case.
        let _: Rested = match self.hold_unreadable(uid, observed, why).await {
            Ok(Some(rest)) => self.rest(uid, rest),
            Ok(None) => return self.forget(uid),
            Err(error) => self.failed(uid, observed, &error).await,
        };
    }

    /// Does what is due for the request. Returns how long there is nothing more to do, or `None` if it does not exist any
    /// more.
    async fn hold_unreadable(
        &self,
        uid: &Uid,
        observed: &Observed,
        why: &str,
    ) -> Result<Option<Rest>, ApiError> {
        let metadata = requests::get_metadata(&self.client, &observed.name).await?;
        let ours = metadata.filter(|metadata| metadata.uid.as_deref() == Some(uid.as_str()));
        let Some(metadata) = ours else { return Ok(None) };
        // Only the metadata can be read. The annotations hold the intent.
        let request = TapRequest::of_metadata(metadata);
        announce::unreadable(&self.recorder(), &request, why).await;
        if !has_finalizer(&request) {
            return Ok(Some(Rest::For(RESYNC)));
        }
        let (expires, now) = (life::latest_expiry(&request), self.clocks.now(None).earliest);
        if now < expires {
            return Ok(Some(Rest::For(RESYNC).or_until(expires, now)));
        }
        // Without the policy on Secrets, the operator cannot tell whose Secret it is.
        if self.admission.borrow().fence == Fence::Up {
            match secret::find(&self.client, &request).await {
                Ok(SecretFound::Ours(uid)) => {
                    secret::delete(&self.client, &request, &uid).await?;
                }
                Ok(_) => {}
                // Garbage collection deletes the Secret together with the request.
                Err(_) if request.is_being_deleted() => {}
                Err(error) => return Err(error),
            }
        }
        requests::release_unread(&self.client, &request.metadata).await?;
        Ok(Some(Rest::For(RESYNC)))
    }
}
