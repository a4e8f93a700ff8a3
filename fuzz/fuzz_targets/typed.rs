#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tap_operator_fuzz::typed(input));
