//! The metrics of the operator, for whoever may read them through the API server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::unseen;
use super::{Finding, Verdict};
use crate::plugin::calls::Right;
use crate::plugin::session::Session;

const CHECK: &str = "operator's metrics";
/// How long to wait for them. Where the network keeps the API server from the pod, no answer comes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the operator measures, as one replica told it.
#[derive(Debug, Default, PartialEq)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Asks the pod that leads. The finding says why there are none.
pub async fn read(session: &Session, namespace: &str, pod: &str) -> Result<Metrics, Finding> {
    let right = Right { verb: "get", group: "", resource: "pods", subresource: "proxy", name: pod };
    let may = session.cluster.may(right, Some(namespace)).await;
    if !may.map_err(|error| unseen(CHECK, &error))? {
        let why =
            format!("you may not see them: you cannot get pods/proxy in namespace {namespace}");
        return Err(Finding::new(CHECK, Verdict::Unknown, why));
    }
    // The first port of the pod is that of health and metrics.
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/proxy/metrics");
    let why = match tokio::time::timeout(PATIENCE, session.cluster.text(&path)).await {
        Ok(Ok(text)) => return Ok(Metrics::parse(&text)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing came within {} s", PATIENCE.as_secs()),
    };
    let detail = format!("the API server does not get them from the pod {pod}: {why}");
    Err(Finding::new(CHECK, Verdict::Unknown, detail).remedy(concat!(
        "if a NetworkPolicy is the cause, or the operator is no pod of this cluster, look at the monitoring instead: ",
        page!("monitoring.md")
    )))
}

impl Metrics {
    /// Reads the text format. What is no sample is passed over.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The values of a metric, each with its labels.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a BTreeMap<String, String>, f64)> {
        let named = self.0.iter().filter(move |sample| sample.name == name);
        named.map(|sample| (&sample.labels, sample.value))
    }

    /// The value of a metric of a connection.
    pub fn of_connection(&self, name: &str, connection: &str) -> Option<f64> {
        let is_its = |labels: &BTreeMap<String, String>| {
            labels.get("connection").is_some_and(|label| label == connection)
        };
        self.all(name).find(|(labels, _)| is_its(labels)).map(|(_, value)| value)
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (head, labels, rest) = if let Some((name, rest)) = line.split_once('{') {
        let (labels, rest) = labels(rest)?;
        (name, labels, rest)
    } else {
        let (name, rest) = line.split_once(' ')?;
        (name, BTreeMap::new(), rest)
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: head.to_owned(), labels, value })
}

/// Reads `a="b",c="d"}`. Returns what follows it, too.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        text = rest.get(end + 1..)?;
        text = text.strip_prefix(',').unwrap_or(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let metrics = Metrics::parse(
            "# HELP tap_operator_stopped 1 while the emergency stop is set\n\
             # TYPE tap_operator_stopped gauge\n\
             tap_operator_stopped 0\n\
             tap_operator_connection_up{connection=\"default\"} 1\n\
             tap_operator_connection_up{connection=\"a \\\"b\\\"\\\\,}\",more=\"x\"} 0.0 1764500000\n\
             what is this\n\
             # EOF\n",
        );
        assert_eq!(metrics.all("tap_operator_stopped").map(|(_, v)| v).collect::<Vec<_>>(), [0.0]);
        let up = |connection| metrics.of_connection("tap_operator_connection_up", connection);
        assert_eq!((up("default"), up("a \"b\"\\,}"), up("other")), (Some(1.0), Some(0.0), None));
        assert_eq!(metrics.0.len(), 3);
        assert_eq!(Metrics::parse("<html>"), Metrics::default());
    }
}
