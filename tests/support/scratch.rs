//! A directory for one run: data, certificates, kubeconfigs and logs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::watchdog;

/// If this variable is set, the directories of a run are kept, so that the logs can be read afterwards.
pub const KEEP: &str = "TAP_OPERATOR_KEEP_DIRECTORIES";

/// A temporary directory. It is removed when this value is dropped, or by the watchdog if this process ends without
/// running destructors. It is kept if [`KEEP`] is set.
pub struct Scratch(TempDir);

impl Scratch {
    #[expect(clippy::print_stderr, reason = "a directory that is kept must be found")]
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
