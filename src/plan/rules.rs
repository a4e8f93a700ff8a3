//! What the API server would say about a manifest: the schemas and rules of the custom resource definitions, and the hints.
//!
//! The definitions are those that the program installs, and the hints those that are shipped with it. The rules are evaluated
//! by kube-cel. The tests of admission hold what it says against what a real API server says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use kube_cel::cel::extractors::This;
use kube_cel::cel::{self, Context, Program, Value as CelValue};
use kube_cel::{CompiledSchema, ErrorKind, KubeCelExt as _, Validator, compile_schema};
use serde_json::{Value, json};

use super::metadata;
use super::schema::{self, Kind, Problem};
use crate::api::{crds, yaml};

/// The shipped admission policies that warn.
const HINTS: &str = include_str!("../../deploy/admission/hints.yaml");

/// The definitions and hints, compiled.
pub struct Rules {
    validator: Validator,
    definitions: BTreeMap<String, Definition>,
    hints: Vec<Hint>,
}

/// The definition of one kind.
struct Definition {
    plural: String,
    schema: Value,
    compiled: CompiledSchema,
    /// What each rule says, for rules that cannot be evaluated for a value.
    messages: BTreeMap<String, String>,
}

/// An admission policy that warns about one resource.
struct Hint {
    resources: Vec<String>,
    conditions: Vec<Program>,
    variables: Vec<(String, Program)>,
    validations: Vec<Validation>,
}

struct Validation {
    expression: Program,
    message: Message,
}

enum Message {
    Text(String),
    Expression(Program),
}

/// What is shipped cannot be used. Tests find that before anybody else does.
#[derive(Debug, thiserror::Error)]
#[error("the rules that are shipped cannot be used: {0}")]
pub struct RulesError(String);

impl Rules {
    /// Compiles what is shipped.
    pub fn shipped() -> Result<Self, RulesError> {
        let mut definitions = BTreeMap::new();
        for (_, crd) in crds::all() {
            let name =
                |field: &str| crd["spec"]["names"][field].as_str().unwrap_or_default().to_owned();
            let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let mut messages = BTreeMap::new();
            gather_messages(&schema, &mut messages);
            let compiled = compile_schema(&schema);
            let plural = name("plural");
            definitions.insert(name("kind"), Definition { plural, schema, compiled, messages });
        }
        let objects: Vec<Value> =
            yaml::read_all(HINTS).map_err(|error| RulesError(error.to_string()))?;
        let policies =
            objects.iter().filter(|object| object["kind"] == "ValidatingAdmissionPolicy");
        let hints = policies.map(|policy| Hint::of(&policy["spec"])).collect::<Result<_, _>>()?;
        Ok(Self { validator: Validator::new(), definitions, hints })
    }

    /// What the API server refuses about an object of one of the kinds. Nothing is said of other kinds.
    pub fn check(&self, object: &Value) -> Vec<Problem> {
        let Some(definition) = self.definition(object) else { return Vec::new() };
        let mut found = Vec::new();
        metadata::check(object, &mut found);
        let mut object = object.clone();
        // The status of a new object is dropped, and its metadata has a schema of its own.
        let mut own = json!({});
        if let Some(spec) = object.get("spec").filter(|spec| !spec.is_null()) {
            own["spec"] = spec.clone();
        }
        schema::check(&definition.schema, &mut own, "", &mut found);
        for name in object.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
                let message =
                    "unknown field: the fields here are apiVersion, kind, metadata, spec".into();
                found.push(Problem { field: name.clone(), message, kind: Kind::UnknownField });
            }
        }
        if found.iter().any(|problem| problem.kind == Kind::Form) {
            return found;
        }
        object["spec"] = own["spec"].take();
        if let Some(prefix) = object["metadata"]["generateName"].as_str()
            && object["metadata"]["name"].is_null()
        {
            // As the API server makes it.
            let name: String = prefix.chars().take(58).chain("xxxxx".chars()).collect();
            object["metadata"]["name"] = json!(name);
        }
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        let refused = self.validator.validate_compiled(&definition.compiled, &object, None);
        for error in refused.err().into_iter().flatten() {
            let message = match error.kind {
                ErrorKind::ValidationFailure => error.message,
                // As the API server does, where a value makes a rule impossible to evaluate.
                ErrorKind::EvaluationError => {
                    definition.messages.get(&error.rule).cloned().unwrap_or(error.message)
                }
                _ => format!("this rule cannot be evaluated here: {}", error.message),
            };
            found.push(Problem { field: error.field_path, message, kind: Kind::Rule });
        }
        for problem in beyond_kube_cel(&object, &definition.messages) {
            if !found.contains(&problem) {
                found.push(problem);
            }
        }
        found
    }

    /// What the API server would warn of, for an object that it takes at this time.
    pub fn hints(&self, object: &Value, now: Timestamp) -> Vec<String> {
        let Some(definition) = self.definition(object) else { return Vec::new() };
        let mut object = object.clone();
        object["metadata"]["creationTimestamp"] = json!(now.to_string());
        let hints = self.hints.iter().filter(|hint| hint.resources.contains(&definition.plural));
        hints.flat_map(|hint| hint.evaluate(&object)).collect()
    }

    fn definition(&self, object: &Value) -> Option<&Definition> {
        self.definitions.get(object["kind"].as_str()?)
    }
}

/// What the API server refuses, and kube-cel does not, because it uses other libraries: RE2 repeats nothing more than a thousand
/// times, and timestamps have capital letters and a year from 1 on.
fn beyond_kube_cel(object: &Value, messages: &BTreeMap<String, String>) -> Vec<Problem> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let pattern = text("/spec/issuance/reason/pattern");
    let repeats = pattern.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let mut counts = repeats.flat_map(|(counts, _)| counts.split(','));
    let repeats_often = counts.any(|count| count.parse().is_ok_and(|count: u32| count > 1000));
    let start = text("/spec/startTime");
    let is_odd = start.contains(['t', 'z']) || start.starts_with("0000");
    let refused = [
        (repeats_often, "spec.issuance.reason.pattern", "''.matches(self)"),
        (is_odd, "spec.startTime", "timestamp(self)"),
    ];
    let refused = refused.into_iter().filter(|(is_refused, ..)| *is_refused);
    let problems = refused.filter_map(|(_, field, part)| {
        let (_, message) = messages.iter().find(|(rule, _)| rule.contains(part))?;
        Some(Problem { field: field.into(), message: message.clone(), kind: Kind::Rule })
    });
    problems.collect()
}

fn gather_messages(schema: &Value, messages: &mut BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
            if let (Some(rule), Some(message)) =
                (schema["rule"].as_str(), schema["message"].as_str())
            {
                messages.insert(rule.to_owned(), message.to_owned());
            }
            fields.values().for_each(|inner| gather_messages(inner, messages));
        }
        Value::Array(items) => items.iter().for_each(|inner| gather_messages(inner, messages)),
        _ => {}
    }
}

impl Hint {
    fn of(spec: &Value) -> Result<Self, RulesError> {
        let list = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
        let expression = |of: &Value| compile(of["expression"].as_str().unwrap_or_default());
        let conditions =
            list("matchConditions").iter().map(expression).collect::<Result<_, _>>()?;
        let variables = list("variables");
        let variables = variables.iter().map(|variable| {
            Ok((variable["name"].as_str().unwrap_or_default().to_owned(), expression(variable)?))
        });
        let validations = list("validations");
        let validations = validations.iter().map(|validation| {
            let message = match validation["messageExpression"].as_str() {
                Some(message) => Message::Expression(compile(message)?),
                None => {
                    Message::Text(validation["message"].as_str().unwrap_or_default().to_owned())
                }
            };
            Ok(Validation { expression: expression(validation)?, message })
        });
        let rules = spec["matchConstraints"]["resourceRules"].as_array();
        let resources = rules.into_iter().flatten().filter_map(|rule| rule["resources"].as_array());
        Ok(Self {
            resources: resources.flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            conditions,
            variables: variables.collect::<Result<_, RulesError>>()?,
            validations: validations.collect::<Result<_, RulesError>>()?,
        })
    }

    /// The messages of the validations that fail. What cannot be evaluated is ignored, as `failurePolicy: Ignore` says.
    fn evaluate(&self, object: &Value) -> Vec<String> {
        let Ok(object) = cel::to_value(object) else { return Vec::new() };
        let mut context = Context::default().with_all();
        // The functions of Kubernetes that kube-cel does not bring, or that differ there.
        context
            .add_function("dyn", |This(value): This<CelValue>| -> cel::ResolveResult { Ok(value) });
        context.add_function("string", text_of);
        context.add_function("getHours", |This(time): This<CelValue>| in_utc(&time, Time::hour));
        context
            .add_function("getMinutes", |This(time): This<CelValue>| in_utc(&time, Time::minute));
        context
            .add_function("getSeconds", |This(time): This<CelValue>| in_utc(&time, Time::second));
        context.add_variable_from_value("object", object);
        let is_true = |context: &Context, expression: &Program| {
            matches!(expression.execute(context), Ok(CelValue::Bool(true)))
        };
        if !self.conditions.iter().all(|condition| is_true(&context, condition)) {
            return Vec::new();
        }
        let mut variables = std::collections::HashMap::new();
        for (name, expression) in &self.variables {
            let Ok(value) = expression.execute(&context) else { return Vec::new() };
            variables.insert(name.clone(), value);
            context.add_variable_from_value("variables", variables.clone());
        }
        let fails = |validation: &&Validation| {
            matches!(validation.expression.execute(&context), Ok(CelValue::Bool(false)))
        };
        let told = self.validations.iter().filter(fails).filter_map(|validation| match &validation
            .message
        {
            Message::Text(text) => Some(text.clone()),
            Message::Expression(expression) => match expression.execute(&context) {
                Ok(CelValue::String(text)) => Some((*text).clone()),
                _ => None,
            },
        });
        told.collect()
    }
}

/// `string()` of CEL, with timestamps as the API server writes them.
fn text_of(context: &cel::FunctionContext, value: This<CelValue>) -> cel::ResolveResult {
    let text = cel::functions::string(context, value)?;
    let CelValue::String(written) = &text else { return Ok(text) };
    Ok(match written.strip_suffix("+00:00") {
        Some(time) if time.contains('T') => CelValue::String(format!("{time}Z").into()),
        _ => text,
    })
}

/// A part of a timestamp. The API server takes those of UTC, whatever the zone in which it was written.
fn in_utc(value: &CelValue, part: fn(Time) -> i8) -> cel::ResolveResult {
    let CelValue::Timestamp(time) = value else {
        return Err(cel::ExecutionError::function_error("timestamp", "this is no timestamp"));
    };
    let time: Timestamp = time
        .to_rfc3339()
        .parse()
        .map_err(|error: jiff::Error| cel::ExecutionError::function_error("timestamp", error))?;
    Ok(CelValue::Int(part(time.to_zoned(TimeZone::UTC).time()).into()))
}

fn compile(expression: &str) -> Result<Program, RulesError> {
    Program::compile(expression).map_err(|error| RulesError(format!("{expression}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(kind: &str, spec: &Value) -> Vec<String> {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let object = json!({"kind": kind, "metadata": {"name": "a"}, "spec": spec});
        Rules::shipped().unwrap().hints(&object, now)
    }

    #[test]
    fn hints_are_those_that_are_shipped() {
        for (start, words) in [
            ("2099-11-23T00:00:00Z", "midnight in UTC (2099-11-23T00:00:00Z)"),
            ("2099-11-23T01:00:00+01:00", "midnight in UTC (2099-11-23T01:00:00+01:00)"),
            ("2099-11-23T00:00:00+01:00", ""),
            ("2026-11-22T12:00:01Z", ""),
            ("2026-11-22T11:59:59Z", "in the past (2026-11-22T11:59:59Z)"),
            ("2026-11-22T12:30:00+01:00", "in the past (2026-11-22T12:30:00+01:00)"),
        ] {
            let told = hints("TapRequest", &json!({ "startTime": start }));
            assert_eq!(told.is_empty(), words.is_empty(), "{start}: {told:?}");
            assert!(told.iter().all(|hint| hint.contains(words)), "{start}: {told:?}");
        }
        assert!(hints("TapRequest", &json!({})).is_empty());

        let (some, all) = (json!({"names": ["a"]}), json!({"domains": ["contoso.com"]}));
        for (namespaces, users, words) in [
            (&some, &all, ""),
            (&json!({"selector": {}}), &all, "admits no namespace"),
            (&json!({"names": []}), &all, "admits no namespace"),
            (&json!({"selector": {"matchLabels": {"a": "b"}}}), &all, ""),
            (
                &json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
                &all,
                "",
            ),
            (&some, &json!({}), "admits nobody"),
            (&some, &json!({"groups": [{"group": "a"}]}), ""),
            (
                &some,
                &json!({"domains": ["@contoso.com", "a.com", "*.b.com"]}),
                "@contoso.com, *.b.com;",
            ),
        ] {
            let spec = json!({"issuance": {"namespaces": namespaces, "users": users}});
            let told = hints("TapPolicy", &spec);
            assert_eq!(told.is_empty(), words.is_empty(), "{spec}: {told:?}");
            assert!(told.iter().all(|hint| hint.contains(words)), "{spec}: {told:?}");
        }
        assert!(hints("TapPolicy", &json!({})).is_empty());
    }
}
