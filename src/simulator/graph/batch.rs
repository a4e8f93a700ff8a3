//! `$batch`: up to twenty requests in one, each throttled, refused and answered for itself.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::{
    super::{
        state::State,
        switches::BatchThrottled,
        wire::{Answer, Content, Incoming, Refusal},
    },
    Call,
};

const MOST_ITEMS: usize = 20;

impl State {
    pub(super) fn batch(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let body = call.incoming.json()?;
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
            let item = Item::read(item, call.incoming)
                .ok_or_else(|| invalid("Invalid batch payload format."))?;
            if read.iter().any(|known: &Item| known.id == item.id) {
                return Err(invalid("Request Ids in the batch are not unique."));
            }
            read.push(item);
        }
        let mut statuses: HashMap<String, u16> = HashMap::new();
        let (mut answers, mut whole) = (Vec::new(), Answer::empty(200));
        for item in read {
            let failed = |id: &String| statuses.get(id).is_none_or(|status| *status >= 400);
            let answer = if item.depends_on.iter().any(failed) {
                let refusal = Refusal::new(
                    424,
                    "FailedDependency",
                    "A request that this one depends on failed.",
                );
                self.refuse(&item.incoming, &refusal)
            } else {
                self.act_in_batch(call.number, &item.incoming, &mut whole)
            };
            statuses.insert(item.id.clone(), answer.status);
            answers.push(item.answer(answer));
        }
        let throttled = statuses.values().any(|status| *status == 429);
        whole.status = match self.switches.batch_throttled {
            BatchThrottled::FailedDependency if throttled => 424,
            _ => 200,
        };
        whole.content = Content::Json(json!({"responses": answers}));
        Ok(whole)
    }

    fn act_in_batch(&mut self, batch: u64, incoming: &Incoming, whole: &mut Answer) -> Answer {
        let number = self.begin(incoming, Some(batch), None);
        let answer = self.act(incoming, number);
        whole.tells.extend(&answer.tells);
        whole.items.push((number, incoming.clone(), answer.clone()));
        answer
    }
}

/// One request of a batch.
struct Item {
    id: String,
    depends_on: Vec<String>,
    incoming: Incoming,
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

    fn answer(&self, answer: Answer) -> Value {
        let mut headers: Map<String, Value> = (answer.headers.iter())
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        let mut whole = json!({"id": self.id, "status": answer.status});
        if let Content::Json(body) = answer.content {
            headers.insert("content-type".into(), "application/json".into());
            whole["body"] = body;
        }
        whole["headers"] = Value::Object(headers);
        whole
    }
}
