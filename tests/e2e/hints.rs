//! What people read when they write something that is allowed and probably not meant, or not allowed.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tap_operator::plan::rules::Rules;

use crate::scene::Scene;
use crate::support::kubectl::Outcome;
use crate::support::run;

/// Fails if `tap-operator plan` would warn of something else than the API server.
fn plan_agrees(object: &Value, applied: &Outcome) -> Result<()> {
    let hints = Rules::shipped()?.hints(object, Timestamp::now());
    let warnings = applied.stderr.lines().filter(|line| line.starts_with("Warning:")).count();
    ensure!(hints.len() == warnings, "{hints:#?}\n{}", applied.stderr);
    for hint in hints {
        ensure!(applied.stderr.contains(&hint), "{hint}\n{}", applied.stderr);
    }
    Ok(())
}

/// Applies a request with this spec beside the usual one, as the helpdesk does.
async fn apply(scene: &Scene<'_>, name: &str, spec: Value) -> Result<Outcome> {
    let mut object = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "metadata": {"name": name},
        "spec": {"policyRef": {"name": scene.policy}, "user": "nobody@contoso.com"},
    });
    json_patch::merge(&mut object, &json!({ "spec": spec }));
    let create = ["create", "--dry-run=server", "--filename=-"].map(str::to_owned);
    let kubectl = scene.helpdesk.kubectl(create).in_namespace(&scene.namespace);
    let applied = kubectl.input(object.to_string()).run().await?;
    if applied.status.success() {
        plan_agrees(&object, &applied)?;
    }
    Ok(applied)
}

#[test]
fn what_is_allowed_and_not_meant_is_warned_of() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("hints").await?;
        let cases = [
            ("2099-11-23T00:00:00Z", "midnight in UTC"),
            ("2099-11-23T01:00:00+01:00", "midnight in UTC"),
            ("2020-11-23T08:00:00Z", "is in the past"),
            ("2020-11-23T09:00:00+01:00", "is in the past"),
        ];
        for (start, words) in cases {
            let applied = apply(&scene, "start", json!({ "startTime": start })).await?;
            ensure!(applied.status.success(), "{start}: {}", applied.stderr);
            ensure!(applied.stderr.contains("Warning:"), "{start}: {}", applied.stderr);
            ensure!(applied.stderr.contains(words), "{start}: {}", applied.stderr);
        }
        let west = json!({ "startTime": "2099-11-23T00:00:00-05:00" });
        for spec in [json!({}), json!({ "startTime": "2099-11-23T08:00:00Z" }), west] {
            let applied = apply(&scene, "fine", spec.clone()).await?;
            ensure!(
                applied.status.success() && applied.stderr.is_empty(),
                "{spec}: {}",
                applied.stderr
            );
        }

        let issuance = |patch: Value| {
            let mut issuance =
                json!({"namespaces": {"names": ["a"]}, "users": {"domains": ["contoso.com"]}});
            json_patch::merge(&mut issuance, &patch);
            issuance
        };
        let cases = [
            (json!({"namespaces": {"names": null, "selector": {}}}), "admits no namespace"),
            (json!({ "users": null }), "admits nobody"),
            (json!({"users": {"domains": ["@contoso.com", "*.a.com"]}}), "@contoso.com, *.a.com"),
            (json!({}), ""),
            (
                json!({"users": {"domains": null, "groups": [{"group": "6c1f0000-0000-4000-8000-000000000001"}]}}),
                "",
            ),
        ];
        for (patch, words) in cases {
            let policy = json!({
                "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
                "metadata": {"name": "hints"}, "spec": {"tenant": "default", "issuance": issuance(patch.clone())},
            });
            let create = ["create", "--dry-run=server", "--filename=-"].map(str::to_owned);
            let applied =
                scene.administrator.kubectl(create).input(policy.to_string()).run().await?;
            ensure!(applied.status.success(), "{patch}: {}", applied.stderr);
            plan_agrees(&policy, &applied)?;
            ensure!(applied.stderr.contains(words), "{patch}: {}", applied.stderr);
            ensure!(applied.stderr.is_empty() == words.is_empty(), "{patch}: {}", applied.stderr);
        }
        Ok(())
    })
}

#[test]
fn what_is_not_allowed_is_refused_with_the_right_form() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("forms").await?;
        let zone = "2026-11-23T09:00:00+01:00";
        let cases = [
            (json!({ "startTime": "2026-11-23T08:00:00" }), zone),
            (json!({ "startTime": "2026-11-23" }), zone),
            (json!({ "startTime": "tomorrow" }), zone),
            (json!({ "startTime": "2026-11-23T08:00:00.1234567890Z" }), zone),
            (json!({ "lifetime": "1d" }), "24h"),
            (json!({ "lifetime": "PT1H" }), "90m"),
            (json!({ "lifetime": "0.5h" }), "90m"),
        ];
        for (spec, words) in cases {
            let applied = apply(&scene, "wrong", spec.clone()).await?;
            ensure!(!applied.status.success(), "{spec} was taken");
            ensure!(applied.stderr.contains(words), "{spec}: {}", applied.stderr);
        }
        Ok(())
    })
}
