//! What people see with kubectl.

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::Phase;

use crate::phases::from_now;
use crate::scene::Scene;
use crate::support::run;

/// The cells of the only line below the headers, by header.
fn cells(table: &str) -> Result<Vec<(String, String)>> {
    let mut lines = table.lines();
    let headers = lines.next().context("no headers")?;
    let line = lines.next().context("no line")?;
    // A column begins where its header does.
    let mut starts: Vec<usize> = Vec::new();
    for (at, _) in headers.char_indices().filter(|(_, c)| *c != ' ') {
        if at == 0 || headers.as_bytes().get(at - 1) == Some(&b' ') {
            starts.push(at);
        }
    }
    let cut = |text: &str, n: usize| {
        let end = starts.get(n + 1).copied().unwrap_or(text.len()).min(text.len());
        text.get(starts[n].min(end)..end).unwrap_or_default().trim().to_owned()
    };
    Ok((0..starts.len()).map(|n| (cut(headers, n), cut(line, n))).collect())
}

#[test]
fn get_shows_where_a_request_stands() -> Result<()> {
    run(async {
        let scene = Scene::shared("columns").await?;
        scene.policy(json!({ "approval": { "required": 2 } })).await?;
        let user = scene.user();
        let start = from_now(SignedDuration::from_hours(2));
        scene.ask("lost-phone", &user, json!({ "startTime": start })).await?;
        scene.wait_phase("lost-phone", Phase::AwaitingApproval, "AwaitingApproval").await?;

        let get = |output: &[&str]| {
            let arguments = ["get", "tap"].iter().chain(output).map(ToString::to_string);
            scene.approver.kubectl(arguments).in_namespace(&scene.namespace)
        };
        let table = cells(&get(&[]).ok().await?)?;
        let expected = [
            ("NAME", "lost-phone"),
            ("USER", user.as_str()),
            ("PHASE", "AwaitingApproval"),
            ("POLICY", &scene.policy),
            ("REQUESTER", scene.helpdesk.user()),
            ("APPROVALS", "0/2"),
            ("STARTS", &start),
            ("EXPIRES", ""),
            ("REASON", "AwaitingApproval"),
        ];
        for ((header, cell), (expected_header, expected_cell)) in table.iter().zip(expected) {
            ensure!(header == expected_header && cell == expected_cell, "{table:?}");
        }
        ensure!(table.len() == 10 && table[9].0 == "AGE", "{table:?}");
        // What is asked most is found without reading every request.
        let selectors = [
            ("status.phase=AwaitingApproval".to_owned(), true),
            ("status.phase=Active".to_owned(), false),
            (format!("spec.user={user}"), true),
            (format!("spec.policyRef.name={}", scene.policy), true),
            (format!("spec.requestedBy={}", scene.helpdesk.user()), true),
            ("spec.requestedBy=somebody".to_owned(), false),
        ];
        for (selector, is_found) in selectors {
            let found = get(&[&format!("--field-selector={selector}"), "--output=name"]);
            ensure!(found.ok().await?.contains("lost-phone") == is_found, "{selector}");
        }
        let category = scene.approver.kubectl(["get", "tap-operator", "--output=name"]);
        let category = category.in_namespace(&scene.namespace).run().await?;
        ensure!(category.stdout.contains("taprequest.tap-operator.io/lost-phone"), "{category}");
        Ok(())
    })
}

#[test]
fn get_shows_until_when_a_pass_is_good() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("expires").await?;
        scene.ask("pass", &scene.user(), json!({})).await?;
        let active = scene.wait_active("pass").await?;
        let pass = active.status.and_then(|s| s.pass).context("no pass")?;
        let table = scene.helpdesk.kubectl(["get", "tap", "pass"]).in_namespace(&scene.namespace);
        let table = cells(&table.ok().await?)?;
        let cell = |name: &str| table.iter().find(|(header, _)| header == name).map(|(_, c)| c);
        let expires = cell("EXPIRES").context("no such column")?;
        ensure!(expires.parse::<jiff::Timestamp>()? == pass.expiration_time.0, "{expires}");
        ensure!(cell("PHASE").is_some_and(|cell| cell == "Active"), "{table:?}");
        Ok(())
    })
}

#[test]
fn wait_for_issued_and_for_finished() -> Result<()> {
    run(async {
        let scene = Scene::shared("waits").await?;
        scene.ask("pass", &scene.user(), json!({})).await?;
        let wait = |condition: &str| {
            let condition = format!("--for=condition={condition}");
            let arguments = ["wait", &condition, "--timeout=45s", "taprequest/pass"];
            scene.helpdesk.kubectl(arguments.map(String::from)).in_namespace(&scene.namespace).ok()
        };
        let (issued, policy) = tokio::join!(wait("Issued"), scene.policy(json!({})));
        policy?;
        ensure!(issued?.contains("condition met"));
        scene.decide(&scene.helpdesk, "pass", tap_operator::api::DecisionKind::Revoke).await?;
        wait("Finished").await?;
        wait("Issued=false").await?;
        Ok(())
    })
}

#[test]
fn explain_reads_well() -> Result<()> {
    run(async {
        let scene = Scene::shared("explain").await?;
        let explain = |path: &str| scene.helpdesk.kubectl(["explain", path]).ok();
        let spec = explain("taprequest.spec").await?;
        for words in
            ["policyRef", "-required-", "10m to 720h", "Refuse (the default)", "with a zone"]
        {
            ensure!(spec.contains(words), "no {words:?} in\n{spec}");
        }
        // No field without a description.
        for path in [
            "taprequest.spec",
            "taprequest.status",
            "taprequest.status.pass",
            "taprequest.status.resolved",
            "tappolicy.spec",
            "tappolicy.spec.method",
            "tappolicy.spec.issuance",
            "tappolicy.spec.issuance.approval",
            "tappolicy.status",
        ] {
            let text = explain(path).await?;
            let (_, fields) = text.split_once("FIELDS:").context("no fields")?;
            ensure!(!fields.contains("<no description>"), "{path}:\n{text}");
        }
        Ok(())
    })
}
