//! What a process uses, as `/proc` tells it.

use std::fs::read_to_string;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::support::wait;
use crate::support::world::World;

/// What a process has used since it began.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Processor time, the kernel's for it included.
    pub cpu: Duration,
    /// The memory that is resident, in KiB.
    pub resident: u64,
    /// The most memory that was resident, in KiB.
    pub peak: u64,
}

/// The operator is at rest when it used less of a processor than this share of the time that it was looked at.
const AT_REST: f64 = 0.05;
const LOOKED_AT: Duration = Duration::from_secs(4);

/// The kernel tells times in hundredths of a second, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Absent where there is no `/proc` (other systems than Linux).
    pub fn of(pid: u32) -> Option<Self> {
        let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The 14th and 15th field; the 2nd is a name in parentheses that may have spaces.
        let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<u32>).sum::<Result<u32, _>>().ok()?;
        let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
        let memory = |name: &str| {
            let size = status.lines().find_map(|line| line.strip_prefix(name))?;
            size.trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(Self { cpu: TICK * ticks, resident: memory("VmRSS:")?, peak: memory("VmHWM:")? })
    }

    /// The processor time since an earlier moment of the same process.
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }
}

/// What the operator's process has used.
pub fn usage(world: &World) -> Result<Usage> {
    let pid = world.operator.component().pid().context("the operator does not run")?;
    Usage::of(pid).context("there is no /proc that tells what a process uses")
}

/// Waits until the operator has done what a start gives it to do, which is no pass's cost: it looks at each live pass, and for
/// its Secret.
pub async fn at_rest(world: &World, patience: Duration) -> Result<Usage> {
    wait::until(patience, "the operator is at rest", || async {
        let before = usage(world)?;
        sleep(LOOKED_AT).await;
        let used = usage(world)?.cpu_since(&before);
        ensure!(used < LOOKED_AT.mul_f64(AT_REST), "it used {used:?} in {LOOKED_AT:?}");
        Ok(())
    })
    .await?;
    usage(world)
}
