//! The process, under the names that Prometheus' own client libraries use. Read from `/proc`; elsewhere than on Linux there
//! is nothing to tell.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::process::{Resource, getrlimit};

use super::catalog::{self, Metric};
use super::{float, sample};

/// Reads what `/proc` says of this process, at each scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let files = fs::read_dir("/proc/self/fd").ok().map(|files| float(files.count()));
        let most_files = getrlimit(Resource::Nofile).current.map(float);
        let stat = Stat::read();
        let of_stat = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
        let all: [(&Metric, Option<f64>); 7] = [
            (&catalog::PROCESS_CPU, of_stat(|stat| stat.cpu_seconds)),
            (&catalog::PROCESS_RESIDENT, of_stat(|stat| stat.resident_bytes)),
            (&catalog::PROCESS_VIRTUAL, of_stat(|stat| stat.virtual_bytes)),
            (&catalog::PROCESS_THREADS, of_stat(|stat| stat.threads)),
            (&catalog::PROCESS_START, stat.as_ref().and_then(Stat::started)),
            (&catalog::PROCESS_FDS, files),
            (&catalog::PROCESS_MAX_FDS, most_files),
        ];
        for (metric, value) in all {
            sample(&mut encoder, metric, value.map(|value| ([], value)))?;
        }
        Ok(())
    }
}

/// A part of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
    /// Seconds after the start of the machine.
    started: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        // The name of the program, in parentheses, may have spaces. The state, which follows it, is the third field.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<f64>().ok();
        let ticks = float(rustix::param::clock_ticks_per_second());
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * float(rustix::param::page_size()),
            started: field(22)? / ticks,
        })
    }

    /// When the process began, in seconds since 1970.
    fn started(&self) -> Option<f64> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let began = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(began.trim().parse::<f64>().ok()? + self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_program_is_called() {
        let stat = "4711 (a ) (b) S 1 1 1 0 -1 4194560 1 0 0 0 300 150 0 0 20 0 7 0 1000 8192 3 18446744073709551615 1";
        let stat = Stat::of(stat).unwrap();
        let ticks = float(rustix::param::clock_ticks_per_second());
        let page = float(rustix::param::page_size());
        let found =
            [stat.cpu_seconds, stat.threads, stat.virtual_bytes, stat.resident_bytes, stat.started];
        let expected = [450.0 / ticks, 7.0, 8192.0, 3.0 * page, 1000.0 / ticks];
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert!(Stat::of("4711 (a) S 1").is_none());
    }
}
