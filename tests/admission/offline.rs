//! What `tap-operator plan` says of an object, held against what the API server says: each object that any of these tests
//! creates is judged by both, and they must agree.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use kube::core::Status;
use serde_json::{Value, json};
use tap_operator::plan::rules::Rules;
use tap_operator::plan::schema::Kind;

use crate::call::{Actor, Call};
use crate::cluster::Cluster;
use crate::office::Office;
use crate::support::run;

/// What the API server adds where it did not evaluate the rules, and where it says the same twice.
const ADDED: [&str; 2] =
    ["some validation rules were not checked", "Checked value must be of type"];

thread_local! {
    static RULES: Rules = Rules::shipped().unwrap_or_else(|error| panic!("{error}"));
}

/// Fails if both disagree about a new object. The status is the API server's refusal.
pub fn agrees(object: &Value, refusal: Option<&Status>) -> Result<()> {
    let problems = RULES.with(|rules| rules.check(object));
    // The API server drops an unknown field, unless it is asked to refuse it.
    let ours: Vec<_> = problems.iter().filter(|p| p.kind != Kind::UnknownField).collect();
    let is_of_schema = |status: &&Status| {
        status.code == 422
            && status.reason == "Invalid"
            && !status.message.contains("ValidatingAdmissionPolicy")
    };
    let Some(status) = refusal.filter(is_of_schema) else {
        // Other refusals come after those of the schema, except for people who may not create anything.
        let may_create =
            refusal.is_none_or(|status| status.message.contains("ValidatingAdmissionPolicy"));
        ensure!(
            ours.is_empty() || !may_create,
            "only plan refuses {object:#}: {ours:#?}\n{refusal:?}"
        );
        return Ok(());
    };
    let causes = status.details.as_ref().map(|details| &details.causes[..]).unwrap_or_default();
    let theirs =
        causes.iter().filter(|cause| !ADDED.iter().any(|words| cause.message.contains(words)));
    let theirs: BTreeSet<&str> = theirs
        .map(|cause| if cause.field == "<nil>" { "" } else { cause.field.as_str() })
        .collect();
    let fields: BTreeSet<&str> = ours.iter().map(|problem| problem.field.as_str()).collect();
    ensure!(
        fields == theirs,
        "plan refuses {fields:?}, the API server {theirs:?}: {object:#}\n{status:#?}"
    );
    for problem in ours.iter().filter(|problem| problem.kind == Kind::Rule) {
        ensure!(
            status.message.contains(&problem.message),
            "only plan says {problem:?}: {status:#?}"
        );
    }
    Ok(())
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = object.pointer_mut(parent) {
        parent[field] = value;
    }
    object
}

/// Creates the object with each value at each pointer, as a dry run. How many of them were refused.
async fn agree(
    who: &Actor,
    collection: &str,
    object: &Value,
    table: &[(&str, Value)],
) -> Result<usize> {
    let (mut refused, mut wrong) = (0, Vec::new());
    for (pointer, values) in table {
        for value in values.as_array().into_iter().flatten() {
            let object = with(object.clone(), pointer, value.clone());
            match who.outcome(Call::create(collection, object).dry_run()).await {
                Ok(outcome) => refused += usize::from(outcome.is_err()),
                Err(error) => wrong.push(format!("{pointer} {value}: {error}")),
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(refused)
}

#[test]
fn wrong_policies_are_refused_by_both() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let policy = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": {"name": "types"},
            "spec": {
                "tenant": "default", "method": {"lifetime": {}},
                "issuance": {
                    "lifetime": {}, "approval": {}, "quota": {}, "namespaces": {}, "users": {}, "reason": {},
                },
            },
        });
        let group = json!({"group": "6c1f0000-0000-4000-8000-000000000001"});
        let intervals = ["", "60", "1h1h", "0m", "24h", "24h1m", "9999999999999m"];
        let names = ["a", "a.b", "A", "a_b", "-a", "a..b"];
        let selectors = json!([{}, {"matchLabels": {"a": "b"}}, {"matchLabels": {"a": 1}}, {"matchExpressions": [{"key": "a"}]}]);
        let patterns = ["", "(", "[a-z]+", "a{2000}", "a{2,2000}", "\\d+", "(?i)x"];
        let refused = agree(
            &cluster.admin,
            "/apis/tap-operator.io/v1alpha1/tappolicies",
            &policy,
            &[
                ("/spec/tenant", json!([1, "", "x".repeat(64), null, true])),
                ("/spec/interval", json!(intervals)),
                ("/spec/interval", json!([60, true, null])),
                ("/spec/method/state", json!(["enabled", true, null, "Enabled", "Unknown"])),
                ("/spec/method/codeLength", json!(["8", 8, 8.5, 8.0, 48, 49, true, null])),
                ("/spec/method/requireOneTimeUse", json!(["true", 1, true, null])),
                ("/spec/method/include", json!([{}, "all", [], [null], [1], null])),
                ("/spec/method/exclude", json!([[], [group], [{"group": 1}], vec![&group; 101]])),
                (
                    "/spec/method/lifetime",
                    json!([null, 60, [], {"minimum": 60}, {"maximum": null}]),
                ),
                ("/spec/enforcement", json!(["Enforce", "enforce", 1])),
                ("/spec/issuance", json!([null, {}, [], "x"])),
                ("/spec/issuance/approval/required", json!([0, 5, 6, -1, "1", 1.5])),
                (
                    "/spec/issuance/namespaces/names",
                    json!([["a"], [""], "a", [1], ["x".repeat(64)]]),
                ),
                ("/spec/issuance/namespaces/selector", selectors),
                ("/spec/issuance/users/createdWithin", json!(["1h", "30m", "8760h", "8761h", 1])),
                ("/spec/issuance/users/groups", json!([[group], [{}], [{"group": "x"}]])),
                ("/spec/issuance/users/groups", json!([[{"group": "x".repeat(257)}]])),
                ("/spec/issuance/reason/pattern", json!(patterns)),
                ("/spec/issuance/reason/pattern", json!([1, "x".repeat(257)])),
                ("/spec/issuance/quota/activePerNamespace", json!([0, 1, 10_000, 10_001, "1"])),
                ("/spec/issuance/leadTime", json!(["0m", "168h", "168h1m", "1d", 5])),
                ("/metadata/name", json!(names)),
                ("/metadata/name", json!(["x".repeat(63), "x".repeat(64)])),
            ],
        )
        .await?;
        ensure!(refused > 50, "{refused}");
        Ok(())
    })
}

#[test]
fn wrong_requests_are_refused_by_both() -> Result<()> {
    run(async {
        let office = Office::new("types").await?;
        let id = "6c1f0000-0000-4000-8000-000000000001";
        let users = ["a", "a@b", "a b@c", "", "a@b@c", id];
        let starts = [
            "2026-11-23T08:00:00Z",
            "2026-11-23t08:00:00z",
            "2026-11-23",
            "2026-13-23T08:00:00Z",
            "2026-11-23T25:00:00Z",
            "2026-02-30T08:00:00Z",
            "2026-11-23T08:00:00.1234567890Z",
            "2199-12-31T23:59:59Z",
            "2200-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
        ];
        let refused = agree(
            &office.alice,
            &office.requests(),
            &crate::office::request("types"),
            &[
                ("/spec/user", json!(users)),
                ("/spec/user", json!([1, null, "x".repeat(257)])),
                ("/spec/lifetime", json!(["1h", "5m", "720h", "721h", "1h30m", "90", 60, null])),
                ("/spec/oneTimeUse", json!(["true", true, 0])),
                ("/spec/startTime", json!(starts)),
                ("/spec/startTime", json!([2026])),
                ("/spec/reason", json!(["", "x", "x".repeat(513), 1, true])),
                ("/spec/onExistingPass", json!(["Wait", "wait"])),
                ("/spec/ttlAfterFinished", json!(["24h", "0m", "23h59m", "8761h", 24])),
                ("/spec/recipients", json!([null, [], "age1", [1], [""]])),
                ("/spec/policyRef", json!([null, {}, {"name": ""}, {"name": 1}, "contoso"])),
                ("/metadata/labels", json!([{"a b": "c"}, {"a": "b c"}, {"a": "-"}, {"/a": "b"}])),
                (
                    "/metadata/labels",
                    json!([{"A.com/a": "b"}, {"a": 1}, ["a"], {"a": ""}, {"a.b/C": "D_e.f"}]),
                ),
                ("/metadata/annotations", json!([{"a b": "c"}, {"A.com/B": "any text"}, {"a": 1}])),
            ],
        )
        .await?;
        ensure!(refused > 25, "{refused}");
        Ok(())
    })
}
