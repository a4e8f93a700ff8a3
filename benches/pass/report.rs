//! The figures, and the table that shows them.

use std::fmt::Write as _;
use std::fs::read_to_string;
use std::time::Duration;

/// What was measured of one of the two, over all rounds.
#[derive(Default)]
pub struct Figures {
    /// How long passes took that were asked for one by one.
    pub one_by_one: Vec<Duration>,
    /// How long as many took, together, that were asked for at once.
    pub at_once: Duration,
    /// What the operator's process had used before each round of both, and after it.
    pub used: Vec<(Usage, Usage)>,
}

/// What a process has used since it began.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Processor time, the kernel's for it included.
    cpu: Duration,
    /// The most memory that was resident, in KiB.
    peak: u64,
}

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
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Self { cpu: TICK * ticks, peak })
    }
}

impl Figures {
    /// The latency in milliseconds that so many percent of the passes did not exceed.
    fn latency(&self, percent: usize) -> f64 {
        let mut sorted = self.one_by_one.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        milliseconds(sorted.get(rank).copied().unwrap_or_default())
    }

    fn passes_per_second(&self) -> f64 {
        number(self.one_by_one.len()) / self.at_once.as_secs_f64()
    }
}

/// Floor and operator side by side, and what the operator's process used.
pub fn table(floor: &Figures, operator: &Figures, in_flight: usize) -> String {
    let mut table = format!("{:30}{:>10}{:>10}{:>8}\n", "", "floor", "operator", "ratio");
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> f64| {
        let (floor, operator) = (of(floor), of(operator));
        let ratio = operator / floor;
        let _ = writeln!(table, "{what:30}{floor:>10.1}{operator:>10.1}{ratio:>8.2}");
    };
    row("latency in ms, minimum", &|figures| figures.latency(0));
    row("               median", &|figures| figures.latency(50));
    row("               95 percent", &|figures| figures.latency(95));
    row("               maximum", &|figures| figures.latency(100));
    row(&format!("passes per second, {in_flight} at once"), &Figures::passes_per_second);

    let used = || operator.used.iter();
    if let Some(peak) = used().map(|(_, after)| after.peak / 1024).max() {
        let cpu: Duration =
            used().map(|(before, after)| after.cpu.saturating_sub(before.cpu)).sum();
        let cpu = milliseconds(cpu) / number(2 * operator.one_by_one.len());
        let _ = write!(
            table,
            "\nthe operator: {cpu:.1} ms of processor time per pass, {peak} MiB at most"
        );
    }
    table
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "these are small")]
fn number(count: usize) -> f64 {
    count as f64
}
