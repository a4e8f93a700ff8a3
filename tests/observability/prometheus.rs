//! A Prometheus that scrapes the operator and the API server every second, with the shipped alert rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::{Value, json};
use tap_operator::api::yaml;

use crate::support::component::Component;
use crate::support::control_plane::ControlPlane;
use crate::support::ports::Port;
use crate::support::{program, wait};

/// How long an alert may take to fire or to resolve.
pub const PATIENCE: Duration = Duration::from_mins(3);

pub struct Prometheus {
    _component: Component,
    port: Port,
    client: reqwest::Client,
}

/// The shipped rules, faster: what lasts an hour there lasts a minute in ranges, and fifteen seconds in ages, here, and no
/// alert waits before it fires.
fn faster(rules: &str) -> Result<Value> {
    let mut rules: Value = yaml::read(rules)?;
    let range = Regex::new(r"(\[|offset )(\d+)([mhd])")?;
    let seconds = |unit: &str| match unit {
        "m" => 1,
        "h" => 60,
        _ => 24 * 60,
    };
    for rule in rules["groups"][0]["rules"].as_array_mut().context("no rules")? {
        let expression = rule["expr"].as_str().context("no expression")?;
        let expression = range.replace_all(expression, |found: &regex::Captures| {
            let number = found[2].parse::<u32>().unwrap_or_default() * seconds(&found[3]);
            format!("{}{number}s", &found[1])
        });
        let expression = expression.replace("* 3600", "* 3").replace(" * 60", " * 0.25");
        rule["expr"] = expression.into();
        rule["for"] = "0s".into();
    }
    Ok(rules)
}

impl Prometheus {
    pub async fn start(control_plane: &ControlPlane, operator: &str, rules: &str) -> Result<Self> {
        let directory = tokio::task::spawn_blocking(|| {
            program::built_with("tests/prometheus/build", "prometheus")
        })
        .await??;
        let scratch = control_plane.scratch();
        let rules = scratch.write("rules.json", faster(rules)?.to_string())?;
        let api_server = control_plane.url().trim_start_matches("https://");
        let configuration = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [
                {"job_name": "tap-operator", "static_configs": [
                    {"targets": [operator], "labels": {"namespace": "tap-operator-system"}},
                ]},
                {"job_name": "apiserver", "scheme": "https",
                 "authorization": {"credentials": scraper(control_plane).await?},
                 "tls_config": {"ca_file": scratch.write("api-server-ca.crt", control_plane.authority())?},
                 "static_configs": [{"targets": [api_server]}]},
            ],
        });
        let file = scratch.write("prometheus.json", configuration.to_string())?;
        let port = Port::reserve()?;
        let arguments = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", scratch.file("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{}", port.number),
        ];
        let log = scratch.file("prometheus.log");
        let program = directory.join("prometheus");
        let component = Component::new("prometheus", program, arguments, Vec::new(), log);
        component.start()?;
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let prometheus = Self { _component: component, port, client };
        wait::until(PATIENCE, "both targets are scraped", || async {
            let up = prometheus.query("sum(up)").await?;
            ensure!(up.first().is_some_and(|(_, value)| *value >= 2.0), "{up:?}");
            Ok(())
        })
        .await?;
        Ok(prometheus)
    }

    /// The labels and the value of each sample of an instant query.
    pub async fn query(&self, query: &str) -> Result<Vec<(BTreeMap<String, String>, f64)>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port.number);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)])?;
        let answer: Value =
            serde_json::from_str(&self.client.get(url).send().await?.text().await?)?;
        ensure!(answer["status"] == "success", "{query}: {answer}");
        let samples = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        samples
            .into_iter()
            .map(|sample| {
                let labels = serde_json::from_value(sample["metric"].clone())?;
                let value = sample["value"][1].as_str().context("no value")?.parse()?;
                Ok((labels, value))
            })
            .collect()
    }

    /// The names of the alerts that fire.
    pub async fn firing(&self) -> Result<BTreeSet<String>> {
        let samples = self.query("ALERTS{alertstate=\"firing\"}").await?;
        Ok(samples.into_iter().filter_map(|(mut labels, _)| labels.remove("alertname")).collect())
    }

    /// Waits until these alerts fire.
    pub async fn fires(&self, names: &[&str]) -> Result<()> {
        wait::until(PATIENCE, &format!("{names:?} fire"), || async {
            let firing = self.firing().await?;
            ensure!(names.iter().all(|name| firing.contains(*name)), "firing: {firing:?}");
            Ok(())
        })
        .await
    }

    /// Waits until none of these alerts fires.
    pub async fn resolves(&self, names: &[&str]) -> Result<()> {
        wait::until(PATIENCE, &format!("{names:?} resolve"), || async {
            let firing = self.firing().await?;
            ensure!(!names.iter().any(|name| firing.contains(*name)), "firing: {firing:?}");
            Ok(())
        })
        .await
    }
}

/// A token that may read the metrics of the API server.
async fn scraper(control_plane: &ControlPlane) -> Result<String> {
    let admin = control_plane.admin();
    let manifests = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus"},
         "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "prometheus"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"},
         "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "default"}]},
    ]});
    admin.apply(&manifests.to_string()).in_namespace("default").ok().await?;
    let token = ["create", "token", "prometheus", "--duration=24h"];
    Ok(admin.kubectl(token).in_namespace("default").ok().await?.trim().to_owned())
}
