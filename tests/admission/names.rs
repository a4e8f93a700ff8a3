//! Names of one person as the API server sees them, by the same table as the operator is tested with.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tap_operator::api::yaml;

use crate::call::{Actor, Call};
use crate::office::{Office, POLICY, decide, request};
use crate::support::run;

#[derive(Deserialize)]
struct Names {
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    one: String,
    other: String,
    admission: String,
}

const GROUP: &str = "names";

/// Everybody in the group may ask and approve.
async fn grant(office: &Office<'_>) -> Result<()> {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let here = format!("{rbac}/namespaces/{}", office.namespace);
    let verbs = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "names"},
        "rules": [{
            "apiGroups": ["tap-operator.io"], "resources": ["tappolicies"],
            "resourceNames": [POLICY], "verbs": ["use", "approve"],
        }],
    });
    office.cluster.admin.call(Call::create(&format!("{here}/roles"), verbs)).await?;
    for (kind, name) in
        [("ClusterRole", "tap-requester"), ("ClusterRole", "tap-approver"), ("Role", "names")]
    {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": format!("names-{name}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}],
        });
        office.cluster.admin.call(Call::create(&format!("{here}/rolebindings"), binding)).await?;
    }
    Ok(())
}

async fn verdict(office: &Office<'_>, number: usize, pair: &Pair) -> Result<&'static str> {
    let control_plane = &office.cluster.control_plane;
    let name = format!("pair-{number}");
    let one = Actor::new(control_plane.member(&pair.one, GROUP)?).await?;
    one.call(Call::create(&office.requests(), request(&name))).await?;
    let resolved: Value = office.resolve(&name).await?;
    let stamped = resolved["spec"]["requestedBy"].as_str().context("a requester")?;
    ensure!(stamped == pair.one, "{stamped} asked, not {}", pair.one);
    let other = Actor::new(control_plane.member(&pair.other, GROUP)?).await?;
    let approve = Call::json_patch(&office.status(&name), decide(&pair.other, "Approve"));
    Ok(match other.outcome(approve.dry_run()).await? {
        Ok(_) => "different",
        Err(refusal) if refusal.message.contains("the requester cannot approve") => "same",
        Err(refusal) if refusal.message.contains("a ServiceAccount cannot approve") => "robot",
        Err(refusal) => anyhow::bail!("{} and {}: {refusal:?}", pair.one, pair.other),
    })
}

#[test]
fn names_mean_whom_the_table_says() -> Result<()> {
    run(async {
        let names: Names = yaml::read(include_str!("../names.yaml"))?;
        ensure!(names.pairs.len() >= 60, "{} pairs", names.pairs.len());
        let office = Office::new("names").await?;
        grant(&office).await?;
        for (number, pair) in names.pairs.iter().enumerate() {
            let verdict = verdict(&office, number, pair).await?;
            ensure!(verdict == pair.admission, "{} and {}: {verdict}", pair.one, pair.other);
        }
        Ok(())
    })
}
