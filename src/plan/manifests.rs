//! The objects in files: found, checked against the rules, and read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Document, Lines};
use super::finding::{Finding, Severity};
use super::metadata;
use super::rules::Rules;
use crate::api::names::GROUP;
use crate::api::{TapPolicy, TapRequest};

/// The version that this program knows.
const VERSION: &str = "v1alpha1";

/// A file with its name.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, as people wrote it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// An object of a manifest, and where it stands.
#[derive(Clone, Debug)]
pub struct Manifest<T> {
    /// The object.
    pub object: T,
    /// Its kind and name.
    pub title: String,
    /// The file in which it is.
    pub file: String,
    lines: Lines,
}

impl<T> Manifest<T> {
    /// The line on which it begins.
    pub fn line(&self) -> usize {
        self.lines.of("")
    }

    /// A finding about one of its fields; about the whole object if the field is empty.
    pub fn finding(&self, severity: Severity, field: &str, message: impl Into<String>) -> Finding {
        Finding {
            object: Some(self.title.clone()),
            field: Some(field.to_owned()).filter(|field| !field.is_empty()),
            ..Finding::new(severity, message).at(&self.file, self.lines.of(field))
        }
    }

    fn with<U>(&self, object: U) -> Manifest<U> {
        let Self { title, file, lines, .. } = self;
        Manifest { object, title: title.clone(), file: file.clone(), lines: lines.clone() }
    }
}

/// What is in the files.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The policies that can be read.
    pub policies: Vec<Manifest<TapPolicy>>,
    /// The requests that can be read.
    pub requests: Vec<Manifest<TapRequest>>,
    /// The namespaces, by name. Policies may select them by their labels.
    pub namespaces: BTreeMap<String, Namespace>,
    /// The names of the policies that cannot be read. What is said of them is among the findings.
    pub unreadable_policies: Vec<String>,
    /// How many policies and requests cannot be read, or would be refused.
    pub refused: usize,
    /// How many objects of other kinds there are.
    pub others: usize,
    /// What is wrong with them, and what is probably not meant.
    pub findings: Vec<Finding>,
}

impl Manifests {
    /// Reads files at this time.
    pub fn read(files: &[File], rules: &Rules, now: Timestamp) -> Self {
        let mut all = Self::default();
        for file in files {
            match document::read_all(&file.text) {
                Err(error) => {
                    let message = format!("this is not YAML that kubectl could read: {error}");
                    let finding = Finding::new(Severity::Error, message);
                    all.findings.push(finding.at(&file.name, error.line));
                }
                Ok(documents) => {
                    for document in documents {
                        all.add(&file.name, document, rules, now);
                    }
                }
            }
        }
        let ours = all.policies.len() + all.requests.len();
        if ours == 0 && all.findings.is_empty() {
            let message =
                "there is no TapPolicy and no TapRequest in the files: name others with --filename";
            all.findings.push(Finding::new(Severity::Error, message));
        }
        all
    }

    fn add(&mut self, file: &str, document: Document, rules: &Rules, now: Timestamp) {
        let Document { value, lines } = document;
        if !value.is_object() {
            let message = "this is no object, and kubectl could not apply it: an object has apiVersion, kind and metadata";
            let finding = Finding::new(Severity::Error, message);
            self.findings.push(finding.at(file, lines.of("")));
            return;
        }
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        let is_ours = version.split('/').next() == Some(GROUP);
        if let Some(items) = value["items"].as_array().filter(|_| kind.ends_with("List")) {
            for (index, item) in items.iter().enumerate() {
                let mut value = item.clone();
                // In a list of one kind, the items need not say their kind.
                if let Some(fields) = value.as_object_mut()
                    && is_ours
                    && fields.get("kind").is_none_or(Value::is_null)
                {
                    fields.insert("kind".into(), kind.trim_end_matches("List").into());
                    fields.insert("apiVersion".into(), version.clone().into());
                }
                let lines = lines.within(&format!("items[{index}]"));
                self.add(file, Document { value, lines }, rules, now);
            }
            return;
        }
        let name = value["metadata"]["name"].as_str().unwrap_or("without a name").to_owned();
        let namespace = value["metadata"]["namespace"].as_str();
        let title = match namespace.filter(|_| kind == "TapRequest") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        let manifest = Manifest { object: value, title, file: file.to_owned(), lines };
        match (is_ours, kind.as_str()) {
            (true, "TapPolicy" | "TapRequest") if version != format!("{GROUP}/{VERSION}") => {
                let message = format!("{version:?} is not known: write {GROUP}/{VERSION}");
                self.findings.push(manifest.finding(Severity::Error, "apiVersion", message));
            }
            (true, "TapPolicy") => match self.readable(&manifest, rules, now) {
                Some(policy) => {
                    self.findings.extend(unique(&self.policies, &policy));
                    self.policies.push(policy);
                }
                None => self.unreadable_policies.push(name),
            },
            (true, "TapRequest") => {
                if let Some(request) = self.readable(&manifest, rules, now) {
                    self.findings.extend(unique(&self.requests, &request));
                    self.requests.push(request);
                }
            }
            (true, _) => {
                let message =
                    format!("{GROUP} has no kind {kind:?}: it has TapPolicy and TapRequest");
                self.findings.push(manifest.finding(Severity::Error, "kind", message));
            }
            (false, "TapPolicy" | "TapRequest") => {
                let message = format!("write apiVersion: {GROUP}/{VERSION}, not {version:?}");
                self.findings.push(manifest.finding(Severity::Error, "apiVersion", message));
            }
            (false, "Namespace") if version == "v1" => {
                if let Ok(namespace) = serde_json::from_value(manifest.object) {
                    self.namespaces.insert(name, namespace);
                }
                self.others += 1;
            }
            (false, _) => self.others += 1,
        }
    }

    /// The object, if the API server would take it.
    fn readable<T: DeserializeOwned>(
        &mut self,
        manifest: &Manifest<Value>,
        rules: &Rules,
        now: Timestamp,
    ) -> Option<Manifest<T>> {
        let problems = rules.check(&manifest.object);
        for problem in &problems {
            self.findings.push(manifest.finding(Severity::Error, &problem.field, &problem.message));
        }
        if !problems.is_empty() {
            self.refused += 1;
            return None;
        }
        if let Some(message) = metadata::not_applied(&manifest.object) {
            let finding = manifest.finding(Severity::Warning, "metadata.generateName", message);
            self.findings.push(finding);
        }
        for hint in rules.hints(&manifest.object, now) {
            self.findings.push(manifest.finding(Severity::Warning, "", hint));
        }
        match serde_json::from_value(manifest.object.clone()) {
            Ok(object) => Some(manifest.with(object)),
            Err(error) => {
                let message = format!("this program cannot read it: {error}");
                self.refused += 1;
                self.findings.push(manifest.finding(Severity::Error, "", message));
                None
            }
        }
    }
}

/// An error if an object of that kind and name is there already: the one that is applied last would win.
fn unique<T>(known: &[Manifest<T>], new: &Manifest<T>) -> Option<Finding> {
    let is_named = !new.title.ends_with("without a name");
    let known = known.iter().find(|known| is_named && known.title == new.title)?;
    let message = format!(
        "it stands at {}:{}, too, and the one that is applied last would win: remove one of them",
        known.file,
        known.line()
    );
    Some(new.finding(Severity::Error, "", message))
}
