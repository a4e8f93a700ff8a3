//! Hostile input: the seeds and the findings of the fuzzer, passed to the same functions without the fuzzer.

#[path = "../fuzz/src/lib.rs"]
mod hostile;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The inputs for a target in a directory of `fuzz/`.
fn inputs(directory: &str, target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(directory).join(target);
    let Ok(entries) = std::fs::read_dir(&directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn seeds_and_findings_of_the_fuzzer_do_no_harm() {
    for (target, function) in hostile::TARGETS {
        let seeds = inputs("seeds", target);
        assert!(seeds.len() >= 2, "{target} has {} seeds", seeds.len());
        for file in seeds.into_iter().chain(inputs("findings", target)) {
            let input = std::fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| function(&input));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
}

/// A little of what the fuzzer does, the same in each run: seeds with a few bytes changed, dropped or moved.
#[test]
fn changed_seeds_do_no_harm() {
    let rounds = if cfg!(debug_assertions) { 10 } else { 300 };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for (target, function) in hostile::TARGETS {
        for file in inputs("seeds", target) {
            let seed = std::fs::read(&file).unwrap();
            for _ in 0..rounds {
                let mut input = seed.clone();
                for _ in 0..=random(4) {
                    change(&mut input, &mut random);
                }
                let outcome = std::panic::catch_unwind(|| function(&input));
                let text = String::from_utf8_lossy(&input);
                assert!(outcome.is_ok(), "{}: {text}", file.display());
            }
        }
    }
}

fn change(input: &mut Vec<u8>, random: &mut impl FnMut(usize) -> usize) {
    if input.is_empty() {
        input.push(b'0');
    }
    let (at, from) = (random(input.len()), random(input.len()));
    match random(4) {
        0 => input[at] = u8::try_from(random(256)).unwrap(),
        1 => input.truncate(at.max(1)),
        2 => {
            input.drain(at..(at + random(8)).min(input.len()));
        }
        _ => {
            let part: Vec<u8> = input[from..].iter().take(16).copied().collect();
            input.splice(at..at, part);
        }
    }
}

#[test]
fn each_target_is_a_program_of_the_fuzzer() {
    for (target, _) in hostile::TARGETS {
        let program = format!("fuzz/fuzz_targets/{target}.rs");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        let text = std::fs::read_to_string(&program).unwrap();
        assert!(text.contains(&format!("tap_operator_fuzz::{target}(input)")), "{text}");
    }
}

/// The processor time of the operator for one pass, from the request to the end, in optimized code on the machine of
/// `make bench`.
const A_PASS: Duration = Duration::from_micros(5_500);

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn tell(text: &str) {
    println!("{text}");
}

/// A hostile request costs at most twice as much as an honest one: no more than another pass would. The figures are
/// measured on optimized code, so they are judged only there (`make fuzz`); here they are only printed.
#[test]
fn a_hostile_request_costs_at_most_what_another_pass_would() {
    let optimized = !cfg!(debug_assertions);
    let costs = hostile::costs(if optimized { 20 } else { 2 });
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let row = |hostile::Cost { name, policy, request }: &hostile::Cost| {
        let ratio = 1.0 + request.as_secs_f64() / A_PASS.as_secs_f64();
        let (policy, request) = (milliseconds(*policy), milliseconds(*request));
        format!(
            "{name:<38} {request:>9.2} ms {ratio:>7.2} {policy:>9.2} ms when the policy changes"
        )
    };
    let table = costs.iter().map(row).collect::<Vec<_>>().join("\n");
    tell(&table);
    let dear = costs.iter().any(|cost| cost.request > A_PASS);
    assert!(!optimized || !dear, "\n{table}");
}
