//! What a plan says about a manifest.

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It will be refused, or cannot do what it is for.
    Error,
    /// It may not do what it is meant to do.
    Warning,
    /// Somebody may want to know it.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that a plan says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file; absent if it is about no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The object, as kind and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field of the object, as a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The reason that a condition of the object would have, where one is about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What is to be said, and what to do.
    pub message: String,
}

impl Finding {
    /// About nothing in particular.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            file: None,
            line: None,
            object: None,
            field: None,
            reason: None,
            message: message.into(),
        }
    }

    /// About a place in a file.
    #[must_use]
    pub fn at(mut self, file: &str, line: usize) -> Self {
        (self.file, self.line) = (Some(file.to_owned()), Some(line));
        self
    }

    /// With the reason of a condition.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Field and message.
    pub fn sentence(&self) -> String {
        match &self.field {
            Some(field) if !field.is_empty() => format!("{field}: {}", self.message),
            _ => self.message.clone(),
        }
    }
}
