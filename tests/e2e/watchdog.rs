//! Nothing that a test started outlives it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::support::component::Component;
use crate::support::scratch::{KEEP, Scratch};
use crate::support::{run, wait};

/// Tells [`victim`] that the test below started it.
const VICTIM: &str = "TAP_OPERATOR_WATCHDOG_VICTIM";

fn sleeper(scratch: &Scratch) -> Component {
    let log = scratch.file("sleep.log");
    Component::new("sleep", PathBuf::from("sleep"), vec!["1000".to_owned()], Vec::new(), log)
}

/// Whether a process runs. A zombie, which ended and was not waited for, does not.
fn runs(pid: &str) -> Result<bool> {
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').map(|(_, state)| state.to_owned()).unwrap_or_default()
    } else {
        String::from_utf8(Command::new("ps").args(["-o", "stat=", "-p", pid]).output()?.stdout)?
    };
    let state = state.trim_start();
    Ok(!state.is_empty() && !state.starts_with('Z'))
}

#[test]
fn programs_and_directories_end_with_a_process_that_is_killed() -> Result<()> {
    run(async {
        let mut victim = Command::new(std::env::current_exe()?)
            .args(["--exact", "watchdog::victim", "--nocapture"])
            .env(VICTIM, "1")
            .env_remove(KEEP)
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(victim.stdout.take().context("standard output")?).lines();
        let started = lines.map_while(Result::ok).find_map(|line| {
            let started = line.split_once("started ")?.1.to_owned();
            started.split_once(' ').map(|(pid, directory)| (pid.to_owned(), directory.to_owned()))
        });
        let (pid, directory) = started.context("the victim printed nothing")?;
        ensure!(runs(&pid)? && Path::new(&directory).exists(), "{pid} does not run in {directory}");

        victim.kill()?;
        victim.wait()?;
        wait::until(Duration::from_secs(20), "the watchdog cleans up", || async {
            ensure!(!runs(&pid)?, "{pid} still runs");
            ensure!(!Path::new(&directory).exists(), "{directory} is still there");
            Ok(())
        })
        .await
    })
}

/// The process that the test above kills. Without that test it does nothing.
#[test]
#[expect(clippy::print_stdout, reason = "the test above reads it")]
fn victim() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let scratch = Scratch::new("victim")?;
    let sleeper = sleeper(&scratch);
    sleeper.start()?;
    println!("\nstarted {} {}", sleeper.pid().context("no process")?, scratch.path().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_program_ends_with_its_component() -> Result<()> {
    let scratch = Scratch::new("component")?;
    let component = sleeper(&scratch);
    component.start()?;
    ensure!(component.start().is_err(), "it runs already");
    let pid = component.pid().context("no process")?.to_string();
    ensure!(runs(&pid)?, "{pid} does not run");
    drop(component);
    ensure!(!runs(&pid)?, "{pid} still runs");
    Ok(())
}

#[test]
fn a_program_that_cannot_run_says_why() -> Result<()> {
    run(async {
        let scratch = Scratch::new("component")?;
        let log = scratch.file("it.log");
        let component =
            Component::new("it", PathBuf::from("/nowhere/program"), Vec::new(), Vec::new(), log);
        component.start()?;
        wait::until(wait::PATIENCE, "it ends", || async {
            ensure!(component.check_running().is_err(), "it still runs");
            Ok(())
        })
        .await?;
        let failure = format!("{:#}", component.check_running().err().context("it ended")?);
        ensure!(failure.contains("/nowhere/program"), "{failure}");
        Ok(())
    })
}
