//! How people observe the operator: metrics, and the audit lines of the log.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapRequest};

use crate::scene::{Scene, condition};
use crate::support::{run, wait};

const README: &str = include_str!("../../README.md");

/// The words in backticks of a sentence of the README.
fn listed(from: &str, to: &str) -> Result<BTreeSet<&'static str>> {
    let (_, rest) = README.split_once(from).with_context(|| format!("no {from:?}"))?;
    let (sentence, _) = rest.split_once(to).with_context(|| format!("no {to:?}"))?;
    Ok(sentence.split('`').skip(1).step_by(2).collect())
}

/// The metrics of the README with their labels.
fn described() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rows = README.lines().filter(|line| line.starts_with("| `tap_operator_"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.split('`').skip(1).step_by(2));
        let name = cells.next().and_then(|mut names| names.next()).unwrap_or_default();
        (name, cells.next().into_iter().flatten().collect())
    })
    .collect()
}

/// The name and the labels of a line of the metrics page.
fn sample(line: &str) -> Result<(&str, BTreeMap<&str, &str>)> {
    let (series, _) = line.rsplit_once(' ').context("no value")?;
    let Some((name, labels)) = series.split_once('{') else { return Ok((series, BTreeMap::new())) };
    let labels = labels.strip_suffix('}').context("no end of the labels")?;
    let labels = labels.split("\",").map(|label| {
        let (key, value) = label.split_once("=\"").context("no label")?;
        Ok((key, value.trim_end_matches('"')))
    });
    Ok((name, labels.collect::<Result<_>>()?))
}

#[test]
fn the_metrics_are_those_of_the_readme_and_name_nobody() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("metrics").await?;
        let user = scene.user();
        scene.ask("measured", &user, json!({})).await?;
        scene.wait_active("measured").await?;
        let page = scene.world.operator.metrics().await?;
        ensure!(page.ends_with("# EOF\n"), "{page}");

        let described = described();
        let calls = listed("`call` is one of ", "`outcome` is ")?;
        let outcomes = listed("`outcome` is ", "\n\n")?;
        let phases: BTreeSet<String> = [
            Phase::Pending,
            Phase::AwaitingApproval,
            Phase::Scheduled,
            Phase::Active,
            Phase::Used,
            Phase::Expired,
            Phase::Revoked,
            Phase::Denied,
            Phase::Failed,
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let mut seen = BTreeSet::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels) = sample(line).with_context(|| line.to_owned())?;
            // A histogram has three series.
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name);
            let expected =
                described.get(family).with_context(|| format!("not described: {line}"))?;
            let keys: BTreeSet<&str> = labels.keys().copied().filter(|key| *key != "le").collect();
            ensure!(keys == *expected, "{line}: labels {expected:?} are described");
            for (key, value) in labels {
                let known = match key {
                    "phase" => phases.contains(value),
                    "call" => calls.contains(value),
                    "outcome" => outcomes.contains(value),
                    "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
                    _ => false,
                };
                ensure!(known, "{line}: {value:?} is not described as a value of {key}");
            }
            seen.insert(family);
        }
        let all: BTreeSet<&str> = described.keys().copied().collect();
        ensure!(seen == all, "described: {all:?}, seen: {seen:?}");
        for line in [
            "tap_operator_leading 1",
            "tap_operator_request_transitions_total{phase=\"Active\"} ",
            "tap_operator_graph_calls_total{call=\"create_pass\",outcome=\"ok\"} ",
            "tap_operator_graph_call_seconds_count{call=\"create_pass\",outcome=\"ok\"} ",
        ] {
            ensure!(page.contains(line), "no {line}\n{page}");
        }
        Ok(())
    })
}

/// The audit lines about a request that are in the log so far.
fn audit(scene: &Scene<'_>, request: &str) -> Vec<Value> {
    let log = scene.world.operator.component().log_text();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "audit")
        .filter(|line| line["namespace"] == scene.namespace.as_str() && line["request"] == request)
        .collect()
}

#[test]
fn each_step_of_a_request_is_one_line_of_the_audit_log() -> Result<()> {
    run(async {
        let scene = Scene::shared("audit").await?;
        let policy = scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("lost-phone", &user, json!({ "reason": "INC0012345" })).await?;
        scene.wait_phase("lost-phone", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let approver = scene.approver.user();
        let decision = json!([{ "op": "add", "path": "/status/decisions/-", "value": {
            "by": approver, "decision": "Approve", "comment": "called back",
        }}]);
        let approve = Patch::<()>::Json(serde_json::from_value(decision)?);
        let requests: Api<TapRequest> =
            Api::namespaced(scene.approver.client().await?, &scene.namespace);
        requests.patch_status("lost-phone", &PatchParams::default(), &approve).await?;
        let active = scene.wait_active("lost-phone").await?;
        let code = scene.code("lost-phone").await?;
        scene.simulator.sign_in(&user, &code)?;
        let used = scene.wait_released("lost-phone", Phase::Used).await?;

        // A line is written after the event that it reports.
        wait::until(wait::PATIENCE, "the last line is written", || async {
            let lines = audit(&scene, "lost-phone");
            ensure!(lines.iter().any(|line| line["phase"] == "Used"), "{lines:#?}");
            Ok(())
        })
        .await?;
        let lines = audit(&scene, "lost-phone");
        let story: Vec<String> = lines
            .iter()
            .map(|line| match line["decision"].as_str() {
                Some(decision) => format!("{decision} by {}", line["by"].as_str().unwrap_or("?")),
                None => format!("{} {}", line["phase"], line["reason"]).replace('"', ""),
            })
            .collect();
        let approved = format!("Approve by {approver}");
        let expected = [
            "AwaitingApproval AwaitingApproval",
            approved.as_str(),
            "Active Issued",
            "Used PassUsed",
        ];
        ensure!(story == expected, "{story:?}");

        // Every field that the README lists, with its value.
        let status = active.status.clone().unwrap_or_default();
        let pass = status.pass.context("no pass")?;
        let resolved = status.resolved.context("nothing resolved")?;
        let about = |key: &str| match key {
            "namespace" => json!(scene.namespace),
            "request" => json!("lost-phone"),
            "uid" => json!(active.metadata.uid),
            "policy" => json!(scene.policy),
            "user" => json!(user),
            "requester" => json!(scene.helpdesk.user()),
            _ => Value::Null,
        };
        for line in &lines {
            for key in ["namespace", "request", "uid", "policy", "user", "requester"] {
                ensure!(line[key] == about(key), "{key}: {line:#}");
            }
        }
        ensure!(lines[1]["comment"] == "called back", "{:#}", lines[1]);
        for (line, phase, of) in [(&lines[2], "Active", &active), (&lines[3], "Used", &used)] {
            let (_, _, explanation) = condition(of, "Ready").context("no condition Ready")?;
            for (key, value) in [
                ("phase", json!(phase)),
                ("explanation", json!(explanation)),
                ("decisions", json!(format!("Approve by {approver}"))),
                ("tenant_id", json!(resolved.tenant_id)),
                ("user_id", json!(resolved.user_id)),
                ("policy_generation", json!(policy.metadata.generation)),
                ("approved_by", json!(approver)),
                ("pass_id", json!(pass.id)),
                ("client_request_id", json!(pass.client_request_id)),
                ("starts", json!(pass.start_time.0.to_string())),
                ("expires", json!(pass.expiration_time.0.to_string())),
            ] {
                ensure!(line[key] == value, "{key} is not {value}: {line:#}");
            }
            let checks = line["checks"].as_str().unwrap_or_default();
            for check in ["Policy Passed", "User Passed", "Approval Passed"] {
                ensure!(checks.contains(check), "no {check:?} in {checks:?}");
            }
        }
        let documented = listed("Its fields: ", "Each decision that is seen")?;
        for field in documented {
            ensure!(!lines[2][field].is_null(), "{field} is not in {:#}", lines[2]);
        }

        ensure!(!scene.world.operator.component().log_text().contains(&code), "the code is logged");
        Ok(())
    })
}
