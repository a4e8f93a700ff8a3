//! The programs of this package, and other programs that its tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The path of the program `tap-operator`, as Cargo built it for this run. Cargo tells it to tests and benches. An
/// example finds it in the directory above its own, if it was built before. `TAP_OPERATOR` names another: `make bench` measures
/// the one that is shipped.
pub fn tap_operator() -> Result<PathBuf> {
    if let Some(other) = std::env::var_os("TAP_OPERATOR") {
        return Ok(PathBuf::from(other));
    }
    if let Some(told) = option_env!("CARGO_BIN_EXE_tap-operator") {
        return Ok(PathBuf::from(told));
    }
    let own = std::env::current_exe()?;
    let directory =
        own.parent().and_then(|examples| examples.parent()).context("no directory of programs")?;
    let path = directory.join("tap-operator");
    ensure!(
        path.exists(),
        "{} is missing: run `cargo build --bin tap-operator` first",
        path.display()
    );
    Ok(path)
}

/// The path of the program `kubectl-tap`, found in the same way.
pub fn kubectl_tap() -> Result<PathBuf> {
    match option_env!("CARGO_BIN_EXE_kubectl-tap") {
        Some(told) => Ok(PathBuf::from(told)),
        None => Ok(tap_operator()?.with_file_name("kubectl-tap")),
    }
}

/// The directory of programs that a script of this repository prints. The script builds them if there are none yet,
/// which may take minutes.
pub fn built_by(script: &str) -> Result<PathBuf> {
    built(script, None)
}

/// The same, of a script that builds the program that its argument names.
pub fn built_with(script: &str, program: &str) -> Result<PathBuf> {
    built(script, Some(program))
}

fn built(script: &str, program: Option<&str>) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(&script)
        .args(program)
        .stdin(Stdio::null())
        // The script's progress goes to the terminal.
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| script.display().to_string())?;
    ensure!(output.status.success(), "{} failed: its messages are above", script.display());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
