//! `CloudEvents` 1.0, structured content mode in JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).

use serde::Serialize;
use serde_json::{Value, json};

use crate::notice::message::Message;
use crate::notice::{Kind, Notice, Subject};

/// What the types of events begin with.
const TYPE: &str = "io.tap-operator.";

/// The data of an event. The names of fields are those of the audit trail.
#[derive(Serialize)]
struct Data<'a> {
    kind: Kind,
    summary: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
    #[serde(flatten)]
    subject: &'a Subject,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    how_to_approve: Vec<String>,
}

pub fn of(notice: &Notice, source: &str) -> Value {
    let how_to_approve = match (&notice.subject, notice.kind) {
        (Subject::Request(of_request), Kind::AwaitingApproval) => of_request.how_to_approve(),
        _ => Vec::new(),
    };
    let data = Data {
        kind: notice.kind,
        summary: Message::title(notice),
        reason: &notice.reason,
        explanation: notice.explanation.as_deref(),
        subject: &notice.subject,
        how_to_approve: how_to_approve.into_iter().map(|(_, command)| command).collect(),
    };
    json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": format!("{TYPE}{}", notice.kind.name()),
        "subject": notice.subject.name(),
        "time": notice.at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}
