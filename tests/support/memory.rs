//! The memory of a running program, byte by byte, and its command line and environment.

use std::fmt::Write as _;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context, Result, bail};

use super::canary::{Found, Search, written};
use super::component::Component;

/// How many bytes around a match are shown.
const AROUND: usize = 96;

/// A part of a program's memory.
struct Region {
    start: u64,
    length: usize,
    /// Its permissions and its name, as in `/proc/PID/maps`.
    name: String,
}

/// The matches in a program's memory.
#[derive(Debug, Default)]
pub struct Remains {
    /// Each match: where it is, in which form, and what is around it.
    pub found: Vec<String>,
    /// How many bytes were searched: those of whole pages that are not all zero.
    pub searched: usize,
}

/// Searches all memory that the program can have written to. The program is stopped meanwhile.
///
/// Returns `None` if the system does not let this process read the memory of another.
pub fn search(component: &Component, search: &Search) -> Result<Option<Remains>> {
    let pid = component.pid().context("it is not running")?;
    component.freeze()?;
    let remains = search_frozen(pid, search);
    component.thaw()?;
    remains
}

fn search_frozen(pid: u32, search: &Search) -> Result<Option<Remains>> {
    let memory = match File::open(format!("/proc/{pid}/mem")) {
        Ok(memory) => memory,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error).context("the program's memory"),
    };
    let mut remains = Remains::default();
    for region in regions(pid)? {
        let mut content = vec![0; region.length];
        match memory.read_exact_at(&mut content, region.start) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
            // The kernel's own pages cannot be read in this way.
            Err(_) if region.name.contains("[v") => continue,
            Err(error) => return Err(error).context(region.name),
        }
        remains.searched += written(&content).iter().map(ExactSizeIterator::len).sum::<usize>();
        let mut last = None;
        for Found { at, code, form } in search.find(&content) {
            // The pieces of one copy count as one match.
            if last.replace(at).is_some_and(|last| at < last + AROUND) {
                continue;
            }
            let around = &content[at.saturating_sub(AROUND)..content.len().min(at + AROUND)];
            let (place, around) = (region.start + at as u64, printable(around));
            let name = &region.name;
            remains.found.push(format!("code {code} as {form} at {place:#x} in {name}: {around}"));
        }
    }
    if remains.searched == 0 {
        bail!("the program's memory is empty");
    }
    Ok(Some(remains))
}

/// The writable regions, and those that have no file.
fn regions(pid: u32) -> Result<Vec<Region>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) =
            (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let name = fields.nth(3).unwrap_or("no file");
        let (start, end) = range.split_once('-').context("a line of /proc/PID/maps")?;
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16));
        let (start, end) = (start?, end?);
        if rights.starts_with('r') && (rights.contains('w') || !name.starts_with('/')) {
            let length = usize::try_from(end - start)?;
            regions.push(Region { start, length, name: format!("{rights} {name}") });
        }
    }
    Ok(regions)
}

fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if byte.is_ascii_graphic() || byte == b' ' {
            text.push(byte.into());
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The program's command line and its environment, as other processes on the machine can read them.
pub fn started_with(component: &Component) -> Result<Vec<u8>> {
    let pid = component.pid().context("it is not running")?;
    let mut all = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    match std::fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => all.extend(environment),
        // A process that is not dumpable shows it to root alone.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        Err(error) => return Err(error.into()),
    }
    Ok(all)
}
