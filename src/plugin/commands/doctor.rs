//! `doctor`: whether a person can work with tap-operator, as far as that person may see it.

mod cluster;
mod connections;
mod definitions;
mod metrics;
mod person;

use serde::Serialize;

use crate::plugin::cli::Doctor;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::output::{self, ReportFormat};
use crate::plugin::session::{Connection, Prompts, Session};
use crate::plugin::table::Table;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Somebody should know it; the work can be done.
    Warning,
    /// Something cannot be done.
    Failed,
    /// The person may not see it.
    Unknown,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    check: String,
    result: Verdict,
    #[serde(rename = "finding")]
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn new(check: impl Into<String>, result: Verdict, detail: impl Into<String>) -> Self {
        Self { check: check.into(), result, detail: detail.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// What scripts read.
#[derive(Serialize)]
struct Report<'a> {
    success: bool,
    findings: &'a [Finding],
}

pub async fn run(arguments: &Doctor, connection: &Connection) -> Result<(), Failure> {
    let mut findings = vec![person::plugins()];
    match Session::open(connection, Prompts::Allowed).await {
        Err(failure) => {
            let finding = Finding::new("kubeconfig", Verdict::Failed, failure.message);
            findings.push(failure.remedy.into_iter().fold(finding, Finding::remedy));
        }
        Ok(session) => {
            let operator = &arguments.operator.operator_namespace;
            if let Some(ahead) = cluster::server(&session, &mut findings).await {
                cluster::check(&session, operator, ahead, &mut findings).await;
                person::check(&session, &mut findings).await;
            }
        }
    }
    let success = findings.iter().all(|finding| finding.result != Verdict::Failed);
    let printed = match arguments.output {
        Some(format) => {
            let report = Report { success, findings: &findings };
            output::document(&report, format == ReportFormat::Yaml)
        }
        None => output::data(&text(&findings)),
    };
    ending(success, printed)
}

/// The exit code says what was found, whether anybody reads the findings or not.
fn ending(success: bool, printed: Result<(), Failure>) -> Result<(), Failure> {
    if success {
        return printed;
    }
    let message = printed.err().map_or_else(String::new, |failure| failure.message);
    Err(Failure::new(Exit::Findings, message))
}

/// A table, and under it what to do.
fn text(findings: &[Finding]) -> String {
    let mut table = Table::new(&["CHECK", "RESULT", "FINDING"]);
    for finding in findings {
        let result = match finding.result {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
            Verdict::Unknown => "unknown",
        };
        table.row([finding.check.as_str(), result, finding.detail.as_str()]);
    }
    let mut text = table.text();
    let remedies =
        findings.iter().filter_map(|f| Some(format!("  {}: {}\n", f.check, f.remedy.as_ref()?)));
    let remedies: String = remedies.collect();
    if !remedies.is_empty() {
        text.push_str("\nWhat to do\n");
        text.push_str(&remedies);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 3] {
        [
            Finding::new("API server", Verdict::Ok, "Kubernetes v1.36.3"),
            Finding::new("clock", Verdict::Warning, "this machine is 3m ahead")
                .remedy("synchronize its clock"),
            Finding::new("operator", Verdict::Failed, "no replica leads").remedy("see its log"),
        ]
    }

    #[test]
    fn findings_are_a_table_with_remedies() {
        assert_eq!(
            text(&findings()),
            "\
CHECK        RESULT    FINDING
API server   ok        Kubernetes v1.36.3
clock        warning   this machine is 3m ahead
operator     FAILED    no replica leads

What to do
  clock: synchronize its clock
  operator: see its log
"
        );
    }

    #[test]
    fn a_verdict_needs_no_reader() {
        let closed = || Err(Failure::said(Exit::Closed));
        assert_eq!(ending(false, closed()).unwrap_err().exit, Exit::Findings);
        assert_eq!(ending(false, Ok(())).unwrap_err(), Failure::said(Exit::Findings));
        assert_eq!(ending(true, closed()).unwrap_err().exit, Exit::Closed);
        assert_eq!(ending(true, Ok(())), Ok(()));
    }

    #[test]
    fn scripts_read_them_as_json() {
        let findings = &findings()[1..2];
        let report = serde_json::to_value(Report { success: true, findings }).unwrap();
        assert_eq!(
            report,
            serde_json::json!({ "success": true, "findings": [{
                "check": "clock", "result": "warning", "finding": "this machine is 3m ahead", "remedy": "synchronize its clock",
            }] })
        );
    }
}
