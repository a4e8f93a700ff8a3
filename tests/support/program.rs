//! The programs of this package, and those of others that its tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The path of `tap-operator` or `graph-simulator`, as Cargo built it for this run. Tests and benches are
/// told by Cargo; an example finds it in the directory above its own, if it was built before.
pub fn path(name: &str) -> Result<PathBuf> {
    let told = match name {
        "tap-operator" => option_env!("CARGO_BIN_EXE_tap-operator"),
        "graph-simulator" => option_env!("CARGO_BIN_EXE_graph-simulator"),
        _ => None,
    };
    if let Some(told) = told {
        return Ok(PathBuf::from(told));
    }
    let own = std::env::current_exe()?;
    let directory =
        own.parent().and_then(|examples| examples.parent()).context("no directory of programs")?;
    let path = directory.join(name);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo build --all-features --bins` first",
        path.display()
    );
    Ok(path)
}

/// The directory of programs that a script of this repository prints. It builds them where there are none
/// yet, which may take minutes.
pub fn built_by(script: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(&script)
        .stdin(Stdio::null())
        // Its progress is for whoever waits at the terminal.
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| script.display().to_string())?;
    ensure!(output.status.success(), "{} failed: its messages are above", script.display());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
