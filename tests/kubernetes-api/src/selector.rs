//! Label and field selectors as they stand in a query.

use std::collections::BTreeMap;

use kube::core::{Expression, Selector as LabelSelector, SelectorExt as _};
use serde_json::Value;

use crate::resource::metadata_text;
use crate::status::{self, Refusal};

/// Which objects a list, a watch or a collection's deletion is about.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: LabelSelector,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug)]
struct FieldTerm {
    field: &'static str,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`; of fields, a name and a namespace are known.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = terms(labels).map(parse_label_term).collect::<Result<Vec<_>, _>>()?;
        let fields = terms(fields).map(parse_field_term).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { labels: labels.into_iter().collect(), fields })
    }

    /// Whether every object is meant.
    pub fn selects_all(&self) -> bool {
        self.labels.selects_all() && self.fields.is_empty()
    }

    /// Whether this object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let labels: BTreeMap<String, String> = object["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        self.labels.matches(&labels)
            && self
                .fields
                .iter()
                .all(|term| (metadata_text(object, term.field) == term.value) == term.equal)
    }
}

/// The terms of a selector: split at commas outside of parentheses.
fn terms(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    selector
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|term| !term.is_empty())
}

fn parse_label_term(term: &str) -> Result<Expression, Refusal> {
    let unable = || status::bad_request(&format!("unable to parse requirement: {term}"));
    if let Some(set) = term.strip_suffix(')') {
        let (head, values) = set.split_once('(').ok_or_else(unable)?;
        let (key, operator) = head.trim().split_once(char::is_whitespace).ok_or_else(unable)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match operator.trim() {
            "in" => Ok(Expression::In(key.to_owned(), values)),
            "notin" => Ok(Expression::NotIn(key.to_owned(), values)),
            _ => Err(unable()),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(Expression::NotEqual(key.trim().to_owned(), value.trim().to_owned()));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Expression::Equal(key.trim().to_owned(), value.trim().to_owned()));
    }
    if term.contains(char::is_whitespace) {
        return Err(unable());
    }
    Ok(match term.strip_prefix('!') {
        Some(key) => Expression::DoesNotExist(key.to_owned()),
        None => Expression::Exists(term.to_owned()),
    })
}

fn parse_field_term(term: &str) -> Result<FieldTerm, Refusal> {
    let (field, value, equal) = if let Some((field, value)) = term.split_once("!=") {
        (field, value, false)
    } else if let Some((field, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (field, value, true)
    } else {
        return Err(status::bad_request(&format!("invalid field selector: {term}")));
    };
    let field = match field {
        "metadata.name" => "name",
        "metadata.namespace" => "namespace",
        other => return Err(status::bad_request(&format!("field label not supported: {other}"))),
    };
    Ok(FieldTerm { field, value: value.to_owned(), equal })
}
