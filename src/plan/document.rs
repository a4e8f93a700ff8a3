//! Reads YAML as kubectl does, and remembers on which line each value stands.
//!
//! kubectl reads YAML 1.1: `yes` and `on` are booleans, `1_000` and `0o14` are numbers, and a date is a text. The rules are
//! those of the library that it uses, so what is checked is what the API server would be sent.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value};

/// More values than a manifest has. Aliases repeat what they stand for, so a small file can have many.
const MOST_VALUES: usize = 100_000;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What the API server would be sent.
    pub value: Value,
    /// Where its values stand.
    pub lines: Lines,
}

/// The lines of a file on which the fields of a document stand, by their paths, such as `spec.method.include[0].group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line of a field, or of the nearest field around it.
    pub fn of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.0.get("").copied().unwrap_or(1),
            }
        }
    }

    /// Those of what is at this path, in itself.
    #[must_use]
    pub fn within(&self, path: &str) -> Self {
        let inside = self.0.iter().filter_map(|(at, line)| {
            let rest = at.strip_prefix(path)?;
            match rest.strip_prefix('.') {
                Some(rest) => Some((rest.to_owned(), *line)),
                None => {
                    (rest.is_empty() || rest.starts_with('[')).then(|| (rest.to_owned(), *line))
                }
            }
        });
        Self(inside.collect())
    }
}

/// Text that kubectl could not read, either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DocumentError {
    /// The line on which it was noticed.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl From<ScanError> for DocumentError {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), message: error.info() }
    }
}

/// Reads every document of a file. Empty ones are left out.
pub fn read_all(text: &str) -> Result<Vec<Document>, DocumentError> {
    let Some(objects) = json_objects(text) else { return read_yaml(text) };
    let mut all = Vec::new();
    for (object, lines_before) in objects {
        let later =
            |error: DocumentError| DocumentError { line: error.line + lines_before, ..error };
        let mut documents = read_yaml(object).map_err(later)?;
        for document in &mut documents {
            document.lines.0.values_mut().for_each(|line| *line += lines_before);
        }
        all.extend(documents);
    }
    Ok(all)
}

/// The objects of a file that has nothing but JSON objects, each with the number of lines before it. They need nothing between
/// them, as in the output of programs.
fn json_objects(text: &str) -> Option<Vec<(&str, usize)>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut objects = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut begin = 0;
    while let Some(object) = stream.next() {
        object.ok()?;
        let end = stream.byte_offset();
        objects.push((&text[begin..end], text[..begin].matches('\n').count()));
        begin = end;
    }
    Some(objects)
}

fn read_yaml(text: &str) -> Result<Vec<Document>, DocumentError> {
    let mut reader =
        Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::DocumentStart(..) => reader.anchors.clear(),
            Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(_) => {
                let mut lines = Lines::default();
                let value = reader.value(&event, span, "", &mut lines)?;
                if !value.is_null() {
                    documents.push(Document { value, lines });
                }
            }
            _ => {}
        }
    }
    Ok(documents)
}

/// The child of a path.
pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, DocumentError> {
        Ok(self.events.next().transpose()?)
    }

    /// The next event that is part of a value.
    fn inner(&mut self) -> Result<(Event<'a>, Span), DocumentError> {
        loop {
            match self.next()? {
                Some((
                    event @ (Event::Scalar(..)
                    | Event::SequenceStart(..)
                    | Event::SequenceEnd
                    | Event::MappingStart(..)
                    | Event::MappingEnd
                    | Event::Alias(_)),
                    span,
                )) => return Ok((event, span)),
                Some(_) => {}
                None => {
                    return Err(wrong(Span::default(), "the file ends in the middle of a value"));
                }
            }
        }
    }

    /// The value that begins with this event, which is at this path.
    fn value(
        &mut self,
        event: &Event<'a>,
        span: Span,
        path: &str,
        lines: &mut Lines,
    ) -> Result<Value, DocumentError> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(wrong(span, "the file has too many values"));
        }
        lines.0.entry(path.to_owned()).or_insert(span.start.line());
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                let tag = tag.as_ref().map(|tag| tag.core_suffix().unwrap_or("unknown"));
                scalar(text, *style, tag).ok_or_else(|| {
                    wrong(span, "the value has a tag that does not fit, or is a number that JSON cannot express")
                })?
            }
            Event::SequenceStart(..) => self.sequence(path, lines)?,
            Event::MappingStart(..) => self.mapping(path, lines)?,
            Event::Alias(anchor) => {
                let value = self.anchors.get(anchor).cloned();
                let value =
                    value.ok_or_else(|| wrong(span, "an alias stands inside of what it names"))?;
                self.values += count(&value);
                value
            }
            _ => Value::Null,
        };
        if let Some(anchor) = event.anchor_id() {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, path: &str, lines: &mut Lines) -> Result<Value, DocumentError> {
        let mut items = Vec::new();
        loop {
            match self.inner()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => {
                    let path = format!("{path}[{}]", items.len());
                    items.push(self.value(&event, span, &path, lines)?);
                }
            }
        }
    }

    fn mapping(&mut self, path: &str, lines: &mut Lines) -> Result<Value, DocumentError> {
        let (mut fields, mut merged) = (Map::new(), Map::new());
        loop {
            let (event, span) = self.inner()?;
            if event == Event::MappingEnd {
                for (name, value) in merged {
                    fields.entry(name).or_insert(value);
                }
                return Ok(Value::Object(fields));
            }
            let merges =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.value(&event, span, "<key>", &mut Lines::default())?;
            let (event, value_span) = self.inner()?;
            if merges {
                let value = self.value(&event, value_span, path, lines)?;
                merge(value, &mut merged).ok_or_else(|| wrong(span, "<< merges mappings only"))?;
                continue;
            }
            let name = match key {
                Value::String(name) => name,
                Value::Bool(_) | Value::Number(_) => key.to_string(),
                _ => return Err(wrong(span, "the name of a field must be a text")),
            };
            let path = join(path, &name);
            // A field stands where its name does.
            lines.0.entry(path.clone()).or_insert(span.start.line());
            let value = self.value(&event, value_span, &path, lines)?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(wrong(span, format!("the field {name} is written twice")));
            }
        }
    }
}

fn wrong(span: Span, message: impl Into<String>) -> DocumentError {
    DocumentError { line: span.start.line(), message: message.into() }
}

/// Adds the fields of one mapping, or of several. What is there already stays.
fn merge(value: Value, into: &mut Map<String, Value>) -> Option<()> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.entry(name).or_insert(value);
            }
            Some(())
        }
        Value::Array(all) => all.into_iter().try_for_each(|one| match one {
            Value::Object(_) => merge(one, into),
            _ => None,
        }),
        _ => None,
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>() + 1,
        Value::Object(fields) => fields.values().map(count).sum::<usize>() + 1,
        _ => 1,
    }
}

/// What a scalar means; `None` if its tag says something that it is not.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Option<Value> {
    let as_text = || Value::String(text.to_owned());
    match tag {
        None if style == ScalarStyle::Plain => plain(text),
        None | Some("str") => Some(as_text()),
        Some(kind @ ("bool" | "int" | "float" | "null")) => {
            plain(text).filter(|value| match kind {
                "bool" => value.is_boolean(),
                "null" => value.is_null(),
                _ => value.is_number(),
            })
        }
        Some(_) => None,
    }
}

/// What a scalar without quotes means; `None` if JSON cannot express it.
fn plain(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return None,
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Some(Value::String(text.to_owned()));
    }
    let digits = text.replace('_', "");
    let number = integer(&digits).map(Number::from).or_else(|| float(&digits));
    Some(number.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// An integer in one of the notations of Go.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let plain = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    plain.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())?
}

/// A number with a fraction or an exponent. One without a fraction in its value is sent as an integer.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    let value: f64 = is_number.then(|| text.parse().ok())??;
    // Beyond this, not every integer can be told from the next.
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole, and within the bounds")]
    if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        let mut all = read_all(text).unwrap();
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0).value
    }

    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        for (text, value) in [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("true", json!(true)),
            ("~", json!(null)),
            ("60", json!(60)),
            ("1_000", json!(1000)),
            ("0o14", json!(12)),
            ("014", json!(12)),
            ("0x1f", json!(31)),
            ("-7", json!(-7)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            ("08", json!(8)),
            ("2026-11-22", json!("2026-11-22")),
            ("2026-11-22T08:00:00Z", json!("2026-11-22T08:00:00Z")),
            ("1h", json!("1h")),
            ("-x", json!("-x")),
            (".", json!(".")),
            ("+", json!("+")),
            ("yesterday", json!("yesterday")),
            ("'60'", json!("60")),
            ("\"yes\"", json!("yes")),
            ("!!str 60", json!("60")),
            ("!!int '60'", json!(60)),
        ] {
            assert_eq!(read(&format!("field: {text}"))["field"], value, "{text}");
        }
    }

    #[test]
    fn what_json_cannot_express_is_an_error() {
        for text in [".nan", "-.inf", "!!int x", "!mine x", "!!bool 1"] {
            let error = read_all(&format!("a: 1\nfield: {text}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{text}: {error}");
        }
    }

    #[test]
    fn aliases_and_merges_are_what_they_stand_for() {
        let text = "base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\nlist: [*base]\n";
        let expected = json!({
            "base": {"a": 1, "b": 2}, "other": {"a": 1, "b": 3}, "list": [{"a": 1, "b": 2}],
        });
        assert_eq!(read(text), expected);
        let level = |level: usize| {
            let inner = vec![format!("*a{level}"); 10].join(", ");
            format!("a{}: &a{} [{inner}]\n", level + 1, level + 1)
        };
        let bomb: String = (0..8).map(level).collect();
        let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{bomb}");
        assert!(read_all(&bomb).unwrap_err().message.contains("too many"));
    }

    #[test]
    fn each_value_has_its_line() {
        let text = "# a comment\nspec:\n  method:\n    include:\n    - group: a\n      displayName: b\n    - group: c\n---\n---\nkind: X\n";
        let all = read_all(text).unwrap();
        assert_eq!(all.len(), 2);
        let lines = &all[0].lines;
        for (path, line) in [
            ("spec", 2),
            ("spec.method.include[0].displayName", 6),
            ("spec.method.include[1].group", 7),
            ("spec.method.include[1].missing", 7),
            ("spec.method.state", 3),
            ("missing", 2),
        ] {
            assert_eq!(lines.of(path), line, "{path}");
        }
        assert_eq!(lines.within("spec.method").of("include[1].group"), 7);
        assert_eq!(all[1].lines.of("kind"), 10);
    }

    #[test]
    fn json_objects_follow_each_other() {
        for text in ["{\"a\": 1}{\"b\": 2}", "{\"a\": 1}\n{\n  \"b\": 2}\n"] {
            let all = read_all(text).unwrap();
            let values: Vec<_> = all.iter().map(|document| document.value.clone()).collect();
            assert_eq!(values, [json!({ "a": 1 }), json!({ "b": 2 })], "{text}");
        }
        let all = read_all("\n{\"a\": \"}{\"}\n{\n\"b\": {\n\"c\": 2}}").unwrap();
        assert_eq!(all[0].value, json!({ "a": "}{" }));
        assert_eq!((all[0].lines.of("a"), all[1].lines.of("b.c")), (2, 5));
        let twice = read_all("{\"a\": 1}\n{\"a\": 1,\n\"a\": 2}").unwrap_err();
        assert_eq!((twice.line, twice.message.as_str()), (3, "the field a is written twice"));
        // What begins like JSON may be YAML.
        assert_eq!(read("{a: 1}"), json!({ "a": 1 }));
        assert_eq!(read_all("{a: 1}\n---\nb: 2\n").unwrap().len(), 2);
    }

    #[test]
    fn a_field_that_is_written_twice_is_an_error() {
        let error = read_all("spec:\n  a: 1\n  b: 2\n  a: 3\n").unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (4, "the field a is written twice"));
        assert!(read_all("a: [1\n").is_err());
    }
}
