//! Requests and intents as the API server and the processes have them: each is kept once, and named by a number.
//!
//! The model holds the real objects, so that nothing is lost between them and the decisions. Two requests that differ
//! only in when a condition last changed, or in when they ended, are one: nothing is decided by that. The resource version
//! names an object, and says nothing of which of two is later: in which order a process sees them is the model's to say.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tap_operator::api::{DecisionKind, Phase, TapRequest};
use tap_operator::decision::intent::{self, Intent, Stage};
use tap_operator::decision::requests::Observed;

use super::clock::{Tick, tick, time};
use super::tenant::PassNo;
use super::world::number;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(u16);

/// A request, and what the model asks of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Object {
    pub request: Arc<TapRequest>,
    pub phase: Phase,
    pub reason: String,
    pub issued: bool,
    pub reconciling: bool,
    pub finalizer: bool,
    pub being_deleted: bool,
    pub revoked: bool,
    pub attempt: Option<AttemptFacts>,
    /// The pass in its status.
    pub pass: Option<PassNo>,
    /// What the watch shows of it.
    pub observed: Observed,
}

/// What the model asks of an intent.
#[derive(Clone, Debug)]
pub struct AttemptFacts {
    pub number: u8,
    pub open: bool,
    pub issuing: bool,
    /// Whether the status records the pass of this attempt.
    pub recorded: bool,
    pub listed: Vec<PassNo>,
    pub listed_at: Tick,
}

impl Object {
    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.phase.is_final() && !self.finalizer
    }

    /// Whether a pass may exist that nobody has recorded, and the request says so.
    pub fn is_unresolved(&self) -> bool {
        let open = self.attempt.as_ref().is_some_and(|a| a.open && !a.recorded);
        self.finalizer && !self.phase.is_final() && open
    }
}

#[derive(Default)]
pub struct Objects {
    kept: Vec<Rc<Object>>,
    ids: HashMap<String, ObjectId>,
    intents: Vec<Rc<Intent>>,
    intent_ids: HashMap<Intent, IntentId>,
}

impl Objects {
    pub fn object(&self, id: ObjectId) -> Rc<Object> {
        Rc::clone(&self.kept[id.0 as usize])
    }

    pub fn intent(&self, id: IntentId) -> Rc<Intent> {
        Rc::clone(&self.intents[usize::from(id.0)])
    }

    pub fn keep(&mut self, mut request: TapRequest) -> ObjectId {
        let key = key(&request);
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = ObjectId(u32::try_from(self.kept.len()).expect("few objects"));
        request.metadata.resource_version = Some(format!("v{}", id.0));
        self.kept.push(Rc::new(facts(request)));
        self.ids.insert(key, id);
        id
    }

    pub fn keep_intent(&mut self, intent: Intent) -> IntentId {
        if let Some(id) = self.intent_ids.get(&intent) {
            return *id;
        }
        let id = IntentId(u16::try_from(self.intents.len()).expect("few intents"));
        self.intents.push(Rc::new(intent.clone()));
        self.intent_ids.insert(intent, id);
        id
    }

    /// The same object, changed.
    pub fn changed(&mut self, id: ObjectId, change: impl FnOnce(&mut TapRequest)) -> ObjectId {
        let mut request = TapRequest::clone(&self.object(id).request);
        change(&mut request);
        self.keep(request)
    }
}

impl ObjectId {
    /// Which object has this version.
    pub fn of_version(version: &str) -> Self {
        Self(version.strip_prefix('v').and_then(|id| id.parse().ok()).expect("it names an object"))
    }

    /// Which object this is, as it was read.
    pub fn of(request: &TapRequest) -> Self {
        Self::of_version(request.metadata.resource_version.as_deref().expect("it was read"))
    }
}

fn key(request: &TapRequest) -> String {
    let mut request = request.clone();
    request.metadata.resource_version = None;
    if let Some(status) = &mut request.status {
        status.finished_at = None;
        for condition in &mut status.conditions {
            condition.last_transition_time = Time(time(0));
        }
    }
    serde_json::to_string(&request).expect("a request is JSON")
}

fn facts(request: TapRequest) -> Object {
    let status = request.status.clone().unwrap_or_default();
    let is_true = |name: &str| {
        status
            .conditions
            .iter()
            .any(|condition| condition.type_ == name && condition.status == "True")
    };
    let pass = status.pass.as_ref();
    let attempt = Intent::of(&request).map(|intent| AttemptFacts {
        number: number(&intent.attempt).expect("attempts are numbered"),
        open: intent.is_open(),
        issuing: intent.stage == Stage::Issuing,
        recorded: pass.is_some_and(|p| p.client_request_id == intent.attempt),
        listed: intent.listed.iter().filter_map(|id| number(id)).collect(),
        listed_at: tick(intent.listed_at),
    });
    Object {
        phase: status.phase,
        reason: request.ready().map(|ready| ready.reason.clone()).unwrap_or_default(),
        issued: is_true("Issued"),
        reconciling: is_true("Reconciling"),
        finalizer: intent::has_finalizer(&request),
        being_deleted: request.is_being_deleted(),
        revoked: request.decisions().iter().any(|d| d.decision == DecisionKind::Revoke),
        attempt,
        pass: pass.and_then(|p| number(&p.id)),
        observed: Observed::of(&request),
        request: Arc::new(request),
    }
}
