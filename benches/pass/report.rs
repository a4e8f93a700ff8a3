//! The table that shows the figures of several programs.

use std::fmt::Write as _;

use super::calls::Calls;
use super::figures::Figures;

/// Programs side by side, with the ratios of the last to each of the others, and what the processes of operators used.
pub fn table(title: &str, of: &[(&str, &Figures)], in_flight: usize) -> String {
    let Some(((_, last), others)) = of.split_last() else { return String::new() };
    let names = of.iter().map(|(name, _)| format!("{name:>12}"));
    let ratios = others.iter().map(|(name, _)| format!("{:>14}", format!("/ {name}")));
    let mut table = format!("{title}\n{:30}{}\n", "", names.chain(ratios).collect::<String>());
    let mut row = |what: &str, value: &dyn Fn(&Figures) -> f64| {
        let values = of.iter().map(|(_, figures)| format!("{:>12.1}", value(figures)));
        let ratio = |(_, other): &(&str, &Figures)| format!("{:>14.2}", value(last) / value(other));
        let cells: String = values.chain(others.iter().map(ratio)).collect();
        let _ = writeln!(table, "{what:30}{cells}");
    };
    row("latency in ms, minimum", &|figures| figures.latency(0));
    row("               median", &|figures| figures.latency(50));
    row("               95 percent", &|figures| figures.latency(95));
    row("               99 percent", &|figures| figures.latency(99));
    row("               maximum", &|figures| figures.latency(100));
    row(&format!("passes per second, {in_flight} at once"), &Figures::passes_per_second);

    let operators: Vec<_> = of.iter().filter(|(_, figures)| !figures.used.is_empty()).collect();
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
