//! A program of a test that can be killed, frozen and started again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::watchdog;

/// A program with its arguments, environment and log. At most one process of it runs at a time; it is
/// killed with this value, or when the process that started it ends.
pub struct Component {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Component {
    /// Describes the program; nothing runs yet. Standard output and error are appended to `log`.
    pub fn new(
        name: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        log: PathBuf,
    ) -> Self {
        Self { name, program, arguments, environment, log, child: Mutex::new(None) }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the program. It may not be ready yet when this returns.
    pub fn start(&self) -> Result<()> {
        let mut child = self.child();
        if let Some(running) = child.as_mut() {
            if running.try_wait()?.is_none() {
                bail!("{} is already running", self.name);
            }
            watchdog::ended(running.id());
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| self.log.display().to_string())?;
        let mut command = watchdog::command(&self.program)?;
        command
            .args(&self.arguments)
            // Everything is on this machine: never use the machine's proxy.
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone()?)
            .stderr(log);
        *child = Some(command.spawn().with_context(|| format!("starting {}", self.name))?);
        Ok(())
    }

    /// Fails, with the end of the log, if the program is not running.
    pub fn check_running(&self) -> Result<()> {
        match self.child().as_mut().map(Child::try_wait).transpose()? {
            Some(None) => Ok(()),
            Some(Some(status)) => bail!("{} ended: {status}\n{}", self.name, self.log_tail(40)),
            None => bail!("{} is not running", self.name),
        }
    }

    /// SIGKILL, as a crash of the machine would be: no chance to clean up. Returns when it is dead.
    pub fn kill(&self) {
        let Some(mut child) = self.child().take() else { return };
        // Fails only if it has already ended.
        let _ = child.kill();
        let _ = child.wait();
        watchdog::ended(child.id());
    }

    /// SIGTERM, without waiting.
    pub fn tell_to_end(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// SIGTERM. Returns how it ended; if it has not ended within `patience`, kills it and fails.
    pub async fn terminate(&self, patience: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended(patience).await
    }

    /// Waits for it to end by itself. If it has not ended within `patience`, kills it and fails.
    pub async fn ended(&self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let status = match self.child().as_mut() {
                Some(child) => child.try_wait()?,
                None => bail!("{} is not running", self.name),
            };
            if let Some(status) = status {
                self.kill();
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.kill();
                bail!("{} did not end within {patience:?}\n{}", self.name, self.log_tail(40));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP: the process keeps its connections and does nothing, like a frozen machine.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT: ends [`Component::freeze`].
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// The process id, while one runs.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Everything that the program has logged so far.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of the log, under a heading that names the file.
    pub fn log_tail(&self, lines: usize) -> String {
        let end = tail(&self.log, 64 * 1024).unwrap_or_else(|error| error.to_string());
        let from = end.lines().count().saturating_sub(lines);
        let end: Vec<&str> = end.lines().skip(from).collect();
        format!("--- the end of {}\n{}", self.log.display(), end.join("\n"))
    }

    fn signal(&self, signal: &str) -> Result<()> {
        // The lock is held, so the id cannot become another process's meanwhile.
        let child = self.child();
        let pid = child.as_ref().with_context(|| format!("{} is not running", self.name))?.id();
        let sent = Command::new("/bin/sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &pid.to_string()])
            .status()
            .context("/bin/sh")?;
        anyhow::ensure!(sent.success(), "SIG{signal} to {} (process {pid}): {sent}", self.name);
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tail(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
