//! A directory for one run: data, certificates, kubeconfigs and logs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::watchdog;

/// Keeps the directories of a run, to look at the logs afterwards.
pub const KEEP: &str = "TAP_OPERATOR_KEEP_DIRECTORIES";

/// A temporary directory, removed with this value, or by the watchdog where this process ends without
/// running destructors; kept when [`KEEP`] is set.
pub struct Scratch(TempDir);

impl Scratch {
    #[expect(clippy::print_stderr, reason = "who asked to keep it wants to know where it is")]
    pub fn new(purpose: &str) -> Result<Self> {
        let mut directory = tempfile::Builder::new()
            .prefix(&format!("tap-operator-{purpose}-"))
            .tempdir()
            .context("making a temporary directory")?;
        if std::env::var_os(KEEP).is_some() {
            directory.disable_cleanup(true);
            eprintln!("{KEEP}: {}", directory.path().display());
        } else {
            watchdog::remove_at_end(directory.path());
        }
        Ok(Self(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only this user may read, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;

        let path = self.file(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_ref()))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}
