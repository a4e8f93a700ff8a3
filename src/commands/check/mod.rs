//! `tap-operator check`: whether the operator can do its work, as it is configured here.

mod cluster;
mod notices;
mod tenant;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use tap_operator::controller::{Clocks, LocalClock};

use super::connections::ConnectionArguments;
use super::custody;
use super::notices::NoticeArguments;

/// Check whether the operator can do its work
///
/// It signs in through each tenant connection, and looks at the permissions of the app, the tenant's method, the clock and the
/// credential; in the cluster at the API server, the custom resource definitions, the operator's rights, the admission
/// policies, the emergency stop and the Lease; and at the files of the receivers of notices. It changes nothing. Run it where the credentials are:
/// `kubectl exec deployment/tap-operator -n tap-operator-system -- /tap-operator check`.
///
/// It exits with 1 if something fails, and with 0 if there are only warnings.
#[derive(clap::Args)]
pub struct Arguments {
    /// Namespace of the operator, its lease and the `ConfigMap` tap-operator-stop
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system")]
    namespace: String,
    #[command(flatten)]
    connections: ConnectionArguments,
    #[command(flatten)]
    notices: NoticeArguments,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Somebody should know it; the operator does its work.
    Warning,
    /// The operator cannot do all of its work.
    Failed,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    what: String,
    verdict: Verdict,
    detail: String,
}

impl Finding {
    fn new(what: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict, detail: detail.into() }
    }

    fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(what, Verdict::Ok, detail)
    }

    fn warning(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(what, Verdict::Warning, detail)
    }

    fn failed(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(what, Verdict::Failed, detail)
    }
}

/// Checks everything and prints one table.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let clocks = Arc::new(Clocks::new(LocalClock::of_the_system()));
    let tenants = arguments.connections.clients(&clocks, Arc::new(|_, _| {}));
    let (tenants, receivers) = match (tenants, arguments.notices.receivers()) {
        (Err(tenants), Err(receivers)) => bail!("{tenants}\n{receivers}"),
        (tenants, receivers) => (tenants?, receivers?),
    };
    let client = custody::client().await?;
    let cluster::Cluster { mut findings, policies } =
        cluster::check(&client, &arguments.namespace).await;
    for tenant in &tenants {
        findings.extend(tenant::check(tenant, policies.as_deref(), &clocks).await);
    }
    if let Some(policies) = &policies {
        findings.extend(tenant::unknown(policies, &tenants));
    }
    findings.extend(receivers.iter().flat_map(notices::check));
    print(&findings, &mut io::stdout())?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The table, with columns as wide as they need to be.
fn print(findings: &[Finding], out: &mut impl io::Write) -> io::Result<()> {
    let heading = ["CHECK", "RESULT", "FINDING"];
    let rows = findings.iter().map(|f| [f.what.as_str(), f.verdict.name(), f.detail.as_str()]);
    let rows: Vec<[&str; 3]> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    for [what, verdict, detail] in rows {
        let line = format!("{what:<first$}  {verdict:<second$}  {detail}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_a_table() {
        let findings = [
            Finding::ok("API server", "Kubernetes 1.36"),
            Finding::failed("contoso: sign-in", "HTTP 401"),
            Finding::warning("stop", ""),
        ];
        let mut out = Vec::new();
        print(&findings, &mut out).unwrap();
        let expected = "\
CHECK             RESULT   FINDING
API server        ok       Kubernetes 1.36
contoso: sign-in  FAILED   HTTP 401
stop              warning
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
