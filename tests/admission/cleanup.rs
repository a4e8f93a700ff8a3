//! The example that deletes finished requests, with its `ServiceAccount` and the shipped role.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tap_operator::api::yaml;

use crate::cluster::repository;
use crate::office::{Office, request};
use crate::support::{run, wait};

const EXAMPLE: &str = "examples/cleanup.yaml";

/// The example in the namespace of the office, which demands what `helpdesk` should.
async fn installed(office: &Office<'_>) -> Result<Vec<Value>> {
    let admin = &office.cluster.admin.identity;
    let level = "pod-security.kubernetes.io/warn=restricted";
    admin.kubectl(["label", "namespace", &office.namespace, level]).ok().await?;
    let text = std::fs::read_to_string(repository(EXAMPLE))?;
    let text = text.replace("namespace: helpdesk", &format!("namespace: {}", office.namespace));
    let applied = admin.apply(&text).run().await?;
    ensure!(applied.status.success() && applied.stderr.is_empty(), "{applied}");
    Ok(yaml::read_all(&text)?)
}

#[test]
fn finished_requests_go_when_they_are_old_and_no_others() -> Result<()> {
    run(async {
        let office = Office::new("cleanup").await?;
        let objects = installed(&office).await?;
        let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
        let account = of_kind("ServiceAccount").context("a ServiceAccount")?;
        let account = account["metadata"]["name"].as_str().context("a name")?;
        let control_plane = &office.cluster.control_plane;
        let account = control_plane.service_account(&office.namespace, account).await?;
        let job = &of_kind("CronJob").context("a CronJob")?["spec"]["jobTemplate"];
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let command = container["command"].as_array().context("a command")?;
        let mut words = command.iter().filter_map(Value::as_str);
        ensure!(words.next() == Some("/bin/sh"), "{container:#}");
        let words: Vec<&str> = words.collect();
        let days = container["env"].as_array().into_iter().flatten();
        let days = days.clone().find(|variable| variable["name"] == "DAYS").context("DAYS")?;
        let days: i64 = days["value"].as_str().context("a number")?.parse()?;
        let ago = |days: i64| {
            let time = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
            format!("{time:.0}")
        };

        for name in ["used", "failed", "fresh", "active"] {
            office.ask(name).await?;
        }
        let create = crate::call::Call::create(&office.requests(), request("untouched"));
        office.alice.call(create).await?;
        for (name, phase, finished) in [
            ("used", "Used", json!(ago(days + 1))),
            ("failed", "Failed", json!(ago(days + 400))),
            ("fresh", "Expired", json!(ago(days - 1))),
            ("active", "Active", Value::Null),
        ] {
            let status = json!({"phase": phase, "finishedAt": finished});
            office.write_status(name, status).await?;
        }
        let path = account.kubectl_program().parent().context("a directory")?;
        let path = format!("{}:{}", path.display(), std::env::var("PATH")?);
        wait::until(wait::PATIENCE, "the right to delete is in force", || async {
            let can = ["auth", "can-i", "delete", "taprequests.tap-operator.io"];
            account.kubectl(can).in_namespace(&office.namespace).ok().await.map(drop)
        })
        .await?;
        let output = Command::new("/bin/sh")
            .args(&words)
            .env("PATH", path)
            .env("KUBECONFIG", account.kubeconfig())
            .env("NAMESPACE", &office.namespace)
            .env("DAYS", days.to_string())
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        let names = ["get", "tap", "--output=jsonpath={.items[*].metadata.name}"];
        let left = office.cluster.admin.identity.kubectl(names);
        let left = left.in_namespace(&office.namespace).ok().await?;
        ensure!(left == "active fresh untouched", "{left}: {output:?}");
        Ok(())
    })
}
