//! What decisions about *other* requests, and about when to look at a request, need to know of it: little, and parsed once
//! for each version of the object.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;

use crate::api::{DecisionKind, Phase, TapRequest};
use crate::decision::Reason;
use crate::decision::checks;
use crate::decision::clock::later;
use crate::decision::ids::{PassId, RequestName, UserKey};
use crate::decision::intent::{self, Intent};
use crate::decision::quota::Party;
use crate::decision::requests::life;
use crate::decision::route::Route;
use crate::decision::situation::Connection;
use crate::entra::Cloud;

/// One version of a request, as the watch showed it or the API server answered.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Where it is.
    pub name: RequestName,
    /// Which version it is.
    pub version: Version,
    /// For whom its pass counts.
    pub party: Arc<Party>,
    /// When the API server created it.
    pub created: Timestamp,
    /// Id of the tenant that it has to do with, if that is known.
    pub tenant_id: Option<Arc<str>>,
    /// Its phase.
    pub phase: Phase,
    /// Whether the operator's finalizer is on it.
    pub finalizer: bool,
    /// Whether somebody wants its pass gone: it is being deleted, or was denied or revoked; or its Secret was taken away for
    /// that already.
    pub is_to_end: bool,
    /// Whether its status says that no tenant connection reaches its pass.
    pub says_unreached: bool,
    /// Whether its status names the Secret with the code.
    pub names_secret: bool,
    /// For whom it waits for another pass to end, or another request to be issued.
    pub contends: Option<Box<UserKey>>,
    /// For whom nobody may ask for a pass because of it: nobody knows yet what became of its POST.
    pub unresolved: Option<Box<Unresolved>>,
    /// The pass in its status.
    pub recorded: Option<Recorded>,
    /// When a finished request is to be deleted, where it says so.
    pub leaves_at: Option<Timestamp>,
    /// Why this version of the operator cannot read it, where it cannot.
    pub unreadable: Option<Arc<Unreadable>>,
}

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// As API servers count: a later version has a greater number (Kubernetes guarantees it from 1.35 on, and every server
    /// before that stored its objects in etcd, which counts so).
    Number(u64),
    /// Anything else: which of two is later cannot be told.
    Text(Box<str>),
}

/// The user, or as much as could be read of them, for whom an unresolved POST may still make a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unresolved {
    /// Id of the tenant; absent where it cannot be told.
    pub tenant_id: Option<Arc<str>>,
    /// Object id of the user; absent where it cannot be told.
    pub user_id: Option<Arc<str>>,
}

/// A pass in a status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// Id of the pass.
    pub pass_id: PassId,
    /// How long it is valid; absent once the request has ended, when nobody asks any more.
    pub valid: Option<Box<Validity>>,
    /// The attempt that the request carries.
    pub attempt: Option<Arc<Attempted>>,
}

/// How long a pass is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    /// From when.
    pub from: Timestamp,
    /// When it expires.
    pub until: Timestamp,
}

/// The attempt that a request with a recorded pass carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempted {
    /// The user.
    pub user: UserKey,
    /// The cloud of the tenant, if that is known.
    pub cloud: Option<Cloud>,
    /// The tenant connection.
    pub connection: Arc<str>,
    /// When the user's passes were listed before the POST.
    pub listed_at: Timestamp,
    /// The pass that the recorded one replaced. Absent, too, where another attempt made the recorded pass.
    pub replaces: Option<PassId>,
    /// Whether it is open, the request's own, and made the recorded pass.
    pub stands: bool,
}

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unreadable(pub String);

impl Version {
    /// The version of an object.
    pub fn of(meta: &ObjectMeta) -> Self {
        let text = meta.resource_version.as_deref().unwrap_or_default();
        text.parse().map_or_else(|_| Self::Text(text.into()), Self::Number)
    }

    /// A version of which nothing is known: any other may be later.
    pub fn unknown() -> Self {
        Self::Text("".into())
    }

    /// Whether it is known to be earlier than another.
    pub fn is_before(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Number(one), Self::Number(other)) if one < other)
    }
}

impl Recorded {
    /// When it expires, unless the request has ended.
    pub fn expires(&self) -> Option<Timestamp> {
        self.valid.as_ref().map(|valid| valid.until)
    }

    /// Whether one of these connections leads to the tenant of the pass.
    pub fn is_reached(&self, connections: &[Connection]) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.route().is_open(connections))
    }
}

impl Attempted {
    /// The way to its tenant.
    pub fn route(&self) -> Route<'_> {
        let Self { user, cloud, connection, .. } = self;
        Route { tenant_id: &user.tenant_id, cloud: *cloud, connection }
    }
}

impl Observed {
    /// What is to be known of a request.
    pub fn of(request: &TapRequest) -> Self {
        let intent = Intent::of(request);
        let recorded = request.status.as_ref().and_then(|status| status.pass.as_ref());
        let ends = |kind| kind != DecisionKind::Approve;
        let is_to_end = request.is_being_deleted()
            || request.decisions().iter().any(|d| ends(d.decision))
            || life::is_being_revoked(request);
        Self {
            name: name_of(&request.metadata),
            version: Version::of(&request.metadata),
            party: Arc::new(Party::of(request)),
            created: request.created(),
            tenant_id: tenant_of(request, intent.as_ref()),
            phase: request.phase(),
            finalizer: intent::has_finalizer(request),
            is_to_end,
            says_unreached: request
                .ready()
                .is_some_and(|ready| ready.reason == Reason::TenantNotConfigured.as_str()),
            names_secret: request
                .status
                .as_ref()
                .is_some_and(|status| status.secret_name.is_some()),
            contends: contends(request).filter(|_| !is_to_end).map(Box::new),
            unresolved: unresolved(request).map(Box::new),
            recorded: recorded.map(|pass| Recorded {
                pass_id: pass.id.as_str().into(),
                valid: (!intent::has_ended(request)).then(|| {
                    let (from, until) = (pass.start_time.0, pass.expiration_time.0);
                    Box::new(Validity { from, until })
                }),
                // Of one that has ended only that is asked about.
                attempt: intent
                    .filter(|intent| !intent::has_ended(request) || intent.replaces.is_some())
                    .map(|intent| Arc::new(attempted(request, &intent, &pass.client_request_id))),
            }),
            leaves_at: leaves_at(request),
            unreadable: None,
        }
    }

    /// What can be known of a request of which only the metadata could be read.
    pub fn unreadable(metadata: &ObjectMeta, why: &str) -> Self {
        Self {
            unresolved: None,
            unreadable: Some(Arc::new(Unreadable(why.into()))),
            ..Self::of(&TapRequest::of_metadata(metadata.clone()))
        }
    }

    /// The user of its pass, if it has not ended.
    pub fn issued_to(&self) -> Option<UserKey> {
        let attempt = self.recorded.as_ref()?.attempt.as_ref().filter(|_| !self.has_ended())?;
        Some(attempt.user.clone())
    }

    /// Whether it came to its end: beside a final phase only the finalizer is left to take off.
    pub fn has_ended(&self) -> bool {
        self.phase.is_final() && self.phase != Phase::Unknown
    }

    /// Whether it holds a live pass, or may hold one.
    pub fn holds(&self) -> bool {
        !self.has_ended() && (self.finalizer || self.phase == Phase::Active)
    }

    /// Whether there is nothing left to do for it, ever, but to delete it when its time to live is over.
    pub fn is_over(&self) -> bool {
        self.phase.is_final() && !self.finalizer && self.unreadable.is_none()
    }

    /// The recorded pass of a request that is as it should be: nobody wants it gone, and nothing is left open.
    pub fn settled(&self) -> Option<&Recorded> {
        let settled = self.phase == Phase::Active
            && self.finalizer
            && !self.is_to_end
            && !self.says_unreached
            && self.unresolved.is_none()
            && self.unreadable.is_none();
        let stands = |recorded: &&Recorded| recorded.attempt.as_ref().is_some_and(|a| a.stands);
        self.recorded.as_ref().filter(|_| settled).filter(stands)
    }
}

/// Where an object is.
pub fn name_of(meta: &ObjectMeta) -> RequestName {
    RequestName::new(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// Id of the tenant that a request has to do with. The intent of another object says nothing about it, and anybody can write
/// one into a new request.
fn tenant_of(request: &TapRequest, intent: Option<&Intent>) -> Option<Arc<str>> {
    if let Some(own) = intent.filter(|i| request.metadata.uid.as_deref() == Some(&i.uid)) {
        return Some(own.tenant_id.as_str().into());
    }
    if intent::is_of_another(request) {
        let resolved = request.status.as_ref()?.resolved.as_ref()?;
        return Some(resolved.tenant_id.as_str().into());
    }
    intent::remains(request).tenant_id.map(Into::into)
}

fn contends(request: &TapRequest) -> Option<UserKey> {
    let resolved = request.status.as_ref()?.resolved.as_ref()?;
    checks::contends(request).map(|user_id| UserKey::new(&resolved.tenant_id, user_id))
}

fn attempted(request: &TapRequest, intent: &Intent, recorded: &str) -> Attempted {
    let is_recorded = intent.attempt == recorded;
    let is_own = request.metadata.uid.as_deref() == Some(&intent.uid);
    let replaces = intent.replaces.as_ref().filter(|_| is_recorded);
    Attempted {
        user: UserKey::new(&intent.tenant_id, &intent.user_id),
        cloud: intent.cloud,
        connection: intent.connection.as_str().into(),
        listed_at: intent.listed_at,
        replaces: replaces.map(|replaced| replaced.pass_id.as_str().into()),
        stands: is_recorded && is_own && intent.is_open(),
    }
}

fn unresolved(request: &TapRequest) -> Option<Unresolved> {
    if !intent::has_finalizer(request) || request.phase().is_final() {
        return None;
    }
    let id = |text: String| -> Arc<str> { text.into() };
    if intent::is_unreadable(request) {
        let intent::Remains { tenant_id, user_id, .. } = intent::remains(request);
        return Some(Unresolved { tenant_id: tenant_id.map(id), user_id: user_id.map(id) });
    }
    let intent = intent::unresolved(request)?;
    Some(Unresolved { tenant_id: Some(id(intent.tenant_id)), user_id: Some(id(intent.user_id)) })
}

/// When a finished request is to be deleted: its time to live counts from the later of its end and the end of what it
/// asked for.
pub fn leaves_at(request: &TapRequest) -> Option<Timestamp> {
    let (spec, status) = (&request.spec, request.status.as_ref()?);
    let (ttl, start) = (spec.ttl_after_finished.as_ref()?, spec.start_time.as_ref()?);
    let finished = status.finished_at.as_ref().filter(|_| request.phase().is_final())?;
    let lifetime = status
        .resolved
        .as_ref()
        .map(|resolved| &resolved.lifetime)
        .or(spec.lifetime.as_ref())
        .and_then(|lifetime| lifetime.duration().ok())
        .unwrap_or(SignedDuration::from_hours(1));
    Some(later(finished.0.max(later(start.0, lifetime)), ttl.duration().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::INTENT_ANNOTATION;

    #[test]
    fn what_people_write_into_metadata_is_not_kept() {
        let request = |metadata: serde_json::Value| {
            let mut request = json!({
                "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
                "metadata": {"name": "lost-phone", "namespace": "helpdesk", "uid": "uid-1"},
                "spec": {"policyRef": {"name": "contoso"}, "user": "alice@contoso.com"},
            });
            json_patch::merge(&mut request, &json!({ "metadata": metadata }));
            Observed::of(&serde_json::from_value(request).unwrap())
        };
        let made_up = json!({"uid": "made up", "tenantId": "x".repeat(1000)}).to_string();
        let foreign = json!({
            "labels": {"team": "identity"}, "annotations": {"a": "b", INTENT_ANNOTATION: made_up},
            "managedFields": [{"manager": "kubectl"}],
        });
        assert_eq!(request(foreign), request(json!({})));
        let own = json!({"uid": "uid-1", "tenantId": "tenant"}).to_string();
        let own = request(json!({"annotations": { INTENT_ANNOTATION: own }}));
        assert_eq!(own.tenant_id.as_deref(), Some("tenant"));
    }
}
