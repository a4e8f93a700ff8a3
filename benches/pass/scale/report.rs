//! The figures with so many requests beside those without any, and the goals.

use std::fmt::Write as _;

use super::{Level, Measured};
use crate::figures::{Figures, milliseconds};

/// Without requests and with them, side by side.
pub fn table(level: &Level, in_flight: usize) -> String {
    let Level { live, finished, without, with } = level;
    let title = if *finished == 0 {
        format!("{live} live requests")
    } else {
        format!("{live} live, {finished} finished requests")
    };
    let mut table = format!("{title:42}{:>10}{:>10}{:>8}\n", "without", "with", "ratio");
    let mut row = |what: &str, of: &dyn Fn(&Measured) -> f64| {
        let (without, with) = (of(without), of(with));
        let ratio = with / without;
        let _ = writeln!(table, "{what:42}{without:>10.1}{with:>10.1}{ratio:>8.2}");
    };
    row("latency in ms, median", &|of| of.operator.latency(50));
    row("               95 percent", &|of| of.operator.latency(95));
    row("               median of the floor", &|of| of.floor.latency(50));
    let at_once = format!("passes per second, {in_flight} at once");
    row(&at_once, &|of| of.operator.passes_per_second());
    row("                   by the floor", &|of| of.floor.passes_per_second());
    row("processor time per pass in ms", &|of| cpu(&of.operator));
    row("resident memory in MiB, idle", &|of| mib(of.idle.resident));
    row("                        after the passes", &|of| mib(of.after.resident));
    row("                        at most", &|of| mib(of.after.peak));
    row("restart to the first pass in ms", &|of| milliseconds(of.restart.first_pass));
    row("        processor time until then in ms", &|of| milliseconds(of.restart.cpu));
    row("        a bare paged list of all in ms", &|of| milliseconds(of.restart.list));
    table
}

/// What is wanted with the most live requests, and with the finished ones on top.
pub fn goals(live: &Level, finished: &Level) -> String {
    let Level { without, with, .. } = live;
    let mut goals =
        format!("{:42}{:>10}   {}\n", format!("{} live requests", live.live), "", "goal");
    let mut row = |what: &str, seen: &str, goal: &str| {
        let _ = writeln!(goals, "{what:42}{seen:>10}   <= {goal}");
    };
    let ratio = |of: &dyn Fn(&Measured) -> f64| format!("x {:.2}", of(with) / of(without));
    row("processor time per pass", &ratio(&|of| cpu(&of.operator)), "x 1.2");
    row("median latency", &ratio(&|of| of.operator.latency(50)), "x 1.2");

    let more = |of: u64, than: u64| format!("{:+.1} MiB", mib(of) - mib(than));
    let idle = without.idle.resident;
    row("resident memory, idle", &more(with.idle.resident, idle), "idle without requests + 24 MiB");
    row("                 after the passes", &more(with.after.resident, idle), "the same");
    let on_top = more(finished.with.idle.resident, with.idle.resident);
    let what = format!("        idle, {} finished on top", finished.finished);
    row(&what, &on_top, "idle without the finished ones + 8 MiB");

    let mut restart = |what: &str, level: &Level| {
        let restart = &level.with.restart;
        let seen = format!("{:.0} ms", milliseconds(restart.first_pass));
        let goal = 1.5 * milliseconds(restart.list) + 1000.0;
        row(what, &seen, &format!("{goal:.0} ms: 1.5 x the bare paged list + 1 s"));
    };
    restart("restart to the first pass", live);
    restart("        with the finished ones on top", finished);
    goals
}

fn cpu(operator: &Figures) -> f64 {
    operator.per_pass(operator.spent.maker)
}

#[expect(clippy::cast_precision_loss, reason = "memory is smaller than that")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
