//! A process that cleans up after this one, however this one ends: even by a panic, by Ctrl-C or by SIGKILL, when no
//! destructor runs.
//!
//! It is a shell that reads from a pipe which programs run and which directories are theirs. The pipe is closed when
//! this process ends; then the shell kills the programs and removes the directories.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=
while read -r word value; do
    case $word in
        started) pids="$pids $value" ;;
        ended)
            rest=
            for pid in $pids; do [ "$pid" = "$value" ] || rest="$rest $pid"; done
            pids=$rest ;;
        directory) set -- "$@" "$value" ;;
    esac
done
if [ -n "$pids" ]; then
    kill -KILL $pids
    # Until they are really gone, they write.
    sleep 1
fi
[ $# -eq 0 ] || rm -rf -- "$@"
"#;

/// Starts a program after the watchdog has been told about it.
const START: &str = r#"echo "started $$" >&0 && exec "$@" </dev/null"#;

struct Watchdog {
    _shell: Child,
    pipe: OwnedFd,
}

static WATCHDOG: LazyLock<Mutex<Watchdog>> =
    LazyLock::new(|| Mutex::new(start().expect("the watchdog (a POSIX shell) can be started")));

fn start() -> Result<Watchdog> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "watchdog"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C goes to the whole process group of the terminal, so the watchdog needs a group of its own.
        .process_group(0)
        .spawn()
        .context("/bin/sh")?;
    let pipe = shell.stdin.take().context("the watchdog's standard input")?.into();
    Ok(Watchdog { _shell: shell, pipe })
}

/// A command that runs `program` under the watchdog, without standard input and in a process group of its own. Call
/// [`ended`] after waiting for it.
pub fn command(program: &Path) -> Result<Command> {
    let pipe = lock().pipe.try_clone().context("copying the watchdog's pipe")?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", START, "sh"]).arg(program).stdin(pipe).process_group(0);
    Ok(command)
}

/// Tells the watchdog that the program has ended, because its process id may be reused.
pub fn ended(pid: u32) {
    tell(&format!("ended {pid}\n"));
}

/// Tells the watchdog to remove this directory when this process ends.
pub fn remove_at_end(directory: &Path) {
    tell(&format!("directory {}\n", directory.display()));
}

fn tell(line: &str) {
    // Fails only if the watchdog was killed; then destructors still clean up.
    let _ = lock().pipe.try_clone().map(|pipe| File::from(pipe).write_all(line.as_bytes()));
}

fn lock() -> std::sync::MutexGuard<'static, Watchdog> {
    WATCHDOG.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
