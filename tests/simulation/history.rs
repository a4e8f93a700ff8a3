//! What happened, in lines for people. The same plan always gives the same lines.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::Value;
use tap_operator::api::names::INTENT_ANNOTATION;

/// What happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<(Duration, String)>);

impl History {
    /// Adds a line.
    pub fn note(&mut self, at: Duration, line: String) {
        self.0.push((at, line));
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first line in which two histories differ.
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

/// The parts of a body that matter.
pub fn detail(body: &Value) -> String {
    let mut summary = String::new();
    let metadata = &body["metadata"];
    if let Some(intent) = metadata["annotations"][INTENT_ANNOTATION].as_str() {
        let intent: Value = serde_json::from_str(intent).unwrap_or_default();
        let stage = intent["stage"]["name"].as_str().unwrap_or_default();
        let attempt = short(intent["attempt"].as_str().unwrap_or_default());
        let _ = write!(summary, " {stage} {attempt}");
    }
    if let Some(finalizers) = metadata["finalizers"].as_array() {
        summary.push_str(if finalizers.is_empty() { " let go" } else { " held" });
    }
    let status = &body["status"];
    if let Some(phase) = status["phase"].as_str() {
        let _ = write!(summary, " {phase}");
    }
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(ready) = conditions.iter().find(|c| c["type"] == "Ready") {
        let _ = write!(summary, " {}", ready["reason"].as_str().unwrap_or_default());
    }
    if let Some(pass) = status["pass"]["id"].as_str() {
        let _ = write!(summary, " pass {}", short(pass));
    }
    if let Some(name) = metadata["name"].as_str().filter(|_| body["data"].is_object()) {
        let _ = write!(summary, " {name}");
    }
    if let (Some(about), Some(reason)) =
        (body["regarding"]["name"].as_str(), body["reason"].as_str())
    {
        let _ = write!(summary, " {about} {reason}");
    }
    summary
}

/// The first characters of an id.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A path with shortened ids.
pub fn shortened(path: &str) -> String {
    let part = |part: &str| match part {
        "authentication" | "temporaryAccessPassMethods" => part[..4].to_owned(),
        id if id.len() == 36 => short(id).to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
