//! The commands of tap-operator.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Microsoft Entra Temporary Access Passes the Kubernetes way.
#[derive(Parser)]
#[command(name = "tap-operator", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Crds(commands::crds::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Crds(arguments) => commands::crds::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
