//! The commands of tap-operator.

#![warn(clippy::disallowed_methods)]

mod commands;
mod core_dumps;

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
    Plan(commands::plan::Arguments),
    Export(commands::export::Arguments),
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

// One thread does all the work: nearly all of the time of a pass is the tenant's and the API server's, and threads that wake each
// other would take more processor time. The lease and the health have a thread of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    let outcome = match arguments.command {
        Command::Run(arguments) => commands::run::run(*arguments).await,
        Command::Check(arguments) => commands::check::run(arguments).await,
        Command::Plan(arguments) => commands::plan::run(arguments).await,
        Command::Export(arguments) => commands::export::run(arguments).await,
        Command::Crds(arguments) => commands::crds::run(&arguments),
        Command::Release(arguments) => commands::release::run(arguments).await,
        Command::Uninstall(arguments) => commands::uninstall::run(arguments).await,
        Command::Version => commands::version::run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Several lines are several errors.
            for line in format!("{error:#}").lines() {
                let _ = writeln!(std::io::stderr(), "error: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints what is wrong with the command line, or the help.
fn misused(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match (error.use_stderr(), std::env::args_os().nth(1)) {
        (false, _) => ExitCode::SUCCESS,
        // There, 2 means that something would change.
        (true, Some(command)) if command == "plan" => ExitCode::FAILURE,
        (true, _) => ExitCode::from(2),
    }
}
