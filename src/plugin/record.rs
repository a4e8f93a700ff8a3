//! A request, as it is in the cluster and as this version reads it.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::api::{ConditionType, DecisionKind, Phase, TapRequest};

/// A request: what the API server answered, with fields that this version may not know, and what this version reads of it.
#[derive(Clone, Debug)]
pub struct Record {
    raw: Value,
    request: TapRequest,
}

impl Record {
    /// Reads an object. What cannot be read at all is an empty request with its name.
    pub fn new(object: DynamicObject) -> Self {
        let metadata = object.metadata.clone();
        let raw = serde_json::to_value(object).unwrap_or_default();
        let request = serde_json::from_value(raw.clone()).unwrap_or_else(|_| {
            let mut request = TapRequest::new("", crate::api::TapRequestSpec::default());
            request.metadata = metadata;
            request
        });
        Self { raw, request }
    }

    /// What this version reads of it.
    pub fn request(&self) -> &TapRequest {
        &self.request
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.request.name_any()
    }

    /// Its namespace.
    pub fn namespace(&self) -> String {
        self.request.namespace().unwrap_or_default()
    }

    /// Its uid.
    pub fn uid(&self) -> String {
        self.request.uid().unwrap_or_default()
    }

    /// As kubectl names it.
    pub fn title(&self) -> String {
        format!("taprequest.tap-operator.io/{}", self.name())
    }

    /// The object without what nobody reads, as kubectl prints it.
    pub fn printed(&self) -> Value {
        let mut object = self.raw.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        object
    }

    /// `status.resolved` exactly as it is in the cluster.
    pub fn resolved(&self) -> Option<&Value> {
        self.raw.pointer("/status/resolved")
    }

    /// Whether these fields have these values.
    pub fn has(&self, fields: &[(&str, &str)]) -> bool {
        fields.iter().all(|(field, value)| {
            let pointer = format!("/{}", field.replace('.', "/"));
            self.raw.pointer(&pointer).and_then(Value::as_str) == Some(value)
        })
    }

    /// Its phase.
    pub fn phase(&self) -> Phase {
        self.request.phase()
    }

    /// The reason of its condition Ready, or nothing.
    pub fn reason(&self) -> &str {
        self.request.ready().map_or("", |ready| &ready.reason)
    }

    /// The message of its condition Ready, or nothing.
    pub fn message(&self) -> &str {
        self.request.ready().map_or("", |ready| &ready.message)
    }

    /// Who asked.
    pub fn requester(&self) -> &str {
        self.request.spec.requested_by.as_deref().unwrap_or("")
    }

    /// For whom: the name of the user whom the operator found, once it has looked.
    pub fn user(&self) -> &str {
        let resolved = self.request.status.as_ref().and_then(|status| status.resolved.as_ref());
        resolved.map_or(&self.request.spec.user, |resolved| &resolved.user_principal_name)
    }

    /// The policy.
    pub fn policy(&self) -> &str {
        &self.request.spec.policy_ref.name
    }

    /// Whether enough people have approved.
    pub fn is_approved(&self) -> bool {
        let approved = self.request.condition(ConditionType::Approved);
        approved.is_some_and(|approved| approved.status == "True")
    }

    /// How many of the required approvals there are, such as 0/1.
    pub fn approvals(&self) -> &str {
        let status = self.request.status.as_ref();
        status.and_then(|status| status.approvals.as_deref()).unwrap_or("")
    }

    /// Whether this person made this decision.
    pub fn was_decided(&self, by: &str, decision: DecisionKind) -> bool {
        self.request.decisions().iter().any(|d| d.by == by && d.decision == decision)
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.request.status.as_ref()?.finished_at.as_ref().map(|time| time.0)
    }

    /// When it ends if nothing was issued by then.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.request.status.as_ref()?.deadline.as_ref().map(|time| time.0)
    }
}
