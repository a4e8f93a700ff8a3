//! The programs of this package.

use std::path::PathBuf;

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
