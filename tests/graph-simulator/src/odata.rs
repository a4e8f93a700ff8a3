//! `OData` as far as Graph's directory is asked in it: `$select`, `$filter`, `$top`, `$count` and pages.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::wire::{Incoming, Refusal, pairs};

const KNOWN: [&str; 9] = [
    "$select",
    "$filter",
    "$top",
    "$skip",
    "$count",
    "$orderby",
    "$expand",
    "$search",
    "$skiptoken",
];

/// The query options of a request.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    options: Vec<(String, String)>,
    eventual: bool,
}

impl Query {
    /// Reads the options; an unknown one that begins with `$` is refused, others are ignored.
    pub(crate) fn read(incoming: &Incoming) -> Result<Self, Refusal> {
        let mut options = pairs(&incoming.query);
        options.retain(|(name, _)| name.starts_with('$'));
        if let Some((unknown, _)) = options.iter().find(|(name, _)| !KNOWN.contains(&name.as_str()))
        {
            return Err(bad_request(format!("The query parameter '{unknown}' is not supported.")));
        }
        let eventual = incoming
            .header("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        Ok(Self { options, eventual })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.options.is_empty()
    }

    /// Whether the lagging index answers.
    pub(crate) fn is_eventual(&self) -> bool {
        self.eventual
    }

    fn counts(&self) -> bool {
        self.eventual && self.get("$count") == Some("true")
    }

    /// Refuses what needs the index (documented) where it was not asked for.
    pub(crate) fn demand_index(&self, always: bool) -> Result<(), Refusal> {
        let needs = always
            || ["$filter", "$search", "$orderby"].iter().any(|option| self.get(option).is_some());
        if needs && !self.counts() {
            return Err(Refusal::new(
                400,
                "Request_UnsupportedQuery",
                "The request needs the header 'ConsistencyLevel: eventual' and '$count=true'.",
            ));
        }
        Ok(())
    }

    /// The selected properties, each checked against those that the type has.
    pub(crate) fn selected(
        &self,
        kind: &str,
        properties: &[&str],
    ) -> Result<Option<Vec<&str>>, Refusal> {
        let Some(list) = self.get("$select") else { return Ok(None) };
        let names: Vec<&str> =
            list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if let Some(unknown) = names.iter().find(|name| !properties.contains(name)) {
            return Err(bad_request(format!(
                "Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type '{kind}'."
            )));
        }
        Ok(Some(names))
    }

    /// Cheaper requests, in resource units (documented): `$select` and small pages take one off each.
    pub(crate) fn units(&self, cost: u32) -> u32 {
        let small =
            self.get("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
        let discount = u32::from(self.get("$select").is_some()) + u32::from(small);
        cost.saturating_sub(discount).max(1)
    }
}

/// Only the selected properties of an object; annotations stay.
pub(crate) fn narrowed(
    mut object: Map<String, Value>,
    selected: Option<&[&str]>,
) -> Map<String, Value> {
    if let Some(selected) = selected {
        object.retain(|name, _| name.contains('@') || selected.contains(&name.as_str()));
    }
    object
}

/// The documented default. A tenant whose pages are smaller than that has them so whatever `$top` asks for.
const USUAL_SIZE: usize = 100;

/// How pages are cut, and where the next one is said to be.
#[derive(Debug, Clone)]
pub(crate) struct Paging {
    pub(crate) context: String,
    /// Scheme and host of next links.
    pub(crate) link_base: String,
    pub(crate) default_size: usize,
    pub(crate) largest_size: usize,
}

/// One page of a collection.
pub(crate) fn page(
    items: Vec<Value>,
    query: &Query,
    incoming: &Incoming,
    paging: &Paging,
) -> Result<Value, Refusal> {
    let number = |option: &str| match query.get(option).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(bad_request(format!("Invalid value for '{option}'."))),
    };
    let size = match number("$top")? {
        Some(0) => {
            return Err(bad_request(
                "Invalid page size specified: '0'. Must be between 1 and 999.",
            ));
        }
        Some(top) if top > paging.largest_size => {
            let largest = paging.largest_size;
            return Err(bad_request(format!(
                "Invalid page size specified: '{top}'. Must be between 1 and {largest}."
            )));
        }
        Some(top) if paging.default_size < USUAL_SIZE => top.min(paging.default_size.max(1)),
        Some(top) => top,
        None => paging.default_size.max(1),
    };
    let from = match query.get("$skiptoken") {
        Some(token) => skip_token(token).ok_or_else(|| bad_request("Invalid skip token."))?,
        None => number("$skip")?.unwrap_or(0),
    };
    let total = items.len();
    let mut body = Map::new();
    body.insert("@odata.context".into(), paging.context.clone().into());
    if query.counts() {
        body.insert("@odata.count".into(), total.into());
    }
    if from.saturating_add(size) < total {
        let mut options: Vec<String> = (incoming.query.split('&'))
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default().replace("%24", "$");
                !pair.is_empty() && name != "$skiptoken" && name != "$skip"
            })
            .map(str::to_owned)
            .collect();
        options.push(format!(
            "$skiptoken={}",
            URL_SAFE_NO_PAD.encode(format!("skip:{}", from + size))
        ));
        let link = format!("{}{}?{}", paging.link_base, incoming.path, options.join("&"));
        body.insert("@odata.nextLink".into(), link.into());
    }
    let items: Vec<Value> = items.into_iter().skip(from).take(size).collect();
    body.insert("value".into(), json!(items));
    Ok(Value::Object(body))
}

fn skip_token(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("skip:")?.parse().ok()
}

/// A `$filter`: alternatives, of which in one all conditions must hold.
#[derive(Debug, PartialEq)]
pub(crate) struct Filter(Vec<Vec<Condition>>);

#[derive(Debug, PartialEq)]
struct Condition {
    path: Vec<String>,
    test: Test,
    /// Whether text is compared with regard to case.
    exact: bool,
}

#[derive(Debug, PartialEq)]
enum Test {
    Compare(Comparison, String),
    StartsWith(String),
    OneOf(Vec<String>),
    Any(Box<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    More,
    Less,
}

impl Filter {
    /// Reads `a eq 'x' and b/any(t:t/id eq 'y') or startswith(c,'z')` and the like, without parentheses around conditions.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = || bad_request(format!("Invalid filter clause: {text}"));
        let all_of = |text: &str| {
            let parts = split_outside_quotes(text, " and ");
            parts.into_iter().map(|part| condition(part.trim(), None)).collect::<Option<_>>()
        };
        let alternatives = split_outside_quotes(text, " or ").into_iter().map(all_of);
        alternatives.collect::<Option<_>>().map(Self).ok_or_else(invalid)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().any(|all| all.iter().all(|condition| condition.holds(object)))
    }

    /// The properties that it speaks of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|condition| condition.path.first()).map(String::as_str)
    }

    /// Compares the items of this list of texts with regard to case.
    pub(crate) fn compare_exactly(&mut self, name: &str) {
        for condition in self.0.iter_mut().flatten() {
            if let Test::Any(inner) = &mut condition.test
                && condition.path.first().is_some_and(|first| first == name)
            {
                inner.exact = true;
            }
        }
    }

    /// Whether it compares this property with a list, which not every collection supports.
    pub(crate) fn lists(&self, name: &str) -> bool {
        let is_list = |condition: &Condition| matches!(condition.test, Test::OneOf(_));
        let of = |condition: &Condition| condition.path.first().is_some_and(|first| first == name);
        self.0.iter().flatten().any(|condition| is_list(condition) && of(condition))
    }
}

impl Condition {
    fn of(path: Vec<String>, test: Test) -> Self {
        Self { path, test, exact: false }
    }

    fn holds(&self, object: &Value) -> bool {
        let value = self.path.iter().fold(object, |value, name| &value[name]);
        match &self.test {
            Test::Compare(Comparison::Equal, literal) if self.exact => value == literal.as_str(),
            Test::Compare(comparison, literal) => compare(value, *comparison, literal),
            Test::StartsWith(prefix) => value
                .as_str()
                .is_some_and(|text| text.to_lowercase().starts_with(&prefix.to_lowercase())),
            Test::OneOf(literals) => {
                literals.iter().any(|literal| compare(value, Comparison::Equal, literal))
            }
            Test::Any(inner) => {
                value.as_array().is_some_and(|items| items.iter().any(|item| inner.holds(item)))
            }
        }
    }
}

/// One condition; inside an `any` its path begins with the variable.
fn condition(text: &str, variable: Option<&str>) -> Option<Condition> {
    let path = |text: &str| {
        let mut names = text.trim().split('/').map(str::to_owned);
        if let Some(variable) = variable {
            (names.next()? == variable).then_some(())?;
        }
        let names: Vec<String> = names.collect();
        let plain = |name: &String| !name.is_empty() && name.chars().all(char::is_alphanumeric);
        // Of a list of texts the variable is the item itself.
        let is_there = !names.is_empty() || variable.is_some();
        (is_there && names.iter().all(plain)).then_some(names)
    };
    if let Some(arguments) =
        text.strip_prefix("startswith(").and_then(|rest| rest.strip_suffix(')'))
    {
        let (name, value) = arguments.split_once(',')?;
        return Some(Condition::of(path(name)?, Test::StartsWith(literal(value)?)));
    }
    if let Some((collection, rest)) = text.split_once("/any(") {
        let (variable, inner) = rest.strip_suffix(')')?.split_once(':')?;
        let inner = condition(inner.trim(), Some(variable.trim()))?;
        return Some(Condition::of(path(collection)?, Test::Any(Box::new(inner))));
    }
    let (name, rest) = text.split_once(' ')?;
    let (operator, value) = rest.trim().split_once([' ', '('])?;
    let comparison = match operator {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "ge" => Comparison::AtLeast,
        "le" => Comparison::AtMost,
        "gt" => Comparison::More,
        "lt" => Comparison::Less,
        "in" => {
            let list = value.trim().trim_start_matches('(').strip_suffix(')')?;
            let literals =
                split_outside_quotes(list, ",").into_iter().map(literal).collect::<Option<_>>()?;
            return Some(Condition::of(path(name)?, Test::OneOf(literals)));
        }
        _ => return None,
    };
    Some(Condition::of(path(name)?, Test::Compare(comparison, literal(value)?)))
}

/// A string in quotes, in which `''` stands for one, or a bare word.
fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        return (inner.replace("''", "").find('\'').is_none()).then(|| inner.replace("''", "'"));
    }
    let bare = |c: char| c.is_alphanumeric() || "-:.+".contains(c);
    (!text.is_empty() && text.chars().all(bare)).then(|| text.to_owned())
}

fn compare(value: &Value, comparison: Comparison, literal: &str) -> bool {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".into(),
        other => other.to_string(),
    };
    let ordering = match (text.parse::<Timestamp>(), literal.parse::<Timestamp>()) {
        (Ok(value), Ok(literal)) => value.cmp(&literal),
        _ => text.to_lowercase().cmp(&literal.to_lowercase()),
    };
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::AtLeast => ordering.is_ge(),
        Comparison::AtMost => ordering.is_le(),
        Comparison::More => ordering.is_gt(),
        Comparison::Less => ordering.is_lt(),
    }
}

fn split_outside_quotes<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut from, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '\'' {
            quoted = !quoted;
        } else if !quoted && at >= from && text[at..].starts_with(separator) {
            parts.push(&text[from..at]);
            from = at + separator.len();
        }
    }
    parts.push(&text[from..]);
    parts
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest", message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, object: &Value) -> bool {
        Filter::parse(filter).unwrap().matches(object)
    }

    #[test]
    fn filters_compare_text_times_and_members() {
        let row = json!({
            "displayName": "O'Brien and sons",
            "activityDateTime": "2026-11-24T03:00:00.5000000Z",
            "targetResources": [{"id": "a"}, {"id": "b"}],
        });
        assert!(matches("displayName eq 'o''brien and sons'", &row));
        assert!(!matches("displayName eq 'O''Brien'", &row));
        assert!(matches(
            "startswith(displayName,'O''B') and activityDateTime ge 2026-11-24T03:00:00Z",
            &row
        ));
        assert!(!matches("activityDateTime lt 2026-11-24T03:00:00Z", &row));
        assert!(matches("targetResources/any(t:t/id eq 'b')", &row));
        assert!(!matches("targetResources/any(t:t/id eq 'c')", &row));
        assert!(matches("displayName in ('x', 'O''Brien and sons')", &row));
        assert!(matches("displayName eq 'x' or targetResources/any(t:t/id eq 'a')", &row));
        assert!(!matches("displayName eq 'x' or displayName eq 'y'", &row));
        let texts = json!({"proxyAddresses": ["SMTP:a@c.com", "smtp:b or c@c.com"]});
        assert!(matches("proxyAddresses/any(p:p eq 'smtp:b or c@c.com')", &texts));
        assert!(!matches("proxyAddresses/any(p:p eq 'smtp:d@c.com')", &texts));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in
            ["", "displayName", "displayName eq", "displayName eq 'x", "a eq 'b'c'", "a xx 'b'"]
        {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
