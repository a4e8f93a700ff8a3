//! The alert rules, the dashboard and the runbook fit each other and the operator's metrics. What needs promtool runs in
//! `make test-deploy`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use regex::Regex;
use serde_json::Value;
use tap_operator::api::yaml;
use tap_operator::controller::metrics::catalog::{Kind, METRICS};

#[path = "../support/program.rs"]
#[allow(dead_code, reason = "only a part of it is needed")]
mod program;
#[path = "../support/transport.rs"]
mod transport;
#[path = "../support/in_process.rs"]
mod world;

const RULES: &str = include_str!("../../deploy/monitoring/rules.yaml");
const DASHBOARD: &str = include_str!("../../deploy/monitoring/dashboard.json");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

fn alerts() -> Vec<Value> {
    let rules: Value = yaml::read(RULES).expect("the rules are YAML");
    let groups = rules["groups"].as_array().cloned().unwrap_or_default();
    groups
        .into_iter()
        .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The queries of the dashboard.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().cloned().unwrap_or_default();
    let targets =
        panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets.map(|target| text(&target, "/expr").to_owned()).collect()
}

#[test]
fn each_alert_says_what_to_do_and_where_that_is_written() {
    let alerts = alerts();
    assert!(alerts.len() >= 20, "{}", alerts.len());
    let mut names = BTreeSet::new();
    for alert in &alerts {
        let name = text(alert, "/alert");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = text(alert, "/labels/severity");
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity:?}");
        for field in ["/annotations/summary", "/annotations/description"] {
            assert!(text(alert, field).ends_with('.'), "{name}: {field}");
        }
        let expected = format!(
            "https://github.com/tap-operator/tap-operator/blob/v{}/docs/runbook.md#{}",
            env!("CARGO_PKG_VERSION"),
            name.to_lowercase()
        );
        assert_eq!(text(alert, "/annotations/runbook_url"), expected, "{name}");
        let (_, section) = RUNBOOK.split_once(&format!("\n## {name}\n")).expect(name);
        let section = section.split("\n## ").next().unwrap_or_default();
        for part in ["**Means**", "**Impact**", "**Look at**", "**Do**"] {
            assert!(section.contains(part), "{name}: the runbook does not say {part}");
        }
    }
    let sections: BTreeSet<String> =
        RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(sections, names, "the runbook has a section for each alert, and no other");
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let name = Regex::new(r"\b(tap_operator|workqueue|process|leader_election|apiserver)_[a-z_]+")
        .unwrap();
    // The API server's own.
    let foreign = ["apiserver_validating_admission_policy_check_total"];
    let is_there = |found: &str| {
        METRICS.iter().any(|metric| match metric.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|part| found.strip_suffix(part) == Some(metric.name)),
            Kind::Counter | Kind::Gauge => found == metric.name,
        })
    };
    let expressions =
        alerts().iter().map(|alert| text(alert, "/expr").to_owned()).collect::<Vec<_>>();
    for expression in expressions.iter().chain(&queries()) {
        let mut names = name.find_iter(expression).map(|found| found.as_str()).peekable();
        assert!(names.peek().is_some(), "no metric in {expression}");
        for found in names {
            assert!(is_there(found) || foreign.contains(&found), "{found}: {expression}");
        }
    }
}

#[test]
fn each_alert_has_a_test() {
    let tests: Value = yaml::read(include_str!("rules_test.yaml")).expect("the tests are YAML");
    for alert in alerts() {
        let name = text(&alert, "/alert");
        let is_about = |test: &&Value| text(test, "/name").starts_with(name);
        let test = tests["tests"].as_array().and_then(|tests| tests.iter().find(is_about));
        let expected = test.map(|test| test["promql_expr_test"].to_string()).unwrap_or_default();
        assert!(expected.contains("\"value\":0"), "{name} is not seen to stay silent");
        let fires = [1, 2].iter().any(|n| expected.contains(&format!("\"value\":{n}")));
        assert!(fires, "{name} is not seen to fire");
    }
}

/// Why requests fail without anybody having tried what they may not.
const NO_ATTEMPTS: [&str; 18] = [
    "CreatedUnguarded",
    "ExternalGuest",
    "ExternalMember",
    "FlagCoerced",
    "InvalidSpec",
    "LifetimeNotAllowed",
    "NoIssuance",
    "OneTimeUseRequired",
    "PassUnusable",
    "ReasonNotAccepted",
    "RecipientInvalid",
    "RecipientsRequired",
    "Released",
    "ResolvedChanged",
    "Restored",
    "SecretNameTaken",
    "StartTimeRequired",
    "UserHasMethods",
];

/// A reason that is new belongs to one of the two.
#[test]
fn each_final_failure_is_an_attempt_that_alerts_or_none() {
    let reasons = include_str!("../../docs/reference/reasons.md");
    let (_, section) = reasons.split_once("\n## Why a request failed\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let documented: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let alert = alerts().into_iter().find(|alert| text(alert, "/alert") == "TapRefusedAttempts");
    let alert = alert.expect("the alert");
    let (_, attempts) = text(&alert, "/expr").split_once("reason=~\"").expect("the reasons");
    let attempts: BTreeSet<&str> =
        attempts.split('"').next().unwrap_or_default().split('|').collect();
    let others = NO_ATTEMPTS.into_iter().collect();
    assert!(attempts.is_disjoint(&others), "{attempts:?}");
    // It waits first, so it is documented there.
    let waits = BTreeSet::from(["UserNotAllowed"]);
    let known: BTreeSet<&str> = attempts.union(&others).copied().collect();
    let documented: BTreeSet<&str> = documented.union(&waits).copied().collect();
    assert_eq!(known, documented);
    let (_, section) = RUNBOOK.split_once("\n## TapRefusedAttempts\n").expect("its section");
    let section = section.split("\n## ").next().unwrap_or_default();
    for reason in attempts {
        assert!(section.contains(&format!("`{reason}`")), "the runbook does not explain {reason}");
    }
}

/// The alert comes while there is still time to approve.
#[test]
fn the_documented_policies_give_approvers_longer_than_until_the_alert() {
    let timeout = Regex::new(r"approval: \{[^}]*timeout: (\d+)(m|h)\}").unwrap();
    let mut seen = 0;
    for folder in ["docs", "examples"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in folder.read_dir().expect("it is there") {
            let path = file.expect("it can be read").path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for found in timeout.captures_iter(&text) {
                let number: u32 = found[1].parse().expect("a number");
                let minutes = if &found[2] == "h" { 60 * number } else { number };
                assert!(minutes >= 60, "{}: {}", path.display(), &found[0]);
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "{seen}");
    let alert = alerts().into_iter().find(|alert| text(alert, "/alert") == "TapApprovalWaits");
    assert!(text(&alert.expect("the alert"), "/expr").ends_with("> 30 * 60"));
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let directory = program::built_with("tests/prometheus/build", "promtool").expect("promtool");
    let mut child = Command::new(directory.join("promtool"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("promtool ends")
}

fn succeeds(arguments: &[&str], input: &str) {
    let output = promtool(arguments, input);
    let told = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

#[test]
#[ignore = "make test-deploy runs it: it needs promtool"]
fn promtool_finds_no_fault_in_the_rules() {
    succeeds(&["check", "rules", "--lint=all", "--lint-fatal", "deploy/monitoring/rules.yaml"], "");
}

#[test]
#[ignore = "make test-deploy runs it: it needs promtool"]
fn each_alert_fires_when_it_should_and_only_then() {
    succeeds(&["test", "rules", "tests/monitoring/rules_test.yaml"], "");
}

/// The metrics of an operator that has issued a pass.
#[tokio::test(start_paused = true)]
#[ignore = "make test-deploy runs it: it needs promtool"]
async fn promtool_finds_no_fault_in_the_metrics() {
    use serde_json::json;
    use tap_operator::api::Phase;
    use tap_operator::controller::metrics::Format;
    let world = world::World::new();
    let operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, world::SOON).await;
    let page = operator.metrics.text(Format::Classic);
    assert!(page.contains("tap_operator_passes_issued_total{policy=\"contoso\"} 1"), "{page}");
    succeeds(&["check", "metrics", "--lint=all"], &page);
}
