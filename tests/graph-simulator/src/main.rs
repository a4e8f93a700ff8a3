//! The Graph simulator as a program.

use std::{fmt::Write as _, io::Write as _, net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use graph_simulator::{
    Simulator, Tenant,
    tenant::{OPERATOR, OPERATOR_SECRET},
    tls::Server,
};
use tokio::signal::unix::{SignalKind, signal};

/// A Microsoft Entra tenant on your own machine: login and Graph v1.0 for Temporary Access Passes, over TLS.
///
/// Clients of Microsoft Graph in any language can sign in and work against it: set their login authority and their
/// Graph endpoint to the URL that it prints, and let them trust DIR/ca.crt. Everything that is not Graph is under
/// /_sim: signing in with a code, the ledger of all passes, scripted faults, switches, the tenant's clock.
///
/// It holds nothing but test data, in memory, and anyone who can reach it may change them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The address to listen on. Port 0 takes any free port; the first line of the output says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// The directory for the certificate authority (ca.crt) and the URL (url).
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// A file with the tenant at the start, as YAML or JSON. Default: Contoso, a small one.
    #[arg(long, value_name = "FILE")]
    tenant: Option<PathBuf>,

    /// Allow an address that other machines can reach.
    #[arg(long)]
    allow_remote: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.listen.ip().is_loopback() || arguments.allow_remote,
        "{} can be reached by other machines, and the simulator gives access to anyone; --allow-remote allows that",
        arguments.listen
    );
    let tenant = match &arguments.tenant {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("reading {}", file.display()))?;
            Tenant::from_yaml(&text).with_context(|| format!("reading {}", file.display()))?
        }
        None => Tenant::contoso(),
    };
    let (tenant_id, is_contoso) = (tenant.id, arguments.tenant.is_none());
    let server = Server::start(&Simulator::new(tenant), arguments.listen, &arguments.dir).await?;

    let (url, ca) = (server.url(), server.ca_file().display());
    let mut text = format!(
        "listening on {url}\n\n\
         login authority  {url}/\n\
         graph endpoint   {url}/v1.0\n\
         trust            {ca}\n\
         tenant           {tenant_id}\n"
    );
    if is_contoso {
        writeln!(text, "client id        {OPERATOR}\nclient secret    {OPERATOR_SECRET}")?;
    }
    writeln!(text, "control          curl --cacert {ca} {url}/_sim")?;
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing to the standard output")?;

    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}
