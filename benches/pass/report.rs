//! The table that shows the figures of several programs.

use std::fmt::Write as _;

use super::calls::Calls;
use super::figures::Figures;
use super::process::Usage;

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
    row("processor time in ms per pass", &|of| of.per_pass(of.spent.maker));
    row("               API server", &|of| of.per_pass(of.spent.api_server));
    row("               etcd", &|of| of.per_pass(of.spent.etcd));

    let operators: Vec<_> = of.iter().filter(|(_, figures)| !figures.used.is_empty()).collect();
    for (name, figures) in &operators {
        let peak = figures.used.iter().map(|(_, after)| after.peak / 1024).max();
        let idle = figures.used.iter().map(|(before, _)| before.resident / 1024).min();
        let (idle, peak) = (idle.unwrap_or_default(), peak.unwrap_or_default());
        let _ = writeln!(table, "{name}: {idle} MiB after a warm-up, {peak} MiB at most");
    }
    let calls = operators.iter().map(|(_, figures)| (&figures.calls, figures.one_by_one.len()));
    let _ = write!(table, "{}", Calls::table(&calls.collect::<Vec<_>>()));
    table
}

/// The memory of the operator at rest, beside that of a program that only watches.
#[expect(clippy::cast_precision_loss, reason = "memory is smaller than that")]
pub fn idle(operator: Usage, bare: Usage) -> String {
    let mut table =
        format!("{:30}{:>12}{:>12}{:>14}\n", "at rest", "bare client", "operator", "/ bare");
    for (what, of) in [
        ("resident memory in MiB", [bare.resident, operator.resident]),
        ("        without program code", [bare.own, operator.own]),
    ] {
        let [bare, operator] = of.map(|kib| kib as f64 / 1024.0);
        let _ = writeln!(table, "{what:30}{bare:>12.1}{operator:>12.1}{:>14.2}", operator / bare);
    }
    table
}
