//! The log: lines for people, or one JSON object for each line.

use std::fmt;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A field of this name holds a JSON object whose members are fields of the line: arrays and objects cannot be fields of
/// `tracing`.
const RECORD: &str = "audit_record";

/// Format of the log.
#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// One JSON object for each line.
    Json,
    /// For people.
    Text,
}

/// Starts the log on standard error, panics included.
pub fn start(format: Option<LogFormat>, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("--log {filter:?} is not a valid filter"))?;
    let json = match format {
        Some(LogFormat::Json) => true,
        Some(LogFormat::Text) => false,
        None => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.event_format(JsonLines).init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).init();
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "the operator panics")));
    Ok(())
}

/// Writes each event as one JSON object.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (time, level) = (format!("{:.6}", Timestamp::now()), metadata.level().as_str());
        let line = fields.line(&time, level, metadata.target()).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The fields of an event, in their order.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn line(self, time: &str, level: &str, target: &str) -> serde_json::Result<String> {
        let mut line = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut line);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", time)?;
        map.serialize_entry("level", level)?;
        for (name, value) in self.0 {
            match (name, value) {
                (RECORD, Value::Object(record)) => {
                    for (name, value) in record {
                        map.serialize_entry(&name, &value)?;
                    }
                }
                (name, value) => map.serialize_entry(name, &value)?,
            }
        }
        map.serialize_entry("target", target)?;
        map.end()?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn push(&mut self, field: &Field, value: Value) {
        self.0.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let record = if field.name() == RECORD { serde_json::from_str(&text).ok() } else { None };
        self.push(field, record.unwrap_or_else(|| text.into()));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_with_typed_fields_and_those_of_its_record() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let record = json!({"checks": [{"name": "User", "result": "Passed"}], "again": false});
            let absent: Option<&str> = None;
            tracing::info!(target: "audit", audit_record = %record, number = 7, yes = true, absent, "two\nlines \"quoted\"");
            tracing::error!(error = %"no JSON", "another");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let mut line = lines[0].clone();
        let time = line["timestamp"].take();
        assert!(time.as_str().unwrap().parse::<Timestamp>().is_ok(), "{time}");
        let expected = json!({
            "timestamp": null, "level": "INFO", "target": "audit", "message": "two\nlines \"quoted\"",
            "checks": [{"name": "User", "result": "Passed"}], "again": false, "number": 7, "yes": true,
        });
        assert_eq!(line, expected);
        assert_eq!((&lines[1]["level"], &lines[1]["error"]), (&json!("ERROR"), &json!("no JSON")));
    }
}
