//! The table that shows the figures of the operator beside those of the minimal programs.

use std::fmt::Write as _;

use super::figures::Figures;

/// What was measured of each program.
#[derive(Default)]
pub struct Measured {
    /// The one that does no more than write and ask for the pass.
    pub writes: Figures,
    /// The one that reads, too.
    pub reads: Figures,
    /// The operator.
    pub operator: Figures,
}

/// The minimal programs and the operator side by side, and what the operator's process used.
pub fn table(way: &str, measured: &Measured, in_flight: usize) -> String {
    let Measured { writes, reads, operator } = measured;
    let head = ["writes", "and reads", "operator", "/ writes", "/ reads"];
    let head: String = head.iter().map(|column| format!("{column:>10}")).collect();
    let mut table = format!("{way}\n{:30}{head}\n", "");
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> f64| {
        let (writes, reads, operator) = (of(writes), of(reads), of(operator));
        let ratios = (operator / writes, operator / reads);
        let _ = writeln!(
            table,
            "{what:30}{writes:>10.1}{reads:>10.1}{operator:>10.1}{:>10.2}{:>10.2}",
            ratios.0, ratios.1
        );
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
