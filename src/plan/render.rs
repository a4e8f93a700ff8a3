//! A plan as text for people, as JSON for programs, and as Markdown for a comment on a pull request.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Plan;
use super::finding::{Finding, Severity};
use super::tenant::PolicyPlan;
use crate::api::Posture;
use crate::text::{counted, visible};

/// The version of the JSON. Fields may be added without a new one.
const VERSION: u32 = 1;

/// A plan as text.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for policy in &plan.policies {
        let _ = writeln!(
            out,
            "TapPolicy {} ({}:{})",
            shown(&policy.name),
            shown(&policy.file),
            policy.line
        );
        let _ = writeln!(out, "  {}", verdict(plan, policy));
        for change in &policy.changes {
            let (field, from, to) = (shown(&change.field), shown(&change.from), shown(&change.to));
            let _ = writeln!(out, "    {field}: {from} -> {to}");
        }
        // Those that cannot be judged are in the JSON.
        for missed in Posture::missed(&policy.posture) {
            let _ = writeln!(out, "  {}", shown(&missed));
        }
    }
    if !plan.policies.is_empty() && !plan.findings.is_empty() {
        out.push('\n');
    }
    for finding in &plan.findings {
        let _ = writeln!(out, "{}{}", place(finding), line(finding));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", summary(plan));
    out
}

/// A plan as JSON.
pub fn json(plan: &Plan) -> Value {
    json!({
        "version": VERSION,
        "outcome": plan.outcome().name(),
        "exitCode": plan.outcome().code(),
        "offline": !plan.online,
        "counts": {
            "changes": plan.changes(),
            "errors": plan.count(Severity::Error),
            "warnings": plan.count(Severity::Warning),
            "notes": plan.count(Severity::Note),
            "policies": plan.policies.len(),
            "requests": plan.requests,
            "refused": plan.refused,
            "otherObjects": plan.others,
        },
        "policies": plan.policies,
        "findings": plan.findings,
    })
}

/// A plan as Markdown. What manifests and tenants say is quoted as code, so that it can neither format nor notify.
pub fn markdown(plan: &Plan) -> String {
    let mut out = format!("### tap-operator plan\n\n{}\n", summary(plan));
    for policy in &plan.policies {
        let _ = write!(
            out,
            "\n**TapPolicy {}** ({}): {}\n",
            code(&policy.name),
            code(&format!("{}:{}", policy.file, policy.line)),
            verdict(plan, policy)
        );
        if !policy.changes.is_empty() {
            out.push_str("\n| field | in the tenant | in the policy |\n|---|---|---|\n");
            for change in &policy.changes {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} |",
                    cell(&change.field),
                    cell(&change.from),
                    cell(&change.to)
                );
            }
        }
        for missed in Posture::missed(&policy.posture) {
            let _ = write!(out, "\n- {}\n", code(&missed));
        }
    }
    if !plan.findings.is_empty() {
        out.push_str("\n| | where | what |\n|---|---|---|\n");
        for finding in &plan.findings {
            let place = place(finding);
            let place = place.trim_end_matches(": ");
            let object = finding.object.iter().map(String::as_str);
            let place: Vec<&str> =
                [place].into_iter().chain(object).filter(|p| !p.is_empty()).collect();
            let place = if place.is_empty() { String::new() } else { cell(&place.join(" ")) };
            let _ = writeln!(
                out,
                "| {} | {place} | {} |",
                finding.severity.name(),
                cell(&finding.sentence())
            );
        }
    }
    out
}

/// What is said of a policy beside its changes.
fn verdict(plan: &Plan, policy: &PolicyPlan) -> String {
    let tenant = match &policy.tenant_id {
        Some(id) => format!("tenant {id}"),
        None if plan.online => return "the tenant could not be read".into(),
        None => return "not compared with a tenant (offline)".into(),
    };
    match (policy.manages, policy.changes.len()) {
        (false, _) => format!("{tenant}: manages nothing of the method"),
        (true, 0) => format!("{tenant}: no change"),
        (true, count) => {
            let changes = counted(count, "change");
            let effect = if policy.enforced {
                "the operator corrects the tenant"
            } else {
                "the operator only reports it (enforcement: Observe)"
            };
            format!("{tenant}: {changes}; {effect}")
        }
    }
}

fn summary(plan: &Plan) -> String {
    let mut parts = vec![counted(plan.policies.len(), "policy"), counted(plan.requests, "request")];
    if plan.online {
        parts.push(counted(plan.changes(), "change"));
    }
    for severity in [Severity::Error, Severity::Warning] {
        parts.push(counted(plan.count(severity), severity.name()));
    }
    let mut text = parts.join(", ");
    if plan.refused > 0 {
        let _ = write!(text, "; refused: {}", counted(plan.refused, "object"));
    }
    if plan.others > 0 {
        let _ = write!(text, "; not looked at: {}", counted(plan.others, "other object"));
    }
    text
}

/// Where a finding is, as compilers write it.
fn place(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}: ", shown(file)),
        (Some(file), None) => format!("{}: ", shown(file)),
        _ => String::new(),
    }
}

fn line(finding: &Finding) -> String {
    let object = finding.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let reason = finding.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    shown(&format!("{}: {object}{}{reason}", finding.severity.name(), finding.sentence()))
}

/// A text that cannot look like another text.
fn shown(text: &str) -> String {
    visible(text).collect()
}

/// A text as code.
fn code(text: &str) -> String {
    let text = shown(text);
    // A fence is longer than what it encloses.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A text as code in a table, where a bar ends the cell even inside of code.
fn cell(text: &str) -> String {
    if text.is_empty() { String::new() } else { code(text).replace('|', "\\|") }
}
