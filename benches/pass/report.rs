//! The table that shows the figures of two programs.

use std::fmt::Write as _;

use super::calls::Calls;
use super::figures::Figures;

/// Two programs side by side, with the ratio of the second to the first, and what the processes of operators used.
pub fn table(title: &str, of: [(&str, &Figures); 2], in_flight: usize) -> String {
    let [(first, one), (second, other)] = of;
    let mut table = format!("{title}\n{:30}{first:>10}{second:>10}{:>8}\n", "", "ratio");
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> f64| {
        let (one, other) = (of(one), of(other));
        let ratio = other / one;
        let _ = writeln!(table, "{what:30}{one:>10.1}{other:>10.1}{ratio:>8.2}");
    };
    row("latency in ms, minimum", &|figures| figures.latency(0));
    row("               median", &|figures| figures.latency(50));
    row("               95 percent", &|figures| figures.latency(95));
    row("               99 percent", &|figures| figures.latency(99));
    row("               maximum", &|figures| figures.latency(100));
    row(&format!("passes per second, {in_flight} at once"), &Figures::passes_per_second);

    let operators: Vec<_> =
        of.into_iter().filter(|(_, figures)| !figures.used.is_empty()).collect();
    for (name, figures) in &operators {
        let peak = figures.used.iter().map(|(_, after)| after.peak / 1024).max();
        let idle = figures.used.iter().map(|(before, _)| before.resident / 1024).min();
        let (cpu, idle, peak) =
            (figures.cpu_per_pass(), idle.unwrap_or_default(), peak.unwrap_or_default());
        let _ = writeln!(
            table,
            "{name}: {cpu:.1} ms of processor time per pass, {idle} MiB after a warm-up, {peak} MiB at most"
        );
    }
    let calls = operators.iter().map(|(_, figures)| (&figures.calls, figures.one_by_one.len()));
    let _ = write!(table, "{}", Calls::table(&calls.collect::<Vec<_>>()));
    table
}
