//! The commands of tap-operator.

#![warn(clippy::disallowed_methods)]

mod commands;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tap_operator::version;

/// Microsoft Entra Temporary Access Passes the Kubernetes way.
#[derive(Parser)]
#[command(name = "tap-operator", version = version::TEXT.as_str(), about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<commands::run::Arguments>),
    Check(commands::check::Arguments),
    Crds(commands::crds::Arguments),
    Release(commands::release::Arguments),
    Uninstall(commands::uninstall::Arguments),
    /// Print version and commit, as --version does
    Version,
}

/// Zeroes memory when it is freed, so that copies of a code in the buffers of HTTP and TLS libraries do not stay behind.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => commands::run::run(*arguments).await,
        Command::Check(arguments) => commands::check::run(arguments).await,
        Command::Crds(arguments) => commands::crds::run(&arguments),
        Command::Release(arguments) => commands::release::run(arguments).await,
        Command::Uninstall(arguments) => commands::uninstall::run(arguments).await,
        Command::Version => commands::version::run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
