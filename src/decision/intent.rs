//! The intent: what is recorded on a request before its pass is asked for. It has all that recovery needs, even if the
//! policy, the user name or the configuration changes meanwhile.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clock::later;
use super::route::Route;
use crate::api::names::{FINALIZER, INTENT_ANNOTATION};
use crate::api::{Lifetime, Phase, TapRequest};
use crate::entra::Cloud;

/// How long after the list of passes on which an attempt is based its POST may be sent.
pub const POST_WINDOW: SignedDuration = SignedDuration::from_secs(30);

/// The longest annotation that is read, in bytes. No version of the operator writes a longer one, and admission lets nobody
/// create a request with one. So a longer one is not the operator's, and is not parsed.
pub const LONGEST: usize = 4096;

/// The longest annotation with which an attempt may begin, in bytes. Recovery records it again, with the names of other
/// processes, and must stay below [`LONGEST`].
pub const LONGEST_AT_FIRST: usize = 3072;

/// How long before that list a pass of ours may seem to have been created, because servers' clocks differ.
const CREATED_EARLY: SignedDuration = SignedDuration::from_secs(30);

/// One attempt to issue a pass, or to resolve the outcome of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The uid of the request that it belongs to. A copy restored from a backup has another uid.
    pub uid: String,
    /// Id of the attempt: the client-request-id of its POST. Each attempt and each recovery has its own.
    pub attempt: String,
    /// Number of the attempt; each attempt and each recovery raises it by one.
    pub number: u32,
    /// The process that wrote it.
    pub holder: String,
    /// Id of the tenant.
    pub tenant_id: String,
    /// The cloud of the tenant. Absent in intents of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Name of the tenant connection.
    pub connection: String,
    /// Object id of the user.
    pub user_id: String,
    /// User principal name of the user, for the Secret and for readers.
    pub user_principal_name: String,
    /// Lifetime of the pass in minutes.
    pub lifetime_minutes: u32,
    /// Whether the pass works only once.
    pub one_time_use: bool,
    /// The start time in the POST; absent if the pass starts when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When the pass has expired by itself, even if it was created as late as possible.
    pub latest_expiry: Timestamp,
    /// Ids of the user's passes just before the attempt.
    pub listed: Vec<String>,
    /// `Date` of the answer with that list.
    pub listed_at: Timestamp,
    /// The live pass that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
    /// The stage of the attempt.
    pub stage: Stage,
}

/// A live pass that is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// Id of the pass.
    pub pass_id: String,
    /// The request that recorded it, as namespace/name; absent for a pass that somebody else created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// The stage of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "name")]
pub enum Stage {
    /// One POST may have been sent.
    Issuing,
    /// The outcome of that POST is being resolved; no other POST is sent.
    Resolving {
        /// The start of the settle time. It is recorded once, and changed only if it turns out to lie in the future.
        since: Timestamp,
        /// Whether no Secret can have been asked for, because the process that sent the POST never received the code.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_secret: bool,
    },
    /// Nothing of the attempt is left. It is never resumed.
    Closed,
}

impl Intent {
    /// The intent of a request, if it has one that this version can read.
    pub fn of(request: &TapRequest) -> Option<Self> {
        serde_json::from_str(readable(request)?).ok()
    }

    /// The way to its tenant.
    pub fn route(&self) -> Route<'_> {
        Route { tenant_id: &self.tenant_id, cloud: self.cloud, connection: &self.connection }
    }

    /// The value of the annotation.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a pass of this intent may exist.
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    /// The same intent, closed.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self { stage: Stage::Closed, ..self.clone() }
    }

    /// The same intent, taken over to resolve the outcome of its POST: by the process that sent it and got no answer
    /// (`by_its_sender`), or by another.
    #[must_use]
    pub fn raised(
        &self,
        attempt: String,
        holder: String,
        now: Timestamp,
        by_its_sender: bool,
    ) -> Self {
        let (since, no_secret) = match self.stage {
            // A clock that was uncertain may have put it in the future.
            Stage::Resolving { since, no_secret } => (since.min(now), no_secret),
            Stage::Issuing | Stage::Closed => (now, by_its_sender),
        };
        Self {
            attempt,
            number: self.number.saturating_add(1),
            holder,
            stage: Stage::Resolving { since, no_secret },
            ..self.clone()
        }
    }

    /// Lifetime of the pass.
    pub fn lifetime(&self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.lifetime_minutes))
    }

    /// Lifetime of the pass in the form of the API.
    pub fn lifetime_text(&self) -> Lifetime {
        Lifetime::from_minutes(self.lifetime_minutes)
    }

    /// Whether a listed pass is the one that the POST of this intent created.
    ///
    /// A pass that somebody else created in the same period with the same values cannot be distinguished from ours.
    pub fn made(&self, pass: &crate::entra::TapMethod, settle: SignedDuration) -> bool {
        let in_time = pass.created.is_some_and(|t| {
            t >= self.listed_at - CREATED_EARLY && t <= later(self.listed_at, settle)
        });
        let same_start = self
            .start
            .is_none_or(|s| pass.start.is_some_and(|p| p.duration_since(s).as_secs() == 0));
        // A tenant that requires one-time use may make a pass one-time that was not asked to be. The reverse never happens.
        let same_flag = pass.one_time.is_none_or(|flag| flag || !self.one_time_use);
        let same_lifetime = pass.lifetime_minutes.is_none_or(|m| m == self.lifetime_minutes);
        !self.listed.contains(&pass.id) && in_time && same_start && same_flag && same_lifetime
    }
}

/// Whether a request carries an intent, whosever it is.
pub fn has_intent(request: &TapRequest) -> bool {
    text(request).is_some()
}

/// Whether a request has its own intent, and this version cannot read it.
pub fn is_unreadable(request: &TapRequest) -> bool {
    has_intent(request) && Intent::of(request).is_none() && !is_of_another(request)
}

/// Whether the intent of a request is not its own: it came with a copy restored from a backup, or was made up. Nobody can
/// know an object's uid when creating it, and afterwards only the operator may write the annotation.
pub fn is_of_another(request: &TapRequest) -> bool {
    has_intent(request) && remains(request).uid != request.metadata.uid
}

/// The readable parts of an intent that cannot be read as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The uid of the request that it belongs to.
    pub uid: Option<String>,
    /// Id of the tenant.
    pub tenant_id: Option<String>,
    /// Object id of the user.
    pub user_id: Option<String>,
    /// When the pass has expired by itself, even if it was created as late as possible.
    pub latest_expiry: Option<Timestamp>,
}

/// The readable parts of a request's intent, whichever version wrote it.
pub fn remains(request: &TapRequest) -> Remains {
    let intent = readable(request).and_then(|text| serde_json::from_str(text).ok());
    let intent: serde_json::Value = intent.unwrap_or_default();
    let field = |name: &str| intent.get(name)?.as_str().map(str::to_owned);
    let resolved = request.status.as_ref().and_then(|status| status.resolved.as_ref());
    Remains {
        uid: field("uid"),
        tenant_id: field("tenantId").or_else(|| Some(resolved?.tenant_id.clone())),
        user_id: field("userId").or_else(|| Some(resolved?.user_id.clone())),
        latest_expiry: field("latestExpiry").and_then(|time| time.parse().ok()),
    }
}

fn text(request: &TapRequest) -> Option<&String> {
    request.metadata.annotations.as_ref()?.get(INTENT_ANNOTATION)
}

/// The annotation, unless it is too long to be the operator's.
fn readable(request: &TapRequest) -> Option<&str> {
    text(request).map(String::as_str).filter(|text| text.len() <= LONGEST)
}

/// Whether the operator's finalizer is on a request.
pub fn has_finalizer(request: &TapRequest) -> bool {
    request.metadata.finalizers.as_ref().is_some_and(|f| f.iter().any(|f| f == FINALIZER))
}

/// Whether a request has ended: in a final phase at most the finalizer is left to remove. A phase that only a newer version
/// knows does not count, because it need not be final.
pub fn has_ended(request: &TapRequest) -> bool {
    request.phase().is_final() && request.phase() != Phase::Unknown
}

/// Whether no pass may be asked for this user, because the outcome of another request's POST is not known yet. The machine looks
/// that up in an index; this is the rule to which tests hold the index.
pub fn is_unresolved_for(other: &TapRequest, tenant_id: &str, user_id: &str) -> bool {
    if is_unreadable(other) && has_finalizer(other) && !other.phase().is_final() {
        let Remains { tenant_id: tenant, user_id: user, .. } = remains(other);
        return tenant.is_none_or(|tenant| tenant == tenant_id)
            && user.is_none_or(|user| user == user_id);
    }
    unresolved(other).is_some_and(|i| i.tenant_id == tenant_id && i.user_id == user_id)
}

/// The intent of a request if the outcome of its POST is not known yet.
pub fn unresolved(request: &TapRequest) -> Option<Intent> {
    if !has_finalizer(request) || request.phase().is_final() {
        return None;
    }
    let intent = Intent::of(request).filter(Intent::is_open)?;
    let recorded = request.status.as_ref().and_then(|s| s.pass.as_ref());
    let known = recorded.is_some_and(|p| p.client_request_id == intent.attempt);
    (!known && request.metadata.uid.as_deref() == Some(&intent.uid)).then_some(intent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A request with its own intent, and as many spaces after it as make it this long. To a parser they mean nothing.
    fn with_intent_of(bytes: usize) -> TapRequest {
        let time = "2026-11-24T08:00:00Z";
        let intent = json!({
            "uid": "uid-1", "attempt": "1", "number": 1, "holder": "pod", "tenantId": "tenant",
            "connection": "default", "userId": "user", "userPrincipalName": "alice@contoso.com",
            "lifetimeMinutes": 60, "oneTimeUse": true, "latestExpiry": time, "listed": [],
            "listedAt": time, "stage": {"name": "issuing"},
        });
        let intent = format!("{:bytes$}", intent.to_string());
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
            "metadata": {
                "name": "lost-phone", "uid": "uid-1", "finalizers": [FINALIZER],
                "annotations": { INTENT_ANNOTATION: intent },
            },
            "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"},
        });
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn what_is_too_long_to_be_the_operators_is_not_parsed() {
        let longest = with_intent_of(LONGEST);
        assert!(Intent::of(&longest).is_some() && !is_of_another(&longest));
        let longer = with_intent_of(LONGEST + 1);
        assert_eq!((Intent::of(&longer), remains(&longer)), (None, Remains::default()));
        // So it keeps no user from a pass, and its request ends like a copy.
        assert!(is_of_another(&longer) && !is_unreadable(&longer) && unresolved(&longer).is_none());
    }
}
