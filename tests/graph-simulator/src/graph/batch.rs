//! `$batch`: up to twenty requests in one, each throttled, refused and answered for itself.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use crate::{
    switches::BatchThrottled,
    wire::{Answer, Content, Incoming, Refusal},
};

const MOST_ITEMS: usize = 20;

/// One request of a batch.
pub(super) struct Item {
    id: String,
    depends_on: Vec<String>,
    pub(super) incoming: Incoming,
}

impl Item {
    fn read(item: &Value, outer: &Incoming) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_str();
        let url = text("url")?;
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut headers = HeaderMap::new();
        for name in ["authorization", "host"] {
            if let Some(value) = outer.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        for (name, value) in item.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let name: HeaderName = name.parse().ok()?;
            headers.insert(name, HeaderValue::from_str(value.as_str()?).ok()?);
        }
        let depends_on = item.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            id: text("id")?.to_owned(),
            depends_on: depends_on
                .map(|id| id.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            incoming: Incoming {
                method: text("method")?.to_uppercase().parse::<Method>().ok()?,
                path: format!("/v1.0/{}", path.trim_start_matches('/')),
                query: query.to_owned(),
                headers,
                body: item
                    .get("body")
                    .map(|body| Bytes::from(body.to_string()))
                    .unwrap_or_default(),
            },
        })
    }
}

/// The requests of a batch, in its order.
pub(super) fn read(outer: &Incoming) -> Result<Vec<Item>, Refusal> {
    let body = outer.json()?;
    let invalid = |message: &str| Refusal::new(400, "BadRequest", message.to_owned());
    let items = body.get("requests").and_then(Value::as_array);
    let items = items
        .filter(|items| !items.is_empty())
        .ok_or_else(|| invalid("Invalid batch payload format."))?;
    if items.len() > MOST_ITEMS {
        return Err(invalid("Number of batch request steps exceeds the maximum value of 20."));
    }
    let mut read = Vec::new();
    for item in items {
        let item =
            Item::read(item, outer).ok_or_else(|| invalid("Invalid batch payload format."))?;
        if read.iter().any(|known: &Item| known.id == item.id) {
            return Err(invalid("Request Ids in the batch are not unique."));
        }
        read.push(item);
    }
    Ok(read)
}

/// What an item is answered whose dependency failed.
pub(super) fn failed_dependency() -> Refusal {
    Refusal::new(424, "FailedDependency", "A request that this one depends on failed.")
}

/// What the items were answered.
#[derive(Default)]
pub(super) struct Answers {
    statuses: HashMap<String, u16>,
    answers: Vec<Value>,
}

impl Answers {
    /// Whether all that the item depends on succeeded.
    pub(super) fn allow(&self, item: &Item) -> bool {
        let failed = |id: &String| self.statuses.get(id).is_none_or(|status| *status >= 400);
        !item.depends_on.iter().any(failed)
    }

    pub(super) fn add(&mut self, item: Item, answer: Answer) {
        let mut headers: Map<String, Value> = (answer.headers.iter())
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        let mut whole = json!({"id": item.id, "status": answer.status});
        if let Content::Json(body) = answer.content {
            headers.insert("content-type".into(), "application/json".into());
            whole["body"] = body;
        }
        whole["headers"] = Value::Object(headers);
        self.statuses.insert(item.id, answer.status);
        self.answers.push(whole);
    }

    /// The status of the batch itself.
    pub(super) fn status(&self, throttled: BatchThrottled) -> u16 {
        let any_throttled = self.statuses.values().any(|status| *status == 429);
        match throttled {
            BatchThrottled::FailedDependency if any_throttled => 424,
            _ => 200,
        }
    }

    pub(super) fn content(self) -> Content {
        Content::Json(json!({"responses": self.answers}))
    }
}
