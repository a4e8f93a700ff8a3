//! A request, as it is in the cluster and as this version reads it.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::api::{ConditionType, DecisionKind, Phase, TapRequest, TapRequestSpec};

/// A request: what the API server answered, with fields that this version may not know, and what this version reads of it.
#[derive(Clone, Debug)]
pub struct Record {
    raw: Value,
    request: TapRequest,
    unreadable: Option<String>,
}

impl Record {
    /// Reads an object. What cannot be read at all is an empty request with its name.
    pub fn new(object: DynamicObject) -> Self {
        let metadata = object.metadata.clone();
        let raw = serde_json::to_value(object).unwrap_or_default();
        match serde_json::from_value(raw.clone()) {
            Ok(request) => Self { raw, request, unreadable: None },
            Err(error) => {
                let request = TapRequest::of_metadata(metadata);
                Self { raw, request, unreadable: Some(error.to_string()) }
            }
        }
    }

    /// What this version reads of it.
    pub fn request(&self) -> &TapRequest {
        &self.request
    }

    /// Why this version cannot tell how far it is: another version wrote it.
    pub fn strange(&self) -> Option<String> {
        if let Some(error) = &self.unreadable {
            return Some(format!("{} cannot be read by this program: {error}", self.name()));
        }
        (self.phase() == Phase::Unknown).then(|| {
            format!(
                "{} is in a phase that this program does not know: {}",
                self.name(),
                self.phase_name()
            )
        })
    }

    /// Whether this version can read no more of it than its name.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }

    /// Whether it has ended, for all that this version can tell.
    pub fn has_ended(&self) -> bool {
        self.phase().is_final() && self.strange().is_none()
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

    /// The fields of its spec that are not as they were sent.
    pub fn altered(&self, sent: &TapRequestSpec) -> Vec<String> {
        let sent = serde_json::to_value(sent).unwrap_or_default();
        let kept = |field: &str| self.raw.pointer(&format!("/spec/{field}"));
        let fields = sent.as_object().into_iter().flatten();
        // Who asks is the API server's to say.
        let fields = fields.filter(|(field, _)| *field != "requestedBy");
        let altered = fields.filter(|(field, value)| kept(field) != Some(*value));
        altered.map(|(field, _)| format!("spec.{field}")).collect()
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

    /// The name of its phase, known to this version or not.
    pub fn phase_name(&self) -> &str {
        let phase = self.phase();
        let written = self.raw.pointer("/status/phase").and_then(Value::as_str);
        if phase == Phase::Unknown { written.unwrap_or(phase.name()) } else { phase.name() }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plugin::samples::{active, awaiting, ended, record};

    #[test]
    fn what_another_version_wrote_is_not_taken_for_an_end() {
        let mut novel = active().printed();
        novel["status"]["phase"] = "Novel".into();
        let novel = record(novel);
        assert!(!novel.has_ended());
        assert_eq!(
            novel.strange().unwrap(),
            "alice-inc0012345 is in a phase that this program does not know: Novel"
        );
        let mut unreadable = active().printed();
        unreadable["status"]["checks"] = json!([{ "name": "Novel", "result": "Novel" }]);
        let unreadable = record(unreadable);
        assert!(!unreadable.has_ended());
        assert!(unreadable.strange().unwrap().contains("cannot be read by this program"));
        assert_eq!((ended("Used", "PassUsed").has_ended(), active().strange()), (true, None));
    }

    #[test]
    fn what_was_not_kept_as_it_was_sent_is_named() {
        let kept = awaiting();
        let mut sent = kept.request().spec.clone();
        assert!(kept.altered(&sent).is_empty());
        sent.requested_by = Some("somebody".into());
        assert!(kept.altered(&sent).is_empty(), "the API server writes it");
        sent.recipients = Some(vec!["age1".into()]);
        sent.reason = Some("another".into());
        assert_eq!(kept.altered(&sent), ["spec.reason", "spec.recipients"]);
    }
}
