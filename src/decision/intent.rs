//! What is recorded on a request before a pass is asked for: all that recovery needs, whatever happens meanwhile to
//! policy, user name or configuration.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clock::later;
use crate::api::names::{FINALIZER, INTENT_ANNOTATION};
use crate::api::{Lifetime, Phase, TapRequest};

/// How long after the list that an attempt rests on its POST may be sent.
pub const POST_WINDOW: SignedDuration = SignedDuration::from_secs(30);

/// How much earlier than the list before it a pass of ours may claim to have been created: servers' clocks differ.
const CREATED_EARLY: SignedDuration = SignedDuration::from_secs(30);

/// One attempt to issue a pass, or to find out what became of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The uid of the request that it belongs to. A restored copy has another uid.
    pub uid: String,
    /// Id of the attempt: the client-request-id of its POST. Each attempt and each recovery has its own.
    pub attempt: String,
    /// Raised by one with each attempt and each recovery.
    pub number: u32,
    /// The process that made it.
    pub holder: String,
    /// Id of the tenant.
    pub tenant_id: String,
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
    /// The start that is sent; absent where the pass starts when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When the pass has expired by itself, however late it was made.
    pub latest_expiry: Timestamp,
    /// Ids of the user's passes just before.
    pub listed: Vec<String>,
    /// `Date` of the answer with that list.
    pub listed_at: Timestamp,
    /// The live pass that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
    /// How far it is.
    pub stage: Stage,
}

/// A live pass that is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// Id of the pass.
    pub pass_id: String,
    /// The request that recorded it, as namespace/name; absent for a pass that somebody else made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// How far an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "name")]
pub enum Stage {
    /// One POST may have been sent.
    Issuing,
    /// What became of that POST is being found out; no other is sent.
    Resolving {
        /// From when the settle time counts. Noted once, and again only where it turns out to lie ahead.
        since: Timestamp,
        /// Whether it is known that no Secret was asked for: who sent the POST never learned the code.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_secret: bool,
    },
    /// Nothing that it made is left. Never resumed.
    Closed,
}

impl Intent {
    /// The intent of a request, if it has a readable one.
    pub fn of(request: &TapRequest) -> Option<Self> {
        serde_json::from_str(text(request)?).ok()
    }

    /// The text for the annotation.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a pass may exist that this intent made.
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    /// The same intent, closed.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self { stage: Stage::Closed, ..self.clone() }
    }

    /// The same intent, taken over to find out what became of its POST; by who sent it and never got an answer, or by
    /// another.
    #[must_use]
    pub fn raised(
        &self,
        attempt: String,
        holder: String,
        now: Timestamp,
        by_its_sender: bool,
    ) -> Self {
        let (since, no_secret) = match self.stage {
            // A clock that was not certain may have put it ahead of now.
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

    /// Lifetime of the pass, as it is written.
    pub fn lifetime_text(&self) -> Lifetime {
        Lifetime::from_minutes(self.lifetime_minutes)
    }

    /// Whether a listed pass is the one that the POST of this intent made.
    ///
    /// A twin made by a person in the same seconds, with the same values, cannot be told from ours.
    pub fn made(&self, pass: &crate::graph::TapMethod, settle: SignedDuration) -> bool {
        let in_time = pass.created.is_some_and(|t| {
            t >= self.listed_at - CREATED_EARLY && t <= later(self.listed_at, settle)
        });
        let same_start = self
            .start
            .is_none_or(|s| pass.start.is_some_and(|p| p.duration_since(s).as_secs() == 0));
        // A tenant that demands one-time use may coerce the flag, never the other way round.
        let same_flag = pass.one_time.is_none_or(|flag| flag || !self.one_time_use);
        let same_lifetime = pass.lifetime_minutes.is_none_or(|m| m == self.lifetime_minutes);
        !self.listed.contains(&pass.id) && in_time && same_start && same_flag && same_lifetime
    }
}

/// Whether a request has an intent of its own that this version cannot read.
pub fn is_unreadable(request: &TapRequest) -> bool {
    text(request).is_some() && Intent::of(request).is_none() && !is_of_another(request)
}

/// Whether a request has an intent that is not its own: it came with a copy from a backup, or somebody made it up. Nobody
/// can know an object's uid when creating it, and afterwards only the operator writes the annotation.
pub fn is_of_another(request: &TapRequest) -> bool {
    text(request).is_some() && remains(request).uid != request.metadata.uid
}

/// What can be told of an intent that cannot be read as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The uid of the request that it belongs to.
    pub uid: Option<String>,
    /// Id of the tenant.
    pub tenant_id: Option<String>,
    /// Object id of the user.
    pub user_id: Option<String>,
    /// When the pass has expired by itself, however late it was made.
    pub latest_expiry: Option<Timestamp>,
}

/// What can be told of a request's intent, whatever wrote it.
pub fn remains(request: &TapRequest) -> Remains {
    let intent = text(request).and_then(|text| serde_json::from_str(text).ok());
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

/// Whether the operator's finalizer is on a request.
pub fn has_finalizer(request: &TapRequest) -> bool {
    request.metadata.finalizers.as_ref().is_some_and(|f| f.iter().any(|f| f == FINALIZER))
}

/// Whether a request has ended: beside a final phase only the finalizer is left to take off. A word of a newer version is
/// not known to be one.
pub fn has_ended(request: &TapRequest) -> bool {
    request.phase().is_final() && request.phase() != Phase::Unknown
}

/// Whether nobody may ask for a pass for this user because of another request: nobody knows the outcome of its POST yet.
pub fn is_unresolved_for(other: &TapRequest, tenant_id: &str, user_id: &str) -> bool {
    if is_unreadable(other) && has_finalizer(other) && !other.phase().is_final() {
        let Remains { tenant_id: tenant, user_id: user, .. } = remains(other);
        return tenant.is_none_or(|tenant| tenant == tenant_id)
            && user.is_none_or(|user| user == user_id);
    }
    unresolved(other).is_some_and(|i| i.tenant_id == tenant_id && i.user_id == user_id)
}

/// The intent of a request for whose POST nobody knows the outcome yet, if it has one.
pub fn unresolved(request: &TapRequest) -> Option<Intent> {
    if !has_finalizer(request) || request.phase().is_final() {
        return None;
    }
    let intent = Intent::of(request).filter(Intent::is_open)?;
    let recorded = request.status.as_ref().and_then(|s| s.pass.as_ref());
    let known = recorded.is_some_and(|p| p.client_request_id == intent.attempt);
    (!known && request.metadata.uid.as_deref() == Some(&intent.uid)).then_some(intent)
}
