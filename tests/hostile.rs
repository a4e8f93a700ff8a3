//! Hostile input: what the fuzzer begins with and what it found, through the same functions, without the fuzzer.

#[path = "../fuzz/src/lib.rs"]
mod hostile;

use std::path::{Path, PathBuf};

/// The inputs of a target in a directory of `fuzz/`.
fn inputs(directory: &str, target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(directory).join(target);
    let Ok(entries) = std::fs::read_dir(&directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_the_fuzzer_begins_with_and_what_it_found_does_no_harm() {
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

#[test]
fn each_target_is_a_program_of_the_fuzzer() {
    for (target, _) in hostile::TARGETS {
        let program = format!("fuzz/fuzz_targets/{target}.rs");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        let text = std::fs::read_to_string(&program).unwrap();
        assert!(text.contains(&format!("tap_operator_fuzz::{target}(input)")), "{text}");
    }
}
