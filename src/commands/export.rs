//! `tap-operator export`: the method of a tenant as a policy.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use tap_operator::decision::method::as_method;
use tap_operator::graph::{Client, Priority};
use tap_operator::plan::export::export;
use tap_operator::plan::rules::Rules;

use super::connections::ConnectionArguments;
use super::plan::tenants;

/// Print the method of a tenant, as it is, as a `TapPolicy`
///
/// The policy only observes, and differs from the tenant in nothing: where to begin when a tenant comes under management. What
/// a policy cannot say is left out, and named in a comment. It needs no cluster, and changes nothing.
#[derive(clap::Args)]
pub struct Arguments {
    /// The tenant connection; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    #[command(flatten)]
    connections: ConnectionArguments,
}

/// Prints the method.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let rules = Rules::shipped()?;
    let clients = tenants::clients(&arguments.connections, "")?;
    let client = choose(&clients, arguments.connection.as_deref())?;
    let method = client.method(Priority::Read).await;
    let method =
        method.map_err(|error| anyhow!("the tenant cannot be read: {}", error.for_a_command()))?;
    let observed = as_method(&method);
    let targets = observed.include.iter().chain(&observed.exclude);
    let named: Vec<String> = targets.filter_map(|target| target.group.clone()).collect();
    let mut err = std::io::stderr();
    let groups = match client.groups(&named, Priority::Read).await {
        Ok(groups) => groups,
        Err(error) => {
            writeln!(
                err,
                "the names of the groups are left out, for they cannot be read: {}",
                error.for_a_command()
            )?;
            Vec::new()
        }
    };
    let exported = export(client.connection(), &method, &groups, &rules);
    let text = exported.to_yaml(client.tenant_id())?;
    std::io::stdout().write_all(text.as_bytes())?;
    for field in &exported.left_out {
        writeln!(err, "left out: {field}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(clients: &'a [Client], name: Option<&str>) -> anyhow::Result<&'a Client> {
    let names = || clients.iter().map(Client::connection).collect::<Vec<_>>().join(", ");
    match (name, clients) {
        (None, [only]) => Ok(only),
        (None, _) => {
            bail!("there are several tenant connections: name one with --connection: {}", names())
        }
        (Some(name), _) => {
            clients.iter().find(|client| client.connection() == name).with_context(|| {
                format!("no tenant connection is named {name:?}: there are {}", names())
            })
        }
    }
}
