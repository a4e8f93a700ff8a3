//! The tenant connections: what the policies say about the app's permissions, and the metrics about Entra and Graph.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::metrics::Metrics;
use super::{Finding, Verdict};
use crate::api::{ConditionType, TapPolicy, find_condition};
use crate::decision::Reason;
use crate::plugin::time::long;

/// How wrong the operator's clock may be, in seconds, before somebody should know.
const SKEW: f64 = 60.0;
/// How long before a credential expires somebody should know.
const CREDENTIAL: i64 = 14 * 86_400;

/// A finding for each connection that a policy or a metric names.
pub fn check(policies: &[TapPolicy], metrics: &Metrics, now: Timestamp) -> Vec<Finding> {
    let named = metrics.all("tap_operator_connection_info");
    let named = named.filter_map(|(labels, _)| labels.get("connection").map(String::as_str));
    let names: BTreeSet<&str> =
        policies.iter().map(|policy| policy.spec.tenant.as_str()).chain(named).collect();
    names.into_iter().filter_map(|name| connection(name, policies, metrics, now)).collect()
}

/// Nothing is found where nobody says anything about it.
fn connection(
    name: &str,
    policies: &[TapPolicy],
    metrics: &Metrics,
    now: Timestamp,
) -> Option<Finding> {
    let mut found = Found::default();
    let own = policies.iter().filter(|policy| policy.spec.tenant == name);
    own.for_each(|policy| found.permissions(policy));
    found.calls(name, metrics);
    found.times(name, metrics, now);
    let check = format!("connection {name}");
    let (verdict, detail) = match (found.failures.is_empty(), found.warnings.is_empty()) {
        (true, true) if found.good.is_empty() => return None,
        (true, true) => return Some(Finding::new(check, Verdict::Ok, told(&found.good))),
        (true, false) => (Verdict::Warning, found.warnings),
        (false, _) => (Verdict::Failed, found.failures.into_iter().chain(found.warnings).collect()),
    };
    Some(Finding::new(check, verdict, told(&detail)).remedy(concat!(
        "an administrator looks at the app and its credential: ",
        page!("install.md")
    )))
}

/// Sentences, each once.
fn told(sentences: &[String]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for sentence in sentences {
        if !once.contains(&sentence.as_str()) {
            once.push(sentence);
        }
    }
    once.join("; ")
}

#[derive(Default)]
struct Found {
    failures: Vec<String>,
    warnings: Vec<String>,
    good: Vec<String>,
}

impl Found {
    fn permissions(&mut self, policy: &TapPolicy) {
        let status = policy.status.as_ref();
        let condition = status
            .and_then(|status| find_condition(&status.conditions, ConditionType::Permissions));
        let Some(condition) = condition else { return };
        let granted = condition.reason == Reason::PermissionsGranted.as_str();
        if condition.status == "True" && granted {
            self.good.push("the app has the permissions that it needs, and no others".to_owned());
        } else {
            self.warnings.push(condition.message.clone());
        }
    }

    fn calls(&mut self, name: &str, metrics: &Metrics) {
        match metrics.of_connection("tap_operator_connection_signed_in", name) {
            Some(0.0) => self.failures.push("Entra refuses the operator a token".to_owned()),
            Some(_) => self.good.push("the operator is signed in".to_owned()),
            None => {}
        }
        match metrics.of_connection("tap_operator_connection_up", name) {
            Some(0.0) => {
                let failure = "the last call to Graph got no answer, or its token was refused";
                self.failures.push(failure.to_owned());
            }
            Some(_) => self.good.push("Graph answers".to_owned()),
            None => {}
        }
        let throttled = metrics.all("tap_operator_graph_throttled").any(|(labels, value)| {
            value > 0.0 && labels.get("connection").is_some_and(|label| label == name)
        });
        if throttled {
            self.warnings.push("Graph has asked the operator to wait".to_owned());
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough for people")]
    fn times(&mut self, name: &str, metrics: &Metrics, now: Timestamp) {
        let offset = metrics.of_connection("tap_operator_connection_clock_offset_seconds", name);
        if let Some(offset) = offset.filter(|offset| offset.abs() > SKEW) {
            let way = if offset > 0.0 { "behind" } else { "ahead of" };
            let off = long(offset.abs() as i64);
            self.warnings.push(format!("the operator's clock is {off} {way} that of Graph"));
        }
        let expiries = metrics.all("tap_operator_connection_credential_expiry_timestamp_seconds");
        for (labels, at) in expiries {
            if labels.get("connection").is_none_or(|label| label != name) {
                continue;
            }
            // Tokens of service accounts live for an hour, and are renewed.
            let (what, early) = match labels.get("kind").map(String::as_str) {
                Some("workloadIdentity") => ("service account token", 0),
                Some("clientCertificate") => ("certificate", CREDENTIAL),
                _ => ("credential", CREDENTIAL),
            };
            let left = at as i64 - now.as_second();
            if left <= 0 {
                self.failures.push(format!("its {what} has expired"));
            } else if left < early {
                self.warnings.push(format!("its {what} expires in {}", long(left)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(reason: &str, status: &str, message: &str) -> TapPolicy {
        let condition = json!({ "type": "Permissions", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-29T17:25:00Z" });
        serde_json::from_value(json!({
            "metadata": { "name": "contoso" }, "spec": { "tenant": "default" },
            "status": { "conditions": [condition] },
        }))
        .unwrap()
    }

    fn found(policies: &[TapPolicy], metrics: &str) -> Vec<(String, Verdict, String)> {
        let now = "2026-11-29T17:30:00Z".parse().unwrap();
        let found = check(policies, &Metrics::parse(metrics), now);
        found.into_iter().map(|f| (f.check, f.result, f.detail)).collect()
    }

    const WELL: &str = "tap_operator_connection_info{connection=\"default\"} 1\n\
        tap_operator_connection_signed_in{connection=\"default\"} 1\n\
        tap_operator_connection_up{connection=\"default\"} 1\n\
        tap_operator_connection_clock_offset_seconds{connection=\"default\"} 0.5\n";

    #[test]
    fn a_connection_in_order_says_what_is_known_of_it() {
        let well = policy("PermissionsGranted", "True", "the app has them");
        let of_status = [(
            "connection default".to_owned(),
            Verdict::Ok,
            "the app has the permissions that it needs, and no others".to_owned(),
        )];
        assert_eq!(found(&[well.clone(), well.clone()], ""), of_status, "without metrics");
        let all = &found(&[well], WELL)[0];
        assert_eq!(all.1, Verdict::Ok);
        assert!(all.2.ends_with("; the operator is signed in; Graph answers"), "{}", all.2);
        assert_eq!(found(&[], ""), []);
        assert_eq!(found(&[], WELL).len(), 1, "one that no policy uses");
    }

    #[test]
    fn what_is_wrong_with_a_connection_is_told() {
        let missing = policy("PermissionMissing", "False", "the app lacks User.Read.All");
        let told = |metrics: &str| found(std::slice::from_ref(&missing), metrics).remove(0);
        assert_eq!(told("").1, Verdict::Warning);
        assert_eq!(told(WELL).2, "the app lacks User.Read.All");
        for (metric, result, words) in [
            ("connection_signed_in{connection=\"default\"} 0", Verdict::Failed, "refuses"),
            ("connection_up{connection=\"default\"} 0", Verdict::Failed, "no answer"),
            ("graph_throttled{connection=\"default\"} 1", Verdict::Warning, "to wait"),
            (
                "connection_clock_offset_seconds{connection=\"default\"} -180",
                Verdict::Warning,
                "clock is 3m ahead of that of Graph",
            ),
            (
                "connection_credential_expiry_timestamp_seconds{connection=\"default\",kind=\"clientCertificate\"} 1796250000",
                Verdict::Warning,
                "its certificate expires in 3d",
            ),
            (
                "connection_credential_expiry_timestamp_seconds{connection=\"default\",kind=\"clientCertificate\"} 1",
                Verdict::Failed,
                "its certificate has expired",
            ),
            (
                "connection_credential_expiry_timestamp_seconds{connection=\"default\",kind=\"workloadIdentity\"} 1",
                Verdict::Failed,
                "its service account token has expired",
            ),
        ] {
            let (_, verdict, detail) = told(&format!("tap_operator_{metric}\n"));
            assert_eq!(verdict, result, "{metric}");
            assert!(detail.contains(words), "{metric}: {detail}");
        }
    }
}
