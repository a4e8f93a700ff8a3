//! `tap-operator plan`: what manifests would do.

mod files;
pub mod tenants;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use tap_operator::plan::manifests::Manifests;
use tap_operator::plan::rules::Rules;
use tap_operator::plan::{Plan, render};

use super::connections::ConnectionArguments;

/// Show what `TapPolicies` in files would change in their tenants
///
/// It needs no cluster. It checks `TapPolicies` and `TapRequests` with the rules of the API server, reads the method of each
/// tenant that a policy names, and shows each field that differs. It warns of policies that can admit nobody, of lifetimes
/// outside the tenant's range, and of groups that are gone, and checks requests against the policies in the files. It changes
/// nothing, and does not work with an app that could.
///
/// It exits with 0 if the tenants are as the policies say, with 2 if one differs, and with 1 after an error.
#[derive(clap::Args)]
pub struct Arguments {
    /// File with manifests, directory with such files (.yaml, .yml, .json), or - for the standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    filename: Vec<PathBuf>,
    /// Only check the manifests, without signing in to a tenant
    #[arg(long)]
    offline: bool,
    /// How to print the plan: Markdown is for a comment on a pull request
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    connections: ConnectionArguments,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
    Markdown,
}

/// Plans the files.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let rules = Rules::shipped()?;
    let files = files::read(&arguments.filename)?;
    let now = Timestamp::now();
    let manifests = Manifests::read(&files, &rules, now);
    let tenants = if arguments.offline || manifests.policies.is_empty() {
        None
    } else {
        let clients = tenants::clients(
            &arguments.connections,
            ", or check the manifests alone with --offline",
        )?;
        Some(tenants::read(&clients, &manifests).await)
    };
    let plan = Plan::of(manifests, tenants.as_ref(), now);
    let text = match arguments.output {
        Output::Text => render::text(&plan),
        Output::Json => format!("{:#}\n", render::json(&plan)),
        Output::Markdown => render::markdown(&plan),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever closed the pipe has read enough. The exit code says the rest.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    Ok(ExitCode::from(plan.outcome().code()))
}
