//! `docs/reference/metrics.md`, from the catalog of metrics.

use std::fmt::Write as _;

use tap_operator::api::Phase;
use tap_operator::controller::metrics::Fate;
use tap_operator::controller::metrics::catalog::{METRICS, Metric};
use tap_operator::graph;

use super::{Files, cell, made_from};

/// The page.
pub fn files() -> Files {
    let mut text = made_from("the catalog of metrics, src/controller/metrics/catalog.rs,");
    text.push_str(
        "\n# Metrics\n\n\
        Served at `/metrics` of port 8080. A series goes with its object: that of a TapPolicy when the policy is deleted.\n\
        Counters begin with 0 when the process, or the policy, does. TapRequests and TapPolicies are told by the replica that\n\
        leads alone; everything else by each replica for itself. `policy` is `<none>` where no TapPolicy of the name exists.\n\n\
        | metric | kind | labels | what it tells |\n|---|---|---|---|\n",
    );
    for Metric { name, kind, labels, help } in METRICS {
        let (kind, labels, help) = (kind.name(), listed(labels), cell(help));
        writeln!(text, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    text.push_str("\n## Values of labels\n\n| label | values |\n|---|---|\n");
    for (label, values) in values() {
        writeln!(text, "| `{label}` | {values} |").unwrap();
    }
    [("docs/reference/metrics.md".to_owned(), text)].into()
}

fn listed(values: &[&str]) -> String {
    values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
}

fn values() -> [(&'static str, String); 11] {
    let calls: Vec<&str> = graph::call_outcomes().map(|of| of.call).collect();
    let outcomes = graph::call_outcomes().flat_map(|of| of.outcomes.iter().copied());
    let mut outcomes: Vec<&str> = outcomes.collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    let phases: Vec<&str> = Phase::ALL.iter().map(|phase| phase.name()).collect();
    let credentials = ["clientCertificate", "clientSecret", "managedIdentity", "workloadIdentity"];
    let reasons = "a reason of the condition Reconciling or Ready; `New` before there is one, `Other` for one that this version does not know";
    [
        ("call", listed(&calls)),
        ("outcome", listed(&outcomes)),
        ("cause", listed(&graph::NOT_SENT)),
        ("fate", listed(&Fate::ALL.map(Fate::label))),
        ("priority", listed(&graph::Priority::LABELS)),
        ("service", listed(&["authentication_methods", "logs", "conditional_access", "others"])),
        ("error", "the number of an error of Entra, 130502 to 130507".to_owned()),
        (
            "phase",
            format!("{}; `Unknown` for a request that this version cannot read", listed(&phases)),
        ),
        ("reason", reasons.to_owned()),
        ("credential, kind", listed(&credentials)),
        ("name, controller", listed(&["taprequest", "tappolicy"])),
    ]
}
