//! Checks recorded exchanges against an `OpenAPI` 3.0 description of Graph.
//!
//! It supports as much of `OpenAPI` as Graph's description uses, and `OData`'s additions: annotations are allowed
//! everywhere, and `@odata.type` names the derived type whose properties count. Properties that are not described are
//! violations, although the description itself allows them.

use std::{collections::BTreeMap, fmt, path::Path};

use graph_simulator::Exchange;
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

/// What the simulator serves although the description leaves it out. It is not checked.
const NOT_DESCRIBED: [&str; 1] = ["/$batch"];

/// A description of Graph v1.0.
#[derive(Debug)]
pub struct OpenApi {
    root: Value,
}

/// A difference between an exchange and the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The request's number in the simulator's log.
    pub number: u64,
    /// Where: in the request or in the answer, and the path in it.
    pub at: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "request {}: {}: {}", self.number, self.at, self.problem)
    }
}

impl OpenApi {
    /// Reads a description from YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        match root["paths"].as_object() {
            Some(_) => Ok(Self { root }),
            None => Err("there are no paths in it".into()),
        }
    }

    /// The description beside this file, or the one in the file that the environment variable `GRAPH_OPENAPI` names.
    pub fn of_graph() -> Self {
        let named = std::env::var_os("GRAPH_OPENAPI").filter(|file| !file.is_empty());
        let Some(file) = named else {
            return Self::parse(include_str!("graph.yaml")).expect("graph.yaml is a description");
        };
        let text = std::fs::read_to_string(Path::new(&file))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Follows references.
    fn resolve<'a>(&'a self, mut node: &'a Value) -> &'a Value {
        while let Some(reference) = node["$ref"].as_str() {
            let pointer = reference
                .strip_prefix('#')
                .unwrap_or_else(|| panic!("{reference}: not in this file"));
            node =
                self.root.pointer(pointer).unwrap_or_else(|| panic!("{reference}: leads nowhere"));
        }
        node
    }

    fn schema(&self, name: &str) -> Option<&Value> {
        self.root["components"]["schemas"].get(name)
    }

    /// The description of a path. Literal segments take precedence over parameters.
    fn path(&self, segments: &[&str]) -> Option<(&str, &Value)> {
        let paths = self.root["paths"].as_object()?;
        let fitting = paths.iter().filter(|(template, _)| fits(template, segments));
        fitting
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(template, item)| (template.as_str(), item))
    }
}

/// Checks one exchange: the request if it was accepted, and the answer if there was one. Exchanges with other servers
/// than Graph are not checked.
pub fn check(openapi: &OpenApi, exchange: &Exchange) -> Vec<Violation> {
    let mut checker = Checker { openapi, number: exchange.number, violations: Vec::new() };
    let Some(path) = exchange.path.strip_prefix("/v1.0/") else { return Vec::new() };
    let segments: Vec<&str> = path.split('/').collect();
    let Some((_, item)) = openapi.path(&segments) else {
        if !NOT_DESCRIBED.iter().any(|template| fits(template, &segments))
            && exchange.status.is_none_or(is_success)
        {
            checker.report("path", format!("{} is not described", exchange.path));
        }
        return checker.violations;
    };
    let operation = &item[exchange.method.to_lowercase()];
    if operation.is_null() {
        if exchange.status.is_none_or(is_success) {
            checker.report(
                "method",
                format!("{} {} is not described", exchange.method, exchange.path),
            );
        }
        return checker.violations;
    }
    if exchange.status.is_none_or(is_success) {
        checker.query(operation, exchange);
        checker.request_body(operation, exchange);
    }
    if let Some(status) = exchange.status {
        checker.answer(operation, exchange, status);
    }
    checker.violations
}

struct Checker<'a> {
    openapi: &'a OpenApi,
    number: u64,
    violations: Vec<Violation>,
}

impl<'a> Checker<'a> {
    fn report(&mut self, at: impl Into<String>, problem: impl Into<String>) {
        self.violations.push(Violation {
            number: self.number,
            at: at.into(),
            problem: problem.into(),
        });
    }

    fn query(&mut self, operation: &'a Value, exchange: &Exchange) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> =
            parameters.map(|parameter| self.openapi.resolve(parameter)).collect();
        for (name, value) in pairs(&exchange.query) {
            let at = format!("query {name}");
            // A skip token is the server's own: it occurs in next links, not in descriptions.
            if name == "$skiptoken" {
                continue;
            }
            match parameters
                .iter()
                .find(|known| known["in"] == "query" && known["name"] == name.as_str())
            {
                None => self.report(at, "is not described"),
                Some(_) if name == "$select" => self.selection(operation, &value),
                Some(parameter) => self.parameter(&at, &value, &parameter["schema"]),
            }
        }
        let required =
            parameters.iter().filter(|known| known["in"] == "query" && known["required"] == true);
        for missing in required {
            let name = missing["name"].as_str().unwrap_or_default();
            if !pairs(&exchange.query).iter().any(|(sent, _)| sent == name) {
                self.report(format!("query {name}"), "is required");
            }
        }
    }

    /// Checks that the selected properties are those of the answer's type. For narrowed collections the description
    /// lists less.
    fn selection(&mut self, operation: &'a Value, value: &str) {
        let Some(mut schema) = self.answer_schema(operation, 200) else { return };
        if let Some(items) =
            self.properties(schema).get("value").map(|value| &self.openapi.resolve(value)["items"])
        {
            schema = items;
        }
        let properties = self.properties(schema);
        for name in value.split(',').filter(|name| !properties.contains_key(name.trim())) {
            self.report("query $select", format!("'{name}' is not a property of the answer"));
        }
    }

    fn parameter(&mut self, at: &str, value: &str, schema: &'a Value) {
        let schema = self.openapi.resolve(schema);
        let read = match schema["type"].as_str() {
            Some("integer") => value.parse::<i64>().ok().map(Value::from),
            Some("boolean") => value.parse::<bool>().ok().map(Value::from),
            Some("array") => Some(value.split(',').map(Value::from).collect()),
            _ => Some(value.into()),
        };
        match read {
            Some(read) => self.value(at, &read, schema),
            None => self.report(at, format!("'{value}' is of another type")),
        }
    }

    fn request_body(&mut self, operation: &'a Value, exchange: &Exchange) {
        let described = &operation["requestBody"];
        let schema = &described["content"]["application/json"]["schema"];
        if schema.is_null() {
            if !exchange.request_body.is_empty() {
                self.report("request body", "there should be no body");
            }
            return;
        }
        let kind = exchange
            .request_headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if kind.split(';').next() != Some("application/json") {
            self.report("request header Content-Type", format!("'{kind}' is not application/json"));
        }
        match serde_json::from_slice(&exchange.request_body) {
            Ok(body) => self.value("request body", &body, schema),
            Err(error) => self.report("request body", error.to_string()),
        }
    }

    fn answer_schema(&self, operation: &'a Value, status: u16) -> Option<&'a Value> {
        let responses = &operation["responses"];
        let exact = status.to_string();
        let range = format!("{}XX", status / 100);
        let response = [exact.as_str(), range.as_str(), "default"]
            .iter()
            .find_map(|key| responses.get(key))?;
        let schema = &self.openapi.resolve(response)["content"]["application/json"]["schema"];
        (!schema.is_null()).then_some(schema)
    }

    fn answer(&mut self, operation: &'a Value, exchange: &Exchange, status: u16) {
        let body = &exchange.response_body;
        let kind = exchange
            .response_headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        // Gateways in front of Graph answer with pages of their own, which are not described.
        if status >= 500 && !kind.starts_with("application/json") {
            return;
        }
        // The documentation says that writes are answered with 204, even if the description's 2XX has a body.
        if status == 204 || (status == 401 && body.is_empty()) {
            if !body.is_empty() {
                self.report("answer body", "204 has none");
            }
            return;
        }
        let Some(schema) = self.answer_schema(operation, status) else {
            if !body.is_empty() {
                self.report("answer body", format!("none is described for {status}"));
            }
            return;
        };
        if !kind.starts_with("application/json") {
            self.report("answer header Content-Type", format!("'{kind}' is not application/json"));
        }
        match serde_json::from_slice(body) {
            Ok(body) => self.value("answer body", &body, schema),
            Err(error) => self.report("answer body", error.to_string()),
        }
    }

    fn value(&mut self, at: &str, value: &Value, schema: &'a Value) {
        let resolved = self.openapi.resolve(schema);
        if value.is_null() {
            if resolved["nullable"] != true && schema["nullable"] != true {
                self.report(at, "is null");
            }
            return;
        }
        if let Some(allowed) = resolved["enum"].as_array()
            && !allowed.contains(value)
        {
            self.report(at, format!("{value} is not one of the described values"));
        }
        match (value, Self::kind(resolved)) {
            (Value::Object(fields), Some("object")) => self.object(at, fields, schema),
            (Value::Array(items), Some("array")) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{at}/{index}"), item, &resolved["items"]);
                }
            }
            (Value::String(text), Some("string")) => self.text(at, text, resolved),
            (Value::Number(number), Some("number")) => self.range(at, number.as_f64(), resolved),
            (Value::Number(number), Some("integer")) if number.is_i64() || number.is_u64() => {
                self.range(at, number.as_f64(), resolved);
            }
            (Value::Bool(_), Some("boolean")) | (_, None) => {}
            (_, Some(kind)) => self.report(at, format!("{value} is not of type {kind}")),
        }
    }

    /// The type of a schema. A schema that is composed of others is an object.
    fn kind(schema: &'a Value) -> Option<&'a str> {
        schema["type"].as_str().or(schema.get("allOf").map(|_| "object"))
    }

    fn object(&mut self, at: &str, fields: &Map<String, Value>, schema: &'a Value) {
        let schema = self.derived(at, fields, schema);
        let properties = self.properties(schema);
        for required in self.required(schema) {
            if !fields.contains_key(required) {
                self.report(format!("{at}/{required}"), "is required");
            }
        }
        // A type without any described property is open.
        let open = properties.is_empty();
        for (name, value) in fields {
            let at = format!("{at}/{name}");
            match properties.get(name.as_str()) {
                Some(schema) => self.value(&at, value, schema),
                None if open || name.contains("@odata.") => {}
                None => self.report(at, "is not described"),
            }
        }
    }

    /// The type that `@odata.type` names, if it is derived from the one that is described.
    fn derived(&mut self, at: &str, fields: &Map<String, Value>, schema: &'a Value) -> &'a Value {
        let Some(name) = fields.get("@odata.type").and_then(Value::as_str) else { return schema };
        let Some(named) = self.openapi.schema(name.trim_start_matches('#')) else {
            self.report(format!("{at}/@odata.type"), format!("'{name}' is not described"));
            return schema;
        };
        let wanted = self.openapi.resolve(schema);
        if self.is_a(named, wanted) {
            return named;
        }
        self.report(format!("{at}/@odata.type"), format!("'{name}' does not belong here"));
        schema
    }

    fn is_a(&self, schema: &Value, wanted: &Value) -> bool {
        let schema = self.openapi.resolve(schema);
        std::ptr::eq(schema, wanted)
            || schema["allOf"].as_array().into_iter().flatten().any(|part| self.is_a(part, wanted))
    }

    /// All properties of a type, inherited ones included.
    fn properties(&self, schema: &'a Value) -> BTreeMap<&'a str, &'a Value> {
        let schema = self.openapi.resolve(schema);
        let mut found = BTreeMap::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            found.extend(self.properties(part));
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        found.extend(own.map(|(name, schema)| (name.as_str(), schema)));
        found
    }

    fn required(&self, schema: &'a Value) -> Vec<&'a str> {
        let schema = self.openapi.resolve(schema);
        let mut found: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            found.extend(self.required(part));
        }
        found
    }

    fn text(&mut self, at: &str, text: &str, schema: &Value) {
        let fits_format = match schema["format"].as_str() {
            Some("date-time") => text.parse::<Timestamp>().is_ok(),
            Some("uuid") => uuid::Uuid::parse_str(text).is_ok(),
            _ => true,
        };
        if !fits_format {
            self.report(at, format!("'{text}' is not of format {}", schema["format"]));
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            let pattern = Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
            if !pattern.is_match(text) {
                self.report(at, format!("'{text}' does not match {pattern}"));
            }
        }
    }

    fn range(&mut self, at: &str, number: Option<f64>, schema: &Value) {
        let Some(number) = number else { return };
        let (mut least, mut most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if schema["format"] == "int32" {
            least = least.or(Some(f64::from(i32::MIN)));
            most = most.or(Some(f64::from(i32::MAX)));
        }
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            self.report(at, format!("{number} is out of range"));
        }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn fits(template: &str, segments: &[&str]) -> bool {
    let template: Vec<&str> = template.trim_start_matches('/').split('/').collect();
    template.len() == segments.len()
        && template
            .iter()
            .zip(segments)
            .all(|(known, sent)| known.starts_with('{') || known == sent)
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    (query.split('&').filter(|pair| !pair.is_empty()))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use graph_simulator::Operation;
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn description() -> OpenApi {
        OpenApi::parse(
            r"
            paths:
              /things/{thing-id}:
                get:
                  parameters:
                    - {name: $select, in: query, schema: {type: array, items: {type: string, enum: [id]}}}
                    - {$ref: '#/components/parameters/top'}
                  responses:
                    2XX: {content: {application/json: {schema: {$ref: '#/components/schemas/microsoft.graph.thing'}}}}
                    default: {content: {application/json: {schema: {$ref: '#/components/schemas/error'}}}}
                patch:
                  requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/microsoft.graph.thing'}}}}
                  responses: {2XX: {description: Success}}
            components:
              parameters:
                top: {name: $top, in: query, schema: {type: integer, minimum: 0}}
              schemas:
                error: {type: object, required: [error], properties: {error: {type: object}}}
                microsoft.graph.entity: {type: object, properties: {id: {type: string, format: uuid}}}
                microsoft.graph.thing:
                  allOf:
                    - $ref: '#/components/schemas/microsoft.graph.entity'
                    - type: object
                      additionalProperties: {type: object}
                      properties:
                        made: {type: string, format: date-time, nullable: true}
                        color: {$ref: '#/components/schemas/color'}
                        count: {type: integer, format: int32}
                        parts: {type: array, items: {$ref: '#/components/schemas/microsoft.graph.entity'}}
                microsoft.graph.bigThing:
                  allOf:
                    - $ref: '#/components/schemas/microsoft.graph.thing'
                    - {type: object, properties: {size: {type: number}}}
                color: {type: string, enum: [red, green]}
            ",
        )
        .unwrap()
    }

    fn exchange(
        method: &str,
        query: &str,
        request: &Value,
        status: u16,
        answer: &Value,
    ) -> Exchange {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let bytes = |value: &Value| {
            if value.is_null() { Bytes::new() } else { Bytes::from(value.to_string()) }
        };
        Exchange {
            number: 1,
            operation: Operation::Unknown,
            method: method.into(),
            path: "/v1.0/things/1".into(),
            query: query.into(),
            request_headers: headers.clone(),
            request_body: bytes(request),
            status: Some(status),
            response_headers: headers,
            response_body: bytes(answer),
        }
    }

    fn problems(exchange: &Exchange) -> Vec<String> {
        check(&description(), exchange).into_iter().map(|violation| violation.at).collect()
    }

    fn of_answer(answer: &Value) -> Vec<String> {
        problems(&exchange("GET", "", &Value::Null, 200, answer))
    }

    const ID: &str = "6c1f0000-0000-4000-8000-000000000101";

    #[test]
    fn what_is_described_passes() {
        let answer = json!({
            "@odata.context": "x", "id": ID, "made": null, "color": "red", "count": 3, "parts": [{"id": ID}],
            "parts@odata.context": "y",
        });
        assert_eq!(of_answer(&answer), Vec::<String>::new());
        assert_eq!(
            of_answer(&json!({"@odata.type": "#microsoft.graph.bigThing", "size": 1.5})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_kind_of_violation_in_an_answer_is_found() {
        let cases = [
            (json!({"colour": "red"}), "answer body/colour"),
            (json!({"color": "blue"}), "answer body/color"),
            (json!({"color": null}), "answer body/color"),
            (json!({"count": "3"}), "answer body/count"),
            (json!({"count": 3_000_000_000_u64}), "answer body/count"),
            (json!({"count": 1.5}), "answer body/count"),
            (json!({"made": "yesterday"}), "answer body/made"),
            (json!({"id": "7"}), "answer body/id"),
            (json!({"parts": {}}), "answer body/parts"),
            (json!({"parts": [{"id": ID}, {"name": "x"}]}), "answer body/parts/1/name"),
            (json!({"size": 1.5}), "answer body/size"),
            (json!({"@odata.type": "#microsoft.graph.entity"}), "answer body/@odata.type"),
            (json!({"@odata.type": "#microsoft.graph.nothing"}), "answer body/@odata.type"),
            (json!([]), "answer body"),
        ];
        for (answer, at) in cases {
            assert_eq!(of_answer(&answer), [at], "{answer}");
        }
    }

    #[test]
    fn requests_are_checked_where_they_were_accepted() {
        let of = |query: &str, status| {
            problems(&exchange("GET", query, &Value::Null, status, &json!({"error": {}})))
        };
        assert_eq!(of("$select=id,nothing", 400), Vec::<String>::new());
        let of = |query: &str| problems(&exchange("GET", query, &Value::Null, 200, &json!({})));
        assert_eq!(of("$select=id,color&%24top=3"), Vec::<String>::new());
        assert_eq!(of("$select=id,nothing"), ["query $select"]);
        assert_eq!(of("$top=-1"), ["query $top"]);
        assert_eq!(of("$top=x"), ["query $top"]);
        assert_eq!(of("$unheard=1"), ["query $unheard"]);
        let patch = |body: &Value| problems(&exchange("PATCH", "", body, 204, &Value::Null));
        assert_eq!(patch(&json!({"color": "green"})), Vec::<String>::new());
        assert_eq!(patch(&json!({"color": 1})), ["request body/color", "request body/color"]);
        assert_eq!(patch(&Value::Null), ["request body"]);
    }

    #[test]
    fn paths_methods_and_error_bodies_are_checked() {
        assert_eq!(problems(&exchange("PUT", "", &Value::Null, 200, &json!({}))), ["method"]);
        let mut elsewhere = exchange("GET", "", &Value::Null, 200, &json!({}));
        elsewhere.path = "/v1.0/nothing".into();
        assert_eq!(problems(&elsewhere), ["path"]);
        assert_eq!(
            problems(&exchange("GET", "", &Value::Null, 404, &json!({"problem": 1}))),
            ["answer body/error", "answer body/problem"]
        );
    }
}
