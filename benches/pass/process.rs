//! What processes use, as `/proc` tells it.

use std::fs::{read_dir, read_to_string};
use std::ops::{AddAssign, Sub};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::support::component::Component;
use crate::support::wait;
use crate::support::world::World;

/// What a process has used since it began.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Processor time, the kernel's for it included.
    pub cpu: Duration,
    /// The memory that is resident, in KiB.
    pub resident: u64,
    /// What of it is the process's own, and not its program, which the kernel maps in large pieces and takes away at will.
    pub own: u64,
    /// The most memory that was resident, in KiB.
    pub peak: u64,
}

/// A program is at rest when it used less of a processor than this share of the time that it was looked at.
const AT_REST: f64 = 0.05;
const LOOKED_AT: Duration = Duration::from_secs(4);

/// The kernel tells times in hundredths of a second, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Absent where there is no `/proc` (other systems than Linux).
    pub fn of(pid: u32) -> Option<Self> {
        let process = format!("/proc/{pid}");
        let (_, cpu) = name_and_cpu(process.as_ref())?;
        let status = read_to_string(format!("{process}/status")).ok()?;
        let memory = |name: &str| {
            let size = status.lines().find_map(|line| line.strip_prefix(name))?;
            size.trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(Self {
            cpu,
            resident: memory("VmRSS:")?,
            own: memory("RssAnon:")?,
            peak: memory("VmHWM:")?,
        })
    }
}

/// The name of a process or thread, of whose directory below `/proc` this is the path, and the processor time that it has used.
fn name_and_cpu(directory: &Path) -> Option<(String, Duration)> {
    let stat = read_to_string(directory.join("stat")).ok()?;
    // The 2nd field is the name in parentheses, which may have spaces; the 14th and 15th are the time.
    let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Some((name.to_owned(), TICK * ticks.sum::<Result<u32, _>>().ok()?))
}

/// The processor time that the programs of a cluster have spent.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    /// The program that makes passes: the operator, or the floor.
    pub maker: Duration,
    /// The API server.
    pub api_server: Duration,
    /// Its database.
    pub etcd: Duration,
}

impl Spent {
    /// What was spent so far, by the program that makes passes so much.
    pub fn so_far(world: &World, maker: Option<Duration>) -> Option<Self> {
        let of = |program: &Component| Some(Usage::of(program.pid()?)?.cpu);
        Some(Self {
            maker: maker?,
            api_server: of(world.control_plane.api_server())?,
            etcd: of(world.control_plane.etcd())?,
        })
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            maker: self.maker.saturating_sub(earlier.maker),
            api_server: self.api_server.saturating_sub(earlier.api_server),
            etcd: self.etcd.saturating_sub(earlier.etcd),
        }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.maker += more.maker;
        self.api_server += more.api_server;
        self.etcd += more.etcd;
    }
}

/// The processor time that the threads of this process have used that bear a name.
pub fn cpu_of_threads(name: &str) -> Option<Duration> {
    let threads = read_dir("/proc/self/task").ok()?.flatten();
    let threads = threads.filter_map(|thread| name_and_cpu(&thread.path()));
    Some(threads.filter(|(of, _)| of == name).map(|(_, cpu)| cpu).sum())
}

/// What the process of a program has used.
pub fn usage(program: &Component) -> Result<Usage> {
    let pid = program.pid().with_context(|| format!("{} does not run", program.name()))?;
    Usage::of(pid).context("there is no /proc that tells what a process uses")
}

/// Waits until a program has done what a start gives it to do, which is no pass's cost: the operator looks at each live pass, and
/// for its Secret.
pub async fn at_rest(program: &Component, patience: Duration) -> Result<Usage> {
    wait::until(patience, "the program is at rest", || async {
        let before = usage(program)?.cpu;
        sleep(LOOKED_AT).await;
        let used = usage(program)?.cpu.saturating_sub(before);
        ensure!(used < LOOKED_AT.mul_f64(AT_REST), "it used {used:?} in {LOOKED_AT:?}");
        Ok(())
    })
    .await?;
    usage(program)
}
