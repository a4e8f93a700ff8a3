//! Many plans, on all cores, and their results.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::run::{Outcome, Tally, run};

/// The soak stops after so many violations.
const ENOUGH: usize = 40;

/// The results of many plans.
#[derive(Default)]
struct Found {
    tally: Tally,
    violations: Vec<(u64, String)>,
}

/// Fails with the whole history and state if a promise was broken.
pub fn check(outcome: &Outcome) {
    assert!(outcome.violation.is_none(), "{}", summary(outcome));
}

/// The same for a plan that is not the one of its seed alone.
pub fn check_known(outcome: &Outcome, about: &str) {
    assert!(outcome.violation.is_none(), "{}\n{about}", summary(outcome));
}

/// Fails if one of these plans does, with the history and state of the first that failed.
pub fn check_all(first: u64, plans: u64) {
    let found = sweep(first, plans);
    if let Some((seed, violation)) = found.violations.first() {
        check(&run(*seed));
        panic!("seed {seed} failed and does not fail again: {violation}");
    }
}

/// Runs `PLANS` plans, from `SEED` on.
pub fn soak() {
    let (first, plans) = (number("SEED", 0), number("PLANS", 1000));
    // Each panic is reported in one line.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let Found { mut tally, violations } = sweep(first, plans);
    let plans = tally.0.remove("plans").unwrap_or_default();
    let speed = f64::from(u32::try_from(plans).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64();
    let (plans, bad) = (plans.to_string(), violations.len().to_string());
    let head = [("plans", plans), ("plans per second", format!("{speed:.1}"))];
    let rows = tally.0.into_iter().map(|(what, count)| (what, count.to_string()));
    let rows = head.map(|(what, count)| (what.to_owned(), count)).into_iter().chain(rows);
    for (what, count) in rows.chain([("violations".to_owned(), bad)]) {
        say(&format!("{count:>12}  {what}"));
    }
    if let Some((seed, _)) = violations.first() {
        let _ = std::panic::take_hook();
        panic!("replay with: make replay SEED={seed}");
    }
}

/// Runs the plan of `SEED` and prints what happens.
pub fn replay() {
    if std::env::var("LOG").is_ok() {
        tracing_subscriber::fmt().with_env_filter("tap_operator=debug").without_time().init();
    }
    let outcome = run(number("SEED", 0));
    say(&summary(&outcome));
    check(&outcome);
}

fn sweep(first: u64, plans: u64) -> Found {
    let next = AtomicU64::new(first);
    let found: Mutex<Found> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = number("THREADS", threads as u64);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - first >= plans || found.lock().expect("unpoisoned").violations.len() >= ENOUGH
            {
                break;
            }
            let outcome = run(seed);
            let mut found = found.lock().expect("unpoisoned");
            found.tally.merge(&outcome.tally);
            found.tally.add("plans", 1);
            if let Some(violation) = outcome.violation {
                let line = violation.lines().next().unwrap_or_default().to_owned();
                say(&format!("seed {seed}: {line}"));
                found.violations.push((seed, line));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    found.into_inner().expect("unpoisoned")
}

fn summary(outcome: &Outcome) -> String {
    let seed = outcome.plan.seed;
    let verdict = outcome.violation.as_deref().unwrap_or("all promises are kept");
    format!(
        "{:#?}\n{}\n{}\nseed {seed}: {verdict}\nreplay with: make replay SEED={seed}",
        outcome.plan, outcome.history, outcome.report
    )
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
