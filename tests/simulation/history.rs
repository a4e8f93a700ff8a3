//! What happened, in lines that people can read, and that are the same whenever the plan is the same.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::Value;
use tap_operator::api::names::INTENT_ANNOTATION;

/// What happened, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<(Duration, String)>);

impl History {
    /// Notes what happens now.
    pub fn note(&mut self, at: Duration, line: String) {
        self.0.push((at, line));
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first line in which two differ.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let longest = self.0.len().max(other.0.len());
        let at = (0..longest).find(|at| self.0.get(*at) != other.0.get(*at))?;
        Some(format!("line {at}: {:?} and {:?}", self.0.get(at), other.0.get(at)))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quiet = ["leases", "events", "validatingadmission", "selfsubject", "watch"];
        for (at, line) in &self.0 {
            if !quiet.iter().any(|word| line.contains(word)) || line.contains("dies") {
                writeln!(f, "{:9.3} {line}", at.as_secs_f64())?;
            }
        }
        Ok(())
    }
}

/// What a body says that matters.
pub fn detail(body: &Value) -> String {
    let mut told = String::new();
    let metadata = &body["metadata"];
    if let Some(intent) = metadata["annotations"][INTENT_ANNOTATION].as_str() {
        let intent: Value = serde_json::from_str(intent).unwrap_or_default();
        let stage = intent["stage"]["name"].as_str().unwrap_or_default();
        let attempt = short(intent["attempt"].as_str().unwrap_or_default());
        let _ = write!(told, " {stage} {attempt}");
    }
    if let Some(finalizers) = metadata["finalizers"].as_array() {
        told.push_str(if finalizers.is_empty() { " let go" } else { " held" });
    }
    let status = &body["status"];
    if let Some(phase) = status["phase"].as_str() {
        let _ = write!(told, " {phase}");
    }
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(ready) = conditions.iter().find(|c| c["type"] == "Ready") {
        let _ = write!(told, " {}", ready["reason"].as_str().unwrap_or_default());
    }
    if let Some(pass) = status["pass"]["id"].as_str() {
        let _ = write!(told, " pass {}", short(pass));
    }
    if let Some(name) = metadata["name"].as_str().filter(|_| body["data"].is_object()) {
        let _ = write!(told, " {name}");
    }
    if let (Some(about), Some(reason)) =
        (body["regarding"]["name"].as_str(), body["reason"].as_str())
    {
        let _ = write!(told, " {about} {reason}");
    }
    told
}

/// The beginning of an id.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A path whose ids are cut short.
pub fn shortened(path: &str) -> String {
    let part = |part: &str| match part {
        "authentication" | "temporaryAccessPassMethods" => part[..4].to_owned(),
        id if id.len() == 36 => short(id).to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
