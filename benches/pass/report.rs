//! The table that shows the figures of operator and floor.

use std::fmt::Write as _;

use super::figures::Figures;

/// Floor and operator side by side, and what the operator's process used.
pub fn table(way: &str, floor: &Figures, operator: &Figures, in_flight: usize) -> String {
    let mut table = format!("{way}\n{:30}{:>10}{:>10}{:>8}\n", "", "floor", "operator", "ratio");
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> f64| {
        let (floor, operator) = (of(floor), of(operator));
        let ratio = operator / floor;
        let _ = writeln!(table, "{what:30}{floor:>10.1}{operator:>10.1}{ratio:>8.2}");
    };
    row("latency in ms, minimum", &|figures| figures.latency(0));
    row("               median", &|figures| figures.latency(50));
    row("               95 percent", &|figures| figures.latency(95));
    row("               99 percent", &|figures| figures.latency(99));
    row("               maximum", &|figures| figures.latency(100));
    row(&format!("passes per second, {in_flight} at once"), &Figures::passes_per_second);

    if let Some(peak) = operator.used.iter().map(|(_, after)| after.peak / 1024).max() {
        let cpu = operator.cpu_per_pass();
        let idle = operator.used.iter().map(|(before, _)| before.resident / 1024).min();
        let idle = idle.unwrap_or_default();
        let _ = writeln!(
            table,
            "the operator: {cpu:.1} ms of processor time per pass, {idle} MiB after a warm-up, {peak} MiB at most"
        );
    }
    let _ = write!(table, "{}", operator.calls.table(operator.one_by_one.len()));
    table
}
