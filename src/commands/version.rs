//! `tap-operator version`.

use std::io::Write as _;
use std::process::ExitCode;

use tap_operator::version;

/// Prints the version as `--version` does.
pub fn run() -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "tap-operator {}", *version::TEXT)?;
    Ok(ExitCode::SUCCESS)
}
