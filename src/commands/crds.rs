//! `tap-operator crds`: the custom resource definitions.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tap_operator::api::{crds, yaml};

/// Print the custom resource definitions, for `kubectl apply -f -`
#[derive(clap::Args)]
pub struct Arguments {
    /// Write one file for each definition into this directory instead
    #[arg(long, value_name = "DIRECTORY")]
    output_dir: Option<PathBuf>,
}

/// Prints or writes the definitions.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.output_dir {
        None => std::io::stdout().write_all(crds::to_yaml()?.as_bytes())?,
        Some(directory) => {
            for (name, definition) in crds::all() {
                let path = directory.join(name);
                std::fs::write(&path, yaml::write(&definition)?)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
