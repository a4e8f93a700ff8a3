//! How people observe the operator: metrics, and the audit lines of the log.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase, TapRequest};
use tap_operator::controller::metrics::catalog::METRICS;

use crate::scene::{Scene, condition};
use crate::support::{run, wait};

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
fn the_metrics_are_those_of_the_catalog_and_name_nobody() -> Result<()> {
    run(async {
        let scene = Scene::shared("metrics").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("measured", &user, json!({})).await?;
        scene.wait_phase("measured", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, "measured", DecisionKind::Approve).await?;
        scene.wait_active("measured").await?;
        let policy = &scene.policy;
        let issued = format!("tap_operator_passes_issued_total{{policy=\"{policy}\"}} 1");
        let active = format!(
            "tap_operator_requests{{policy=\"{policy}\",phase=\"Active\",reason=\"Issued\"}} 1.0"
        );
        // The watch shows the request a moment later.
        wait::until(wait::PATIENCE, "the request is counted", || async {
            let page = scene.world.operator.metrics().await?;
            ensure!(page.contains(&active), "{page}");
            Ok(())
        })
        .await?;
        let page = scene.world.operator.metrics().await?;
        ensure!(!page.contains("# EOF"), "the classic format has no end\n{page}");

        let mut seen = BTreeSet::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels) = sample(line).with_context(|| line.to_owned())?;
            let described = |name: &str| METRICS.iter().find(|metric| metric.name == name);
            // A histogram has three series.
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|p| name.strip_suffix(p));
            let metric = described(name).or_else(|| described(family?));
            let metric = metric.with_context(|| format!("not described: {line}"))?;
            let keys: BTreeSet<&str> = labels.keys().copied().filter(|key| *key != "le").collect();
            let expected: BTreeSet<&str> = metric.labels.iter().copied().collect();
            ensure!(keys == expected, "{line}: the labels are {expected:?}");
            for person in [scene.helpdesk.user(), scene.approver.user(), &user, "measured"] {
                ensure!(!line.contains(person), "{line} names {person}");
            }
            seen.insert(metric.name);
        }
        // A client secret does not say when it expires.
        let without = ["tap_operator_connection_credential_expiry_timestamp_seconds"];
        let all: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        let missing: Vec<_> =
            all.difference(&seen).filter(|name| !without.contains(*name)).collect();
        ensure!(missing.is_empty(), "missing: {missing:?}\n{page}");
        for line in [
            "leader_election_master_status{name=\"tap-operator\"} 1",
            "tap_operator_connection_up{connection=\"default\"} 1.0",
            "tap_operator_connection_signed_in{connection=\"default\"} 1.0",
            "tap_operator_request_transitions_total{phase=\"Denied\"} ",
            "tap_operator_graph_calls_total{connection=\"default\",call=\"create_pass\",outcome=\"ok\"} ",
            "tap_operator_graph_calls_total{connection=\"default\",call=\"get_token\",outcome=\"ok\"} ",
            "tap_operator_graph_call_duration_seconds_count{connection=\"default\",call=\"create_pass\"} ",
            &issued,
            &format!("tap_operator_request_issue_duration_seconds_count{{policy=\"{policy}\"}} 1"),
            &format!(
                "tap_operator_request_approval_duration_seconds_count{{policy=\"{policy}\"}} 1"
            ),
        ] {
            ensure!(page.contains(line), "no {line}\n{page}");
        }

        scene.policies().await?.delete(policy, &DeleteParams::default()).await?;
        wait::until(wait::PATIENCE, "the series of the policy are gone", || async {
            let page = scene.world.operator.metrics().await?;
            ensure!(!page.contains(&format!("policy=\"{policy}\"")), "{page}");
            let none =
                "tap_operator_requests{policy=\"<none>\",phase=\"Active\",reason=\"Issued\"}";
            ensure!(page.contains(none), "{page}");
            Ok(())
        })
        .await
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

/// The approver approves, and says why.
async fn approve(scene: &Scene<'_>, name: &str, comment: &str) -> Result<()> {
    let decision = json!([{ "op": "add", "path": "/status/decisions/-", "value": {
        "by": scene.approver.user(), "decision": "Approve", "comment": comment,
    }}]);
    let approve = Patch::<()>::Json(serde_json::from_value(decision)?);
    let client = scene.approver.client().await?;
    let requests: Api<TapRequest> = Api::namespaced(client, &scene.namespace);
    requests.patch_status(name, &PatchParams::default(), &approve).await?;
    Ok(())
}

/// The request is deleted, and its last line says what it was.
async fn leaves_a_line_when_it_goes(scene: &Scene<'_>, name: &str, pass_id: &str) -> Result<()> {
    let admin = scene.world.control_plane.admin().client().await?;
    let requests: Api<TapRequest> = Api::namespaced(admin, &scene.namespace);
    requests.delete(name, &DeleteParams::default()).await?;
    wait::until(wait::PATIENCE, "the end of the request is told", || async {
        let lines = audit(scene, name);
        let gone = lines.iter().find(|line| line["audit"] == "gone").context("no line")?;
        ensure!(gone["phase"] == "Used" && gone["pass_id"] == pass_id, "{gone:#}");
        ensure!(gone["ticket"] == "INC0012345", "{gone:#}");
        Ok(())
    })
    .await
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
        approve(&scene, "lost-phone", "called back").await?;
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
                ("ticket", json!("INC0012345")),
                ("lifetime", json!("1h")),
                ("one_time_use", json!(true)),
                ("delivery", json!("clear")),
                ("tenant_id", json!(resolved.tenant_id)),
                ("user_id", json!(resolved.user_id)),
                ("policy_generation", json!(policy.metadata.generation)),
                ("approved_by", json!([approver])),
                ("pass_id", json!(pass.id)),
                ("client_request_id", json!(pass.client_request_id)),
                ("starts", json!(pass.start_time.0.to_string())),
                ("expires", json!(pass.expiration_time.0.to_string())),
            ] {
                ensure!(line[key] == value, "{key} is not {value}: {line:#}");
            }
            let checks = line["checks"].as_array().context("no checks")?;
            for check in ["Policy", "User", "Approval"] {
                let passed = json!({"name": check, "result": "Passed"});
                let is_it =
                    |found: &Value| found["name"] == check && found["result"] == passed["result"];
                ensure!(checks.iter().any(is_it), "no {passed} in {checks:?}");
            }
            let decision = &line["decisions"][0];
            ensure!(
                decision["by"] == approver && decision["comment"] == "called back",
                "{decision}"
            );
            let seen = decision["seen"].as_str().context("not seen")?;
            let kept = of.status.as_ref().and_then(|status| status.seen.first());
            ensure!(kept.is_some_and(|kept| kept.at.0.to_string() == seen), "{kept:?}, {seen}");
        }
        ensure!(lines[1]["again"] == false, "{:#}", lines[1]);

        leaves_a_line_when_it_goes(&scene, "lost-phone", &pass.id).await?;
        ensure!(!scene.world.operator.component().log_text().contains(&code), "the code is logged");
        Ok(())
    })
}
